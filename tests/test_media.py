"""What a file is: pictures, recordings, and all that is neither, by their content."""

import io
import itertools
import random
import struct
import time
import unittest
import zlib

from support import media

MIB = 1024 * 1024

# Builders: pictures.


def segment(marker, body=b""):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def sof(width, height, marker=0xC0):
    return segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")


SOS = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\x34\xff\xd9"


def jpeg(*segments, width=640, height=480, marker=0xC0):
    return b"\xff\xd8" + b"".join(segments) + sof(width, height, marker) + SOS


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks, width=640, height=480, first=(), last=(), interlace=0):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace))
    body = (*first, header, *chunks, chunk(b"IDAT", zlib.compress(b"\0" * 9)), *last)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND")


def bmp(width=640, height=480, header=40):
    sides = struct.pack("<HH" if header == 12 else "<ii", width, height)
    body = (struct.pack("<I", header) + sides + struct.pack("<HH", 1, 24)).ljust(header, b"\0")
    return (
        b"BM" + struct.pack("<IHHI", 14 + len(body) + 64, 0, 0, 14 + len(body)) + body + bytes(64)
    )


def riff(form, *chunks, name=b"RIFF", size=None):
    body = b"".join(
        n + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for n, data in chunks
    )
    return name + struct.pack("<I", len(body) + 4 if size is None else size) + form + body


def vp8(width=640, height=480):
    return b"VP8 ", b"\x30\1\0\x9d\1\x2a" + struct.pack("<HH", width, height) + bytes(7)


def vp8l(width=640, height=480):
    return b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | height - 1 << 14) + b"\7"


def vp8x(width=640, height=480, flags=0x08):
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def webp(*chunks):
    return riff(b"WEBP", *chunks)


def exif(value, order="<", tag=0x0112, kind=3, count=None, ifd=8):
    entries = struct.pack(order + "HHIH2x", 0x010F, 3, 1, 1)
    entries += struct.pack(order + "HHIH2x", tag, kind, 1, value)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HI", 42, ifd) + bytes(max(ifd - 8, 0))
    return head + struct.pack(order + "H", count or 2) + entries + bytes(4)


def app1(tiff):
    return segment(0xE1, b"Exif\0\0" + tiff)


# Builders: recordings.


def fmt(code=1, channels=1, rate=8000, bits=16, block=None, byte_rate=None, extra=b""):
    block = channels * bits // 8 if block is None else block
    byte_rate = rate * block if byte_rate is None else byte_rate
    return b"fmt ", struct.pack("<HHIIHH", code, channels, rate, byte_rate, block, bits) + extra


def extensible(code, bits=24, **options):
    guid = struct.pack("<H", code) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    extra = struct.pack("<HHI", 22, bits, 4) + guid
    return fmt(0xFFFE, bits=bits, extra=extra, **options)


def wav(*chunks, **options):
    return riff(b"WAVE", *chunks, **options)


def patched(data, what, size):
    """Return `data` where the chunk `what` says that it has `size` bytes."""
    at = data.index(what) + 4
    return data[:at] + struct.pack("<I", size) + data[at + 4 :]


RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def frame(index=5, version=3, layer=3, rate=0, body=b"", padding=0, crc=0):
    """Return a frame of MPEG audio: the index of its bit rate, `version` 3 is MPEG 1."""
    kbit = media.BIT_RATES[version == 3, layer][index - 1]
    hertz = RATES[version][rate]
    head = (
        0xFF,
        0xE0 | version << 3 | 4 - layer << 1 | 1 - crc,
        index << 4 | rate << 2 | padding << 1,
    )
    if layer == 1:
        length = (12000 * kbit // hertz + padding) * 4
    else:
        length = (72 if version != 3 and layer == 3 else 144) * 1000 * kbit // hertz + padding
    return (bytes([*head, 0xC4]) + body).ljust(length, b"\0")


def info(name=b"Xing", lame=b"", frames=99_999):
    """Return a frame that is no sound but an encoder's table; its counts lie."""
    fields = struct.pack(">III", 15, frames, 77) + bytes(104)
    return frame(9, body=bytes(17) + name + fields + lame)


def lame(start, end):
    return b"LAME3.100" + bytes(12) + (start << 12 | end).to_bytes(3, "big")


def vbri():
    return frame(9, body=bytes(32) + b"VBRI" + struct.pack(">HHHII", 1, 0, 75, 9, 99_999))


def id3(length=300, version=4, flags=0):
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    footer = bytes(10) if flags & 0x10 else b""
    return b"ID3" + bytes([version, 0, flags]) + size + COVER[:length].ljust(length, b"\0") + footer


def ape(length=100, header=True):
    flags = 0xA0000000 if header else 0
    head = b"APETAGEX" + struct.pack("<IIII8x", 2000, length + 32, 1, flags)
    foot = b"APETAGEX" + struct.pack("<IIII8x", 2000, length + 32, 1, 0x80000000)
    return head + COVER[:length].ljust(length, b"\0") + foot if header else head


FRAME = frame()  # 64 kbit/s at 44100 Hz: 208 bytes and 1152 samples
SECOND = 44100 / 1152  # frames of it
NOISE = random.Random(7).getrandbits(8 * 20_000).to_bytes(20_000, "little")
ID3V1 = b"TAG".ljust(128, b"\xff")
COVER = jpeg(*[b"\xff\xfb\x90\xc4" * 20] * 5)  # with what looks like frames

SOUND = bytes(16_000)  # a second of 16 bits at 8000 Hz
PCM = wav(fmt(), (b"data", SOUND))
MP3 = FRAME * 100

PICTURES = {
    "jpeg": jpeg(),
    "jpeg with exif": jpeg(app1(exif(6) + jpeg(width=160, height=120))),
    "png": png(chunk(b"eXIf", exif(3))),
    "bmp": bmp(),
    "webp": webp(vp8()),
    "webp lossless": webp(vp8l()),
    "webp extended": webp(vp8x(), (b"EXIF", exif(8, ">"))),
}
RECORDINGS = {
    "wav": wav(fmt(), (b"LIST", b"INFO!"), (b"data", bytes(300))),
    "wav extensible": wav(extensible(1), (b"fact", bytes(4)), (b"data", bytes(300))),
    "rf64": wav((b"ds64", bytes(28)), fmt(), (b"data", bytes(300)), name=b"RF64"),
    "mp3": id3(50) + info(lame=lame(576, 1000)) + FRAME * 6 + ape(20) + ID3V1,
    "mp3 in wav": wav(fmt(0x55, block=1), (b"data", FRAME * 4)),
}

# What other files begin with: its name, what `picture` and `recording` say of it, and of each
# whether a converter helps.
NOT = "{}, not JPEG, PNG, BMP or WebP", "{}, not WAV or MP3", "{}, not a picture"
OTHER_PICTURES = (
    ("a HEIC picture", b"\0\0\0\x18ftypheic\0\0\0\0"),
    ("a HEIC picture", b"\0\0\0\x18ftypmif1\0\0\0\0"),
    ("an AVIF picture", b"\0\0\0\x18ftypavif\0\0\0\0"),
    ("a camera raw picture", b"\0\0\0\x18ftypcrx \0\0\0\1"),
    ("a GIF picture", b"GIF89a\1\0\1\0\0\0\0"),
    ("a TIFF or camera raw picture", b"II*\0\x08\0\0\0"),
    ("a TIFF or camera raw picture", b"MM\0*\0\0\0\x08"),
    ("an SVG picture", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("an SVG picture", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <a> -->\n<svg><script/></svg>'),
    ("a Photoshop (PSD) picture", b"8BPS\0\1"),
    ("an ICO picture", b"\0\0\1\0\1\0\x10\x10\0\0\1\0"),
    ("a JPEG XL picture", b"\xff\x0a\xfa\x1f"),
    ("a JPEG XL picture", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("a JPEG 2000 picture", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ("a JPEG 2000 picture", b"\xff\x4f\xff\x51\0\x2f"),
)
OTHER_RECORDINGS = (
    ("an M4A recording", b"\0\0\0\x20ftypM4A \0\0\2\0"),
    ("an AMR recording", b"#!AMR\n\x3c\x91"),
    ("an AMR recording", b"#!AMR-WB\n\x04"),
    ("an Opus recording", b"OggS\0\2".ljust(26, b"\0") + b"\1\x13OpusHead\1"),
    ("an Ogg Vorbis recording", b"OggS\0\2".ljust(26, b"\0") + b"\1\x1e\1vorbis"),
    ("a FLAC recording", b"fLaC\0\0\0\x22"),
    ("a FLAC recording", id3() + b"fLaC\0\0\0\x22"),
    ("an AAC recording", b"\xff\xf1\x50\x80\x02\x1f\xfc"),
    ("an AAC recording", id3() + b"\xff\xf9\x50\x80\x02\x1f\xfc"),
    ("an AIFF recording", b"FORM\0\0\0\x2eAIFFCOMM"),
    ("an AIFF recording", b"FORM\0\0\0\x2eAIFCFVER"),
    ("a CAF recording", b"caff\0\1\0\0desc"),
    ("an AU recording", b".snd\0\0\0\x18"),
    ("an AC-3 recording", b"\x0b\x77\xa0\x01"),
    ("a SILK recording", b"\x02#!SILK_V3\x0c\0"),
    ("a big-endian WAV recording", b"RIFX\0\0\0\x24WAVEfmt "),
    ("an MP1 (MPEG layer I) recording", frame(layer=1) * 4),
    ("an MP2 (MPEG layer II) recording", frame(layer=2) * 4),
    ("an MP2 (MPEG layer II) recording", id3() + frame(8, version=2, layer=2, rate=1) * 4),
    ("an MPEG audio (free-format) recording", (b"\xff\xfb\x00\xc4" + bytes(300)) * 5),
)
VIDEOS = (
    ("an M4A recording or MP4 video", b"\0\0\0\x20ftypisom\0\0\2\0"),
    ("a 3GP video", b"\0\0\0\x18ftyp3gp5"),
    ("a MOV video", b"\0\0\0\x14ftypqt  "),
    ("a MOV video", b"\0\0\0\x08wide\0\0\0\0mdat"),
    ("an Ogg recording or video", b"OggS\0\2".ljust(27, b"\0") + b"\x2a\x80theora"),
    ("a WMA recording or WMV video", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"),
    ("a WebM or Matroska video", b"\x1a\x45\xdf\xa3\x9f\x42\x86"),
    ("an AVI video", b"RIFF\0\1\0\0AVI LIST"),
    ("an FLV video", b"FLV\1\5\0\0\0\x09"),
    ("an MPEG video", b"\0\0\1\xba\x44\0\4"),
    ("an MPEG video", b"G\x40\x11\x10".ljust(188, b"\xff") * 4),
)
OTHERS = (
    ("a web page", b"<!DOCTYPE html>\n<html><body>Not found</body></html>"),
    ("a web page", b"\n <html lang='zh'><head><title>\xb5\xe7\xd3\xb0</title>".ljust(99)),
    ("a web page", '<!-- a --><HTML><svg/><error>"'.encode("utf-16")),
    ("an XML file", b'<?xml version="1.0"?><rss/>'),
    ("an XML error of a store", b'<?xml version="1.0"?><Error/><Error></Error>'),
    ("JSON", b'{"code": "InvalidApiKey"}'),
    ("JSON", b' [\n {"a": 1}]'),
    ("plain text", b"https://example.com/portrait.png\n"),
    ("plain text", "一张照片".encode()[:-1]),
    ("plain text", "语音".encode("gb18030") * 40),
    ("plain text", b"BM is how a bitmap begins"),
    ("plain text", b"ID3 is a tag of recordings"),
    ("a MIDI file, notes without sound", b"MThd\0\0\0\6\0\1"),
    ("a PDF document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"),
    ("a ZIP archive or an Office document", b"PK\3\4\x14\0"),
    ("a gzip archive", b"\x1f\x8b\x08\0"),
    ("a file that begins with zeros", bytes(5000)),
    ("something unknown", NOISE),
    ("something unknown", FRAME + bytes(9)),
    ("something unknown", b"\x7fELF\2\1\1" + bytes(60) + b"\xff\xff\x25\xc2\x3f\0" * 300),
)


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size=-1):
        data = super().read(size)
        self.count += len(data)
        return data


class Sparse(io.RawIOBase):
    """A file of `size` bytes: `pieces` by their offset, and zeros between them."""

    def __init__(self, size, pieces):
        self.size, self.pieces, self.offset, self.count = size, pieces, 0, 0

    def seek(self, offset, whence=0):
        self.offset = offset + (self.size if whence == 2 else 0)
        return self.offset

    def read(self, size=-1):
        size = min(size, self.size - self.offset, 100_000)  # less than asked for, as a raw file may
        data = bytearray(max(size, 0))
        for start, piece in self.pieces.items():
            begin, end = max(start, self.offset), min(start + len(piece), self.offset + size)
            if begin < end:
                data[begin - self.offset : end - self.offset] = piece[begin - start : end - start]
        self.offset += len(data)
        self.count += len(data)
        return bytes(data)


class Case(unittest.TestCase):
    def picture(self, data, size=None):
        return tuple(media.picture(io.BytesIO(data), size))

    def seconds(self, data, size=None, form="mp3"):
        found = media.recording(io.BytesIO(data), size)
        self.assertEqual(found.format, form)
        return found.seconds

    def refuse(self, call, data, message, convertible=False, size=None):
        with self.assertRaises(media.NotTaken) as caught:
            getattr(media, call)(io.BytesIO(data), size)
        self.assertEqual(str(caught.exception), message)
        self.assertIs(caught.exception.convertible, convertible)


class Pictures(Case):
    def test_sizes(self):
        odd = {"width": 1, "height": 65535}
        wide = {"width": 70_000, "height": 3}
        for name, data, expected in (
            ("jpeg", jpeg(), ("jpeg", 640, 480, 1)),
            ("jpeg, 1x65535", jpeg(**odd), ("jpeg", 1, 65535, 1)),
            ("fill bytes", jpeg(b"\xff" * 50, b"\xff\xff\xff\x01"), ("jpeg", 640, 480, 1)),
            ("noise between segments", jpeg(segment(0xE0), bytes(9)), ("jpeg", 640, 480, 1)),
            ("long segments first", jpeg(*[segment(0xE2, NOISE)] * 9), ("jpeg", 640, 480, 1)),
            ("a thumbnail", PICTURES["jpeg with exif"], ("jpeg", 640, 480, 6)),
            ("tables first", jpeg(segment(0xC4), segment(0xC8), segment(0xCC), segment(0xDB)),
             ("jpeg", 640, 480, 1)),
            ("png", png(), ("png", 640, 480, 1)),
            ("interlaced png", png(interlace=1, **wide), ("png", 70_000, 3, 1)),
            ("png of an iPhone", png(first=[chunk(b"CgBI", b"P\0 \2")]), ("png", 640, 480, 1)),
            ("animated png", png(chunk(b"acTL", bytes(8))), ("png", 640, 480, 1)),
            ("bmp", bmp(), ("bmp", 640, 480, 1)),
            ("bmp from the top", bmp(height=-480), ("bmp", 640, 480, 1)),
            *((f"bmp of {n}", bmp(header=n), ("bmp", 640, 480, 1)) for n in (12, 52, 56, 64, 124)),
            ("webp", webp(vp8()), ("webp", 640, 480, 1)),
            ("webp, scaled", webp(vp8(640 | 1 << 14, 480 | 3 << 14)), ("webp", 640, 480, 1)),
            ("webp lossless", webp(vp8l(16384, 1)), ("webp", 16384, 1, 1)),
            ("webp extended", webp(vp8x(70_000, 2, 0x2F), vp8()), ("webp", 70_000, 2, 1)),
            ("animated webp", webp(vp8x(flags=2), (b"ANIM", bytes(6))), ("webp", 640, 480, 1)),
        ):  # fmt: skip
            with self.subTest(name):
                self.assertEqual(self.picture(data), expected)
        for marker in {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}:
            with self.subTest(f"SOF {marker:x}"):
                self.assertEqual(self.picture(jpeg(marker=marker)), ("jpeg", 640, 480, 1))

    def test_orientation(self):
        for order, value in itertools.product("<>", range(10)):
            tiff = exif(value, order)
            for name, data in (
                ("jpeg", jpeg(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0"), app1(tiff))),
                ("png", png(chunk(b"eXIf", tiff))),
                ("png at its end", png(last=[chunk(b"eXIf", tiff)])),
                ("png by mistake", png(chunk(b"eXIf", b"Exif\0\0" + tiff))),
                ("webp", webp(vp8x(), vp8(), (b"EXIF", tiff))),
                ("webp by mistake", webp(vp8x(), (b"odd!", b"x"), (b"EXIF", b"Exif\0\0" + tiff))),
            ):
                with self.subTest(name, order=order, value=value):
                    expected = value if 1 <= value <= 8 else 1
                    self.assertEqual(self.picture(data)[3], expected)

    def test_broken_exif_is_no_orientation(self):
        for name, tiff in (
            ("empty", b""),
            ("cut", exif(6)[:9]),
            ("cut in its entry", exif(6)[:30]),
            ("no order", b"XX" + exif(6)[2:]),
            ("another tag", exif(6, tag=0x0113)),
            ("another type", exif(6, kind=7)),
            ("its directory in itself", exif(6, ifd=0)),
            ("its directory far away", exif(6)[:4] + b"\xff\xff\xff\xff"),
            ("its directory at its end", exif(6)[:4] + struct.pack("<I", len(exif(6)) - 2)),
        ):
            for data in (
                jpeg(app1(tiff)),
                png(chunk(b"eXIf", tiff)),
                webp(vp8x(), (b"EXIF", tiff)),
            ):
                with self.subTest(name, data=data[:4]):
                    self.assertEqual(self.picture(data)[1:], (640, 480, 1))
        self.assertEqual(self.picture(jpeg(app1(exif(6, count=65535))))[3], 6, "a count that lies")
        self.assertEqual(self.picture(webp(vp8x(flags=0), (b"EXIF", exif(6))))[3], 1, "no flag")
        self.assertEqual(self.picture(jpeg(app1(exif(6)), app1(exif(3))))[3], 6, "the first counts")

    def test_cut_short_or_broken(self):
        size = "the frame header, which has its size,"
        for name, data, message in (
            ("jpeg", jpeg()[:9], f"it is cut short: {size} is missing"),
            ("jpeg in exif", jpeg(app1(exif(6)))[:40], f"it is cut short: {size} is missing"),
            ("jpeg without a frame", b"\xff\xd8" + SOS,
             "it is a JPEG picture that is broken: it has no frame header"),
            ("jpeg, only its ends", b"\xff\xd8\xff\xd9",
             "it is a JPEG picture that is broken: it has no frame header"),
            ("jpeg, length 0", b"\xff\xd8\xff\xe0\0\0" + jpeg(),
             "it is a JPEG picture that is broken: it has no frame header"),
            ("jpeg with DNL", jpeg(height=0),
             "it is a JPEG picture that tells its height only at its end (DNL)"),
            ("jpeg, width 0", jpeg(width=0), "it is a JPEG picture that is broken: 0x480 pixels"),
            ("png", png()[:20], "it is cut short: its size (IHDR) is missing"),
            ("png, its IHDR cut", png()[:30],
             "it is cut short: a chunk goes on to byte 33, the file to 30"),
            ("png, cut behind its IHDR", png()[:33], "it is cut short: the picture is missing"),
            ("png, its data cut", png()[:50],
             "it is cut short: a chunk goes on to byte 56, the file to 50"),
            ("png, width 0", png(width=0), "it is a PNG picture that is broken: 0x480 pixels"),
            ("png without IHDR", b"\x89PNG\r\n\x1a\n" + chunk(b"IEND"),
             "it is a PNG picture that is broken: 0x0 pixels"),
            ("bmp", bmp()[:-1],
             "it is cut short: the picture goes on to byte 118, the file to 117"),
            ("bmp in its head", bmp()[:20], "it is cut short: its size is missing"),
            ("bmp, width -64", bmp(width=-64), "it is a BMP picture that is broken: 0x480 pixels"),
            ("bmp, height 0", bmp(height=0), "it is a BMP picture that is broken: 640x0 pixels"),
            ("webp", webp(vp8())[:-4],
             "it is cut short: the picture goes on to byte 38, the file to 34"),
            ("webp in its head", webp(vp8())[:22], "it is cut short: its size is missing"),
            ("webp, no frame", webp((b"VP8 ", bytes(20))),
             "it is a WebP picture that is broken: it begins with no VP8, VP8L or VP8X"),
            ("webp lossless, no frame", webp((b"VP8L", bytes(20))),
             "it is a WebP picture that is broken: it begins with no VP8, VP8L or VP8X"),
            ("webp, width 0", webp(vp8(0)), "it is a WebP picture that is broken: 0x480 pixels"),
        ):  # fmt: skip
            with self.subTest(name):
                self.refuse("picture", data, message)


class Wav(Case):
    def wav(self, *arguments, **options):
        return self.seconds(wav(*arguments, **options), form="wav")

    def test_seconds(self):
        sound, second = (b"data", SOUND), bytes(8000)
        ima = struct.pack("<HH", 2, 505)  # samples in a block of 256 bytes
        for name, chunks, expected in (
            ("16 bits", [fmt(), sound], 1),
            ("8 bits", [fmt(bits=8), sound], 2),
            ("24 bits", [fmt(bits=24, channels=2, rate=44100), (b"data", bytes(5292))], 0.02),
            ("20 bits in 3 bytes", [fmt(bits=20, block=3), (b"data", bytes(24_000))], 1),
            ("32 bits", [fmt(bits=32), sound], 0.5),
            ("float", [fmt(3, bits=32), sound], 0.5),
            ("float of 64 bits", [fmt(3, bits=64), sound], 0.25),
            ("A-law", [fmt(6, bits=8), sound], 2),
            ("mu-law", [fmt(7, bits=8, extra=b"\0\0"), (b"fact", bytes(4)), sound], 2),
            ("extensible", [extensible(1), (b"data", bytes(24_000))], 1),
            ("extensible float", [extensible(3, bits=32, byte_rate=1), sound], 0.5),
            ("lying rates", [fmt(block=7, byte_rate=1), sound], 1),
            ("half a sample more", [fmt(), (b"data", SOUND + b"\0")], 1),
            ("LIST first", [fmt(), (b"LIST", b"INFO"), (b"LIST", b"odd"), sound], 1),
            ("LIST last", [fmt(), sound, (b"LIST", bytes(99))], 1),
            ("a long chunk first", [(b"JUNK", NOISE), fmt(), sound], 1),
            ("IMA ADPCM", [fmt(0x11, bits=4, block=256, byte_rate=4055, extra=ima),
                           (b"data", bytes(2560))], 5050 / 8000),
            ("MS ADPCM", [fmt(2, bits=4, block=256, byte_rate=4055, extra=ima),
                          (b"data", bytes(2560))], 5050 / 8000),
            ("GSM, fact", [fmt(0x31, bits=0, block=65, byte_rate=1625),
                           (b"fact", struct.pack("<I", 8120)), (b"data", bytes(1690))], 1.015),
            ("GSM, fact lies", [fmt(0x31, bits=0, block=65, byte_rate=1625),
                                (b"fact", b"\xff" * 4), (b"data", bytes(1625))], 1),
            ("G.726, no fact", [fmt(0x45, bits=4, block=1, byte_rate=4000), sound], 4),
            ("only fact", [fmt(0x45, bits=4, block=1, byte_rate=0),
                           (b"fact", struct.pack("<I", 800)), (b"data", second)], 0.1),
            ("MP3 inside", [fmt(0x55, rate=44100, block=1), (b"data", MP3)], 100 / SECOND),
        ):  # fmt: skip
            with self.subTest(name):
                self.assertAlmostEqual(self.wav(*chunks), expected, places=9)

    def test_a_length_that_a_pipe_cannot_know(self):
        for size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF - 36):
            with self.subTest(hex(size)):
                data = patched(patched(PCM, b"data", size), b"RIFF", size)
                self.assertEqual(self.seconds(data, form="wav"), 1)

    def test_rf64(self):
        for name, long_length, expected in (
            ("known", len(SOUND), 1),
            ("with chunks after it", 8000, 0.5),
            ("streamed", 0, 1),
            ("streamed by others", 2**64 - 1, 1),
        ):
            for form in (b"RF64", b"BW64"):
                with self.subTest(name, form=form):
                    ds64 = b"ds64", struct.pack("<QQQI", 0, long_length, 0, 0)
                    data = wav(ds64, fmt(), (b"data", SOUND), name=form, size=0xFFFFFFFF)
                    data = patched(data, b"data", 0xFFFFFFFF)
                    self.assertEqual(self.seconds(data, form="wav"), expected)

    def test_an_odd_chunk_without_padding(self):
        data = PCM[:12] + b"LIST\3\0\0\0odd" + PCM[12:]
        self.assertEqual(self.seconds(data, form="wav"), 1)

    def test_a_tag_first(self):
        self.assertEqual(self.seconds(id3() + PCM, form="wav"), 1)

    def test_cut_short_or_broken(self):
        broken = "it is a WAV recording that is broken: "
        for name, data, message in (
            ("its data", PCM[:-1],
             "it is cut short: the sound goes on to byte 16044, the file to 16043"),
            ("before its data", PCM[:36], "it is cut short: the sound (the data chunk) is missing"),
            ("in its layout", PCM[:30],
             "it is cut short: the layout of its sound (the fmt chunk) is missing"),
            ("no layout", wav((b"data", SOUND)), broken + "no layout (fmt) before its sound"),
            ("a short layout", wav((b"fmt ", bytes(8)), (b"data", SOUND)),
             broken + "no layout (fmt) before its sound"),
            ("many chunks", wav(fmt(), *[(b"LIST", b"")] * 9000, (b"data", SOUND)),
             broken + "no sound in its first 5000 chunks"),
            ("no sound", wav(fmt(), (b"data", b"")), "it is a WAV recording with no sound in it"),
            ("rate 0", wav(fmt(rate=0), (b"data", SOUND)),
             "it is a WAV recording with no sound in it"),
            ("all 0", wav((b"fmt ", bytes(16)), (b"data", SOUND)),
             "it is a WAV recording with no sound in it"),
            ("no MP3 inside", wav(fmt(0x55, block=1), (b"data", SOUND)),
             "it is a WAV recording with no sound in it"),
        ):  # fmt: skip
            with self.subTest(name):
                self.refuse("recording", data, message)


class Mp3(Case):
    def test_every_kind_of_frame(self):
        for version, rate, index in itertools.product(RATES, range(3), range(1, 15)):
            with self.subTest(version=version, rate=rate, index=index):
                samples = 1152 if version == 3 else 576
                frames = (frame(index, version, rate=rate, padding=n % 2, crc=n % 3 == 0)
                          for n in range(10))  # fmt: skip
                expected = 10 * samples / RATES[version][rate]
                self.assertAlmostEqual(self.seconds(b"".join(frames)), expected)

    def test_what_is_around_the_frames(self):
        mixed = b"".join(frame(1 + n % 14) for n in range(100))
        mpeg_2 = frame(8, version=2) * 50  # 22050 Hz, 576 samples: as long as 50 of MPEG 1
        for name, data, frames in (
            ("nothing", MP3, 100),
            ("a variable bit rate, no table", mixed, 100),
            ("a table that lies", info() + mixed, 100),
            ("another", info(b"Info", frames=0) + mixed, 100),
            ("a third", vbri() + mixed, 100),
            ("silence at both ends", info(lame=lame(576, 1000)) + MP3, 100 - 1576 / 1152),
            ("a short silence at the end", info(lame=lame(10, 20)) + MP3, 100 - 539 / 1152),
            ("no silence", info(lame=lame(0, 0)) + MP3, 100 - 529 / 1152),
            ("ID3v1", MP3 + ID3V1, 100),
            ("ID3v2.2", id3(version=2) + MP3, 100),
            ("ID3v2.3 with a picture, unsynchronised", id3(3000, 3, 0x80) + MP3, 100),
            ("ID3v2.4 with a footer", id3(flags=0x10) + MP3, 100),
            ("three ID3v2", id3() + id3(200, 2) + id3(2000) + MP3, 100),
            ("APE", MP3 + ape() + ID3V1, 100),
            ("APE without a header is noise", MP3 + COVER + ape(len(COVER), header=False), 100),
            ("APE first", ape() + id3() + MP3, 100),
            ("a tag that says too little, and noise", id3(300)[:200] + COVER + id3(300) + MP3, 100),
            ("zeros first", bytes(3000) + MP3, 100),
            ("noise first", NOISE + MP3, 100),
            ("half a frame first", FRAME[50:] + MP3, 100),
            ("noise between", MP3 + NOISE + MP3, 200),
            ("noise between often", (FRAME * 3 + NOISE[:500]) * 50, 150),
            ("noise after each", FRAME * 3 + (FRAME + b"\xff\xfbx") * 50, 53),
            ("noise last", MP3 + NOISE, 100),
            ("two with tags", (id3(2000) + MP3 + ape() + ID3V1) * 2, 200),
            ("two of different rates", MP3 + mpeg_2, 150),
            ("a tag inside that lies", MP3 + b"ID3\4\0\0\x7f\x7f\x7f\x7f" + MP3, 200),
            ("the last frame cut", MP3 + FRAME[:150], 100),
            ("one frame", FRAME, 1),
            ("one frame and tags", id3() + FRAME + ID3V1, 1),
            ("two frames and a cut one", FRAME * 2 + FRAME[:3], 2),
            ("over the edges of blocks", frame(14) * 2000, 2000),
        ):
            with self.subTest(name):
                delta = 0.03 if "noise" in name else 1e-9  # which may look like a frame
                self.assertAlmostEqual(self.seconds(data), frames / SECOND, delta=delta)

    def test_tags(self):
        for data in (
            id3(0),
            id3(127, version=2),
            id3(300, flags=0x10),
            id3(20_000, version=3, flags=0x80),
            id3(2_100_000),
            ape(),
            ape(70_000),
        ):
            with self.subTest(data[:10]):
                self.assertEqual(media.tag_length(data[:24]), len(data))
        for data in (b"", b"ID3", id3()[:9], b"ID3\4\0\0\0\0\x80\0", id3(version=5), ape()[:20]):
            with self.subTest(data[:10]):
                self.assertEqual(media.tag_length(data[:24]), 0)
        self.assertEqual(media.tag_length(ape(header=False)), 32)

    def test_a_file_that_gives_less_than_was_asked_for(self):
        data = frame(14) * 1000
        found = media.recording(Sparse(len(data), {0: data}))
        self.assertAlmostEqual(found.seconds, 1000 / SECOND)

    def test_no_sound(self):
        for name, data, message in (
            ("only a tag", id3(), "it is cut short: the sound behind its tag is missing"),
            ("a cut tag", id3()[:99], "it is cut short: the sound behind its tag is missing"),
            ("a tag and noise", id3() + NOISE, "it is a tag without sound, not a recording"),
            ("a tag and a picture", id3() + jpeg(), "it is a tag without sound, not a recording"),
            ("only a table", info(), "it is an MP3 recording with no sound in it"),
            ("a frame cut", FRAME[:99], "it is an MP3 recording with no sound in it"),
        ):
            with self.subTest(name):
                self.refuse("recording", data, message)


class HeadOnly(Case):
    """`size` is the whole file's, of which only the beginning is there."""

    def test_told_from_its_head(self):
        size = len(PCM) + 16_000 * 59
        head = patched(PCM, b"data", 16_000 * 60)
        self.assertEqual(self.seconds(head[:100], size, "wav"), 60)
        self.assertEqual(self.seconds(patched(PCM, b"data", 0)[:44], size, "wav"), 60)
        for data in PICTURES.values():
            data += bytes(300)
            with self.subTest(data[:12]):
                self.assertEqual(self.picture(data[:150], len(data)), self.picture(data))
        self.assertEqual(self.picture(png()[:45], len(png())), ("png", 640, 480, 1))
        self.assertEqual(self.picture(png(), 5), ("png", 640, 480, 1), "a size that cannot be")

    def test_an_mp3_is_estimated(self):
        for name, data, held in (
            ("constant", MP3 * 20, 5000),
            ("half a frame", MP3 * 20, 100),
            ("a tag first", id3(3000) + info() + MP3 * 20, 8000),
        ):
            with self.subTest(name):
                whole = self.seconds(data)
                self.assertAlmostEqual(self.seconds(data[:held], len(data)), whole, delta=0.05)

    def test_too_little(self):
        for call, data, message in (
            ("picture", jpeg()[:9], "the frame header, which has its size,"),
            ("picture", png()[:20], "its size (IHDR)"),
            ("recording", PCM[:20], "the layout of its sound (the fmt chunk)"),
            ("recording", PCM[:36], "the sound (the data chunk)"),
            ("recording", id3(3000)[:900], "the sound behind its tag"),
            ("recording", info(), "its sound"),
        ):
            with self.subTest(message):
                message = f"its first {len(data)} bytes do not reach {message}"
                self.refuse(call, data, message, size=99_999)

    def test_cut_short_all_the_same(self):
        message = "it is cut short: the sound goes on to byte 16044, the file to 16043"
        self.refuse("recording", PCM[:50], message, size=len(PCM) - 1)
        message = "it is cut short: a chunk goes on to byte 56, the file to 52"
        self.refuse("picture", png()[:45], message, size=52)


class Others(Case):
    def test_what_it_is_instead(self):
        taken = "JPEG, PNG, BMP or WebP", "WAV or MP3"
        for rows, for_picture, for_recording in (
            (OTHER_PICTURES, taken[0], ""),
            (OTHER_RECORDINGS, "", taken[1]),
            (VIDEOS, "", taken[1]),
            (OTHERS, "", ""),
        ):
            for name, data in rows:
                with self.subTest(name, data=data[:12]):
                    message = f"it is {name}, not {for_picture or 'a picture'}"
                    self.refuse("picture", data, message, bool(for_picture))
                    message = f"it is {name}, not {for_recording or 'a recording'}"
                    self.refuse("recording", data, message, bool(for_recording))

    def test_empty(self):
        for call in ("picture", "recording"):
            self.refuse(call, b"", "it is empty")

    def test_one_for_the_other(self):
        for name, data in PICTURES.items():
            with self.subTest(name), self.assertRaisesRegex(media.NotTaken, "picture, not a reco"):
                media.recording(io.BytesIO(data))
        for name, data in RECORDINGS.items():
            with self.subTest(name), self.assertRaisesRegex(media.NotTaken, "recording, not a pic"):
                media.picture(io.BytesIO(data))

    def test_the_words_of_a_store(self):
        for code, text, shown in (
            ("AccessDenied", "Request has expired.", "AccessDenied: Request has expired."),
            ("NoSuchKey", "", "NoSuchKey"),
            ("", "The specified\n key  does not exist.", "The specified key does not exist."),
            (
                "A",
                "See https://a.example/b?Signature=s%2Fx now",
                "A: See https://a.example/b?... now",
            ),
            ("A", "See https://a.example/b&amp;sig=x", "A: See https://a.example/b&..."),
            ("A", "See https://a.example/#token=x", "A: See https://a.example/#..."),
            ("A", "See https://me:secret@a.example/b", "A: See ...@a.example/b"),
            ("A", "Really? Yes", "A: Really? Yes"),
            ("A", "\x1b[2J\u202e\u200bend", "A: ?[2J??end"),
            ("A", "文件不存在", "A: 文件不存在"),
            ("A", "x" * 500, f"A: {'x' * 120}..."),
            ("A" * 2000, "x", f"{'A' * 120}..."),
        ):
            with self.subTest(text):
                body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{text}</Message>'
                body += "<AccessKeyId>x</AccessKeyId></Error>"
                message = f"it is an XML error of a store ({shown}), not a picture"
                self.refuse("picture", body.encode(), message)


class Limits(Case):
    def run_on(self, file):
        """Return what both functions make of `file`, which take less than a second."""
        found = []
        for call in (media.picture, media.recording):
            begin = time.perf_counter()
            try:
                found.append(call(file))
            except media.NotTaken as error:
                self.assertTrue(str(error).isprintable())
                self.assertLess(len(str(error)), 400)
                found.append(str(error))
            self.assertLess(time.perf_counter() - begin, 1)
        return found

    def test_only_what_is_needed_is_read(self):
        for name, data, most in (
            ("a PNG", png() + bytes(MIB), 1024),
            ("a PNG of many chunks", png(*[chunk(b"IDAT", bytes(8192))] * 40), 1024 + 40 * 8 + 16),
            ("a JPEG", jpeg() + bytes(MIB), 1024),
            ("long segments", jpeg(*[segment(0xE2, bytes(65_000))] * 20), 1024 + 20 * 6 + 20),
            ("a WAV", wav(fmt(), (b"LIST", bytes(MIB)), (b"data", SOUND * 60)), 1024 + 24),
        ):
            with self.subTest(name):
                file = Counting(data)
                (media.recording if data[:4] == b"RIFF" else media.picture)(file)
                self.assertLessEqual(file.count, most)

    def test_a_large_file(self):
        size = 3 * 1024 * MIB
        for name, head in (
            ("nothing", b""),
            ("wav", patched(PCM, b"data", 0)),
            ("a length of 2 GB", PCM[:12] + b"LIST\0\0\0\x80" + PCM[12:]),
            ("png", png(last=[b"\x7f\xff\xff\xf0eXIf"])),
            ("webp", patched(webp(vp8x(), (b"EXIF", exif(6))), b"EXIF", 0x7FFFFFFF)),
            ("id3", b"ID3\4\0\0\x7f\x7f\x7f\x7f"),
            ("mp3", MP3),
        ):
            with self.subTest(name):
                file = Sparse(size, {0: head})
                found = self.run_on(file)
                self.assertLess(file.count, 70 * MIB)
                if name == "wav":
                    self.assertEqual(found[1].seconds, (size - 44) / 16_000)

    def test_the_rest_of_a_large_mp3_is_estimated(self):
        block = frame(14) * 70_000
        file = Counting(block)
        self.assertAlmostEqual(media.recording(file).seconds, 70_000 / SECOND, delta=1)
        self.assertLess(file.count, 64 * MIB)

    def test_chains_that_lead_nowhere(self):
        for name, data in (
            ("chunks of a WAV", wav(fmt()) + b"LIST\0\0\0\0" * MIB),
            ("chunks of a PNG", png()[:33] + chunk(b"IDAT") * 200_000),
            ("chunks of a WebP", webp(vp8x()) + b"ABCD\0\0\0\0" * 200_000),
            ("segments", b"\xff\xd8" + segment(0xE0) * 500_000),
            ("fill bytes", b"\xff\xd8" + b"\xff" * MIB),
            ("zeros in a JPEG", b"\xff\xd8\xff\xe0" + bytes(MIB)),
            ("tags", b"ID3\4\0\0\0\0\0\0" * 100_000),
            ("tags in an MP3", MP3 + b"ID3\4\0\0\0\0\0\0" * 200_000),
            ("headers", b"\xff\xfb\x90\xc4" * 500_000),
            ("headers in an MP3", MP3 + b"\xff\xfb\x90\xc4" * 500_000),
            ("frames with noise", (frame(1, 2, rate=1) + b"\xff") * 200_000),
            ("brackets", b"<" * MIB),
        ):
            with self.subTest(name):
                self.run_on(io.BytesIO(data))

    def test_many_frames(self):
        shortest = frame(1, version=2, rate=1)
        self.assertEqual(len(shortest), 24)
        count = 15 * MIB // len(shortest)
        begin = time.perf_counter()
        self.assertAlmostEqual(self.seconds(shortest * count), count * 0.024, places=3)
        self.assertLess(time.perf_counter() - begin, 2)  # on a slow, busy machine


class Fuzz(Case):
    SEEDS = [
        *PICTURES.values(),
        *RECORDINGS.values(),
        *(row[1] for row in OTHER_PICTURES + OTHER_RECORDINGS + VIDEOS + OTHERS),
    ]

    def check(self, data, size=None):
        for call in (media.picture, media.recording):
            file = Counting(data)
            try:
                found = call(file, size)
            except media.NotTaken as error:
                self.assertTrue(str(error).isprintable(), error)
                self.assertRegex(str(error), "^it")
            else:
                self.assertTrue(all(found), found)
            self.assertLessEqual(file.count, len(data))

    def test_every_length(self):
        for seed in self.SEEDS:
            for length in range(min(len(seed), 150)):
                self.check(seed[:length])
                if length % 5 == 0:
                    self.check(seed[:length], len(seed))

    def test_mutations(self):
        chance = random.Random(20)
        numbers = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\2\0")
        end = time.perf_counter() + 1.5  # a slow machine does less
        for _ in range(6000):
            data = bytearray(chance.choice(self.SEEDS)[:4000])
            for _ in range(chance.randrange(1, 6)):
                at = chance.randrange(min(len(data), 120))
                kind = chance.randrange(4)
                if kind == 0:
                    data[at] = chance.randrange(256)
                elif kind == 1:
                    number = chance.choice(numbers)
                    data[at : at + len(number)] = number
                elif kind == 2:
                    data[at:at] = chance.choice(self.SEEDS)[:60]
                else:
                    del data[at + 1 : at + chance.randrange(20)]
            self.check(bytes(data), chance.choice((None, None, 5, 100_000)))
            if time.perf_counter() > end:
                break

    def test_noise(self):
        chance = random.Random(21)
        for length in range(1, 400):
            self.check(chance.getrandbits(8 * length).to_bytes(length, "little"))


if __name__ == "__main__":
    unittest.main()
