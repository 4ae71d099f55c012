"""Sequences of different lengths."""

from compat.utils._sequences import pad_sequences as pad_sequences
