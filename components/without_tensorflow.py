"""Preparation needs no TensorFlow: its workers and launchers import ``tfvs`` without it, which saves seconds each."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from typing import Any

_PUBLIC = ("__all__", "__version__")  # what Python's own machinery asks of modules is none of these


class _Package(types.ModuleType):
    """A package whose ``__init__`` runs when something is first asked of it that is no module below it."""

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        if (name.startswith("__") and name not in _PUBLIC) or spec is None or spec.loader is None:
            raise AttributeError(name)
        self.__class__ = types.ModuleType  # type: ignore[assignment]
        spec.loader.exec_module(self)
        return getattr(self, name)


def defer() -> None:
    """Lets modules below ``tfvs`` be imported without ``tfvs/__init__.py``, which imports TensorFlow and all models.

    ``tfvs.VariationalSaccader`` and other names run it still. Does nothing where ``tfvs`` or TensorFlow is imported.
    """
    if "tfvs" in sys.modules or "tensorflow" in sys.modules:
        return
    spec = importlib.util.find_spec("tfvs")
    if spec is None:
        return
    package = _Package("tfvs")
    package.__spec__, package.__file__ = spec, spec.origin
    package.__path__ = list(spec.submodule_search_locations or [])
    sys.modules["tfvs"] = package
    importlib.import_module("tfvs._environment").prepare()


def load() -> None:
    """Runs ``tfvs/__init__.py`` where it was put off: Keras then knows the classes that saved models name."""
    _ = importlib.import_module("tfvs").__version__
