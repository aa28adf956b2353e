"""Kinds of hashed field, a room each: what an index of such a field can do."""
