"""Loops and branches on JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from kfun.errors import nearest
from kfun.ops import control


def switch(index, branches, *operands):
    if not len(branches):
        return control.switch.op.body(index, branches)  # which says so
    return lax.switch(index, list(branches), *operands)


def associative_scan(f, elems, reverse=False, axis=0):
    """JAX reverses along axes from the front alone."""
    ranks = {jnp.ndim(x) for x in jax.tree.leaves(elems)}
    if len(ranks) != 1:
        return control.associative_scan.op.body(f, elems, reverse, axis)
    return lax.associative_scan(f, elems, reverse, axis % ranks.pop())


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = (loop_vars,) if single else tuple(loop_vars)

    def step(s):
        out = body(*s[1])
        return s[0] + 1, (out,) if single else tuple(out)

    def going(s):
        more = cond(*s[1])
        return more if maximum_iterations is None else jnp.logical_and(more, s[0] < maximum_iterations)

    out = lax.while_loop(going, step, (0, state))[1]
    return out[0] if single else (list(out) if isinstance(loop_vars, list) else out)


def checkpoint(fun, policy=None):
    if isinstance(policy, str):
        known = [n for n in vars(jax.checkpoint_policies) if not n.startswith("_")]
        if policy not in known:
            raise ValueError(f"checkpoint: unknown policy {policy!r}; {nearest(policy, known)}")
        policy = getattr(jax.checkpoint_policies, policy)
    return jax.checkpoint(fun, policy=policy)


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    return lax.scan(f, init, xs, length, reverse, unroll)


RULES = {
    "switch": switch,
    "map": lax.map,
    "associative_scan": associative_scan,
    "scan": scan,
    "while_loop": while_loop,
    "cond": lambda pred, true_fn, false_fn: lax.cond(pred, true_fn, false_fn),
    "stop_gradient": lambda variable: jax.tree.map(lax.stop_gradient, variable),
    "fori_loop": lambda lower, upper, body_fun, init_val: lax.fori_loop(lower, upper, body_fun, init_val),
    "vectorized_map": lambda function, elements: jax.vmap(function)(elements),
}
