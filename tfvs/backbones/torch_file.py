"""Reading a file of weights that ``torch.save`` wrote before PyTorch 1.6, without PyTorch and without running it.

Such a file is a sequence of pickles: three headers, one with the description of every tensor, one with the keys of the
storages; the raw storages follow. A pickle is a program. Here the program is never given to Python's unpickler: a
stack machine that knows two dozen instructions and four names computes descriptions of tensors, and refuses the rest.
"""

from __future__ import annotations

import io
import math
import os
import pickletools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfvs.errors import DataError

MAX_FILE_BYTES = 2**30
MAX_RANK = 8
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
DTYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_MAKE_DICT, _MAKE_TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_STORAGES = {f"torch {name}": name for name in DTYPES}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE")


@dataclass(frozen=True)
class _Name:
    """One of the four names that a file may use."""

    name: str


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """Where a tuple, or the items of a dict or list, begin on the stack."""


class _Refused(Exception):
    """What is wrong with the file."""


def read_torch_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads the tensors of a PyTorch state dict (``.pth``) written before PyTorch 1.6.

    Tensors of such files need not be contiguous: their strides are followed. Nothing in the file is executed.

    Args:
      path: Path of the file.

    Returns:
      Name → array, float32 or int64, in the file's order.

    Raises:
      DataError: The file is not there, is of another format, is damaged, or holds anything but finite tensors.
    """
    source = os.fspath(path)
    try:
        if os.path.getsize(source) > MAX_FILE_BYTES:
            raise _Refused(f"it is larger than {MAX_FILE_BYTES} bytes")
        with open(source, "rb") as file:
            return _read(file.read())
    except OSError as error:
        raise DataError(
            f"The weights cannot be opened: {error}", expected="a file of weights", received=source
        ) from error
    except _Refused as error:
        raise DataError(
            f"The file of weights is refused: {error}",
            expected="the tensors of a state dict, as torch.save wrote them before PyTorch 1.6",
            received=source,
        ) from error


def _read(data: bytes) -> dict[str, np.ndarray]:
    if data[:4] == b"PK\x03\x04":
        raise _Refused("it is a zip archive, the format of PyTorch 1.6 and later")
    file = io.BytesIO(data)
    if _evaluate(file) != MAGIC:
        raise _Refused("it does not begin with PyTorch's magic number")
    if _evaluate(file) != PROTOCOL_VERSION:
        raise _Refused("its protocol version is not 1001")
    system = _evaluate(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _Refused("it was not written on a little-endian machine")
    tensors, keys = _evaluate(file), _evaluate(file)
    if not isinstance(tensors, dict) or not tensors:
        raise _Refused("it has no dictionary of tensors")
    if not all(isinstance(tensor, _Tensor) for tensor in tensors.values()):
        raise _Refused("its dictionary holds something that is no tensor")
    storages = _read_storages(file, keys, {tensor.storage for tensor in tensors.values()})
    return {name: _view(name, tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storages(file: io.BytesIO, keys: Any, declared: set[_Storage]) -> dict[str, np.ndarray]:
    """Key → all numbers of a storage, one dimension."""
    by_key = {storage.key: storage for storage in declared}
    if len(by_key) != len(declared):
        raise _Refused("a storage is described in two ways")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _Refused("it has no list of storages")
    if len(keys) != len(by_key) or set(keys) != set(by_key):
        raise _Refused("its storages are not those that its tensors name")
    found = {}
    for key in keys:
        storage = by_key[key]
        header = file.read(8)
        if len(header) != 8 or struct.unpack("<q", header)[0] != storage.count:
            raise _Refused(f"storage {key[:32]!r} has not the length that its tensors say")
        dtype = DTYPES[storage.kind]
        size = storage.count * dtype.itemsize
        if size > len(file.getbuffer()) - file.tell():
            raise _Refused("it ends before its last storage does")
        found[key] = np.frombuffer(file.read(size), dtype)
    if file.read(1):
        raise _Refused("something follows the last storage")
    return found


def _view(name: str, tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """The tensor's own numbers, in row-major order."""
    steps = [stride * numbers.itemsize if n > 1 else 0 for n, stride in zip(tensor.shape, tensor.strides, strict=True)]
    array = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, steps, writeable=False).copy()
    if not np.isfinite(array).all():
        raise _Refused(f"tensor {name[:64]!r} has numbers that are not finite")
    return array


