"""Prefix beam search for connectionist temporal classification (Hannun et al. 2014, arXiv:1408.2873).

B batch, T steps, C classes, W prefixes. A prefix has the log-probability of its alignments that
end in the blank and of those that end in its last label.
"""

from __future__ import annotations

from kfun.ops import activation as a
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._precision import dtype_of

_NEVER = -1e30  # the log-probability of what cannot be, finite so that differences are numbers
_ALIVE = -1e29


def beam_search(logits, going, width, count, blank):
    """The likeliest label sequences; of two that are equally likely, either.

    Args:
        logits: `[B, T, C]`.
        going: bool `[B, T]`: which steps count.
        width: W.
        count: P, at most W.
        blank: the class of the blank.

    Returns:
        Labels, int32 `[P, B, T]`, -1 after the end, and log-probabilities `[B, P]`, minus infinity
        where there are fewer sequences.
    """
    scores = e.maximum(a.log_softmax(logits, -1), _NEVER)
    classes = e.subtract(r.cumsum(c.ones_like(s.getitem(scores, (slice(None), 0)), "int32"), 1), 1)  # [B, C]
    paths = c.full_like(s.getitem(scores, (..., 0)), -1, "int32")
    paths = s.repeat(s.expand_dims(paths, 1), width, 1)  # [B, W, T]
    places = e.subtract(r.cumsum(c.ones_like(paths), 2), 1)
    rank = e.subtract(r.cumsum(c.ones_like(s.getitem(paths, (..., 0))), 1), 1)  # [B, W]
    dead = c.full_like(rank, _NEVER, dtype_of(scores))
    first = e.where(e.equal(rank, 0), c.zeros_like(dead), dead)  # the empty prefix
    step = _Step(classes, places, e.equal(classes, blank % c.shape(scores)[2]), width)
    rows = (s.moveaxis(scores, 1, 0), s.moveaxis(going, 1, 0))
    state = control.scan(step, (paths, c.zeros_like(rank), first, dead), rows)[0]
    paths, _, by_blank, by_label = (s.getitem(x, (slice(None), slice(0, count))) for x in state)
    total = e.logaddexp(by_blank, by_label)
    alive = e.greater(total, _ALIVE)
    paths = e.where(s.expand_dims(alive, 2), paths, -1)
    return s.transpose(paths, (1, 0, 2)), e.where(alive, total, float("-inf"))


class _Step:
    """One step for W prefixes, which stay in the order of their probability.

    The state is labels `[B, W, T]`, lengths `[B, W]`, and the log-probabilities of alignments that
    end in the blank and in the last label `[B, W]`.
    """

    def __init__(self, classes, places, at_blank, width):
        self.classes, self.places, self.at_blank, self.width = classes, places, at_blank, width

    def __call__(self, state, x):
        scores, going = x  # [B, C], [B]
        new = self.moved(state, scores)
        flags = [s.reshape(going, (-1, *(1,) * (len(c.shape(old)) - 1))) for old in state]
        return tuple(e.where(f, n, old) for f, n, old in zip(flags, new, state, strict=True)), None

    def moved(self, state, scores):
        paths, lengths, by_blank, by_label = state
        total = e.logaddexp(by_blank, by_label)
        final = e.equal(self.places, s.expand_dims(e.subtract(lengths, 1), 2))  # [B, W, T]
        last = r.sum(e.where(final, paths, 0), 2)  # [B, W]
        empty = e.equal(lengths, 0)
        is_last = e.equal(s.expand_dims(self.classes, 1), s.expand_dims(last, 2))  # [B, W, C]
        is_last = e.logical_and(is_last, e.logical_not(s.expand_dims(empty, 2)))
        row = s.expand_dims(scores, 1)  # [B, 1, C]
        again = r.sum(e.where(is_last, row, 0.0), 2)
        stay_label = e.where(empty, _NEVER, e.add(by_label, again))
        stay_blank = e.add(total, r.sum(e.where(s.expand_dims(self.at_blank, 1), row, 0.0), 2))
        # The same label once more is a new one after the blank alone.
        longer = e.add(e.where(is_last, s.expand_dims(by_blank, 2), s.expand_dims(total, 2)), row)
        longer = e.where(s.expand_dims(self.at_blank, 1), _NEVER, longer)  # [B, W, C]
        child = self._children(paths, final, empty, e.greater(total, _ALIVE))
        stay_label, longer = _merged(child, is_last, last, stay_label, longer)
        return self._best(state[:2], stay_blank, stay_label, longer)

    def _children(self, paths, final, empty, alive):
        """`[B, W, W]`: whether the first prefix is the second and one label more."""
        shorter = e.where(final, -1, paths)
        same = r.all(e.equal(s.expand_dims(shorter, 2), s.expand_dims(paths, 1)), 3)
        there = e.logical_and(alive, e.logical_not(empty))
        return e.logical_and(same, e.logical_and(s.expand_dims(there, 2), s.expand_dims(alive, 1)))

    def _best(self, prefixes, stay_blank, stay_label, longer):
        """The W likeliest of the prefixes as they are, column 0, and with one label more."""
        paths, lengths = prefixes
        stay = s.expand_dims(e.logaddexp(stay_blank, stay_label), 2)
        columns = c.shape(longer)[2] + 1
        flat = s.reshape(s.concatenate([stay, longer], 2), (c.shape(longer)[0], -1))
        best, index = s.top_k(flat, self.width)
        source, column = e.floor_divide(index, columns), e.mod(index, columns)
        stays = e.equal(column, 0)
        old_paths = s.take_along_axis(paths, s.broadcast_to(s.expand_dims(source, 2), c.shape(paths)), 1)
        old_lengths = s.take_along_axis(lengths, source, 1)
        end = e.logical_and(e.equal(self.places, s.expand_dims(old_lengths, 2)), s.expand_dims(e.logical_not(stays), 2))
        new_paths = e.where(end, s.expand_dims(e.subtract(column, 1), 2), old_paths)
        by_blank = e.where(stays, s.take_along_axis(stay_blank, source, 1), _NEVER)
        by_label = e.where(stays, s.take_along_axis(stay_label, source, 1), best)
        return new_paths, e.where(stays, old_lengths, e.add(old_lengths, 1)), by_blank, by_label


def _merged(child, is_last, last, stay_label, longer):
    """Adds a longer prefix that is one of the W already to that one, and takes it out."""
    index = s.broadcast_to(s.expand_dims(last, 2), c.shape(child))  # [B, child, parent]
    coming = s.take_along_axis(s.transpose(longer, (0, 2, 1)), index, 1)
    stay_label = e.logaddexp(stay_label, r.max(e.where(child, coming, _NEVER), 2))  # a child has one parent
    dtype = dtype_of(longer)
    taken = p.einsum("bkp,bkc->bpc", c.cast(child, dtype), c.cast(is_last, dtype))
    return stay_label, e.where(e.greater(taken, 0.5), _NEVER, longer)
