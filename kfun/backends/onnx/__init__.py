"""The ONNX adapter: ops on graph values build a graph."""

from kfun.backends.onnx.adapter import KIND as KIND
from kfun.backends.onnx.constants import Constants as Constants
from kfun.backends.onnx.evaluate import evaluate as evaluate
from kfun.backends.onnx.graph import model_of as model_of
from kfun.backends.onnx.value import Dim as Dim
from kfun.backends.onnx.value import Value as Value
from kfun.backends.onnx.value import as_value as as_value
from kfun.backends.onnx.value import graph_input as graph_input
