"""What a layer's call takes, and what the layers of one outermost call share."""

from __future__ import annotations

import contextvars
import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

from compat.state import scope


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


class CallContext:
    """The outermost call that is going on.

    As in Keras, a layer that is told `training`, or has a default for it, tells all layers that are
    called after it within the same outermost call.
    """

    __slots__ = ("training",)

    def __init__(self):
        self.training: bool | None = None

    def resolve(self, plan: CallPlan, kwargs: dict) -> None:
        """Settles `training` for a layer and puts it into `kwargs` if its `call` takes it."""
        training = kwargs.get("training")
        if training is None:
            training = self.training
            if training is None:
                training = plan.defaults.get("training")
        if training is not None:
            self.training = training
        if plan.training:
            if training is not None:
                kwargs["training"] = training
        elif not plan.takes_any:
            kwargs.pop("training", None)


CONTEXT: contextvars.ContextVar[CallContext | None] = contextvars.ContextVar("compat_call", default=None)
HOLDING: weakref.WeakSet[Any] = weakref.WeakSet()  # layers that keep losses of their last call


def begin(layer: Any) -> tuple[CallContext, Any]:
    """`(context, token)` of an outermost call, which clears the losses that the layer left in the last one."""
    inside = scope.current()
    if inside is not None:
        if inside.added:
            own = {id(x) for x in layer._all_layers()}
            inside.added[:] = [(x, loss) for x, loss in inside.added if id(x) not in own]
    elif HOLDING:
        clear_losses(layer)
    made = CallContext()
    return made, CONTEXT.set(made)


def keep_loss(layer: Any, value: Any) -> None:
    """Keeps what `add_loss` was given: in the innermost scope, or on the layer."""
    inside = scope.current()
    if inside is not None:
        inside.added.append((layer, value))
    else:
        layer._kf.losses.append(value)
        HOLDING.add(layer)


def clear_losses(layer: Any) -> None:
    """Forgets what `add_loss` left on a layer and those inside it."""
    for each in layer._all_layers():
        each._kf.losses.clear()
        HOLDING.discard(each)
