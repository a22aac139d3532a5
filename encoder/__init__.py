"""SVG text → embedding: tokenizer, pretraining, contrastive training, search."""
