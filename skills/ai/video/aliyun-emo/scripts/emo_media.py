"""Tell what a file is, by its content: the picture or the recording that EMO is given.

    >>> with open("portrait.jpg", "rb") as file:
    ...     picture(file)
    Picture(format='jpeg', width=1200, height=1600, orientation=6)
    >>> with open("speech.mp3", "rb") as file:
    ...     recording(file).seconds
    12.408

What is not JPEG, PNG, BMP or WebP, or not WAV or MP3, raises `NotTaken`, which says what it is
instead, and in `convertible` whether a converter could make it one of these:

    >>> with open("voice.mp3", "rb") as file:  # the name says nothing
    ...     recording(file)
    NotTaken: it is an M4A recording, not WAV or MP3
    >>> with open("portrait.png", "rb") as file:  # what came from a link
    ...     picture(file)
    NotTaken: it is an XML error of a store (AccessDenied: Request has expired.), not a picture

Of a picture only the head is read: what comes before its size is skipped. An MP3 is walked frame by
frame, since its own headers lie at times; beyond the first 62 MiB its length is estimated. Where
only the beginning of a file is at hand, the whole file's `size` makes up for the rest:

    >>> recording(io.BytesIO(first_64_kib), size=1_204_224).seconds
    75.264

A WAV's length is exact then too. An MP3's is that of the frames at hand, scaled to the whole: right
where the bit rate is constant, and otherwise as far off as the beginning is not like the rest.

No input raises anything but `NotTaken`, other than what `file` itself raises, and none takes long:
every search has a limit, and no byte is read twice.
"""

from __future__ import annotations

import codecs
import os
import struct
from collections import namedtuple

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from typing import Any, BinaryIO

# --- 1. What there is to tell -------------------------------------------------------------------


class Picture(namedtuple("Picture", "format width height orientation")):
    """A picture of `width` x `height` pixels as stored, and how EXIF has it turned for display.

    From `orientation` 5 on that is by a quarter, which swaps width and height; 1 is "as stored".
    """

    __slots__ = ()


class Recording(namedtuple("Recording", "format seconds")):
    """A recording, and the `seconds` that a decoder makes of it."""

    __slots__ = ()


class NotTaken(Exception):
    """Says what a file is instead; `convertible`: a converter could make of it what is taken.

    `needs_more` is of the beginning of a file, which is too short to tell.
    """

    def __init__(self, message: str, convertible: bool = False, needs_more: bool = False) -> None:
        super().__init__(message)
        self.convertible, self.needs_more = convertible, needs_more


PICTURE, RECORDING, VIDEO, OTHER = "picture", "recording", "video", ""
TAKEN = {PICTURE: "JPEG, PNG, BMP or WebP", RECORDING: "WAV or MP3"}

