"""`Lambda`: a Python function as a layer."""

from __future__ import annotations

import inspect
from typing import Any

from compat.engine.layer import Layer
from compat.serialization.objects import deserialize_keras_object, serialize_keras_object
from compat.serialization.registry import CustomObjectScope, get_registered_object


class Lambda(Layer):
    """Calls a Python function.

    Args:
        function: of the inputs; may take `mask` and `training` by name.
        output_shape: a shape without the batch axis, or a function of the input's shape; found
            by an abstract run if None.
        mask: a mask, or a function `(inputs, mask)`.
        arguments: further arguments of the function.

    A named function that is registered with `saving.register_keras_serializable` is found again
    when a file is read. A lambda is not, because no code of a file is run: `load_model` takes it
    from `custom_objects`, by the name of the layer.
    """

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: dict | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: expected a function; received {function!r}")
        self.function, self.arguments = function, dict(arguments or {})
        self._output_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: bool | None = None) -> Any:
        """The function's result."""
        extra = {}
        parameters = inspect.signature(self.function).parameters
        if "mask" in parameters:
            extra["mask"] = mask
        if "training" in parameters:
            extra["training"] = training
        return self.function(inputs, **self.arguments, **extra)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask that was given, or what the given function makes of it."""
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The given output shape, or the shape that an abstract run finds."""
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        return (input_shape[0], *self._output_shape)

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """The specs of the outputs for symbolic tensors."""
        if self._output_shape is None:
            return self._run_abstract((inputs,), kwargs)
        return super().compute_output_spec(inputs, **kwargs)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        function = serialize_keras_object(self.function)
        if isinstance(function, str):
            function = {
                "module": "builtins", "class_name": "function", "config": function, "registered_name": "function",
            }  # fmt: skip
        config = super().get_config() | {"function": function}
        if self._output_shape is not None:
            config["output_shape"] = serialize_keras_object(self._output_shape)
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        return config | {"arguments": serialize_keras_object(self.arguments)}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None, safe_mode: bool | None = None) -> Lambda:
        """The layer of a config; its functions must be registered, or given under the layer's name.

        Code in a config is never run, whatever `safe_mode` says.
        """
        if custom_objects:
            with CustomObjectScope(custom_objects):
                return cls.from_config(config)

        function = config.get("function")
        if isinstance(function, dict) and function.get("class_name") == "__lambda__":
            config = config | {"function": get_registered_object(str(config.get("name"))) or function}
        config = {k: deserialize_keras_object(v) if isinstance(v, dict) else v for k, v in config.items()}
        return cls(**config)
