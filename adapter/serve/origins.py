"""Pages of other sites, which a browser lets ask with what it knows of its user.

A browser that was told a user's password for the page at `/_meta4/` sends it with whatever any
other site's page asks for here, so that such a site could write in that user's name. The engine has
its own word on sites that may (CORS): whom it lets, may.
"""

import time
from urllib.parse import urlsplit

from ...errors import RefusedError
from .request import Request
from .upstream import Upstream

#: Methods that change nothing; a browser keeps their answers from other sites.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a browser says of a request that no other site's page is behind.
_OWN = frozenset({b"same-origin", b"none"})
#: Seconds for which what the engine said of a site is remembered, and sites.
_REMEMBERED_FOR, _REMEMBERED = 60.0, 64
_FORBIDDEN = 403


class Origins:
    """What the engine lets other sites do.

    Args:
        upstream: the engine.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._known: dict[bytes, tuple[float, bool]] = {}

    async def check(self, request: Request) -> None:
        """Refuse what another site's page would change.

        Raises:
            RefusedError: the engine does not let that site.
        """
        if request.method in _SAFE or not _is_of_another(request):
            return
        origin = request.by_name.get(b"origin", b"null")
        if not await self._lets(origin):
            raise RefusedError(
                f"a page of another site ({origin.decode('latin-1')[:200]}) asks for this, which "
                f"the engine does not let it; name it in the engine's http.cors.allow-origin",
                _FORBIDDEN,
            )

    async def _lets(self, origin: bytes) -> bool:
        said_at, lets = self._known.get(origin, (0.0, False))
        if said_at and time.monotonic() - said_at < _REMEMBERED_FOR:
            return lets
        asked = [(b"origin", origin), (b"access-control-request-method", b"POST")]
        answer = await self._upstream.send("OPTIONS", "/", asked, None, timeout=5.0)
        answer.close()
        lets = answer.headers.get("access-control-allow-origin") in ("*", origin.decode("latin-1"))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[origin] = time.monotonic(), lets
        return lets


def _is_of_another(request: Request) -> bool:
    names = request.by_name
    site = names.get(b"sec-fetch-site")
    if site is not None:  # said to TLS and this machine alone
        return site not in _OWN
    origin = names.get(b"origin")
    if origin is None:  # no browser's
        return False
    hosts = (names.get(b"host"), names.get(b"x-forwarded-host"))
    return urlsplit(origin).netloc not in hosts