# Name and sort of a format; offsets, and what shows it there. The first that fits counts.
SIGNATURES: tuple[tuple[Any, ...], ...] = (
    ("a JPEG", PICTURE, 0, b"\xff\xd8\xff"),
    ("a PNG", PICTURE, 0, b"\x89PNG"),
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
LAYERS = ("", "an MP1 (MPEG layer I)", "an MP2 (MPEG layer II)", "an MP3")
JSON_BEGINS = ('{"', "{}", "[{", '["', "[[", "[]")

HEAD = 1024  # bytes that are read at first
MAX_QUOTE = 120  # characters of a file's own words
PARTS = 5000  # chunks, segments or tags of a file that are looked at: many empty ones take long

Kind = namedtuple("Kind", "name sort start")  # `start`: where the content begins, behind tags

# --- 2. Bytes -----------------------------------------------------------------------------------


class Source:
    """The bytes of `file` by their offset: `held` are there, of the `size` that the whole has."""

    def __init__(self, file: BinaryIO, size: int | None) -> None:
        self.file = file
        self.held = file.seek(0, os.SEEK_END)
        self.size = max(self.held, size or 0)
        self.offset, self.block = 0, b""  # where what was read last begins, and it

    def at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on, fewer where the file ends.

        They are kept until bytes behind them are read, so that nothing is read twice on the way.
        """
        end = min(offset + count, self.held)
        reached = self.offset + len(self.block)
        if not self.offset <= offset <= reached:
            self.offset, self.block, reached = offset, b"", offset
        if end > reached:
            parts = [self.block[offset - self.offset :]]
            self.file.seek(reached)
            while reached < end and (part := self.file.read(end - reached)):
                parts.append(part)  # a raw file may return less than it was asked for
                reached += len(part)
            self.offset, self.block = offset, b"".join(parts)
        return self.block[offset - self.offset : max(end - self.offset, 0)]

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
            raise NotTaken(
                f"it is cut short: {what} goes on to byte {end}, the file to {self.size}"
            )


def little(data: bytes) -> int:
    """Return the number in `data`, its lowest byte first."""
    return int.from_bytes(data, "little")


def big(data: bytes) -> int:
    """Return the number in `data`, its highest byte first."""
    return int.from_bytes(data, "big")


# --- 3. What a file is --------------------------------------------------------------------------


def kind_of(source: Source) -> Kind:
    """Return what kind of file `source` is; raises `NotTaken` when there is too little of it."""
    if not source.held:
        raise NotTaken("it is empty")
    start = 0
    for _ in range(PARTS):
        tag = tag_length(source.at(start, 24))
        if not tag:
            break
        start += tag
        source.need(start, 1, "the sound behind its tag")
    head = source.at(start, HEAD)
    for name, sort, *shown in SIGNATURES:
        if start and sort == PICTURE:
            continue  # tags stand before recordings only
        if all(head.startswith(magic, at) for at, magic in zip(shown[::2], shown[1::2])):
            return Kind(name, sort, start)
    text = text_in(head)
    if text:
        return text_kind(text)
    if is_free_format(source.at(start, MARGIN)):
        return Kind("an MPEG audio (free-format)", RECORDING, start)  # few decoders take it
    frames = Frames(source, start, source.held)
    if frames.find(start + FIRST_WITHIN):
        return Kind(LAYERS[frames.stream.layer], RECORDING, frames.position)
    if start:
        return Kind("a tag without sound", OTHER, start)
    name = "something unknown" if head.strip(b"\0") else "a file that begins with zeros"
    return Kind(name, OTHER, start)


def text_in(head: bytes) -> str:
    """Return the text that a file with this `head` begins with, or "" where it is no text."""
    utf_16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decode = codecs.utf_16_decode if utf_16 else codecs.utf_8_decode
    try:
        text = decode(head, "strict", False)[0]  # False: the last character may be cut
    except UnicodeDecodeError:
        # A page in GBK or Latin-1 is long, or else its lack of control characters may be chance.
        text = head.decode("latin-1") if len(head) >= 64 and b"\xff" not in head else ""
    if any(character < " " and character not in "\t\n\v\f\r\x1b" for character in text):
        return ""
    return text


def text_kind(text: str) -> Kind:
    """Return what kind of text begins with `text`."""
    lower = text.lstrip("\ufeff \t\r\n").lower()
    if lower.startswith("<"):
        found = [(lower.find(mark), name, sort) for name, sort, marks in MARKUP for mark in marks]
        first = min((mark for mark in found if mark[0] >= 0), default=(0, "an XML file", OTHER))
        _, name, sort = first
        if name == STORE_ERROR:
            words = [quotable(between(text, f"<{tag}>", "</")) for tag in ("Code", "Message")]
            name += f" ({': '.join(filter(None, words))})" if any(words) else ""
        return Kind(name, sort, 0)
    is_json = "".join(lower.split())[:2] in JSON_BEGINS
    return Kind("JSON" if is_json else "plain text", OTHER, 0)


def between(text: str, begin: str, end: str) -> str:
    """Return what stands in `text` after the first `begin`, up to the next `end`."""
    return text.partition(begin)[2].partition(end)[0]


def quotable(text: str) -> str:
    """Return the words of `text` as a message may show them: short, printable and no secret.

    A link's query, which may be a signature, and what stands before an "@" are left out.
    """
    words = []
    for word in text.split():
        for mark in "?#&":
            begin, _, rest = word.partition(mark)
            word = f"{begin}{mark}..." if rest else word
        words.append(f"...@{word.rpartition('@')[2]}" if "@" in word else word)
    line = " ".join(words)
    line = line if len(line) <= MAX_QUOTE else line[:MAX_QUOTE] + "..."
    return "".join(character if character.isprintable() else "?" for character in line)


def refusal(kind: Kind, wanted: str) -> NotTaken:
    """Return what to raise for a file of a `kind` that is not taken where `wanted` is."""
    # A converter takes the sound out of a video as well.
    convertible = kind.sort == wanted or (kind.sort, wanted) == (VIDEO, RECORDING)
    instead = TAKEN[wanted] if convertible else f"a {wanted}"
    return NotTaken(f"it is {kind.name} {kind.sort}".rstrip() + f", not {instead}", convertible)


# --- 4. Pictures --------------------------------------------------------------------------------

# Markers of a JPEG: those without a length, and those of frame headers, which have the size.
STANDALONE = frozenset([0x01, *range(0xD0, 0xD9)])  # TEM, RST0 to RST7, SOI
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; DHT, JPG, DAC
EOI, SOS, APP1 = 0xD9, 0xDA, 0xE1
EXIF = b"Exif\0\0"


def picture(file: BinaryIO, size: int | None = None) -> Picture:
    """Return what picture `file` is; raises `NotTaken` for all else.

    `size` is the whole file's in bytes where `file` is only its beginning.
    """
    source = Source(file, size)
    kind = kind_of(source)
    if kind.name not in PICTURES:
        raise refusal(kind, PICTURE)
    read = PICTURES[kind.name]
    width, height, orientation = read(source)
    if not (width and height):
        raise NotTaken(f"it is {kind.name} picture that is broken: {width}x{height} pixels")
    return Picture(read.__name__, width, height, orientation)


def jpeg(source: Source) -> tuple[int, int, int]:
    """Return width, height and orientation of a JPEG.

    Its segments are walked up to the first frame header; that of a thumbnail is inside of APP1.
    ITU-T T.81, B.1.1 (markers, fill bytes) and B.2.2 (frame header):
    https://www.w3.org/Graphics/JPEG/itu-t81.pdf; Exif (CIPA DC-008), 4.7.2 (APP1).
    """
    what = "the frame header, which has its size,"
    at, orientation = 2, 0
    for _ in range(PARTS):
        marker = source.need(at, 2, what)
        if marker[0] != 0xFF or marker[1] in (0x00, 0xFF):
            at += 1  # a fill byte, or what decoders skip just the same
            continue
        code = marker[1]
        at += 2
        if code in STANDALONE:
            continue
        if code in (SOS, EOI):
            break
        length = big(source.need(at, 2, what))
        if code in FRAME_HEADERS:
            frame = source.need(at + 3, 4, what)
            if not big(frame[:2]):
                raise NotTaken("it is a JPEG picture that tells its height only at its end (DNL)")
            return big(frame[2:]), big(frame[:2]), orientation or 1
        if length < 2:
            break
        if code == APP1 and not orientation and source.at(at + 2, 6) == EXIF:
            orientation = exif_orientation(source, at + 2, at + length)
        at += length
    raise NotTaken("it is a JPEG picture that is broken: it has no frame header")


def png(source: Source) -> tuple[int, int, int]:
    """Return width, height and orientation of a PNG.

    The heads of its chunks are walked to the last, since eXIf may stand behind the picture itself.
    PNG (Third Edition), 5.3 (chunks), 11.2.1 (IHDR) and 11.3.4.5 (eXIf):
    https://www.w3.org/TR/png-3/
    """
    at, size, orientation = 8, b"", 1
    for _ in range(PARTS):
        # Behind IHDR there must be something, at least: 33 is where that ends.
        head = source.at(at, 8) if at > 33 else source.need(at, 8, "the picture")
        if len(head) < 8 or head[4:] == b"IEND":
            break
        end = at + 12 + big(head[:4])
        if head[4:] == b"IHDR" and not size:
            size = source.need(at + 8, 8, "its size (IHDR)")
        source.check_end(end, "a chunk")
        if head[4:] == b"eXIf":
            orientation = exif_orientation(source, at + 8, end - 4)
            break
        at = end
    return big(size[:4]), big(size[4:]), orientation


def bmp(source: Source) -> tuple[int, int, int]:
    """Return width, height and orientation of a BMP.

    BITMAPFILEHEADER, then BITMAPCOREHEADER, of 12 bytes, or BITMAPINFOHEADER and what grew out of
    it, where a negative height is one from the top down:
    https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
    """
    head = source.need(0, 26, "its size")
    source.check_end(little(head[2:6]), "the picture")
    if little(head[14:18]) == 12:
        return little(head[18:20]), little(head[20:22]), 1
    width, height = struct.unpack("<ii", head[18:26])
    return max(width, 0), abs(height), 1


def webp(source: Source) -> tuple[int, int, int]:
    """Return width, height and orientation of a WebP, which for an animated one are its canvas's.

    RFC 9649, 2.4 to 2.7 (RIFF, VP8, VP8L, VP8X, EXIF) and 3.4 (the header in VP8L):
    https://www.rfc-editor.org/rfc/rfc9649; RFC 6386, 9.1 (the header in VP8):
    https://www.rfc-editor.org/rfc/rfc6386
    """
    head = source.need(0, 25, "its size")
    source.check_end(8 + little(head[4:8]), "the picture")
    name, first = head[12:16], head[20]
    if name == b"VP8L" and first == 0x2F:
        bits = little(head[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 1
    body = source.need(20, 10, "its size")
    if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return little(body[6:8]) & 0x3FFF, little(body[8:10]) & 0x3FFF, 1
    if name != b"VP8X":
        raise NotTaken("it is a WebP picture that is broken: it begins with no VP8, VP8L or VP8X")
    at, orientation = 12, 1
    for _ in range(PARTS if first & 0x08 else 0):  # the flag that says that there is EXIF
        chunk = source.at(at, 8)
        length = little(chunk[4:])
        if chunk[:4] == b"EXIF":
            orientation = exif_orientation(source, at + 8, at + 8 + length)
        if chunk[:4] == b"EXIF" or len(chunk) < 8:
            break
        at += 8 + length + length % 2
    return little(body[4:7]) + 1, little(body[7:10]) + 1, orientation


PICTURES = {"a JPEG": jpeg, "a PNG": png, "a BMP": bmp, "a WebP": webp}


def exif_orientation(source: Source, start: int, end: int) -> int:
    """Return the orientation in EXIF data from `start` to `end`, 1 where there is none, or broken.

    Exif (CIPA DC-008), 4.5 (a TIFF's header and its entries of 12 bytes), 4.6.4 (Orientation).
    """
    if source.at(start, 6) == EXIF:  # the rule in a JPEG, elsewhere a common mistake
        start += 6
    head = source.at(start, 8) if start + 8 <= end else b""
    number = {b"II*\0": little, b"MM\0*": big}.get(head[:4])
    ifd = start + number(head[4:]) if number else 0
    if not number or not start + 8 <= ifd <= end - 2:
        return 1
    count = number(source.at(ifd, 2))
    entries = source.at(ifd + 2, min(12 * count, end - ifd - 2))
    for at in range(0, len(entries), 12):
        if number(entries[at : at + 2]) == 0x0112:
            value = number(entries[at + 8 : at + 10])
            is_short = number(entries[at + 2 : at + 4]) == 3
            return value if is_short and 1 <= value <= 8 else 1
    return 1


# --- 5. Recordings ------------------------------------------------------------------------------


def recording(file: BinaryIO, size: int | None = None) -> Recording:
    """Return what recording `file` is; raises `NotTaken` for all else.

    `size` is the whole file's in bytes where `file` is only its beginning.
    """
    source = Source(file, size)
    kind = kind_of(source)
    if kind.name == "a WAV":
        found = Recording("wav", wav_seconds(source, kind.start))
    elif kind.name == "an MP3":
        found = Recording("mp3", mp3_seconds(source, kind.start, source.size))
    else:
        raise refusal(kind, RECORDING)
    if not found.seconds > 0:
        if source.held < source.size:
            message = f"its first {source.held} bytes do not reach its sound"
            raise NotTaken(message, needs_more=True)
        raise NotTaken(f"it is {kind.name} recording with no sound in it")
    return found


# Codes of a WAV's format: those whose samples are bytes each, and of ADPCM, which has blocks.
PCM, MS_ADPCM, FLOAT, A_LAW, MU_LAW, IMA_ADPCM, MP3_INSIDE = 1, 2, 3, 6, 7, 0x11, 0x55
EXTENSIBLE = 0xFFFE  # the code stands further on
STREAMED = 0x7FFF0000  # what writes to a pipe gives a length of 0, or one from here on up


def wav_seconds(source: Source, start: int) -> float:
    """Return the seconds of the WAV that begins at `start`.

    They come from the length of its data, or where that was written to a pipe, from the file's.
    Multimedia Programming Interface and Data Specifications 1.0, chapters 2 (RIFF) and 3 (WAVE);
    New Multimedia Data Types and Data Techniques 3.0 (fact, ADPCM); EBU Tech 3306 (RF64, ds64):
    https://tech.ebu.ch/docs/tech/tech3306.pdf
    """
    at, layout, samples, long_length = start + 12, b"", 0, 0
    for _ in range(PARTS):
        head = source.need(at, 8, "the sound (the data chunk)")
        name, length = head[:4], little(head[4:])
        at += 8
        if name == b"data":
            break
        if name == b"fmt ":
            source.need(at, 16, "the layout of its sound (the fmt chunk)")
            layout = source.at(at, min(length, 40))
        elif name == b"fact":
            samples = little(source.at(at, 4))
        elif name == b"ds64":
            long_length = little(source.at(at, 16)[8:])
        at += length
        # Some writers leave out the byte that makes a length even.
        if length % 2 and source.at(at, 4) not in (b"data", b"fmt ", b"fact", b"LIST"):
            at += 1
    else:
        raise NotTaken(
            f"it is a WAV recording that is broken: no sound in its first {PARTS} chunks"
        )
    if len(layout) < 16:
        raise NotTaken("it is a WAV recording that is broken: no layout (fmt) before its sound")
    there = source.size - at
    if length == 0xFFFFFFFF and long_length:
        length = long_length
    if not length or (length > there and length >= STREAMED):
        length = there
    source.check_end(at + length, "the sound")

    code, channels, rate, byte_rate, block, bits = struct.unpack("<HHIIHH", layout[:16])
    if code == EXTENSIBLE:
        code = little(layout[24:26])
    if code == MP3_INSIDE:
        return mp3_seconds(source, at, at + length)
    in_block = little(layout[18:20]) if code in (MS_ADPCM, IMA_ADPCM) else 0
    if code in (PCM, FLOAT, A_LAW, MU_LAW):
        block = channels * ((bits + 7) // 8) or block
        in_block = 1
    if in_block and block:
        samples = length // block * in_block
    by_count = float(samples / rate if rate else 0)
    by_length = float(length / byte_rate if byte_rate else 0)
    if in_block or not by_length:
        return by_count
    # The count of a fact chunk is more exact for a codec, where it does not lie.
    return by_count if by_length / 2 < by_count < by_length * 2 else by_length


# kbit/s of MPEG audio by its header's index, from 1 on, for MPEG 1 or not, and the layer.
BIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
# Where a frame may begin, with a valid version, layer, bit rate and sampling rate; or a tag.
FRAME_OR_TAG = rb"\xff[\xe2\xe3\xf2-\xf7\xfa-\xff][%s]|ID3[\2-\4]|APETAGEX" % b"".join(
    b"\\x%x0-\\x%xb" % (index, index) for index in range(1, 15)
)
FREE_FORMAT = (b"\xff\xe2", b"\xff\xe3", b"\xff\xf2", b"\xff\xf3", b"\xff\xfa", b"\xff\xfb")
INFO_FIELDS = ((1, 4), (2, 4), (4, 100), (8, 4))  # flag and bytes: frames, bytes, seeking, quality
DECODER_DELAY = 529  # samples that any decoder of layer III comes late
CHAIN = 3  # frames in a row that no chance makes
NEAR = 4096  # bytes after a frame within which one of the same stream is believed alone
FIRST_WITHIN = 1024 * 1024  # bytes within which the first frame is looked for
MARGIN = 8192  # bytes: more than a chain of the longest frames
BLOCK = 256 * 1024  # bytes that are read at once where all are read
MOST = 62 * 1024 * 1024  # bytes that are read of frames
TRIES = 50_000  # places where a frame might begin that are looked at: noise has too many

# MPEG audio of one kind: `samples` of each frame, `lengths` of frames by their first three bytes.
Stream = namedtuple("Stream", "layer rate samples lengths")
NO_STREAM = Stream(0, 0, 0, {})
STREAMS: dict[tuple[int, int], Stream] = {}  # those that have come up, by what they have in common


def mp3_seconds(source: Source, start: int, end: int) -> float:
    """Return the seconds of the MP3 from `start` to `end`, by its frames.

    Where not all of them can be seen, or there is too much noise between, the length of those that
    were seen is scaled to the rest.
    """
    frames = Frames(source, start, min(source.held, end, start + MOST))
    if not frames.find(frames.end):
        return 0.0
    silence = frames.skip_info() / frames.stream.rate
    begin, seconds = frames.position, 0.0
    while True:
        count = frames.run()
        if frames.position > frames.end == end:
            count -= 1  # the last one is cut, so that decoders drop it
        seconds += count * frames.stream.samples / frames.stream.rate
        if not frames.find(frames.end):
            break
    if frames.position > begin and (frames.end < end or not frames.tries):
        seconds *= (end - begin) / (frames.position - begin)
    return float(seconds - silence)


class Frames:
    """Goes through the frames of MPEG audio in `source` from `start` to `end`.

    ISO/IEC 11172-3 (MPEG 1) and 13818-3 (MPEG 2), 2.4.1.3 and 2.4.2.3 (header); MPEG 2.5 is a
    custom. Layer III is MP3.
    """

    def __init__(self, source: Source, start: int, end: int) -> None:
        import re

        self.source, self.start, self.end = source, start, end
        self.base, self.block, self.at = start, b"", 0  # `at` is an index into `block`
        self.tries = TRIES
        self.stream = NO_STREAM
        self.frame_or_tag = re.compile(FRAME_OR_TAG)

    @property
    def position(self) -> int:
        return self.base + self.at

    def fill(self) -> bool:
        """Have the next `MARGIN` bytes in `block`; returns whether the rest is in it."""
        if self.at + MARGIN > len(self.block) and self.base + len(self.block) < self.end:
            self.base, self.at = self.position, 0
            self.block = self.source.at(self.base, min(BLOCK, self.end - self.base))
        return len(self.block) < BLOCK or self.base + len(self.block) >= self.end

    def run(self) -> int:
        """Go over the frames of the stream that follow each other here; returns how many."""
        lengths, block, at, count = self.stream.lengths, self.block, self.at, 0
        try:
            while True:
                at += lengths[block[at : at + 3]]  # 600,000 times in 15 MiB of the shortest
                count += 1
        except KeyError:  # the end of the block, or of the stream
            self.at = at
        return count

    def find(self, limit: int) -> bool:
        """Go on to where a frame begins, over noise and tags; False where none does up to `limit`.

        A frame of the stream so far is taken soon after the last one, others as a chain.
        """
        near = self.position + NEAR
        while self.tries and self.position < limit:
            is_rest = self.fill()
            found = self.frame_or_tag.search(self.block, self.at)
            self.at = found.start() if found else max(self.at, len(self.block) - 2)
            if not is_rest and self.at + MARGIN > len(self.block):
                continue
            if not found:
                return False
            self.tries -= 1
            tag = tag_length(self.block[self.at : self.at + 24])
            if tag or self.block[self.at] != 0xFF:
                self.at += tag if 0 < tag <= self.end - self.position else 1
                continue
            stream = stream_of(self.block[self.at : self.at + 3])
            if (stream is self.stream and self.position <= near) or self.is_chain(stream):
                self.stream = stream
                return True
            self.at += 1
        return False

    def is_chain(self, stream: Stream) -> bool:
        """Return whether a chain of frames of `stream` begins here, or the few that are all.

        Programs are full of what looks like layer I, so that I and II must be there from the start.
        """
        if stream.layer != 3 and self.position != self.start:
            return False
        at = self.at
        for _ in range(CHAIN):
            length = stream.lengths.get(self.block[at : at + 3])
            if not length:
                break
            at += length
        else:
            return True
        behind = self.block[at : at + 3]
        return self.position == self.start and behind in (b"", b"TAG", b"APE", b"ID3")

    def skip_info(self) -> int:
        """Go over the frame here when it is no sound but an encoder's; returns the samples to drop.

        Its counts are not read, since they may lie. What a LAME tag says is the silence at both
        ends that decoders cut off: http://gabriel.mp3-tech.org/mp3infotag.html
        """
        frame = self.block[self.at :][: self.stream.lengths[self.block[self.at : self.at + 3]]]
        at = max(frame.find(name, 0, 44) for name in (b"Xing", b"Info"))
        if at < 0 and frame[36:40] != b"VBRI":
            return 0
        self.at += len(frame)
        fields = big(frame[at + 4 : at + 8])
        at += 8 + sum(length for bit, length in INFO_FIELDS if fields & bit)
        if frame[at : at + 4] not in (b"LAME", b"Lavf", b"Lavc"):
            return 0
        delays = big(frame[at + 21 : at + 24])
        return (delays >> 12) + max(delays & 0xFFF, DECODER_DELAY)


def stream_of(header: bytes) -> Stream:
    """Return the stream of a frame that begins with `header`: of one version, layer and rate."""
    key = header[1] & 0x1E, header[2] & 0x0C
    if key in STREAMS:
        return STREAMS[key]
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    is_1 = version == 3  # 2 is MPEG 2, with half the sampling rates, 0 is MPEG 2.5, with a quarter
    rate = (44100, 48000, 32000)[header[2] >> 2 & 3] // (1 if is_1 else 2 if version == 2 else 4)
    samples = 384 if layer == 1 else 576 if layer == 3 and not is_1 else 1152
    slot = 4 if layer == 1 else 1  # bytes that lengths are a multiple of
    lengths = {}
    for index, kbit in enumerate(BIT_RATES[is_1, layer], 1):
        for flags in range(8):  # protection, padding, private
            begin = 0xFF, header[1] & 0xFE | flags >> 2, index << 4 | key[1] | flags & 3
            length = samples * 125 * kbit // (rate * slot) + (flags >> 1 & 1)
            lengths[bytes(begin)] = length * slot
    STREAMS[key] = Stream(layer, rate, samples, lengths)
    return STREAMS[key]


def is_free_format(data: bytes) -> bool:
    """Return whether `data` begins with frames of MP3 that leave it open how long they are."""
    if not (data.startswith(FREE_FORMAT) and b"" < data[2:3] < b"\x0c"):
        return False
    again = [data[:2] + bytes([data[2] & 0xFC | flags]) for flags in range(4)]
    return any(data.find(header, 24) > 0 for header in again)


def tag_length(head: bytes) -> int:
    """Return the length of the ID3v2 or APE tag that begins with `head`, 0 where none does.

    ID3v2.4, 3.1 (header, whose lengths have 7 bits a byte) and 3.4 (footer):
    https://id3.org/id3v2.4.0-structure; APEv2, header and footer:
    https://wiki.hydrogenaud.io/index.php?title=APEv2_specification
    """
    if head.startswith((b"ID3\2", b"ID3\3", b"ID3\4")) and head[9:10] and max(head[6:10]) < 0x80:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return size + (20 if head[5] & 0x10 else 10)
    if head.startswith(b"APETAGEX") and len(head) >= 24:
        return 32 + (little(head[12:16]) if head[23] & 0x20 else 0)  # a footer stands alone
    return 0
