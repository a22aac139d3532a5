"""The search behind vectorize."""
