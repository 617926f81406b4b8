"""Configurations: frozen dataclasses, checked when made, to JSON and back; each option is declared once."""

from __future__ import annotations

import dataclasses
import json
import operator
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
    least_items: int = 0
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
    least_items: int = 0,
    parse: Callable[[str], Any] | None = None,
    flag: str | None = None,
) -> Any:
    """Declares a field of a :class:`Config` once: its default, its checks, its help and its command-line flag.

    The class's docstring lists it, :meth:`Config.__post_init__` checks it, and :func:`tfvs.flags.flags_of` makes the
    flag. Limits hold for each item of a tuple and for each value of a dict.

    Args:
      default: Default value of the field; none where it must be given. A class is called for a new value each time, and
        a dict is copied.
      help: One sentence: meaning and unit.
      choices: The values that it may have.
      at_least: Least value.
      above: A value that it must exceed.
      at_most: Greatest value.
      below: A value that it must not reach.
      least_items: Least number of items of a tuple or dict.
      parse: From the text of a flag to the value, where the type alone does not say it; raises ValueError.
      flag: Name of the flag, where it is not the field's.
    """
    declared = Option(help, choices, at_least, above, at_most, below, least_items, parse, flag)
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata={_KEY: declared})
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata={_KEY: declared})
    return dataclasses.field(default=default, metadata={_KEY: declared})


def option_like(config: type[Config], name: str, default: Any = dataclasses.MISSING) -> Any:
    """Declares a field as another configuration has it: with the same checks and help.

    Args:
      config: The configuration that has the field.
      name: Name of the field there.
      default: Default value; without it, that of the field.
    """
    field = config.__dataclass_fields__[name]
    default = field.default if default is dataclasses.MISSING else default
    return dataclasses.field(default=default, metadata=field.metadata)


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
        """Lists the options, inherited ones first, in the docstring."""
        fields: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            fields |= vars(base).get("__dataclass_fields__", {})
        fields |= {name: field for name, field in vars(cls).items() if isinstance(field, dataclasses.Field)}
        lines = [
            f"      {name}: {declared.help}"
            for name, field in fields.items()
            if (declared := option_of(field)) is not None
        ]
        if lines and cls.__doc__:
            heading = [] if "    Attributes:" in cls.__doc__ else ["", "    Attributes:"]
            cls.__doc__ = "\n".join([cls.__doc__.rstrip(), *heading, *lines, "    "])

    def changed(self) -> dict[str, Any]:
        """Fields that have another value than their default, or none, as plain values."""
        values = self.to_dict()
        for field in dataclasses.fields(self):
            factory = field.default_factory
            default = field.default if factory is dataclasses.MISSING else factory()
            if default is not dataclasses.MISSING and getattr(self, field.name) == default:
                del values[field.name]
        return values

    def __post_init__(self) -> None:
        """Checks every option that was declared with :func:`option`.

        Raises:
          ConfigError: A value of another type, or out of its range.
        """
        kinds = field_types(type(self))
        for field in dataclasses.fields(self):
            declared = option_of(field)
            value = _plain(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            if declared is not None:
                _check(field.name, value, kinds[field.name], declared)

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


def tuple_items(annotation: Any) -> tuple[Any, ...]:
    """Types of the items of a field that is a tuple, or a tuple or None; ``(int, ...)`` for ``tuple[int, ...]``."""
    if typing.get_origin(annotation) is tuple:
        return typing.get_args(annotation)
    return next((items for part in typing.get_args(annotation) if (items := tuple_items(part))), ())


def _plain(value: Any) -> Any:
    """A NumPy scalar is as good as Python's, but JSON does not know it."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def _from_plain(value: Any, annotation: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_from_plain(item, Any) for item in value)
    if isinstance(value, dict) and isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation.from_dict(value)
    return value


def _check(name: str, value: Any, annotation: Any, declared: Option) -> None:
    typed = _is_of_type(value, annotation)
    require(typed, f"{name} is of another type", expected=_type_in_words(annotation), received=repr(value))
    if value is None:
        return
    if declared.choices is not None:
        require(value in declared.choices, f"{name} has no such value", expected=declared.choices, received=repr(value))
    if isinstance(value, (tuple, dict)):
        least = declared.least_items
        require(len(value) >= least, f"{name} has too few items", expected=f"at least {least}", received=value)
    limits = {
        "at least": (declared.at_least, operator.ge),
        "above": (declared.above, operator.gt),
        "at most": (declared.at_most, operator.le),
        "below": (declared.below, operator.lt),
    }
    given = [(words, limit, holds) for words, (limit, holds) in limits.items() if limit is not None]
    fits = all(holds(number, limit) for number in _leaves(value) for _, limit, holds in given)
    expected = ", ".join(f"{words} {limit:g}" for words, limit, _ in given)
    require(fits, f"{name} is out of range", expected=expected, received=value)


def _is_of_type(value: Any, annotation: Any) -> bool:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is_of_type(value, part) for part in arguments)
    if origin is tuple and isinstance(value, tuple):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return len(value) == len(kinds) and all(map(_is_of_type, value, kinds))
    if origin is dict and isinstance(value, dict):
        return all(isinstance(key, arguments[0]) and _is_of_type(item, arguments[1]) for key, item in value.items())
    if annotation in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if annotation is float else origin or annotation)


def _type_in_words(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_type_in_words, arguments))
    if origin is tuple:
        parts = "any number of" if arguments[-1] is Ellipsis else str(len(arguments))
        return f"a tuple of {parts} {_type_in_words(arguments[0])}"
    if origin is dict:
        return f"a dict of {_type_in_words(arguments[1])}"
    return "None" if annotation is type(None) else str(getattr(annotation, "__name__", annotation))


def _leaves(value: Any) -> list[Any]:
    """The numbers in a value: it itself, or those within a tuple or a dict."""
    if isinstance(value, dict):
        value = tuple(value.values())
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, tuple) else [value]
