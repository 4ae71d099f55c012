"""Archives unpacked so that nothing of them lies outside their folder, is a link, or fills the disk."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

MOST_BYTES = 1 << 40
MOST_FILES = 10_000_000
LARGEST_RATIO = 1_000  # of unpacked to packed bytes, above what a small archive may have
SMALL = 1 << 28


class UnsafeArchiveError(ValueError):
    """An archive that should not be unpacked."""


def unpack(archive: Path, target: Path, formats: Any) -> bool:
    """Unpacks an archive into a folder, whole or not at all.

    Args:
        archive: the file.
        target: the folder, whose content is replaced.
        formats: `"tar"`, `"zip"`, a list of these, `"auto"` for both, or None for none.

    Returns:
        Whether the file is an archive of these formats.

    Raises:
        UnsafeArchiveError: if a member's path leads out of the folder, is a link or a device, or
            there are more bytes than a true archive has.
    """
    wanted = ("tar", "zip") if formats == "auto" else (formats,) if isinstance(formats, str) else tuple(formats or ())
    unknown = sorted(set(wanted) - {"tar", "zip"})
    if unknown:
        raise ValueError(f"archive_format: expected 'tar', 'zip', 'auto' or None; received {unknown}")
    if "zip" in wanted and zipfile.is_zipfile(archive):
        members = _of_zip
    elif "tar" in wanted and tarfile.is_tarfile(archive):
        members = _of_tar
    else:
        return False
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        _write(members(archive), partial, max(SMALL, LARGEST_RATIO * archive.stat().st_size))
        partial.chmod(0o755)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        elif target.exists() or target.is_symlink():
            target.unlink()
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _write(members: Iterator[tuple[str, BinaryIO | None]], folder: Path, most: int) -> None:
    """Writes members, each a name and an open file or None for a folder."""
    left = min(most, MOST_BYTES)
    for number, (name, source) in enumerate(members):
        if number >= MOST_FILES:
            raise UnsafeArchiveError(f"the archive has more than {MOST_FILES} members")
        path = folder / _inside(name)
        if source is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x": a member twice, and so one that would be written through another one, is refused.
        with source, open(path, "xb") as out:
            while block := source.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise UnsafeArchiveError(f"the archive unpacks to more than {most} bytes: a decompression bomb")
                out.write(block)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\0" in name or (path.parts and ":" in path.parts[0]):
        raise UnsafeArchiveError(f"the archive has a member {name!r}, which leads out of its folder")
    return path


def _of_zip(archive: Path) -> Iterator[tuple[str, BinaryIO | None]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UnsafeArchiveError(f"the archive has a link, {info.filename!r}; links are not unpacked")
            yield info.filename, None if info.is_dir() else file.open(info)  # type: ignore[misc]


def _of_tar(archive: Path) -> Iterator[tuple[str, BinaryIO | None]]:
    with tarfile.open(archive) as file:
        for info in file:
            if not (info.isfile() or info.isdir()):
                raise UnsafeArchiveError(f"the archive has {info.name!r}, which is neither a file nor a folder")
            yield info.name, None if info.isdir() else file.extractfile(info)  # type: ignore[misc]
