"""Layers around a layer: both directions of time, every time step alike."""

from __future__ import annotations

import functools
from typing import Any

from kfun import ops, random
from kfun.composite import Composite, planner, runner
from kfun.layer import Layer
from kfun.layers.checks import label, shown
from kfun.layers.recurrent import Recurrent

_MERGES = {
    "concat": lambda y, z: ops.concatenate([y, z], -1),
    "sum": ops.add,
    "mul": ops.multiply,
    "ave": lambda y, z: ops.divide(ops.add(y, z), 2),
}


class Bidirectional(Composite):
    """A recurrent layer forwards and another backwards, their outputs merged.

    Args:
        layer: the recurrent layer; its copy with `go_backwards` runs backwards.
        merge_mode: `"concat"`, `"sum"`, `"mul"`, `"ave"`, or None for a pair of outputs.
        backward_layer: runs backwards in place of the copy.

    Shapes:
        x `[B, T, C]`; result as the layer's, twice as wide with `"concat"`; with `return_state`
        a tuple of it and the states of both, forward first. Backward outputs are brought to the
        order of x, and masked steps' outputs are 0.
    """

    layer: Layer
    merge_mode: str | None = "concat"
    backward_layer: Layer | None = None

    uses_mask = True

    def check(self):
        for field, layer in (("layer", self.layer), ("backward_layer", self.backward_layer)):
            if not isinstance(layer, Recurrent) and (layer is not None or field == "layer"):
                raise TypeError(f"{label(self)}: {field}: expected a recurrent layer; received {layer!r}")
        if self.merge_mode is not None and self.merge_mode not in _MERGES:
            known = ", ".join(map(repr, _MERGES))
            raise ValueError(f"{label(self)}: merge_mode: expected one of {known}, None; received {self.merge_mode!r}")
        forward, backward = self.forwards, self.backwards
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                f"{label(self)}: one layer must go backwards and the other not; received go_backwards="
                f"{forward.go_backwards} for both"
            )
        for field in ("stateful", "return_sequences", "return_state"):
            one, other = getattr(forward, field), getattr(backward, field)
            if one != other:
                raise ValueError(f"{label(self)}: both layers need the same {field}; received {one} and {other}")

    @functools.cached_property
    def forwards(self) -> Any:
        """The layer that reads `x` from the start."""
        return self.layer.replace(zero_output_for_mask=self.layer.return_sequences)

    @functools.cached_property
    def backwards(self) -> Any:
        """The layer that reads `x` from the end."""
        layer = self.backward_layer or self.layer.replace(go_backwards=True)
        return layer.replace(zero_output_for_mask=layer.return_sequences)

    @property
    def sublayers(self) -> dict[str, Layer]:
        return {"forward_layer": self.forwards, "backward_layer": self.backwards}

    def plan(self, x, **call_args):
        run, declared = planner()
        return declared, self._both(run, x, **call_args)

    def apply(self, params, state, x, *, key=None, training=False, mask=None, initial_state=None):
        """Runs both layers. `key` may be a pair, one for each."""
        params, (x,) = self.to_compute(params, (x,))
        run, state, _ = runner(params, state, key, training)
        return self.to_output(self._both(run, x, mask, initial_state)), state

    def _both(self, run, x, mask=None, initial_state=None):
        half = 0 if initial_state is None else len(initial_state) // 2
        states = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        y, z = (
            run(name, layer, (x,), {"mask": mask, "initial_state": first})
            for (name, layer), first in zip(self.sublayers.items(), states, strict=True)
        )
        last: tuple = ()
        if self.layer.return_state:
            last = (*y[1:], *z[1:])
            y, z = y[0], z[0]
        if self.layer.return_sequences:
            z = ops.flip(z, 1)
        outputs = (y, z) if self.merge_mode is None else (_MERGES[self.merge_mode](y, z),)
        outputs = [*outputs, *last]
        return tuple(outputs) if len(outputs) > 1 else outputs[0]

    def compute_mask(self, *inputs, mask=None):
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        mask = mask if self.layer.return_sequences else None
        masks = (mask, mask) if self.merge_mode is None else (mask,)
        if self.layer.return_state:
            masks += (None,) * (2 * len(self.layer.cell.state_size))
        return masks if len(masks) > 1 else mask


class TimeDistributed(Composite):
    """Applies a layer to every time step of `[B, T, ...]`.

    A layer without state sees time steps as examples of one large batch; one with state (batch
    statistics) runs step by step, so that its state goes from each step to the next.

    Args:
        layer: what is applied; its parameters sit under `layer`.

    Shapes:
        x `[B, T, ...]`, mask (a call argument) `[B, T, ...]` or None, given to the layer if it
        uses masks; result `[B, T, ...]`.
    """

    layer: Layer

    uses_mask = True

    def check(self):
        if not isinstance(self.layer, Layer):
            raise TypeError(f"{label(self)}: layer: expected a layer; received {self.layer!r}")

    @property
    def sublayers(self) -> dict[str, Layer]:
        return {"layer": self.layer}

    def plan(self, x, mask=None):
        run, declared = planner()
        return declared, self._as_batch(run, x, mask)

    def apply(self, params, state, x, *, key=None, training=False, mask=None):
        params, (x,) = self.to_compute(params, (x,))
        if mask is not None and not _agree(mask.shape, x.shape):
            raise ValueError(
                f"{label(self)}: the mask of shape {shown(mask.shape)} "
                f"does not fit; expected [B, T, ...] as the input of shape {shown(x.shape)} begins"
            )
        if state and training:
            y, state = self._step_by_step(params, state, x, key, mask)
        else:
            run, state, _ = runner(params, state, key, training)
            y = self._as_batch(run, x, mask)
        return self.to_output(y), state

    def _as_batch(self, run, x, mask):
        if len(x.shape) < 3:
            raise ValueError(f"{label(self)}: expected an input [B, T, ...]; received shape {shown(x.shape)}")
        batch, time, *_ = ops.shape(x)
        kwargs = {} if mask is None or not self.layer.uses_mask else {"mask": _joined(mask)}
        y = run("layer", self.layer, (_joined(x),), kwargs)
        return ops.reshape(y, (batch, time, *ops.shape(y)[1:]))

    def _step_by_step(self, params, state, x, key, mask):
        takes_mask = mask is not None and self.layer.uses_mask

        def step(carry, xs):
            state, key = carry
            key, own = (None, None) if key is None else ops.unstack(random.split(key), 2)
            kwargs = {"mask": xs[1]} if takes_mask else {}
            y, state = self.layer.apply(params.get("layer", {}), state, xs[0], key=own, training=True, **kwargs)
            return (state, key), y

        xs = (ops.swapaxes(x, 0, 1),) + ((ops.swapaxes(mask, 0, 1),) if takes_mask else ())
        (last, _), y = ops.scan(step, (state["layer"], key), xs)
        return ops.swapaxes(y, 0, 1), {"layer": last}


def _agree(mask: Any, x: Any) -> bool:
    """Whether two shapes begin with the same batch size and number of steps, as far as they are known."""
    pairs = zip(mask[:2], x[:2], strict=False)
    return len(mask) >= 2 and all(m == n for m, n in pairs if isinstance(m, int) and isinstance(n, int))


def _joined(x: Any) -> Any:
    """`[B, T, ...]` as `[B * T, ...]`."""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))
