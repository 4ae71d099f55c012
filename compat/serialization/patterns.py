"""Regular expressions of files, which are matched with names of files: those that could take for ever are refused."""

from __future__ import annotations

import re

from compat.serialization.registry import is_reading

_LONGEST, _REPEATS = 200, 3
_CHOICE = re.compile(r"[*+]|(?<!\()\?|\(")  # a repeat, an option or a group, each of which multiplies the ways to match
_LONG = re.compile(r"\)[*+?{]|\\[1-9]|\(\?(?!:)|\{")  # a repeated group, a reference, a look around, a count
LONGEST_NAME = 256  # of a layer: a pattern of three repeats takes time as the cube of it


def check_pattern(pattern: object) -> None:
    """Raises ValueError for a pattern of data that are read, if to match it may take long.

    Literals, classes, alternatives and up to three `*`, `+` or `?` of single characters and groups are let through.
    """
    if not is_reading() or not isinstance(pattern, str):
        return
    if len(pattern) > _LONGEST or _LONG.search(pattern) or len(_CHOICE.findall(pattern)) > _REPEATS:
        raise ValueError(
            f"the file has the pattern {pattern!r:.80}, which could take for ever to match. Patterns of files may have "
            f"{_LONGEST} characters, {_REPEATS} of them *, + or ? or the beginning of a group, and no repeated groups"
        )
