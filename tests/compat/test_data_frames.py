"""Frames and series of pandas and polars: numbers of any type are numbers, and what is none is named."""

from __future__ import annotations

import decimal

import numpy as np
import pytest

import compat
from compat.training.data import as_arrays

pd = pytest.importorskip("pandas", reason="needs pandas")
NAN = float("nan")


def floats(*columns):
    return np.array(columns, "float32").T


def pandas_cases():
    size = pd.Series([1.5, 2.5])
    return {
        "dummies": (pd.get_dummies(pd.DataFrame({"a": size, "k": ["u", "v"]})), floats([1.5, 2.5], [1, 0], [0, 1])),
        "sparse dummies": (
            pd.get_dummies(pd.DataFrame({"a": size, "k": ["u", "v"]}), sparse=True),
            floats([1.5, 2.5], [1, 0], [0, 1]),
        ),
        "booleans beside integers": (pd.DataFrame({"a": [1, 2], "b": [True, False]}), np.array([[1, 1], [2, 0]])),
        "nullable integers": (pd.DataFrame({"a": pd.array([1, 2], "Int64"), "b": size}), floats([1, 2], [1.5, 2.5])),
        "a missing integer": (pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": size}), floats([1, NAN], size)),
        "a missing boolean": (pd.DataFrame({"a": pd.array([True, None], "boolean")}), floats([1, NAN])),
        "categories of numbers": (pd.DataFrame({"a": pd.Categorical([3, 1]), "b": [True, False]}), [[3, 1], [1, 0]]),
        "a series of categories": (pd.Series(pd.Categorical([3, None])), floats([3, NAN])),
        "numbers as objects": (pd.DataFrame({"a": pd.Series([1, True], dtype=object)}), [[1], [1]]),
        "decimals": (pd.Series([decimal.Decimal("1.5"), decimal.Decimal("2")]), floats([1.5, 2])),
        "columns of one name": (pd.DataFrame([[1, True], [2, False]], columns=["a", "a"]), [[1, 1], [2, 0]]),
    }  # fmt: skip


def polars_cases():
    pl = pytest.importorskip("polars", reason="needs polars")
    return {
        "booleans beside floats": (pl.DataFrame({"a": [1.5, 2.5], "b": [True, False]}), floats([1.5, 2.5], [1, 0])),
        "missing ones": (pl.DataFrame({"a": [1, None], "b": [True, None]}), floats([1, NAN], [1, NAN])),
        "a series with a missing one": (pl.Series("b", [True, None]), floats([1, NAN])),
        "decimals": (pl.DataFrame({"a": [decimal.Decimal("1.5"), None], "b": [1, 2]}), floats([1.5, NAN], [1, 2])),
    }


@pytest.mark.parametrize("cases", [pandas_cases, polars_cases])
def test_numbers_are_numbers(cases):
    for name, (frame, expected) in cases().items():
        found = as_arrays(frame, "x", "float32")
        np.testing.assert_array_equal(found, expected, err_msg=name)
        assert found.dtype == np.asarray(expected).dtype, name


def no_numbers():
    pl = pytest.importorskip("polars", reason="needs polars")
    dates = pd.to_datetime(["2020-01-01", "2020-01-02"])
    text = ["1", "2"]
    return [
        (pd.DataFrame({"a": [1, 2], "t": text, "b": [True, False], "u": text}), "t, u"),
        (pd.DataFrame({"a": pd.Categorical(text), "b": [1.5, 2.5]}), "a"),
        (pd.DataFrame({"a": pd.array(text, "string"), "b": pd.array([1, 2], "Int64")}), "a"),
        (pd.DataFrame({"d": dates, "b": [True, False]}), "d"),
        (pd.DataFrame({"d": dates}), "d"),
        (pd.Series(text, name="t"), "t"),
        (pl.DataFrame({"a": [1, 2], "t": text, "b": [True, None]}), "t"),
        (pl.DataFrame({"a": [1, 2], "d": pl.Series(dates)}), "d"),
        (pl.Series("t", text), "t"),
    ]


@pytest.mark.parametrize("place", range(9))
def test_columns_without_numbers_are_named_and_only_they(place):
    frame, named = no_numbers()[place]
    with pytest.raises(ValueError, match=f"^x: the columns {named} hold no plain numbers"):
        as_arrays(frame, "x")


@pytest.mark.parametrize("eager", [False, True])
def test_a_model_is_trained_on_a_mixed_frame(eager, tmp_path):
    """The error of weights of one: the square of the rows' sums; also of a model from a file, and of batches."""
    frame = pd.get_dummies(pd.DataFrame({"a": [1.5, 2.5], "k": ["u", "v"]}))  # rows add up to 2.5 and 3.5
    y = pd.DataFrame({"y": pd.array([False, False], "boolean")})
    model = compat.Sequential([compat.Input((3,)), compat.layers.Dense(1, kernel_initializer="ones")])
    model.compile(compat.optimizers.SGD(0.0), "mse", run_eagerly=eager)
    model.save(tmp_path / "model.keras")
    for one in (model, compat.saving.load_model(tmp_path / "model.keras")):
        np.testing.assert_allclose(one.predict(frame, verbose=0), [[2.5], [3.5]])
        np.testing.assert_allclose(one.fit(frame, y, verbose=0).history["loss"], [(2.5**2 + 3.5**2) / 2])
        np.testing.assert_allclose(one.evaluate(iter([(frame, y)] * 2), steps=1, verbose=0), (2.5**2 + 3.5**2) / 2)
        np.testing.assert_allclose(one.train_on_batch(frame, y), (2.5**2 + 3.5**2) / 2)
