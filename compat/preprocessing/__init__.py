"""Datasets from directories and arrays, and old places of image and sequence functions."""

from compat.preprocessing import image as image
from compat.preprocessing import sequence as sequence
from compat.utils._image_dataset import image_dataset_from_directory as image_dataset_from_directory
from compat.utils._text_dataset import text_dataset_from_directory as text_dataset_from_directory
from compat.utils._timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array
from kfun.errors import unknown_names_of as _unknown_names_of

__getattr__ = _unknown_names_of(globals())
