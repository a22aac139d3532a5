"""SVG as text and as pixels: value grammars, reading, rendering. Imports nothing of the project."""
