"""JSON from a file or from stdin, in whatever state that is."""

from __future__ import annotations

import json
import os
import re
from urllib.parse import unquote

import prepare_emo_request as emo

MAX_JSON = 1024 * 1024  # bytes of a file or an answer that is read


def read_json(field: str, path: str) -> emo.Json:
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem`."""
    path = emo.check_given(field, path, "Give FILE, or - for stdin.")
    name = "stdin" if path == "-" else emo.shown_link(path)
    hint = "Give a file that was written or saved for this, or - for stdin."
    try:
        data = read_bytes(path, MAX_JSON + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or emo.printable(str(error), 200)
        hint = file_meant(path) or hint
        raise emo.Problem(field, f"{name} cannot be read: {reason}", hint) from None
    try:
        if len(data) > MAX_JSON:
            raise ValueError("it is larger than 1 MiB")
        if not data.strip():
            raise ValueError("it is empty")
        document = json.loads(data)  # in UTF-8, -16 or -32, with a mark or without
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deep"
        message = f"{name} is not JSON: {emo.printable(reason, 200)}"
        raise emo.Problem(field, message, hint) from None
    if not isinstance(document, dict):
        raise emo.Problem(field, f"{name} holds no JSON object", hint)
    return document


def read_bytes(path: str, limit: int) -> bytes:
    """Return at most `limit` bytes of the file `path`, "-" for stdin; raises `OSError`."""
    given = path != "-"
    data = b""
    with open(path if given else 0, "rb", 0, closefd=given, opener=open_at_once) as file:
        if file.isatty():
            raise OSError("it is a terminal, and nothing here asks questions")
        while len(data) < limit and (chunk := file.read(limit - len(data))):
            data += chunk
    return data


def open_at_once(path: str, flags: int) -> int:
    """Open as `os.open` does, but do not wait for a pipe's writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if os.name == "posix":
        os.set_blocking(descriptor, True)
    return descriptor


def file_meant(path: str) -> str:
    """Return as a hint which file a shell or a browser would have made of `path`, "" for none."""
    bare = path.strip(emo.QUOTES + " \t\r\n")
    named = re.sub(r"%(\w+)%|\$env:(\w+)", r"${\1\2}", bare)  # as shells of Windows have it
    ways = unquote(bare), named.replace("\\", "/"), named, bare.replace("\\", ""), bare
    guesses = [os.path.expanduser(os.path.expandvars(way)) for way in ways]
    there = [g for g in guesses if g != path and g.isprintable() and os.path.isfile(g)]
    return f"Did you mean {emo.shown_path(there[-1])}?" if there else ""
