"""What layers and other callables have in common: names, nodes, and a recorded constructor call."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self

from compat.engine.tracebacks import filtered
from compat.serialization.patterns import LONGEST_NAME
from compat.serialization.registry import is_reading
from compat.state import naming, remat
from compat.state.changes import quiet_setter
from kfun.graph import SymbolicTensor, infer, is_symbolic, record, replace, tensors
from kfun.spec import Spec

_OF_ALL = ("name", "trainable", "dtype")  # what every config of a layer has, whether its constructor takes it or not


class Internals:
    """What an object of the stateful face keeps for itself, apart from the user's attributes."""

    def __init__(self, args: tuple, kwargs: dict):
        self.init = (args, kwargs)
        self.nodes: list[Any] = []
        self.trainable: list[Any] = []  # own variables, by how they were made
        self.other: list[Any] = []
        self.losses: list[Any] = []
        self.build_shapes: Any = None
        self.remat = remat.current()
        self.scan: Any = None  # what was found among the attributes, and in the tree of layers
        self.tree: Any = None
        self.opened = self.building = False  # whether the layer's name is in paths, and whether `build` runs
        self.built_in = ""  # the path of names around the layer when it was built

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"scan": None, "tree": None}  # which count on this process's assignments


class Operation:
    """Base of everything that can be a node of a functional model."""

    def __new__(cls, *args: Any, **kwargs: Any):
        self = super().__new__(cls)
        self.__dict__["_kf"] = Internals(args, kwargs)
        return self

    def __init__(self, name: str | None = None):
        self._init_name(name)

    def _init_name(self, name: str | None) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"{type(self).__name__}: expected a name without '/'; received {name!r}")
        if name is not None and len(name) > LONGEST_NAME and is_reading():
            raise ValueError(f"{type(self).__name__}: a name of {len(name):,} characters; {LONGEST_NAME} are read")
        quiet_setter(type(self))(self, "name", name or naming.auto_name(type(self).__name__))

    def _is_pure(self) -> bool:
        """Whether variables and inputs say all that a call does, so that it may be compiled; not known of a user's."""
        return False

    def _keeps_rows_apart(self) -> bool:
        """Whether each row of a batch is computed apart; not known of a user's layer."""
        return False

    @filtered
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic((args, kwargs)):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the operation; a subclass overrides this."""
        raise NotImplementedError(f"{type(self).__name__} must define call(...)")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors of the outputs for symbolic inputs, found by an abstract run of `call`."""
        specs = infer(self.call, args, kwargs)
        return replace(specs, SymbolicTensor, Spec)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Records a call on symbolic tensors."""
        outputs = replace(self.compute_output_spec(*args, **kwargs), lambda t: t.spec, SymbolicTensor)
        made = record(self, args, kwargs, outputs)
        found = list(tensors(made))
        if found:
            self._kf.nodes.append(found[0].node)
        for tensor in found:
            tensor.name = tensor.name or f"{self.name}_output"
        return made

    def rematerialized_call(self, layer_call: Any, *args: Any, **kwargs: Any) -> Any:
        """A function like `layer_call` that computes its intermediate values again in the backward pass."""
        return remat.remat(layer_call)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return self._recorded_config() | {"name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """The operation of a config that `get_config` gave.

        Of a constructor without `**kwargs` the arguments of all operations and layers (`name`, `trainable`) that it
        does not take are set after the call.
        """
        known = _named_arguments(cls)
        if known is None:
            return cls(**config)
        made = cls(**{k: v for k, v in config.items() if k in known or k not in _OF_ALL})
        for key in (k for k in ("name", "trainable") if k in config and k not in known):
            setattr(made, key, config[key])
        return made

    @property
    def _inbound_nodes(self) -> list:
        return self._kf.nodes

    def _first_node(self, what: str) -> Any:
        if not self._kf.nodes:
            raise AttributeError(
                f"{type(self).__name__} {self.name!r} was not called on symbolic tensors yet: it has no {what}"
            )
        return self._kf.nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic tensors that the layer was first called on."""
        found = list(self._first_node("input").inputs)
        return found[0] if len(found) == 1 else found

    @property
    def output(self) -> Any:
        """The symbolic tensors that the layer gave when it was first called."""
        found = list(tensors(self._first_node("output").outputs))
        return found[0] if len(found) == 1 else found

    def _recorded_config(self) -> dict:
        """The arguments of the constructor call, by name, and defaults that are plain data."""
        args, kwargs = self._kf.init
        signature = init_signature(type(self))
        given = signature.bind(None, *args, **kwargs).arguments
        found: dict[str, Any] = {}
        for key, parameter in list(signature.parameters.items())[1:]:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                found.update(given.get(key, {}))
            elif parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                continue  # they have no names to be called by again
            elif key in given or _is_plain(parameter.default):
                found[key] = given.get(key, parameter.default)
        return found


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


@functools.cache
def init_signature(cls: type) -> inspect.Signature:
    """The signature of a class's constructor."""
    return inspect.signature(cls.__init__)


@functools.cache
def _named_arguments(cls: type) -> frozenset[str] | None:
    """The names of a constructor's arguments; None if it takes any."""
    parameters = init_signature(cls).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return None if takes_any else frozenset(parameters)
