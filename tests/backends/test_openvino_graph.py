"""What OpenVINO makes of graphs: storage order, fused ops, loops and branches."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import ops
from tests.backends import graph_suites
from tests.backends.graph_suites import normal
from tests.backends.graphs import adapter, agree, graph_input, model_of, runtime


class TestLayout:
    def network(self, x):
        kernel = normal(3, 3, 8, 8, seed=2) / 8
        x = ops.relu(ops.conv(x, normal(3, 3, 3, 8, seed=1) / 3, 1, "same") + normal(8))
        x = ops.batch_normalization(x, normal(8), np.abs(normal(8)) + 0.5, -1, normal(8, seed=3), normal(8, seed=4))
        y = ops.conv(ops.pad(ops.max_pool(x, 2), ((0, 0), (1, 1), (0, 2), (0, 0))), kernel, 1, "same")
        y = ops.gelu(y) * ops.expand_dims(normal(8, seed=5), 0)
        y = ops.concatenate([y, ops.sigmoid(y)], -1)[:, 1:-1, :-2]
        y = ops.depthwise_conv(y, normal(3, 3, 16, 1, seed=6) / 3, padding="same") + ops.average_pool(y, 3, 1, "same")
        y = ops.where(y > 0, y, 0.1 * y)
        return ops.mean(y, (1, 2)), ops.max(y, -1), ops.softmax(y, -1)

    def test_values(self):
        agree(self.network, normal(2, 8, 10, 3), shapes=[(None, None, None, 3)], atol=1e-5)

    def test_convolutions_in_a_row_need_no_transposes(self):
        assert runtime(lambda x: self.network(x)[0], (None, 16, 16, 3))["Transpose"] <= 2

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_padding_before_a_window_is_not_lost(self, stride, padding):
        """OpenVINO joins the two, and does so wrongly for automatic padding of open sizes."""

        def f(x):
            x = ops.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))
            pools = ops.max_pool(x, 3, stride, padding), ops.average_pool(x, 3, stride, padding)
            return *pools, *(op(x, normal(3, 3, 4, 4), stride, padding) for op in (ops.conv, ops.conv_transpose))

        agree(f, normal(2, 9, 10, 4), shapes=[(None, None, None, 4)], atol=1e-5)

    def test_every_op_sees_the_order_of_the_shape(self):
        """Each use of a result that is stored in the other order."""

        def f(x):
            y = ops.conv(x, normal(2, 2, 3, 4))
            b, h, w, c = ops.shape(y)
            reduced = ops.sum(y, 1), ops.sum(y, (1, 2), True), ops.max(y, -1), ops.mean(y, (0, 3)), ops.argmax(y, -1)
            shaped = ops.reshape(y, (b, h * w, c)), ops.transpose(y, (0, 3, 1, 2)), ops.transpose(y), ops.flip(y, 1)
            picked = y[0], y[:, 1], y[..., 0], y[:, ::2, 1:], ops.split(y, 2, -1), ops.take(y, np.int32([1, 0]), 3)
            joined = ops.concatenate([y, x[:, 1:, 1:]], 3), ops.stack([y, y], 1), ops.cumsum(y, 2)
            mixed = y + normal(4), y * normal(5, 1), y + normal(1, 3, 5, 1), y @ normal(4, 2), normal(4, 4) @ y[0, 0, 0]
            other = ops.log_softmax(y, 1), ops.softmax(y, (1, 2)), ops.cast(y, "float16"), ops.squeeze(y[:1], 0)
            return reduced, shaped, picked, joined, mixed, other

        agree(f, normal(2, 4, 6, 3), atol=1e-5)
        agree(f, normal(2, 4, 6, 3), shapes=[(None, None, None, 3)], atol=1e-5)


class TestFused:
    def test_layer_normalization_is_one_node(self):
        assert runtime(lambda x: ops.layer_normalization(x, epsilon=1e-5), (None, None, 16))["MVN"] == 1

    @pytest.mark.parametrize("reverse", [False, True])
    def test_recurrences_are_one_node(self, reverse):
        weights = normal(3, 20), normal(5, 20), normal(20)

        def lstm(x):
            zeros = ops.zeros((ops.shape(x)[0], 5))
            return ops.lstm(x, zeros, zeros, *weights, reverse=reverse)

        def gru(x):
            first = ops.zeros((ops.shape(x)[0], 5))
            return ops.gru(x, first, weights[0][:, :15], weights[1][:, :15], normal(2, 15), reverse=reverse)

        for f in (lstm, gru):
            assert runtime(f, (None, None, 3))["RNNSeq"] == 1
            agree(f, normal(2, 6, 3), shapes=[(None, None, 3)])

    def test_activations_are_single_ops(self):
        for f in (ops.gelu, ops.silu, ops.softmax, ops.mish, ops.hard_silu):
            names = [n.get_type_name() for n in model_of(f, (None, 4)).get_ops() if n.get_type_name() != "Constant"]
            assert len(names) == 3, names  # parameter, op, result

    def test_attention_is_one_op(self):
        model = model_of(lambda q: ops.dot_product_attention(q, q, q, is_causal=True), (None, None, 4, 8))
        assert "ScaledDotProductAttention" in {n.get_type_name() for n in model.get_ops()}

    def test_attention_of_rows_that_see_nothing(self):
        mask = np.zeros((1, 1, 3, 3), "bool")
        agree(lambda q: ops.dot_product_attention(q, q, q, mask=mask), normal(2, 3, 2, 4), atol=1e-5)


class TestControl(graph_suites.Control):
    """Static sizes as well as open ones: the CPU plugin reuses memory where sizes are known."""

    adapter = adapter
    graph_input = staticmethod(graph_input)
