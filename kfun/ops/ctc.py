"""Connectionist temporal classification (Graves et al. 2006). B batch, T steps, N labels at most, C classes."""

from __future__ import annotations

from kfun import dtypes
from kfun.ops import activation as a
from kfun.ops import control
from kfun.ops import creation as c
from kfun.ops import elementwise as e
from kfun.ops import products as p
from kfun.ops import reduction as r
from kfun.ops import shaping as s
from kfun.ops._ctc_beams import beam_search
from kfun.ops._dispatch import Array, derived
from kfun.ops._precision import dtype_of
from kfun.ops.encoding import one_hot

_IMPOSSIBLE = -1e5  # a log-probability that stays finite, and so its gradient


@derived
def ctc_loss(target: Array, output: Array, target_length: Array, output_length: Array, mask_index: int = 0) -> Array:
    """Minus the log-probability of a label sequence, summed over its alignments with the steps.

    Args:
        target: class numbers, `[B, N]`; those from `target_length` on do not count.
        output: logits, `[B, T, C]`; those from `output_length` on do not count.
        target_length: integers in [0, N], `[B]`.
        output_length: integers in [0, T], `[B]`.
        mask_index: the class of the blank.

    Returns:
        `[B]`, at least float32; about 1e5 or more for a sequence that its steps cannot hold.

    Raises:
        ValueError: if the ranks are not those.
    """
    ranks = [len(c.shape(x)) for x in (target, output, target_length, output_length)]
    if ranks != [2, 3, 1, 1]:
        raise ValueError(
            "ops.ctc_loss: expected target [B, N], output [B, T, C], target_length [B] and output_length [B]; "
            f"received arrays with {ranks} axes"
        )
    dtype = dtypes.promote(dtype_of(output), "float32")
    labels = c.cast(target, "int32")
    scores = a.log_softmax(c.cast(output, dtype), -1)
    emit = p.einsum("btc,bnc->tbn", scores, one_hot(labels, c.shape(scores)[2], -1, dtype))
    at_blank = slice(mask_index, mask_index + 1 if mask_index != -1 else None)
    blank = s.transpose(s.getitem(scores, (slice(None), slice(None), at_blank)), (1, 0, 2))  # [T, B, 1]
    counted = r.cumsum(c.ones_like(s.getitem(blank, (..., 0)), "int32"), 0)  # [T, B], from 1 on
    going = s.expand_dims(e.less_equal(counted, c.cast(output_length, "int32")), -1)  # [T, B, 1]
    blanks, ends = _forward(blank, emit, going, labels)
    # A sequence of n labels ends in the blank after its last label or in that label.
    length = c.cast(target_length, "int32")
    at_end = one_hot(length, c.shape(labels)[1] + 1, -1, dtype)  # [B, N + 1]
    last = e.where(s.expand_dims(e.greater(length, 0), 1), _shifted(ends), _IMPOSSIBLE)
    return e.negative(r.sum(e.multiply(at_end, e.logaddexp(blanks, last)), 1))


def _forward(blank, emit, going, labels):
    """Log-probabilities, after the last step, of standing in each blank `[B, N + 1]` and each label `[B, N]`."""
    never = c.full_like(s.getitem(emit, 0), _IMPOSSIBLE)  # [B, N]
    start = s.pad(never, ((0, 0), (1, 0)))  # probability 1 before the first label
    # From one label straight to the next, if they differ; the first label follows the blank alone.
    before = s.getitem(labels, (slice(None), slice(0, -1)))
    after = s.getitem(labels, (slice(None), slice(1, None)))
    direct = s.pad(c.cast(e.not_equal(before, after), "int32"), ((0, 0), (1, 0)))
    barred = c.cast(e.where(e.equal(direct, 1), 0.0, _IMPOSSIBLE), dtype_of(emit))

    def step(carry, x):
        blanks, ends = carry
        blank, emit, going = x
        previous = s.getitem(_shifted(ends), (slice(None), slice(0, -1)))  # [B, N]
        enter = e.logaddexp(s.getitem(blanks, (slice(None), slice(0, -1))), e.add(previous, barred))
        new_blanks = e.add(e.logaddexp(blanks, _shifted(ends)), blank)
        new_ends = e.add(e.logaddexp(enter, ends), emit)
        return (e.where(going, new_blanks, blanks), e.where(going, new_ends, ends)), None

    return control.scan(step, (start, never), (blank, emit, going))[0]


