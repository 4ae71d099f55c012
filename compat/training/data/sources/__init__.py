"""Sources of batches, one adapter per kind; `source_of` finds the one for an object."""

from compat.training.data.sources.base import Source as Source
from compat.training.data.sources.lookup import source_of as source_of
