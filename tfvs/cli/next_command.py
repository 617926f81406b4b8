"""The last line of every command: which command comes next."""

from __future__ import annotations

import shlex

import click


def say_next(*words: object, why: str) -> None:
    """Prints the command that comes next, on standard error, where it is in no program's way.

    Args:
      *words: The command's words; they are quoted where a shell needs it.
      why: What it does, for the reader.
    """
    click.echo(f"Next: {shlex.join(str(word) for word in words)}    # {why}", err=True)
