"""HDF5 files whose declared sizes, texts, chunks and trees are false."""

from __future__ import annotations

import struct
import zlib

import h5py
import numpy as np
import pytest

import compat as keras
from tests.hostile import readers
from tests.hostile.confined import accepted, refused

OWN = "layers/dense/vars"  # where the file of readers.small_model has its arrays
KERNEL, BIAS = np.arange(6, dtype="float32").reshape(3, 2), np.ones(2, "float32")
UNDEFINED = (1 << 64) - 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.weights.h5"


def _write(path, kernel=None, bias=True, **options):
    """A weight file for readers.small_model; `kernel(group)` makes its kernel."""
    with h5py.File(path, "w", **options) as file:
        group = file.create_group(OWN)
        group.attrs["name"] = "d"
        if kernel is None:
            group["0"] = KERNEL
        else:
            kernel(group)
        if bias:
            group["1"] = BIAS


def _patch(path, find, change):
    """Replaces the only place of some bytes in a file."""
    content = path.read_bytes()
    assert content.count(find) == 1, content.count(find)
    assert len(find) == len(change)
    path.write_bytes(content.replace(find, change))


def _low_level(group, shape, chunk, content, deflates=1):
    """Makes a kernel of that chunk, deflated so many times, with stored bytes of its own."""
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk(chunk)
    for _ in range(deflates):
        creation.set_deflate(9)
    space = h5py.h5s.create_simple(shape, (h5py.h5s.UNLIMITED,) * len(shape))
    kernel = h5py.h5d.create(group.id, b"0", h5py.h5t.NATIVE_FLOAT, space, creation)
    kernel.write_direct_chunk((0,) * len(shape), content)


def _bomb(times):
    """A stream of deflate that goes on for so many times 16 MB of zeros."""
    packer = zlib.compressobj(9)
    head, part = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH), b""
    part = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    sums = (((times << 24) % 65521) << 16) | 1
    return head + part * times + b"\x03\x00" + struct.pack(">I", sums)


@pytest.mark.parametrize("reader", [readers.load_weights, readers.edit])
def test_a_chunk_is_no_larger_than_its_array(reader, path):
    small = zlib.compress(zlib.compress(zlib.compress(bytes(1 << 20))))
    _write(path, lambda group: _low_level(group, (3, 2), (1 << 15, (1 << 15) - 1), small, 3))
    refused(reader, path, match="refused")
    _write(path, lambda group: _low_level(group, (3, 2), (1 << 15, (1 << 15) - 1), small))
    refused(reader, path, match="chunks of")


@pytest.mark.parametrize("reader", [readers.load_weights, readers.edit])
def test_a_stream_ends_where_its_chunk_does(reader, path):
    bomb = _bomb(128)
    assert len(bomb) < 3 << 20
    _write(path, lambda group: _low_level(group, (3, 2), (512, 512), bomb))
    refused(reader, path, match="does not end")


STREAMS = (b"\0", b"\x78\x9c", zlib.compress(bytes(23)), zlib.compress(bytes(24))[:-1], b"x" * 9)


@pytest.mark.parametrize("content", STREAMS)
def test_a_stream_is_whole(content, path):
    _write(path, lambda group: _low_level(group, (3, 2), (3, 2), content))
    refused(readers.load_weights, path, match="variable 0")


@pytest.mark.parametrize(
    "options",
    [{"compression": "lzf"}, {"fletcher32": True}, {"scaleoffset": 3}, {"compression": "gzip", "fletcher32": True}],
)
def test_filters_are_shuffle_and_one_deflate(options, path):
    _write(path, lambda group: group.create_dataset("0", data=KERNEL, chunks=(3, 2), **options))
    refused(readers.load_weights, path, match="filters")


HONEST = {
    "plain": {},
    "chunks": {"chunks": (2, 2)},
    "deflate": {"chunks": (2, 2), "compression": "gzip"},
    "shuffle": {"chunks": (2, 2), "shuffle": True},
    "both": {"compression": "gzip", "shuffle": True},
    "resizable": {"maxshape": (None, None)},
    "a large chunk": {"maxshape": (None, None), "chunks": (128, 128), "compression": "gzip"},
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("name", HONEST)
def test_honest_arrays_are_read(name, libver, path):
    _write(path, lambda group: group.create_dataset("0", data=KERNEL, **HONEST[name]), libver=libver)
    model = readers.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], KERNEL)
    np.testing.assert_array_equal(readers.edit(path).weights_dict["layers"]["dense"]["0"], KERNEL)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint32", "bool", ">f4", ">i8"])
