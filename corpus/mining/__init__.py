"""The crawler behind mine."""
