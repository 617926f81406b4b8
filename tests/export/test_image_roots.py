"""The file of the image roots, which people edit: read alike in Python and in the graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfvs.errors import DataError
from tfvs.export.image_roots import image_roots_in_graph, parse_image_roots


@pytest.mark.parametrize(
    ("contents", "roots"),
    [
        (b"/data/images\n", ["/data/images"]),
        (b"/data/images", ["/data/images"]),
        (b"/data/a\r\n/data/b\r\n", ["/data/a", "/data/b"]),
        (b"\xef\xbb\xbf/data/a\n", ["/data/a"]),
        (b"/data/a  \t\n\n  /data/b\n   \n", ["/data/a", "/data/b"]),
        (b"/data/./a\n/data/././b/.\n/./c\n/d//e///f\n", ["/data/a", "/data/b/", "/c", "/d/e/f"]),
        (b"/data/a/\n/\n", ["/data/a/", "/"]),
        (b"file:///data/a\nfile:///b/./c\n", ["/data/a", "/b/c"]),
        (b"gs://bucket/a//b/./c\r\n/x\n", ["gs://bucket/a//b/./c", "/x"]),
        (b"/with blank/in it\n/.hidden/..dots\n", ["/with blank/in it", "/.hidden/..dots"]),
        ("/bücher/木\n".encode(), ["/bücher/木"]),
    ],
)
def test_python_and_the_graph_read_the_same(contents, roots):
    assert parse_image_roots(contents, "file") == roots
    found = image_roots_in_graph(tf.constant(contents)).numpy().tolist()
    assert [root.decode() for root in found] == roots


def test_random_files_are_read_alike():
    random = np.random.default_rng(0)
    pieces = [
        b"/",
        b".",
        b"/.",
        b"/./",
        b"//",
        b"a",
        b" ",
        b"\t",
        b"\r",
        b"\n",
        b"\n/",
        b"file://",
        b"gs://",
        b"\xff",
        b"..",
        b"\f",
    ]
    compared = 0
    for _ in range(1_000):
        contents = b"".join(pieces[i] for i in random.integers(0, len(pieces), 8))
        try:
            roots = parse_image_roots(b"/" + contents, "file")
        except DataError:
            continue
        found = image_roots_in_graph(tf.constant(b"/" + contents)).numpy().tolist()
        assert [root.decode("utf-8", "surrogateescape") for root in found] == roots, contents
        compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    "contents", [b"", b"\r\n \n", b"images\n", b"/data/../etc\n", b"/data\nimages\n", b"gs:/b\n", b"/a\0b"]
)
def test_what_cannot_be_a_root_is_an_error_that_names_the_file(contents):
    with pytest.raises(DataError, match="/models/1/assets/image_roots"):
        parse_image_roots(contents, "/models/1/assets/image_roots.txt")
