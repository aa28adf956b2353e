"""The gateway as an ASGI application, for those who have a server for such: `app(URL)`."""

from .adapter.serve.app import Gateway, app

__all__ = ["Gateway", "app"]
