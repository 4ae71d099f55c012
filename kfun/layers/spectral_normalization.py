"""`SpectralNormalization`: a layer whose kernel is divided by its largest singular value in training."""

from __future__ import annotations

from typing import Any

from kfun import ops
from kfun.initializers import TruncatedNormal
from kfun.layer import Layer, declared_by
from kfun.layers.checks import Count, label
from kfun.weights import Weight

_LARGEST = 1e7  # of an inverse norm: Keras's epsilon, so that a vector of zeros stays one


class SpectralNormalization(Layer):
    """Divides a layer's kernel by its spectral norm in training (Miyato et al. 2018, arXiv:1802.05957).

    The norm is that of the kernel as a matrix `[everything else, F]`, estimated by power iteration
    from `vector_u`, which each step of training improves. Outside of training the kernel is taken as
    it stands, as in Keras. There the layer also puts the divided kernel in the kernel's place when it
    is called in training; of a pure function `normalized(params, state)` asks for that.

    Args:
        layer: the layer, with a weight `kernel` or `embeddings`; its parameters sit under `layer`.
        power_iterations: how often the estimate is improved at a step, at least 1.

    Shapes:
        as the layer's; vector_u `[1, F]`, in the state. The output has the type of a floating input.
        (Keras casts it to that of any input, by which an embedding of integers loses all.)

    Raises:
        TypeError: if `layer` is no layer. ValueError: if it has neither `kernel` nor `embeddings`.
    """

    layer: Layer
    power_iterations: Count = 1

    start = TruncatedNormal(stddev=0.02)  # of the vector; not a field: no annotation

    def check(self):
        if not isinstance(self.layer, Layer):
            raise TypeError(f"{label(self)}: layer: expected a layer; received {self.layer!r}")

    def weights(self, x):
        weights = declared_by(self.layer, x)
        kernel = weights[self._kernel_of(weights)]
        vector = Weight((1, kernel.shape[-1]), self.start, kernel.dtype, trainable=False)
        return {"layer": weights, "vector_u": vector}

    def apply(self, params, state, x, *, key=None, training=False):
        params, (x,) = self.to_compute(params, (x,))
        if training:
            params, state = self.normalized(params, state)
        y, inner = self.layer.apply(params["layer"], state.get("layer", {}), x, key=key, training=training)
        if inner:
            state = {**state, "layer": inner}
        return self.to_output(y), state

    def normalized(self, params: dict, state: dict) -> tuple[dict, dict]:
        """`(params, state)` with the kernel divided by its spectral norm, and the estimate improved."""
        inner = params["layer"]
        name = self._kernel_of(inner)
        kernel, vector = spectrally_normalized(inner[name], state["vector_u"], self.power_iterations)
        return {**params, "layer": {**inner, name: kernel}}, {**state, "vector_u": vector}

    def compute_mask(self, *inputs, mask=None):
        return None

    def _kernel_of(self, weights: dict) -> str:
        for name in ("kernel", "embeddings"):
            if name in weights:
                return name
        raise ValueError(
            f"{label(self)}: expected a layer with a weight 'kernel' or 'embeddings'; {self.layer!r} has "
            f"{sorted(weights) or 'none'}. Wrap the layer inside that has one."
        )


def spectrally_normalized(kernel: Any, vector: Any, iterations: int) -> tuple[Any, Any]:
    """`(kernel / sigma, u)` after so many power iterations; a kernel of zeros and its vector stay.

    Args:
        kernel: `[..., F]`.
        vector: u `[1, F]`, the estimate of the right singular vector of the largest singular value.
        iterations: how often v = normalize(u W^T), u = normalize(v W) is repeated, W the kernel `[-1, F]`.
    """
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    fixed, u, v = ops.stop_gradient(matrix), vector, vector
    for _ in range(iterations):
        v = _unit(ops.matmul(u, ops.transpose(fixed)))  # [1, N]
        u = _unit(ops.matmul(v, fixed))  # [1, F]
    zero = ops.all(ops.equal(kernel, 0))
    sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u))  # [1, 1]
    sigma = ops.reshape(ops.where(zero, 1, sigma), (1,) * len(kernel.shape))
    u = ops.where(zero, vector, ops.cast(u, vector.dtype))
    return ops.cast(ops.divide(kernel, sigma), kernel.dtype), ops.stop_gradient(u)


def _unit(x: Any) -> Any:
    return ops.multiply(x, ops.minimum(ops.rsqrt(ops.sum(ops.square(x))), _LARGEST))
