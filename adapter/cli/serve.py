"""`meta4 serve`."""

import logging
from contextlib import suppress
from pathlib import Path

import click

from ...errors import InputError, MissingExtraError
from .common import URL_VARIABLE, cluster_at, notes

#: Where a client finds the gateway: the engines' own ports are not taken from them.
_PORT = 9280
#: Seconds for which a connection that nobody uses stays: engines keep them for good, and clients
#: that pool them count on it.
_KEPT = 3600
#: Seconds in which requests under way may end, after SIGTERM.
_ENDING = 30

_file = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command("serve")
@click.option(
    "--engine",
    "url",
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="The cluster. Default: the node of 'meta4 node start' if it runs.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True)
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

    All requests pass through as they came. meta4_similar and meta4_analogy are answered in
    searches, counts and the like; documents are hashed on their way into indexes that are hashed
    by clients. A caller's own credentials go with every request. Logs are lines of JSON on
    standard error; figures are at /_meta4/metrics. Ctrl-C or SIGTERM end it when what is under
    way is done.

    Example: meta4 serve --engine http://localhost:9200
    """
    if (tls_cert is None) != (tls_key is None):
        raise InputError("--tls-cert and --tls-key belong together")
    try:
        import uvicorn

        from ..serve.app import app
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "serve", "the gateway") from error
    gateway = app(*cluster_at(url))
    logging.basicConfig(format="%(message)s", level=logging.WARNING if quiet else logging.INFO)
    scheme = "http" if tls_cert is None else "https"
    notes.print(f"{gateway.engine_url} is at {scheme}://{host}:{port}; ends with Ctrl-C")
    with suppress(KeyboardInterrupt):  # which uvicorn raises again after all has ended
        uvicorn.run(
            gateway,
            host=host,
            port=port,
            ssl_certfile=None if tls_cert is None else str(tls_cert),
            ssl_keyfile=None if tls_key is None else str(tls_key),
            access_log=False,
            date_header=False,
            server_header=False,
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=_ENDING,
            timeout_keep_alive=_KEPT,
            h11_max_incomplete_event_size=1 << 16,
        )
