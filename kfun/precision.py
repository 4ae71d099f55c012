"""`Policy`: in which types a layer stores its parameters, computes, and answers."""

from __future__ import annotations

from typing import Annotated, Any

from kfun import dtypes, ops
from kfun.definition import Convert, Definition

DType = Annotated[str | None, Convert(lambda d: None if d is None else dtypes.name(d))]


class Policy(Definition):
    """Types of parameters, computation and output.

    Args:
        compute: inputs and parameters are cast to it; None computes in their own types.
        params: the type that parameters are stored in.
        output: the type of the results; None leaves them as computed.

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
