"""The errors of tfvs. Each says what went wrong, what was expected, what was received and how to mend it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

STOPPED = 130  # exit code, as a shell has it after Ctrl-C


class TfvsError(Exception):
    """Base of every error that tfvs raises on purpose.

    Args:
      what: One sentence: what cannot be done.
      expected: What would have been accepted.
      received: What was given.
      mend: What to do about it.

    Attributes:
      exit_code: What a command of this project exits with when the error reaches the user.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        expected: object = None,
        received: object = None,
        mend: str | None = None,
    ) -> None:
        self.what, self.expected, self.received, self.mend = what, expected, received, mend
        parts = [what.rstrip(".") + "."]
        if expected is not None:
            parts.append(f"Expected: {expected}.")
        if received is not None:
            parts.append(f"Received: {received}.")
        if mend is not None:
            parts.append(mend.rstrip(".") + ".")
        super().__init__(" ".join(parts))

    def __reduce__(self):  # keyword arguments survive the trip between Beam workers
        return _rebuild, (type(self), self.what, self.expected, self.received, self.mend)


def _rebuild(kind: type[TfvsError], what: str, expected: object, received: object, mend: str | None) -> TfvsError:
    return kind(what, expected=expected, received=received, mend=mend)


class ConfigError(TfvsError, ValueError):
    """A configuration that contradicts itself or names an unknown key. Exit code 2."""

    exit_code = 2


class InputError(TfvsError, ValueError):
    """A tensor or argument whose shape, dtype or range cannot work. Exit code 2."""

    exit_code = 2


class DataError(TfvsError):
    """A data set that is empty, unreadable or in the wrong layout. Exit code 3."""

    exit_code = 3


class ImageError(TfvsError):
    """One image that is refused or cannot be read. Exit code 4."""

    exit_code = 4


class ResourceError(TfvsError):
    """The machine lacks something: disk space, a free port, a permission, a package. Exit code 5."""

    exit_code = 5


class TooManyRejectedError(TfvsError):
    """A job finished, but rejected more of its input than the threshold allows. Exit code 6."""

    exit_code = 6


class TrainingError(TfvsError):
    """Training cannot go on, for example because a term of the loss is not finite. Exit code 7."""

    exit_code = 7


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """For commands: a TfvsError ends the process with its sentence on standard error and its exit code; Ctrl-C, too."""
    try:
        yield
    except TfvsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        sys.exit(STOPPED)
