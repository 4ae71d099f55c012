"""`Optimizer`: the definition of an optimizer, from which its transformation is built."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, ParamSpec

import optax

from kfun import dtypes, ops, tree
from kfun.definition import REGISTRY, Convert, Definition, from_config
from kfun.errors import nearest
from kfun.layer import snake_case
from kfun.optim import _transform as transform
from kfun.optim._hyperparameters import is_array, is_set, with_arrays
from kfun.optim._trees import flatten

Slots = dict[str, Any]
P = ParamSpec("P")


def _learning_rate(value: Any) -> Any:
    if callable(value):
        return value
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise TypeError(f"expected a number, a schedule or a function of the count; received {value!r}")
    return float(value)


LearningRate = Annotated[Any, Convert(_learning_rate)]


class OptimizerVariable(NamedTuple):
    """One of the variables that Keras's optimizer of the same configuration has."""

    path: str  # in Keras, as "adam/dense_kernel_momentum"
    state_path: str | None  # in the state, as "momentum/dense/kernel"; None where Keras keeps what nothing reads
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    def inside(self, entry: str) -> OptimizerVariable:
        """The variable where its optimizer's state is an entry of another one's."""
        return self if self.state_path is None else self._replace(state_path=f"{entry}/{self.state_path}")


class Optimizer(Definition):
    """Base of optimizers: an update rule for one array, and what all optimizers have in common.

    A subclass declares its fields, `learning_rate` first, and gives `slot_names`, `step` and, where
    needed, `has_slot`, `init_slots`, `shared`, `prepare`. The common fields follow its own:

    Args:
        weight_decay: each weight loses `weight_decay * learning_rate` of itself before the step; None for no decay.
        clipnorm, clipvalue, global_clipnorm: limits of each gradient's norm, of each element, of all
            gradients' common norm. At most one may be given.
        use_ema, ema_momentum, ema_overwrite_frequency: keeps an exponential moving average of the params in
            the state's `average`; every `ema_overwrite_frequency` steps the params become their average.
        loss_scale_factor: gradients are divided by it (multiply the loss: `scale_loss`).
        gradient_accumulation_steps: the params move at every so many calls, by the mean gradient.
        exclude_from_weight_decay: patterns; an array whose path one of them is found in does not decay.
        name: the prefix of variable names, by default the class name as in `"rm_sprop"`.

    Raises:
        ValueError: if a value is out of range or two ways to clip are given.
    """

    if TYPE_CHECKING:
        learning_rate: Any = None
    _: dataclasses.KW_ONLY
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    loss_scale_factor: float | None = None
    gradient_accumulation_steps: int | None = None
    exclude_from_weight_decay: tuple[str, ...] = ()
    name: str | None = None

    def __init_subclass__(cls, common: bool = True, **kwargs):
        declared = cls.__annotations__ | cls.__dataclass_fields__
        for name, field in _COMMON.items() if common else ():
            if name not in declared:
                cls.__annotations__[name] = field.type
                by_keyword = name in ("exclude_from_weight_decay", "name")
                setattr(cls, name, dataclasses.field(default=field.default, kw_only=by_keyword))
        super().__init_subclass__(**kwargs)

    def check(self) -> None:
        who = type(self).__name__
        given = [name for name in transform.CLIPS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"{who}: expected at most one of clipnorm, clipvalue and global_clipnorm; received {', '.join(given)}"
            )
        if not 0 <= self.ema_momentum <= 1:
            raise ValueError(f"{who}: expected ema_momentum in [0, 1]; received {self.ema_momentum}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{who}: expected {name} of at least {least} or None; received {value}")

    def slot_names(self) -> tuple[tuple[str, ...], ...]:
        """Names of the slots, in groups: Keras lists a group's slots array by array, one group after another."""
        return ()

    def has_slot(self, name: str, path: str, x: Any) -> bool:
        """Whether an array has the slot of that name."""
        return True

    def init_slots(self, path: str, x: Any) -> Slots:
        """The slots of one array before the first step; a slot that it does not have is left out."""
        names = [name for group in self.slot_names() for name in group]
        return {name: ops.zeros_like(x) for name in names if self.has_slot(name, path, x)}

    def shared(self) -> dict[str, float]:
        """First values of the scalars that all arrays share."""
        return {}

    def prepare(self, learning_rate: Any, step: Any, shared: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What is the same for all arrays, computed once a step.

        Args:
            learning_rate: scalar, float32 (float64 if an array is).
            step: scalar of that type: 1, 2, ...
            shared: the shared scalars.

        Returns:
            `(scalars, shared)`: the first argument of `step`, and the new shared scalars.
        """
        return learning_rate, shared

    def step(self, path: str, scalars: Any, gradient: Any, x: Any, slots: Slots) -> tuple[Any, Slots]:
        """`(what to add to x, new slots)` of one array."""
        raise TypeError(f"{type(self).__name__} must define step(path, scalars, gradient, x, slots)")

    def decay(self, path: str, x: Any) -> float | None:
        """The weight decay of one array."""
        excluded = any(re.search(pattern, path) for pattern in self.exclude_from_weight_decay)
        return None if excluded else self.weight_decay

    def build(self) -> optax.GradientTransformation:
        """The transformation: `init(params) -> state`, `update(gradients, state, params) -> (updates, state)`.

        Equal definitions give the same object, so that compiled functions that hold it are found again.
        """
        return _build(self)

    def assemble(self) -> optax.GradientTransformation:
        """The rule with its wrappers."""
        return self.around(transform.from_rule(self))

    def around(self, built: optax.GradientTransformation) -> optax.GradientTransformation:
        """A rule, whose state is a dict with a `count`, in what all optimizers have in common, from the inside out."""
        built = transform.on_gradients(self.clip, built)
        if self.gradient_accumulation_steps is not None:
            built = transform.accumulate(built, self.calls_per_step)
        if self.loss_scale_factor is not None:
            built = transform.on_gradients(transform.divide_by, built, self.loss_scale_factor)
        if self.use_ema:
            built = transform.average(built, self.ema_momentum, self.ema_overwrite_frequency, self.calls_per_step)
        return built

    def clip(self, gradients: transform.Gradients) -> transform.Gradients:
        """Gradients, by any keys, within the limit that is set; 0 sets none."""
        for name, clip in transform.CLIPS.items():
            limit = getattr(self, name)
            if not is_set(limit):
                continue
            clipped = clip(gradients, limit)
            if is_array(limit):  # 0 sets no limit there either
                clipped = {path: ops.where(ops.greater(limit, 0), c, gradients[path]) for path, c in clipped.items()}
            gradients = clipped
        return gradients

    @property
    def calls_per_step(self) -> int:
        """Over how many calls gradients accumulate."""
        return 1 if self.gradient_accumulation_steps is None else self.gradient_accumulation_steps

    def scale_loss(self, loss: Any, state: dict[str, Any]) -> Any:
        """The loss whose gradient `update` expects."""
        return loss if self.loss_scale_factor is None else ops.multiply(loss, self.loss_scale_factor)

    def prefix(self) -> str:
        """The first part of the paths of its variables."""
        return self.name or snake_case(type(self).__name__)

    def variables(self, params: Any, paths: Mapping[str, str] | None = None) -> list[OptimizerVariable]:
        """The variables of Keras's optimizer in its order, and where each is in the state.

        Args:
            params: a tree of arrays or specs in Keras's order of trainable variables.
            paths: Keras's path of each array by its path in `params`, where they differ.
        """
        arrays, prefix = flatten(params), self.prefix()
        found = [OptimizerVariable(f"{prefix}/iteration", "count", dtype="int32")]
        if not callable(self.learning_rate):
            found.append(OptimizerVariable(f"{prefix}/learning_rate", "learning_rate"))
        groups = [("average",)] * self.use_ema + [("gradient_accumulator",)] * (self.calls_per_step > 1)
        for group in (*groups, *self.slot_names()):
            for path, x in arrays.items():
                found += self.slot_variables(group, path, (paths or {}).get(path, path), x)
        return found + [OptimizerVariable("variable", name) for name in self.shared()]

    def slot_variables(self, group: tuple[str, ...], path: str, keras_path: str, x: Any) -> list[OptimizerVariable]:
        """The variables of one group of slots for one array."""
        start, shape, dtype = f"{self.prefix()}/{keras_path.replace('/', '_')}", tuple(x.shape), dtypes.name(x.dtype)
        found = []
        for name in group:
            if self.has_slot(name, path, x):
                found.append(OptimizerVariable(f"{start}_{name}", f"{name}/{path}", shape, dtype))
        return found


# Subclasses have these fields after their own, as in Keras; one that declares a field decides its place and default.
_COMMON = {name: Optimizer.__dataclass_fields__.pop(name) for name in list(Optimizer.__dataclass_fields__)}
_LEAST = dict.fromkeys(transform.CLIPS, 0) | {"ema_overwrite_frequency": 1, "gradient_accumulation_steps": 2}


def variables_of(optimizer: Any, params: Any, paths: Mapping[str, str] | None = None) -> list[OptimizerVariable]:
    """`Optimizer.variables`; for an optax transformation the leaves of its state, for which `params` are arrays."""
    if isinstance(optimizer, Optimizer):
        return optimizer.variables(params, paths)
    state = tree.flatten(optimizer.init(params))
    return [OptimizerVariable(f"optax/{p}", p, tuple(x.shape), dtypes.name(x.dtype)) for p, x in state.items()]


def unscaled(optimizer: Any) -> Any:
    """The optimizer without a factor of its own, where another one around it divides gradients."""
    return optimizer.replace(loss_scale_factor=None) if isinstance(optimizer, Optimizer) else optimizer


@functools.lru_cache(maxsize=256)
def _build(optimizer: Optimizer) -> optax.GradientTransformation:
    return optimizer.assemble()


def function_of(definition: Callable[P, Optimizer]) -> Callable[P, optax.GradientTransformation]:
    """The function that takes a definition's arguments, numbers or arrays of JAX, and gives its transformation."""
    signature = inspect.signature(definition)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}

    def make(*args: P.args, **kwargs: P.kwargs) -> optax.GradientTransformation:
        if not any(map(is_array, (*args, *kwargs.values()))):
            return definition(*args, **kwargs).build()
        return with_arrays(definition, signature.bind(*args, **kwargs).arguments, defaults).assemble()

    name = definition.__name__.lower()  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The transformation that `{definition.__name__}` describes, with the same arguments."  # type: ignore[attr-defined]
    make.__signature__ = signature.replace(return_annotation=optax.GradientTransformation)  # type: ignore[attr-defined]
    return make


