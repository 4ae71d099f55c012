"""Structured parameter types: arrays in another form, which no layer knows of.

They stand where a weight stands. An op that has a rule for the form computes with it; any other op
gets the array that it stands for.
"""

from typing import TYPE_CHECKING

from kfun.arrays.lora import LoRA as LoRA
from kfun.arrays.lora import add_lora as add_lora
from kfun.arrays.lora import merge_lora as merge_lora
from kfun.errors import unknown_names_of as _unknown_names_of

if not TYPE_CHECKING:  # a type checker tells of unknown names itself
    __getattr__ = _unknown_names_of(globals())
