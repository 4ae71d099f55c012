"""The OpenVINO adapter: ops on graph values build a graph."""

from kfun.backends.openvino import loading as loading  # isort: skip - before any other import of openvino
from kfun.backends.openvino.adapter import KIND as KIND
from kfun.backends.openvino.evaluate import evaluate as evaluate
from kfun.backends.openvino.value import Dim as Dim
from kfun.backends.openvino.value import Value as Value
from kfun.backends.openvino.value import as_value as as_value
from kfun.backends.openvino.value import native as native
from kfun.backends.openvino.value import sharing as sharing
