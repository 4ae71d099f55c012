"""`Layer`: a stateful object with variables, over pure functions."""

from __future__ import annotations

import contextvars
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax

from compat.core import masks, naming, policy, remat, scope
from compat.core.operation import Operation, refuse_unknown
from compat.core.tracebacks import filtered
from compat.core.variable import Variable
from kfun import abstract, dtypes, ops
from kfun.graph import is_symbolic, record, replace, tensors
from kfun.spec import Spec

_training: contextvars.ContextVar[bool | None] = contextvars.ContextVar("compat_training", default=None)


class CallPlan:
    """What a `call` method takes, worked out once per class."""

    def __init__(self, call: Callable):
        parameters = list(inspect.signature(call).parameters.values())[1:]
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.training = "training" in self.names
        self.mask = "mask" in self.names
        self.masks = {n.removesuffix("_mask"): n for n in self.names if n.endswith("_mask")}


@functools.cache
def call_plan(cls: type) -> CallPlan:
    """The plan of a layer class's `call`."""
    return CallPlan(cls.call)


class Layer(Operation):
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
    _convert_inputs = True

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
        known = ("name", "dtype", "trainable", "activity_regularizer", "autocast", *_own_arguments(type(self)))
        refuse_unknown(type(self).__name__, kwargs, known)
        self._init_name(name)
        if width is not None:
            shape = (width,)
        if shape is not None or batch_shape is not None:
            self._input_shape_arg = tuple(batch_shape) if batch_shape is not None else (None, *shape)
        self.dtype_policy = policy.get(dtype)
        self.autocast = autocast
        self.activity_regularizer = _regularizer(activity_regularizer)
        self._trainable = bool(trainable)
        self.built = False

    # ---- variables ----

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._track(value)
        object.__setattr__(self, name, value)

    def _track(self, variable: Variable) -> None:
        own = self._kf.trainable if variable.trainable else self._kf.other
        if not any(v is variable for v in (*self._kf.trainable, *self._kf.other)):
            own.append(variable)

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable of this layer.

        Args:
            shape: sizes; () by default.
            initializer: a name, an initializer, or a function `(shape, dtype)`; by default
                Glorot uniform for floats, zeros for others.
            dtype: by default the policy's variable type.
            trainable: whether optimizers move it.
            autocast: whether it shows itself in the compute type.
            regularizer: a function of the value, added to the losses.
            constraint: a function of the value, applied after each optimizer step.
            aggregation: how copies on several devices combine.
            overwrite_with_gradient: whether the gradient is the new value.
            name: the last part of its path.
        """
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = dtypes.name(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtypes.is_float(dtype) else "zeros"
        with naming.at(self._kf.built_in or naming.path_of(self.name)):
            variable = Variable(
                _initializer(initializer), shape, dtype, trainable, autocast, aggregation, name=name or "variable"
            )
        variable.regularizer, variable.constraint = _regularizer(regularizer), _constraint(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        return variable

    def _parts(self) -> Iterator[Any]:
        """Layers, metrics, seed generators and variables among the attributes, in order."""
        seen: set[int] = set()
        for name, value in list(self.__dict__.items()):
            if not name.startswith("_kf"):
                yield from _tracked(value, seen)

    def _sublayers(self) -> list[Layer]:
        return [p for p in self._parts() if isinstance(p, Layer)]

    def _own(self) -> tuple[list[Variable], list[Variable]]:
        for part in self._parts():
            if isinstance(part, Variable):
                self._track(part)
        return self._kf.trainable, self._kf.other

    @property
    def variables(self) -> list[Variable]:
        """All variables: own, those of random seeds, and those of sublayers."""
        trainable, other = self._own()
        seeds = [p.state for p in self._parts() if hasattr(p, "next") and hasattr(p, "state")]
        found = [*trainable, *other, *seeds]
        for layer in self._sublayers():
            found += layer.variables
        return _unique(found)

    @property
    def weights(self) -> list[Variable]:
        """All variables but those of random seeds and metrics."""
        trainable, other = self._own()
        found = [*trainable, *other]
        for layer in self._sublayers():
            found += layer.weights
        return _unique(found)

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that optimizers move."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that optimizers move."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def trainable(self) -> bool:
        """Whether the layer's variables are trained; setting it sets them and all sublayers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for variable in self._own()[0]:
            variable.trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value

    def get_weights(self) -> list[Any]:
        """The weights as NumPy arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        """Sets the weights, in the order of `weights`.

        Raises:
            ValueError: if number or shapes differ.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has {len(own)} weights; received a list of {len(weights)}"
            )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of elements of all weights."""
        return sum(_size(v.shape) for v in self.weights)

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

    # ---- building ----

    def build(self, input_shape: Any) -> None:
        """Makes the variables; a subclass with `add_weight` in it overrides this."""
        self.built = True

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        if self.built:
            return
        self._kf.built_in = naming.path_of(self.name)
        with naming.under(self.name), jax.ensure_compile_time_eval():
            shapes = self._shapes_of(args, kwargs)
            if shapes is not None:
                self._kf.build_shapes = shapes
                self._run_build(shapes)
        self.built = True

    def _run_build(self, shapes: dict) -> None:
        names = list(inspect.signature(self.build).parameters)
        if len(names) == 1 or not any(n in shapes for n in names):
            self.build(next(iter(shapes.values())))
        else:
            self.build(**{n: shapes[n] for n in names if n in shapes})

    def _shapes_of(self, args: tuple, kwargs: dict) -> dict | None:
        """`{"<argument>_shape": shape}` of the arguments that are arrays."""
        plan = call_plan(type(self))
        named = dict(zip(plan.names, args, strict=False)) | kwargs
        if len(args) > len(plan.names):
            named["inputs"] = args[0]
        shapes = {f"{n}_shape": _shapes(v) for n, v in named.items() if _is_data(v)}
        return shapes or None

    # ---- calling ----

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the layer; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, inputs)")

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "dtype_policy" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before anything else")
        if self._convert_inputs:
            args, kwargs = self._converted(args), self._converted(kwargs)
        plan = call_plan(type(self))
        self._check_inputs(args)
        self._build_for(args, kwargs)
        if is_symbolic((args, kwargs)):  # records what was said; what was not is told when the graph runs
            if not plan.training and not plan.takes_any:
                kwargs.pop("training", None)
            return self._symbolic(args, kwargs)
        training = kwargs.get("training")
        if training is None:
            training = _training.get()
        if training is None:
            training = plan.defaults.get("training")
        if plan.training and training is not None:
            kwargs["training"] = training
        elif not plan.training and not plan.takes_any:
            kwargs.pop("training", None)
        previous = self._fill_masks(plan, args, kwargs)
        token = _training.set(training)
        try:
            outputs = self._in_compute_dtype(args, kwargs)
        finally:
            _training.reset(token)
        self._after_call(outputs, args, previous)
        return outputs

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
        if isinstance(tree, (list, tuple)) and any(_is_data(v) for v in tree):
            items = [self._converted(v) for v in tree]
            return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
        if not hasattr(tree, "dtype") or not hasattr(tree, "shape") or isinstance(tree, Variable):
            return tree
        if self.autocast and dtypes.name(tree.dtype) != self.compute_dtype and _castable(tree, self.compute_dtype):
            mask = masks.get(tree)
            tree = ops.cast(tree, self.compute_dtype)
            if mask is not None:
                masks.put(tree, mask)
        elif type(tree).__module__ == "numpy":
            tree = ops.convert_to_tensor(tree)
        return tree

    def _check_inputs(self, args: tuple) -> None:
        spec = self.__dict__.get("input_spec")
        if spec is not None and args:
            from compat.core.input_spec import check

            check(spec, args[0], self)

    def _fill_masks(self, plan: CallPlan, args: tuple, kwargs: dict) -> Any:
        """Gives `call` the masks of its inputs where it takes them; the first input's mask."""
        first = masks.of(args[0]) if args else None
        if plan.mask:
            given = kwargs.get("mask")
            if given is None and first is not None:
                kwargs["mask"] = first
            return kwargs.get("mask")
        for name, value in zip(plan.names, args, strict=False):
            wanted = plan.masks.get(name)
            if wanted is not None and kwargs.get(wanted) is None:
                found = masks.of(value)
                if found is not None:
                    kwargs[wanted] = found
        return first

    def _after_call(self, outputs: Any, args: tuple, previous: Any) -> None:
        if self.activity_regularizer is not None:
            for output in jax.tree.leaves(outputs):
                loss = self.activity_regularizer(output)
                self.add_loss(ops.divide(loss, ops.cast(ops.shape(output)[0], loss.dtype)) if output.ndim else loss)
        if self.supports_masking:
            mask = self.compute_mask(args[0] if args else None, previous)
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

    def _symbolic(self, args: tuple, kwargs: dict) -> Any:
        outputs = self.compute_output_spec(*args, **kwargs)
        outputs = replace(outputs, lambda t: t.spec, _symbolic_type())
        made = record(self, args, kwargs, outputs)
        first = next(tensors(made), None)
        if first is not None:
            self._kf.nodes.append(first.node)
            for tensor in tensors(made):
                tensor.name = tensor.name or f"{self.name}_output"
        return made

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Specs of the outputs for symbolic tensors, found by an abstract run of `call`."""
        if type(self).compute_output_shape is not Layer.compute_output_shape and len(list(tensors(args))) == 1:
            shape = self.compute_output_shape(next(tensors(args)).shape)
            return _specs_of_shapes(shape, self.compute_dtype)
        return self._run_abstract(args, kwargs)

    def _run_abstract(self, args: tuple, kwargs: dict) -> Any:
        known = list(tensors((args, kwargs)))

        def run(*arrays: Any) -> Any:
            arrays = iter(arrays)
            filled, named = replace((args, kwargs), lambda _: next(arrays), _symbolic_type())
            with scope.Scope(abstract=True):
                return self._in_compute_dtype(filled, named)

        return abstract.evaluate(run, *(t.spec for t in known))

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes of the outputs for shapes of the inputs."""
        shapes = [*args, *kwargs.values()]
        symbolic = [replace_shapes(s, self.compute_dtype) for s in shapes]
        self._build_for(tuple(symbolic), {})
        return replace(self.compute_output_spec(*symbolic), lambda s: s.shape, (Spec, _symbolic_type()))

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

    # ---- losses ----

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to the losses of this call."""
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            inside = scope.current()
            if inside is not None:
                inside.added.append((self, value))
            else:
                self._kf.losses.append(value)

    def _all_layers(self) -> list[Layer]:
        found = [self]
        for layer in self._sublayers():
            found += layer._all_layers()
        return _unique(found)

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

    def _clear_losses(self) -> None:
        for layer in self._all_layers():
            layer._kf.losses.clear()

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and its sublayers."""
        from compat.metrics import Metric

        found = [p for p in self._parts() if isinstance(p, Metric)]
        for layer in self._sublayers():
            found += layer.metrics
        return _unique(found)

    @property
    def metrics_variables(self) -> list[Variable]:
        """The variables of the metrics."""
        return [v for m in self.metrics for v in m.variables]

    # ---- config ----

    def get_config(self) -> dict:
        """The constructor's arguments, from which `from_config` makes the layer again."""
        from compat.saving import serialize_keras_object

        config = {"name": self.name, "trainable": self.trainable}
        config["dtype"] = serialize_keras_object(self.dtype_policy)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        if type(self).get_config is Layer.get_config:
            recorded = {k: v for k, v in self._recorded_config().items() if k not in config}
            config |= {k: serialize_keras_object(v) for k, v in recorded.items()}
        return config

    @classmethod
    def from_config(cls, config: dict) -> Layer:
        """A layer of the config that `get_config` gave."""
        return cls(**config)

    def get_build_config(self) -> dict | None:
        """The shapes that the layer was built for."""
        shapes = self._kf.build_shapes
        if shapes is None:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict) -> None:
        """Builds the layer for the shapes of `get_build_config`."""
        if not config or self.built:
            return
        shapes = config.get("shapes_dict") or {"inputs_shape": config.get("input_shape")}
        self._kf.built_in, self._kf.build_shapes = naming.path_of(self.name), shapes
        with naming.under(self.name):
            self._run_build({k: _tuples(v) for k, v in shapes.items()})
        self.built = True

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables into a mapping, numbered."""
        for i, v in enumerate(self._own()[0] + self._own()[1]):
            store[str(i)] = v.numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads the layer's own variables from a mapping, numbered.

        Raises:
            ValueError: if the numbers do not fit.
        """
        own = self._own()[0] + self._own()[1]
        if len(own) != len(store):
            hint = "" if self.built else " The layer is not built yet: call it on data, or build it, first."
            raise ValueError(
                f"layer {self.name!r} expected {len(own)} variables; the file has {len(store)} for it.{hint}"
            )
        for i, v in enumerate(own):
            v.assign(store[str(i)])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _own_arguments(cls: type) -> list[str]:
    return [n for n in inspect.signature(cls.__init__).parameters if n not in ("self", "kwargs", "args")]


