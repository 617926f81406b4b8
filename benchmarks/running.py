"""What benchmarks share that train: fields given on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def parse_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Fields of a configuration from ``--override FIELD=JSON``.

    Raises:
      ValueError: A value that is no JSON.
    """
    return {name: json.loads(value) for name, _, value in (text.partition("=") for text in texts)}
