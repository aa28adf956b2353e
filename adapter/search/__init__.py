"""From a clause to a request body."""
