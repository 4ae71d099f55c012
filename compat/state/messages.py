"""Where messages to the user go: to standard output, or to absl's log where nobody looks on."""

from __future__ import annotations

import sys

_INTERACTIVE = [True]


def enable_interactive_logging() -> None:
    """Lets messages and progress bars go to standard output, as they do by default."""
    _INTERACTIVE[0] = True


def disable_interactive_logging() -> None:
    """Lets messages and the last state of progress bars go to `absl.logging.info`, for jobs that nobody watches."""
    _INTERACTIVE[0] = False


def is_interactive_logging_enabled() -> bool:
    """Whether messages go to standard output rather than to absl's log."""
    return _INTERACTIVE[0]


def say(text: str, end: str = "\n") -> None:
    """Tells the user something, on standard output or in absl's log.

    Args:
        text: the message.
        end: what follows it on standard output.
    """
    if _INTERACTIVE[0]:
        sys.stdout.write(text + end)
        sys.stdout.flush()
        return
    from absl import logging

    logging.info("%s", text.strip())
