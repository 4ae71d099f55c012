"""A folder for each adapter: the rules of a kind of array, imported when such an array is met.

How a backend does an op stands in the file that has the name of the op's module: of `argsort`, which
`kfun/ops/shaping.py` declares, in `shaping.py` of each folder; of `random.gamma`, in `random_rejection.py`.
A file holds one family and a table of its rules, `RULES`; the files whose names are no family's serve
several. `adapter.py` joins the tables and registers the kind. What several backends share is in `common`,
what the graph backends alone share in `graphs`.
"""
