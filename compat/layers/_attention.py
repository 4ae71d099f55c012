"""The calls of the attention layers, whose arguments are not one list of inputs."""

from __future__ import annotations

import dataclasses
from typing import Any

from compat.engine.generated import Generated
from compat.initializers import new_seed
from compat.layers._dense import EinsumDense
from compat.state import settings
from compat.variables.seeds import SeedGenerator


class HeadedAttention(Generated):
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

    def __getattr__(self, name: str) -> Any:
        """Keras's own names of arguments and projections, such as `_query_dense`, which published code reads."""
        held = self.__dict__.get(name[1:]) if name[:1] == "_" and not name.startswith("__") else None
        if held is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return held

    def build(self, query_shape: Any, value_shape: Any = None, key_shape: Any = None) -> None:
        """Makes the variables for inputs of these shapes."""
        value_shape = value_shape if value_shape is not None else query_shape
        features = query_shape[-1]
        self.__dict__["_kf_pieces"] = self.definition.pieces(len(query_shape), len(value_shape), features)
        self._make_variables(query_shape, value_shape, *(() if key_shape is None else (key_shape,)))
        for attribute, _ in self._children.values():
            if attribute in self.__dict__:
                self.__dict__[attribute].__dict__.pop("_kf_owner", None)

    def _initializer(self, initializer: Any, used: list) -> Any:
        """Each kernel has a copy of the initializer, which draws a seed of its own unless it was given one."""
        auto = getattr(self.kernel_initializer, "auto_seeded", False)
        return initializer.replace(seed=new_seed()) if auto and hasattr(initializer, "seed") else initializer

    def _run_build(self, shapes: dict) -> None:
        self.build(**{n: shapes[n] for n in ("query_shape", "value_shape", "key_shape") if n in shapes})

    def _child(self, name: str) -> Any:
        """A projection: a layer of its own, which can be adapted (`enable_lora`) or replaced."""
        if name == "attention_output" and self._draws():  # in Keras's order: after those of query, key and value
            self.seed_generator = SeedGenerator(self.seed)
        attribute, shown = self._children[name]
        if attribute not in self.__dict__:
            piece = self.__dict__["_kf_pieces"][name]
            own = {n: getattr(self, n) for n in self._parameters if n.startswith(("kernel_", "bias_"))}
            child = EinsumDense(
                piece.equation, piece.output_shape, activation=piece.activation, bias_axes=piece.bias_axes, name=shown,
                dtype=self.dtype_policy, **own,
            )  # fmt: skip
            child.__dict__["_kf_owner"] = self  # while it is built: it has a copy of the owner's initializer
            object.__setattr__(self, attribute, child)
        return super()._child(name)

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> tuple:
        """The shape of the outputs: the query's, with the output's features."""
        query_shape, value_shape = tuple(query_shape), tuple(value_shape)
        self.definition.check_shapes(query_shape, value_shape, value_shape if key_shape is None else tuple(key_shape))
        features = getattr(self, "output_shape", None)
        return query_shape if features is None else (*query_shape[:-1], *features)

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
        return self._attended(inputs, call_args)

    def _attended(self, inputs: tuple, call_args: dict) -> Any:
        return self._apply(inputs, call_args)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the query."""
        return previous_mask


class MultiHeadedAttention(HeadedAttention):
    """Base of `MultiHeadAttention`, whose `_compute_attention` a subclass may override, as Keras's documents say."""

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        """The heads' outputs `[B, T, N, V]` and the scores `[B, N, T, S]` of projected inputs `[B, T, N, H]`."""
        definition, key_of_dropout = self.definition, self._key(bool(training)) if self.dropout else None
        axes = definition._axes(len(query.shape) - 1)
        return definition._products(query, key, value, attention_mask, axes, key_of_dropout)

    def _attended(self, inputs: tuple, call_args: dict) -> Any:
        if type(self)._compute_attention is MultiHeadedAttention._compute_attention:
            return super()._attended(inputs, call_args)
        query, value, key = self.definition.split_inputs(inputs)
        given = [call_args[n] for n in ("query_mask", "value_mask", "key_mask", "attention_mask")]
        mask = self.definition.joint_mask(query, value, *given, call_args["use_causal_mask"])
        projected = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        with_scores = call_args["return_attention_scores"]
        outputs, scores = self._compute_attention(*projected, mask, call_args["training"], with_scores)
        if self.use_gate:
            outputs = outputs * self.gate_dense(query)
        outputs = self.output_dense(outputs)
        return (outputs, scores) if with_scores else outputs


class ScoredAttention(Generated):
    """The call of layers without heads: a list of query, value and perhaps key."""

    _takes_list = True

    def build(self, input_shape: Any) -> None:
        """Makes the variables for a list of inputs of these shapes."""
        self._check_lists(input_shape, None)
        self._make_variables(input_shape)

    def _check_lists(self, inputs: Any, mask: Any) -> None:
        name = type(self).__name__
        if not isinstance(inputs, (list, tuple)) or (not isinstance(inputs[0], (list, tuple)) and _is_size(inputs[0])):
            raise ValueError(
                f"{name}: the inputs are a list, [query, value] or [query, value, key]; received {inputs!r:.200}"
            )
        if len(inputs) not in (2, 3):
            raise ValueError(
                f"{name}: the list of inputs has 2 or 3 parts, [query, value] and perhaps key; received {len(inputs)}"
            )
        if mask is not None and not isinstance(mask, (list, tuple)):
            raise ValueError(f"{name}: the mask is a list too, [query_mask, value_mask]; received {mask!r:.200}")
        if mask is not None and len(mask) not in (2, 3):
            raise ValueError(f"{name}: the list of masks has 2 or 3 parts; received {len(mask)}")

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """Attends from the query's positions to the value's."""
        self._check_lists(inputs, mask)
        call_args = {
            "mask": mask, "training": training, "return_attention_scores": return_attention_scores,
            "use_causal_mask": use_causal_mask,
        }  # fmt: skip
        return self._apply(tuple(inputs), call_args)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        self._check_lists(inputs, mask)
        return mask[0] if mask is not None else None


def _is_size(value: Any) -> bool:
    return value is None or isinstance(value, int)
