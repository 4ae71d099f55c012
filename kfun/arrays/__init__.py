"""Structured parameter types: arrays in another form, which no layer knows of.

They stand where a weight stands. An op that has a rule for the form computes with it; any other op
gets the array that it stands for.
"""

from kfun.arrays.lora import LoRA as LoRA
from kfun.arrays.lora import add_lora as add_lora
from kfun.arrays.lora import merge_lora as merge_lora
