"""Deployment formats, one a module: `kfun.export.openvino` and its neighbours. Each needs its own extra."""
