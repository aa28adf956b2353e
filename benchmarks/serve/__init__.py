"""The gateway: what it costs, and whether it lasts."""
