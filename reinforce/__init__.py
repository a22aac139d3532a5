"""The same adapter, trained on scores (GRPO) or preferences (DPO)."""
