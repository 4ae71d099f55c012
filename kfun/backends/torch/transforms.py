"""JAX's function transformations over `torch.func`, `torch.compile` and `torch.utils.checkpoint`.

`torch.func` sees flat tuples of tensors: trees are taken apart and put together here, in plain
Python, so that None and named tuples mean what they mean to JAX.
"""

from __future__ import annotations

import functools

import torch
import torch.utils.checkpoint
from torch.overrides import TorchFunctionMode

from kfun.backends.common.tree import fill, leaves, spread, tree_map
from kfun.backends.torch.arrays import convert
from kfun.backends.torch.control import is_batched


def _refuse(name, options):
    given = ", ".join(k for k, v in options.items() if v)
    if given:
        raise TypeError(f"{name} on PyTorch does not take {given}: leave it out, or run this function on JAX arrays")


class _Flat:
    """A function of the leaves of some of its arguments, whose results are tuples of tensors.

    `structure` is the tree of those arguments, `outputs` that of the last results.
    """

    def __init__(self, fun, args, kwargs, argnums, has_aux=False):
        self.fun, self.args, self.kwargs, self.has_aux = fun, args, kwargs, has_aux
        self.single = isinstance(argnums, int)
        nums = (argnums,) if self.single else tuple(argnums)
        self.nums = [range(len(args))[i] for i in nums]
        self.structure = tree_map(convert, [args[i] for i in self.nums])
        self.values, self.outputs, self.aux = tuple(leaves(self.structure)), None, None

    def full(self, values):
        args = list(self.args)
        for i, tree in zip(self.nums, fill(self.structure, iter(values)), strict=True):
            args[i] = tree
        return self.fun(*args, **self.kwargs)

    def scalar(self, *values):
        out = self.full(values)
        return (convert(out[0]), self._tensors(out[1])) if self.has_aux else convert(out)

    def __call__(self, *values):
        out = self.full(values)
        out, aux = out if self.has_aux else (out, None)
        self.outputs = tree_map(convert, out)
        flat = tuple(leaves(self.outputs))
        return (flat, self._tensors(aux)) if self.has_aux else flat

    def _tensors(self, aux):
        """`torch.func` takes nothing but tensors as auxiliary results."""
        self.aux = aux
        return tuple(leaf for leaf in leaves(aux) if isinstance(leaf, torch.Tensor))

    def auxiliary(self, tensors):
        rest = iter(tensors)
        return tree_map(lambda leaf: next(rest) if isinstance(leaf, torch.Tensor) else leaf, self.aux)

    def arguments(self, values):
        """The tree of one value per leaf of the arguments: alone if `argnums` is an int."""
        trees = fill(self.structure, iter(values))
        return trees[0] if self.single else tuple(trees)


def value_and_grad(fun, argnums=0, has_aux=False, **options):
    _refuse("value_and_grad", options)

    @functools.wraps(fun)
    def call(*args, **kwargs):
        flat = _Flat(fun, args, kwargs, argnums, has_aux)
        run = torch.func.grad_and_value(flat.scalar, tuple(range(len(flat.values))), has_aux)
        gradients, out = run(*flat.values) if flat.values else ((), flat.scalar())
        if has_aux:
            out = (out[0], flat.auxiliary(out[1]))
        return out, flat.arguments(gradients)

    return call


def grad(fun, argnums=0, has_aux=False, **options):
    run = value_and_grad(fun, argnums, has_aux, **options)

    @functools.wraps(fun)
    def call(*args, **kwargs):
        out, gradients = run(*args, **kwargs)
        return (gradients, out[1]) if has_aux else gradients

    return call


def vjp(fun, *primals, has_aux=False, **options):
    _refuse("vjp", options)
    flat = _Flat(fun, primals, {}, range(len(primals)), has_aux)
    out, pull, *aux = torch.func.vjp(flat, *flat.values, has_aux=has_aux)
    structure = flat.outputs

    def pullback(cotangents):
        return flat.arguments(pull(tuple(leaves(tree_map(convert, cotangents)))))

    return (fill(structure, iter(out)), pullback, *map(flat.auxiliary, aux))


def jvp(fun, primals, tangents, has_aux=False):
    flat = _Flat(fun, tuple(primals), {}, range(len(primals)), has_aux)
    along = tuple(leaves(tree_map(convert, list(tangents))))
    out, tangent, *aux = torch.func.jvp(flat, flat.values, along, has_aux=has_aux)
    return (fill(flat.outputs, iter(out)), fill(flat.outputs, iter(tangent)), *map(flat.auxiliary, aux))


def _jacobian(native, name):
    def transform(fun, argnums=0, has_aux=False, **options):
        _refuse(name, options)

        @functools.wraps(fun)
        def call(*args, **kwargs):
            flat = _Flat(fun, args, kwargs, argnums, has_aux)
            result = native(flat, tuple(range(len(flat.values))), has_aux=has_aux)(*flat.values)
            jacobians, *aux = result if has_aux else (result,)
            out = fill(flat.outputs, iter([flat.arguments(row) for row in jacobians]))
            return (out, *map(flat.auxiliary, aux)) if has_aux else out

        return call

    return transform


jacfwd, jacrev = _jacobian(torch.func.jacfwd, "jacfwd"), _jacobian(torch.func.jacrev, "jacrev")


def hessian(fun, argnums=0, has_aux=False, **options):
    return jacfwd(jacrev(fun, argnums, has_aux, **options), argnums, has_aux)