def _evaluate(file: io.BytesIO) -> Any:
    """What the next pickle describes; the file stands after it then."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for operation, argument in _operations(file):
        if operation == "STOP":
            if len(stack) != 1:
                break
            return stack[0]
        try:
            _step(stack, memo, operation, argument)
        except (IndexError, KeyError) as error:  # The stack or the memo lacks what the instruction takes.
            raise _Refused("its pickle is not well formed") from error
    raise _Refused("its pickle is not well formed")


def _operations(file: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """Name and argument of each instruction of the next pickle."""
    try:
        for operation, argument, _ in pickletools.genops(file):
            yield operation.name, argument
    except (ValueError, EOFError, struct.error, AttributeError, OverflowError) as error:
        raise _Refused("its pickle is not well formed") from error


def _step(stack: list[Any], memo: dict[int, Any], operation: str, argument: Any) -> None:
    """One instruction of the stack machine."""
    if operation in _VALUES:
        stack.append(argument)
    elif operation in _CONSTANTS:
        stack.append(_CONSTANTS[operation])
    elif operation in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif operation in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif operation == "MARK":
        stack.append(_Mark())
    elif operation in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
        stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[operation]())
    elif operation in ("TUPLE1", "TUPLE2", "TUPLE3"):
        items = [stack.pop() for _ in range(int(operation[-1]))]
        stack.append(tuple(reversed(items)))
    elif operation == "TUPLE":
        stack.append(tuple(_pop_to_mark(stack)))
    elif operation in ("APPEND", "APPENDS"):
        items = _pop_to_mark(stack) if operation == "APPENDS" else [stack.pop()]
        _top(stack, list).extend(items)
    elif operation in ("SETITEM", "SETITEMS"):
        items = _pop_to_mark(stack) if operation == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
        _set_items(_top(stack, dict), items)
    elif operation == "GLOBAL":
        if argument not in (_MAKE_DICT, _MAKE_TENSOR, *_STORAGES):
            raise _Refused(f"{argument[:80]!r} has no place in a file of weights")
        stack.append(_Name(argument))
    elif operation == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif operation == "REDUCE":
        arguments, function = stack.pop(), stack.pop()
        stack.append(_call(function, arguments))
    elif operation == "BUILD":  # The state dict's own metadata, versions of PyTorch's layers.
        stack.pop()
        _top(stack, dict)
    elif operation != "PROTO":
        raise _Refused(f"its pickle uses {operation}, which files of weights do not need")


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    for position in range(len(stack) - 1, -1, -1):
        if isinstance(stack[position], _Mark):
            items = stack[position + 1 :]
            del stack[position:]
            return items
    raise _Refused("its pickle is not well formed")


def _top(stack: list[Any], kind: type) -> Any:
    if type(stack[-1]) is not kind:
        raise _Refused("its pickle is not well formed")
    return stack[-1]


def _set_items(target: dict[str, Any], items: list[Any]) -> None:
    if len(items) % 2 or not all(type(key) is str for key in items[::2]):
        raise _Refused("a dictionary has a key that is no text")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if key in target:
            raise _Refused(f"{key[:64]!r} occurs twice")
        target[key] = value


def _call(function: Any, arguments: Any) -> Any:
    """Only a new dictionary and the description of a tensor can be asked for."""
    if not isinstance(function, _Name) or type(arguments) is not tuple:
        raise _Refused("it calls something that is no name")
    if function.name == _MAKE_DICT:
        if arguments not in ((), ([],)):
            raise _Refused("it fills a dictionary in an unknown way")
        return {}
    if function.name == _MAKE_TENSOR:
        return _tensor(arguments)
    raise _Refused("it calls a kind of storage")


def _storage(identity: Any) -> _Storage:
    if type(identity) is not tuple or len(identity) != 6:
        raise _Refused("a storage is not described as expected")
    tag, kind, key, place, count, view = identity
    fine = type(tag) is str and tag == "storage" and isinstance(kind, _Name) and kind.name in _STORAGES
    fine = fine and type(key) is str and type(place) is str and type(count) is int and count >= 0 and view is None
    if not fine:
        raise _Refused("a storage is not described as expected")
    return _Storage(_STORAGES[kind.name], key, count)


def _tensor(arguments: tuple[Any, ...]) -> _Tensor:
    """The description of a tensor that lies within its storage and repeats none of its numbers."""
    if len(arguments) not in (6, 7) or not isinstance(arguments[0], _Storage):
        raise _Refused("a tensor is not described as expected")
    storage, offset, shape, strides = arguments[:4]
    for least, sizes in ((0, (offset,)), (1, shape), (0, strides)):
        if type(sizes) is not tuple or len(sizes) > MAX_RANK or any(type(n) is not int or n < least for n in sizes):
            raise _Refused("a tensor has sizes or strides that cannot be")
    if len(shape) != len(strides):
        raise _Refused("a tensor has not as many strides as dimensions")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if math.prod(shape) > storage.count or last >= storage.count:
        raise _Refused("a tensor reaches beyond its storage")
    return _Tensor(storage, offset, shape, strides)
