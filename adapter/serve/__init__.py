"""The gateway: any client's searches may have our clauses, any client's documents are hashed."""
