"""Configurations: frozen dataclasses, checked when made, to JSON and back; each option is declared once."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tfvs.errors import ConfigError

T = TypeVar("T", bound="Config")
_KEY = "tfvs"


@dataclasses.dataclass(frozen=True)
class Option:
    """What is declared of one field beside its type and default; see :func:`option`."""

    help: str
    choices: Sequence[Any] | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    parse: Callable[[str], Any] | None = None
    flag: str | None = None


def option(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    choices: Sequence[Any] | None = None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    parse: Callable[[str], Any] | None = None,
    flag: str | None = None,
) -> Any:
    """Declares a field of a :class:`Config` once: its default, its checks, its help and its command-line flag.

    The class's docstring lists it, :meth:`Config.__post_init__` checks it, and :func:`tfvs.flags.flags_of` makes the
    flag.

    Args:
      default: Default value of the field; none where it must be given.
      help: One sentence: meaning and unit.
      choices: The values that it may have.
      at_least: Least value.
      above: A value that it must exceed.
      at_most: Greatest value.
      below: A value that it must not reach.
      parse: From the text of a flag to the value, where the type alone does not say it; raises ValueError.
      flag: Name of the flag, where it is not the field's.
    """
    declared = Option(help, choices, at_least, above, at_most, below, parse, flag)
    return dataclasses.field(default=default, metadata={_KEY: declared})


def option_of(field: dataclasses.Field[Any]) -> Option | None:
    """What :func:`option` declared of a field; None for other fields."""
    return field.metadata.get(_KEY)


def field_types(config: type[Config]) -> dict[str, Any]:
    """Field name → its type."""
    return typing.get_type_hints(config)


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every configuration: checked on construction, unknown keys rejected, JSON round trip."""

    def __init_subclass__(cls) -> None:
        """Lists the options in the docstring."""
        lines = [
            f"      {name}: {declared.help}"
            for name, field in vars(cls).items()
            if isinstance(field, dataclasses.Field) and (declared := option_of(field)) is not None
        ]
        if lines and cls.__doc__:
            heading = [] if "    Attributes:" in cls.__doc__ else ["", "    Attributes:"]
            cls.__doc__ = "\n".join([cls.__doc__.rstrip(), *heading, *lines, "    "])

    def __post_init__(self) -> None:
        """Checks every option that was declared with :func:`option`.

        Raises:
          ConfigError: A value of another type, or out of its range.
        """
        kinds = field_types(type(self))
        for field in dataclasses.fields(self):
            declared = option_of(field)
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # a NumPy scalar is as good as Python's, but JSON does not know it
                object.__setattr__(self, field.name, value.item())
            if declared is not None:
                _check(field.name, getattr(self, field.name), kinds[field.name], declared)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """One stable line, fit for a cache key."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls: type[T], values: dict[str, Any]) -> T:
        """Builds the configuration; a field that is a configuration itself may be given as a dict.

        Raises:
          ConfigError: An unknown key, or a value that cannot work.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"{cls.__name__} has no field {', '.join(unknown)}", expected=sorted(known))
        kinds = field_types(cls)
        return cls(**{name: _from_plain(value, kinds[name]) for name, value in values.items()})

    @classmethod
    def from_json(cls: type[T], text: str) -> T:
        """The inverse of :meth:`to_json`."""
        return cls.from_dict(json.loads(text))

    def replace(self: T, **changes: Any) -> T:
        """A copy with some fields changed, checked again; a dict changes some fields of a configuration within it."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name, value in changes.items():
            within = values.get(name)
            if isinstance(within, Config) and isinstance(value, dict):
                value = within.replace(**value)
            values[name] = value
        return self.from_dict(values)


def require(condition: bool, what: str, *, expected: object, received: object, mend: str | None = None) -> None:
    """Raises ConfigError unless the condition holds; for ``__post_init__``."""
    if not condition:
        raise ConfigError(what, expected=expected, received=received, mend=mend)


def value_types(annotation: Any) -> tuple[type, ...]:
    """The types that a field's value may have: those of a union one by one, ``tuple`` for ``tuple[int, ...]``."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return tuple(kind for part in typing.get_args(annotation) for kind in value_types(part))
    return (typing.get_origin(annotation) or annotation,)


def _from_plain(value: Any, annotation: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_plain(item, Any) for item in value)
    if isinstance(value, dict) and isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation.from_dict(value)
    return value


def _check(name: str, value: Any, annotation: Any, declared: Option) -> None:
    kinds = value_types(annotation)
    accepted = (*kinds, int) if float in kinds else kinds
    is_bool = isinstance(value, bool)
    typed = isinstance(value, accepted) and (not is_bool or bool in kinds)
    expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
    require(typed, f"{name} is of another type", expected=expected, received=repr(value))
    if value is None:
        return
    if declared.choices is not None:
        require(value in declared.choices, f"{name} has no such value", expected=declared.choices, received=repr(value))
    low, above, high, below = declared.at_least, declared.above, declared.at_most, declared.below
    fits = (
        (low is None or value >= low)
        and (above is None or value > above)
        and (high is None or value <= high)
        and (below is None or value < below)
    )
    limits = ((low, "at least"), (above, "above"), (high, "at most"), (below, "below"))
    expected = ", ".join(f"{word} {limit:g}" for limit, word in limits if limit is not None)
    require(fits, f"{name} is out of range", expected=expected, received=value)
