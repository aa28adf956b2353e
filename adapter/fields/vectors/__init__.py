"""Fields of vectors: codes and buckets by a hash model, an exact rerank by cosine."""
