"""A file of this machine in the place of a link: read, looked at, and its `file:` URL."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import prepare_emo_request as emo
from aliyun_emo import kinds, media
from aliyun_emo.files import file_meant, open_at_once


class LocalFile:
    """A local file: its `url`, and the SHA-256 of its content, `digest`, in hexadecimal digits."""

    def __init__(self, url: str, digest: str, content: bytes = b"", size: int = 0) -> None:
        self.url, self.digest, self.content, self.size = url, digest, content, size
        self.path = ""  # as it was given, where it was looked at
        self.found: Any = None  # the `Picture` or `Recording`, where it was looked at

    def check(self, field: str, boxes: list[emo.Box], report: emo.Report) -> None:
        """Report what is wrong with what was found in it, if it was looked at."""
        if self.found:
            media.check_medium(field, self.found, self.size, boxes, report, self.path)


Local = dict[str, LocalFile]  # those of this machine, by the field of the link in whose place


def facts_of_files(files: emo.Files, ratio: str | None) -> emo.Json:
    """Return what is told of `files` looked at, and what a video costs, at each ratio if None."""
    facts = {emo.LOCAL[f]: media.medium_facts(file.found) for f, file in files.items() if file}
    if recording := files.get("audio_url"):
        facts["audio"]["bytes"] = recording.size
        estimates = {r: media.estimate(recording.found.seconds, r) for r in emo.VIDEO_SIZES}
        facts.update({"estimate": estimates[ratio]} if ratio else {"estimates": estimates})
    return facts


def file_url(path: str) -> str:
    """Return the `file:` URL that leads to the file `path`, wherever it is used."""
    # Symbolic links are followed, since ".." behind one leads elsewhere. All that needs it is
    # escaped, "+" too: the vendor's SDK reads such URLs with unquote_plus().
    return Path(os.path.realpath(path)).as_uri()


def local_path(url: str) -> str:
    """Return the path of the file behind a `file:` URL."""
    path = os.fsdecode(unquote_to_bytes(url[len("file://") :]))
    if os.name == "nt":  # "/C:/..." has a slash too many, and a name of a host none
        return path[1:] if path.startswith("/") else f"//{path}"
    return path


def media_words(image_url: str, hides: bool = True) -> list[str]:
    """Return the words that give `prepare` this picture, and the place of a recording beside it."""
    if image_url.startswith("file:"):
        path = local_path(image_url)
        hidden = bool(hides and re.search(emo.AS_A_SIGNATURE, path, re.IGNORECASE))
        return ["--image", "IMAGE_FILE" if hidden else path, "--audio", "AUDIO_FILE"]
    hidden = hides and "?" in image_url
    return ["--image-url", "IMAGE_URL" if hidden else image_url, "--audio-url", "AUDIO_URL"]


def is_file_url(url: str) -> bool:
    """Whether `url` is spelled as `file_url` does, so that all read the same path in it."""
    path = os.path.normpath(local_path(url)) if url.startswith("file://") else ""
    return os.path.isabs(path) and "\0" not in path and Path(path).as_uri() == url


def look_at_files(values: emo.Values, report: emo.Report) -> emo.Files:
    """Return the local files of a command line; what is wrong with them is reported."""
    files: emo.Files = {}
    for field, name in emo.LOCAL.items():
        if name in values:
            if field in values:
                hint = f"Give {emo.option(name)} or {emo.option(field)} alone."
                report.error(name, f"{emo.option(field)} is there as well", hint)
            file = files[field] = report.check(file_at, name, values[name])
            extension = os.path.splitext(values[name])[1][1:].lower()
            named = re.fullmatch(emo.MEDIA, extension) and extension.replace("jpg", "jpeg")
            if file and named not in (None, file.found.format):
                message = f"it is named .{extension}, and it is a {file.found.format}"
                report.warn(name, message, "Rename it, and give that.")
    return files


def look_again(request: emo.Json, origin: str, report: emo.Report) -> Local:
    """Return the local files of a prepared `request`, of the file `origin`, if they are as then."""
    boxes = [request["input"][name] for name in emo.BOX_FIELDS if name in request["input"]]
    files = {}
    for field, digest in request.get("files", {}).items():
        path = place_now(field, local_path(request["input"][field]), digest, origin, report)
        if file := report.check(file_as_prepared, field, path, digest):
            file.check(field, boxes, report)
            files[field] = file
    return files


def place_now(field: str, path: str, digest: str, origin: str, report: emo.Report) -> str:
    """Return `path`, or where the same file lies beside `origin` or here, if it is gone."""
    for place in () if os.path.exists(path) else (os.path.dirname(os.path.realpath(origin)), ""):
        moved = os.path.join(place, os.path.basename(path))
        file = emo.Report().check(read_file, field, moved)
        if file and file.digest == digest:
            message = f"{emo.shown_path(path)} is gone; it is at {emo.shown_path(moved)} now"
            report.warn(field, message, "That one is used: its content is the same.")
            return moved
    return path


def file_as_prepared(field: str, path: str, digest: str) -> LocalFile:
    """Return the local file `path` if it still has this `digest`; raises `Problem`."""
    try:
        file = read_file(field, path)
    except emo.Problem as problem:
        problem.hint = "Put it back, or make or prepare the request anew."
        raise
    if file.digest != digest:
        hint = "Boxes that were detected of it are of the old picture: detect the new one first."
        hint = hint if field == "image_url" else "Its length, and so the price, may be another."
        message = f"{emo.shown_path(path)} has changed since: make or prepare it anew"
        raise emo.Problem(field, message, hint)
    return look_at_file(field, path, file)


def file_at(field: str, path: str) -> LocalFile:
    if not path.strip():
        raise emo.Problem(field, "has no value", f"Give {emo.option(field)} FILE.")
    if scheme := re.match("[a-z][a-z0-9+-]+(?=://)", path, re.I):  # of one letter it is a drive
        hint = file_meant(path) or "Give the path of a file, or a public link with https://."
        if scheme[0].lower() in ("http", "https"):
            hint = f"A link is for {emo.option(media.link_field(field))}."
        raise emo.Problem(field, f"{emo.shown_link(path)} is not the path of a file", hint)
    return look_at_file(field, path, read_file(field, path))


def read_file(field: str, path: str) -> LocalFile:
    """Return the local file `path`, read: of a too large one the beginning; raises `Problem`."""
    limit = media.MAX_PICTURE if media.link_field(field) == "image_url" else media.MAX_RECORDING
    try:
        with open(path, "rb", opener=open_at_once) as opened:
            if not os.path.isfile(opened.fileno()):
                raise OSError("it is not a regular file")
            size = os.fstat(opened.fileno()).st_size
            content = opened.read(limit if size <= limit else media.MAX_RECORDING)  # for its head
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        hint = file_meant(path) or f"Give the path of the {emo.KINDS[media.link_field(field)]}."
        if re.match(r"(//)?[\w-]+(\.[\w-]+)+/", path):
            hint += " A link begins with https://."
        name = emo.shown_path(path) if os.path.lexists(path) else emo.shown_link(path)  # signed?
        reason = getattr(error, "strerror", None) or emo.printable(str(error), 200)
        reason = "it is a folder" if os.path.isdir(path) else reason
        raise emo.Problem(field, f"{name} cannot be read: {reason}", hint) from None
    digest = hashlib.sha256(content).hexdigest()
    return LocalFile(file_url(path), digest, content, size if size > limit else len(content))


def look_at_file(field: str, path: str, file: LocalFile) -> LocalFile:
    try:
        file.path, file.found = path, media.look_at(field, file.content, file.size)
        return file
    except kinds.NotTaken as fault:
        if fault.needs_more:  # only what is too large is not read whole
            message = f"{emo.shown_path(path)} has {file.size:,} bytes, which is too large"
            raise emo.Problem(field, message, "Save it smaller.") from None
        raise media.not_taken_problem(field, fault, path) from None
