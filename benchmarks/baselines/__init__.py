"""Other people's hashes, measured by the same yardstick."""
