"""Files of every kind that people have, by every reader: the pixels they were made of, or a refusal with a reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import readers
from tests.corpus.case import SIDE, Case
from tests.corpus.encodings import encodings
from tests.corpus.meanings import meanings
from tests.corpus.photographs import photographs

pytestmark = pytest.mark.timeout(1200)  # half a minute where nothing else runs

CASES = [*photographs(), *encodings(), *meanings()]
READERS = ("prepare", "convert", "array", "graph of pyramid", "graph of file", "vips of file")
RIGHT, REFUSED = "right", "refused with a reason"


def judge(case: Case, answer: readers.Answer, stored: bool) -> str:
    """``"right"``, ``"refused with a reason"``, or what is wrong."""
    if isinstance(answer, str):
        return REFUSED if answer.strip() else "refused without a reason"
    wanted = case.stored if stored and case.stored is not None else case.pixels
    if wanted is None:
        return f"pixels of shape {answer.shape} where a refusal was due"
    if answer.shape != wanted.shape or answer.dtype != wanted.dtype:
        return f"{answer.shape} {answer.dtype} for {wanted.shape} {wanted.dtype}"
    difference = int(np.abs(answer.astype(int) - wanted.astype(int)).max())
    tolerance = case.tolerance * (257 if wanted.dtype == np.uint16 and case.tolerance > 2 else 1)
    return RIGHT if difference <= tolerance else f"differs by {difference}"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> dict[tuple[str, str], str]:
    """Name and reader → what came of it."""
    root = tmp_path_factory.mktemp("corpus")
    found: dict[tuple[str, str], str] = {}
    graph: dict[tuple[str, int], list[tuple[Case, str, object]]] = {}
    for case in CASES:
        path = root / case.name
        case.write(path)
        done, answer = readers.prepared(case, path, root / "kept" / f"{case.name}.tif")
        found[case.name, "prepare"] = judge(case, answer, False)
        if isinstance(answer, str):
            found[case.name, "reason"] = answer
        if done is not None:
            if case.note:
                found[case.name, "note"] = RIGHT if case.note in done.notes else f"notes {done.notes}"
            entry = (case, f"kept/{case.name}.tif", done.index)
            graph.setdefault(("graph of pyramid", done.index.bands), []).append(entry)
        _, answer = readers.prepared(case, path, root / "converted" / f"{case.name}.tif", keep_pyramids=False)
        found[case.name, "convert"] = judge(case, answer, False)
        if not case.options:
            found[case.name, "array"] = judge(case, readers.as_array(path), False)
        if path.suffix == ".tif" and not case.options:
            index = readers.indexed(path)
            if isinstance(index, str):
                found[case.name, "graph of file"] = found[case.name, "vips of file"] = judge(case, index, True)
            else:
                graph.setdefault(("graph of file", index.bands), []).append((case, case.name, index))
                found[case.name, "vips of file"] = judge(case, readers.by_vips(path), True)
    for (reader, _), entries in graph.items():
        square = [entry for entry in entries if (entry[2].height, entry[2].width) == (SIDE, SIDE)]
        answers = readers.in_graph([(uri, index) for _, uri, index in square], root)
        for (case, _, _), answer in zip(square, answers, strict=True):
            found[case.name, reader] = judge(case, answer, reader == "graph of file")
    return found


def test_the_corpus_is_large_and_its_names_differ():
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)


def test_no_reader_gives_other_pixels(verdicts, capsys):
    with capsys.disabled():
        print(f"\n{len(CASES)} files        right   refused   wrong")
        for reader in READERS:
            counts = Counter(verdict for (_, by), verdict in verdicts.items() if by == reader)
            wrong = sum(counts.values()) - counts[RIGHT] - counts[REFUSED]
            print(f"{reader:18} {counts[RIGHT]:6} {counts[REFUSED]:9} {wrong:7}")
    wrong = {key: verdict for key, verdict in verdicts.items() if key[1] in READERS and verdict not in (RIGHT, REFUSED)}
    assert not wrong


def test_sound_files_are_read_and_others_refused(verdicts):
    refused = {
        case.name: verdicts.get((case.name, "reason"))
        for case in CASES
        if case.pixels is not None and case.must_be_read and verdicts[case.name, "prepare"] != RIGHT
    }
    assert not refused
    assert all(verdicts[case.name, "prepare"] == REFUSED for case in CASES if case.pixels is None)


def test_what_is_left_out_is_said(verdicts):
    silent = {key: verdict for key, verdict in verdicts.items() if key[1] == "note" and verdict != RIGHT}
    assert not silent


def test_the_graph_and_libvips_agree_on_every_file(verdicts):
    by_file = {}
    for (name, reader), verdict in verdicts.items():
        if reader in ("graph of file", "vips of file"):
            by_file.setdefault(name, set()).add(verdict)
    assert not {name: said for name, said in by_file.items() if len(said) > 1}


def test_folders_are_left_clean(tmp_path: Path):
    case = next(case for case in CASES if case.name == "cut.tif")
    case.write(tmp_path / "a.tif")
    readers.prepared(case, tmp_path / "a.tif", tmp_path / "out" / "p.tif")
    assert not list((tmp_path / "out").iterdir())
