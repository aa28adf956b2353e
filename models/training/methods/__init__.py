"""Ways to train a network, a file each."""
