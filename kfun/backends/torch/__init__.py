"""The PyTorch adapter."""

from kfun.backends.torch.adapter import KIND as KIND
