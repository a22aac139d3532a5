"""Any SVG in the world → data/*.jsonl: mine, optimize, caption, describe, vectorize, imagine, build_dataset."""
