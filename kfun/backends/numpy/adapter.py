"""The NumPy adapter: the reference answers, eager, one process, no compiler.

NumPy arrays are weak: these rules run where nothing else decides, under `kfun.backend("numpy")`.
"""

from __future__ import annotations

import numpy as np

from kfun.backends.common.promotion import from_python
from kfun.backends.numpy import (
    bits,
    complex_numbers,
    control,
    convolution,
    creation,
    elementwise,
    linalg,
    products,
    random_basis,
    reduction,
    scattering,
    selection,
    shaping,
    signal,
    special,
)
from kfun.backends.numpy.transforms import TRANSFORMS
from kfun.ops._kinds import Kind

RULES = {
    **bits.RULES,
    **complex_numbers.RULES,
    **control.RULES,
    **convolution.RULES,
    **creation.RULES,
    **elementwise.RULES,
    **linalg.RULES,
    **products.RULES,
    **random_basis.RULES,
    **reduction.RULES,
    **scattering.RULES,
    **selection.RULES,
    **shaping.RULES,
    **signal.RULES,
    **special.RULES,
}

KIND = Kind("numpy", (np.ndarray, np.generic), RULES, from_python, transforms=TRANSFORMS)