@pytest.mark.parametrize("name", HONEST)
def test_honest_types_are_read(name, dtype, path):
    value = (np.random.default_rng(0).normal(size=(31, 7)) * 9).astype(dtype)
    options = HONEST[name]
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/a/vars/0", data=value, **options)
    found = readers.edit(path).weights_dict["layers"]["a"]["0"]
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("options", [{}, {"libver": "latest"}, {"track_order": True}])
def test_honest_groups_are_read(options, path):
    with h5py.File(path, "w", **options) as file:
        for n in range(300):
            file.create_dataset(f"layers/dense_{n}/vars/0", data=np.float32(n), track_order=options.get("track_order"))
    found = readers.edit(path).weights_dict["layers"]
    assert {name: float(inner["0"]) for name, inner in found.items()} == {f"dense_{n}": n for n in range(300)}


def test_bytes_that_are_not_stored_are_no_array(path):
    _write(path, lambda group: group.create_dataset("0", (3, 2), "float32"))
    refused(readers.load_weights, path, match="far more")
    _write(path, lambda group: group.create_dataset("0", (1 << 30, 1 << 20), "float32"))
    refused(readers.edit, path, match="far more")
    _write(path, lambda group: group.create_dataset("0", (1 << 40,), "float32", chunks=(1,)))
    refused(readers.edit, path, match="far more")


def test_arrays_do_not_share_their_bytes(path):
    """Each of 2000 arrays is a megabyte, and all of them the same one."""
    with h5py.File(path, "w") as file:
        first = file.create_dataset("layers/a/vars/0", data=np.ones(1 << 18, "float32"))
        place = first.id.get_offset()
        for n in range(2000):
            file.create_dataset(f"layers/a/vars/{n + 1}", (1 << 18,), "float32")
    content = path.read_bytes()
    empty = struct.pack("<BBQQ", 3, 1, UNDEFINED, 1 << 20)
    assert content.count(empty) == 2000
    path.write_bytes(content.replace(empty, struct.pack("<BBQQ", 3, 1, place, 1 << 20)))
    refused(readers.edit, path, match="shares its bytes")


def test_deflated_arrays_are_no_larger_than_a_multiple_of_the_file(path):
    """Honest streams of zeros, each 1000 times larger than its bytes: 1.6 GB."""
    part = zlib.compress(bytes(1 << 24), 9)
    with h5py.File(path, "w") as file:
        for n in range(100):
            _low_level(file.create_group(f"layers/d{n}/vars"), (1 << 22,), (1 << 22,), part)
    assert path.stat().st_size < 3 << 20
    refused(readers.edit, path, match="far more")


def _vlen(length, heap):
    """The reference to a text of variable length."""
    return struct.pack("<IQ", length, heap)


def _false_text(path, length, kind):
    content = path.read_bytes()
    reference = _vlen(length, content.index(b"GCOL"))
    # the object in the heap: its number, of references one, its length
    stored = struct.pack("<HHIQ", 1, 0, 0, length)
    stored = stored if stored in content else struct.pack("<HHIQ", 1, 1, 0, length)
    if kind in ("reference", "both"):
        _patch(path, reference, struct.pack("<I", 3_900_000_000) + reference[4:])
    if kind in ("heap", "both"):
        _patch(path, stored, stored[:8] + struct.pack("<Q", 3_900_000_000))
    if kind == "short":
        _patch(path, reference, struct.pack("<I", 1) + reference[4:])
    if kind == "zero":
        _patch(path, stored, stored[:8] + struct.pack("<Q", 0))
    if kind == "size of the heap":
        at = content.index(b"GCOL")
        path.write_bytes(content[: at + 8] + struct.pack("<Q", 3_900_000_000) + content[at + 16 :])
    if kind == "elsewhere":
        _patch(path, reference, _vlen(length, 64))
    if kind == "outside":
        _patch(path, reference, _vlen(length, 1 << 40))


FALSE_TEXTS = ("reference", "heap", "both", "short", "zero", "size of the heap", "elsewhere", "outside")


