"""The parts of edits."""
