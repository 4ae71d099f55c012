"""The calls of the attention layers, whose arguments are not one list of inputs."""

from __future__ import annotations

import dataclasses
from typing import Any

from compat.core import settings
from compat.core.generated import Generated
from compat.core.seeds import SeedGenerator
from compat.initializers import new_seed


class Headed(Generated):
    """The call of layers with heads: query, value and key are arguments of their own."""

    _seeded = "in build"

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.__dict__["_kf_fused"] = settings.values["flash_attention"]
        self.__dict__.pop("_definition", None)

    @property
    def definition(self) -> Any:
        """The kfun definition; without a fused kernel if `config.disable_flash_attention()` was said before."""
        made = super().definition
        if made.flash_attention is None and self.__dict__.get("_kf_fused") is False:
            made = self.__dict__["_definition"] = dataclasses.replace(made, flash_attention=False)
        return made

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Makes the variables for inputs of these shapes."""
        value_shape = value_shape if value_shape is not None else query_shape
        super().build(query_shape, value_shape, *(() if key_shape is None else (key_shape,)))

    def _initializer(self, initializer: Any, used: set) -> Any:
        """Each kernel has a copy of the initializer, which draws a seed of its own unless it was given one."""
        auto = getattr(self.kernel_initializer, "auto_seeded", False)
        return initializer.replace(seed=new_seed()) if auto and hasattr(initializer, "seed") else initializer

    def _child(self, name: str) -> Any:
        if name == "attention_output" and self._draws():  # in Keras's order: after those of query, key and value
            self.seed_generator = SeedGenerator(self.seed)
        return super()._child(name)

    def _run_build(self, shapes: dict) -> None:
        self.build(**{n: shapes[n] for n in ("query_shape", "value_shape", "key_shape") if n in shapes})

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attends from the query's positions to the value's."""
        inputs = (query, value) if key is None else (query, value, key)
        call_args = {
            "query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask,
            "attention_mask": attention_mask, "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask, "training": training,
        }  # fmt: skip
        return self._apply(inputs, call_args)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the query."""
        return previous_mask


class Scored(Generated):
    """The call of layers without heads: a list of query, value and perhaps key."""

    _takes_list = True

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attends from the query's positions to the value's."""
        call_args = {
            "mask": mask, "training": training, "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask,
        }  # fmt: skip
        return self._apply(tuple(inputs), call_args)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the query."""
        return previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
