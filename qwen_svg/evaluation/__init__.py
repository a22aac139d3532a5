"""Judging answers, and showing what came out."""