def _tracked(value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _tracked(item, seen)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tracked(item, seen)
    elif (isinstance(value, (Variable, Layer)) or hasattr(value, "_tracked_by_layers")) and id(value) not in seen:
        seen.add(id(value))
        yield value


def _unique(items: list[Any]) -> list[Any]:
    return list({id(i): i for i in items}.values())


def _size(shape: tuple) -> int:
    total = 1
    for s in shape:
        total *= s
    return total


def _symbolic_type() -> type:
    from kfun.graph import SymbolicTensor

    return SymbolicTensor


def _is_data(value: Any) -> bool:
    """Whether a call argument is an array, or holds some."""
    if isinstance(value, (list, tuple)):
        return any(_is_data(v) for v in value)
    if isinstance(value, dict):
        return any(_is_data(v) for v in value.values())
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _shapes(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shapes(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shapes(v) for v in value]
    return Spec.of(value).shape if value is not None else None


def _tuples(shape: Any) -> Any:
    """Shapes read from JSON: lists of sizes become tuples, lists of shapes stay lists."""
    if isinstance(shape, dict):
        return {k: _tuples(v) for k, v in shape.items()}
    if isinstance(shape, (list, tuple)):
        return tuple(shape) if all(s is None or isinstance(s, int) for s in shape) else [_tuples(s) for s in shape]
    return shape


def replace_shapes(shapes: Any, dtype: str) -> Any:
    """Symbolic tensors for a shape, or a list or dict of shapes."""
    if isinstance(shapes, dict):
        return {k: replace_shapes(v, dtype) for k, v in shapes.items()}
    if isinstance(shapes, (list, tuple)) and all(s is None or isinstance(s, int) for s in shapes):
        return _symbolic_type()(Spec(tuple(shapes), dtype))
    return [replace_shapes(s, dtype) for s in shapes]


def _specs_of_shapes(shapes: Any, dtype: str) -> Any:
    return replace(replace_shapes(shapes, dtype), lambda t: t.spec, _symbolic_type())


def _castable(x: Any, to: str) -> bool:
    return dtypes.is_float(dtypes.name(x.dtype)) and dtypes.is_float(to)


def _attach(outputs: Any, mask: Any) -> None:
    leaves, given = jax.tree.leaves(outputs), jax.tree.leaves(mask, is_leaf=lambda m: m is None)
    for output, m in zip(leaves, given, strict=False):
        if m is not None:
            masks.put(output, m)


def _raw(value: Any) -> Any:
    return value.value if isinstance(value, Variable) else value


def _initializer(identifier: Any) -> Any:
    from compat import initializers as face

    return face.definition_of(identifier)


def _regularizer(identifier: Any) -> Any:
    if identifier is None:
        return None
    from compat import regularizers

    return regularizers.get(identifier)


def _constraint(identifier: Any) -> Any:
    if identifier is None:
        return None
    from compat import constraints

    return constraints.get(identifier)
