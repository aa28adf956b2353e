"""Kinds of hashed field, a room or a file each: what an index of vectors, or of texts, can do."""
