"""What a file is that is not taken; nothing but the one exception comes of any bytes."""

import random
import unittest

from support import FIXTURES
from support.media import (
    MIB,
    OTHER_PICTURES,
    OTHER_RECORDINGS,
    OTHERS,
    PICTURES,
    RECORDINGS,
    SHORTCUTS,
    VIDEOS,
    MediaCase,
    id3,
)

from aliyun_emo.kinds import NotTaken
from aliyun_emo.pictures import picture
from aliyun_emo.recordings import recording


class Others(MediaCase):
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
                    self.refuse(picture, data, message, bool(for_picture))
                    message = f"it is {name}, not {for_recording or 'a recording'}"
                    self.refuse(recording, data, message, bool(for_recording))

    def test_a_file_of_others(self):
        data = (FIXTURES / "media/monkeys-audio.ape").read_bytes()
        for tagged in (data, id3() + data):
            message = "it is a Monkey's Audio (APE) recording, not WAV or MP3"
            self.refuse(recording, tagged, message, True)

    def test_shortcuts(self):
        for data in SHORTCUTS:
            for call in (picture, recording):
                with self.subTest(data[:20]):
                    self.refuse(call, data, "it is a shortcut to the file, not the file")

    def test_empty(self):
        for call in (picture, recording):
            self.refuse(call, b"", "it is empty")

    def test_one_for_the_other(self):
        for name, data in PICTURES.items():
            with self.subTest(name), self.assertRaisesRegex(NotTaken, "picture, not a reco"):
                recording(data)
        for name, data in RECORDINGS.items():
            with self.subTest(name), self.assertRaisesRegex(NotTaken, "recording, not a pic"):
                picture(data)

    def test_the_words_of_a_store_are_in_it_where_they_are_whole(self):
        for code, text, told in (
            ("AccessDenied", "Request has expired.", " (AccessDenied: Request has expired.)"),
            ("NoSuchKey", "", " (NoSuchKey)"),
            ("", "The specified key does not exist.", " (The specified key does not exist.)"),
            ("A", "x" * 500, " (A)"),
            ("A" * 2000, "x", ""),
        ):
            with self.subTest(text):
                body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{text}</Message>'
                body += "<AccessKeyId>x</AccessKeyId></Error>"
                message = f"it is an XML error of a store{told}, not a picture"
                self.refuse(picture, body.encode(), message)

    def test_what_is_long_takes_no_longer(self):
        for data in (
            *(b"<" * MIB, b"ID3\4\0\0\x7f\x7f\x7f\x7f", bytes(MIB), b"P1" + b" " * MIB),
            *(b"P1 " + b"1 " * MIB, b"/*" * MIB, b"/**/ " * MIB, b"[{" * MIB, b"#!" * MIB),
            *(b"\xff\xfb\0" * MIB, b"\xef\xbf\xbd" * MIB, b"bplist" * MIB, b"G" * MIB),
        ):
            with self.subTest(data[:9]):
                self.run_on(data)


class Fuzz(MediaCase):
    SEEDS = [
        *PICTURES.values(),
        *RECORDINGS.values(),
        *(row[1] for row in OTHER_PICTURES + OTHER_RECORDINGS + VIDEOS + OTHERS),
        *SHORTCUTS,
    ]

    def check(self, data, size=None):
        for call in (picture, recording):
            try:
                found = call(data, size)
            except NotTaken as error:
                self.assertRegex(str(error), "^it")
            else:
                self.assertTrue(all(found), found)

    def test_every_length(self):
        for seed in self.SEEDS:
            for length in range(min(len(seed), 150)):
                self.check(seed[:length])
                if length % 5 == 0:
                    self.check(seed[:length], len(seed))

    def test_mutations(self):
        chance = random.Random(20)
        numbers = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\2\0")
        for _ in range(2000):
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

    def test_noise(self):
        chance = random.Random(21)
        for length in range(1, 400):
            self.check(chance.getrandbits(8 * length).to_bytes(length, "little"))


if __name__ == "__main__":
    unittest.main()
