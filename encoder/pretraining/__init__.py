"""Parts of pretrain."""
