"""The cluster behind the gateway: what it is sent as it came, what it answers as it is."""

import ssl
from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from typing import Any

import aiohttp
from yarl import URL

from ...errors import InputError, UnreachableError
from ..engines.access import Access
from ..engines.calls import Calls
from ..engines.faults import cut_off, hosts_of, redacted, unreachable, untrusted
from .answers import Headers

#: Of one connection and not of what it carries (RFC 9110, 7.6.1), and what is of our own address.
_OF_THE_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"te",
        b"trailer",
        b"upgrade",
        b"host",
        b"expect",
    }
)
#: What callers are told of where it is.
ENGINE = "the engine"
#: Seconds until a connection stands; an answer may take as long as it likes.
_CONNECTING = 10.0
#: Bytes of a line of headers, and of an address: an engine's own limits are smaller.
_LONGEST_LINE = 1 << 16
#: Bytes that are handed to the client at once; more are sent in pieces, others' between them.
_AT_ONCE = 1 << 20


class Upstream:
    """Connections to one cluster; a context.

    Args:
        url: of it, or of several of its nodes with commas between: each that does not answer is
            left for the next.
        access: whom we trust. Who we are matters only where a caller cannot be asked: what is
            sent for callers has their credentials alone.
        calls: of the engine, which know what it is asked.
    """

    def __init__(self, url: str, access: Access, calls: Calls) -> None:
        self.calls = type(calls)(ENGINE)
        self.url = redacted(url)
        self._hosts = [redacted(host).rstrip("/") for host in hosts_of(url)]
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Upstream":
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, ssl=self._trust(), keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_field_size=_LONGEST_LINE,
            max_line_size=_LONGEST_LINE,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECTING, sock_read=None),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes | AsyncIterator[bytes] | None,
        *,
        timeout: float | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request; gives the answer when its head is there.

        Args:
            method: of HTTP.
            target: path and query string, encoded.
            headers: of the request; those of the connection are left out.
            body: whole, or in pieces.
            timeout: seconds until the answer must be whole.

        Raises:
            UnreachableError: no node answers.
        """
        assert self._session is not None
        sent = forwarded(headers)
        longest = aiohttp.ClientTimeout(total=timeout, connect=_CONNECTING) if timeout else None
        options: dict[str, Any] = {} if longest is None else {"timeout": longest}
        failure: UnreachableError | None = None
        for host in list(self._hosts):
            try:
                return await self._session.request(
                    method,
                    URL(host + target, encoded=True),
                    headers=_as_text(sent),
                    data=_in_pieces(body),
                    allow_redirects=False,
                    **options,
                )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                failure = self._translated(error)
                self._hosts.sort(key=host.__eq__)  # the last to be tried from now on
            except (aiohttp.ClientError, TimeoutError) as error:
                raise self._translated(error) from error
        assert failure is not None
        raise failure

    def _translated(self, error: Exception) -> UnreachableError:
        if isinstance(error, aiohttp.ClientSSLError):
            return untrusted(ENGINE, error)
        if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return cut_off(ENGINE)
        return unreachable(ENGINE, timed_out=isinstance(error, TimeoutError))

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._access.ca_file)
        if self._access.client_cert is not None:
            context.load_cert_chain(self._access.client_cert, self._access.client_key)
        return context


def _in_pieces(body: bytes | AsyncIterator[bytes] | None) -> Any:
    """A body as the client takes it, anew for each node that is tried."""
    return BytesIO(body) if isinstance(body, bytes) and len(body) > _AT_ONCE else body


def _as_text(headers: Headers) -> list[tuple[str, str]]:
    """The same for the client, which writes UTF-8.

    Raises:
        InputError: one is in another alphabet.
    """
    try:
        return [(name.decode("ascii"), value.decode()) for name, value in headers]
    except UnicodeDecodeError as error:
        raise InputError(f"headers: expected ASCII or UTF-8 ({error})") from error


def forwarded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that are not of the connection alone, nor named by it as being so."""
    given = list(headers)
    named = {
        name.strip().lower()
        for key, value in given
        if key.lower() == b"connection"
        for name in value.split(b",")
    }
    return [
        (name, value)
        for name, value in given
        if (key := name.lower()) not in _OF_THE_CONNECTION and key not in named
    ]
