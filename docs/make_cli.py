"""Write docs/cli.md from the commands' own help; `--check` fails where it is out of step."""

import sys
from pathlib import Path

import click

from meta4.adapter.cli.main import cli

_TARGET = Path(__file__).parent / "cli.md"


def main() -> None:
    """Write or compare."""
    text = "# The command line\n\nMade by `make docs` from the commands' own help.\n"
    for path, command in _commands((), cli):
        context = click.Context(command, info_name=" ".join(("meta4", *path)))
        context.terminal_width = context.max_content_width = 90
        text += (
            f"\n## meta4 {' '.join(path)}".rstrip() + f"\n\n```\n{command.get_help(context)}\n```\n"
        )
    if "--check" not in sys.argv:
        _TARGET.write_text(text, encoding="utf-8")
    elif not _TARGET.exists() or _TARGET.read_text(encoding="utf-8") != text:
        sys.exit(f"{_TARGET.name} is out of step with the command line; run: make docs")


def _commands(
    path: tuple[str, ...], command: click.Command
) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            found += _commands((*path, name), command.commands[name])
    return found


if __name__ == "__main__":
    main()
