"""The stages of build_icons."""
