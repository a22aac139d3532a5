"""Parts of contrast."""
