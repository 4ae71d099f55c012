"""A saved model's parts in a `.keras` archive or a folder: texts, weights and assets, checked before they are read."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from compat.saving import checksums
from compat.saving.bounded import Budget, UnsafeArchiveError
from compat.saving.checksums import Summed
from compat.saving.zips import DEFLATED, STORED, Member, Zip
from compat.serialization.allowance import Allowance
from kfun.folders import SteadyFolder

WEIGHTS, CONFIG, METADATA = "model.weights.h5", "config.json", "metadata.json"
_TEXT_LIMIT = 64 << 20
_CONTAINERS, _VALUES = 1 << 20, 1 << 22  # of a JSON text: each costs up to 240 and 64 bytes when it is read
_WHOLE = 1 << 20  # bytes of stored weights that are read at once
_IN_MEMORY = 64 << 20  # bytes of decompressed weights, above which they go to a temporary file
_ON_DISK = 64 << 30  # what compressed members are expanded to without an allowance; stored ones have no limit
_LONGEST_NAME, _DEEPEST = 1024, 100  # bytes and folders of a member's path
_NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTEMPTY}


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
    """The parts of a model that was saved with `zipped=False`, all of one save.

    Args:
        folder: in which they are.
    """

    def __init__(self, folder: SteadyFolder):
        self.path, self._folder = folder.path, folder
        self._files: dict[str, Any] = {}  # open before a save that replaces the folder removes them
        for name in (CONFIG, WEIGHTS, METADATA):
            with contextlib.suppress(FileNotFoundError):
                self._files[name] = folder.open(name)
        missing = [name for name in (CONFIG, WEIGHTS) if name not in self._files]
        if missing:
            raise ValueError(f"{self.path!r} is no folder of a saved model: it lacks {', '.join(missing)}")

    def has(self, name: str) -> bool:
        """Whether there is a part of this name."""
        return name in self._files

    def text(self, name: str) -> Any:
        """The JSON data of a part."""
        file = self._files[name] if name in self._files else self._folder.open(name)
        file.seek(0)
        return parse(name, file.read(min(os.fstat(file.fileno()).st_size, _TEXT_LIMIT) + 1))

    @contextlib.contextmanager
    def weights(self) -> Iterator[Any]:
        """The weights as a seekable file."""
        yield self._files[WEIGHTS]

    @contextlib.contextmanager
    def assets(self) -> Iterator[str | None]:
        """The folder of assets, None if there is none."""
        folder = os.path.join(self.path, "assets")
        for where, folders, files in os.walk(folder):
            for name in (*folders, *files):
                kind = os.lstat(os.path.join(where, name)).st_mode
                if stat.S_ISLNK(kind):
                    raise ValueError(f"{self.path!r}: the asset {name!r} is a link, which is refused")
                if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                    raise ValueError(f"{self.path!r}: the asset {name!r} is neither a file nor a folder")
        found = os.path.isdir(folder) and not os.path.islink(folder)
        self._folder.by_path |= found
        yield folder if found else None


class Archive:
    """The parts of a `.keras` archive, of members that are stored or deflated.

    What is stored is read in place. What is deflated may expand to 100 times the archive; text is read up to a
    limit, and the rest goes to temporary files, so that memory stays small however large a member is.

    Args:
        file: opened for reading.
        label: how errors call it.
        allowance: bytes that deflated members may expand to in all, within 100 times the archive; 64 GiB at least.
    """

    def __init__(self, file: Any, label: str, allowance: float | None = None):
        self.file, self.label = file, label
        self._most = _ON_DISK if allowance is None else max(_ON_DISK, Allowance(allowance).whole)
        try:
            self.zip = Zip(file, label)
        except UnsafeArchiveError as error:
            raise UnsafeArchiveError(f"{error}; expected a .keras archive") from error
        self._members: dict[str, Member] = {}
        for member in self.zip:
            self._check(member)
            if member.name in self._members:
                raise ValueError(f"{label}: the archive names the member {member.name!r} twice, which is refused")
            self._members[member.name] = member
        missing = {CONFIG, WEIGHTS} - set(self._members)
        if missing:
            raise ValueError(f"{label} is no .keras file of a model: it lacks {', '.join(sorted(missing))}")
        self._budget().take(sum(m.size for m in self._members.values() if m.method != STORED))

    def _check(self, member: Member) -> None:
        name = member.name
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name or "\0" in name:
            raise ValueError(f"{self.label}: the archive names {name!r}, a path out of itself, which is refused")
        if len(member.raw) > _LONGEST_NAME or name.count("/") > _DEEPEST:
            raise ValueError(
                f"{self.label}: the archive names {name[:80]!r}..., a longer path than any, which is refused"
            )
        if member.is_link:
            raise ValueError(f"{self.label}: the archive holds a link {name!r}, which is refused")
        self.zip.known(member, (STORED, DEFLATED))

    def _budget(self) -> Budget:
        return Budget(self.label, self.zip.size, self._most, "pass a greater `allowance` (bytes)")

    def has(self, name: str) -> bool:
        """Whether there is a part of this name."""
        return name in self._members

    def text(self, name: str) -> Any:
        """The JSON data of a part."""
        member = self._members.get(name)
        if member is None:
            raise ValueError(f"{self.label} has no {name}: the archive is damaged")
        with self.zip.open(member, self._budget()) as file:
            return parse(name, file.read(min(member.size, _TEXT_LIMIT) + 1))

    @contextlib.contextmanager
    def weights(self) -> Iterator[Any]:
        """The weights as a seekable file: in place if they are stored uncompressed, else a copy that is deleted."""
        member = self._members[WEIGHTS]
        if member.method == STORED:
            part = self.zip.place(member)
            whole = part.read() if member.size <= _WHOLE else None  # since HDF5 goes to many places of it
            if (checksums.of(part) if whole is None else zlib.crc32(whole)) != member.crc:
                raise ValueError(f"{self.label}: the checksum of {WEIGHTS} does not fit: the file is damaged")
            part.seek(0)
            yield part if whole is None else io.BytesIO(whole)
            return
        content = self.zip.open(member, self._budget())
        with io.BytesIO() if member.size <= _IN_MEMORY else tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(content, copy, 1 << 20)
            copy.seek(0)
            yield copy

    @contextlib.contextmanager
    def assets(self) -> Iterator[str | None]:
        """A temporary folder with the assets, None if there are none."""
        wanted = [m for m in self._members.values() if m.name.startswith("assets/") and not m.is_folder]
        if not wanted:
            yield None
            return
        budget = self._budget()
        with tempfile.TemporaryDirectory() as folder:
            for member in wanted:
                self._extract(member, os.path.join(folder, *member.name.split("/")), budget)
            yield os.path.join(folder, "assets")

    def _extract(self, member: Member, path: str, budget: Budget) -> None:
        content = self.zip.open(member, budget)
        with self._created(member, path) as file:
            shutil.copyfileobj(content, file, 1 << 20)

    def _created(self, member: Member, path: str) -> Any:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return open(path, "xb")
        except OSError as error:
            if error.errno not in _NAMES:
                raise
            raise ValueError(
                f"{self.label}: the asset {member.name[:80]!r} cannot be read: its name is too long, or also that of "
                f"another one ({error.strerror})"
            ) from error


def parse(name: str, content: bytes) -> Any:
    """JSON data, or a ValueError.

    Args:
        name: how errors call the text.
        content: the text.
    """
    if len(content) > _TEXT_LIMIT:
        raise ValueError(f"{name} is larger than {_TEXT_LIMIT:,} bytes, which is refused")
    containers = content.count(b"{") + content.count(b"[")
    if containers > _CONTAINERS or containers + content.count(b",") + content.count(b":") > _VALUES:
        raise ValueError(
            f"{name} holds more than {_CONTAINERS:,} lists and objects or {_VALUES:,} values, which is refused: they "
            "would take many times the text's memory"
        )
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read ({error}): the file is damaged") from error
