"""Archives unpacked so that nothing of them lies outside their folder, is a link, or fills the disk."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from compat.saving.bounded import Budget, decompressed
from compat.saving.bounded import UnsafeArchiveError as UnsafeArchiveError
from compat.saving.zips import BZIP2, DEFLATED, LZMA, STORED, Zip, directory
from compat.utils import _tars
from kfun.atomic import atomic_folder

MOST_BYTES = 1 << 40
MOST_FILES = 10_000_000
_FEW_FILES = 1_000  # that an archive of any size may have; to make one and remove it can take milliseconds
_LEAST = 16  # bytes of a larger archive for each file or folder: packed headers alone take 20 and more
_LONGEST, _DEEPEST = 4096, 100  # bytes and folders of a member's path
_NAMES = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ}


def unpack(archive: Path, target: Path, formats: Any) -> bool:
    """Unpacks an archive into a folder, whole or not at all.

    Args:
        archive: the file.
        target: the folder, whose content is replaced.
        formats: `"tar"`, `"zip"`, a list of these, `"auto"` for both, or None for none.

    Returns:
        Whether the file is an archive of these formats.

    Raises:
        UnsafeArchiveError: if the archive is damaged, a member's path leads out of the folder, is a link
            or a device, or there are more bytes than a true archive has.
    """
    wanted = ("tar", "zip") if formats == "auto" else (formats,) if isinstance(formats, str) else tuple(formats or ())
    unknown = sorted(set(wanted) - {"tar", "zip"})
    if unknown:
        raise ValueError(f"archive_format: expected 'tar', 'zip', 'auto' or None; received {unknown}")
    with open(archive, "rb") as file:
        free = shutil.disk_usage(target.parent).free
        size = os.fstat(file.fileno()).st_size
        budget = Budget(repr(str(archive)), size, min(MOST_BYTES, free))
        # Tar first: one that ends with a zip archive as its last member would be taken for that.
        if "tar" in wanted and _is_tar(file, budget.label):
            members = _of_tar(file, budget)
        elif "zip" in wanted and directory(file) is not None:
            members = _of_zip(file, budget)
        else:
            return False
        with atomic_folder(str(target)) as folder:
            _write(members, Path(folder), budget, min(MOST_FILES, max(_FEW_FILES, size // _LEAST)))
    return True


def _write(members: Iterator[tuple[str, Any]], folder: Path, budget: Budget, most: int) -> None:
    """Writes members, each a name and an open file or None for a folder."""
    made = 0
    for name, content in members:
        path = folder / _inside(name, budget.label)
        try:
            made += _make_folders(path if content is None else path.parent)
            if made >= most:
                raise UnsafeArchiveError(
                    f"{budget.label} has more than {most:,} files and folders, too many for its size: it is refused"
                )
            if content is None:
                continue
            # "x": a member twice, and so one that would be written through another one, is refused.
            with open(path, "xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            made += 1
        except OSError as error:
            if error.errno not in _NAMES:
                raise
            raise UnsafeArchiveError(
                f"{budget.label} has a member {name[:80]!r} that is there twice, is a file and a folder, or has a name "
                f"that this system does not take ({error.strerror})"
            ) from error


def _make_folders(path: Path) -> int:
    """Makes a folder and those above it; how many there were none of."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir()
    return len(missing)


def _inside(name: str, label: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or (path.parts and ":" in path.parts[0]):
        raise UnsafeArchiveError(f"{label} has a member {name[:80]!r}, which leads out of its folder")
    if len(os.fsencode(name)) > _LONGEST or len(path.parts) > _DEEPEST:
        raise UnsafeArchiveError(f"{label} has a member {name[:80]!r}..., a longer path than systems take")
    return path


def _of_zip(file: Any, budget: Budget) -> Iterator[tuple[str, Any]]:
    archive = Zip(file, budget.label, MOST_FILES)
    for member in archive:
        if member.is_link:
            raise UnsafeArchiveError(f"{budget.label} has a link, {member.name[:80]!r}; links are not unpacked")
        content = None if member.is_folder else archive.open(member, budget, (STORED, DEFLATED, BZIP2, LZMA))
        yield member.name, content


def _is_tar(file: Any, label: str) -> bool:
    return _tars.begins(decompressed(file, Budget(label, 0), label).read(512))


def _of_tar(file: Any, budget: Budget) -> Iterator[tuple[str, Any]]:
    content = decompressed(file, budget, budget.label)
    yield from _tars.entries(content, budget.label)
    while content is not file and content.read(1 << 20):  # so that the checksum is looked at
        pass
