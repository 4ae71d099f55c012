"""Errors of data that are read say in which part of the data they are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class UnreadableTypeError(ValueError, TypeError):
    """Data that do not fit a class: a ValueError, as for all that is wrong with a file, and Keras's TypeError."""


@contextlib.contextmanager
def part(where: str) -> Iterator[None]:
    """What goes wrong inside becomes a ValueError that names the part; one that is a ValueError gets a note.

    A package that is missing, and trouble with files, stay what they are.
    """
    try:
        yield
    except (ImportError, OSError):
        raise
    except ValueError as error:
        error.add_note(f"in {where}")
        raise
    except Exception as error:
        said = str(error) or "no memory is left" if isinstance(error, MemoryError) else str(error)
        kind = UnreadableTypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{where}: {type(error).__name__}: {said}") from error
