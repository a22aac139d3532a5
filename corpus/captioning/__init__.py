"""Engines that caption pictures."""
