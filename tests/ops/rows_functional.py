"""Rows of control flow beyond loops, of cross-entropies and of connectionist temporal classification."""

from __future__ import annotations

import numpy as np

from kfun import ops
from tests.ops.rows import case, keras_op, row


def _switches(draw):
    x, y = draw.normal(3), draw.normal(3)
    return [
        case(np.int32(1), _BRANCHES, x, y),
        case(np.int32(0), _BRANCHES, x, y),
        case(np.int32(7), _BRANCHES, x, y),
        case(np.int32(-2), _BRANCHES, x, y),
        case(np.int32(3), _BRANCHES[:1], x, y),
        case(np.int32(1), [lambda: 1.0, lambda: 2.0]).but(grad=False),
    ]


_BRANCHES = [
    lambda x, y: (ops.multiply(x, y), ops.sum(x)),
    lambda x, y: (ops.subtract(x, y), ops.max(y)),
    lambda x, y: (ops.exp(x), ops.sum(y)),
]


def _switch_reference(index, branches, *operands):
    if not operands:
        return np.float32(branches[index]())
    x, y = operands
    values = [(x * y, x.sum()), (x - y, y.max()), (np.exp(x), y.sum())][: len(branches)]
    return values[min(max(index, 0), len(values) - 1)]


def _maps(draw):
    x = draw.normal(4, 3)
    return [
        case(ops.sum, x),
        case(lambda row: (ops.exp(row["x"]), ops.add(row["y"], 1)), {"x": x, "y": draw.integers(0, 9, 4)}),
        case(lambda row: ops.matmul(row, np.eye(3, dtype="float32")), draw.normal(2, 2, 3)),
        case(ops.tanh, draw.normal(1)),
    ]


def _map_reference(f, xs):
    if isinstance(xs, dict):
        return np.exp(xs["x"]), xs["y"] + 1
    return {4: lambda x: x.sum(1), 2: lambda x: x, 1: np.tanh}[len(xs)](xs)


def _affine(first, second):
    """The composition of maps `x -> a x + b`."""
    return ops.multiply(first[0], second[0]), ops.add(ops.multiply(first[1], second[0]), second[1])


def _scans(draw):
    x = draw.normal(5, 3)
    return [
        case(_affine, (x, draw.normal(5, 3))),
        case(ops.add, x),
        case(ops.add, x, reverse=True),
        case(ops.maximum, draw.distinct(2, 8), axis=1),
        case(_affine, (draw.normal(2, 7), draw.normal(2, 7)), True, -1),
        case(ops.add, draw.normal(1, 2)),
        case(ops.add, draw.normal(0, 2)),
        case(ops.multiply, draw.integers(1, 3, 6)),
    ]


def _scan_reference(f, elems, reverse=False, axis=0):
    xs = [np.moveaxis(x, axis, 0) for x in (elems if isinstance(elems, tuple) else (elems,))]
    xs = [x[::-1] for x in xs] if reverse else xs
    if f is _affine:
        a, b = [xs[0][:1]], [xs[1][:1]]
        for scale, shift in zip(xs[0][1:], xs[1][1:], strict=True):
            a.append(a[-1] * scale)
            b.append(b[-1] * scale + shift)
        ys = [np.concatenate(a), np.concatenate(b)]
    else:
        ys = [{ops.add: np.add, ops.maximum: np.maximum, ops.multiply: np.multiply}[f].accumulate(xs[0])]
    ys = [np.moveaxis(y[::-1] if reverse else y, 0, axis) for y in ys]
    return tuple(ys) if isinstance(elems, tuple) else np.asarray(ys[0], elems.dtype)


