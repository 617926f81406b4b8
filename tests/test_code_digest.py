"""The digest sees every change that can change a result, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tfvs.code_digest import ROOT, code_digest, sources

TRAINER = ("pipelines.modules.trainer",)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in ("tfvs", "components", "pipelines"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def append(root: Path, file: str, text: str) -> None:
    path = root / file
    path.write_text(path.read_text() + text)


def digest(root: Path, *modules: str) -> str:
    code_digest.cache_clear()
    return code_digest(*modules, root=root)


def test_a_copy_elsewhere_has_the_same_digest(copy: Path) -> None:
    assert digest(copy, *TRAINER) == digest(ROOT, *TRAINER)


@pytest.mark.parametrize(
    "file",
    [
        "pipelines/modules/trainer.py",
        "pipelines/config.py",
        "tfvs/config.py",
        "tfvs/errors.py",
        "tfvs/layers/vrnn_cell.py",
        "tfvs/layers/__init__.py",  # the models import the layers from it
        "tfvs/images/crops/reader.py",
        "tfvs/export/signatures.py",
        "tfvs/losses/likelihoods.py",
    ],
)
def test_a_trained_model_depends_on(copy: Path, file: str) -> None:
    before = digest(copy, *TRAINER)
    append(copy, file, "\n_CHANGED = 1\n")
    assert digest(copy, *TRAINER) != before


@pytest.mark.parametrize(
    "file",
    [
        "tfvs/server/rest/app.py",
        "tfvs/client/client.py",
        "tfvs/cli/serve.py",
        "tfvs/viz/viewer.py",
        "pipelines/metrics.py",
        "pipelines/report.py",
    ],
)
def test_a_trained_model_does_not_depend_on(copy: Path, file: str) -> None:
    before = digest(copy, *TRAINER)
    append(copy, file, "\n_CHANGED = 1\n")
    assert digest(copy, *TRAINER) == before


def test_comments_and_docstrings_do_not_count(copy: Path) -> None:
    before = digest(copy, *TRAINER)
    path = copy / "tfvs" / "ops" / "boxes.py"
    path.write_text("# A comment.\n" + path.read_text().replace('"""', '"""Another text. ', 1))
    assert digest(copy, *TRAINER) == before


def test_a_moved_module_changes_the_digest(copy: Path) -> None:
    """A list of folders that is written down once goes stale when a folder moves; the imports cannot."""
    before = digest(copy, *TRAINER)
    shutil.move(copy / "tfvs" / "losses", copy / "tfvs" / "objectives")
    for path in (copy / "tfvs").rglob("*.py"):
        path.write_text(path.read_text().replace("tfvs.losses", "tfvs.objectives"))
    moved = digest(copy, *TRAINER)
    assert moved != before
    append(copy, "tfvs/objectives/bound.py", "\n_CHANGED = 1\n")
    assert digest(copy, *TRAINER) != moved


def test_an_example_depends_on_what_makes_it_and_not_on_the_model() -> None:
    found = sources("tfvs.preparation.steps")
    assert {"tfvs.images.proxy", "tfvs.images.reading", "tfvs.images.tiff.framing", "tfvs.config"} <= set(found)
    assert not any(name.startswith(("tfvs.models", "tfvs.layers", "pipelines")) for name in found)


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"tfvs\.nothing"):
        sources("tfvs.nothing")
