"""Encoders that make embeddings of texts."""
