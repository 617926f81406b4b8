"""Optional packages that some commands need."""

from __future__ import annotations

from tfvs.errors import ResourceError


def need_serving() -> None:
    """Raises ResourceError where the extra ``tfvs[serving]`` is not installed."""
    try:
        import tensorflow_serving.apis  # noqa: F401
    except ImportError as error:
        raise ResourceError("Serving is not installed", mend="pip install 'tfvs[serving]'") from error
