"""Arguments that name a folder: on this machine, or in object storage by a URI."""

from __future__ import annotations

import os
from typing import Any

import click

from tfvs.errors import ConfigError
from tfvs.paths import require_local, require_whole, scheme
from tfvs.storage.objects import EXTRAS, split


class Place(click.ParamType):
    """A folder that is there, by its path, or by a URI that is asked later."""

    name = "directory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path or URI as it was given."""
        text = os.fspath(value)
        require_whole(text)
        if scheme(text) in EXTRAS:
            split(text)
            return text
        if scheme(text) is not None:
            raise ConfigError(
                f"Nothing is read by {scheme(text)}:// here",
                expected=f"a folder on this machine, or {', '.join(f'{kind}://' for kind in EXTRAS)}",
                received=text,
            )
        return str(click.Path(exists=True, file_okay=False).convert(text, param, ctx))


class LocalPath(click.ParamType):
    """A path on this machine, where a URI would be taken for a folder of that name."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as it was given."""
        return require_local(os.fspath(value), "This is written on this machine alone", "Copy it there later")
