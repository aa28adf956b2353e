"""Sending documents in bulk."""
