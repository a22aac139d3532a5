"""The parts of scoring.icon_match and of its training."""
