"""Every page of the documentation is in the site, and every file that it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": ([\w/]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {str(page.relative_to(ROOT / "docs")) for page in PAGES} == listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_modules_and_files_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"\]\([^)]*\)", "", page.read_text())  # without the targets of links
    for module in re.findall(r"\b((?:tfvs|components|pipelines|benchmarks)(?:\.\w+)+)\b", text):
        parts = module.split(".")
        # The longest part of the name that is a module; what follows must be defined in it.
        for length in range(len(parts), 0, -1):
            stem = ROOT.joinpath(*parts[:length])
            file = stem.with_suffix(".py") if stem.with_suffix(".py").is_file() else stem / "__init__.py"
            if file.is_file():
                break
        else:
            pytest.fail(f"{page} names {module}")
        if length < len(parts):
            assert re.search(rf"\b{parts[length]}\b", file.read_text()), f"{page} names {module}"
    for path in re.findall(r"`((?:tfvs|components|pipelines|benchmarks|tests|examples)/[\w/.-]+\.\w+)`", text):
        assert (ROOT / path).exists(), f"{page} names {path}"
