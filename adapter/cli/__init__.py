"""The command line: parses, calls, prints."""

from .main import main

__all__ = ["main"]