def get(identifier: Any) -> Any:
    """The optimizer for a name in any case, a definition, its class, its JSON, or any optax transformation.

    Returns:
        An `Optimizer`, or the `optax.GradientTransformation` as it came.

    Raises:
        ValueError: if no optimizer has that name, or JSON describes something else.
        TypeError: if `identifier` is none of these.
    """
    if isinstance(identifier, str):
        known = {c.__name__.lower(): c for c in REGISTRY.values() if issubclass(c, Optimizer) and c is not Optimizer}
        if identifier.lower() not in known:
            raise ValueError(f"unknown optimizer {identifier!r}; {nearest(identifier.lower(), known)}")
        identifier = known[identifier.lower()]
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, dict):
        made = from_config(identifier)
        if not isinstance(made, Optimizer):
            raise ValueError(f"expected the JSON of an optimizer; received that of {type(made).__name__}")
        return made
    if isinstance(identifier, (Optimizer, optax.GradientTransformation)):
        return identifier
    raise TypeError(
        "expected the name of an optimizer, a kfun.optim definition or its JSON, or an optax transformation; "
        f"received {identifier!r:.120}"
    )


def build(identifier: Any) -> optax.GradientTransformation:
    """The transformation of whatever `get` takes."""
    found = get(identifier)
    return found.build() if isinstance(found, Optimizer) else found
