"""`meta4 model`, `train` and `embed`."""
