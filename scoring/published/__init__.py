"""Published figures' measures: what a profile of benchmark.py names, computed as its protocol says."""
