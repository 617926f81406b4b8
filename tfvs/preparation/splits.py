"""Names of splits: one spelling for each, and no others."""

from __future__ import annotations

from tfvs.errors import ConfigError

SPLIT_NAMES = {
    "train": ("train", "training"),
    "eval": ("eval", "val", "valid", "validation", "evaluation", "dev"),
    "test": ("test", "testing"),
}
_CANONICAL = {alias: name for name, aliases in SPLIT_NAMES.items() for alias in aliases}


def split_named(text: str) -> str | None:
    """The split that a name means, whatever its case and the spaces around it; None where it means none.

    >>> split_named(" Val "), split_named("../escaped")
    ('eval', None)
    """
    return _CANONICAL.get(text.strip().casefold())


def describe_splits() -> str:
    """The names that are known, for messages.

    >>> describe_splits()
    'train (training), eval (val, valid, validation, evaluation, dev), test (testing)'
    """
    return ", ".join(f"{name} ({', '.join(aliases[1:])})" for name, aliases in SPLIT_NAMES.items())


def parse_splits(text: str) -> dict[str, int]:
    """Weights of splits.

    >>> parse_splits("train=8,test=2")
    {'train': 8, 'test': 2}

    Raises:
      ConfigError: The text is something else.
    """
    try:
        given = [(name.strip(), int(weight)) for name, weight in (item.split("=") for item in text.split(","))]
    except ValueError as error:
        raise ConfigError("Splits cannot be read", expected="train=8,eval=1,test=1", received=text) from error
    weights = {split_named(name) or name: weight for name, weight in given}
    if len(weights) < len(given):
        raise ConfigError("A split is named twice", expected="train=8,eval=1,test=1", received=text)
    return weights
