"""Where the datasets come from, and what their files' hashes are."""

from __future__ import annotations

from typing import Any

from compat.utils._files import get_file

_STORE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"

# name: (URL, SHA-256 or MD5)
SOURCES: dict[str, tuple[str, str | None]] = {
    "mnist": (_STORE + "mnist.npz", "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),
    "cifar10": (
        _TORONTO + "cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": (
        _TORONTO + "cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
    "imdb": (_STORE + "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"),
    "imdb_word_index": (_STORE + "imdb_word_index.json", "bfafd718b763782e994055a2d397834f"),
    "reuters": (_STORE + "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"),
    "reuters_word_index": (_STORE + "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921"),
    "boston_housing": (
        _STORE + "boston_housing.npz", "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    ),
    "california_housing": (
        _STORE + "california_housing.npz", "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    ),
    **{f"fashion_mnist/{n}": (f"{_STORE}{n}-ubyte.gz", None) for n in (
        "train-labels-idx1", "train-images-idx3", "t10k-labels-idx1", "t10k-images-idx3",
    )},
}  # fmt: skip


def fetch(name: str, fname: str, **kwargs: Any) -> str:
    """The local path of a source's file; `kwargs` go to `get_file`."""
    url, digest = SOURCES[name]
    return get_file(fname, url, file_hash=digest, **kwargs)
