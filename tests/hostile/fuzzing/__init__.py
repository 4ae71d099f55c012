"""A fuzzer over structure: honest files are taken apart, parts of them changed, and put together again.

Kinds: `configs` (JSON of models and checkpoints), `hdf5`, `archives` (zip, tar, npz), `orbax`.

`python -m tests.hostile.fuzzing --seed 0 --cases 10000` runs cases of each kind; a case is drawn from its kind, the
seed and its number alone, so that `--kind configs --seed 0 --case 17` plays it again. Each runs within 1 GB above its
start and 10 s of processor time, in a folder of its own: a reader may take a hostile file or raise a ValueError.
"""
