"""`Policy`: in which types a layer stores its parameters, computes, and answers.

Weights are float32 unless a policy says otherwise, whatever the inputs of `init` are and also where JAX has 64-bit
types (`JAX_ENABLE_X64`): a spec says what comes in, not how exact the model is. Float64 inputs then meet float32
weights, and the results are float64 numbers that are exact to 32 bits. For float64 throughout give the policy to the
whole net: `net.replace(policy=Policy(params="float64"))`.
"""

from __future__ import annotations

from typing import Annotated, Any

from kfun import dtypes, ops
from kfun.definition import Convert, Definition

DType = Annotated[str | None, Convert(lambda d: None if d is None else dtypes.name(d))]


class Policy(Definition):
    """Types of parameters, computation and output.

    Args:
        compute: inputs and parameters are cast to it; None computes in their own types.
        params: the type that parameters and state are stored in; it is not taken from the inputs.
        output: the type of the results; None leaves them as computed.

    Float64 needs JAX's 64-bit types, as by `JAX_ENABLE_X64=1`; without them JAX makes float32 of it.

    Example:
        >>> Policy(compute="bfloat16")
        Policy(compute='bfloat16')
    """

    compute: DType = None
    params: DType = "float32"
    output: DType = None


def cast(tree: Any, dtype: str | None) -> Any:
    """Casts the floating arrays of nested dicts, lists and tuples; other values stay.

    Plain recursion, because compilers of other frameworks follow it where they stop at JAX's trees.
    """
    if dtype is None or tree is None:
        return tree
    if isinstance(tree, dict):
        return {k: cast(v, dtype) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [cast(v, dtype) for v in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    if hasattr(tree, "dtype") and dtypes.is_float(dtypes.name(tree.dtype)):
        return ops.cast(tree, dtype)
    return tree
