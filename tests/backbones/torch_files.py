"""Writes files as ``torch.save`` did before PyTorch 1.6, with Python's own pickler."""

import io
import pickle
import struct
import sys
import types
from collections import OrderedDict
from typing import Any
from unittest import mock

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def _named(module: types.ModuleType, name: str) -> Any:
    made = type(name, (), {"__module__": module.__name__, "__qualname__": name})
    setattr(module, name, made)
    return made


TORCH, UTILS = types.ModuleType("torch"), types.ModuleType("torch._utils")
KINDS = {"float32": _named(TORCH, "FloatStorage"), "int64": _named(TORCH, "LongStorage")}


def _rebuild_tensor_v2(*_arguments: Any) -> None: ...


_rebuild_tensor_v2.__module__ = "torch._utils"
UTILS._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]


class Storage:
    """Numbers, and the key of their storage."""

    def __init__(self, key: str, numbers: np.ndarray) -> None:
        self.key, self.numbers = key, numbers


class Tensor:
    """A view of a storage; ``changes`` replace what is written of it."""

    def __init__(self, storage: Storage, offset: Any, shape: Any, strides: Any) -> None:
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> Any:
        return _rebuild_tensor_v2, self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        return "storage", KINDS[str(value.numbers.dtype)], value.key, "cpu", len(value.numbers), None


def torch_file(tensors: dict[str, Any], storages: list[Storage], *, system: Any = SYSTEM, keys: Any = None) -> bytes:
    """The bytes of a file with these tensors."""
    out = io.BytesIO()
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": UTILS}):
        for value in (MAGIC, VERSION, system, OrderedDict(tensors)):
            _Pickler(out, protocol=2).dump(value)
        pickle.dump([s.key for s in storages] if keys is None else keys, out, protocol=2)
    for storage in storages:
        out.write(struct.pack("<q", len(storage.numbers)) + storage.numbers.tobytes())
    return out.getvalue()


def contiguous(key: str, array: np.ndarray) -> tuple[Storage, Tensor]:
    """An array as a storage of its own."""
    strides = tuple(step // array.itemsize for step in np.empty_like(array, order="C").strides)
    storage = Storage(key, np.ascontiguousarray(array).reshape(-1))
    return storage, Tensor(storage, 0, array.shape, strides)
