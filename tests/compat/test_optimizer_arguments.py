"""Arguments of optimizers that are set later, rates of several optimizers, and gradients that are new values."""

import numpy as np
import pytest

import compat as keras

real = pytest.importorskip("keras")
BOTH = pytest.mark.parametrize("api", [keras, real], ids=["ours", "theirs"])
ONES = np.ones(3, "float32")


def moved(api, argument, value, after):
    weight, optimizer = api.Variable(ONES), api.optimizers.SGD(0.1)
    if after:
        optimizer.build([weight])
    setattr(optimizer, argument, value)
    for _ in range(3):
        optimizer.apply([2 * ONES], [weight])
    return np.asarray(weight.value), optimizer.get_config()[argument]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("argument", "value"),
    [("clipnorm", 0.1), ("clipvalue", 0.01), ("global_clipnorm", 0.1), ("weight_decay", 0.1),
     ("loss_scale_factor", 2.0), ("nesterov", True)],
)  # fmt: skip
def test_arguments_set_after_the_constructor_count(argument, value, after):
    ours, theirs = moved(keras, argument, value, after), moved(real, argument, value, after)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert ours[1] == theirs[1] == value


@pytest.mark.parametrize(("argument", "value"), [("momentum", 0.9), ("use_ema", True)])
def test_arguments_that_ask_for_other_variables(argument, value):
    np.testing.assert_allclose(*(moved(api, argument, value, False)[0] for api in (keras, real)), rtol=1e-6)
    with pytest.raises(ValueError, match=f"SGD.{argument} = {value}"):
        moved(keras, argument, value, True)
    with pytest.raises(ValueError, match="clipnorm"):
        moved(keras, "clipnorm", -1.0, True)


def test_a_changed_argument_counts_from_the_next_fit():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x = np.ones((1, 1), "float32")
    model.fit(x, 0 * x, verbose=0)
    assert float(model.get_weights()[0][0, 0]) == -1.0
    model.optimizer.clipvalue = 0.5
    model.fit(x, 0 * x, verbose=0)
    assert float(model.get_weights()[0][0, 0]) == -0.5


def test_a_part_is_not_changed_after_the_whole_is_built():
    inner, weight = keras.optimizers.SGD(0.1), keras.Variable(ONES)
    whole = keras.optimizers.LossScaleOptimizer(inner, initial_scale=1.0)
    inner.clipvalue = 0.5
    whole.apply([2 * ONES], [weight])
    np.testing.assert_allclose(weight.numpy(), 0.95 * ONES)
    with pytest.raises(ValueError, match="part of another one"):
        inner.clipvalue = 0.1


def two_rates(api, **arguments):
    first, second = api.optimizers.SGD(0.1, name="first", **arguments), api.optimizers.SGD(0.01, name="second")
    whole = api.optimizers.MultiOptimizer(api.optimizers.OptimizerMap(second, {".*one/.*": first}))
    layers = [api.layers.Dense(2, kernel_initializer="ones", name="one"), api.layers.Dense(1, name="two")]
    model = api.Sequential([api.Input((1,)), *layers])
    model.compile(whole, "mse")
    return model, first, second


X = np.ones((4, 1), "float32")


@BOTH
def test_schedules_move_every_rate(api, capsys):
    model, first, second = two_rates(api)
    schedule = api.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5, verbose=1)
    history = model.fit(X, X, epochs=2, verbose=0, callbacks=[schedule]).history
    np.testing.assert_allclose([float(o.learning_rate) for o in (first, second)], [0.025, 0.0025], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate_first"], [0.05, 0.025], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate_second"], [0.005, 0.0025], rtol=1e-6)
    assert "first" in capsys.readouterr().out


@BOTH
def test_plateaus_lower_every_rate_down_to_the_lowest(api):
    model, first, second = two_rates(api)
    plateau = api.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, factor=0.1, min_lr=0.005, min_delta=1e9)
    history = model.fit(X, X, epochs=3, verbose=0, callbacks=[plateau]).history
    np.testing.assert_allclose([float(o.learning_rate) for o in (first, second)], [0.005, 0.005], rtol=1e-6)
    np.testing.assert_allclose(history["learning_rate_first"][1:], [0.1, 0.01], rtol=1e-6)


