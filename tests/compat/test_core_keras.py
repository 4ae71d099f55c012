"""Variables, metrics, losses, policies, seeds and optimizers where user code sees them, as in real Keras."""

from __future__ import annotations

import pickle

import jax
import numpy as np
import pytest

import compat as keras

real = pytest.importorskip("keras")
BOTH = pytest.mark.parametrize("api", [keras, real], ids=["compat", "keras"])


@BOTH
def test_operators_of_variables(api):
    number, flags = api.Variable([1, 2, 3]), api.Variable([True, False])
    assert np.asarray(number == number).tolist() == [True] * 3
    assert np.asarray(number == 2).tolist() == [False, True, False]
    assert np.asarray(~flags).tolist() == [False, True]
    assert np.asarray(~number).tolist() == [-2, -3, -4]
    assert np.asarray(+number).tolist() == [1, 2, 3]
    for result, expected in [(flags & True, [1, 0]), (flags | True, [1, 1]), (True ^ flags, [0, 1])]:
        assert np.asarray(result).astype(int).tolist() == expected
    assert float(round(api.Variable(1.234), 1)) == pytest.approx(1.2)


@BOTH
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda a: bool(a.Variable([1.0])), TypeError),
        (lambda a: float(a.Variable([1.0, 2.0])), TypeError),
        (lambda a: a.Variable([1.0], name="a/b"), ValueError),
        (lambda a: a.Variable(np.zeros), ValueError),
        (lambda a: a.Variable([1.0], aggregation="max"), ValueError),
        (lambda a: setattr(a.Variable([1.0]), "constraint", 3), ValueError),
        (lambda a: setattr(a.Variable([1.0]), "overwrite_with_gradient", 1), TypeError),
        (lambda a: a.losses.Hinge(reduction="abc"), ValueError),
        (lambda a: a.metrics.AUC(curve="abc"), ValueError),
        (lambda a: a.metrics.FBetaScore(beta=1), ValueError),
        (lambda a: a.metrics.TruePositives(thresholds=[-1]), ValueError),
        (lambda a: a.DTypePolicy("mixed_float15"), ValueError),
        (lambda a: a.config.set_dtype_policy(None), ValueError),
        (lambda a: a.random.SeedGenerator("a"), ValueError),
        (lambda a: a.random.normal((2,), seed="a"), ValueError),
        (lambda a: a.optimizers.Adam().set_weights([]), ValueError),
        (lambda a: a.ops.pad(np.ones(3), 1, "reflect", 2.0), ValueError),
        (lambda a: a.ops.concatenate([a.KerasTensor((2, 3)), a.KerasTensor((2, 3, 4))]), ValueError),
    ],
)
def test_errors_are_those_of_keras(api, make, error):
    with pytest.raises(error) as caught:
        make(api)
    assert str(caught.value)


@BOTH
def test_metrics_show_keras_attributes(api):
    precision = api.metrics.Precision(thresholds=[0.2, 0.4])
    assert precision.thresholds == [0.2, 0.4]
    assert api.metrics.Recall().thresholds == [0.5]
    area = api.metrics.AUC(num_thresholds=None, thresholds=[0.3])
    assert area.num_thresholds == 3
    np.testing.assert_allclose(area.thresholds, [0.0, 0.3, 1.0], atol=1e-6)
    ratio = api.metrics.IoU(2, (0, 1))
    assert ratio.target_class_ids == [0, 1]
    assert tuple(ratio.total_cm.shape) == (2, 2)
    score = api.metrics.FBetaScore()
    score.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.2, 0.8]])
    np.testing.assert_allclose(score.result(), [1.0, 1.0], rtol=1e-5)


@BOTH
def test_metrics_find_variables_in_containers(api):
    metric = api.metrics.Mean()
    metric.more = {"a": [api.Variable(0.0)], "b": api.metrics.Mean()}
    assert len(metric.variables) == 5
    kept = metric.stateless_update_state(metric.variables, [2.0, 4.0])
    assert float(kept[0]) == 6.0
    assert float(metric.variables[0]) == 0.0


@BOTH
def test_losses_compute_in_floatx(api):
    loss = api.losses.MeanSquaredError(dtype="bfloat16")
    assert loss.dtype == "bfloat16"
    assert api.losses.Huber().dtype == "float32"
    assert api.backend.standardize_dtype(loss([1.0], [2.0]).dtype) == "bfloat16"
    with pytest.raises(AttributeError):
        loss.dtype = "float32"
    assert api.losses.get("mse") is api.losses.mean_squared_error


@BOTH
def test_result_type_knows_pythons_types(api):
    asked = [("int16", int), ("bfloat16", float), (), (None,), ("uint8", int), (bool, int), ("int64", "float32")]
    assert [api.backend.result_type(*a) for a in asked] == [
        "int16", "bfloat16", "float32", "float32", "uint8", "int32", "float32",
    ]  # fmt: skip


