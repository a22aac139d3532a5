"""Themes, prompts and filters for invented descriptions."""
