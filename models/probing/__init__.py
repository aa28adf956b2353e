"""Which buckets to look into, and how many."""
