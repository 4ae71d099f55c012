"""What Keras keeps for programs of its past."""

from compat.legacy import saving as saving
