"""`meta4 index`, and `meta4 copy`."""