def _shifted(ends):
    """The label before each blank: `[B, N]` to `[B, N + 1]`, none before the first."""
    return s.pad(ends, ((0, 0), (1, 0)), "constant", _IMPOSSIBLE)


@derived
def ctc_decode(
    inputs: Array,
    sequence_lengths: Array,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple:
    """Label sequences that logits make likely.

    Args:
        inputs: logits, `[B, T, C]`.
        sequence_lengths: the number of steps that count, integers `[B]`.
        strategy: `"greedy"` takes the likeliest class of each step; `"beam_search"` goes on with the
            likeliest prefixes, over all their alignments (Hannun et al. 2014, arXiv:1408.2873).
        beam_width: W, the prefixes that are kept.
        top_paths: P, the sequences that beam search gives, at most W.
        merge_repeated: greedy: whether a class in consecutive steps is one label; in beam search it is.
        mask_index: the class of the blank. Greedy takes None for the last class.

    Returns:
        `(labels, scores)`: int32 `[P, B, T]` with -1 after the end (P = 1 for greedy), and `[B, P]`:
        the log-probabilities, or for greedy minus the sum of the largest logits.

    Raises:
        ValueError: for an unknown strategy, or if the ranks or `top_paths` do not fit.
    """
    ranks = [len(c.shape(inputs)), len(c.shape(sequence_lengths))]
    if ranks != [3, 1]:
        raise ValueError(
            "ops.ctc_decode: expected inputs [B, T, C] and sequence_lengths [B]; received arrays "
            f"with {ranks[0]} and {ranks[1]} axes"
        )
    scores = c.cast(inputs, dtypes.promote(dtype_of(inputs), "float32"))
    blank = c.shape(inputs)[2] - 1 if mask_index is None else mask_index
    counted = r.cumsum(c.ones_like(s.getitem(scores, (..., 0)), "int32"), 1)  # [B, T], from 1 on
    going = e.less_equal(counted, s.expand_dims(c.cast(sequence_lengths, "int32"), 1))
    if strategy == "greedy":
        return _greedy(scores, going, counted, merge_repeated, blank)
    if strategy != "beam_search":
        raise ValueError(f'ops.ctc_decode: expected strategy "greedy" or "beam_search"; received {strategy!r}')
    if not 1 <= top_paths <= beam_width:
        raise ValueError(
            f"ops.ctc_decode: expected top_paths in [1, {beam_width}], the beam width; received {top_paths}"
        )
    return beam_search(scores, going, beam_width, top_paths, blank)


def _greedy(scores, going, counted, merge_repeated, blank):
    best = r.argmax(scores, -1)  # [B, T]
    total = r.sum(e.where(going, r.max(scores, -1), 0.0), 1, True)
    best = e.where(going, best, blank)
    label = e.not_equal(best, blank)
    if merge_repeated:
        before = s.getitem(best, (slice(None), slice(0, -1)))
        after = s.getitem(best, (slice(None), slice(1, None)))
        new = s.pad(e.not_equal(before, after), ((0, 0), (1, 0)), "constant", True)
        label = e.logical_and(label, new)
    found = e.where(label, best, -1)
    order = s.argsort(e.where(label, counted, e.add(counted, c.shape(best)[1])), -1)  # labels first, in their order
    return s.expand_dims(s.take_along_axis(found, order, -1), 0), e.negative(total)
