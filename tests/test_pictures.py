"""Pictures: their size and orientation, from their heads."""

import itertools
import struct
import unittest

from support import FIXTURES
from support.media import (
    MIB,
    NOISE,
    PICTURES,
    SOS,
    MediaCase,
    app1,
    bmp,
    chunk,
    exif,
    jpeg,
    patched,
    png,
    segment,
    vp8,
    vp8l,
    vp8x,
    webp,
)

from aliyun_emo.kinds import NotTaken
from aliyun_emo.pictures import picture


class Pictures(MediaCase):
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
            ("animated png", png(chunk(b"acTL", bytes(8))), ("png", 640, 480, 1)),
            ("bmp", bmp(), ("bmp", 640, 480, 1)),
            ("bmp from the top", bmp(height=-480), ("bmp", 640, 480, 1)),
            *((f"bmp of {n}", bmp(header=n), ("bmp", 640, 480, 1)) for n in (12, 52, 56, 64, 124)),
            *((f"bmp, {n} bits", bmp(9, 4, bits=n), ("bmp", 9, 4, 1)) for n in (4, 8, 16, 24, 32)),
            ("bmp of one pixel", bmp(1, 1, 12, 24), ("bmp", 1, 1, 1)),
            ("bmp, size 0", bmp(size=0), ("bmp", 640, 480, 1)),
            ("bmp, size wrong", bmp(size=99_999_999), ("bmp", 640, 480, 1)),
            ("bmp, its last row without padding", bmp(63, 1, bits=8)[:-1], ("bmp", 63, 1, 1)),
            ("bmp, packed", bmp(bits=8, packed=1, image=9, pixels=bytes(9)), ("bmp", 640, 480, 1)),
            ("bmp, packed, no length", bmp(bits=8, packed=1, pixels=b"\0"), ("bmp", 640, 480, 1)),
            ("bmp, packed, image wrong", bmp(bits=4, packed=2, image=999_999, pixels=bytes(9)),
             ("bmp", 640, 480, 1)),
            ("bmp, packed, size wrong", bmp(bits=8, packed=1, image=9, size=99, pixels=bytes(9)),
             ("bmp", 640, 480, 1)),
            ("bmp, masks", bmp(bits=16, packed=3), ("bmp", 640, 480, 1)),
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
                ("jpeg, behind its frame header", jpeg(behind=[segment(0xC4), app1(tiff)])),
                ("png", png(chunk(b"eXIf", tiff))),
                ("png at its end", png(last=[chunk(b"eXIf", tiff)])),
                ("png by mistake", png(chunk(b"eXIf", b"Exif\0\0" + tiff))),
                ("webp", webp(vp8x(), vp8(), (b"EXIF", tiff))),
                ("webp by mistake", webp(vp8x(), (b"odd!", b"x"), (b"EXIF", b"Exif\0\0" + tiff))),
            ):
                with self.subTest(name, order=order, value=value):
                    expected = value if 1 <= value <= 8 else 1
                    self.assertEqual(self.picture(data)[3], expected)

    def test_whole_numbers_of_any_kind_are_an_orientation(self):
        for order, kind, value in itertools.product("<>", range(14), (1, 6, 0x10006, -2)):
            with self.subTest(order=order, kind=kind, value=value):
                field = struct.pack(order + "i", value)
                if kind in (3, 8) and value > 0:
                    field = struct.pack(order + "Hxx", value & 0xFFFF)
                kinds = {6: (3, 4, 8, 9), 0x10006: (3, 8)}.get(value, ())
                found = self.picture(jpeg(app1(exif(field, order, kind=kind))))[3]
                self.assertEqual(found, 6 if kind in kinds else 1)

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
            ("jpeg, cut behind its frame header", jpeg()[:-16],
             "it is cut short: the picture is missing"),
            ("jpeg, its picture cut", jpeg(app1(exif(6) + jpeg(width=160, height=120)))[:-1],
             "it is cut short: the end of the picture is missing"),
            ("jpeg without a picture", jpeg()[:-14] + b"\xff\xd9",
             "it is a JPEG picture that is broken: it has no picture"),
            ("png", png()[:20], "it is cut short: its size (IHDR) is missing"),
            ("png, its IHDR cut", png()[:30],
             "it is cut short: a chunk goes on to byte 33, the file to 30"),
            ("png, cut behind its IHDR", png()[:33], "it is cut short: the picture is missing"),
            ("png, its data cut", png()[:50],
             "it is cut short: a chunk goes on to byte 56, the file to 50"),
            ("png with EXIF, its data cut", png(chunk(b"eXIf", exif(6)))[:-20],
             "it is cut short: a chunk goes on to byte 106, the file to 98"),
            ("png, zeros for its end", png()[:56] + bytes(99),
             "it is a PNG picture that is broken: a chunk has no name"),
            ("png, width 0", png(width=0), "it is a PNG picture that is broken: 0x480 pixels"),
            ("png without IHDR", b"\x89PNG\r\n\x1a\n" + chunk(b"IEND"),
             "it is a PNG picture that is broken: 0x0 pixels"),
            ("bmp", bmp(bits=24)[:-1],
             "it is cut short: the picture goes on to byte 921654, the file to 921653"),
            ("bmp, size right, pixels cut", bmp(bits=8, pixels=bytes(99)),
             "it is cut short: the picture goes on to byte 307254, the file to 153"),
            ("bmp, packed", bmp(bits=8, packed=1, image=99, size=153, pixels=bytes(90)),
             "it is cut short: the picture goes on to byte 153, the file to 144"),
            ("bmp in its head", bmp()[:20], "it is cut short: its size is missing"),
            ("bmp of 12 bytes, in its head", bmp(header=12)[:25],
             "it is cut short: its size is missing"),
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
                self.refuse(picture, data, message)

    def test_what_no_decoder_reads(self):
        damaged = "it is a PNG picture that is damaged, as a transfer in text mode does it"
        whole = png()
        for name, data, message in (
            ("png of an iPhone", png(first=[chunk(b"CgBI", b"P\0 \2")]),
             "it is an iPhone's own PNG picture (CgBI), which decoders do not read"),
            ("png, LF for CR LF", whole.replace(b"\r\n", b"\n"), damaged),
            ("png, CR LF for LF", whole.replace(b"\n", b"\r\n"), damaged),
            ("png, LF for CR", whole.replace(b"\r", b"\n"), damaged),
            ("png, seven bits", b"\x09" + whole[1:], damaged),
            ("png, as UTF-8", b"\xc2" + whole, damaged),
            ("png, as UTF-8 with losses", b"\xef\xbf\xbd" + whole[1:], damaged),
            ("png of 4 bytes", whole[:4], "it is cut short: the picture is missing"),
            *((f"bmp of {bits} bits, {packed}", bmp(1, 1, header, bits, packed, pixels=b"x"),
               "it is a BMP picture that decoders do not read: "
               f"{bits} bits a pixel, packed as {told}")
              for header, bits, packed, told in (
                  (40, 0, 4, "a JPEG"), (40, 24, 5, "a PNG"), (12, 3, 0, "0"),
                  *((124, 24, n, n) for n in (6, 7, 11, 99)),
                  *((40, n, 0, 0) for n in (0, 2, 5, 15, 48, 64, 65535)),
              )),
        ):  # fmt: skip
            with self.subTest(name):
                self.refuse(picture, data, message)

    def test_a_jpeg_may_have_any_filling_between_its_segments(self):
        for filling in (b"\xff" * 20_000, b"\xff\0" * 20_000, b"\xff" + bytes(20_000)):
            with self.subTest(filling[:2]):
                data = jpeg(app1(exif(6)))
                self.assertEqual(self.picture(data[:2] + filling + data[2:]), self.picture(data))

    def test_files_of_others(self):
        for name, expected in (
            ("bmp-size-plus-1.bmp", ("bmp", 40, 24, 1)),
            ("exif-behind-sof.jpg", ("jpeg", 40, 24, 6)),
            ("exif-behind.webp", ("webp", 40, 24, 6)),
            ("exif-slong.jpg", ("jpeg", 40, 24, 6)),
        ):
            with self.subTest(name):
                data = (FIXTURES / "media" / name).read_bytes()
                self.assertEqual(self.picture(data), expected)
        data = (FIXTURES / "media/signature-text-mode.png").read_bytes()
        with self.assertRaisesRegex(NotTaken, "is a PNG picture that is damaged"):
            picture(data)


