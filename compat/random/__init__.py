"""Random numbers of a `seed`: an int, or a `SeedGenerator` for different ones at each call."""

from compat.core.seeds import SeedGenerator as SeedGenerator
