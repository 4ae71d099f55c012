"""Arrays and pickles of strangers, and the datasets made of them."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct

import numpy as np
import pytest

from compat.datasets import _opcodes, _restricted
from compat.saving.npz import read_npz
from tests.hostile import readers
from tests.hostile.confined import accepted, refused
from tests.hostile.packed import Part, bzip2_zeros, deflated, deflated_zeros, gzip_zeros, tarred, zipped


def _npy(shape, descr="'<f4'", content=b"", version=1, text=None, length=None):
    text = text if text is not None else f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    form = "<H" if version == 1 else "<L"
    return (
        b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(text) if length is None else length) + text + content
    )


def _stored(*args, **kwargs):
    return lambda: zipped([Part("x.npy", _npy(*args, **kwargs))])


ARRAYS = {
    "a shape of 10 ** 12": (_stored((10**12,)), "declares the shape"),
    "a shape of 2 ** 70": (_stored((1 << 35, 1 << 35)), "declares the shape"),
    "a shape below zero": (_stored((-1, 4)), "shape"),
    "an empty array of 10 ** 12 rows": (_stored((10**12, 0)), "declares the shape"),
    "elements of no bytes": (_stored((10**12,), "'V0'"), "declares the shape"),
    "an element of 2 GB": (_stored((4,), "'V2147483647'"), "declares the shape"),
    "more dimensions than arrays have": (_stored((1,) * 99), "shape"),
    "a shape of text": (_stored("('a',)"), "header"),
    "objects": (_stored((1,), "'|O'"), "allow_pickle"),
    "objects in a field": (_stored((1,), "[('a', '|O')]"), "allow_pickle"),
    "a header of 4 GB": (_stored((1,), version=2, length=0xFFFFFFFF), "header of 4,294,967,295 bytes"),
    "a header of 4 GB in zeros": (
        lambda: zipped([Part("x.npy", deflated(b"\x93NUMPY\2\0\xff\xff\xff\xff"), 8, size=5 << 30)]), "header of",
    ),
    "a header of brackets": (_stored(0, text=b"(" * 9000), "header"),
    "a header of signs": (_stored(0, text=b"-" * 9000 + b"1"), "header"),
    "a header that calls": (_stored(0, text=b"__import__('os').system('true')"), "header"),
    "a header that is no dict": (_stored(0, text=b"[1, 2]"), "header"),
    "a header of powers": (_stored(0, text=b"{'descr': '<f4', 'fortran_order': False, 'shape': (9**9**9,)}"), "header"),
    "a dtype of fields in fields": (_stored((1,), "[('a'," * 90 + "'<f4'" + ")]" * 90), "declares"),
    "an unknown version": (_stored((1,), version=9), "no array"),
    "names beyond ASCII": (
        _stored((1,), version=3, text="{'descr': [('é','<f4')], 'fortran_order': 0, 'shape': (1,)}".encode()), "ASCII",
    ),
    "no array": (lambda: zipped([Part("x.npy", b"hello, world")]), "no array"),
    "a deflated bomb": (
        lambda: zipped([Part("x.npy", deflated_zeros(128, _npy(((1 << 24) - 128 >> 2,)) .ljust(1 << 24, b"\0")), 8,
                             size=2 << 30)]), "declares the shape",
    ),
    "a deflated bomb with a true shape": (
        lambda: zipped([Part("x.npy", deflated_zeros(1, _npy((1 << 30,))), 8, size=len(_npy((1 << 30,))) + (4 << 30))]),
        "decompression bomb",
    ),
    "bzip2": (lambda: zipped([Part("x.npy", bzip2_zeros(), 12, size=80 << 20)]), "method 12"),
    "fewer bytes than declared": (
        lambda: zipped([Part("x.npy", deflated(_npy((100,))), 8, size=len(_npy((100,))) + 400)]), "has not the",
    ),
    "a wrong sum": (lambda: zipped([Part("x.npy", _npy((1,), content=bytes(4)), crc=1)]), "checksum"),
    "no such name": (lambda: zipped([Part("y.npy", _npy((1,), content=bytes(4)))]), "no array 'x'; it has ['y']"),
    "no archive": (lambda: b"x" * 999, "no whole archive"),
    "an array without an archive": (lambda: _npy((1,), content=bytes(4)), "no whole archive"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_lie_are_refused(name, tmp_path):
    make, match = ARRAYS[name]
    (tmp_path / "bad.npz").write_bytes(make())
    found = refused(readers.read_npz, tmp_path / "bad.npz", "x", match=match)
    assert "bad.npz" in found.text


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_honest_arrays_are_read_as_numpy_does(write, tmp_path):
    rng = np.random.RandomState(0)
    arrays = {
        "table": rng.rand(30, 4), "columns": np.asfortranarray(rng.rand(5, 6)), "number": np.array(3),
        "none": np.zeros((0, 784)),
        "texts": np.array(["ab", "c"]), "bits": np.array([True, False]), "swapped": np.arange(3, dtype=">i4"),
        "fields": np.zeros(3, [("x", "f4"), ("y", "i2")]), "times": np.array(["2020-01-01"], "M8[D]"),
    }  # fmt: skip
    write(tmp_path / "x.npz", **arrays)
    for source in (tmp_path / "x.npz", io.BytesIO((tmp_path / "x.npz").read_bytes())):
        found = read_npz(source)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
            assert found[name].flags.f_contiguous == array.flags.f_contiguous


def test_what_is_decompressed_has_a_limit_that_can_be_raised(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(100_000))
    assert read_npz(tmp_path / "x.npz")["x"].size == 100_000
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        read_npz(tmp_path / "x.npz", limit=1000)
    np.savez(tmp_path / "x.npz", x=np.zeros(100_000))
    assert read_npz(tmp_path / "x.npz", limit=1000)["x"].size == 100_000


# ---- pickles ----

_DTYPE = b"cnumpy\ndtype\nX\x02\0\0\0u1\x89\x88\x87R"
_ENCODE = b"c_codecs\nencode\n"
_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R"


def _long(code, size):
    return code + struct.pack("<Q", size)


PICKLES = {
    "a call of os.system": (b"cposix\nsystem\nX\x04\0\0\0true\x85R.", "asks for posix.system"),
    "a call of os.system by the stack": (b"\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "asks for posix"),
    "an instance of a class": (b"(cnumpy\nndarray\no.", "opcode b'o'"),
    "a new object": (b"cnumpy\ndtype\n)\x81.", "opcode b'\\x81'"),
    "an instance by its name": (b"(inumpy\nndarray\n.", "opcode b'i'"),
    "an extension": (b"\x82\x01.", "opcode b'\\x82'"),
    "an object of elsewhere": (b"K\x01Q.", "opcode b'Q'"),
    "a number in text": (b"I" + b"9" * 100_000 + b"\n.", "opcode b'I'"),
    "the state of a dtype with parts": (_DTYPE + b"(K\x03X\x01\0\0\0|N)NK\0K\0K\x01tb.", "without fields"),
    "the state of a dtype, of numbers": (_DTYPE + b"(K\x03K\x01NNNJ\xff\xff\xff\xffK\0K\x01tb.", "order of bytes"),
    "the state of a dtype, too short": (_DTYPE + b")b.", "without fields"),
    "the state of a dtype, a dict": (_DTYPE + b"}b.", "without fields"),
    "a dtype of a dict": (b"cnumpy\ndtype\n}\x85R.", "expected a dtype"),
    "a dtype of fields": (b"cnumpy\ndtype\nX\x05\0\0\0i4,i4\x85R.", "expected a dtype"),
    "a dtype of times": (b"cnumpy\ndtype\nX\x02\0\0\0M8\x85R.", "expected a dtype"),
    "the state of a function": (_ENCODE + b"}X\x01\0\0\0aK\x01sb.", "state of a function"),
    "the attributes of a function": (_ENCODE + b"N}X\x0c\0\0\0__defaults__K\x01s\x86b.", "state of a function"),
    "the state of a list": (b"]}b.", "cannot be read"),
    "a class in place of data": (b"cnumpy\nndarray\n.", "expected arrays"),
    "a call of the class of arrays": (b"cnumpy\nndarray\nJ\0\0\0\x40\x85R.", "which is refused"),
    "an array without content": (_ARRAY + b".", "no content"),
    "an array of another class": (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\0\x85C\x01b\x87R.", "class"),
    "an array of a trillion": (_ARRAY + b"(K\x01\x8a\x06\0\x10\xa5\xd4\xe8\0\x85" + _DTYPE + b"\x89C\x01atb.", "bytes"),
    "an array with a shape of lists": (_ARRAY + b"(K\x01]\x85" + _DTYPE + b"\x89C\x01atb.", "shape"),
    "an array with a shape below zero": (
        _ARRAY + b"(K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86" + _DTYPE + b"\x89C\x01atb.", "shape",
    ),
    "an array of a list of bytes": (_ARRAY + b"(K\x01K\x01\x85" + _DTYPE + b"\x89]tb.", "bytes of an array"),
    "a number of objects": (
        b"cnumpy.core.multiarray\nscalar\n" + _DTYPE.replace(b"u1", b"O8") + b"C\x08aaaaaaaa\x86R.", "array of numbers",
    ),
    "bytes of 2 ** 60": (_long(b"\x8e", 1 << 60) + b"x.", "cut off"),
    "a text of 2 ** 60": (_long(b"\x8d", 1 << 60) + b"x.", "cut off"),
    "an array's bytes of 2 ** 60": (_long(b"\x96", 1 << 60) + b"x.", "cut off"),
    "bytes of 4 GB": (b"B\xff\xff\xff\xffx.", "cut off"),
    "a text of Python 2 below zero": (b"T\xff\xff\xff\xffx.", "cut off"),
    "a number of many digits": (b"\x8b\xff\xff\xff\x7fx.", "opcode"),
    "a frame of 2 ** 60": (_long(b"\x95", 1 << 60) + b"N.", "cannot be read"),
    "a place in the memo": (b"Nr\xff\xff\xff\xff.", "out of its memo"),
    "a place in the memo as text": (b"Np4294967295\n.", "opcode b'p'"),
    "a place of which there is none": (b"j\xff\xff\xff\x7f.", "cannot be read"),
    "a long text of wide letters": (b"X\0\0\x10\0" + ("a" * ((1 << 20) - 4) + "\U0001f600").encode() + b".", "latin1"),
    "lists in lists": (b"]" * 500_000 + b"a" * 499_999 + b".", "accepted"),
    "tuples in tuples": (b")" + b"\x85" * 500_000 + b".", "more values"),
    "a key of tuples in tuples": (b"})" + b"\x85" * 500_000 + b"Ns.", "more values"),
    "lists without end": (b"(" + b"]" * 2_000_000 + b"t.", "more values"),
    "numbers without end": (b"(" + b"K\x01" * (17 << 20) + b"t.", "more values"),
    "sets": (b"\x8f" * 1000 + b".", "opcode b'\\x8f'"),
    "copies of what is on the stack": (b"]" + b"2" * 1000 + b".", "opcode b'2'"),
    "the same bytes made again and again": (
        _ENCODE + b"q\0X\0\0\x08\0" + b"a" * (1 << 19) + b"q\1X\x06\0\0\0latin1q\2(" + b"h\0h\1h\2\x86R" * 5000 + b"t.",
        "more of its content",
    ),
    "another coding": (_ENCODE + b"X\x01\0\0\0aX\x04\0\0\0zlib\x86R.", "latin1"),
    "lists that double": (b"]q\0" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(99)) + b".", "accepted"),
    "nothing": (b"", "does not end"),
    "no end": (b"\x80\x04]", "does not end"),
    "no lines": (b"cnumpy", "opcode"),
    "an empty stack": (b"a.", "cannot be read"),
    "a key that has no hash": (b"}]Ns.", "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_lie_are_refused(name, tmp_path):
    content, match = PICKLES[name]
    (tmp_path / "bad.pkl").write_bytes(content)
    if match == "accepted":  # what is shared or nested costs nothing until it is looked into
        accepted(readers.unpickle, tmp_path / "bad.pkl")
        return
    found = refused(readers.unpickle, tmp_path / "bad.pkl", match=match)
    assert "bad.pkl" in found.text


def _objects(rows):
    array = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        array[i] = row
    return array


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True])
def test_honest_pickles_are_read(protocol, old):
    rng = np.random.RandomState(0)
    values = {
        "rows": _objects([rng.randint(1, 90_000, rng.randint(0, 99)).tolist() for _ in range(50)]),
        "arrays": _objects([np.arange(3), [1]]), "table": rng.rand(2, 3), "columns": np.asfortranarray(rng.rand(3, 4)),
        "swapped": np.arange(3, dtype=">i2"), "texts": np.array(["ab", "c"]), "bits": np.array([True, False]),
        "pixels": rng.randint(0, 256, (4, 3072)).astype("uint8"), "name": "training batch é", "bytes": b"\xff\0",
        "number": np.float32(3), "labels": [1, 2, 3], "large": 1 << 99,
    }  # fmt: skip
    content = pickle.dumps(values, protocol)
    if old and protocol < 4:  # lines, which are not counted
        content = content.replace(b"numpy._core", b"numpy.core")
    found = _restricted.load(io.BytesIO(content))
    assert found.keys() == values.keys()
    for name, value in values.items():
        assert type(found[name]) is type(value)
        if name == "arrays":
            assert [list(row) for row in found[name]] == [list(row) for row in value]
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
        else:
            assert found[name] == value


def test_pickles_of_python_2_are_read():
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    content = (
        b"\x80\x02}q\1(U\x04data" + array + b"(K\x01K\x02\x85" + dtype + b"\x89U\x02\xff\x07tbU\x06labels](K\1K\2eu."
    )
    found = _restricted.load(io.BytesIO(content), encoding="bytes")
    assert found[b"data"].tolist() == [255, 7]
    assert found[b"labels"] == [1, 2]


def test_a_pickle_that_takes_a_while_is_looked_through_in_less():
    rows = _objects([list(range(i % 300, 300)) for i in range(20_000)])
    content = pickle.dumps(rows, 2)
    _opcodes.check(content, "x")
    assert _restricted.load(io.BytesIO(content)).tolist() == rows.tolist()


# ---- datasets ----


def _imdb(tmp_path, x, y):
    np.savez(tmp_path / "x.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return {"imdb": tmp_path / "x.npz"}


def _cifar(tmp_path, **data):
    content = pickle.dumps(data or [1, 2], 2)
    names = [f"cifar-100-python/{name}" for name in ("train", "test")]
    (tmp_path / "c.tgz").write_bytes(gzip.compress(tarred(*names, content=content)))
    return {"cifar100": tmp_path / "c.tgz"}


def _fashion(tmp_path, images):
    names = [f"fashion_mnist/{part}-{kind}" for part in ("train", "t10k") for kind in ("labels-idx1", "images-idx3")]
    for place, content in (("labels", gzip.compress(bytes(8 + 3))), ("images", images)):
        (tmp_path / place).write_bytes(content)
    return {name: tmp_path / ("labels" if "labels" in name else "images") for name in names}


def _text(tmp_path, text):
    (tmp_path / "t.json").write_bytes(text)
    return {"imdb_word_index": tmp_path / "t.json", "reuters_word_index": tmp_path / "t.json"}


def _tables(tmp_path, name, **arrays):
    np.savez(tmp_path / "t.npz", **arrays)
    return {name: tmp_path / "t.npz"}


PIXELS = np.zeros((2, 3072), "uint8")
DATASETS = {
    "one review again and again": (
        "imdb", lambda p: _imdb(p, _objects([list(range(300_000))] * 1000), np.zeros(1000, int)), "300,000,000",
    ),
    "reviews of texts": ("imdb", lambda p: _imdb(p, _objects([["a"], ["b"]]), np.zeros(2, int)), "whole numbers"),
    "reviews of lists": ("imdb", lambda p: _imdb(p, _objects([[[1]], [[2]]]), np.zeros(2, int)), "whole numbers"),
    "reviews of nothing": ("imdb", lambda p: _imdb(p, _objects([None, None]), np.zeros(2, int)), "a list or"),
    "fewer labels than reviews": ("imdb", lambda p: _imdb(p, _objects([[1], [2]]), np.zeros(1, int)), "as many"),
    "a number for reviews": ("imdb", lambda p: _imdb(p, np.array(3), np.array(3)), "as many"),
    "CIFAR as a list": ("cifar100", _cifar, "no file of CIFAR"),
    "CIFAR without labels": ("cifar100", lambda p: _cifar(p, data=PIXELS), "a label"),
    "CIFAR of large labels": ("cifar100", lambda p: _cifar(p, data=PIXELS, fine_labels=[1, 1 << 70]), "a label"),
    "CIFAR of labels in lists": ("cifar100", lambda p: _cifar(p, data=PIXELS, fine_labels=[[1], [2]]), "a label"),
    "CIFAR of other images": ("cifar100", lambda p: _cifar(p, data=PIXELS[:, 1:], fine_labels=[1, 2]), "3,072"),
    "CIFAR of texts": ("cifar100", lambda p: _cifar(p, data="abc", fine_labels=[1, 2]), "images of uint8"),
    "a gzip bomb": ("fashion_mnist", lambda p: _fashion(p, gzip_zeros(128)), "decompression bomb"),
    "too few images": ("fashion_mnist", lambda p: _fashion(p, gzip.compress(bytes(16 + 784))), "784 for each"),
    "images without a header": ("fashion_mnist", lambda p: _fashion(p, gzip.compress(b"abc")), "damaged"),
    "images that are cut off": ("fashion_mnist", lambda p: _fashion(p, gzip.compress(bytes(9999))[:30]), "cut off"),
    "fewer digits than images": (
        "mnist", lambda p: _tables(p, "mnist", **dict.fromkeys(("x_train", "x_test"), PIXELS), y_train=PIXELS[0],
                                   y_test=PIXELS[0]), "as many rows",
    ),
    "no prices": ("boston_housing", lambda p: _tables(p, "boston_housing", x=PIXELS), "no array 'y'"),
    "a price": ("boston_housing", lambda p: _tables(p, "boston_housing", x=PIXELS, y=np.array(1)), "as many rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATASETS)
def test_datasets_that_lie_are_refused(case, tmp_path):
    name, make, match = DATASETS[case]
    refused(readers.dataset, name, tmp_path / "cache", make(tmp_path), match=match)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"[1]", b'{"a": [1]}', b"\xff\xfe\xff", b"", b"[" + b"[]," * (2 << 20)]
)
@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_words_that_lie_are_refused(name, text, tmp_path):
    refused(readers.dataset, name, tmp_path / "cache", _text(tmp_path, text), "get_word_index", match="word_index.json")


def test_words_are_read(tmp_path):
    sources = _text(tmp_path, json.dumps({f"w{i}": i for i in range(90_000)}).encode())
    accepted(readers.dataset, "imdb", tmp_path / "cache", sources, "get_word_index")
