"""A file of this machine in the place of a link: read once, looked at, judged, and its `file:` URL.
The rules for pictures and recordings hold for what is behind a link as well.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import prepare_emo_request as emo
from aliyun_emo.commands import for_the_shell
from aliyun_emo.files import open_at_once
from aliyun_emo.kinds import NotTaken
from aliyun_emo.pictures import Picture, picture
from aliyun_emo.recordings import Recording, recording
from aliyun_emo.refusals import shown_words

MAX_PICTURE = 100_000_000  # bytes
# The service says "15M" and "< 60 s": between these nobody knows, and encoders pad.
BIG_RECORDING, MAX_RECORDING = 15_000_000, 15 * 1024 * 1024  # bytes
LONG_RECORDING, MAX_SECONDS = 59.9, 60.1
SHORT_RECORDING = 1  # seconds

# --- 1. What there is, and what is wrong with it --------------------------------------------------


FFMPEG = {"ffmpeg": "-i IN OUT"}
CONVERTERS = {  # by kind, which programs make a format that is taken, and how
    "recording": FFMPEG,
    "picture": {
        **dict.fromkeys(("magick", "convert"), "IN[0] OUT"),
        "sips": "-s format png IN --out OUT",
        **FFMPEG,
    },
}


class LocalFile:
    """A local file: its `url`, and the SHA-256 of its content, `digest`, in hexadecimal digits.

    Where it was read, `content` are its bytes and `size` how many it has; where it was looked at,
    `found` is the `Picture` or `Recording`, and `path` where it lies, as that was given.
    """

    def __init__(self, url: str, digest: str, content: bytes = b"", size: int = 0) -> None:
        self.url, self.digest, self.content, self.size = url, digest, content, size
        self.found: Any = None
        self.path = ""

    def check(self, field: str, boxes: Iterable[emo.Box], report: emo.Report) -> None:
        """Report what is wrong with what was found in it, if it was looked at."""
        if isinstance(self.found, Picture):
            check_picture(field, self.found, self.size, boxes, report)
        elif self.found:
            check_recording(field, self.found, self.size, self.path, report)

    def facts(self) -> emo.Json:
        """Return what is told of it."""
        facts = medium_facts(self.found)
        return {**facts, "bytes": self.size} if "seconds" in facts else facts


def medium_facts(found: Picture | Recording) -> emo.Json:
    """Return what is told of a picture or a recording."""
    facts = found._asdict()
    facts.pop("orientation", None)
    return {n: round(v, 2) if n == "seconds" else v for n, v in facts.items()}


def check_picture(
    field: str, found: Picture, size: int, boxes: Iterable[emo.Box], report: emo.Report
) -> None:
    """Report what is wrong with a picture of `size` bytes, in which all `boxes` must lie.

    Nothing says in which picture boxes are counted where EXIF has it turned (contract, "Limits").
    """
    _, width, height, orientation = found
    its = f"it is {width}x{height}"
    if min(width, height) < emo.MIN_SIDE or max(width, height) > emo.MAX_SIDE:
        message = f"{its}; each side must have {emo.MIN_SIDE} to {emo.MAX_SIDE} pixels"
        report.error(field, message, "Use the picture in another size, and detect that.")
    if size > MAX_PICTURE:
        message = f"it has {size:,} bytes, more than {MAX_PICTURE:,}"
        report.error(field, message, "Save it smaller, for example as jpg, and detect that.")
    right, bottom = (max((box[side] for box in boxes), default=0) for side in (2, 3))
    upright = "Save it upright, and detect that: the boxes may be counted in the turned picture."
    if right <= width and bottom <= height:
        if orientation != 1:
            report.warn(field, f"it is stored turned (EXIF orientation {orientation})", upright)
    elif orientation >= 5 and right <= height and bottom <= width:
        message = f"the boxes fit only the picture turned as EXIF says, {height}x{width}"
        report.error(field, message, upright)
    else:
        hint = "They are of another picture, or of another size of it: detect this one."
        report.error(field, f"{its}, and the boxes reach to {right},{bottom}", hint)


def check_recording(field: str, found: Recording, size: int, path: str, report: emo.Report) -> None:
    length = f"it is {found.seconds:.2f} s long"
    if size >= BIG_RECORDING:
        tell = report.error if size > MAX_RECORDING else report.warn
        message = f"it has {size:,} bytes; the service takes less than 15 MB"
        tell(field, message, "Save it as mp3, or as a smaller one.")
    if found.seconds >= LONG_RECORDING:
        tell = report.error if found.seconds > MAX_SECONDS else report.warn
        hint = "Cut it, to 59 s for example, or make two videos of it."
        if path.isprintable() and path:
            path = as_a_path(path)
            stem, extension = os.path.splitext(path)
            target = free_path(f"{stem}-59s.", extension[1:] or "mp3")
            hint = f"Cut it: {for_the_shell(['ffmpeg', '-i', path, '-t', '59', target])}"
        least = "close to the limit of 60 s" if tell == report.warn else ""
        tell(field, f"{length}; {least or 'the service takes less than 60 s'}", hint)
    if found.seconds < SHORT_RECORDING:
        report.warn(field, f"{length}, which may be too short", "Is it the whole recording?")


def not_taken_problem(field: str, fault: NotTaken, path: str = "") -> emo.Problem:
    """Return the `Problem` of content that is not taken, and how the local file `path` would be."""
    kind, formats = emo.KINDS[link_field(field)], ", ".join(emo.FORMATS[link_field(field)])
    hint = f"Give the {kind} itself: {formats}."
    if fault.convertible:
        hint = "Convert it, and upload it anew."
        if path:
            hint = f"Convert it: {conversion(path, kind)}" if path.isprintable() else "Convert it."
    what = shown_words(str(fault))
    return emo.Problem(field, f"{emo.shown_path(path)}: {what}" if path else what, hint)


def conversion(path: str, kind: str) -> str:
    source = as_a_path(path)
    target = free_path(source, "mp3" if kind == "recording" else "png")
    places = {"IN": source, "IN[0]": f"{source}[0]", "OUT": target}  # of several pictures the first
    names = [n for n in CONVERTERS[kind] if n != "convert" or os.name != "nt"]  # another one there
    name = next(filter(shutil.which, names), "")
    words = CONVERTERS[kind][name or names[0]].split()
    command = for_the_shell([name or names[0], *(places.get(word, word) for word in words)])
    missing = "ImageMagick" if kind == "picture" else "ffmpeg"
    return command if name else f"{command} (after {missing} was installed)"


def as_a_path(path: str) -> str:
    """Return `path` such that no program takes it for an option, or the name of a protocol."""
    is_plain = not path.startswith("-") and (":" not in path or os.path.isabs(path))
    return path if is_plain else os.path.join(os.curdir, path)


def free_path(path: str, extension: str) -> str:
    """Return a path like that of the file `path`, with another extension, where nothing lies."""
    stem, number = os.path.splitext(path)[0], 2
    target = f"{stem}.{extension}"
    while os.path.lexists(target):
        target, number = f"{stem}-{number}.{extension}", number + 1
    return target


def link_field(field: str) -> str:
    return field if field in emo.LOCAL else f"{field}_url"


def estimate(seconds: float, ratio: str) -> emo.Json:
    """Return what a video of so many `seconds` costs, in CNY: the video is as long as the audio."""
    price = round(seconds * emo.PRICES[ratio], 2)
    return {"seconds": round(seconds, 2), "cny": price, "prices_of": emo.PRICES_OF}


def facts_of_files(files: emo.Files, ratio: str | None) -> emo.Json:
    """Return what is told of local `files`, and what a video costs, at each ratio if it is None."""
    facts: emo.Json = {emo.LOCAL[field]: file.facts() for field, file in files.items() if file}
    if recording := files.get("audio_url"):
        length = recording.found.seconds
        estimates = {ratio: estimate(length, ratio) for ratio in emo.VIDEO_SIZES}
        facts.update({"estimate": estimates[ratio]} if ratio else {"estimates": estimates})
    return facts


# --- 2. Paths and their URLs ----------------------------------------------------------------------


def file_url(path: str) -> str:
    """Return the `file:` URL that leads to the file `path`, wherever it is used.

    Symbolic links are followed, since ".." behind one leads elsewhere. All that needs it is
    escaped, "+" too: the vendor's SDK reads such URLs with unquote_plus().
    """
    return Path(os.path.realpath(path)).as_uri()


def local_path(url: str) -> str:
    """Return the path of the file behind a `file:` URL."""
    path = os.fsdecode(unquote_to_bytes(url[len("file://") :]))
    if os.name == "nt":  # "/C:/..." has a slash too many, and a name of a host none
        return path[1:] if path.startswith("/") else f"//{path}"
    return path


def media_words(image_url: str) -> list[str]:
    """Return the words that give `prepare` this picture, and the place of a recording beside it."""
    if image_url.startswith("file:"):
        return ["--image", local_path(image_url), "--audio", "AUDIO_FILE"]
    return ["--image-url", image_url, "--audio-url", "AUDIO_URL"]


def is_file_url(url: str) -> bool:
    """Whether `url` is spelled as `file_url` does, so that all read the same path in it."""
    path = os.path.normpath(local_path(url)) if url.startswith("file://") else ""
    return os.path.isabs(path) and Path(path).as_uri() == url


# --- 3. Files: what a command line or a prepared request names ------------------------------------


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
            is_known = any(extension in words for words in emo.ALL_FORMATS)
            if file and is_known and extension.replace("jpg", "jpeg") != file.found.format:
                message = f"it is named .{extension}, and it is a {file.found.format}"
                right = free_path(values[name], file.found.format.replace("jpeg", "jpg"))
                report.warn(name, message, f"Rename it to {emo.shown_path(right)}, and give that.")
    return files


def look_again(request: emo.Json, origin: str, report: emo.Report) -> dict[str, LocalFile]:
    """Return the local files of a prepared `request`, which must be what they were then.

    They are held to the same rules again, since people edit boxes. `origin` is the request's file.
    """
    boxes = [request["input"][name] for name in emo.BOX_FIELDS if name in request["input"]]
    files = {}
    for field, digest in request.get("files", {}).items():
        path = place_now(field, local_path(request["input"][field]), digest, origin, report)
        file = report.check(file_as_prepared, field, path, digest)
        if file:
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
        problem.hint = "Put it back, or prepare the request again."
        raise
    if file.digest != digest:
        hint = "Boxes that were detected of it are of the old picture: detect the new one first."
        hint = hint if field == "image_url" else "Its length counts anew."
        raise emo.Problem(field, f"{emo.shown_path(path)} has changed since: prepare again", hint)
    return look_at_file(field, path, file)


def file_at(field: str, path: str) -> LocalFile:
    if not path.strip():
        raise emo.Problem(field, "has no value", f"Give {emo.option(field)} FILE.")
    scheme, mark, _ = path.partition("://")
    if mark and scheme.isalpha() and len(scheme) > 1:  # of one letter it is a drive of Windows
        hint = "Give the path of a file, or a public link that begins with https://."
        if scheme.lower() in ("http", "https"):
            hint = f"A link is for {emo.option(link_field(field))}."
        raise emo.Problem(field, f"{emo.shown_link(path)} is not the path of a file", hint)
    return look_at_file(field, path, read_file(field, path))


def read_file(field: str, path: str) -> LocalFile:
    """Return the local file `path`, read: of a too large one the beginning; raises `Problem`."""
    limit = MAX_PICTURE if link_field(field) == "image_url" else MAX_RECORDING
    try:
        with open(path, "rb", opener=open_at_once) as opened:
            if not os.path.isfile(opened.fileno()):
                raise OSError("it is not a regular file")
            size = os.fstat(opened.fileno()).st_size
            content = opened.read(limit if size <= limit else MAX_RECORDING)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        hint = f"Give the path of the {emo.KINDS[link_field(field)]}."
        for guess in paths_meant(path):
            if guess != path and guess.isprintable() and os.path.isfile(guess):
                hint = f"Did you mean {emo.shown_path(guess)}?"
        # A path that is not there may be a signed link.
        name = emo.shown_path(path) if os.path.lexists(path) else emo.shown_link(path)
        reason = getattr(error, "strerror", None) or emo.printable(str(error), 200)
        reason = "it is a folder" if os.path.isdir(path) else reason
        raise emo.Problem(field, f"{name} cannot be read: {reason}", hint) from None
    digest = hashlib.sha256(content).hexdigest()
    return LocalFile(file_url(path), digest, content, size if size > limit else len(content))


def paths_meant(path: str) -> tuple[str, ...]:
    """Return what a shell or a browser might have made of `path`, which is not there."""
    bare = path.strip(emo.QUOTES + " \t\r\n")
    named = re.sub(r"%(\w+)%|\$env:(\w+)", r"${\1\2}", bare)  # as shells of Windows have it
    ways = unquote(bare), named.replace("\\", "/"), named, bare.replace("\\", ""), bare
    return tuple(os.path.expanduser(os.path.expandvars(way)) for way in ways)


def look_at_file(field: str, path: str, file: LocalFile) -> LocalFile:
    try:
        file.path, file.found = path, look_at(field, file.content, file.size)
        return file
    except NotTaken as fault:
        if fault.needs_more:  # only what is too large is not read whole
            message = f"{emo.shown_path(path)} has {file.size:,} bytes, which is too large"
            raise emo.Problem(field, message, "Save it smaller.") from None
        raise not_taken_problem(field, fault, path) from None


def look_at(field: str, data: bytes, size: int) -> Picture | Recording:
    """Return what `data`, the beginning of `size` bytes for a `field`, is; raises `NotTaken`."""
    return (picture if link_field(field) == "image_url" else recording)(data, size)
