"""The command line as a user types it: a process, its output, its exit code."""

import contextlib
import io
import os
import signal
import subprocess
import sys

import click
import pytest

from meta4.adapter.cli.main import cli, main


def command(*arguments):
    """What starts a process with these."""
    code = "from meta4.adapter.cli import main; main()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def meta4(*arguments, url=None, stdin=None, env=None):
    environment = {**os.environ, **(env or {})}
    if url is not None:
        environment["META4_URL"] = url
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        input=stdin,
        env=environment,
        check=False,
    )


def meta4_here(*arguments, url=None, stdin=None):
    """The same in this process: what a command does a second time, without a second's start."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((stdin or "").encode())))
        patch.setenv("META4_URL", url or "")
        main([str(argument) for argument in arguments])
    signal.signal(signal.SIGTERM, handler)
    return subprocess.CompletedProcess([], ended.value.code, out.getvalue(), err.getvalue())


def commands(group=cli, path=()):
    """(path, command) of all that there are, groups too."""
    yield path, group
    if isinstance(group, click.Group):
        for name, inner in group.commands.items():
            yield from commands(inner, (*path, name))


def hear_interrupts():
    """What a shell starts in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
