"""A page to look at: searches, analogies, indexes and their cells, in a browser."""
