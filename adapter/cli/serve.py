"""`meta4 serve` and `meta4 look`."""

import logging
import socket
import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import click

from ...errors import InputError, MissingExtraError
from .common import URL_VARIABLE, cluster_at, notes

#: Where a client finds the gateway: the engines' own ports are not taken from them.
_HOST, _PORT = "127.0.0.1", 9280
#: Seconds for which a connection that nobody uses stays: engines keep them for good, and clients
#: that pool them count on it.
_KEPT = 3600
#: Seconds in which requests under way may end, after SIGTERM.
_ENDING = 30

_file = click.Path(path_type=Path, dir_okay=False, exists=True)


_engine_option = click.option(
    "--engine",
    "url",
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="The cluster. Default: the node of 'meta4 node start' if it runs.",
)
_port_option = click.option(
    "--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True
)


@click.command("serve")
@_engine_option
@click.option("--host", default=_HOST, show_default=True, help="Address to listen at.")
@_port_option
@click.option("--tls-cert", type=_file, help="Certificate (PEM) for clients, with --tls-key.")
@click.option("--tls-key", type=_file, help="Its key (PEM).")
@click.option("--quiet", is_flag=True, help="No line for each request.")
def serve_command(
    url: str | None,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    quiet: bool,
) -> None:
    """Stand before a cluster, so that any client's searches may have our clauses.

    All requests pass through as they came. meta4_similar, meta4_analogy and meta4_hybrid are
    answered in searches, counts and the like; documents are hashed on their way into indexes that
    are hashed by clients. A caller's own credentials go with every request. Logs are lines of JSON
    on standard error; figures are at /_meta4/metrics, and a page to look at is at /_meta4/. Ctrl-C
    or SIGTERM end it when what is under way is done.

    Example: meta4 serve --engine http://localhost:9200
    """
    if (tls_cert is None) != (tls_key is None):
        raise InputError("--tls-cert and --tls-key belong together")
    tls: dict[str, Any] = {}
    if tls_cert is not None:
        tls = {"ssl_certfile": str(tls_cert), "ssl_keyfile": str(tls_key)}
    _serve(url, host, port, "" if tls_cert is None else "s", quiet=quiet, **tls)


@click.command("look")
@_engine_option
@_port_option
def look_command(url: str | None, port: int) -> None:
    """Look at a cluster's hashed indexes in a browser: search, analogies, cells and the doctor.

    Starts the gateway of 'meta4 serve' on this machine and opens its page. What is shown is asked
    for as whoever the browser says you are, which asks you where the cluster wants to know.
    META4_USER and the like serve once, at the start, to ask which engine it is.

    Example: meta4 look --engine http://localhost:9200
    """
    _serve(url, _HOST, port, "", quiet=True, opens=True)


def _serve(
    url: str | None, host: str, port: int, s: str, *, quiet: bool, opens: bool = False, **tls: Any
) -> None:
    try:
        import uvicorn

        from ..serve.app import app
        from ..serve.own import OWN
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "serve", "the gateway") from error
    gateway = app(*cluster_at(url))
    logging.basicConfig(format="%(message)s", level=logging.WARNING if quiet else logging.INFO)
    where = f"http{s}://{f'[{host}]' if ':' in host else host}:{port}"
    config = uvicorn.Config(
        gateway,
        access_log=False,
        date_header=False,
        server_header=False,
        log_config=None,
        log_level="warning",
        timeout_graceful_shutdown=_ENDING,
        timeout_keep_alive=_KEPT,
        h11_max_incomplete_event_size=1 << 16,
        **tls,
    )
    with _listening(host, port) as listener, suppress(KeyboardInterrupt):  # raised after its end
        notes.print(f"{gateway.engine_url} is at {where}, its page at {where}{OWN}/")
        notes.print("Ctrl-C ends it")
        if opens:  # beside it: some browsers stay until their page is read
            Thread(target=webbrowser.open, args=(f"{where}{OWN}/",), daemon=True).start()
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """What clients connect to.

    Raises:
        InputError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"expected to listen at {host}:{port}, got: {error.strerror}; take another with --port"
        ) from error
