"""The stages of build_dataset."""
