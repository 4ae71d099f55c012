"""Makes Keras's layer classes of kfun's definitions."""

from __future__ import annotations

import inspect
from typing import Any

from compat.engine.generated import Generated
from compat.serialization import faces
from kfun.layer import Layer as Definition

_OPTIONAL = ("bias", "beta", "gamma")


def layer_class(
    definition: type[Definition],
    module: str,
    *,
    weights: str = "",
    activity: bool = True,
    seed_after: str | None = None,
    children: dict | None = None,
    takes_list: bool = False,
    masking: bool = True,
    base: type = Generated,
    name: str | None = None,
    insert: dict[str, dict[str, Any]] | None = None,
    omitted: str = "",
    constants: dict[str, Any] | None = None,
    call: str | None = None,
    optional: str = "",
    ready: bool = False,
    wide: bool = False,
    hidden: str = "",
    sized: str = "",
) -> type:
    """A Keras layer class of a definition.

    Args:
        definition: the kfun layer class.
        module: the public module of the new class.
        weights: stems of the weights that take a regularizer and a constraint, e.g. `"kernel bias"`.
        activity: whether `activity_regularizer` stands among the arguments.
        seed_after: the argument after which Keras has `seed`.
        children: for subtrees of the weights, the attribute and the name of the part.
        takes_list: whether `call` takes a list of inputs.
        masking: whether masks pass through.
        base: `Generated`, or a subclass with a `call` of its own.
        name: by default the definition's.
        insert: further arguments: `{after: {argument: default}}`.
        omitted: arguments that are not in the config while they are None.
        constants: what Keras's config has beside the arguments.
        call: the arguments of `call` after the inputs; by default those that the definition's `apply` takes.
        optional: weights that are None where the layer goes without, beside bias, beta and gamma.
        ready: whether the layer is built as soon as it is made.
        hidden: arguments that are taken and, like Keras's, not in the signature; "kwargs" among them.
        sized: arguments by which constants are made as soon as the output's shape is asked for.
        wide: whether inputs and variables keep their types, and only the outputs get the compute type.
    """
    fields = faces.parameters_of(definition, keyword_only=False)
    parameters = _keras_order(fields, weights.split(), activity)
    for after, extra in ({seed_after: {"seed": None}} if seed_after else {} | (insert or {})).items():
        parameters = _inserted(parameters, after, extra)
    body = {
        "definition_class": definition,
        "_fields": tuple(fields),
        "_parameters": parameters,
        "_children": children or {},
        "_takes_list": takes_list,
        "_omitted": base._omitted | set(omitted.split()),
        "_constants": constants or {},
        "_random": "seed" in parameters,
        "_ready": ready,
        "_wide": wide,
        "_sized": tuple(sized.split()),
        "_optional": (*optional.split(), *(n for n in _OPTIONAL if f"{n}_initializer" in parameters and not children)),
        "supports_masking": masking,
        "__doc__": faces.text_of(definition),
        "__module__": module,
    }
    if base.call is Generated.call:
        body["call"] = _call_of(definition, call)
    cls = type(name or definition.__name__, (base,), body)
    faces.sign(cls, parameters, "kwargs" not in hidden.split(), hidden)
    return cls


def _keras_order(fields: dict[str, Any], stems: list[str], activity: bool) -> dict[str, Any]:
    """Keras's order: regularizers, the activity regularizer and constraints follow the initializers."""
    if not stems:
        return dict(fields)
    names = list(fields)
    last = max(i for i, n in enumerate(names) if n.endswith("_initializer"))
    if names[last + 1 : last + 2] == ["unit_forget_bias"]:
        last += 1
    added = {f"{s}_regularizer": None for s in stems}
    added |= {"activity_regularizer": None} if activity else {}
    added |= {f"{s}_constraint": None for s in stems}
    return _inserted(fields, names[last], added)


def _inserted(parameters: dict[str, Any], after: str, extra: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, default in parameters.items():
        out.setdefault(name, default)  # where a further argument is a field, it has that place and default
        if name == after:
            out |= extra
    return out


def _call_of(definition: type[Definition], call_args: str | None) -> Any:
    """`call(self, inputs, ...)` with the given arguments, or those that the definition's `apply` takes."""

    def call(self: Generated, inputs: Any, *args: Any, **call_args: Any) -> Any:
        call_args |= dict(zip(names, args, strict=False))
        return Generated.call(self, inputs, **call_args)

    call.__qualname__ = f"{definition.__name__}.call"
    own = definition.apply is not Definition.apply
    parameters = inspect.signature(definition.apply).parameters if own else {}
    keyword = [p for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.name != "key"]
    names = [p.name for p in keyword if p.name not in ("training", "mask")]
    names += [n for n in ("training", "mask") if n in parameters]
    names = names if call_args is None else call_args.split()
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", kind), inspect.Parameter("inputs", kind)]
        + [inspect.Parameter(n, kind, default=None) for n in names]
    )
    return call
