from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from tfvs.config import Config, option, option_like
from tfvs.errors import ConfigError
from tfvs.flags import flags_of, from_flags


@dataclass(frozen=True)
class Lens(Config):
    """A lens."""

    focus_mm: float = option(50.0, "Focal length, millimetres.", above=0)
    mount: str = option("bayonet", "How it is fixed.", choices=("bayonet", "thread"))


def parse_size(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


@dataclass(frozen=True)
class Camera(Config):
    """A camera.

    Attributes:
      lens: Its lens.
    """

    lens: Lens = field(default_factory=Lens)
    shots: int = option(1, "Pictures that are taken.", at_least=1, at_most=9)
    flash: bool = option(False, "Whether it flashes.")
    title: str | None = option(None, "Title of the pictures.")
    sizes: tuple[tuple[int, int], ...] = option(((2, 3),), "HEIGHTxWIDTH; repeatable.", parse=parse_size, flag="size")
    tags: tuple[str, ...] = option((), "Words; repeatable.")


def run(*arguments: str, **settings: object) -> tuple[click.testing.Result, list[Camera]]:
    made: list[Camera] = []

    @click.command()
    @flags_of(Camera, **settings)
    def command(**values: object) -> None:
        made.append(from_flags(Camera, values))

    return CliRunner().invoke(command, list(arguments)), made


def test_an_option_is_declared_once_for_checks_json_help_and_flags():
    result, made = run()
    assert made == [Camera()], result.output
    flags = (
        "--lens-focus-mm",
        "7.5",
        "--lens-mount",
        "thread",
        "--shots",
        "3",
        "--flash",
        "--size",
        "4x5",
        "--tags",
        "a",
    )
    result, made = run(*flags, "--title", "x", "--tags", "b", "--size", "1x2")
    sizes = ((4, 5), (1, 2))
    camera = Camera(Lens(7.5, "thread"), shots=3, flash=True, title="x", sizes=sizes, tags=("a", "b"))
    assert made == [camera], result.output
    assert Camera.from_json(camera.to_json()) == camera
    help_text = " ".join(run("--help")[0].output.split())
    assert "Focal length, millimetres. [default: 50.0]" in help_text
    assert "[bayonet|thread]" in help_text
    assert "      shots: Pictures that are taken." in (Camera.__doc__ or "")
    assert (Camera.__doc__ or "").count("Attributes:") == 1


def test_flags_may_have_underscores_and_boolean_values():
    assert run("--flash=false", separator="_")[1] == [Camera()]
    assert run("--flash=true", "--lens_focus_mm", "9", separator="_")[1] == [Camera(Lens(9.0), flash=True)]
    assert "No such option" in run("--lens_focus_mm", "9", separator="_", skip=("lens_focus_mm",))[0].output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shots": 0}, "shots is out of range. Expected: at least 1, at most 9. Received: 0"),
        ({"shots": "3"}, "shots is of another type. Expected: int. Received: '3'"),
        ({"shots": True}, "shots is of another type"),
        ({"title": 3}, "title is of another type. Expected: str or None"),
        ({"lens": {"focus_mm": 0}}, "focus_mm is out of range. Expected: above 0"),
        ({"lens": {"focus_mm": float("nan")}}, "focus_mm is out of range"),
        ({"lens": {"mount": "glue"}}, r"mount has no such value. Expected: \('bayonet', 'thread'\)"),
        ({"lens": {"weight": 3}}, "Lens has no field weight"),
    ],
)
def test_what_cannot_work_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        Camera.from_dict(changes)


def test_a_flag_that_cannot_be_read_is_a_usage_error():
    for arguments in (["--shots", "x"], ["--size", "4"], ["--lens-mount", "glue"], ["--flash=maybe"]):
        assert run(*arguments)[0].exit_code == 2, arguments


def test_a_change_may_reach_into_a_configuration_within():
    camera = Camera(Lens(7.5, "thread"))
    assert camera.replace(lens={"focus_mm": 8}) == Camera(Lens(8, "thread"))


def test_type_hints_are_public():
    assert (Path(__import__("tfvs").__file__).parent / "py.typed").is_file()


