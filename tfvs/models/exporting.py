"""What ``model.export`` calls: models know no exports, so :mod:`tfvs.export` says how they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tfvs.errors import ConfigError

Exporter = Callable[..., str]
FORMAT = "tf_saved_model"

_exporter: Exporter | None = None


def use_exporter(exporter: Exporter) -> None:
    """Sets what writes models; importing :mod:`tfvs` does."""
    global _exporter
    _exporter = exporter


def export(model: Any, filepath: str | os.PathLike[str], format: str, options: dict[str, Any]) -> str:
    """Writes a model.

    Args:
      model: The model.
      filepath: Folder of the SavedModel.
      format: ``"tf_saved_model"``.
      options: Passed on.

    Raises:
      ConfigError: Another format.
    """
    if format != FORMAT or _exporter is None:
        raise ConfigError(
            "A saccader is exported as a SavedModel", expected=f"format={FORMAT!r}", received=repr(format)
        )
    return _exporter(model, filepath, **options)
