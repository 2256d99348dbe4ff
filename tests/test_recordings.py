"""Recordings: their length, as a decoder makes it."""

import itertools
import struct
import time
import unittest

from support import FIXTURES
from support.media import (
    COVER,
    FRAME,
    ID3V1,
    MIB,
    MP3,
    NOISE,
    PCM,
    RATES,
    SECOND,
    SOUND,
    MediaCase,
    ape,
    extensible,
    fmt,
    frame,
    id3,
    info,
    jpeg,
    lame,
    patched,
    vbri,
    wav,
)

from aliyun_emo.kinds import NotTaken
from aliyun_emo.recordings import recording


class Wav(MediaCase):
    def wav(self, *arguments, **options):
        return self.seconds(wav(*arguments, **options), form="wav")

    def test_seconds(self):
        sound = b"data", SOUND
        ima = struct.pack("<HH", 2, 505)  # samples in a block of 256 bytes
        for name, chunks, expected in (
            ("16 bits", [fmt(), sound], 1),
            ("8 bits", [fmt(bits=8), sound], 2),
            ("24 bits", [fmt(bits=24, channels=2, rate=44100), (b"data", bytes(5292))], 0.02),
            ("20 bits in 3 bytes", [fmt(bits=20, block=3), (b"data", bytes(24_000))], 1),
            ("24 bits in 4 bytes", [fmt(bits=24, block=4), sound], 0.5),
            ("24 bits in 8 bytes, stereo", [fmt(bits=24, channels=2, block=8), sound], 0.25),
            ("24 bits in 4 bytes, extensible", [extensible(1, block=4), sound], 0.5),
            ("24 bits of 4 channels", [fmt(bits=24, channels=4), (b"data", bytes(24_000))], 0.25),
            ("16 bits in 4 bytes", [fmt(block=4), sound], 1),
            ("32 bits", [fmt(bits=32), sound], 0.5),
            ("float", [fmt(3, bits=32), sound], 0.5),
            ("float of 64 bits", [fmt(3, bits=64), sound], 0.25),
            ("A-law", [fmt(6, bits=8), sound], 2),
            ("A-law of 0 bits", [fmt(6, bits=0, block=1), sound], 2),
            ("mu-law of 16 bits", [fmt(7), sound], 2),
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
            ("extensible IMA ADPCM", [extensible(0x11, bits=4, block=256, byte_rate=4055),
                                      (b"data", bytes(4055))], 1),
            ("GSM, whatever fact says", [fmt(0x31, bits=0, block=65, byte_rate=1625),
                                         (b"fact", b"\xff" * 4), (b"data", bytes(1625))], 1),
            ("GSM at another rate", [fmt(0x31, rate=44100, bits=0, block=65, byte_rate=1625),
                                     (b"data", bytes(6500))], 32_000 / 44100),
            ("GSM, all but its rate is 0", [fmt(0x31, bits=0, block=0, byte_rate=0),
                                            (b"data", bytes(1625))], 1),
            ("G.726", [fmt(0x45, bits=4, block=1, byte_rate=4000), sound], 4),
            ("MP3 inside", [fmt(0x55, rate=44100, block=1), (b"data", MP3)], 100 / SECOND),
        ):  # fmt: skip
            with self.subTest(name):
                self.assertAlmostEqual(self.wav(*chunks), expected, places=9)

    def test_a_tenth_of_a_second_may_be_missing(self):
        ima = struct.pack("<HH", 2, 505)
        for name, layout, byte_rate in (
            ("16 bits", fmt(), 16_000),
            ("24 bits in 4 bytes, a wrong rate", fmt(bits=24, block=4, byte_rate=9), 32_000),
            ("IMA ADPCM", fmt(0x11, bits=4, block=256, byte_rate=9, extra=ima), 8000 / 505 * 256),
            ("GSM", fmt(0x31, rate=44100, bits=0, block=65, byte_rate=1625), 44100 / 320 * 65),
            ("G.726", fmt(0x45, bits=4, block=1, byte_rate=4000), 4000),
        ):
            data = wav(layout, (b"data", bytes(int(byte_rate) * 2)))
            expected = self.seconds(data, form="wav")
            length = int(byte_rate * 2)
            with self.subTest(name):
                more = patched(data, b"data", length + int(byte_rate * 0.099))
                self.assertAlmostEqual(self.seconds(more, form="wav"), expected, delta=0.01)
                with self.assertRaisesRegex(NotTaken, "^it is cut short: the sound goes on to"):
                    recording(patched(data, b"data", length + int(byte_rate * 0.101) + 1))
        data = wav(fmt(0x55, rate=44100, block=1, byte_rate=8000), (b"data", MP3))
        more = patched(data, b"data", len(MP3) + 700)
        self.assertAlmostEqual(self.seconds(more, form="wav"), 100 / SECOND)
        with self.assertRaisesRegex(NotTaken, "^it is cut short: the sound goes on to"):
            recording(patched(data, b"data", len(MP3) + 900))

    def test_what_no_decoder_reads(self):
        for channels, code, bits, told in (
            (0, 1, 16, "0 channels, 16 bits a sample"),
            (0, 6, 8, "0 channels, 8 bits a sample"),
            (0, 0x31, 0, "0 channels, 0 bits a sample"),
            (1, 1, 0, "1 channels, 0 bits a sample"),
            (2, 1, 33, "2 channels, 33 bits a sample"),
            (2, 1, 65535, "2 channels, 65535 bits a sample"),
            (1, 3, 0, "1 channels, 0 bits a sample"),
            (1, 3, 16, "1 channels, 16 bits a sample"),
        ):
            with self.subTest(told, code=code):
                data = wav(fmt(code, channels, bits=bits, block=4), (b"data", SOUND))
                self.refuse(recording, data, f"it is a WAV recording that is broken: {told}")
        self.assertEqual(self.wav(fmt(bits=64), (b"data", SOUND)), 0.25)

    def test_files_of_others(self):
        for name, seconds in (
            ("wav-24-in-4-bytes.wav", 0.25),
            ("wav-gsm-44100.wav", 44160 / 44100),
        ):
            with self.subTest(name):
                data = (FIXTURES / "media" / name).read_bytes()
                self.assertAlmostEqual(self.seconds(data, form="wav"), seconds)

    def test_a_length_that_a_pipe_cannot_know(self):
        others = (2_000_000_000, 200_000_000)  # as Pocket TTS and VieNeu-TTS write them
        for size in (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF - 36, *others):
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

    def test_cut_short_or_broken(self):
        broken = "it is a WAV recording that is broken: "
        for name, data, message in (
            ("its data", PCM[:-1601],
             "it is cut short: the sound goes on to byte 16044, the file to 14443"),
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
             broken + "0 channels, 0 bits a sample"),
            ("answers of a text-to-speech service, joined", PCM + PCM,
             "it is several WAVs in a row, and players play the first: join their sound"),
            ("joined, the first odd", PCM.replace(b"data\x80\x3e", b"data\x7f\x3e")[:-1] + PCM,
             "it is several WAVs in a row, and players play the first: join their sound"),
            ("no MP3 inside", wav(fmt(0x55, block=1), (b"data", SOUND)),
             "it is a WAV recording with no sound in it"),
        ):  # fmt: skip
            with self.subTest(name):
                self.refuse(recording, data, message)


