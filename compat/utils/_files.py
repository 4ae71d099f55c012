"""`get_file`: files from the net in a local cache, checked and unpacked with care."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import shutil
import stat
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import warnings
from pathlib import Path, PurePath
from typing import Any

from compat.state import messages
from compat.utils._archives import unpack
from kfun.atomic import atomic_file

_BLOCK = 1 << 20
_SCHEMES = ("http", "https", "file", "ftp")


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The local path of a file from a URL, downloaded if the cache does not have it.

    A file is written under another name and takes its own only when it is complete and its hash is
    right; an archive likewise: nothing in it can come to lie outside its folder, and links in it
    are refused.

    Args:
        fname: the name in the cache; by default the URL's last part.
        origin: the URL.
        untar: the old name of `extract` for tar archives.
        md5_hash: the old name of `file_hash`.
        file_hash: the SHA-256 or MD5 of the file, as hexadecimal digits.
        cache_subdir: a folder in the cache, or an absolute path of a folder.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"` to tell them by the hash's length.
        extract: whether the file is an archive to unpack.
        archive_format: `"tar"`, `"zip"`, a list of these, or `"auto"` for both; None unpacks nothing.
        cache_dir: `$KERAS_HOME` or `~/.keras` by default.
        force_download: whether to download even what the cache has.

    Returns:
        The file's path; with `extract` the path of the folder with the archive's content: `fname`,
        or `fname` without its ending and `_extracted` after it.

    Raises:
        ValueError: if there is no URL, a name is none or a path, or the hash of what came is wrong.
        OSError: if the download fails.
        compat.utils.UnsafeArchiveError: if the archive is one that should not be unpacked.
    """
    if origin is None:
        raise ValueError("get_file: pass `origin`, the URL of the file")
    if urllib.parse.urlparse(origin).scheme not in _SCHEMES:
        raise ValueError(f"get_file: expected a URL of {', '.join(_SCHEMES)}; received {origin!r}")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    name = _name(fname, origin)
    folder = _folder(cache_dir, cache_subdir)
    extract = extract or untar
    formats = ("tar",) if untar else archive_format
    target, archive = folder / name, folder / name
    if extract and (fname is None or not Path(name).suffix):
        archive = folder / f"{name}_archive"
    elif extract:
        target = folder / f"{re.sub(r'[.]tar$', '', Path(name).stem)}_extracted"
    fresh = force_download or not archive.is_file()
    if not fresh and file_hash is not None:
        with open(archive, "rb") as file:
            fresh = not _matches(file, file_hash, hash_algorithm)
        if fresh:
            messages.say(f"{archive} has another hash than {file_hash}: it is downloaded again.")
    if fresh:
        messages.say(f"Downloading data from {origin}")
        _download(origin, archive, file_hash, hash_algorithm)
    if extract and (fresh or not target.exists()) and not unpack(archive, target, formats):
        warnings.warn(f"{archive} is no archive of {archive_format!r}: nothing was unpacked", stacklevel=2)
    return str(target)


def _name(fname: Any, origin: str) -> str:
    name = os.fspath(fname) if fname else os.path.basename(urllib.parse.unquote(urllib.parse.urlparse(origin).path))
    if not name or name in (".", ".."):
        raise ValueError(f"get_file: {origin!r} does not end in a file's name; pass `fname`")
    if "/" in name or "\\" in name or "\0" in name:
        raise ValueError(f"get_file: fname is a name, not a path; received {name!r}. Pass the folder as `cache_subdir`")
    return name


def _folder(cache_dir: Any, cache_subdir: str) -> Path:
    home = cache_dir or os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    folder = Path(home).expanduser() / cache_subdir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    return folder if writable else _fallback(cache_subdir)


def _fallback(cache_subdir: str) -> Path:
    """As in Keras a folder `.keras` among the temporary files, if nobody else could have put files there."""
    folder = Path(tempfile.gettempdir()) / ".keras"
    below = PurePath(cache_subdir)
    if below.is_absolute() or ".." in below.parts:
        raise OSError(f"get_file: no files can be written to {cache_subdir!r}: pass another cache_subdir or cache_dir")
    for part in ("", *below.parts):
        folder /= part
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
        if not _is_own(folder):
            private = Path(tempfile.mkdtemp(prefix="keras-")) / below
            messages.say(f"{folder} may hold files of other users: {private} is used, which no later run finds.")
            private.mkdir(0o700, parents=True, exist_ok=True)
            return private
    return folder


def _is_own(folder: Path) -> bool:
    """Whether this user alone can put files into a folder; where there are no users, temporary files are private."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)


def _algorithm(expected: str, algorithm: str) -> str:
    if algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(f"hash_algorithm: expected 'sha256', 'md5' or 'auto'; received {algorithm!r}")
    return algorithm if algorithm != "auto" else "sha256" if len(expected) == 64 else "md5"


def _matches(file: Any, expected: str, algorithm: str) -> bool:
    file.seek(0)
    found = hashlib.file_digest(file, _algorithm(expected, algorithm))
    return found.hexdigest() == expected.strip().lower()


def _download(origin: str, path: Path, expected: str | None, algorithm: str) -> None:
    """Writes the file of a URL to a path, whole and checked or not at all."""
    with atomic_file(str(path)) as file:
        _fetch(origin, file)
        file.flush()
        if expected is not None and not _matches(file, expected, algorithm):
            raise ValueError(
                f"get_file: what {origin} gave has not the {_algorithm(expected, algorithm)} hash {expected}: it is "
                "incomplete, or another file"
            )


def _fetch(origin: str, file: Any) -> None:
    request = urllib.request.Request(origin, headers={"User-Agent": "kfun"})
    try:
        with urllib.request.urlopen(request) as answer:
            length = answer.headers.get("Content-Length")
            shutil.copyfileobj(answer, file, _BLOCK)
    except urllib.error.HTTPError as error:
        raise OSError(f"get_file: {origin} answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise OSError(f"get_file: {origin} cannot be reached: {getattr(error, 'reason', error)}") from error
    if length is not None and str(file.tell()) != length.strip():
        raise OSError(f"get_file: {origin} gave {file.tell()} of {length} bytes; try again")
