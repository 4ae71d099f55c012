"""What `fit`, `evaluate` and `predict` are given, as feeds of batches."""

from compat.training.data.arrays import as_arrays as as_arrays
from compat.training.data.class_weight import ClassWeight as ClassWeight
from compat.training.data.feed import Feed as Feed
from compat.training.data.feed import is_iterable_of_batches as is_iterable_of_batches
from compat.training.data.feed import make_feed as make_feed
from compat.training.data.feed import one_batch as one_batch
from compat.training.data.feed import specs_of as specs_of
from compat.training.data.feed import split as split
from compat.training.data.feed import validation_feed as validation_feed
from compat.training.data.parts import pack as pack
from compat.training.data.parts import unpack as unpack
