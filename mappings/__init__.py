"""Index specs, field names, and what each engine's mapping and queries look like."""
