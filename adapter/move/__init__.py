"""One index into another."""
