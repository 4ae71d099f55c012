"""`Allowance`: the memory that data from a file may take beyond what their own bytes account for."""

from __future__ import annotations

DEFAULT = 1 << 28  # bytes: a confusion matrix of 8,192 classes


class Allowance:
    """Bytes that may still be claimed while a file is read.

    A number in a file costs nothing to write and any amount of memory to obey: thresholds of a metric, classes of
    a matrix, a string type's length. What is bounded by the file's own bytes, as weights are, need not be claimed.

    Args:
        nbytes: in all; None for the default, `math.inf` for data that are trusted.
    """

    def __init__(self, nbytes: float | None = None):
        if nbytes is not None and (isinstance(nbytes, bool) or not isinstance(nbytes, (int, float)) or nbytes < 0):
            raise ValueError(f"allowance: expected a number of bytes, 0 or more; received {nbytes!r}")
        self.whole = self.left = DEFAULT if nbytes is None else nbytes

    def claim(self, nbytes: int, what: str) -> None:
        """Takes so many bytes.

        Raises:
            ValueError: if fewer are left.
        """
        self.check(nbytes, what)
        self.left -= nbytes

    def check(self, nbytes: int, what: str) -> None:
        """Raises ValueError if fewer bytes are left."""
        if nbytes > self.left:
            raise ValueError(
                f"{what} would take {nbytes:,} bytes of memory that the file does not account for; it may take "
                f"{self.whole:,} in all, of which {self.left:,} are left. If you trust it, pass a greater "
                "`allowance` (bytes) to load_model or deserialize_keras_object"
            )