@pytest.mark.parametrize("kind", FALSE_TEXTS)
@pytest.mark.parametrize("attribute", ["model_config", "name", "dtype"])
def test_texts_are_as_long_as_they_say(attribute, kind, tmp_path):
    text = "0123456789" * 7
    if attribute == "model_config":
        target, reader = tmp_path / "m.h5", readers.load_model
        with h5py.File(target, "w") as file:
            file.attrs[attribute] = text
    else:
        target, reader = tmp_path / "m.weights.h5", readers.edit
        with h5py.File(target, "w") as file:
            group = file.create_group(OWN)
            group["0"] = KERNEL
            (group if attribute == "name" else group["0"]).attrs[attribute] = text
    accepted(readers.edit, target) if attribute != "model_config" else None
    _false_text(target, len(text), kind)
    refused(reader, target)


def test_texts_do_not_share_their_bytes(tmp_path):
    """4000 names of layers, all of them one megabyte in the same place: 4 GB."""
    target = tmp_path / "m.h5"
    names = [f"{n:06d}" for n in range(4000)]
    with h5py.File(target, "w") as file:
        file.attrs["long"] = "x" * (1 << 20)
        file.attrs.create("layer_names", names, dtype=h5py.string_dtype())
    content = target.read_bytes()
    heap = content.rindex(b"GCOL", 0, content.index(b"x" * 99))
    long = content.index(struct.pack("<IQ", 1 << 20, heap))
    reference = content[long : long + 16]
    at = _references(content, 4000)
    target.write_bytes(content[:at] + reference * 4000 + content[at + 16 * 4000 :])
    refused(readers.load_weights, target, match="share their bytes")


def _references(content, count):
    """Where that many references to texts of six bytes follow one another."""
    at = content.index(struct.pack("<I", 6), content.index(b"layer_names"))
    assert all(content[at + 16 * n : at + 16 * n + 4] == struct.pack("<I", 6) for n in range(count))
    return at


@pytest.mark.parametrize("shape", [(1 << 30,), (1 << 31, 1 << 31, 1 << 31)])
def test_an_attribute_has_no_more_elements_than_bytes(shape, tmp_path):
    target = tmp_path / "m.h5"
    with h5py.File(target, "w") as file:
        file.attrs.create("layer_names", np.full((1,) * len(shape), b"dense"))
    space = struct.pack("<BBBxxxxx", 1, len(shape), 1)
    ones = struct.pack(f"<{len(shape)}Q", *(1,) * len(shape))
    content = target.read_bytes()
    at = content.index(space + ones, content.index(b"layer_names"))
    declared = struct.pack(f"<{len(shape)}Q", *shape)
    content = content.replace(ones * 2, declared * 2) if ones * 2 in content[at:] else content
    target.write_bytes(content[: at + 8] + declared + content[at + 8 + len(declared) :])
    refused(readers.load_weights, target, match="more than it stores")


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("levels", [1, 200])
def test_trees_do_not_contain_themselves(kind, levels, path):
    """Trees of names (0) and of chunks (1): the library follows such a one until its stack ends."""
    _write(path, lambda group: group.create_dataset("0", data=KERNEL, chunks=(1, 1)))
    content = path.read_bytes()
    at = content.index(b"TREE" + bytes([kind]))
    key = 8 if kind == 0 else 8 + 8 * 3
    content = content[: at + 5] + bytes([levels]) + content[at + 6 :]
    child = at + 24 + key
    path.write_bytes(content[:child] + struct.pack("<Q", at) + content[child + 8 :])
    refused(readers.load_weights, path, match="tree")
    refused(readers.edit, path, match="tree")


def test_two_branches_of_a_tree_do_not_lead_to_one_place(path):
    _write(path, lambda group: group.create_dataset("0", data=KERNEL, chunks=(1, 1)))
    content = path.read_bytes()
    at = content.index(b"TREE\x01")
    first, second = at + 24 + 32, at + 24 + 32 + 40
    path.write_bytes(content[:second] + content[first : first + 8] + content[second + 8 :])
    refused(readers.load_weights, path, match="one place twice")


def test_the_header_of_an_object_ends(path):
    """Its next part is itself."""
    _write(path)
    with h5py.File(path, "a") as file:
        for n in range(40):
            file.attrs[f"a{n}"] = n
    content = path.read_bytes()
    root = struct.unpack_from("<Q", content, 64)[0]
    at = content.index(struct.pack("<HHBxxx", 16, 16, 0), root)
    size = struct.unpack_from("<I", content, root + 8)[0]
    path.write_bytes(content[: at + 8] + struct.pack("<QQ", root + 16, size) + content[at + 24 :])
    refused(readers.edit, path, match="overlap")


