"""The stages of optimize."""
