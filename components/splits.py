"""Names of splits: one spelling for each, and no others."""

from __future__ import annotations

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
