"""A saved model's parts in a `.keras` archive or a folder: texts, weights and assets, checked before they are read."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from compat.saving import checksums
from compat.saving.checksums import Summed
from compat.saving.window import Window

WEIGHTS, CONFIG, METADATA = "model.weights.h5", "config.json", "metadata.json"
_EXPANSION = 100  # how much larger than the archive its members may be
_TEXT_LIMIT = 64 << 20
_HEADER = 30  # bytes of a member's header before its name


def write_member(archive: zipfile.ZipFile, name: str, fill: Any) -> None:
    """Lets `fill(file)` write a member in its place in the archive, uncompressed and without a copy.

    Args:
        archive: opened for writing on a file that can be read as well, with a member in it already.
        name: of the member.
        fill: writes to a seekable file.
    """
    file: Any = archive.fp
    info = zipfile.ZipInfo(name)
    info.header_offset, info.CRC, info.file_size, info.compress_size = file.tell(), 0, 0, 0
    file.write(info.FileHeader(zip64=True))
    part = Summed(file, file.tell())
    fill(part)
    info.CRC, info.file_size = part.checksum(), part.size
    info.compress_size = part.size
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=True))
    archive.start_dir = part.start + part.size
    file.seek(archive.start_dir)
    archive.filelist.append(info)
    archive.NameToInfo[name] = info


class Folder:
    """The parts of a model that was saved with `zipped=False`."""

    def __init__(self, path: str):
        self.path = path
        missing = [n for n in (CONFIG, WEIGHTS) if not os.path.isfile(os.path.join(path, n))]
        if missing:
            raise ValueError(f"{path!r} is no folder of a saved model: it lacks {', '.join(missing)}")

    def text(self, name: str) -> Any:
        """The JSON data of a part."""
        with open(self._own(name), "rb") as file:
            content = file.read(_TEXT_LIMIT + 1)
        return parse(name, content)

    @contextlib.contextmanager
    def weights(self) -> Iterator[Any]:
        """The weights as a seekable file."""
        with open(self._own(WEIGHTS), "rb") as file:
            yield file

    @contextlib.contextmanager
    def assets(self) -> Iterator[str | None]:
        """The folder of assets, None if there is none."""
        folder = os.path.join(self.path, "assets")
        for where, folders, files in os.walk(folder):
            for name in (*folders, *files):
                if os.path.islink(os.path.join(where, name)):
                    raise ValueError(f"{self.path!r}: the asset {name!r} is a link, which is refused")
        yield folder if os.path.isdir(folder) and not os.path.islink(folder) else None

    def _own(self, name: str) -> str:
        path = os.path.join(self.path, name)
        if os.path.islink(path):
            raise ValueError(f"{self.path!r}: {name} is a link, which is refused")
        return path


class Archive:
    """The parts of a `.keras` archive.

    Args:
        file: opened for reading.
        label: how errors call it.
    """

    def __init__(self, file: Any, label: str):
        self.file, self.label = file, label
        try:
            self.zip = zipfile.ZipFile(file)
            names = [i.filename for i in self.zip.infolist()]
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeError) as error:
            raise ValueError(f"{label} is no whole .keras archive ({error}): it is damaged or was cut off") from error
        if len(set(names)) != len(names):
            raise ValueError(f"{label}: the archive names a member twice, which is refused")
        for info in self.zip.infolist():
            self._check(info)
        file.seek(0, os.SEEK_END)
        if sum(i.file_size for i in self.zip.infolist()) > _EXPANSION * max(file.tell(), 4096):
            raise ValueError(f"{label}: the archive expands to far more than its size, which is refused")
        missing = {CONFIG, WEIGHTS} - set(names)
        if missing:
            raise ValueError(f"{label} is no .keras file of a model: it lacks {', '.join(sorted(missing))}")

    def _check(self, info: zipfile.ZipInfo) -> None:
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name or "\0" in name:
            raise ValueError(f"{self.label}: the archive names {name!r}, a path out of itself, which is refused")
        if (info.external_attr >> 16) & 0o170000 == 0o120000:
            raise ValueError(f"{self.label}: the archive holds a link {name!r}, which is refused")

    def text(self, name: str) -> Any:
        """The JSON data of a part."""
        if self.zip.getinfo(name).file_size > _TEXT_LIMIT:
            raise ValueError(f"{name} in the archive is larger than {_TEXT_LIMIT:,} bytes, which is refused")
        return parse(name, self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        try:
            return self.zip.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise ValueError(f"{name} in the archive cannot be read ({error}): the file is damaged") from error

    @contextlib.contextmanager
    def weights(self) -> Iterator[Any]:
        """The weights as a seekable file: in place if they are stored uncompressed, else in memory."""
        info = self.zip.getinfo(WEIGHTS)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            yield io.BytesIO(self._bytes(WEIGHTS))
            return
        self.file.seek(info.header_offset)
        header = self.file.read(_HEADER)
        if len(header) < _HEADER or header[:4] != b"PK\x03\x04" or info.compress_size != info.file_size:
            raise ValueError(f"{self.label}: {WEIGHTS} is not where the archive says: the file is damaged")
        start = info.header_offset + _HEADER + int.from_bytes(header[26:28], "little")
        part = Window(self.file, start + int.from_bytes(header[28:30], "little"), info.file_size)
        if checksums.of(part) != info.CRC:
            raise ValueError(f"{self.label}: the checksum of {WEIGHTS} does not fit: the file is damaged")
        part.seek(0)
        yield part

    @contextlib.contextmanager
    def assets(self) -> Iterator[str | None]:
        """A temporary folder with the assets, None if there are none."""
        wanted = [i for i in self.zip.infolist() if i.filename.startswith("assets/") and not i.is_dir()]
        if not wanted:
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            for info in wanted:
                path = os.path.join(folder, *info.filename.split("/"))
                try:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "xb") as file:
                        file.write(self._bytes(info.filename))
                except OSError as error:
                    raise ValueError(f"{self.label}: the asset {info.filename!r} cannot be read ({error})") from error
            yield os.path.join(folder, "assets")


def parse(name: str, content: bytes) -> Any:
    """JSON data, or a ValueError."""
    if len(content) > _TEXT_LIMIT:
        raise ValueError(f"{name} is larger than {_TEXT_LIMIT:,} bytes, which is refused")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read ({error}): the file is damaged") from error