def _binary(draw):
    p, y = draw.uniform(0.05, 0.95, 3, 4), draw.uniform(0, 1, 3, 4)
    logits = np.float32([-200, -30, -1, 0, 2, 40, 300])
    return [
        case(y, p),
        case(y, draw.normal(3, 4, scale=3), True),
        case(np.float32([0, 1, 0.5, 1, 0, 1, 0]), logits, from_logits=True),
        case(np.float32([0, 1, 1, 0]), np.float32([0, 0, 1, 1])).but(grad=False),
        case(draw.integers(0, 2, 5), draw.uniform(0.1, 0.9, 5)),
        case(y.astype("float16"), p.astype("float16")).but(rtol=3e-3, grad=False),
    ]


def _categorical(draw):
    y, p = draw.uniform(0, 1, 3, 4), draw.uniform(0.05, 0.95, 3, 4)
    return [
        case(y, p),
        case(y, draw.normal(3, 4, scale=3), True),
        case(y, p, axis=0),
        case(draw.uniform(0, 1, 2, 3, 4), draw.normal(2, 3, 4), True, 1),
        case(np.float32([[0, 1, 0]]), np.float32([[1e4, -1e4, 0]]), from_logits=True),
        case(np.float32([[0, 1, 0]]), np.float32([[1, 0, 0]])).but(grad=False),
    ]


def _sparse(draw):
    labels, p = draw.integers(0, 4, 3), draw.uniform(0.05, 0.95, 3, 4)
    return [
        case(labels, p),
        case(labels, draw.normal(3, 4, scale=3), True),
        case(labels[:, None], p),
        case(draw.integers(0, 4, 2, 3), draw.normal(2, 3, 4), from_logits=True),
        case(np.int32([0, -1, 4]), p),
        # Keras takes the classes along the last axis only
        case(draw.integers(0, 3, 2, 4), draw.normal(2, 3, 4), True, 1).but(reference=_sparse_along),
    ]


def _sparse_along(target, output, from_logits, axis):
    return keras_op("sparse_categorical_crossentropy")(target, np.moveaxis(output, axis, -1), from_logits)


def _losses(draw):
    target, output = np.int32([[1, 2, 2, 3], [4, 1, 0, 0]]), draw.normal(2, 9, 5)
    return [
        case(target, output, np.int32([4, 2]), np.int32([9, 9])),
        case(target, output, np.int32([3, 2]), np.int32([7, 4])),
        case(target, output, np.int32([0, 2]), np.int32([9, 5])),
        case(np.int32([[0, 1, 1], [2, 3, 0]]), draw.normal(2, 6, 5), np.int32([3, 2]), np.int32([6, 5]), 4),
        case(target, draw.normal(2, 9, 5, scale=50), np.int32([4, 2]), np.int32([9, 9]), mask_index=0),
    ]


def _decodings(draw):
    x = draw.normal(3, 8, 5, scale=2)
    lengths = np.int32([8, 5, 2])
    return [
        case(x, lengths),
        case(x, lengths, merge_repeated=False),
        case(x, lengths, "greedy", mask_index=4),
        case(draw.normal(2, 6, 3, scale=2), np.int32([6, 6]), "greedy", 100, 1, True, None),
        case(x, lengths, "beam_search", 20, 3),
        case(x, lengths, strategy="beam_search", beam_width=4, top_paths=2, mask_index=2),
        case(draw.normal(2, 12, 3), np.int32([12, 9]), "beam_search", 50, 5),
        case(draw.normal(1, 1, 4), np.int32([1]), "beam_search", 3, 3),
    ]


ROWS = [
    row("switch", _switches, _switch_reference),
    row("map", _maps, _map_reference),
    row("associative_scan", _scans, _scan_reference),
    row("binary_crossentropy", _binary, keras_op("binary_crossentropy")),
    row("categorical_crossentropy", _categorical, keras_op("categorical_crossentropy")),
    row("sparse_categorical_crossentropy", _sparse, keras_op("sparse_categorical_crossentropy")),
    row("ctc_loss", _losses, keras_op("ctc_loss"), rtol=1e-4),  # differs in the order of its sums
    # the decoded labels jump where two sequences are equally likely
    row("ctc_decode", _decodings, keras_op("ctc_decode"), grad=False),
]
