"""The same engines, through clients that do not wait. Needs aiohttp (extra `async`)."""
