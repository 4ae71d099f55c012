"""Regularizers, called on a weight."""

from compat.regularizers._regularizers import (
    CLASSES as CLASSES,
)
from compat.regularizers._regularizers import (
    L1 as L1,
)
from compat.regularizers._regularizers import (
    L1L2 as L1L2,
)
from compat.regularizers._regularizers import (
    L2 as L2,
)
from compat.regularizers._regularizers import (
    OrthogonalRegularizer as OrthogonalRegularizer,
)
from compat.regularizers._regularizers import (
    Regularizer as Regularizer,
)
from compat.regularizers._regularizers import (
    deserialize as deserialize,
)
from compat.regularizers._regularizers import (
    get as get,
)
from compat.regularizers._regularizers import (
    l1 as l1,
)
from compat.regularizers._regularizers import (
    l1_l2 as l1_l2,
)
from compat.regularizers._regularizers import (
    l2 as l2,
)
from compat.regularizers._regularizers import (
    orthogonal_regularizer as orthogonal_regularizer,
)
from compat.regularizers._regularizers import (
    serialize as serialize,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
