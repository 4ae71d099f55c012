"""Initializers: called as `initializer(shape, dtype)`."""

from compat.initializers._initializers import (
    CLASSES as CLASSES,
)
from compat.initializers._initializers import (
    STFT as STFT,
)
from compat.initializers._initializers import (
    Constant as Constant,
)
from compat.initializers._initializers import (
    GlorotNormal as GlorotNormal,
)
from compat.initializers._initializers import (
    GlorotUniform as GlorotUniform,
)
from compat.initializers._initializers import (
    HeNormal as HeNormal,
)
from compat.initializers._initializers import (
    HeUniform as HeUniform,
)
from compat.initializers._initializers import (
    Identity as Identity,
)
from compat.initializers._initializers import (
    IdentityInitializer as IdentityInitializer,
)
from compat.initializers._initializers import (
    Initializer as Initializer,
)
from compat.initializers._initializers import (
    LecunNormal as LecunNormal,
)
from compat.initializers._initializers import (
    LecunUniform as LecunUniform,
)
from compat.initializers._initializers import (
    Ones as Ones,
)
from compat.initializers._initializers import (
    Orthogonal as Orthogonal,
)
from compat.initializers._initializers import (
    OrthogonalInitializer as OrthogonalInitializer,
)
from compat.initializers._initializers import (
    RandomNormal as RandomNormal,
)
from compat.initializers._initializers import (
    RandomUniform as RandomUniform,
)
from compat.initializers._initializers import (
    STFTInitializer as STFTInitializer,
)
from compat.initializers._initializers import (
    TruncatedNormal as TruncatedNormal,
)
from compat.initializers._initializers import (
    VarianceScaling as VarianceScaling,
)
from compat.initializers._initializers import (
    Zeros as Zeros,
)
from compat.initializers._initializers import (
    constant as constant,
)
from compat.initializers._initializers import (
    definition_of as definition_of,
)
from compat.initializers._initializers import (
    deserialize as deserialize,
)
from compat.initializers._initializers import (
    get as get,
)
from compat.initializers._initializers import (
    glorot_normal as glorot_normal,
)
from compat.initializers._initializers import (
    glorot_uniform as glorot_uniform,
)
from compat.initializers._initializers import (
    he_normal as he_normal,
)
from compat.initializers._initializers import (
    he_uniform as he_uniform,
)
from compat.initializers._initializers import (
    identity as identity,
)
from compat.initializers._initializers import (
    lecun_normal as lecun_normal,
)
from compat.initializers._initializers import (
    lecun_uniform as lecun_uniform,
)
from compat.initializers._initializers import (
    new_seed as new_seed,
)
from compat.initializers._initializers import (
    ones as ones,
)
from compat.initializers._initializers import (
    orthogonal as orthogonal,
)
from compat.initializers._initializers import (
    random_normal as random_normal,
)
from compat.initializers._initializers import (
    random_uniform as random_uniform,
)
from compat.initializers._initializers import (
    serialize as serialize,
)
from compat.initializers._initializers import (
    stft as stft,
)
from compat.initializers._initializers import (
    truncated_normal as truncated_normal,
)
from compat.initializers._initializers import (
    variance_scaling as variance_scaling,
)
from compat.initializers._initializers import (
    zeros as zeros,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
