"""Hashed indexes: made, shown, healed, examined, dropped."""
