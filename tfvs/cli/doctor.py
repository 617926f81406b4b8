"""The command ``tfvs doctor``."""

from __future__ import annotations

import json
import sys

import click

from tfvs.cli.next_command import say_next

MARKS = {"ok": "ok     ", "missing": "missing", "bad": "BAD    "}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def doctor(as_json: bool) -> None:
    """Check versions, devices, memory, disk, formats and optional packages, and say how to mend what is missing."""
    from tfvs.doctor import examine
    from tfvs.errors import ResourceError

    checks = list(examine())
    if as_json:
        click.echo(json.dumps([check.to_dict() for check in checks]))
    else:
        for check in checks:
            click.echo(f"{MARKS[check.state]}  {check.name:24s}{check.found}{'  → ' if check.mend else ''}{check.mend}")
        say_next("tfvs", "prepare", "PHOTOS", "PREPARED", why="makes a data set of a folder of images")
    if any(check.state == "bad" for check in checks):
        sys.exit(ResourceError.exit_code)
