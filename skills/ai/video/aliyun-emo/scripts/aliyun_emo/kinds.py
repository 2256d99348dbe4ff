"""What a file is, by its content, in words; of what is not taken, what it is instead.

No search here goes on for long, and no input raises anything but `NotTaken`.
"""

from __future__ import annotations

import codecs
import re
from collections import namedtuple
from functools import partial
from typing import Any

from aliyun_emo.mpeg import FIRST_WITHIN, LAYERS, MARGIN, Frames, is_free_format, tag_length

PICTURE, RECORDING, VIDEO, OTHER = "picture", "recording", "video", ""
TAKEN = {PICTURE: "JPEG, PNG, BMP or WebP", RECORDING: "WAV or MP3"}

# Name and sort of a format; offsets, and what shows it there. The first that fits counts.
SIGNATURES: tuple[tuple[Any, ...], ...] = (
    ("a JPEG", PICTURE, 0, b"\xff\xd8\xff"),
    ("a PNG", PICTURE, 0, (b"\x89PNG", b"\tPNG", b"\xc2\x89PNG", b"\xef\xbf\xbdPNG")),  # or damaged
    ("a BMP", PICTURE, 0, b"BM", 15, b"\0\0\0"),  # its second header has less than 256 bytes
    ("a WebP", PICTURE, 0, b"RIFF", 8, b"WEBP"),
    ("a WAV", RECORDING, 0, (b"RIFF", b"RF64", b"BW64"), 8, b"WAVE"),
    ("a HEIC", PICTURE, 4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")),
    ("an AVIF", PICTURE, 4, b"ftypavi"),
    ("a GIF", PICTURE, 0, b"GIF8"),
    ("a TIFF or camera raw", PICTURE, 0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("a camera raw", PICTURE, 4, b"ftypcrx"),
    ("a Photoshop (PSD)", PICTURE, 0, b"8BPS"),
    ("an ICO", PICTURE, 0, b"\0\0\1\0", 5, b"\0", 9, b"\0"),
    ("a JPEG XL", PICTURE, 0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("a JPEG 2000", PICTURE, 0, (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")),
    ("an M4A", RECORDING, 4, (b"ftypM4A", b"ftypM4B")),
    ("a 3GP", VIDEO, 4, b"ftyp3g"),
    ("a MOV", VIDEO, 4, (b"ftypqt", b"moov", b"mdat", b"wide")),
    ("an M4A recording or MP4", VIDEO, 4, b"ftyp"),  # voice recorders write isom and mp42 as well
    ("an AMR", RECORDING, 0, b"#!AMR"),
    ("an Opus", RECORDING, 0, b"OggS", 28, b"OpusHead"),
    ("an Ogg Vorbis", RECORDING, 0, b"OggS", 28, b"\x01vorbis"),
    ("an Ogg recording or", VIDEO, 0, b"OggS"),
    ("a FLAC", RECORDING, 0, b"fLaC"),
    ("an AAC", RECORDING, 0, (b"\xff\xf1", b"\xff\xf9", b"\xff\xf0", b"\xff\xf8")),  # ADTS
    ("an AIFF", RECORDING, 0, b"FORM", 8, b"AIF"),
    ("a CAF", RECORDING, 0, b"caff"),
    ("an AU", RECORDING, 0, b".snd"),
    ("an AC-3", RECORDING, 0, b"\x0b\x77"),
    ("a SILK", RECORDING, 0, (b"#!SILK", b"\x02#!SILK")),  # voice messages of WeChat
    ("a big-endian WAV", RECORDING, 0, b"RIFX", 8, b"WAVE"),
    ("a WMA recording or WMV", VIDEO, 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("a WebM or Matroska", VIDEO, 0, b"\x1a\x45\xdf\xa3"),
    ("an AVI", VIDEO, 0, b"RIFF", 8, b"AVI "),
    ("an FLV", VIDEO, 0, b"FLV\1"),
    ("an MPEG", VIDEO, 0, b"\0\0\1\xba"),
    ("an MPEG", VIDEO, 0, b"G", 188, b"G", 376, b"G", 564, b"G"),
    ("a MIDI file, notes without sound", OTHER, 0, b"MThd"),
    ("a PDF document", OTHER, 0, b"%PDF"),
    ("a ZIP archive or an Office document", OTHER, 0, (b"PK\3\4", b"PK\5\6")),
    ("a gzip archive", OTHER, 0, b"\x1f\x8b"),
)
STORE_ERROR = "an XML error of a store"
# The same of texts that begin with "<": what comes first in them, in lower case.
MARKUP: tuple[tuple[Any, ...], ...] = (
    ("a web page", OTHER, ("<!doctype html", "<html", "<head", "<body", "<script")),
    (STORE_ERROR, OTHER, ("<error>", "<error ")),
    ("an SVG", PICTURE, ("<svg",)),
)

MAX_QUOTE = 120  # characters of a file's own words
PARTS = 5000  # chunks, segments or tags of a file that are looked at: many empty ones take long

Kind = namedtuple("Kind", "name sort start")  # `start`: where the content begins, behind tags


class NotTaken(Exception):
    """Says what a file is instead; `convertible`: a converter could make of it what is taken.

    `needs_more` is of the beginning of a file, which is too short to tell. The message may have
    words of the file in it: whoever shows it makes them printable, and leaves secrets out.
    """

    def __init__(self, message: str, convertible: bool = False, needs_more: bool = False) -> None:
        super().__init__(message)
        self.convertible, self.needs_more = convertible, needs_more


class Beginning:
    """The `data` at hand, of the `size` that the whole file has."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data, self.held = data, len(data)
        self.size = max(self.held, size or 0)

    def at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on, fewer where there are not as many."""
        return self.data[offset : offset + count]

    def need(self, offset: int, count: int, what: str) -> bytes:
        """Return `count` bytes from `offset` on; raises `NotTaken` when there are fewer."""
        data = self.at(offset, count)
        if len(data) < count and self.held < self.size:
            raise NotTaken(f"its first {self.held} bytes do not reach {what}", needs_more=True)
        if len(data) < count:
            raise NotTaken(f"it is cut short: {what} is missing")
        return data

    def check_end(self, end: int, what: str) -> None:
        """Raise `NotTaken` when `what` ends at `end` by its length, and the file before."""
        if end > self.size:
            place = f"{what} goes on to byte {end}, the file to {self.size}"
            raise NotTaken(f"it is cut short: {place}")


# Return the number in some bytes, the lowest first, or the highest.
little, big = (partial(int.from_bytes, byteorder=order) for order in ("little", "big"))


def kind_of(file: Beginning) -> Kind:
    """Return what kind of file it is; raises `NotTaken` when there is too little of it."""
    if not file.held:
        raise NotTaken("it is empty")
    start = 0
    for _ in range(PARTS):
        if not (tag := tag_length(file.at(start, 24))):
            break
        start += tag
        file.need(start, 1, "the sound behind its tag")
    head = file.at(start, 1024)
    for name, sort, *shown in SIGNATURES:
        if start and sort == PICTURE:
            continue  # tags stand before recordings only
        if all(head.startswith(magic, at) for at, magic in zip(shown[::2], shown[1::2])):
            return Kind(name, sort, start)
    if text := text_in(head):
        return text_kind(text)
    block = file.at(start, FIRST_WITHIN + MARGIN)
    if is_free_format(block[:MARGIN]):
        return Kind("an MPEG audio (free-format)", RECORDING, start)  # few decoders take it
    frames = Frames(block)
    if frames.find(FIRST_WITHIN):
        return Kind(LAYERS[frames.stream.layer], RECORDING, start + frames.at)
    unknown = "something unknown" if head.strip(b"\0") else "a file that begins with zeros"
    return Kind("a tag without sound" if start else unknown, OTHER, start)


def text_in(head: bytes) -> str:
    """Return the text that a file with this `head` begins with, or "" where it is no text."""
    utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decode = codecs.utf_16_decode if utf_16 else codecs.utf_8_decode
    try:
        text = decode(head, "strict", False)[0]  # False: the last character may be cut
    except UnicodeDecodeError:
        # A page in GBK or Latin-1 is long, or else its lack of control characters may be chance.
        text = head.decode("latin-1") if len(head) >= 64 and b"\xff" not in head else ""
    return "" if re.search(r"[\0-\x08\x0e-\x1a\x1c-\x1f]", text) else text


def text_kind(text: str) -> Kind:
    """Return what kind of text begins with `text`."""
    lower = text.lstrip("\ufeff \t\r\n").lower()
    if lower.startswith("<"):
        found = [(lower.find(mark), name, sort) for name, sort, marks in MARKUP for mark in marks]
        found = [mark for mark in found if mark[0] >= 0]
        _, name, sort = min(found, default=(0, "an XML file", OTHER))
        if name == STORE_ERROR:
            words = ": ".join(filter(None, (words_in(text, tag) for tag in ("Code", "Message"))))
            name += f" ({words})" if words else ""
        return Kind(name, sort, 0)
    is_json = "".join(lower.split())[:2] in ('{"', "{}", "[{", '["', "[[", "[]")
    return Kind("JSON" if is_json else "plain text", OTHER, 0)


def words_in(text: str, tag: str) -> str:
    """Return the words of the first element `tag` in `text`."""
    words = " ".join(text.partition(f"<{tag}>")[2].partition("</")[0].split())
    if len(words) <= MAX_QUOTE:
        return words
    return re.sub(r"\S*//\S*$", "", words[:MAX_QUOTE]) + "..."  # half a link may hide its "@"


def refusal(kind: Kind, wanted: str) -> NotTaken:
    """Return what to raise for a file of a `kind` that is not taken where `wanted` is."""
    # A converter takes the sound out of a video as well.
    convertible = kind.sort == wanted or (kind.sort, wanted) == (VIDEO, RECORDING)
    instead = TAKEN[wanted] if convertible else f"a {wanted}"
    return NotTaken(f"it is {kind.name} {kind.sort}".rstrip() + f", not {instead}", convertible)
