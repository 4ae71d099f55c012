"""Control flow, and transformations of a small net, that every adapter with both gives as JAX does."""

from __future__ import annotations

import collections

import numpy as np

import kfun
from kfun import ops

Point = collections.namedtuple("Point", "x y")


def control(array):
    """Results of each control flow op on arrays that `array` makes."""
    xs, start = array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), array([0.5, -0.5])

    def body(carry, x):
        total = ops.add(ops.multiply(carry["h"], 0.5), x[0])
        return {"h": total, "none": None}, Point(total, ops.sum(total))

    init = {"h": start, "none": None}
    yield ops.scan(body, init, (xs, None))
    yield ops.scan(body, init, (xs, None), reverse=True)
    yield ops.scan(lambda c, _: (ops.multiply(c, 2), None), start, length=3)
    yield ops.scan(body, init, (xs[:0], None))
    grow = (lambda i, v: ops.less(i, 4), lambda i, v: (ops.add(i, 1), ops.multiply(v, 2)))
    yield ops.while_loop(*grow, (0, start))
    yield ops.while_loop(*grow, [0, start], maximum_iterations=2)
    yield ops.while_loop(lambda v: ops.less(ops.sum(v), 9.0), lambda v: ops.add(v, 1.0), start)
    yield ops.fori_loop(0, 3, lambda i, v: ops.add(ops.multiply(v, i), ops.getitem(xs, i)), start)
    for pred in (True, False):
        yield ops.cond(array(pred), lambda: (xs, start), lambda: (ops.multiply(xs, 2), start))
    yield ops.stop_gradient({"a": xs, "b": [start, None]})
    yield ops.vectorized_map(lambda t: {"y": ops.sum(t[0]), "n": None}, (xs, None))


PARAMS = {"w": np.array([[0.3, -0.2], [0.1, 0.5]], np.float32), "none": None, "b": [np.array([0.1, 0.2], np.float32)]}
INPUT = np.array([[1.0, 2.0], [-1.0, 0.5], [0.3, 0.2]], np.float32)


def net(params, x):
    return ops.tanh(ops.add(ops.matmul(x, params["w"]), params["b"][0]))


def net_loss(params, x):
    y = net(params, x)
    return ops.sum(ops.multiply(y, y)), {"y": y, "tag": None}


def net_value(params, x):
    return net_loss(params, x)[0]


TRANSFORMED = {
    "grad": kfun.grad(net_value),
    "grad of several": kfun.grad(net_loss, (0, 1), has_aux=True),
    "value_and_grad": kfun.value_and_grad(net_value, 1),
    "value_and_grad with aux": kfun.value_and_grad(net_loss, has_aux=True),
    "grad of grad": lambda p, x: kfun.grad(lambda x: ops.sum(kfun.grad(net_value, 1)(p, x)))(x),
    "vjp": lambda p, x: kfun.vjp(net, p, x)[1](net(p, x)),
    "vjp of a tree": lambda p, x: kfun.vjp(lambda x: {"y": net(p, x), "n": None}, x)[1]({"y": x, "n": None}),
    "vjp with aux": lambda p, x: kfun.vjp(net_loss, p, x, has_aux=True)[::2],
    "jvp": lambda p, x: kfun.jvp(net, (p, x), (p, x)),
    "jacrev": kfun.jacrev(net),
    "jacfwd": kfun.jacfwd(lambda p, x: Point(net(p, x), None), (0, 1)),
    "hessian": kfun.hessian(net_value),
    "hessian of several": kfun.hessian(net_value, (0, 1)),
    "vmap": kfun.vmap(net, (None, 0), 1),
    "vmap over a prefix": lambda p, x: kfun.vmap(lambda t: t["x"] * 2, ({"x": 1, "k": None},))({"x": x, "k": p}),
    "per-example gradients": kfun.vmap(kfun.grad(net_value), (None, 0)),
    "checkpoint": lambda p, x: kfun.grad(lambda p: ops.sum(kfun.checkpoint(net)(p, x)))(p),
    "checkpoint of a closure": lambda p, x: kfun.grad(lambda p: ops.sum(kfun.checkpoint(lambda x: net(p, x))(x)))(p),
    "checkpoint twice": lambda p, x: kfun.jacrev(kfun.grad(lambda x: ops.sum(kfun.checkpoint(net)(p, x))))(x),
}
