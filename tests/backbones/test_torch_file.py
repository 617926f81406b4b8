"""PyTorch's old format of weights: read exactly, refused when anything is odd, never executed."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backbones.torch_files import MAGIC, SYSTEM, VERSION, Storage, Tensor, contiguous, torch_file
from tfvs.backbones import read_torch_weights
from tfvs.errors import DataError

RNG = np.random.default_rng(3)


def small_file() -> tuple[bytes, dict[str, np.ndarray]]:
    """Three tensors: one contiguous, one transposed within a shared storage, one of whole numbers."""
    kernel = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    shared = Storage("7", np.arange(30, dtype=np.float32))
    count = Storage("9", np.array([1234], np.int64))
    first, tensor = contiguous("5", kernel)
    tensors = {"kernel": tensor, "turned": Tensor(shared, 6, (4, 6), (1, 4)), "count": Tensor(count, 0, (), ())}
    expected = {"kernel": kernel, "turned": np.arange(6, 30, dtype=np.float32).reshape(6, 4).T, "count": np.array(1234)}
    return torch_file(tensors, [shared, first, count]), expected


GOOD, EXPECTED = small_file()


def read(tmp_path: Path, content: bytes) -> dict[str, np.ndarray]:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_torch_weights(path)


def test_tensors_are_read_by_their_strides(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert list(found) == list(EXPECTED)
    for name, array in EXPECTED.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == (np.int64 if name == "count" else np.float32)


class Attack:
    """Pickled, it asks the reader to make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_program_in_the_file_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    attack = Attack(mark)
    header = [pickle.dumps(value, protocol=2) for value in (MAGIC, VERSION, SYSTEM)]
    for position in range(4):  # in each header, and among the tensors
        parts = [*header[:position], pickle.dumps(attack, protocol=2), *header[position:]]
        with pytest.raises(DataError, match="refused"):
            read(tmp_path, b"".join(parts))
    storage, tensor = contiguous("5", np.zeros(3, np.float32))
    with pytest.raises(DataError, match="has no place in a file of weights"):
        read(tmp_path, torch_file({"kernel": tensor, "worse": attack}, [storage]))
    with pytest.raises(DataError, match="FRAME"):
        read(tmp_path, b"".join([*header, pickle.dumps(attack, protocol=5)]))
    assert not mark.exists()


NUMBERS = Storage("5", np.arange(12, dtype=np.float32))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor(NUMBERS, 1, (3, 4), (4, 1)), "beyond its storage"),
        (Tensor(NUMBERS, 0, (3, 4), (4, 2)), "beyond its storage"),
        (Tensor(NUMBERS, 0, (13,), (0,)), "beyond its storage"),
        (Tensor(NUMBERS, 0, (2**40, 2**40), (0, 0)), "beyond its storage"),
        (Tensor(NUMBERS, -1, (2,), (1,)), "cannot be"),
        (Tensor(NUMBERS, 5, (2,), (-1,)), "cannot be"),
        (Tensor(NUMBERS, 0, (0, 4), (4, 1)), "cannot be"),
        (Tensor(NUMBERS, 0, (2.0,), (1,)), "BINFLOAT"),
        (Tensor(NUMBERS, 0, [2], [1]), "cannot be"),
        (Tensor(NUMBERS, True, (2,), (1,)), "cannot be"),
        (Tensor(NUMBERS, 0, (1,) * 9, (1,) * 9), "cannot be"),
        (Tensor(NUMBERS, 0, (3, 4), (1,)), "as many strides"),
        ("text", "no tensor"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(tmp_path: Path, tensor: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, torch_file({"kernel": tensor}, [NUMBERS]))


def test_storages_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tensor, other = Tensor(NUMBERS, 0, (12,), (1,)), Storage("5", np.arange(11, dtype=np.float32))
    for content, message in (
        (torch_file({"kernel": tensor}, [NUMBERS]) + b"\0", "follows"),
        (torch_file({"kernel": tensor}, [NUMBERS])[:-1], "ends before"),
        (torch_file({"kernel": tensor}, [other]), "length"),
        (torch_file({"kernel": tensor}, [NUMBERS, Storage("6", NUMBERS.numbers)]), "not those"),
        (torch_file({"kernel": tensor}, [NUMBERS], keys=["6"]), "not those"),
        (torch_file({"kernel": tensor, "more": Tensor(other, 0, (1,), (1,))}, [NUMBERS]), "two ways"),
        (torch_file({"kernel": tensor}, [Storage("5", np.full(12, np.nan, np.float32))]), "finite"),
        (torch_file({"kernel": tensor}, [NUMBERS], system={**SYSTEM, "little_endian": False}), "little-endian"),
        (torch_file({}, []), "no dictionary"),
        (b"PK\x03\x04", "1.6"),
        (b"", "well formed"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path, content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        read_torch_weights(tmp_path / "none.pth")


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02Kr\xff\xff\xff\x7f.",  # a memo index of two thousand million
        b"\x80\x02K\x00r\xff\xff\xff\x7f.",
        b"\x80\x02X\xff\xff\xff\x7f.",  # a text of two gigabytes
        b"\x80\x02\x8b\xff\xff\xff\x7f.",
        b"\x80\x02" + b"(" * 20_000 + b".",
        b"\x80\x02)" + b"\x85" * 20_000 + b".",  # tuples in tuples
        b"\x80\x02]q\x00h\x00h\x00" + b"\x86q\x00h\x00h\x00" * 64 + b"\x86.",  # 2^64 leaves
    ],
)
def test_a_small_file_cannot_ask_for_much(tmp_path: Path, program: bytes) -> None:
    header = b"".join(pickle.dumps(value, protocol=2) for value in (MAGIC, VERSION, SYSTEM))
    for content in (program, header + program, header + pickle.dumps({}, protocol=2) + program):
        with pytest.raises(DataError, match="refused"):
            read(tmp_path, content)


def test_every_shorter_file_is_refused(tmp_path: Path) -> None:
    for length in range(len(GOOD)):
        with pytest.raises(DataError, match="refused"):
            read(tmp_path, GOOD[:length])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


CHANGES = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4)


@settings(max_examples=600, deadline=None)
@given(changes=CHANGES)
def test_a_changed_file_gives_arrays_or_a_refusal(folder: Path, changes: list[tuple[int, int]]) -> None:
    content = bytearray(GOOD)
    for position, value in changes:
        content[position] = value
    try:
        found = read(folder, bytes(content))
    except DataError:
        return
    assert all(isinstance(name, str) and np.isfinite(array).all() for name, array in found.items())
    assert sum(array.size for array in found.values()) <= 24 + 30 + 30 + 1


@settings(max_examples=300, deadline=None)
@given(program=st.binary(max_size=60))
def test_any_bytes_give_a_refusal(folder: Path, program: bytes) -> None:
    header = b"".join(pickle.dumps(value, protocol=2) for value in (MAGIC, VERSION, SYSTEM))
    with pytest.raises(DataError):
        read(folder, header + b"\x80\x02" + program)
