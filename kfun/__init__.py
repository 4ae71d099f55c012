"""kfun: deep learning as pure functions over explicit pytrees."""
