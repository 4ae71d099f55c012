"""The layers, one family a file."""

from kfun.layers.core import Activation as Activation
from kfun.layers.core import Dense as Dense
from kfun.layers.core import EinsumDense as EinsumDense
from kfun.layers.core import Embedding as Embedding
from kfun.layers.core import Identity as Identity
from kfun.layers.core import Lambda as Lambda
from kfun.layers.core import Masking as Masking
from kfun.layers.core import Rescaling as Rescaling