def test_numpy_scalars_become_plain_values_and_not_a_number_is_out_of_range():
    assert Camera(shots=np.int64(3)).to_json() == Camera(shots=3).to_json()
    assert type(Lens(np.float32(2.0)).focus_mm) is float
    with pytest.raises(ConfigError, match="focus_mm is out of range"):
        Lens(float("nan"))
    with pytest.raises(ConfigError, match="shots is of another type"):
        Camera(shots="3")


@dataclass(frozen=True)
class Share(Config):
    """A share."""

    value: float = option(0.0, "In [0, 1).", at_least=0, below=1)


def test_a_value_below_which_an_option_must_stay():
    assert Share(0.99).value == 0.99
    with pytest.raises(ConfigError, match="at least 0, below 1"):
        Share(1.0)


def parse_shares(text: str) -> dict[str, int]:
    return {name: int(share) for name, share in (part.split("=") for part in text.split(","))}


@dataclass(frozen=True)
class Film(Camera):
    """A film, which a camera with other defaults takes."""

    lens: Lens = option(Lens, "Its first lens.")
    shots: int = option_like(Camera, "shots", 7)
    frames: tuple[int, ...] = option((24,), "Frames per second of each part.", at_least=1, least_items=1)
    ends: tuple[float, float] | None = option(None, "Begin and end, minutes.", at_least=0)
    weights: dict[str, float] = option(dict, "What each part counts.", at_least=0)
    shares: dict[str, int] = option({"a": 2}, "Shares.", at_least=1, least_items=1, parse=parse_shares)


def test_tuples_and_dicts_are_checked_item_by_item():
    film = Film(frames=(np.int64(24), 30), ends=(1, 2.5), weights={"first": 2})
    assert Film.from_json(film.to_json()) == film
    assert Film().weights == {}
    assert Film().weights is not Film().weights
    for wrong, message in (
        ({"frames": (24, 0)}, "frames is out of range. Expected: at least 1"),
        ({"frames": ()}, "frames has too few items. Expected: at least 1"),
        ({"frames": (1.5,)}, "frames is of another type. Expected: a tuple of any number of int"),
        ({"frames": (True,)}, "frames is of another type"),
        ({"ends": (1.0,)}, "ends is of another type. Expected: a tuple of 2 float or None"),
        ({"ends": (1.0, -1.0)}, "ends is out of range"),
        ({"weights": {"first": -1}}, "weights is out of range"),
        ({"weights": {"first": "much"}}, "weights is of another type. Expected: a dict of float"),
        ({"shares": {}}, "shares has too few items. Expected: at least 1"),
        ({"lens": 3}, "lens is of another type. Expected: Lens"),
    ):
        with pytest.raises(ConfigError, match=message):
            Film(**wrong)


def test_a_field_may_be_declared_as_another_configuration_has_it():
    assert Film().shots == 7
    with pytest.raises(ConfigError, match=r"shots is out of range\. Expected: at least 1, at most 9"):
        Film(shots=10)
    listed = Film.__doc__ or ""
    assert listed.count("      shots: Pictures that are taken.") == 1
    assert listed.index("flash: ") < listed.index("frames: ")


def test_a_dict_has_a_flag_where_it_says_how_it_is_read():
    made: list[Film] = []

    @click.command()
    @flags_of(Film)
    def command(**values: object) -> None:
        made.append(from_flags(Film, values))

    for arguments in ([], ["--shares", "b=3,c=1"]):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
    assert [film.shares for film in made] == [{"a": 2}, {"b": 3, "c": 1}]
    assert CliRunner().invoke(command, ["--shares", "b"]).exit_code == 2
    help_text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "Shares. [default: a=2]" in help_text
    assert "--weights" not in help_text


def test_what_was_changed_are_the_fields_that_are_not_the_defaults():
    assert Camera().changed() == {}
    camera = Camera(lens=Lens(focus_mm=35.0), tags=("a",), shots=1)
    assert camera.changed() == {"lens": {"focus_mm": 35.0, "mount": "bayonet"}, "tags": ("a",)}
    assert Camera.from_dict(camera.changed()) == camera
