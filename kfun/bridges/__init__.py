"""Models of other libraries as kfun layers, and kfun layers as equinox modules.

Each ecosystem has a file; its package is imported when a bridge to it is used. The functions are
`kfun.bind`, `kfun.learner`, `kfun.from_equinox`, `kfun.from_flax`, `kfun.from_saved_model` and `kfun.from_torch`.
"""
