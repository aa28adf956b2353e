"""Engines: the only code that opens a connection."""
