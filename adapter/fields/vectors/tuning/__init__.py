"""How far requests have to look for what they promise: measured on the index's own documents."""
