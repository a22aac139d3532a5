"""The parts of composition: what a description claims, what a drawing shows."""
