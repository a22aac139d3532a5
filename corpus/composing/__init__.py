"""The parts of compose."""
