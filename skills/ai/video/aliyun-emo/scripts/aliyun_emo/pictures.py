"""Width, height and turn of a picture, from its head (what size is taken: media, prepare, 1)."""

from __future__ import annotations

import re
import struct
from collections import namedtuple

from aliyun_emo.kinds import PARTS, PICTURE, Beginning, NotTaken, big, kind_of, little, refusal

# Pixels as stored, and how EXIF has them turned: 1 is not at all, from 5 on the sides are swapped.
Picture = namedtuple("Picture", "format width height orientation")

# Markers of a JPEG but TEM, RST0 to RST7 and SOI, which stand alone; frame headers have the size.
MARKER = re.compile(rb"\xff[^\0\x01\xd0-\xd8\xff]")
FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15; DHT, JPG, DAC
EOI, SOS, APP1 = 0xD9, 0xDA, 0xE1
EXIF = b"Exif\0\0"
WHOLE_NUMBERS = {3: 2, 4: 4, 8: 2, 9: 4}  # bytes of SHORT, LONG, SSHORT, SLONG, as decoders take it
BMP_PACKED = {4: "a JPEG", 5: "a PNG"}  # 1 and 2 are run lengths, 3 are masks


def picture(data: bytes, size: int | None = None) -> Picture:
    """Return what picture `data` is, the beginning of `size` bytes; raises `NotTaken` else."""
    source = Beginning(data, size)
    kind = kind_of(source)
    if not (read := PICTURES.get(kind.name)):
        raise refusal(kind, PICTURE)
    width, height, orientation = read(source)
    if not (width and height):
        raise NotTaken(f"it is {kind.name} picture that is broken: {width}x{height} pixels")
    return Picture(read.__name__, width, height, orientation)  # named as formats are told


def jpeg(source: Beginning) -> tuple[int, int, int]:
    """Return width, height and orientation of a JPEG."""
    # Its segments are walked up to the picture; the frame header of a thumbnail is inside of APP1.
    # ITU-T T.81, B.1.1 (markers, fill bytes) and B.2.2 (frame header); Exif (CIPA DC-008), 4.7.2.
    awaited = "the frame header, which has its size,"
    at, width, height, orientation = 2, 0, 0, 0
    for _ in range(PARTS):
        found = MARKER.search(source.data, at)  # over fill bytes, and what decoders skip as well
        at = found.end() if found else max(source.held, at) + 1
        (code,) = source.need(at - 1, 1, awaited)
        if code in (SOS, EOI):
            break
        length = big(source.need(at, 2, awaited))
        if code in FRAME_HEADERS and not height:
            height, width = struct.unpack(">HH", source.need(at + 3, 4, awaited))
            awaited = "the picture"
            if not height:
                raise NotTaken("it is a JPEG picture that tells its height only at its end (DNL)")
        if length < 2:
            break
        if code == APP1 and not orientation and source.at(at + 2, 6) == EXIF:
            orientation = exif_orientation(source, at + 2, at + length)
        at += length
    if height and code == SOS:
        if source.held == source.size and source.data.find(b"\xff\xd9", at) < 0:
            raise NotTaken("it is cut short: the end of the picture is missing")
        return width, height, orientation or 1
    what = "picture" if height else "frame header"
    raise NotTaken(f"it is a JPEG picture that is broken: it has no {what}")


