"""Constraints: what a weight must be after each step."""

from compat.constraints._constraints import (
    CLASSES as CLASSES,
)
from compat.constraints._constraints import (
    Constraint as Constraint,
)
from compat.constraints._constraints import (
    MaxNorm as MaxNorm,
)
from compat.constraints._constraints import (
    MinMaxNorm as MinMaxNorm,
)
from compat.constraints._constraints import (
    NonNeg as NonNeg,
)
from compat.constraints._constraints import (
    UnitNorm as UnitNorm,
)
from compat.constraints._constraints import (
    deserialize as deserialize,
)
from compat.constraints._constraints import (
    get as get,
)
from compat.constraints._constraints import (
    max_norm as max_norm,
)
from compat.constraints._constraints import (
    min_max_norm as min_max_norm,
)
from compat.constraints._constraints import (
    non_neg as non_neg,
)
from compat.constraints._constraints import (
    serialize as serialize,
)
from compat.constraints._constraints import (
    unit_norm as unit_norm,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
