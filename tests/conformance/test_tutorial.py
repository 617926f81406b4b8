"""The commands that the documentation shows are commands that there are, with options that they have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tfvs.cli.main import cli
from tfvs.datasets.sign_photographs import main as sign_photographs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "howto").glob("*.md")), ROOT / "README.md"]


def commands(page: Path) -> list[list[str]]:
    """Words of each ``tfvs`` command of a page's blocks and lines of code."""
    found = []
    text = page.read_text()
    blocks = re.findall(r"```(?:bash|text|sh)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in lines + re.findall(r"`(tfvs [^`]+)`", text):
        command = re.search(r"(?:^|until )(tfvs|python -m tfvs\.datasets\.sign_photographs) ([^;&#|]*)", line)
        if command:
            found.append([command.group(1), *shlex.split(command.group(2))])
    return found


def parse(program: str, words: list[str]) -> None:
    """Lets click read the words, without running the command or looking for files."""
    if program != "tfvs":
        command: click.Command | None = sign_photographs
    else:
        command, words = cli.commands.get(words[0]), words[1:]
    assert command is not None, words
    command.make_parser(click.Context(command)).parse_args(list(words))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for program, *words in commands(page):
        if words and not words[0].startswith("-"):
            parse(program, words)


def test_the_tutorial_shows_every_command() -> None:
    shown = {words[0] for program, *words in commands(PAGES[0]) if program == "tfvs"}
    assert shown == set(cli.commands)


def test_an_unknown_option_is_found() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("tfvs", ["train", "prepared", "--object-pixels", "3"])
