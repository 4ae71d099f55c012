"""A pickle looked through before it is read: what it asks for, and what that will cost.

Python's unpickler trusts lengths and places in its memo, so that a few bytes cost gigabytes; and it nests without
end, which ends the process when something deep is hashed. So only the opcodes of numbers, texts, lists, dicts and
calls are let through, with limits on what each kind costs. Runs of numbers, nearly all of a true file, are passed
over by one pattern at a time.
"""

from __future__ import annotations

import pickle
import re


class UnsafePickleError(pickle.UnpicklingError, ValueError):
    """A pickle that is damaged, or asks for more than arrays, lists and dicts."""


# Integers, floats, None, booleans, and the memo's short operations: with their arguments.
_NUMBERS = re.compile(rb"(?:K.|M..|J.{4}|G.{8}|[qh].|j.{4}|[N\x88\x89\x94])++", re.DOTALL)
_PLAIN = frozenset(b"(]}aesu)tbR\x93\x85\x86\x87")  # of no argument
_TUPLES = frozenset(b"t\x85\x86\x87)")
_FIXED = {0x80: 1, 0x95: 8}  # the protocol, a frame's length
_TEXTS = (
    dict.fromkeys(b"\x8cUC\x8a", 1) | dict.fromkeys(b"XTB", 4) | dict.fromkeys(b"\x8d\x8e\x96", 8)
)  # of their length
_UNICODE = frozenset(b"X\x8d")
_WIDE = re.compile(rb"[\xc4-\xff]")  # in UTF-8: a character that makes all of a text take two or four bytes each
_LONG = 256
_MEMO = ord("r")
_GLOBAL = re.compile(rb"[^\n]{1,100}\n[^\n]{1,100}\n")  # a module and a name in it

NUMBER_BYTES = 1 << 25  # of numbers, each of which costs up to 40 bytes: twice those of the reviews of IMDB
OPERATIONS = 1 << 20  # of the rest, such as lists of 72 bytes each: five times those of CIFAR-100
_TUPLES_AT_MOST = 10_000  # nested, as deep as a hash can follow
_MEMO_AT_MOST = 1 << 21  # the unpickler makes room for all places before the one that is named


def check(content: bytes, label: str) -> None:
    """Refuses a pickle that could harm who reads it.

    Args:
        content: the pickle; what follows its end is not looked at.
        label: how errors call it.

    Raises:
        UnsafePickleError: if it has other opcodes, costs too much, or does not end.
    """
    place = operations = numbers = tuples = 0
    while place < len(content):
        if run := _NUMBERS.match(content, place):
            numbers, place = numbers + run.end() - place, run.end()
            if place == len(content):
                break
        code, place, operations = content[place], place + 1, operations + 1
        if code == ord("."):
            return
        tuples += code in _TUPLES
        if operations > OPERATIONS or numbers > NUMBER_BYTES or tuples > _TUPLES_AT_MOST:
            raise UnsafePickleError(f"{label} holds a pickle of more values than a dataset has, which is refused")
        place = _after(content, code, place, label)
    raise UnsafePickleError(f"{label} holds a pickle that does not end: it is damaged")


def _after(content: bytes, code: int, place: int, label: str) -> int:
    """Where an opcode's argument ends."""
    if code in _PLAIN:
        return place
    if code in _FIXED:
        return place + _FIXED[code]
    if code in _TEXTS:
        size = _TEXTS[code]
        end = place + size + int.from_bytes(content[place : place + size], "little")
        if end > len(content):
            raise UnsafePickleError(f"{label} holds a pickle with a text that is cut off: it is damaged")
        if code in _UNICODE and end - place > _LONG and _WIDE.search(content, place + size, end):
            raise UnsafePickleError(
                f"{label} holds a pickle with a long text of letters beyond latin1, which is refused"
            )
        return end
    if code == _MEMO:
        if int.from_bytes(content[place : place + 4], "little") > _MEMO_AT_MOST:
            raise UnsafePickleError(f"{label} holds a pickle that names a place out of its memo, which is refused")
        return place + 4
    if code == ord("c") and (names := _GLOBAL.match(content, place)):
        return names.end()
    raise UnsafePickleError(
        f"{label} holds a pickle with the opcode {bytes([code])!r}, which no array has: it is refused"
    )
