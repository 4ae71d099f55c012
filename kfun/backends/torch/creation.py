"""Creation, conversion and casts on PyTorch."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch

from kfun.backends.torch.arrays import NAMES, VIEWED, cast, convert, holds_tensors, native, native_of, several


def convert_to_numpy(x):
    x = x.detach().cpu().resolve_conj().resolve_neg()
    if x.dtype in VIEWED:
        return x.contiguous().view(VIEWED[x.dtype]).numpy().view(getattr(ml_dtypes, NAMES[x.dtype]))
    return x.numpy()


def convert_to_tensor(x, dtype=None):
    if isinstance(x, torch.Tensor):
        return x if dtype is None else cast(x, dtype)
    return convert(x) if dtype is None else cast(_direct(x, dtype), dtype)


def _direct(x, dtype):
    """Lists and scalars keep all their digits on the way to a type that is named."""
    if isinstance(x, (list, tuple)) and not holds_tensors(x):
        return convert(np.asarray(x))
    return x if type(x) in (bool, int, float, complex) else convert(x)


def zeros(shape, dtype="float32"):
    return torch.zeros(several(shape), dtype=native(dtype))


def ones(shape, dtype="float32"):
    return torch.ones(several(shape), dtype=native(dtype))


def full(shape, fill_value, dtype=None):
    value = convert(fill_value) if dtype is None else convert_to_tensor(fill_value, dtype)
    return value.expand(several(shape)).clone()


def arange(start, stop=None, step=1, dtype=None):
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        whole = all(isinstance(v, int) or not native_of(v).is_floating_point for v in (start, stop, step))
        dtype = torch.int32 if whole else torch.float32
    return torch.arange(start, stop, step, dtype=native(dtype))


def eye(N, M=None, k=0, dtype="float32"):
    rows, columns = torch.arange(N).unsqueeze(1), torch.arange(N if M is None else M)
    return (columns - rows == k).to(native(dtype))


def zeros_like(x, dtype=None):
    return torch.zeros_like(x, dtype=None if dtype is None else native(dtype))


def ones_like(x, dtype=None):
    return torch.ones_like(x, dtype=None if dtype is None else native(dtype))


def full_like(x, fill_value, dtype=None):
    dtype = x.dtype if dtype is None else native(dtype)
    if isinstance(fill_value, (bool, int, float)):
        return torch.full_like(x, fill_value, dtype=dtype)
    return convert_to_tensor(fill_value, dtype).to(x.device).expand(x.shape).clone()


RULES = {
    "convert_to_tensor": convert_to_tensor,
    "convert_to_numpy": convert_to_numpy,
    "cast": cast,
    "shape": lambda x: tuple(x.shape),
    "zeros": zeros,
    "ones": ones,
    "full": full,
    "arange": arange,
    "eye": eye,
    "zeros_like": zeros_like,
    "ones_like": ones_like,
    "full_like": full_like,
    "copy": torch.clone,
}
