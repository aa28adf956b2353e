"""Networks that make embeddings of pictures."""
