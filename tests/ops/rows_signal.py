"""Rows of Fourier transforms."""

from __future__ import annotations

import numpy as np

from tests.ops.rows import case, keras_op, row


def _pair(draw, *shape):
    return draw.normal(*shape), draw.normal(*shape)


def _pairs(draw):
    return [
        case(_pair(draw, 2, 6)),
        case(list(_pair(draw, 5))),
        case(_pair(draw, 2, 3, 4)),
        case(_pair(draw, 2, 1)),
    ]


def _images(draw):
    return [c for c in _pairs(draw) if c.args[0][0].ndim > 1] + [case(_pair(draw, 2, 3, 4, 5))]


def _real(draw):
    return [
        case(draw.normal(2, 6)),
        case(draw.normal(7)),
        case(draw.normal(2, 6), 4),
        case(draw.normal(2, 5), fft_length=9),
    ]


def _frequencies(draw):
    return [
        case(_pair(draw, 2, 4)),
        case(_pair(draw, 5)),
        case(_pair(draw, 2, 4), 7),
        case(_pair(draw, 2, 5), fft_length=4),
        case(_pair(draw, 2, 3), fft_length=9),
        case(list(_pair(draw, 2, 3, 4))),
    ]


def _signals(draw):
    x = draw.normal(2, 40)
    return [
        case(x, 8, 4, 16),
        case(x, 8, 3, 8, center=False),
        case(draw.normal(30), 5, 2, 9, "hamming"),
        case(x, 6, 4, 8, None),
        case(x, 6, 4, 8, window=np.float32([1, 2, 3, 3, 2, 1])),
        case(draw.normal(2, 3, 20), 10, 5, 10),
    ]


def _spectra(draw):
    x = _pair(draw, 2, 7, 9)
    return [
        case(x, 16, 4, 16),
        case(x, 8, 4, 16),
        case(x, 16, 4, 16, center=False),
        case(x, 16, 5, 16, 20, "hamming"),
        case(x, 16, 6, 16, length=30),
        case(x, 16, 4, 16, window=None),
        case(_pair(draw, 7, 5), 8, 4, 8, window=np.float32([1, 2, 3, 4, 4, 3, 2, 1])),
    ]


def _numpy(transform):
    """NumPy's transform of complex numbers, on pairs."""

    def reference(x, *rest, **more):
        z = transform(x[0] + np.complex64(1j) * x[1], *rest, **more)
        return (z.real, z.imag) if np.iscomplexobj(z) else z

    return reference


def _rfft_reference(x, fft_length=None):
    z = np.fft.rfft(x, fft_length)
    return z.real, z.imag


ROWS = [
    row("fft", _pairs, _numpy(np.fft.fft)),
    row("ifft", _pairs, _numpy(np.fft.ifft)),
    row("fft2", _images, _numpy(np.fft.fft2), atol=1e-5),
    row("ifft2", _images, _numpy(np.fft.ifft2)),
    row("rfft", _real, _rfft_reference),
    row("irfft", _frequencies, _numpy(lambda z, fft_length=None: np.fft.irfft(z, fft_length))),
    row("stft", _signals, keras_op("stft"), atol=1e-5),
    row("istft", _spectra, keras_op("istft"), atol=1e-5),
]