def test_the_free_places_of_a_heap_end(path):
    _write(path)
    with h5py.File(path, "a") as file:
        group = file[OWN]
        for name in ("a name to be removed", "and another one"):
            group[name] = BIAS
        del group["a name to be removed"]
    content = path.read_bytes()
    at = next(i for i in _all(content, b"HEAP") if struct.unpack_from("<Q", content, i + 16)[0] not in (1, UNDEFINED))
    free, data = struct.unpack_from("<QQ", content, at + 16)
    accepted(readers.edit, path)
    place = data + free
    path.write_bytes(content[:place] + struct.pack("<Q", free) + content[place + 8 :])
    refused(readers.load_weights, path)
    refused(readers.edit, path)


def _all(content, find):
    at = content.find(find)
    while at >= 0:
        yield at
        at = content.find(find, at + 1)


def test_what_no_writer_of_models_needs(path):
    _write(path, userblock_size=512)
    refused(readers.load_weights, path, match="HDF5")
    _write(path, libver="latest", fs_strategy="page", fs_persist=True)
    refused(readers.load_weights, path, match="extension")
    _write(path)
    with h5py.File(path, "a") as file:
        file["type"] = np.dtype("float32")
        del file[OWN]["0"]
        file[OWN].create_dataset("0", data=KERNEL, dtype=file["type"])
    refused(readers.load_weights, path, match="shares")


@pytest.mark.parametrize("dtype", [h5py.string_dtype(), h5py.ref_dtype, "S4", [("a", "f4")], h5py.vlen_dtype("f4")])
def test_arrays_are_numbers(dtype, path):
    _write(path, lambda group: group.create_dataset("0", (3, 2), dtype))
    refused(readers.load_weights, path, match="no number")


@pytest.mark.parametrize("value", [0x01, 0x80, 0xFF])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_any_byte_may_be_wrong(libver, value, path):
    def kernel(group):
        group.create_dataset("0", data=KERNEL, chunks=(2, 2), compression="gzip", shuffle=True)

    _write(path, kernel, libver=libver)
    content = path.read_bytes()
    used = [i for i in range(len(content)) if any(content[max(i - 4, 0) : i + 5])]
    chosen = np.random.default_rng(value).choice(used, 300, replace=False)
    accepted(readers.edit_changed, path, sorted(int(i) for i in chosen), value)


@pytest.mark.parametrize("kind", ["array", "group"])
def test_one_array_for_many_layers(kind, tmp_path):
    """Each layer would read it: the file is as large as one, the memory as all of them."""
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4, name=f"d{i}") for i in range(3))])
    path = str(tmp_path / "m.weights.h5")
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        layers = file["layers"]
        first, *others = layers
        for name in others:
            if kind == "group":
                del layers[name]
                layers[name] = layers[first]
            else:
                del layers[name]["vars"]["0"]
                layers[name]["vars"]["0"] = layers[first]["vars"]["0"]
    with pytest.raises(ValueError, match="two places"):
        model.load_weights(path)


def _with_bias(value, folder):
    """A model of one Dense layer, and a file of its weights with another bias."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d")])
    path = str(folder / "m.weights.h5")
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        group = file["layers/dense/vars"] if "layers/dense/vars" in file else file["layers/d/vars"]
        del group["1"]
        group["1"] = value
    return model, path


@pytest.mark.parametrize(("value", "expected"), [
    (np.array([2**31 + 5, 2**40], "int64"), [2.0**31, 2.0**40]), (np.array([1.5, -2.0], "float64"), [1.5, -2.0]),
    (np.array([2**33, 1], "uint64"), [2.0**33, 1.0]),
])  # fmt: skip
def test_wide_numbers_keep_their_value(value, expected, tmp_path):
    model, path = _with_bias(value, tmp_path)
    model.load_weights(path)
    np.testing.assert_allclose(model.layers[0].bias.numpy(), expected, rtol=1e-6)


def test_complex_numbers_for_real_ones(tmp_path):
    model, path = _with_bias(np.array([1 + 5j, 2], "complex64"), tmp_path)
    with pytest.raises(ValueError, match="complex"):
        model.load_weights(path)


@pytest.mark.parametrize("length", [0, 40, 600])
def test_a_file_that_was_cut_is_not_called_an_attack(length, tmp_path):
    """Nobody need have meant harm: the error says what is wrong and what to do."""
    path = tmp_path / "m.weights.h5"
    readers.small_model().save_weights(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        ValueError, match=r"damaged, cut off or no HDF5 .*copy it again, whole, or save it anew"
    ) as caught:
        readers.small_model().load_weights(path)
    assert "mislead" not in str(caught.value)
