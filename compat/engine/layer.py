"""`Layer`: a stateful object with variables, over pure functions."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import jax

from compat.engine import call_context
from compat.engine.buildable import Buildable
from compat.engine.call_context import CallPlan, call_plan
from compat.engine.input_spec import check
from compat.engine.persistence import opened
from compat.engine.tracebacks import filtered
from compat.engine.tracking import regularizer_of
from compat.state import masks, naming, policy, remat, scope
from compat.state.changes import note_change, quiet_setter
from compat.state.shapes import is_data, replace_shapes, specs_of_shapes
from compat.variables.variable import Variable
from kfun import abstract, dtypes, ops
from kfun.errors import refuse_unknown
from kfun.graph import SymbolicTensor, is_symbolic, replace, tensors
from kfun.spec import Spec


class Layer(Buildable):
    """A layer that holds its variables.

    A subclass makes variables in `__init__` or `build(input_shape)` with `add_weight`, and
    computes in `call(*inputs)`, which may take `training` and `mask`.

    Args:
        activity_regularizer: a function of the output that is added to the losses.
        trainable: whether the variables are trained.
        dtype: a dtype or a policy, of variables and computation.
        autocast: whether floating inputs and variables are cast to the compute type.
        name: by default the class in snake case, numbered.
    """

    supports_masking = False
    supports_jit = True
    input_spec: Any = None
    quantization_mode: str | None = None
    _convert_inputs = True
    _masks_inside = False  # whether masks are known only while it runs, as in a whole model

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__ and not cls.__module__.startswith(("compat.engine.", "compat.models.")):
            cls.build = opened(cls.build)
        if "compute_mask" in cls.__dict__ and "supports_masking" not in cls.__dict__:
            cls.supports_masking = True

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        shape = kwargs.pop("input_shape", None)
        batch_shape = kwargs.pop("batch_input_shape", None)
        width = kwargs.pop("input_dim", None)
        if kwargs:
            known = ("name", "dtype", "trainable", "activity_regularizer", "autocast", *_own_arguments(type(self)))
            refuse_unknown(type(self).__name__, kwargs, known)
        self._init_name(name)
        if width is not None:
            shape = (width,)
        if shape is not None or batch_shape is not None:
            self._input_shape_arg = tuple(batch_shape) if batch_shape is not None else (None, *shape)
        keep = quiet_setter(type(self))
        keep(self, "dtype_policy", policy.get(dtype))
        keep(self, "autocast", autocast)
        penalty = None if activity_regularizer is None else regularizer_of(activity_regularizer)
        keep(self, "activity_regularizer", penalty)
        if not isinstance(trainable, bool):
            raise ValueError(f"{type(self).__name__}: expected `trainable` to be a boolean; received {trainable!r}")
        keep(self, "_trainable", trainable)
        keep(self, "built", False)
        note_change()

    def _settled_policy(self, value: Any) -> Any:
        note_change()
        return policy.get(value)

    _kf_setters = {"dtype_policy": _settled_policy}

    # ---- types ----

    @property
    def dtype(self) -> str:
        """The type of the variables."""
        return self._own_policy().variable_dtype

    @property
    def variable_dtype(self) -> str:
        """The type of the variables."""
        return self._own_policy().variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type of the computation."""
        return self._own_policy().compute_dtype

    def _own_policy(self) -> Any:
        given = self.dtype_policy
        return given[self.path] if given.by_path else given

    input_dtype = compute_dtype

    @property
    def path(self) -> str:
        """The names of the layers around this one and its own, joined by "/"."""
        return self._kf.built_in or self.name

    # ---- calling ----

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the layer; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} has no `call` method: define call(self, inputs)")

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "dtype_policy" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else")
        if self._convert_inputs:
            args, kwargs = self._converted(args), self._converted(kwargs) if kwargs else kwargs
        context = call_context.CONTEXT.get()
        if context is not None:
            return self._call_in(context, args, kwargs)
        context, token = call_context.begin(self)
        try:
            return self._call_in(context, args, kwargs)
        finally:
            call_context.CONTEXT.reset(token)

    def _call_in(self, context: call_context.CallContext, args: tuple, kwargs: dict) -> Any:
        plan = call_plan(type(self))
        self._check_inputs(args)
        self._build_for(args, kwargs)
        if is_symbolic((args, kwargs)):  # records what was said; what was not is told when the graph runs
            if not plan.training and not plan.takes_any:
                kwargs.pop("training", None)
            with naming.at(self._scope()):
                return self.symbolic_call(*args, **kwargs)
        context.resolve(plan, kwargs)
        previous = self._fill_masks(plan, args, kwargs)
        with naming.at(self._scope()):
            outputs = self._in_compute_dtype(args, kwargs)
        self._after_call(outputs, args[0] if args else kwargs.get(plan.names[0] if plan.names else ""), previous)
        return outputs

    def _scope(self) -> str:
        """The path of names that what is made inside has in front, settled by the first call."""
        if not self._kf.built_in:
            self._kf.built_in = naming.path_of(self.name)
        return self._kf.built_in

    def _in_compute_dtype(self, args: tuple, kwargs: dict) -> Any:
        mixed = self.compute_dtype != self.variable_dtype
        outer = scope.autocast_dtype()
        call = self.call if self._kf.remat is None else remat.call_of(self)
        if not mixed and outer is None:
            return call(*args, **kwargs)
        wanted = self.compute_dtype if self.autocast and dtypes.is_float(self.compute_dtype) else None
        with scope.autocast(wanted):
            return call(*args, **kwargs)

    def _converted(self, tree: Any) -> Any:
        """Arrays of other libraries made native; floats cast to the compute type."""
        if isinstance(tree, dict):
            return {k: self._converted(v) for k, v in tree.items()}
        if type(tree) is tuple:
            return tuple([self._converted(v) for v in tree])
        if isinstance(tree, (list, tuple)) and any(is_data(v) for v in tree):
            items = [self._converted(v) for v in tree]
            return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
        if isinstance(tree, (Variable, SymbolicTensor)) or not hasattr(tree, "dtype") or not hasattr(tree, "shape"):
            return tree  # what is symbolic is converted when the graph runs
        if self.autocast and dtypes.name(tree.dtype) != self.compute_dtype and _castable(tree, self.compute_dtype):
            mask = masks.get(tree)
            tree = ops.cast(tree, self.compute_dtype)
            if mask is not None:
                masks.put(tree, mask)
        elif type(tree).__module__ == "numpy":
            tree = ops.convert_to_tensor(tree)
        return tree

    def _check_inputs(self, args: tuple) -> None:
        if self._convert_inputs and not (len(args) == 1 and hasattr(args[0], "shape")):
            for leaf in jax.tree.leaves(args):
                if not hasattr(leaf, "shape"):
                    raise ValueError(
                        f"layer {self.name!r}: arguments by position must be tensors; received "
                        f"{leaf!r:.100} ({type(leaf).__name__}). Pass other arguments by keyword, and lists of numbers "
                        "as arrays (numpy.array)"
                    )
        spec = self.__dict__.get("input_spec")
        if spec is not None and args:
            check(spec, args[0], self)

    def _fill_masks(self, plan: CallPlan, args: tuple, kwargs: dict) -> Any:
        """Gives `call` the masks of its inputs where it takes them, as Keras does; the mask of the whole.

        `mask` is filled if there is one argument with tensors: a recurrent layer that is given an initial
        state is not given the mask of its sequences. Of several arguments each has a mask of its own name.
        """
        named = dict(zip(plan.names, args, strict=False)) | kwargs
        first = masks.of(args[0] if args else named.get(plan.names[0] if plan.names else ""))
        given = named.get("mask") if plan.mask else None
        if given is not None:
            return given
        if sum(is_data(value) for value in named.values()) > 1:
            for name, value in named.items():
                wanted = plan.masks.get(name)
                found = masks.of(value) if wanted is not None and named.get(wanted) is None else None
                if found is not None:
                    kwargs[wanted] = found
        elif plan.mask and first is not None:
            kwargs["mask"] = first
        return first

    def _after_call(self, outputs: Any, first: Any, previous: Any) -> None:
        if self.activity_regularizer is not None:
            for output in jax.tree.leaves(outputs):
                loss = self.activity_regularizer(output)
                count = ops.cast(ops.shape(output)[0], loss.dtype) if output.ndim else 1
                self.add_loss(ops.divide_no_nan(loss, count))
        if self.supports_masking:
            mask = self.compute_mask(first, previous)
            if mask is not None:
                _attach(outputs, mask)
        elif previous is not None and jax.tree.leaves(previous):
            warnings.warn(
                f"Layer {self.name!r} ({type(self).__name__}) received an input with a mask but does not support "
                "masking: later layers will not see the mask",
                stacklevel=3,
            )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the outputs; by default that of the inputs."""
        return previous_mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Specs of the outputs for symbolic tensors, found by an abstract run of `call`."""
        if type(self).compute_output_shape is not Layer.compute_output_shape and len(list(tensors(args))) == 1:
            shape = self.compute_output_shape(next(tensors(args)).shape)
            return specs_of_shapes(shape, self.compute_dtype)
        return self._run_abstract(args, kwargs)

    def _run_abstract(self, args: tuple, kwargs: dict) -> Any:
        known = list(tensors((args, kwargs)))

        def run(*arrays: Any) -> Any:
            arrays = iter(arrays)
            filled, named = replace((args, kwargs), lambda _: next(arrays), SymbolicTensor)
            if self._convert_inputs:
                filled, named = self._converted(filled), self._converted(named)
            with scope.Scope(abstract=True):
                return self._in_compute_dtype(filled, named)

        return abstract.evaluate(run, *(t.spec for t in known))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes of the outputs for shapes of the inputs."""
        shapes = [*args, *kwargs.values()]
        symbolic = [replace_shapes(s, self.compute_dtype) for s in shapes]
        self._build_for(tuple(symbolic), {})
        return replace(self.compute_output_spec(*symbolic), lambda s: s.shape, (Spec, SymbolicTensor))

    def stateless_call(
        self, trainable_variables: Any, non_trainable_variables: Any, *args: Any, return_losses: bool = False, **kwargs
    ) -> tuple:
        """Calls the layer as a pure function of its variables' values.

        Args:
            trainable_variables, non_trainable_variables: values in the order of the attributes
                of these names.
            args, kwargs: what the layer is called with.
            return_losses: whether to give the losses too.

        Returns:
            `(outputs, new non-trainable values)`, and the losses if asked for.

        Raises:
            ValueError: if the layer is not built, or the numbers of values do not fit.
        """
        if not self.built:
            raise ValueError(f"{type(self).__name__} {self.name!r} must be built first: call it on data once")
        own, others = self.trainable_variables, self.non_trainable_variables
        for kind, variables, values in (
            ("trainable", own, trainable_variables),
            ("non-trainable", others, non_trainable_variables),
        ):
            if len(variables) != len(values):
                raise ValueError(f"{self.name!r} has {len(variables)} {kind} variables; received {len(values)} values")
        given = dict(zip([*own, *others], [*map(_raw, trainable_variables), *map(_raw, non_trainable_variables)],
                         strict=True))  # fmt: skip
        with scope.Scope(given) as inside:
            outputs = self(*args, **kwargs)
            losses = self.losses if return_losses else None
        new = [inside.get(v) for v in others]
        return (outputs, new, losses) if return_losses else (outputs, new)

    @property
    def call_signature_parameters(self) -> list[str]:
        """The names of the arguments of `call`."""
        return list(inspect.signature(self.call).parameters)

    # ---- losses ----

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to the losses of this call."""
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            call_context.keep_loss(self, value)

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Not in Keras 3: make a metric an attribute and call its `update_state`."""
        raise NotImplementedError(
            "add_metric: keep a metric as an attribute, such as self.tracker = keras.metrics.Mean(), and call its "
            "update_state in `call`; its result is in the logs"
        )

    def _clear_losses(self) -> None:
        call_context.clear_losses(self)

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` left in the last call, and the regularizers of the trained variables."""
        inside = scope.current()
        layers = self._all_layers()
        if inside is not None:
            ids = {id(layer) for layer in layers}
            found = [value for layer, value in inside.added if id(layer) in ids]
        else:
            found = [value for layer in layers for value in layer._kf.losses]
        regularized = [v for v in self.trainable_weights if v.regularizer is not None]
        return found + [v.regularizer(v.value) for v in regularized]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _own_arguments(cls: type) -> list[str]:
    return [n for n in inspect.signature(cls.__init__).parameters if n not in ("self", "kwargs", "args")]


def _castable(x: Any, to: str) -> bool:
    return dtypes.is_float(dtypes.name(x.dtype)) and dtypes.is_float(to)


def _attach(outputs: Any, mask: Any) -> None:
    leaves, given = jax.tree.leaves(outputs), jax.tree.leaves(mask, is_leaf=lambda m: m is None)
    if all(masks.get(output) is not None for output in leaves):  # layers inside have said it
        return
    for output, m in zip(leaves, given, strict=False):
        if m is not None:
            masks.put(output, m)


def _raw(value: Any) -> Any:
    return value.value if isinstance(value, Variable) else value
