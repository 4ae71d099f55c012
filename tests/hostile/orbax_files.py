"""Orbax checkpoints by hand: what their databases have, frames of zeros, nodes."""

from __future__ import annotations

import json
import shutil
import struct

import numpy as np

from compat.saving import orbax
from tests.hostile import readers

KERNEL = b"trainable_variables.m.d.kernel"
ONE_NODE = {"max_decoded_node_bytes": 100_000_000, "max_inline_value_bytes": 1000}


def store(folder):
    """The database of a checkpoint's arrays."""
    import tensorstore

    return tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/pytree/"}).result()


def rewrite(part, config, changes):
    """Writes a part's database anew, by another config, with other values."""
    import tensorstore

    old = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{part}/"}).result()
    content = {key: old[key] for key in old.list().result()} | changes
    for path in (part / "d", *part.glob("ocdbt.process_*")):
        shutil.rmtree(path)
    (part / "manifest.ocdbt").unlink()
    spec = {"driver": "ocdbt", "base": f"file://{part}/", "config": config}
    transaction = tensorstore.Transaction()
    new = tensorstore.KvStore.open(spec, context=tensorstore.Context()).result().with_transaction(transaction)
    for key, value in content.items():
        new[key] = value
    transaction.commit_sync()


def saved(tmp_path, model, kernel, **options):
    """A checkpoint of a model of one Dense layer, written with options of Orbax."""
    from orbax.checkpoint import v1

    model.set_weights([kernel, np.arange(kernel.shape[1])])
    context = v1.Context()
    for name, value in options.items():
        setattr(context.array_options.saving, name, value)
    with context:
        v1.save_checkpointables(str(tmp_path / "3"), orbax.checkpointables(model, True))
    return tmp_path / "3", model


def in_chunks(tmp_path, chunk=500, **options):
    """A checkpoint whose arrays are in chunks of that many bytes."""
    from orbax.checkpoint import v1

    storage = v1.options.ArrayOptions.Saving.StorageOptions(chunk_byte_size=chunk)
    kernel = np.random.default_rng(0).normal(size=(40, 30)).astype("float32")
    return saved(tmp_path, readers.small_model(40, 30), kernel, storage_options=storage, **options)


def frame(size, window=0x58):
    """A zstd frame of that many zeros, in blocks that say how often a byte is repeated."""
    sizes = [1 << 17] * (size >> 17) + [size & (1 << 17) - 1] * bool(size & (1 << 17) - 1)
    blocks = [(n << 3 | 1 << 1 | (at == len(sizes) - 1)).to_bytes(3, "little") + b"\0" for at, n in enumerate(sizes)]
    return b"\x28\xb5\x2f\xfd" + bytes([0, window]) + b"".join(blocks)


def node(magic, frame):
    """A node of a database."""
    content = magic + struct.pack("<Q", 18 + len(frame)) + b"\0\1" + frame
    return content + struct.pack("<I", _crc32c(content))


def shard(chunk, start=0, size=None):
    """A shard of one chunk, with an index that may say otherwise."""
    index = struct.pack("<QQ", start, len(chunk) if size is None else size)
    return chunk + index + struct.pack("<I", _crc32c(index))


def _crc32c(content):
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def declare(folder, key, shape, chunk=(1 << 20,)):
    """Gives an array in a checkpoint's part another shape."""
    import tensorstore

    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{folder}/"}).result()
    array = json.loads(store.read(key).result().value)
    array["shape"] = shape
    array["chunk_grid"]["configuration"]["chunk_shape"] = list(chunk)
    array["codecs"][0]["configuration"]["chunk_shape"] = list(chunk)
    store.write(key, json.dumps(array)).result()
