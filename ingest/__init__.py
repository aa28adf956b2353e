"""Documents in: sources, hashing in batches, and the server-side pipeline's body."""