@BOTH
def test_policies_without_a_name_are_the_global_one(api):
    before = api.config.dtype_policy()
    try:
        api.config.set_dtype_policy("mixed_bfloat16")
        assert api.DTypePolicy(None).name == "mixed_bfloat16"
    finally:
        api.config.set_dtype_policy(before)


@BOTH
def test_optimizers_before_build(api):
    optimizer = api.optimizers.Adam(0.001)
    assert len(optimizer.variables) == 2
    assert int(optimizer.iterations) == 0
    optimizer.learning_rate.assign(0.5)
    weight = api.Variable([1.0, 2.0])
    optimizer.apply_gradients([(np.ones(2, "float32"), weight)])
    np.testing.assert_allclose(weight.numpy(), [0.5, 1.5], rtol=1e-4)
    optimizer = api.optimizers.Adam()
    optimizer.learning_rate = api.optimizers.schedules.PolynomialDecay(optimizer.learning_rate, 4)
    assert len(optimizer.variables) == 1


def test_inner_rates_may_be_assigned_before_build():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=1.0)
    optimizer.inner_optimizer.learning_rate.assign(0.5)
    weight = keras.Variable([1.0])
    optimizer.apply_gradients([(np.ones(1, "float32"), weight)])
    np.testing.assert_allclose(weight.numpy(), [0.5])


@BOTH
def test_variables_without_a_gradient(api):
    one, two = api.Variable([3.0]), api.Variable([3.0])
    with pytest.raises(ValueError, match="radient"):
        api.optimizers.SGD(1.0).apply_gradients([(None, one)])
    with pytest.warns(UserWarning, match="radients"):
        api.optimizers.SGD(1.0).apply_gradients([(None, one), (np.ones(1, "float32"), two)])
    assert (float(one[0]), float(two[0])) == (3.0, 2.0)


@BOTH
def test_rates_without_an_argument_and_overwriting_gradients(api):
    plain, taken = api.Variable([1.0]), api.Variable([1.0])
    taken.overwrite_with_gradient = True
    gradient = np.full(1, 2.0, "float32")
    api.optimizers.SGD(lambda: 0.1).apply_gradients([(gradient, plain), (gradient, taken)])
    np.testing.assert_allclose([plain.numpy()[0], taken.numpy()[0]], [0.8, 2.0])


@pytest.mark.parametrize("name", ["sgd", "adam", "lion"])
def test_optimizers_are_pickled(name):
    optimizer, weight = keras.optimizers.get(name), keras.Variable([1.0])
    optimizer.apply_gradients([(np.ones(1, "float32"), weight)])
    again = pickle.loads(pickle.dumps(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert [v.numpy().tolist() for v in again.variables] == [v.numpy().tolist() for v in optimizer.variables]


@BOTH
def test_seeds_that_are_generators_or_keys(api):
    draw = api.initializers.RandomNormal(seed=api.random.SeedGenerator(7))
    assert not np.array_equal(draw((3,)), draw((3,)))
    key = jax.random.PRNGKey(3)
    np.testing.assert_array_equal(api.random.uniform((2,), seed=key), api.random.uniform((2,), seed=key))


def test_generators_draw_as_in_keras():
    ours = keras.initializers.HeNormal(seed=keras.random.SeedGenerator(7))
    theirs = real.initializers.HeNormal(seed=real.random.SeedGenerator(7))
    for _ in range(2):
        np.testing.assert_allclose(ours((4, 3)), theirs((4, 3)), rtol=1e-6)


@BOTH
def test_unseeded_draws_are_refused_in_a_trace(api):
    with pytest.raises(ValueError, match="seed"):
        jax.jit(lambda: api.random.uniform((2,)))()
    assert api.random.uniform((2,)).shape == (2,)


@BOTH
def test_unknown_sizes_meet_known_ones(api):
    open_rows, open_columns = api.KerasTensor((None, 3)), api.KerasTensor((2, None))
    assert tuple(api.ops.floor_divide(open_rows, open_columns).shape) == (2, 3)
    assert tuple(api.ops.divide_no_nan(open_rows, api.KerasTensor((None, 3))).shape) == (None, 3)


@BOTH
def test_bases_of_constraints_and_regularizers_do_nothing(api):
    assert api.constraints.Constraint()(3.0) == 3.0
    assert api.regularizers.Regularizer()(3.0) == 0.0


@BOTH
def test_accumulated_gradients_count_whole_steps(api):
    optimizer, weight = api.optimizers.SGD(1.0, gradient_accumulation_steps=2), api.Variable([1.0])
    counts = []
    for _ in range(3):
        optimizer.apply_gradients([(np.ones(1, "float32"), weight)])
        counts.append(int(optimizer.iterations))
    assert counts == [0, 1, 1]
