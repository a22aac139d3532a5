"""Base models and LoRA adapters: loading, fast forward and backward passes, the loss, export."""
