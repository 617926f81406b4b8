"""Pyramids of every kind, written once for all tests of this folder."""

import pytest

from tests.images.pyramids import COLOUR, write


@pytest.fixture(scope="package")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("pyramids")


@pytest.fixture(scope="package")
def colour(root):
    return {name: write(root, name, size, **options) for name, (size, options) in COLOUR.items()}
