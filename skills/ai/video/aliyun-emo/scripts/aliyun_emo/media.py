"""What is taken of pictures and recordings: rules, conversions, price (rates: prepare, 1)."""

from __future__ import annotations

import os
import re
import shutil
from itertools import chain, count
from typing import Union

import prepare_emo_request as emo
from aliyun_emo import kinds, pictures, refusals
from aliyun_emo.commands import for_the_shell
from aliyun_emo.recordings import Recording, recording

MAX_PICTURE = 100_000_000  # bytes: our own limit, none is documented (pixels: prepare, 1)
# The service says "15M" and "< 60 s": between these nobody knows, and encoders pad.
BIG_RECORDING, MAX_RECORDING = 15_000_000, 15 * 1024 * 1024  # bytes
LONG_RECORDING, MAX_SECONDS = 59.9, 60.1

SAME = "IN[0] -define png:exclude-chunks=date,time OUT"  # each time the same bytes, and request
OF_PICTURES = {"magick": SAME, "convert": SAME, "sips": "-s format png IN --out OUT"}
OF_PICTURES["ffmpeg"] = "-i IN -frames:v 1 -update 1 OUT"  # one picture, whatever is in its name
CONVERTERS = {"recording": {"ffmpeg": "-i IN OUT"}, "picture": OF_PICTURES}
CONVERTERS["raw"] = {"ffmpeg": "-f s16le -ar 24000 -ac 1 -i IN OUT"}  # gets a header
Medium = Union[pictures.Picture, Recording]


def look_at(field: str, data: bytes, size: int) -> Medium:
    """Return what `data`, the beginning of `size` bytes for a `field`, is; raises `NotTaken`."""
    return (pictures.picture if link_field(field) == "image_url" else recording)(data, size)


def link_field(field: str) -> str:
    """Return the field of the link: "image_url" for that, and for "image", of a local file."""
    return field if field in emo.LOCAL else f"{field}_url"


def check_medium(
    field: str, found: Medium, size: int, boxes: list[emo.Box], report: emo.Report, path: str = ""
) -> None:
    """Report what is wrong with a medium of `size` bytes; in a picture all `boxes` must lie."""
    if isinstance(found, Recording):
        check_recording(field, found, size, path, report)
        return
    # Nothing says in which picture boxes are counted where EXIF has it turned (references/api.md).
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
        hint = "They are of another picture, or of another size of it: detect this one. "
        hint += "make_emo_video.py does it when its detection_path is removed."
        report.error(field, f"{its}, and the boxes reach to {right},{bottom}", hint)


def check_recording(field: str, found: Recording, size: int, path: str, report: emo.Report) -> None:
    length = f"it is {found.seconds:.2f} s long"
    if size >= BIG_RECORDING:
        tell = report.error if size > MAX_RECORDING else report.warn
        hint = f"Save it as mp3: {path and conversion(path, 'recording')}".rstrip(": ")
        tell(field, f"it has {size:,} bytes; the service takes less than 15 MB", hint)
    if found.seconds >= LONG_RECORDING:
        tell = report.error if found.seconds > MAX_SECONDS else report.warn
        hint = "Cut it, to 59 s for example, or make two videos of it."
        given, target = command_paths(path, "-59s", found.format if size < BIG_RECORDING else "mp3")
        if path and (cut := runnable(["ffmpeg", "-i", given, "-t", "59", target])):
            hint = f"Cut it: {cut}"
        least = "close to the limit of 60 s" if tell == report.warn else ""
        tell(field, f"{length}; {least or 'the service takes less than 60 s'}", hint)
    if found.seconds < 1:
        report.warn(field, f"{length}, which may be too short", "Is it the whole recording?")


def not_taken_problem(field: str, fault: kinds.NotTaken, path: str = "") -> emo.Problem:
    """Return the `Problem` of content that is not taken, and how the local file `path` would be."""
    kind, formats = emo.KINDS[link_field(field)], ", ".join(emo.FORMATS[link_field(field)])
    swapped = "Are the two swapped? " if fault.kind.sort in {*emo.KINDS.values()} - {kind} else ""
    hint = f"{swapped}Give the {kind} itself: {formats}."
    if fault.convertible:
        words = conversion(path, kind, fault.kind.name) if path else ""
        takes = " (on Ubuntu it takes libheif-plugin-libde265)" * (fault.kind.name == "a HEIC")
        hint = f"Convert it{takes}: {words}" if words else "Convert it, and give that, or its link."
        if fault.kind.name == "a SILK":
            hint = "Record it anew, or convert it with silk-v3-decoder: ffmpeg does not read it."
    if re.search(r"(?i)(unknown|zeros) rec.*\.(pcm|raw|wav)$", f"{fault.kind.name} {kind} {path}"):
        hint += f" Is it raw PCM, of 24 kHz for example? Then: {conversion(path, 'raw')}"
    what = refusals.shown_words(str(fault))
    return emo.Problem(field, f"{emo.shown_path(path)}: {what}" if path else what, hint)


def conversion(path: str, kind: str, what: str = "") -> str:
    source, target = command_paths(path, "", {"picture": "png", "raw": "wav"}.get(kind, "mp3"))
    places = {"IN": source, "IN[0]": f"{source}[0]", "OUT": target}  # of several pictures the first
    names = [n for n in CONVERTERS[kind] if n != "convert" or os.name != "nt"]  # another one there
    if re.search("HEIC|SVG|EPS|raw", what):  # ffmpeg reads none, or a tile of it
        names.remove("ffmpeg")
    name = next(filter(shutil.which, names), "convert" if "convert" in names else names[0])
    words = [name, *(places.get(word, word) for word in CONVERTERS[kind][name].split())]
    return runnable(words, "ImageMagick" if kind == "picture" else "ffmpeg")


def runnable(words: list[str], package: str = "ffmpeg") -> str:
    """Return a command and what to install for it, "" where its words cannot be shown."""
    if any(not w.isprintable() or re.search(emo.AS_A_SIGNATURE, w, re.I) for w in words):
        return ""
    return ("" if shutil.which(words[0]) else f"install {package}, then: ") + for_the_shell(words)


def command_paths(path: str, end: str, extension: str) -> tuple[str, str]:
    """Return `path` for a command that reads it, and one beside it, or here, where nothing lies."""
    if path[:1] == "-" or (set(":,") & set(path) and not os.path.isabs(path)):
        path = os.path.join(os.curdir, path)  # or it is an option, or a protocol
    folder, name = os.path.split(os.path.splitext(path)[0] + end)
    stem = os.path.join(folder if os.access(folder or ".", os.W_OK) else os.curdir, name)
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return path, next(p for n in names if not os.path.lexists(p := f"{n}.{extension}"))


def medium_facts(found: Medium) -> emo.Json:
    """Return what is told of a picture or a recording."""
    facts = found._asdict().items()
    return {n: round(v, 2) if n == "seconds" else v for n, v in facts if n != "orientation"}


def estimate(seconds: float, ratio: str) -> emo.Json:
    """Return what a video of so many `seconds` costs, in CNY: the video is as long as the audio."""
    price = round(seconds * emo.PRICES[ratio], 2)
    return {"seconds": round(seconds, 2), "cny": price, "prices_of": emo.PRICES_OF}
