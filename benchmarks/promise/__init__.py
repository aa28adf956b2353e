"""Recall asked for and delivered, where nothing was tuned."""
