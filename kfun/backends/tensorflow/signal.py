"""Fourier transforms on TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from kfun.backends.tensorflow.arrays import HALF, as_floating, common


def _pair(f):
    """Of transforms from complex numbers to complex numbers."""

    def rule(x):
        z = f(_complex(x))
        return tf.math.real(z), tf.math.imag(z)

    return rule


def _complex(x):
    return tf.complex(*(_single(as_floating(part)) for part in common(x)))


def _single(x):
    return tf.cast(x, tf.float32) if x.dtype in HALF else x


def rfft(x, fft_length=None):
    x = x if fft_length is None else x[..., :fft_length]  # the gradient knows of zeros added only
    z = tf.signal.rfft(_single(as_floating(x)), None if fft_length is None else [fft_length])
    return tf.math.real(z), tf.math.imag(z)


def irfft(x, fft_length=None):
    if fft_length is None:
        return tf.signal.irfft(_complex(x))
    return tf.signal.irfft(_complex(x)[..., : fft_length // 2 + 1], [fft_length])


RULES = {
    "fft": _pair(tf.signal.fft),
    "ifft": _pair(tf.signal.ifft),
    "fft2": _pair(tf.signal.fft2d),
    "ifft2": _pair(tf.signal.ifft2d),
    "rfft": rfft,
    "irfft": irfft,
}
