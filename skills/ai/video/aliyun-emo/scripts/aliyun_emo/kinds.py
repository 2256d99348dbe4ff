"""What a file is, by its content, in words, also where it is not taken (names: prepare, 1)."""
# No search here goes on for long, and no input raises anything but `NotTaken`.

from __future__ import annotations

import codecs
import re
from collections import namedtuple
from functools import partial

from aliyun_emo.mpeg import FIRST_WITHIN, MARGIN, Frames, tag_length

PICTURE, RECORDING, VIDEO, OTHER = "picture", "recording", "video", ""
TAKEN = {PICTURE: "JPEG, PNG, BMP or WebP", RECORDING: "WAV or MP3"}

STORE_ERROR, SHORTCUT = "an XML error of a store", "a shortcut to the file"
# Name and sort of a format, told as "it is NAME SORT", and how it begins: the first that fits.
SIGNATURES = (
    ("a JPEG", PICTURE, rb"\xff\xd8\xff"),
    ("a PNG", PICTURE, rb"(\x89|\x09|\xc2\x89|\xef\xbf\xbd)PNG"),  # or one that is damaged
    ("a BMP", PICTURE, rb"BM.{13}\0\0\0"),  # its second header has less than 256 bytes
    ("a WebP", PICTURE, rb"RIFF....WEBP"),
    ("a WAV", RECORDING, rb"(RIFF|RF64|BW64)....WAVE"),
    ("a HEIC", PICTURE, rb"....ftyp(hei|hev|mif1|msf1)"),
    ("an AVIF", PICTURE, rb"....ftypavi"),
    ("a GIF", PICTURE, rb"GIF8"),
    ("a TIFF or camera raw", PICTURE, rb"II[*+U]\0|IIR[OS]|MM\0[*+]|FUJIFILM|....ftypcrx"),
    ("a Photoshop (PSD)", PICTURE, rb"8BPS"),
    ("a JPEG XL", PICTURE, rb"\xff\x0a|\0\0\0\x0cJXL "),
    ("a PPM", PICTURE, rb"P[1-7]\s+(#|\d+\s+\d+\s|WIDTH)"),
    ("a PCX", PICTURE, rb"\x0a[\0\2-\5]\x01[\1\2\4\x08]"),
    ("an EPS", PICTURE, rb"%!PS-Adobe|\xc5\xd0[\xd3]\xc6"),
    ("a DDS", PICTURE, rb"DDS \x7c\0\0\0"),
    ("an XBM", PICTURE, rb"(/\*.*?\*/\s*)?#define \w*_width \d"),
    ("a TGA", PICTURE, rb".(\0[\2\3\n\v]\0{5}|\x01[\1\t].{4}[\x18 ]).{8}[\1\x08\x10\x18 ]"),
    ("an M4A", RECORDING, rb"....ftypM4[AB]"),
    ("a 3GP", VIDEO, rb"....ftyp3g"),
    ("a MOV", VIDEO, rb"....(ftypqt|moov|mdat|wide|free|skip|pnot)"),
    ("an M4A recording or MP4", VIDEO, rb"....ftyp"),  # voice recorders write isom and mp42 as well
    ("an AMR", RECORDING, rb"#!AMR"),
    ("an Opus", RECORDING, rb"OggS.{24}OpusHead"),
    ("an Ogg Vorbis", RECORDING, rb"OggS.{24}\x01vorbis"),
    ("an Ogg recording or", VIDEO, rb"OggS"),
    ("a FLAC", RECORDING, rb"fLaC"),
    ("an AAC", RECORDING, rb"\xff[\xf0-\xf1\xf8-\xf9]|ADIF"),  # ADTS, ADIF
    ("an MP2 (MPEG layer II)", RECORDING, rb"\xff[\xf4-\xf5\xfc-\xfd][\x10-\xef]"),
    ("an AIFF", RECORDING, rb"FORM....AIF"),
    ("a CAF", RECORDING, rb"caff"),
    ("a SILK", RECORDING, rb"\x02?#!SILK"),  # voice messages of WeChat
    ("a W64", RECORDING, rb"riff\.\x91\xcf\x11"),
    ("a Monkey's Audio (APE)", RECORDING, rb"MAC .[\x0e\x0f]"),
    ("a WavPack", RECORDING, rb"wvpk.{5}\x04"),
    ("a TTA", RECORDING, rb"TTA1[\1-\3]\0"),
    ("a TAK", RECORDING, rb"tBaK"),
    ("a Musepack", RECORDING, rb"MP\+[\x07\x17]|MPCK"),
    ("a DSD (DSF or DFF)", RECORDING, rb"DSD \x1c\0|FRM8.{8}DSD "),
    ("a RealAudio recording or RealMedia", VIDEO, rb"\.RMF|\.ra\xfd"),
    ("a WMA recording or WMV", VIDEO, rb"0&\xb2u\x8ef\xcf\x11"),
    ("a WebM or Matroska", VIDEO, rb"\x1aE\xdf\xa3"),
    ("an AVI", VIDEO, rb"RIFF....AVI "),
    ("a PDF document", OTHER, rb"%PDF"),
    ("a ZIP archive or an Office document", OTHER, rb"PK(\x03\x04|\x05\x06)|\xd0\xcf\x11[\xe0]"),
    (SHORTCUT, OTHER, rb"L\0\0\0\x01\x14\x02|book\0{4}mark|bplist.*SURL|<.*?<key>URL</key>"),
    (SHORTCUT, OTHER, rb"(#!.*?\n|\[\{.*?)?\[(InternetShortcut|Desktop Entry)\]"),
)
# What texts that begin with "<" are, by what comes first in them, in lower case: a group for each.
MARKUP = "<(?:(!doctype html|html|head|body|script|meta|title|div|br |a )|(error[> ])|(svg))"
MARKED = (("an XML file", OTHER), ("a web page", OTHER), (STORE_ERROR, OTHER), ("an SVG", PICTURE))
TEXT = 1024  # bytes that tell a text
PARTS = 5000  # chunks, segments or tags of a file that are looked at: many empty ones take long

