"""Convolution, pooling, resizing, normalization and attention on PyTorch.

PyTorch's functions take channels first; `[B, D..., C]` arrays go in as permuted views, which
its kernels know as the channels-last memory format.
"""

from __future__ import annotations

import torch
import torch.nn.attention
from torch.nn import functional as F

from kfun.backends.common.windows import depthwise, each, grouped, transpose_cut, window_padding
from kfun.backends.graphs.resizing import resizing
from kfun.backends.torch.arrays import floating, same_type
from kfun.ops import attention, normalization
from kfun.ops._attention import check_heads, no_fused_kernel

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGE_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_HIDDEN = -0.7 * 3.4e38  # the logit of a masked position, as in the derived op


def channels_first(x, data_format):
    return x if data_format == "channels_first" else x.movedim(-1, 1)


def restored(y, data_format):
    return y if data_format == "channels_first" else y.movedim(1, -1)


def _pad(x, pads, value=0.0):
    flat = [n for pair in reversed(pads) for n in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    x = channels_first(inputs, data_format)
    pads = window_padding(x.shape[2:], kernel.shape[:n], strides, dilation, padding)
    built_in = tuple(before for before, _ in pads)  # what an even padding leaves to the kernel itself
    if any(before != after for before, after in pads):
        x, built_in = _pad(x, pads), (0,) * n
    groups = x.shape[1] // kernel.shape[-2]
    weight = kernel.permute(n + 1, n, *range(n))  # [F, C / groups, K...]
    return restored(_CONV[n](x, weight, None, strides, built_in, dilation, groups), data_format)


def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    n = inputs.ndim - 2
    inputs, kernel = same_type(inputs, kernel)
    strides, dilation = each(strides, n), each(dilation_rate, n)
    extra = (None,) * n if output_padding is None else each(output_padding, n)
    weight = kernel.permute(n + 1, n, *range(n))  # [C, F, K...]
    full = _CONV_TRANSPOSE[n](channels_first(inputs, data_format), weight, None, strides, dilation=dilation)
    cuts = [
        transpose_cut(*axis[:3], padding, axis[3]) for axis in zip(kernel.shape, strides, dilation, extra, strict=False)
    ]
    return restored(_pad(full, [(-before, -after) for before, after in cuts]), data_format)


def _pooling(inputs, pool_size, strides, padding, data_format):
    n = inputs.ndim - 2
    window, step = each(pool_size, n), each(pool_size if strides is None else strides, n)
    x = channels_first(inputs, data_format)
    return x, window, step, window_padding(x.shape[2:], window, step, (1,) * n, padding)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    x, window, step, pads = _pooling(inputs, pool_size, strides, padding, data_format)
    low = float("-inf")
    if not x.dtype.is_floating_point:  # float64 holds every integer up to 53 bits
        x, low = x.to(torch.float64), float(torch.iinfo(x.dtype).min)
    out = _MAX_POOL[len(window)](_pad(x, pads, low), window, step)
    return restored(out.to(inputs.dtype), data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    x, window, step, pads = _pooling(inputs, pool_size, strides, padding, data_format)
    x = floating(x)
    wide = x.to(torch.float32) if x.dtype.itemsize < 4 else x
    out = _AVERAGE_POOL[len(window)](_pad(wide, pads), window, step)
    for axis, (before, after) in enumerate(pads):
        if before or after:
            size, k, s = x.shape[2 + axis], window[axis], step[axis]
            starts = range(-before, size + after - k + 1, s)
            share = [k / (min(i + k, size) - max(i, 0)) for i in starts]  # of the window to its real places
            shape = (-1, *(1,) * (len(window) - axis - 1))
            out = out * torch.tensor(share, dtype=out.dtype, device=out.device).reshape(shape)
    return restored(out.to(x.dtype), data_format)


def _bilinear(images, size, interpolation, data_format):
    if not all(isinstance(n, int) for n in size):
        return None
    x = floating(channels_first(images, data_format))
    return restored(F.interpolate(x, size, mode=interpolation, align_corners=False), data_format)


def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None):
    epsilon = normalization.EPSILON if epsilon is None else epsilon
    if not isinstance(x, torch.Tensor) or not x.dtype.is_floating_point:
        return normalization.layer_normalization.op.body(x, gamma, beta, axis, epsilon)
    axes = sorted(a % x.ndim for a in ((axis,) if isinstance(axis, int) else axis))
    last = list(range(x.ndim - len(axes), x.ndim))
    moved = x if axes == last else x.movedim(axes, last)
    sizes = moved.shape[-len(axes) :]
    given = [None if p is None else p.reshape(sizes) for p in (gamma, beta)]
    if any(p is not None and p.dtype is not x.dtype for p in given):
        moved = moved.to(torch.float32) if x.dtype.itemsize < 4 else moved
        given = [None if p is None else p.to(moved.dtype) for p in given]
    out = F.layer_norm(moved, sizes, *given, eps=epsilon).to(x.dtype)
    return out if axes == last else out.movedim(last, axes)


def dot_product_attention(
    query,
    key,
    value,
    bias=None,
    mask=None,
    scale=None,
    is_causal=False,
    flash_attention=None,
    attn_logits_soft_cap=None,
):
    check_heads(query, key, value)
    arrays = [a for a in (query, key, value, bias) if a is not None]
    half_masked = mask is not None and query.dtype is torch.float16  # cannot hold the logit of a hidden position
    mixed = half_masked or any(a.dtype is not query.dtype for a in arrays)
    if flash_attention is False or attn_logits_soft_cap is not None or mixed or _beyond_fused():
        given = (bias, mask, scale, is_causal, flash_attention, attn_logits_soft_cap)
        return attention.dot_product_attention.op.body(query, key, value, *given)
    if not flash_attention:
        return _scaled_dot_product(query, key, value, bias, mask, scale, is_causal)
    try:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
            return _scaled_dot_product(query, key, value, bias, mask, scale, is_causal)
    except RuntimeError as error:
        raise no_fused_kernel(f"PyTorch has none for these arguments ({error})") from error


def _scaled_dot_product(query, key, value, bias, mask, scale, is_causal):
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 2), value.repeat_interleave(groups, 2)
    query, key, value = (a.transpose(1, 2) for a in (query, key, value))  # [B, N, T, H]
    if is_causal and (mask is not None or bias is not None):
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).tril()
        mask, is_causal = seen if mask is None else seen & mask.to(torch.bool), False
    if mask is not None:
        mask = mask.to(torch.bool)
        seeing = mask.any(-1, keepdim=True)  # where all is hidden, the weights are even, without a gradient
        query = torch.where(seeing, query, 0)
        hidden = torch.where(seeing, torch.full((), _HIDDEN, dtype=query.dtype, device=query.device), 0)
        bias = torch.where(mask, 0 if bias is None else bias, hidden)
    out = F.scaled_dot_product_attention(query, key, value, bias, is_causal=is_causal, scale=scale)
    return out.transpose(1, 2)


def _beyond_fused():
    """Whether transformations ask more of PyTorch's fused attention than its first derivative."""
    if torch.compiler.is_compiling():
        return False
    kinds = [i.key() for i in torch._C._functorch.get_interpreter_stack() or []]
    return any(k != torch._C._functorch.TransformType.Grad for k in kinds) or len(kinds) > 1


RULES = {
    "conv": conv,
    "depthwise_conv": depthwise(conv, grouped),
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
    "average_pool": average_pool,
    "resize": resizing(_bilinear, ("bilinear",)),
    "layer_normalization": layer_normalization,
    "dot_product_attention": dot_product_attention,
}
