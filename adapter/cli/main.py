"""`meta4`: all commands, and the one place where an error becomes a line and an exit code."""

import io
import signal
import sys
from collections.abc import Sequence

import click

from ..._version import __version__
from ...errors import Meta4Error
from .demo import demo_command
from .duplicates import duplicates_command
from .index.copy import copy_command
from .index.doctor import doctor_command
from .index.group import index_group
from .index.move import alias_command, rehash_command, rollback_command
from .ingest import ingest_command
from .model.embed import embed_group
from .model.embed_words import words_command
from .model.group import model_group
from .model.train import train_command
from .named import query_group
from .node import node_group
from .queries import analogy_command, eval_command, explain_command, similar_command
from .serve import look_command, serve_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="meta4")
def cli() -> None:
    """Learned hashing instead of graph indexes, for vectors in OpenSearch and Elasticsearch.

    Exit codes: 0 done, 1 the server failed or refused, 2 what was given cannot be used.
    """


for command in (
    node_group,
    embed_group,
    train_command,
    model_group,
    index_group,
    ingest_command,
    copy_command,
    similar_command,
    analogy_command,
    duplicates_command,
    explain_command,
    query_group,
    eval_command,
    serve_command,
    look_command,
    demo_command,
):
    cli.add_command(command)


for command in (alias_command, rehash_command, rollback_command, doctor_command):
    index_group.add_command(command)

embed_group.add_command(words_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never shows a traceback for an error that we know."""
    # Being ended by another process is like Ctrl-C: a node that was started here is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        given = None if arguments is None else list(arguments)
        # Without its standalone mode click returns the code of an Exit.
        code = cli.main(args=given, standalone_mode=False)
    except Meta4Error as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        _fail(f"{error.filename or 'operating system'}: {error.strerror}", 2)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"meta4: {message}", err=True)
    sys.exit(code)
