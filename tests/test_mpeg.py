"""Frames of MPEG audio, and tags."""

import unittest

import support  # noqa: F401
from support.media import (
    MediaCase,
    ape,
    id3,
)

from aliyun_emo.mpeg import tag_length


class Tags(MediaCase):
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
                self.assertEqual(tag_length(data[:24]), len(data))
        for data in (b"", b"ID3", id3()[:9], b"ID3\4\0\0\0\0\x80\0", id3(version=5), ape()[:20]):
            with self.subTest(data[:10]):
                self.assertEqual(tag_length(data[:24]), 0)
        self.assertEqual(tag_length(ape(header=False)), 32)


if __name__ == "__main__":
    unittest.main()
