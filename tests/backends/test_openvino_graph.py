"""What OpenVINO makes of graphs: storage order, fused ops, loops and branches."""

from __future__ import annotations

import numpy as np
import pytest

from kfun import ops
from tests.backends.graphs import agree, graph_input, model_of, normal, runtime


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


class TestControl:
    """Static sizes as well as open ones: the CPU plugin reuses memory where sizes are known."""

    def both(self, f, *arrays):
        agree(f, *arrays, atol=1e-5)
        agree(f, *arrays, shapes=[(None,) * a.ndim for a in arrays], atol=1e-5)

    @pytest.mark.parametrize("reverse", [False, True])
    def test_scan_over_trees_lifts_what_it_closes_over(self, reverse):
        def f(x, w, h):
            def step(carry, item):
                h = ops.tanh(item["z"] + ops.matmul(carry["h"], w) + ops.sum(w))
                return {"n": carry["n"] + 1, "h": h}, (h, {"m": ops.max(item["z"]), "t": item["i"]})

            xs = {"z": x, "i": ops.arange(ops.shape(x)[0])}
            return ops.scan(step, {"h": h, "n": np.int32(0)}, xs, reverse=reverse)

        self.both(f, normal(5, 2, 3), normal(3, 3, seed=1), normal(2, 3, seed=2))

    def test_nested_loops_and_branches(self):
        def f(x, w):
            scaled = x * 2

            def outer(total, row):
                def inner(i, v):
                    return ops.cond(ops.sum(v) > 0, lambda: v * w - row, lambda: v + scaled[0] + ops.cast(i, "float32"))

                new = ops.fori_loop(0, 3, inner, row + ops.sum(scaled))
                return total + new, ops.while_loop(lambda v: ops.sum(v) < 50.0, lambda v: ops.abs(v) * 2 + w, new)

            return ops.scan(outer, ops.zeros_like(w), x)

        self.both(f, normal(4, 3), normal(3, seed=1))

    @pytest.mark.parametrize(
        "step",
        [
            lambda c, x: ((c[1], c[0]), c[0]),
            lambda c, x: ((c[0] + c[1], c[0]), c[1]),
            lambda c, x: ((x, c[0]), c[1]),
            lambda c, x: ((x + c[0], c[1]), x),
            lambda c, x: ((ops.squeeze(c[1][None] + 1.0, 0), ops.squeeze(c[0][None] + c[1][None], 0)), c[0][None]),
        ],
    )
    def test_carries_that_change_places(self, step):
        self.both(lambda a, b, x: ops.scan(step, (a, b), x), normal(3), normal(3, seed=1), normal(5, 3, seed=2))

    def test_what_is_closed_over_is_not_overwritten(self):
        def f(a, b, x):
            def step(c, z):
                return ops.reshape(ops.reshape(b, (3, 1)) + ops.reshape(c, (3, 1)), (3,)) * 0.3 + z, None

            return ops.scan(step, a, x), b

        self.both(f, normal(3), normal(3, seed=1), normal(5, 3, seed=2))

    def test_loops_of_no_steps(self):
        empty = np.zeros((0, 3), "float32")
        self.both(lambda x: ops.scan(lambda c, z: (c + z, c * 2), ops.ones((3,)), x)[0], empty)
        self.both(lambda x: ops.while_loop(lambda v: ops.sum(v) < -1e9, lambda v: v * 2, x), normal(3))
        self.both(lambda x: ops.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * 2), (9, x)), normal(3))

    def test_while_loop_with_a_limit(self):
        def f(x):
            return ops.while_loop(lambda i, v: i < 100, lambda i, v: (i + 1, v * 2), [0, x], maximum_iterations=4)

        self.both(f, normal(3))

    def test_trip_counts_from_sizes(self):
        def f(x):
            t = ops.shape(x)[0]
            total = ops.fori_loop(0, t, lambda i, v: v + x[i] * (i + 1), ops.zeros((3,)))
            return total, ops.scan(lambda c, _: (c * 0.5, None), ops.ones((2,)), None, length=t)[0]

        self.both(f, normal(6, 3))

    def test_vectorized_map(self):
        def f(x, w):
            return ops.vectorized_map(lambda row: {"y": ops.matmul(row["a"], w) + row["b"]}, {"a": x, "b": x[:, 0]})

        self.both(f, normal(4, 3), normal(3, 2, seed=1))

    def test_a_carry_that_changes_is_refused(self):
        x = graph_input((None, 3))
        with pytest.raises(TypeError, match="carry changes from"):
            ops.scan(lambda c, z: (ops.cast(c, "float16"), None), x[0], x)
        with pytest.raises(TypeError, match="carry changes structure"):
            ops.scan(lambda c, z: ((c[0],), None), (x[0], x[0]), x)
        with pytest.raises(TypeError, match="differ in structure"):
            ops.cond(ops.sum(x) > 0, lambda: (x, x), lambda: [x])

    def test_values_do_not_leave_a_body(self):
        x, kept = graph_input((None, 3)), []
        ops.scan(lambda c, z: (c + z, kept.append(c * z)), x[0], x)
        with pytest.raises(ValueError, match="inside of a loop or branch"):
            kept[0] + 1
