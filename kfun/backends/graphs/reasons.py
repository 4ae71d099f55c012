"""What no graph can compute, and what to do instead: the reasons that a call is refused with."""

from __future__ import annotations

_RANDOM = "random numbers are drawn before export; dropout and noise are inactive at inference (training=False)"
_DRAWN = (
    "split", "split_each", "fold_in", "bits", "uniform", "normal", "truncated_normal", "randint", "permutation",
    "bernoulli", "categorical", "shuffle", "dropout", "gamma", "beta", "binomial",
)  # fmt: skip

IN_NO_GRAPH: dict[str, str] = {
    **{f"random_{name}": _RANDOM for name in _DRAWN},
    "elastic_transform": "random numbers are drawn before export; augmentation is inactive at inference",
    "view": "it does not read bits as another type; convert numbers with ops.cast, or bits before export",
    "nextafter": "it has no neighbours of floats; compute them before export, or add a small number",
}


def without_complex(why: str) -> dict[str, str]:
    """One reason for every op on complex numbers."""
    names = ("complex", "real", "imag", "conj", "isreal", "angle", "polar", "view_as_complex", "view_as_real")
    return dict.fromkeys(names, why)
