"""Fields of texts: near-duplicates by MinHash buckets, an exact rerank by Jaccard similarity."""
