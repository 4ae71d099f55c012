"""Functions with gradients of their own on TensorFlow."""

from __future__ import annotations

import functools

import tensorflow as tf
from jax import tree_util

from kfun.backends.tensorflow.control import flatten


def custom_gradient(f):
    @functools.wraps(f)
    def call(*args, **kwargs):
        values, structure = flatten(args)
        found = {}

        @tf.custom_gradient
        def flat(*values):
            out, grad = f(*tree_util.tree_unflatten(structure, list(values)), **kwargs)
            outputs, found["structure"] = flatten(out)

            def backward(*cotangents):
                gradients = grad(tree_util.tree_unflatten(found["structure"], list(cotangents)))
                rows = tree_util.tree_leaves(gradients, is_leaf=lambda g: g is None)
                return [
                    g if g is None or not v.dtype.is_floating else tf.convert_to_tensor(g, v.dtype)
                    for g, v in zip(rows, values, strict=True)
                ]

            return outputs, backward

        outputs = flat(*values)
        return tree_util.tree_unflatten(found["structure"], outputs)

    return call
