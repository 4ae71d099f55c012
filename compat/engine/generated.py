"""`Generated`: the base of layers that are made of kfun's definitions.

A generated layer holds Keras's arguments as attributes, makes a definition of them, gives it the
values of its variables, and puts the new state back. No mathematics happens here.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

from compat import activations, initializers
from compat.engine import row_independence, spec_memo
from compat.engine.layer import Layer, call_plan
from compat.engine.operation import Operation
from compat.engine.persistence import opened
from compat.engine.provenance import ours
from compat.engine.tracking import constraint_of, regularizer_of
from compat.initializers import new_seed
from compat.serialization import faces
from compat.serialization.objects import PLAIN, serialize_keras_object
from compat.serialization.registry import lend_for
from compat.state import padded_rows, remat, scope, settings
from compat.state.changes import note_change
from compat.variables.seeds import SeedGenerator
from kfun import dtypes, ops
from kfun.graph import tensors
from kfun.layer import Layer as Definition
from kfun.layer import declared_by
from kfun.spec import Spec
from kfun.weights import Weight

_LAYER_ARGUMENTS = (
    "name", "dtype", "trainable", "autocast", "activity_regularizer", "input_shape", "batch_input_shape", "input_dim",
)  # fmt: skip
_RATES = ("rate", "dropout", "recurrent_dropout", "stddev")


class Part(Layer):
    """A group of a layer's variables that Keras keeps in a sublayer, such as a cell."""

    def call(self, *inputs: Any) -> Any:
        raise TypeError(f"{self.name!r} holds variables of the layer around it and is not called by itself")

    def _is_pure(self) -> bool:
        return True

    def _keeps_rows_apart(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        """The layer's argument or weight of this name, such as `lstm.cell.units`."""
        owner = None if name[:1] == "_" else self.__dict__.get("_kf_owner")
        if owner is None or (name not in owner._parameters and name != "state_size"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(owner, name)


class Generated(Layer):
    """Base of generated layers."""

    definition_class: type[Definition]
    _fields: tuple[str, ...] = ()  # the arguments that are fields of the definition
    _parameters: dict[str, Any] = {}  # all arguments with their defaults
    _children: dict[str, tuple[str, str]] = {}  # subtree of the weights -> (attribute, name of the part)
    _omitted: frozenset[str] = frozenset()  # arguments that are not in a config while they are None
    _renamed: dict[str, str] = {}  # arguments that are kept under another name than their own
    _constants: dict[str, Any] = {}  # what Keras's config has beside its arguments
    _takes_list = False  # whether the first argument is a list of inputs
    _random = False
    _seeded = "if drawn"  # when the seed generator is made: "first", "last", "in build", "if drawn" from
    _ready = False  # whether it is built as soon as it is made, unless a subclass has a `build` of its own
    _wide = False  # whether inputs and variables keep their types, and only the outputs get the compute type
    _optional: tuple[str, ...] = ()  # weights that are None where the layer goes without
    _sized: tuple[str, ...] = ()  # arguments by which constants are made as soon as the output's shape is asked for
    supports_masking = True

    def __init__(self, *args: Any, **kwargs: Any):
        own, rest = faces.bind(type(self).__name__, self._parameters, args, kwargs, _LAYER_ARGUMENTS)
        if "activity_regularizer" in own:
            rest.setdefault("activity_regularizer", own.pop("activity_regularizer"))
        rest |= {n: own.pop(n) for n in ("name", "dtype") if n in own}
        super().__init__(**rest)
        if self._random and self._seeded == "first":
            self.seed_generator = SeedGenerator(own["seed"])
        self.autocast = self.autocast and not self._wide
        for name, value in own.items():
            settle = _settler(name, value is None)
            object.__setattr__(self, self._renamed.get(name, name), value if settle is None else settle(value))
        self._normalize()
        if self._random and (self._seeded == "last" or (self._seeded == "if drawn" and self._draws())):
            self.seed_generator = SeedGenerator(self.seed)
        for name in self._sized:  # one inside another layer is run by its definition, and priced here alone
            lend_for(getattr(self, name), f"{type(self).__name__} with {name}={getattr(self, name)!r:.40}")
        if self._ready and type(self).build is Generated.build:
            self.built = True

    def _draws(self) -> bool:
        return any(getattr(self, rate, 0) for rate in _RATES)

    def _normalize(self) -> None:
        """Makes the arguments what the definition makes of them: sizes to tuples, names to functions."""
        definition = None
        for name in self._fields:
            if not name.endswith("_initializer") and not isinstance(getattr(self, name), Operation):
                definition = self.definition if definition is None else definition
                object.__setattr__(self, name, getattr(definition, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._fields:
            self.__dict__.pop("_definition", None)
        if self.__dict__.get("built"):
            note_change()
        super().__setattr__(name, value)

    @property
    def definition(self) -> Any:
        """The kfun definition of the layer's present arguments."""
        made = self.__dict__.get("_definition")
        if made is None:
            fields = {}
            for name in self._fields:
                value = getattr(self, name)
                fields[name] = value if type(value) in PLAIN else self._field(value)
            made = self.definition_class(**fields)
            self.__dict__["_definition"] = made
        return made

    def _field(self, value: Any) -> Any:
        if isinstance(value, Generated):
            return value.definition
        return initializers.definition_of(value) if isinstance(value, initializers.Initializer) else value

    @opened
    def build(self, input_shape: Any) -> None:
        """Makes the variables that the definition declares for an input, or a list of inputs, of this shape."""
        self._make_variables(input_shape)

    def _make_variables(self, *shapes: Any) -> None:
        # A layer of the user's inside is run on specs for it: nothing is drawn for that.
        with contextlib.nullcontext() if scope.current() is not None else scope.Scope(abstract=True):
            declared = declared_by(self.definition, *map(Spec, self._flat_shapes(shapes)))
        self._adopt(declared, [])
        for name in self._optional:
            if name not in self.__dict__:
                object.__setattr__(self, name, None)
        self.built = True

    def _flat_shapes(self, shapes: tuple) -> list[tuple]:
        if self._takes_list and len(shapes) == 1 and not _is_shape(shapes[0]):
            return [tuple(s) for s in shapes[0]]
        return [tuple(s) for s in shapes if s is not None]

    def _run_build(self, shapes: dict) -> None:
        first = f"{call_plan(type(self)).names[0]}_shape"
        self.build(shapes[first] if first in shapes else next(iter(shapes.values())))

    def _adopt(self, declared: dict, used: list) -> None:
        """Makes a variable for each declared weight; nested ones belong to parts or sublayers."""
        tree: dict[str, Any] = {}
        for name, weight in declared.items():
            if isinstance(weight, Weight):
                tree[name] = self._variable(name, weight, used)
            else:
                tree[name] = self._child(name)
                if not tree[name].built:  # a layer that a file holds built keeps its variables
                    Generated._adopt(tree[name], weight, used)
                    tree[name].built = True
        self.__dict__["_kf_tree"] = tree

    def _variable(self, name: str, weight: Weight, used: list) -> Any:
        owner = self.__dict__.get("_kf_owner", self)
        variable = self.add_weight(
            weight.shape,
            owner._initializer(weight.initializer, used),
            weight.dtype,
            weight.trainable,
            weight.autocast,
            name=name,
        )
        variable.trainable = weight.trainable and self.trainable
        stem = {"embeddings": "embeddings", "recurrent_kernel": "recurrent", "depthwise_kernel": "depthwise"}.get(
            name, name
        )
        if (regularizer := getattr(owner, f"{stem}_regularizer", None)) is not None:
            variable.regularizer = regularizer
        if (constraint := getattr(owner, f"{stem}_constraint", None)) is not None:
            variable.constraint = constraint
        object.__setattr__(self, self._attribute(name), variable)
        return variable

    def _attribute(self, name: str) -> str:
        """The attribute under which a weight or a group of weights is found."""
        return name

    def _initializer(self, initializer: Any, used: list) -> Any:
        """The initializer of a weight: one that served another weight already draws from a seed of its own."""
        if getattr(initializer, "seed", None) is None:
            return initializer
        if initializer in used:
            initializer = initializer.replace(seed=new_seed())
        used.append(initializer)
        return initializer

    def _child(self, name: str) -> Any:
        attribute, shown = self._children.get(name) or (self._attribute(name), name)
        child = self.__dict__.get(attribute)
        if not isinstance(child, Layer):
            child = new_part(shown, self)
            object.__setattr__(self, attribute, child)
        child._kf.built_in = f"{self._kf.built_in or self.name}/{child.name}"
        return child

    def gather(self) -> tuple[dict, dict]:
        """`(params, state)` of the definition from the values of the variables."""
        return _gather(self)

    def put(self, state: dict) -> None:
        """Puts a new state into the variables."""
        _put(self, state)

    def call(self, inputs: Any, **call_args: Any) -> Any:
        """Applies the definition; the arguments beside the inputs are its own."""
        if self._takes_list and isinstance(inputs, (list, tuple)):
            return self._apply(tuple(inputs), call_args)
        return self._apply((inputs,), call_args)

    def _apply(self, inputs: tuple, call_args: dict) -> Any:
        call_args = {k: v for k, v in call_args.items() if v is not None}
        training = call_args.pop("training", False)
        params, state = self.gather()
        key = self._key(training)
        definition = remat.definition_of(self)
        if training and definition.pools_rows:
            call_args["mask"] = padded_rows.mask_for(inputs[0], call_args.get("mask"))
        outputs, new = definition.apply(params, state, *inputs, key=key, training=training, **call_args)
        if new:
            self.put(new)
        return self._narrowed(outputs) if self._wide else outputs

    def _is_own(self) -> bool:
        """Whether its definition and variables say all that the layer does, and it leaves nothing behind."""
        if not ours(type(self)) or type(self).__module__.endswith("_ecosystem"):
            return False
        if self.activity_regularizer is not None or getattr(self, "stateful", False):
            return False
        for name, value in vars(self).items():
            if type(value) not in PLAIN and not name.startswith("_") and inspect.isroutine(value) and not ours(value):
                return False
        return True

    def _is_pure(self) -> bool:
        return self._is_own() and all(layer._is_pure() for layer in self._sublayers())

    def _keeps_rows_apart(self) -> bool:
        return row_independence.in_layer(self)

    def _run_abstract(self, args: tuple, kwargs: dict) -> Any:
        """The specs of the outputs; layers of one definition, but for how weights begin, share one run.

        Of the inputs only the form counts. The run is on zeros in place of variables that have no value yet.
        """
        for name in self._sized:
            longest = max((n for t in tensors((args, kwargs)) for n in t.shape if n is not None), default=1)
            unit = 4 * longest * (longest if name == "size" else 1)  # from each place to each new one
            lend_for(getattr(self, name), f"{type(self).__name__} on an axis of {longest:,}", unit)
        if self._sublayers() or not self._is_own():
            return super()._run_abstract(args, kwargs)
        key = spec_memo.key_of(self, self.definition, (args, kwargs))
        return spec_memo.recall(key, lambda: super(Generated, self)._run_abstract(args, kwargs))

    def _narrowed(self, outputs: Any) -> Any:
        """A floating array in the compute type."""
        if dtypes.name(outputs.dtype) == self.compute_dtype or not dtypes.is_float(self.compute_dtype):
            return outputs
        return ops.cast(outputs, self.compute_dtype)

    def _key(self, training: bool) -> Any:
        """The random key of a call."""
        return self.seed_generator.next() if training and "seed_generator" in self.__dict__ else None

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the outputs, as the definition has it."""
        given = tuple(inputs) if self._takes_list and isinstance(inputs, (list, tuple)) else (inputs,)
        return self.definition.compute_mask(*given, mask=previous_mask)

    def get_config(self) -> dict:
        """The constructor's arguments, in Keras's form."""
        config = self._constants | super().get_config()
        for name in self._parameters:
            if name not in ("weights", "name", "dtype"):
                config[name] = serialize_keras_object(getattr(self, name))
        return {k: v for k, v in config.items() if v is not None or k not in self._omitted}


@functools.cache
def _settler(argument: str, absent: bool) -> Callable[[Any], Any] | None:
    """What makes of an argument's value, or of None, what the layer keeps; None if that is the value itself."""
    if argument == "data_format":
        return _data_format
    if argument.endswith("activation"):
        return activations.get
    ends = {"_initializer": initializers.get, "_regularizer": regularizer_of, "_constraint": constraint_of}
    return None if absent else next((settle for end, settle in ends.items() if argument.endswith(end)), None)


def _data_format(value: Any) -> Any:
    return settings.values["image_data_format"] if value is None else value


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(s is None or isinstance(s, int) for s in value)


def new_part(name: str, owner: Layer, cls: type[Part] = Part) -> Part:
    """A part of a layer, for a subtree of its weights."""
    part = cls(name=name, dtype=owner.dtype_policy)
    part.__dict__["_kf_owner"] = root = owner.__dict__.get("_kf_owner", owner)
    part.__dict__["_children"] = {}
    part.__dict__["_attribute"] = type(root)._attribute.__get__(part)
    for method in ("_variable", "_child"):
        part.__dict__[method] = getattr(Generated, method).__get__(part)
    return part


def _gather(layer: Layer) -> tuple[dict, dict]:
    params: dict = {}
    state: dict = {}
    for name, item in layer.__dict__.get("_kf_tree", {}).items():
        if isinstance(item, Layer):
            p, s = item.gather() if isinstance(item, Generated) else _gather(item)
            if p:
                params[name] = p
            if s:
                state[name] = s
        else:
            (params if item._declared_trainable else state)[name] = item.value
    return params, state


def _put(layer: Layer, state: dict) -> None:
    for name, value in state.items():
        item = layer.__dict__["_kf_tree"][name]
        if isinstance(value, dict):
            _put(item, value)
        else:
            item.assign(value)
