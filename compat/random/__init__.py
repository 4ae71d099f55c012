"""Random numbers, of seeds and generators."""

from compat.random._random import (
    beta as beta,
)
from compat.random._random import (
    binomial as binomial,
)
from compat.random._random import (
    categorical as categorical,
)
from compat.random._random import (
    dropout as dropout,
)
from compat.random._random import (
    gamma as gamma,
)
from compat.random._random import (
    normal as normal,
)
from compat.random._random import (
    randint as randint,
)
from compat.random._random import (
    shuffle as shuffle,
)
from compat.random._random import (
    truncated_normal as truncated_normal,
)
from compat.random._random import (
    uniform as uniform,
)
from compat.variables.seeds import SeedGenerator as SeedGenerator
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