def test_averages_of_a_part_stand_in_for_evaluation():
    model, first, _ = two_rates(keras, use_ema=True, ema_momentum=0.5)
    for _ in range(3):
        model.train_on_batch(X, 3 * X)
    before, averages = model.get_weights(), [v.numpy() for v in first._model_variables_moving_average]
    swapped = model.evaluate(X, 3 * X, verbose=0, callbacks=[keras.callbacks.SwapEMAWeights()])
    for weight, value in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, value)
    plain = model.evaluate(X, 3 * X, verbose=0)
    model.set_weights([*averages, *before[2:]])
    assert swapped == model.evaluate(X, 3 * X, verbose=0) != plain


def test_the_average_of_no_part_cannot_stand_in():
    model, _, _ = two_rates(keras)
    with pytest.raises(ValueError, match="use_ema"):
        model.evaluate(X, X, verbose=0, callbacks=[keras.callbacks.SwapEMAWeights()])


@BOTH
def test_parts_are_plain_optimizers(api):
    plain = api.optimizers.SGD(0.1)
    parts = api.optimizers.OptimizerMap(plain)
    with pytest.raises(ValueError, match="LossScaleOptimizer"):
        parts[".*"] = api.optimizers.LossScaleOptimizer(plain)
    with pytest.raises(ValueError, match="MultiOptimizer"):
        parts[".*"] = api.optimizers.MultiOptimizer(api.optimizers.OptimizerMap(plain))


@BOTH
def test_a_dynamic_scale_takes_the_place_of_a_fixed_one(api):
    inner = api.optimizers.SGD(0.1, loss_scale_factor=5.0)
    whole, weight = api.optimizers.LossScaleOptimizer(inner, initial_scale=10.0), api.Variable(ONES)
    apply(whole, [10 * ONES], [weight])
    np.testing.assert_allclose(np.asarray(weight.value), 0.9 * ONES, rtol=1e-6)


def apply(optimizer, gradients, variables):
    """One step by the stateless form: real Keras cannot scale losses on JAX by the other."""
    optimizer.build(variables)
    values, own = optimizer.stateless_apply(
        [v.value for v in optimizer.variables], gradients, [v.value for v in variables]
    )
    for variable, value in zip((*variables, *optimizer.variables), (*values, *own), strict=True):
        variable.assign(value)


def overwritten(api, calls, scaled=False, **arguments):
    taken, plain = api.Variable(ONES), api.Variable(ONES)
    taken.overwrite_with_gradient = True
    optimizer = api.optimizers.SGD(1.0, **arguments)
    if scaled:
        optimizer = api.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    shown = []
    for call in calls:
        apply(optimizer, [call * ONES, call * ONES], [taken, plain])
        shown.append([float(taken[0]), float(plain[0])])
    return np.array(shown)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"gradient_accumulation_steps": 2}, {"gradient_accumulation_steps": 3}, {"global_clipnorm": 1.0}],
    ids=lambda a: "_".join(a) + str(*a.values()) if a else "none",
)
def test_gradients_that_are_new_values(arguments, scaled):
    calls = [1.0, 3.0, 2.0, 5.0, 0.5, 0.25]
    both = [overwritten(api, calls, scaled, **arguments) for api in (keras, real)]
    np.testing.assert_allclose(*both, rtol=1e-6)


def test_no_value_is_taken_from_a_step_that_the_scale_skips():
    shown = overwritten(keras, [1.0, np.inf, 2.0], scaled=True)
    assert shown[1, 0] == 1.0
    shown = overwritten(keras, [1.0, np.nan, 2.0], scaled=True, gradient_accumulation_steps=2)
    assert shown[:, 0].tolist() == [1.0, 1.0, 2.0]


def test_new_values_do_not_accumulate_in_a_part():
    taken = keras.Variable(ONES)
    taken.overwrite_with_gradient = True
    part = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    whole = keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(part))
    with pytest.raises(ValueError, match="gradient_accumulation_steps"):
        whole.apply([ONES], [taken])