Kind = namedtuple("Kind", "name sort start")  # `start`: where the content begins, behind tags


class NotTaken(Exception):
    """Says what `kind` a file is instead, if `convertible`, or that it `needs_more` of it."""

    kind = Kind("", OTHER, 0)  # where it is not another one that is wanted

    def __init__(self, message: str, convertible: bool = False, needs_more: bool = False) -> None:
        super().__init__(message)
        self.convertible, self.needs_more = convertible, needs_more


class Beginning:
    """The `data` at hand, of the `size` that the whole file has."""

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data, self.held = data, len(data)
        self.size = max(self.held, size or 0)

    def at(self, offset: int, count: int) -> bytes:
        return self.data[offset : offset + count]

    def need(self, offset: int, count: int, what: str) -> bytes:
        """Return `count` bytes from `offset` on; raises `NotTaken` when there are fewer."""
        data = self.at(offset, count)
        if len(data) < count and self.held < self.size:
            raise NotTaken(f"its first {self.held} bytes do not reach {what}", needs_more=True)
        if len(data) < count:
            raise NotTaken(f"it is cut short: {what} is missing")
        return data

    def check_end(self, at: int, what: str) -> None:
        """Raise `NotTaken` when `what` ends at `at` by its length, and the file before."""
        if at > self.size:
            raise NotTaken(f"it is cut short: {what} goes on to byte {at}, the file to {self.size}")


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
    head = file.at(start, MARGIN)
    for name, sort, pattern in SIGNATURES:  # tags stand before recordings only, and before no WAV
        if re.match(pattern, head, re.S) and not (start and (sort == PICTURE or name == "a WAV")):
            return Kind(name, sort, start)
    if text := text_in(head[:TEXT]):
        return text_kind(text)
    frames = Frames(file.at(start, FIRST_WITHIN + MARGIN))
    if frames.find(FIRST_WITHIN):
        return Kind("an MP3", RECORDING, start + frames.at)
    unknown = "something unknown" if head[:TEXT].strip(b"\0") else "a file that begins with zeros"
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
    lower = text.lstrip("\ufeff \t\r\n").lower()
    if lower.startswith("<"):
        found = re.search(MARKUP, lower)
        name, sort = MARKED[(found and found.lastindex) or 0]
        if name == STORE_ERROR and (said := re.findall("<(?:Code|Message)>([^<]{1,120})</", text)):
            name += f" ({': '.join(said)})"
        return Kind(name, sort, 0)
    is_json = "".join(lower.split())[:2] in ('{"', "{}", "[{", '["', "[[", "[]")
    return Kind("JSON" if is_json else "plain text", OTHER, 0)


def refusal(kind: Kind, wanted: str) -> NotTaken:
    """Return what to raise for a file of a `kind` that is not taken where `wanted` is."""
    convertible = kind.sort == wanted or (kind.sort, wanted) == (VIDEO, RECORDING)  # its sound
    instead = TAKEN[wanted] if convertible else f"a {wanted}"
    instead = "the file" if kind.name == SHORTCUT else instead
    fault = NotTaken(f"it is {kind.name} {kind.sort}".rstrip() + f", not {instead}", convertible)
    fault.kind = kind
    return fault
