"""Parts of convert_to_hf."""
