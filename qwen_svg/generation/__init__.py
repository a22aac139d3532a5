"""Answers from a model: the decode loop, its cache, constrained decoding, and what people ask it for."""
