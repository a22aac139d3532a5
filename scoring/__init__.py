"""A rendered SVG → numbers: each file is a score and a command."""