def png(source: Beginning) -> tuple[int, int, int]:
    # The heads of its chunks are walked to the last, since eXIf may stand behind the picture.
    # PNG (Third Edition), 5.2 (signature), 5.3 (chunks), 11.2.1 (IHDR) and 11.3.4.5 (eXIf).
    if source.need(0, 8, "the picture") != b"\x89PNG\r\n\x1a\n":
        raise NotTaken("it is a PNG picture that is damaged, as a transfer in text mode does it")
    at, size, orientation = 8, b"", 1
    for _ in range(PARTS):
        # Behind IHDR there must be something, at least: 33 is where that ends.
        head = source.at(at, 8) if at > 33 else source.need(at, 8, "the picture")
        if len(head) < 8 or head[4:] == b"IEND":
            break
        if head[4:] == bytes(4) and source.held == source.size:
            raise NotTaken("it is a PNG picture that is broken: a chunk has no name")
        if head[4:] == b"CgBI":
            raise NotTaken("it is an iPhone's own PNG picture (CgBI), which decoders do not read")
        end = at + 12 + big(head[:4])
        if head[4:] == b"IHDR" and not size:
            size = source.need(at + 8, 8, "its size (IHDR)")
        source.check_end(end, "a chunk")
        if head[4:] == b"eXIf":
            orientation = exif_orientation(source, at + 8, end - 4)
        at = end
    return big(size[:4]), big(size[4:]), orientation


def bmp(source: Beginning) -> tuple[int, int, int]:
    # Win32, Bitmap Storage: BITMAPCOREHEADER has 12 bytes; in others a height below 0 is top-down.
    head = source.need(0, 26, "its size")
    whole, _, offset, header = struct.unpack("<4I", head[2:18])
    width, height, _, bits, packed, size = *struct.unpack("<4H", head[18:26]), 0, 0
    if header != 12:
        head = source.need(18, 20, "its size")
        width, height, _, bits, packed, size = struct.unpack("<iiHHII", head)
    if packed > 3 or bits not in (1, 4, 8, 16, 24, 32):
        its = f"{bits} bits a pixel, packed as {BMP_PACKED.get(packed, packed)}"
        raise NotTaken(f"it is a BMP picture that decoders do not read: {its}")
    # The last row may lack its filling; packed ones have two lengths: the smaller counts.
    pixels = (abs(height) - 1) * ((width * bits + 31) // 32 * 4) + (width * bits + 7) // 8
    end = max(offset, 14 + header) + pixels if packed in (0, 3) else min(offset + size, whole)
    source.check_end(end, "the picture")
    return max(width, 0), abs(height), 1


def webp(source: Beginning) -> tuple[int, int, int]:
    """Return width, height and orientation of a WebP, of an animated one its canvas's."""
    # RFC 9649, 2.4 to 2.7 (chunks) and 3.4 (the header in VP8L); RFC 6386, 9.1 (that in VP8).
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
    at, end, orientation = 12, 8 + little(head[4:8]), 1
    for _ in range(PARTS if first & 0x08 else 0):  # the flag that says that there is EXIF
        if at + 8 > end:
            break
        chunk = source.need(at, 8, "its EXIF")
        start, at = at + 8, at + 8 + little(chunk[4:]) + chunk[4] % 2
        if chunk[:4] == b"EXIF":
            orientation = exif_orientation(source, start, at)
            break
    return little(body[4:7]) + 1, little(body[7:10]) + 1, orientation


PICTURES = {"a JPEG": jpeg, "a PNG": png, "a BMP": bmp, "a WebP": webp}


def exif_orientation(source: Beginning, start: int, end: int) -> int:
    """Return the orientation in EXIF data from `start` to `end`, 1 where it is none, or broken."""
    # Exif (CIPA DC-008), 4.5 (a TIFF's header and its entries of 12 bytes), 4.6.4 (Orientation).
    tiff = source.need(start, min(end, source.size) - start, "its EXIF")
    tiff = tiff.removeprefix(EXIF)  # the rule in a JPEG, elsewhere a common mistake
    number = {b"II*\0": little, b"MM\0*": big}.get(tiff[:4])
    if not number or (ifd := number(tiff[4:8])) < 8:
        return 1
    entries = tiff[ifd + 2 :][: 12 * number(tiff[ifd : ifd + 2])]
    for at in range(0, len(entries), 12):
        if number(entries[at : at + 2]) == 0x0112:
            length = WHOLE_NUMBERS.get(number(entries[at + 2 : at + 4]), 0)
            value = number(entries[at + 8 : at + 8 + length])
            return value if 1 <= value <= 8 else 1
    return 1
