"""Activation functions."""

from compat.activations._activations import (
    celu as celu,
)
from compat.activations._activations import (
    deserialize as deserialize,
)
from compat.activations._activations import (
    elu as elu,
)
from compat.activations._activations import (
    exponential as exponential,
)
from compat.activations._activations import (
    gelu as gelu,
)
from compat.activations._activations import (
    get as get,
)
from compat.activations._activations import (
    glu as glu,
)
from compat.activations._activations import (
    hard_shrink as hard_shrink,
)
from compat.activations._activations import (
    hard_sigmoid as hard_sigmoid,
)
from compat.activations._activations import (
    hard_silu as hard_silu,
)
from compat.activations._activations import (
    hard_swish as hard_swish,
)
from compat.activations._activations import (
    hard_tanh as hard_tanh,
)
from compat.activations._activations import (
    leaky_relu as leaky_relu,
)
from compat.activations._activations import (
    linear as linear,
)
from compat.activations._activations import (
    log_sigmoid as log_sigmoid,
)
from compat.activations._activations import (
    log_softmax as log_softmax,
)
from compat.activations._activations import (
    mish as mish,
)
from compat.activations._activations import (
    relu as relu,
)
from compat.activations._activations import (
    relu6 as relu6,
)
from compat.activations._activations import (
    selu as selu,
)
from compat.activations._activations import (
    serialize as serialize,
)
from compat.activations._activations import (
    sigmoid as sigmoid,
)
from compat.activations._activations import (
    silu as silu,
)
from compat.activations._activations import (
    soft_shrink as soft_shrink,
)
from compat.activations._activations import (
    softmax as softmax,
)
from compat.activations._activations import (
    softplus as softplus,
)
from compat.activations._activations import (
    softsign as softsign,
)
from compat.activations._activations import (
    sparse_plus as sparse_plus,
)
from compat.activations._activations import (
    sparse_sigmoid as sparse_sigmoid,
)
from compat.activations._activations import (
    sparsemax as sparsemax,
)
from compat.activations._activations import (
    squareplus as squareplus,
)
from compat.activations._activations import (
    swish as swish,
)
from compat.activations._activations import (
    tanh as tanh,
)
from compat.activations._activations import (
    tanh_shrink as tanh_shrink,
)
from compat.activations._activations import (
    threshold as threshold,
)
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