class Mp3(MediaCase):
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
            ("a table with an encoder's name", info(lame=lame(576, 1000)) + MP3, 100),
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

    def test_no_sound(self):
        for name, data, message in (
            ("only a tag", id3(), "it is cut short: the sound behind its tag is missing"),
            ("a cut tag", id3()[:99], "it is cut short: the sound behind its tag is missing"),
            ("a tag and noise", id3() + NOISE, "it is a tag without sound, not a recording"),
            ("a tag and a WAV", id3() + PCM, "it is a tag without sound, not a recording"),
            ("a tag and a picture", id3() + jpeg(), "it is a tag without sound, not a recording"),
            ("only a table", info(), "it is an MP3 recording with no sound in it"),
            ("a frame cut", FRAME[:99], "it is an MP3 recording with no sound in it"),
        ):
            with self.subTest(name):
                self.refuse(recording, data, message)


class HeadOnly(MediaCase):
    """`size` is the whole file's, of which only the beginning is there."""

    def test_told_from_its_head(self):
        size = len(PCM) + 16_000 * 59
        head = patched(PCM, b"data", 16_000 * 60)
        self.assertEqual(self.seconds(head[:100], size, "wav"), 60)
        self.assertEqual(self.seconds(patched(PCM, b"data", 0)[:44], size, "wav"), 60)
        size = 3 * 1024 * MIB
        self.assertEqual(self.seconds(patched(PCM, b"data", 0), size, "wav"), (size - 44) / 16_000)

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
        for data, what in (
            (PCM[:20], "the layout of its sound (the fmt chunk)"),
            (PCM[:36], "the sound (the data chunk)"),
            (id3(3000)[:900], "the sound behind its tag"),
            (info(), "its sound"),
        ):
            with self.subTest(what):
                message = f"its first {len(data)} bytes do not reach {what}"
                self.refuse(recording, data, message, size=99_999)

    def test_cut_short_all_the_same(self):
        message = "it is cut short: the sound goes on to byte 16044, the file to 14443"
        self.refuse(recording, PCM[:50], message, size=len(PCM) - 1601)


class Limits(MediaCase):
    def test_chains_that_lead_nowhere(self):
        for name, data in (
            ("chunks of a WAV", wav(fmt()) + b"LIST\0\0\0\0" * MIB),
            ("a length of 2 GB", PCM[:12] + b"LIST\0\0\0\x80" + PCM[12:]),
            ("tags", b"ID3\4\0\0\0\0\0\0" * 100_000),
            ("tags in an MP3", MP3 + b"ID3\4\0\0\0\0\0\0" * 200_000),
            ("headers", b"\xff\xfb\x90\xc4" * 500_000),
            ("headers in an MP3", MP3 + b"\xff\xfb\x90\xc4" * 500_000),
            ("frames with noise", (frame(1, 2, rate=1) + b"\xff") * 200_000),
        ):
            with self.subTest(name):
                self.run_on(data)

    def test_many_frames(self):
        shortest = frame(1, version=2, rate=1)
        self.assertEqual(len(shortest), 24)
        count = 15 * MIB // len(shortest)
        begin = time.process_time()
        self.assertAlmostEqual(self.seconds(shortest * count), count * 0.024, places=3)
        self.assertLess(time.process_time() - begin, 2)  # on a slow, busy machine


if __name__ == "__main__":
    unittest.main()