class HeadOnly(MediaCase):
    """`size` is the whole file's, of which only the beginning is there."""

    def test_told_from_its_head(self):
        for data in PICTURES.values():
            data += bytes(300)
            with self.subTest(data[:12]):
                self.assertEqual(self.picture(data[:150], len(data)), self.picture(data))
        self.assertEqual(self.picture(png()[:45], len(png())), ("png", 640, 480, 1))
        self.assertEqual(self.picture(png(), 5), ("png", 640, 480, 1), "a size that cannot be")

    def test_too_little(self):
        for data, what in (
            (jpeg()[:9], "the frame header, which has its size,"),
            (jpeg()[:-16], "the picture"),
            (jpeg(app1(exif(6)))[:40], "its EXIF"),
            (png()[:20], "its size (IHDR)"),
            (png(chunk(b"eXIf", exif(6)))[:60], "its EXIF"),
            (bmp()[:30], "its size"),
            (webp(vp8x(), (b"ALPH", bytes(9999)), (b"EXIF", b""))[:60], "its EXIF"),
            (webp(vp8x(), vp8(), (b"EXIF", exif(6)), (b"XMP ", bytes(9999)))[:80], "its EXIF"),
        ):
            with self.subTest(what, data=data[:4]):
                message = f"its first {len(data)} bytes do not reach {what}"
                self.refuse(picture, data, message, size=99_999)
                with self.assertRaises(NotTaken) as caught:
                    picture(data, 99_999)
                self.assertTrue(caught.exception.needs_more)

    def test_a_webp_that_has_no_exif_though_it_says_so_needs_no_more_than_there_is(self):
        data = webp(vp8x(), vp8())
        self.assertEqual(self.picture(data + bytes(99)), ("webp", 640, 480, 1))
        self.assertEqual(self.picture(data, len(data) + 99), ("webp", 640, 480, 1))

    def test_cut_short_all_the_same(self):
        message = "it is cut short: a chunk goes on to byte 56, the file to 52"
        self.refuse(picture, png()[:45], message, size=52)


class Limits(MediaCase):
    def test_chains_that_lead_nowhere(self):
        for name, data in (
            ("chunks of a PNG", png()[:33] + chunk(b"IDAT") * 200_000),
            ("chunks of a WebP", webp(vp8x()) + b"ABCD\0\0\0\0" * 200_000),
            ("segments", b"\xff\xd8" + segment(0xE0) * 500_000),
            ("fill bytes", b"\xff\xd8" + b"\xff" * MIB),
            ("zeros in a JPEG", b"\xff\xd8\xff\xe0" + bytes(MIB)),
            ("a length of 2 GB", png(last=[b"\x7f\xff\xff\xf0eXIf"])),
            ("EXIF of 2 GB", patched(webp(vp8x(), (b"EXIF", exif(6))), b"EXIF", 0x7FFFFFFF)),
        ):
            with self.subTest(name):
                self.run_on(data)


if __name__ == "__main__":
    unittest.main()
