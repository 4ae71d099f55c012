"""Control flow on PyTorch: Python's own, over concrete values; `torch.cond` under the compiler."""

from __future__ import annotations

import torch

from kfun.backends.common.tree import fill, leaves, tree_map
from kfun.backends.torch.arrays import convert


def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    carry, xs = tree_map(convert, init), tree_map(convert, xs)
    lengths = {x.shape[0] for x in leaves(xs)} | ({length} if length is not None else set())
    if len(lengths) != 1:
        raise ValueError(f"ops.scan: expected one length of xs and length; received {sorted(lengths)}")
    (steps,) = lengths
    if steps == 0:
        _, y = f(carry, tree_map(lambda x: x.new_zeros(x.shape[1:]), xs))
        return carry, tree_map(lambda y: y.new_zeros((0, *y.shape)), tree_map(convert, y))
    slices = [torch.unbind(x) for x in leaves(xs)]
    ys = []
    for i in reversed(range(steps)) if reverse else range(steps):
        carry, y = f(carry, fill(xs, iter([s[i] for s in slices])))
        ys.append(tree_map(convert, y))
    if reverse:
        ys.reverse()
    return carry, tree_map(lambda *parts: torch.stack(parts), *ys)


def while_loop(cond, body, loop_vars, maximum_iterations=None):
    single = not isinstance(loop_vars, (tuple, list))
    state = tree_map(convert, (loop_vars,) if single else tuple(loop_vars))
    steps = 0
    while (maximum_iterations is None or steps < maximum_iterations) and bool(cond(*state)):
        out = body(*state)
        state = tree_map(convert, (out,) if single else tuple(out))
        steps += 1
    return state[0] if single else list(state) if isinstance(loop_vars, list) else state


def fori_loop(lower, upper, body_fun, init_val):
    value = tree_map(convert, init_val)
    for i in range(int(lower), int(upper)):
        value = tree_map(convert, body_fun(torch.tensor(i, dtype=torch.int32), value))
    return value


def cond(pred, true_fn, false_fn):
    if not isinstance(pred, torch.Tensor):
        return tree_map(convert, true_fn() if pred else false_fn())
    if torch.compiler.is_compiling():
        true_fn(), false_fn()  # removed as dead code; a rule first looked up inside `torch.cond` would be a side effect
        return torch.cond(pred.reshape(()).to(torch.bool), true_fn, false_fn, ())
    if is_batched(pred):
        chosen = pred.to(torch.bool)
        return tree_map(lambda a, b: torch.where(chosen, convert(a), convert(b)), true_fn(), false_fn())
    return tree_map(convert, true_fn() if pred else false_fn())


def is_batched(x):
    """Whether a value differs along an axis that `vmap` maps, so that Python cannot branch on it."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(x):
        if functorch.is_batchedtensor(x):
            return True
        x = functorch.get_unwrapped(x)
    return False


def stop_gradient(variable):
    return tree_map(lambda x: x.detach() if isinstance(x, torch.Tensor) else convert(x), variable)


def vectorized_map(function, elements):
    elements = tree_map(convert, elements)
    outputs = []

    def flat(*values):
        out = tree_map(convert, function(fill(elements, iter(values))))
        outputs.append(out)
        return tuple(leaves(out))

    results = torch.func.vmap(flat)(*leaves(elements))
    return fill(outputs[0], iter(results))


RULES = {
    "scan": scan,
    "while_loop": while_loop,
    "fori_loop": fori_loop,
    "cond": cond,
    "stop_gradient": stop_gradient,
    "vectorized_map": vectorized_map,
}
