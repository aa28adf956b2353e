"""Choosing a model: what is tried, how it is judged."""
