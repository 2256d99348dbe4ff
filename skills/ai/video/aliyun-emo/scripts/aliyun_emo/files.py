"""Files: JSON read in whatever state it is, and what must outlast a power cut or a kill written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from urllib.parse import unquote

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.answers import MAX_JSON, as_object

STALE = 24 * 3600  # seconds after which a temporary file is nobody's any more
SAVED = "Give a file that was written or saved for this, or - for stdin."
NOT_OFFERED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def read_json(field: str, path: str, hint: str = SAVED) -> emo.Json:
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem` with a `hint`."""
    path = emo.check_given(field, path, hint)
    is_stdin = path == "-"
    name = "stdin" if is_stdin else emo.shown_link(path)
    try:
        with open(0 if is_stdin else path, "rb", closefd=not is_stdin, opener=open_at_once) as file:
            if file.isatty():
                raise OSError("it is a terminal, and nothing here asks questions")
            data = file.read(MAX_JSON + 1) or b""  # None: a pipe that does not wait, and is empty
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or emo.printable(str(error), 200)
        hint = file_meant(path) or hint
        raise emo.Problem(field, f"{name} cannot be read: {why}", hint) from None
    try:
        if len(data) > MAX_JSON:
            raise ValueError("it is larger than 1 MiB")
        if not data.strip():
            raise ValueError("it is empty")
        document = json.loads(data)  # in UTF-8, -16 or -32, with a mark or without
    except (ValueError, RecursionError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise emo.Problem(field, f"{name} is not JSON: {emo.printable(why, 200)}", hint) from None
    if not isinstance(document, dict):
        raise emo.Problem(field, f"{name} holds no JSON object", hint)
    return document


def open_at_once(path: str, flags: int) -> int:
    """Open as `os.open` does, but do not wait for a pipe's writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if os.name == "posix":
        os.set_blocking(descriptor, True)
    return descriptor


def file_meant(path: str) -> str:
    """Return as a hint which file a shell or a browser would have made of `path`, "" for none."""
    bare = path.strip(emo.QUOTES + " \t\r\n\xa0\u3000\u202a\u202c\ufeff")
    bare = re.sub("(?i)^file:(//(localhost)?)?", "", bare)
    named = re.sub(r"%(\w+)%|\$env:(\w+)", r"${\1\2}", bare)  # as shells of Windows have it
    alone = re.sub(r"^\[.*\]\(", "", bare).strip("([{<" + emo.MARKS)  # out of a sentence
    ways = alone, unquote(bare), named.replace("\\", "/"), named, bare.replace("\\", ""), bare
    guesses = [os.path.expanduser(os.path.expandvars(way)) for way in ways]
    there = [g for g in guesses if g != path and g.isprintable() and os.path.isfile(g)]
    return f"Did you mean {emo.shown_path(there[-1])}?" if there else ""


def read_evidence(path: str) -> emo.Json:
    """Return the JSON object in the file `path` of the evidence, {} where there is none to read."""
    try:
        with open(path, "rb") as file:
            return as_object(json.loads(file.read()))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, PermissionError) and os.name != "nt":  # there it is busy at times
            raise
        return {}


def write_durably(path: str, document: object) -> None:
    """Replace the file `path` whole by `document`, on the disk on return; raises `OSError`."""

    def place(temporary: str, target: str) -> None:
        with open(temporary, "rb+") as file:
            sync(file.fileno())
        move(temporary, target)
        sync_folder(os.path.dirname(target))

    emo.write_json(path, document, place)


def move(source: str, target: str) -> None:
    """Rename a file or folder to `target`, in place of what is there; raises `OSError`."""
    for _ in range(20 if os.name == "nt" else 0):
        with contextlib.suppress(PermissionError):  # on Windows, while another process has it open
            return os.replace(source, target)
        clock.sleep(0.05)
    return os.replace(source, target)


def sync_folder(folder: str) -> None:
    """Bring a folder's names to the disk, where that is offered; Windows cannot open folders."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def sync(descriptor: int) -> None:
    """Bring a file to the disk, where the file system offers that: CIFS and FUSE may not."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def append_line(path: str, line: bytes) -> None:
    """Append a `line` to the file `path`, whole or not at all; raises `OSError`."""
    with open(path, "ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            written = file.write(line + b"\n")
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        if written <= len(line):
            if os.fstat(file.fileno()).st_size == size + written:  # no other run has appended
                file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def sweep(folder: str) -> None:
    """Remove what killed runs left half written below `folder`, when it is older than a day."""
    for place, folders, files in os.walk(folder):
        for name in filter(re.compile(emo.TEMPORARY_NAME).fullmatch, folders + files):
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):  # another run is at it, or a later one will be
                if clock.time() - os.lstat(path).st_mtime > STALE:
                    (shutil.rmtree if name in folders else os.unlink)(path)
