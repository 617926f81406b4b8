"""Random wrong versions of a serialized tf.Example, by the wire format's own rules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfvs.data.example import LABEL, PYRAMID_URI, WIDTH

Random = np.random.Generator
Field = tuple[int, int, bytes]  # number, wire type, what follows the tag

VARINT, FIXED64, BYTES, GROUP, END, FIXED32 = range(6)


def varint(value: int, padding: int = 0) -> bytes:
    """Minimal, or with so many useless bytes."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value | (0x80 if padding else 0))
    return bytes(encoded) + b"\x80" * max(padding - 1, 0) + (b"\x00" if padding else b"")


def tag(number: int, kind: int, padding: int = 0) -> bytes:
    return varint(number << 3 | kind, padding)


def delimited(number: int, payload: bytes, padding: int = 0) -> bytes:
    return tag(number, BYTES, padding) + varint(len(payload), padding) + payload


def bytes_list(*values: bytes) -> bytes:
    return delimited(1, b"".join(delimited(1, value) for value in values))


def int_list(random: Random, *values: int) -> bytes:
    """Packed, unpacked, or both in one list."""
    cut = int(random.integers(0, len(values) + 1))
    packed = delimited(1, b"".join(varint(value) for value in values[:cut]))
    return delimited(3, packed + b"".join(tag(1, VARINT) + varint(value) for value in values[cut:]))


def float_list(random: Random) -> bytes:
    values = random.standard_normal(3).astype("<f4").tobytes()
    unpacked = b"".join(tag(1, FIXED32) + values[at : at + 4] for at in range(0, 12, 4))
    return delimited(2, delimited(1, values) if random.integers(2) else unpacked)


def junk(random: Random) -> bytes:
    """An unknown field of any wire type."""
    number = int(random.integers(4, 40))
    forms: list[bytes] = [
        tag(number, VARINT) + varint(int(random.integers(0, 2**40)), int(random.integers(0, 9))),
        tag(number, FIXED64) + random.bytes(8),
        delimited(number, random.bytes(int(random.integers(0, 5)))),
        tag(number, GROUP) + tag(1, VARINT) + b"\x01" + tag(number, END),
        tag(number, FIXED32) + random.bytes(4),
    ]
    return forms[int(random.integers(len(forms)))]


def feature(random: Random, path: bytes, others: list[bytes]) -> bytes:
    """The path's feature: one member of the oneof, or several, merged, foreign, empty."""
    other = others[int(random.integers(len(others)))]
    forms: list[Callable[[], bytes]] = [
        lambda: bytes_list(path),
        lambda: bytes_list(path, other),
        lambda: bytes_list(other) + bytes_list(path),
        lambda: bytes_list(other) + int_list(random, 1, 2),
        lambda: int_list(random, 5) + bytes_list(path),
        lambda: float_list(random) + bytes_list(other) + float_list(random),
        lambda: bytes_list(other) + delimited(2, b"") + bytes_list(path),
        lambda: bytes_list() + bytes_list(path),
        lambda: b"",
        lambda: junk(random) + bytes_list(path) + junk(random),
        lambda: delimited(1, junk(random) + delimited(1, path) + junk(random)),
        lambda: tag(1, GROUP) + delimited(1, path) + tag(1, END),
        lambda: delimited(1, delimited(1, path, int(random.integers(1, 9))), int(random.integers(1, 9))),
    ]
    return forms[int(random.integers(len(forms)))]()


def entry(random: Random, key: bytes, value: bytes, other: bytes) -> bytes:
    """A map entry: with key or value twice, in the other order, without one of them, or with junk."""
    keyed, valued = delimited(1, key), delimited(2, value)
    forms = [
        keyed + valued,
        valued + keyed,
        delimited(1, b"else") + keyed + valued,
        keyed + delimited(1, b"else") + valued,
        keyed + delimited(2, other) + valued,
        keyed + valued + delimited(2, other),
        keyed,
        valued,
        keyed + junk(random) + valued,
        delimited(1, key, int(random.integers(1, 9))) + valued,
        delimited(1, key + b"\xff") + valued,
        delimited(1, key + b"\x00") + valued,
    ]
    return forms[0 if random.integers(2) else int(random.integers(len(forms)))]


def mutated(random: Random, path: bytes, others: list[bytes]) -> bytes:
    """An Example with the path, damaged or ambiguous in one or more ways.

    Args:
      random: Where the choice comes from.
      path: Value of ``pyramid/uri``.
      others: Other paths that may come in beside it.
    """
    key, other = PYRAMID_URI.encode(), bytes_list(others[int(random.integers(len(others)))])
    entries = [delimited(1, entry(random, key, feature(random, path, others), other))]
    for _ in range(int(random.integers(0, 3))):
        entries.append(delimited(1, entry(random, key, feature(random, path, others), other)))
    entries.append(delimited(1, delimited(1, LABEL.encode()) + delimited(2, int_list(random, 1, 300))))
    entries.append(delimited(1, delimited(1, WIDTH.encode()) + delimited(2, float_list(random))))
    entries.append(junk(random))
    random.shuffle(entries)
    cut = int(random.integers(0, len(entries) + 1)) if random.integers(4) == 0 else len(entries)
    example = delimited(1, b"".join(entries[:cut]), int(random.integers(0, 2)))
    if cut < len(entries):  # the features come in two parts
        example += junk(random) + delimited(1, b"".join(entries[cut:]))
    return damaged(random, example) if random.integers(3) == 0 else example


def damaged(random: Random, encoded: bytes) -> bytes:
    """Cut short, with a byte changed, removed or added."""
    at = int(random.integers(0, len(encoded)))
    forms = [
        encoded[:at],
        encoded[:at] + bytes([int(random.integers(256))]) + encoded[at + 1 :],
        encoded[:at] + encoded[at + 1 :],
        encoded[:at] + random.bytes(1) + encoded[at:],
        encoded[:at] + bytes([encoded[at] ^ 1 << int(random.integers(8))]) + encoded[at + 1 :],
        encoded + encoded,
    ]
    return forms[int(random.integers(len(forms)))]
