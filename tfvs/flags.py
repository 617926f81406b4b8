"""Command-line flags made from configurations: what :func:`tfvs.config.option` declares, click shows and reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from tfvs.config import Config, Option, field_types, option_of, tuple_items, value_types

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=Config)


def flags_of(config: type[Config], *, separator: str = "-", skip: Sequence[str] = ()) -> Callable[[F], F]:
    """A decorator that gives a click command one flag per option of a configuration.

    The command gets each value under the field's name; :func:`from_flags` makes the configuration. An option that is a
    configuration itself gives its own options, with its name before theirs; one that is a dict has a flag only where
    it declares how to read one.

    Args:
      config: The configuration.
      separator: Between the words of a flag: ``"-"``, or ``"_"`` as TensorFlow Serving's flags have it.
      skip: Names, as the command would get them, of fields that it sets itself.
    """

    def decorate(command: F) -> F:
        for make in reversed(list(_options(config, separator, skip, ""))):
            command = make(command)
        return command

    return decorate


def from_flags(config: type[C], values: dict[str, Any], *, prefix: str = "") -> C:
    """The configuration from what the flags of :func:`flags_of` gave.

    Args:
      config: The configuration.
      values: Field name → value; other keys are left alone.
      prefix: Before the keys.

    Raises:
      ConfigError: A value that cannot work.
    """
    given: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        kind = field_types(config)[field.name]
        if isinstance(kind, type) and issubclass(kind, Config):
            given[field.name] = from_flags(kind, values, prefix=f"{prefix}{field.name}_")
        elif prefix + field.name in values:
            given[field.name] = values[prefix + field.name]
    return config.from_dict(given)


def _options(config: type[Config], separator: str, skip: Sequence[str], prefix: str) -> Any:
    for field in dataclasses.fields(config):
        kind = field_types(config)[field.name]
        if prefix + field.name in skip:
            continue
        if isinstance(kind, type) and issubclass(kind, Config):
            yield from _options(kind, separator, skip, f"{prefix}{field.name}_")
        elif (declared := option_of(field)) is not None and (value_types(kind) != (dict,) or declared.parse):
            yield _option(field, kind, declared, separator, prefix)


def _option(
    field: dataclasses.Field[Any], annotation: Any, declared: Option, separator: str, prefix: str
) -> Callable[[F], F]:
    name = prefix + field.name
    flag = "--" + (prefix + (declared.flag or field.name)).replace("_", separator)
    kinds = [kind for kind in value_types(annotation) if kind is not type(None)]
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    required = default is dataclasses.MISSING
    if isinstance(default, dict):  # as the flag would give it
        default = ",".join(f"{key}={value}" for key, value in default.items())
    settings: dict[str, Any] = {
        "help": declared.help,
        "required": required,
        "default": None if required else default,
        "show_default": not required and default not in (None, "", ()),
    }
    if declared.parse is not None:
        # A list that is not there by default is one value; others are gathered from flags that are given repeatedly.
        settings |= {"type": _Parsed(declared.parse), "multiple": tuple in kinds and default is not None}
    elif bool in kinds:  # --flag, --flag=true and --flag=false, as TensorFlow Serving has them
        settings |= {"type": click.BOOL, "is_flag": False, "flag_value": "true"}
    elif declared.choices is not None and str in kinds:
        settings["type"] = click.Choice([choice for choice in declared.choices if choice is not None])
    elif tuple in kinds:  # any number of values: the flag is repeated; a fixed number: all behind one flag
        first, *others = tuple_items(annotation)
        settings |= {"type": first, "multiple": True} if others == [...] else {"type": first, "nargs": len(others) + 1}
    else:
        settings["type"] = float if float in kinds else kinds[0]
    return click.option(flag, name, **settings)


class _Parsed(click.ParamType):
    """A value that a function reads from text."""

    name = "text"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; a message about the flag where it cannot be read."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
