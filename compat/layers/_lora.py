"""Low-rank adaptation of a layer's weight, as Keras has it: `enable_lora`, and `lora_rank` in the constructor.

The layer's definition knows nothing of it: the weight becomes a `kfun.arrays.LoRA`.
"""

from __future__ import annotations

from typing import Any

from compat.engine.generated import Generated
from kfun import ops
from kfun.arrays import LoRA

ARGUMENTS = {"lora_rank": None, "lora_alpha": None, "quantization_config": None}


class MergedWeight:
    """The adapted weight as an attribute: its variable, or once it is adapted the array that it stands for."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, layer: Any, owner: Any) -> Any:
        if layer is None:
            return self
        try:
            variable = layer.__dict__[self.name]
        except KeyError:
            raise AttributeError(
                f"{type(layer).__name__} {layer.name!r} has no {self.name} before it is built: call it on data, or "
                "build it"
            ) from None
        return layer._adapted_value().merged() if layer.lora_enabled else variable

    def __set__(self, layer: Any, value: Any) -> None:
        layer.__dict__[self.name] = value


class LoraAdaptable(Generated):
    """Base of the layers with a weight that can be adapted: `_adapted` names it.

    Arguments beside the definition's:
        lora_rank: R; None for no adaptation.
        lora_alpha: the factors' product counts alpha / R times; by default R. Also as an argument it
            holds after building, where Keras 3.15 falls back to R.
        quantization_config: None.
    """

    _adapted = "kernel"
    _omitted = frozenset({"lora_rank", "lora_alpha", "gptq_unpacked_column_size"})
    lora_enabled = False

    # What a class without the arguments has.
    lora_rank = lora_alpha = quantization_config = gptq_unpacked_column_size = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name in ("quantization_config", "gptq_unpacked_column_size"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{type(self).__name__}: expected {name}=None, since this layer computes in floats; received "
                    f"{getattr(self, name)!r}. Quantize the exported model instead"
                )

    def build(self, input_shape: Any) -> None:
        """Makes the variables, and the factors if a rank was given."""
        self._make_variables(input_shape)
        if self.lora_rank and not self.lora_enabled:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freezes the weight and adds two trainable factors `a` and `b` of a low rank to it.

        Args:
            rank: R, at least 1.
            lora_alpha: the product counts alpha / R times; by default R.
            a_initializer, b_initializer: of the factors.

        Raises:
            ValueError: if the layer is not built, is adapted already, or constrains the weight.
        """
        if getattr(self, f"{self._adapted}_constraint") is not None:
            raise ValueError(
                f"LoRA is incompatible with {self._adapted.removesuffix('s')} constraints: remove "
                f"{self._adapted}_constraint of layer {self.name!r}"
            )
        if not self.built:
            raise ValueError(f"LoRA needs a layer that is built: call {self.name!r} on data, or build it, first")
        if self.lora_enabled:
            raise ValueError(f"lora is already enabled on layer {self.name!r}: it can be done once")
        base = self.__dict__[self._adapted]
        *rows, columns = base.shape
        for name, shape, initializer in (
            ("a", (*rows, rank), a_initializer),
            ("b", (rank, columns), b_initializer),
        ):
            name = f"lora_{self._adapted}_{name}"
            object.__setattr__(self, name, self.add_weight(shape, initializer, regularizer=base.regularizer, name=name))
        base.trainable = False
        self.lora_enabled, self.lora_rank = True, rank
        self.lora_alpha = rank if lora_alpha is None else lora_alpha

    def _factors(self) -> list[Any]:
        return [getattr(self, f"lora_{self._adapted}_{name}") for name in "ab"]

    def _adapted_value(self) -> LoRA:
        a, b = (v.value for v in self._factors())
        return LoRA(self.__dict__[self._adapted].value, a, b, self.lora_alpha / self.lora_rank)

    def gather(self) -> tuple[dict, dict]:
        """`(params, state)` of the definition, the weight in its adapted form."""
        params, state = super().gather()
        if self.lora_enabled:
            params[self._adapted] = self._adapted_value()
        return params, state

    def save_own_variables(self, store: Any) -> None:
        """Writes the merged weight and the bias: what a layer without factors has."""
        if not self.lora_enabled:
            return super().save_own_variables(store)
        store["0"] = _numpy(self._adapted_value().merged())
        for i, variable in enumerate(self._plain()[1:], 1):
            store[str(i)] = variable._array()

    def load_own_variables(self, store: Any) -> None:
        """Reads the merged weight and the bias; the factors are set to zero."""
        if not self.lora_enabled:
            return super().load_own_variables(store)
        for i, variable in enumerate(self._plain()):
            variable.assign(store[str(i)])
        for factor in self._factors():
            factor.assign(_numpy(factor.value) * 0)

    def _plain(self) -> list[Any]:
        factors = self._factors()
        return [v for v in self._own()[0] + self._own()[1] if not any(v is f for f in factors)]


class AdaptableKernel(LoraAdaptable):
    """Base of `Dense`, `EinsumDense` and the convolutions."""

    kernel = MergedWeight("kernel")

    @property
    def _kernel(self) -> Any:
        """The variable of the kernel, also where it is adapted; Keras's name for it."""
        return self.__dict__.get("kernel")


def _numpy(value: Any) -> Any:
    return ops.convert_to_numpy(value)
