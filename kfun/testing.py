"""The invariants of ops and layers, as assertions to which new ones of your own can be held.

`check_op` holds an op to a reference on every backend, `check_layer` a layer to what `kfun.Layer` promises, and
`check_layer_backends` a layer to the same numbers on all of them.
"""

from typing import TYPE_CHECKING

from kfun.errors import unknown_names_of as _unknown_names_of
from kfun.testing_contract import check_layer as check_layer
from kfun.testing_layers import check_layer_backends as check_layer_backends
from kfun.testing_ops import check_op as check_op
from kfun.testing_ops import installed_backends as installed_backends

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
