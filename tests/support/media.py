"""What the tests of media build with: small pictures, recordings and all that is neither."""

import random
import struct
import time
import unittest
import zlib

from aliyun_emo.kinds import NotTaken
from aliyun_emo.mpeg import BIT_RATES
from aliyun_emo.pictures import picture
from aliyun_emo.recordings import recording

MIB = 1024 * 1024

# Builders: pictures.


def segment(marker, body=b""):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def sof(width, height, marker=0xC0):
    return segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")


SOS = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\x34\xff\xd9"


def jpeg(*segments, width=640, height=480, marker=0xC0, behind=()):
    return b"\xff\xd8" + b"".join((*segments, sof(width, height, marker), *behind)) + SOS


def chunk(name, body=b""):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks, width=640, height=480, first=(), last=(), interlace=0):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace))
    body = (*first, header, *chunks, chunk(b"IDAT", zlib.compress(b"\0" * 9)), *last)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND")


def bmp(width=640, height=480, header=40, bits=1, packed=0, image=0, size=None, pixels=None):
    """Return a BMP; `packed` is how its pixels are, `image` their bytes, as its header says."""
    sides = struct.pack("<HH" if header == 12 else "<ii", width, height)
    body = struct.pack("<I", header) + sides + struct.pack("<HH", 1, bits)
    body += struct.pack("<II", packed, image) if header > 12 else b""
    body = body.ljust(header, b"\0")
    if pixels is None:
        pixels = bytes((abs(width) * bits + 31) // 32 * 4 * abs(height))
    size = 14 + len(body) + len(pixels) if size is None else size
    return b"BM" + struct.pack("<IHHI", size, 0, 0, 14 + len(body)) + body + pixels


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
    field = value if isinstance(value, bytes) else struct.pack(order + "H2x", value)
    entries += struct.pack(order + "HHI", tag, kind, 1) + field
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


def frame(index=5, version=3, rate=0, body=b"", padding=0, crc=0):
    """Return a frame of MP3: the index of its bit rate, `version` 3 is MPEG 1."""
    kbit, hertz = BIT_RATES[version == 3][index - 1], RATES[version][rate]
    head = (0xFF, 0xE2 | version << 3 | 1 - crc, index << 4 | rate << 2 | padding << 1, 0xC4)
    length = (144 if version == 3 else 72) * 1000 * kbit // hertz + padding
    return (bytes(head) + body).ljust(length, b"\0")


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
    ("a TIFF or camera raw picture", b"\0\0\0\x18ftypcrx \0\0\0\1"),
    ("a GIF picture", b"GIF89a\1\0\1\0\0\0\0"),
    ("a TIFF or camera raw picture", b"II*\0\x08\0\0\0"),
    ("a TIFF or camera raw picture", b"MM\0*\0\0\0\x08"),
    *(
        ("a TIFF or camera raw picture", head)
        for head in (b"FUJIFILMCCD-RAW 0201", b"IIU\0\x18\0\0\0", b"IIRO\x08\0\0\0", b"IIRS\x08\0")
    ),
    ("an SVG picture", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ("an SVG picture", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <a> -->\n<svg><script/></svg>'),
    ("a Photoshop (PSD) picture", b"8BPS\0\1"),
    ("a JPEG XL picture", b"\xff\x0a\xfa\x1f"),
    ("a JPEG XL picture", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("a TGA picture", b"\0\0\2\0\0\0\0\0\0\0\0\0\x28\0\x18\0\x18\0\x40\x80\xff"),
    ("a TGA picture", b"\x1a\0\x0a\0\0\0\0\0\0\0\x18\0\x28\0\x18\0\x20\x28made by a program"),
    ("a TGA picture", b"\0\1\1\0\0\0\1\x18\0\0\0\0\x28\0\x18\0\x08\0\x40\x80\xff"),
    *(("a PPM picture", b"P%d\n40 24\n255\n\0\x80\xff" % n) for n in range(1, 8)),
    ("a PPM picture", b"P6 40 24 255\n\0\x80\xff"),
    ("a PPM picture", b"P3\n# made by a program\n40 24\n255\n0 0 0\n"),
    ("a PCX picture", b"\x0a\5\1\x08\0\0\0\0\x27\0\x17\0"),
    ("an EPS picture", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
    ("an EPS picture", b"\xc5\xd0\xd3\xc6\x1e\0\0\0"),
    ("a DDS picture", b"DDS \x7c\0\0\0\7\x10"),
    ("an XBM picture", b"#define me_width 40\n#define me_height 24\nstatic char me_bits[] = {"),
    ("an XBM picture", b"/* made by a program */\n#define _width 40\n"),
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
    ("a SILK recording", b"\x02#!SILK_V3\x0c\0"),
    *(
        (f"{name} recording", data + behind)
        for name, behind in (
            ("a Monkey's Audio (APE)", b"MAC \x96\x0f\0\0\x34\0\0\0"),
            ("a Monkey's Audio (APE)", b"MAC \x6e\x0f\xd0\x07\0\0"),
            ("a WavPack", b"wvpk\x8a\1\0\0\x10\4"),
            ("a TTA", b"TTA1\1\0\1\0\x10\0"),
            ("a TAK", b"tBaK\1\x0f\0\0"),
            ("a Musepack", b"MP+\x07\x0c\0"),
            ("a Musepack", b"MP+\x17\x0c\0"),
            ("a Musepack", b"MPCKSH"),
            ("a DSD (DSF or DFF)", b"DSD \x1c\0\0\0\0\0\0\0"),
            ("a DSD (DSF or DFF)", b"FRM8\0\0\0\0\0\0\1\0DSD FVER"),
            ("a W64", b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"),
            ("an AAC", b"ADIF\0\x20"),
        )
        for data in (b"", id3())
    ),
    ("an MP2 (MPEG layer II) recording", b"\xff\xfd\x84\xc4" + bytes(300)),
    ("an MP2 (MPEG layer II) recording", id3() + b"\xff\xf4\x84\xc4" + bytes(300)),
)
VIDEOS = (
    ("an M4A recording or MP4 video", b"\0\0\0\x20ftypisom\0\0\2\0"),
    ("a 3GP video", b"\0\0\0\x18ftyp3gp5"),
    ("a MOV video", b"\0\0\0\x14ftypqt  "),
    *(("a MOV video", b"\0\0\0\x08%s\0\0\0\0mdat" % box) for box in (b"wide", b"free", b"skip")),
    ("an Ogg recording or video", b"OggS\0\2".ljust(27, b"\0") + b"\x2a\x80theora"),
    ("a WMA recording or WMV video", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9"),
    ("a WebM or Matroska video", b"\x1a\x45\xdf\xa3\x9f\x42\x86"),
    ("a RealAudio recording or RealMedia video", b".ra\xfd\0\3"),
    ("a RealAudio recording or RealMedia video", b".RMF\0\0\0\x12\0\1"),
    ("an AVI video", b"RIFF\0\1\0\0AVI LIST"),
)
OTHERS = (
    ("a web page", b"<!DOCTYPE html>\n<html><body>Not found</body></html>"),
    ("a web page", b'<meta charset="utf-8"><title>x</title>'),
    ("a web page", b"<br />\n<b>Warning</b>: Undefined variable"),
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
    ("plain text", b"MAC is a computer, wvp a name, TTA another, P6 a number"),
    ("plain text", b"P1 is what we do first\n2 comes then\n"),
    ("plain text", b"TTA1 is no track"),
    ("plain text", b"#define WIDTH 40\nint main() { return WIDTH; }\n"),
    ("a ZIP archive or an Office document", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("plain text", b"ID3 is a tag of recordings"),
    ("a PDF document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"),
    ("a ZIP archive or an Office document", b"PK\3\4\x14\0"),
    ("a file that begins with zeros", bytes(5000)),
    ("something unknown", NOISE),
    ("something unknown", FRAME + bytes(9)),
    ("something unknown", b"\x7fELF\2\1\1" + bytes(60) + b"\xff\xff\x25\xc2\x3f\0" * 300),
)


# What systems write that leads to another file.
SHORTCUTS = (
    b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0\x46",  # .lnk
    b"[InternetShortcut]\r\nURL=file:///C:/me.png\r\n",  # .url
    b"[{000214A0-0000-0000-C000-000000000046}]\r\nProp3=19,2\r\n[InternetShortcut]\r\nURL=a\r\n",
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
    b'"http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
    b'<plist version="1.0">\n<dict>\n\t<key>URL</key>\n',  # .webloc
    b"bplist00\xd1\1\2SURL_\x10\x17https://example.com/",
    b"[Desktop Entry]\nVersion=1.0\nType=Link\nURL=file:///me.png\n",  # .desktop
    b"#!/usr/bin/env xdg-open\n[Desktop Entry]\nType=Link\n",
    b"book\0\0\0\0mark\0\0\0\0\x38\0\0\0",  # an alias of macOS
)


class MediaCase(unittest.TestCase):
    """A test of what files are."""

    def picture(self, data, size=None):
        return tuple(picture(data, size))

    def seconds(self, data, size=None, form="mp3"):
        found = recording(data, size)
        self.assertEqual(found.format, form)
        return found.seconds

    def refuse(self, call, data, message, convertible=False, size=None):
        with self.assertRaises(NotTaken) as caught:
            call(data, size)
        self.assertEqual(str(caught.exception), message)
        self.assertIs(caught.exception.convertible, convertible)

    def run_on(self, data):
        """Return what both functions make of `data`, which take less than a second."""
        found = []
        for call in (picture, recording):
            begin = time.process_time()
            try:
                found.append(call(data))
            except NotTaken as error:
                self.assertTrue(str(error).isprintable())
                self.assertLess(len(str(error)), 400)
                found.append(str(error))
            self.assertLess(time.process_time() - begin, 1)
        return found
