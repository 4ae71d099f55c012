"""Checksums of files that are written in pieces."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.saving import checksums


@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_two_pieces(first, second):
    joined = checksums.joined(zlib.crc32(first), zlib.crc32(second), len(second))
    assert joined == zlib.crc32(first + second)


PIECES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40), st.integers(0, 255)), min_size=1, max_size=12)


@settings(deadline=None)
@given(pieces=PIECES, cut=st.none() | st.integers(1, 50), before=st.integers(0, 9))
def test_pieces_in_any_order(pieces, cut, before):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "_LARGE", 16)
        file = io.BytesIO(b"x" * before)
        part = checksums.Summed(file, before)
        for place, size, byte in pieces:
            part.seek(place)
            part.write(bytes([byte]) * size)
        if cut is not None and cut < part.size:
            part.truncate(cut)
        assert part.checksum() == zlib.crc32(file.getvalue()[before:])


def test_a_wrong_piece_is_found():
    file = io.BytesIO()
    part = checksums.Summed(file, 0)
    part.write(np.arange(1 << 19).tobytes())
    file.getbuffer()[7] = 9
    assert part.checksum() != zlib.crc32(file.getvalue())