def vmap(fun, in_axes=0, out_axes=0, axis_name=None, axis_size=None, **options):
    _refuse("vmap", {"axis_name": axis_name, **options})

    @functools.wraps(fun)
    def call(*args, **kwargs):
        axes = in_axes if isinstance(in_axes, int) or in_axes is None else tuple(in_axes)
        tree = tree_map(convert, [list(args), kwargs])
        dims = [*spread(axes, args), *[0] * len(leaves(kwargs))]
        outputs = []

        def flat(_, *values):
            inner, named = fill(tree, iter(values))
            out = tree_map(convert, fun(*inner, **named))
            outputs[:] = [out, spread(out_axes, out)]
            for leaf, axis in zip(leaves(out), outputs[1], strict=True):
                if axis is None and is_batched(leaf):
                    raise ValueError("vmap: a result with out_axes=None depends on the mapped axis; give it an axis")
            return tuple(leaves(out))

        size = [torch.empty(axis_size, 0)] if axis_size is not None else [None]  # mapped if nothing else is
        mapped = torch.func.vmap(flat, (None if axis_size is None else 0, *dims))
        results = mapped(*size, *leaves(tree))
        placed = [r[0] if a is None else r.movedim(0, a) for r, a in zip(results, outputs[1], strict=True)]
        return fill(outputs[0], iter(placed))

    return call


def jit(fun, *, static_argnums=(), static_argnames=(), donate_argnums=(), donate_argnames=(), **options):
    """`torch.compile`: it specializes on every argument that is no tensor, so that static ones need
    no mark, and it takes no memory over from arguments, so that donation has nothing to permit."""
    _refuse("jit", options)
    return torch.compile(fun)


def checkpoint(fun, *, prevent_cse=True, policy=None, static_argnums=()):
    """Recomputes `fun` in the backward pass, under `torch.autograd` and under `torch.func`.

    The compiler chooses by itself what to compute again. Under forward mode, `vmap`, for functions that
    close over differentiated tensors or differentiate inside, values are kept: the results are the same.
    `prevent_cse` and `static_argnums` have nothing to do here: PyTorch merges no recomputed
    expressions in eager mode, and arguments that are no tensors stay what they are.
    """
    _refuse("checkpoint", {"policy": policy})

    @functools.wraps(fun)
    def call(*args, **kwargs):
        if torch.compiler.is_compiling():
            return fun(*args, **kwargs)
        stack = torch._C._functorch.get_interpreter_stack() or []
        if not stack:
            return _checkpointed(fun, args, kwargs)
        if any(i.key() != torch._C._functorch.TransformType.Grad for i in stack):
            return fun(*args, **kwargs)
        return _recomputed(fun, args, kwargs)

    return call


def _checkpointed(fun, args, kwargs):
    run = functools.partial(torch.utils.checkpoint.checkpoint, use_reentrant=False, preserve_rng_state=False)
    try:
        return run(fun, *args, **kwargs)
    except RuntimeError as error:  # `fun` has a transformation of `torch.func` inside, which refuses the hooks
        if "saved tensor hooks" not in str(error):
            raise
    return fun(*args, **kwargs)


def _recomputed(fun, args, kwargs):
    """`torch.func` refuses the hooks of `torch.utils.checkpoint`: an autograd function of the arguments."""
    tree = [list(args), kwargs]
    values = leaves(tree)
    tensors = [i for i, v in enumerate(values) if isinstance(v, torch.Tensor)]
    outputs = []

    def flat(*given):
        merged = list(values)
        for i, v in zip(tensors, given, strict=True):
            merged[i] = v
        inner, named = fill(tree, iter(merged))
        out = tree_map(convert, fun(*inner, **named))
        outputs[:] = [out]
        return tuple(leaves(out))

    captures = _Captures()

    def first(*given):
        with captures:
            return flat(*given)

    results = _Recompute.apply(first, flat, *[values[i] for i in tensors])
    if captures.found:  # their gradients would be lost
        return fun(*args, **kwargs)
    return fill(outputs[0], iter(results))


class _Captures(TorchFunctionMode):
    """Notices whether a function uses differentiated tensors that are not its arguments.

    The arguments arrive without the wrapper of the transformation; what a closure holds has it.
    """

    def __init__(self):
        super().__init__()
        self.found = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for x in leaves([list(args), kwargs]):
            if isinstance(x, torch.Tensor):
                self.found |= x.requires_grad or torch._C._functorch.is_functorch_wrapped_tensor(x)
        return func(*args, **kwargs)


class _Recompute(torch.autograd.Function):
    @staticmethod
    def forward(first, again, *tensors):
        given = {id(t) for t in tensors}
        return tuple(o.view_as(o) if id(o) in given else o for o in first(*tensors))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.again = inputs[1]
        ctx.save_for_backward(*inputs[2:])
        ctx.mark_non_differentiable(*[o for o in output if not o.dtype.is_floating_point])

    @staticmethod
    def backward(ctx, *cotangents):
        tensors = ctx.saved_tensors
        places = [i for i, t in enumerate(tensors) if t.dtype.is_floating_point]

        def run(*floats):
            merged = list(tensors)
            for i, t in zip(places, floats, strict=True):
                merged[i] = t
            return tuple(o for o in ctx.again(*merged) if o.dtype.is_floating_point)

        _, pull = torch.func.vjp(run, *[tensors[i] for i in places])
        gradients = [None] * len(tensors)
        given = [c for c in cotangents if c is not None and c.dtype.is_floating_point]
        for i, g in zip(places, pull(tuple(given)), strict=True):
            gradients[i] = g
        return (None, None, *gradients)


TRANSFORMS = {
    "grad": grad,
    "value_and_grad": value_and_grad,
    "vjp": vjp,
    "jvp": jvp,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "hessian": hessian,
    "vmap": vmap,
    "jit": jit,
    "checkpoint": checkpoint,
}
