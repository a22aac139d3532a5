"""Fine-tuning: the Trainer, checkpoints, memory, the learning-rate sweep."""
