"""No secret is told: no key, no signature, no link's query in what is printed or kept."""

import json
import unittest
from pathlib import Path

from support import emo, preview, run
from support.service import KEY, raw
from support.service_case import FILE, GenerationCase


class Keys(GenerationCase):
    def test_a_key_that_is_cut_or_escaped_is_masked(self):
        escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
        for name, body in (
            ("cut", b"key " + KEY[:-1].encode()),
            ("cut early", b"key " + KEY[:5].encode()),
            ("escaped and cut", f'{{"message": "Bearer {escaped}", '.encode()),
            ("escaped in part", f'{{"message": "Bearer {escaped[:6]}{KEY[1:]}'.encode()),
        ):
            with self.subTest(name):
                self.clear()
                self.write("request.json", emo.json.loads(Path(FILE).read_text()))
                self.serve(video_synthesis=[raw(200, body, Content_Length="500")])
                result = self.go()
                self.assertEqual(result.code, 4, result)
                kept = str(result) + json.dumps(self.kept())
                for secret in (KEY[:5], escaped[:12]):
                    self.assertNotIn(secret, kept)
                    self.assertNotIn(secret.replace("\\", "\\\\"), kept)

    def test_a_key_that_the_end_of_a_line_broke_is_masked_whole(self):
        half = "0123456789abcdef"
        for text in (f"sk-{half}\n{half}", f"sk- {half}{half}", f"sk-{half} \r\n {half}"):
            self.assertNotIn(half, emo.printable(text, 200))
            self.assertNotIn(half, str(self.call_make("portrait.png", "speech.mp3", text)))

    def test_what_looks_like_a_key_is_shown_by_no_program_and_the_hint_says_where_it_goes(self):
        programs = (
            (emo.main, ["prepare"]),
            (emo.main, ["detect"]),
            (run.main, []),
            (preview.main, []),
        )
        for key in (
            *("sk-0123456789s3cret", "SK-s3cret", "sk\u2013s3cret", "LTAI5tS3crets3cret"),
            *("sk-\u200b0123456789s3cret", "KEY%3Dsk-0123456789abcdefs3cret"),
        ):
            for words in (
                *([key], ["--api-key", key], [f"--api-key={key}"], ["--task", key], [f"--{key}"]),
                *(["--output", "x", "y", key], ["--image-url", key], ["--image", key], ["-k", key]),
                *(["--model", key], ["--timeout", key], ["--attempt", key], ["--ratio", key]),
                *(["--face-bbox", key], ["--detection", key], ["--style-level", f"key={key}"]),
                *([f"--audio-url=https://a.cn/{key}.gif"], ["no.json", key], ["a", f"b {key}, c"]),
                *([f"--output=https://a.cn/x?sig={key}"], [f"--output=ftp://me:{key}@a.cn/x"]),
                [f"--output=https://a.cn/x.mp4?Signature={key}"],
            ):
                for main, first in programs:
                    with self.subTest(f"{main.__module__} {first} {words}"):
                        result = self.call(*first, *words, main=main)
                        self.assertEqual(result.code, 2, result)
                        self.assertNotIn("s3cret", str(result).lower())
                        if key in words and ("--api-key" in words or key not in words[1:]):
                            self.assertIn("DASHSCOPE_API_KEY", str(result))

    def test_what_only_resembles_a_key_is_shown(self):
        for name in (
            "desk-lamp.png",
            "mask-4f9a12c07b1e4d5f8899aabbccddeeff.png",
            "task-4f9a12c07b1e4d5f8899aabbccddeeff.mp3",
            "disk-20240115123456789012",
            "/tmp/task-0123456789abcdef01/speech.m4a",
            "task-recording_of_monday.mp3",
            "task-1.png",
            "risk-.png",
            "MALTAI.png",
            "sketch.png",
            "a-sk.png",
            "sk-SK-LukasNeural.wav",
            "SK-portrait.jpg",
        ):
            with self.subTest(name):
                result = self.call_run(name)
                self.assertIn(f"'{name}'", result.stderr)
                self.assertNotIn("An API key", result.stderr)


if __name__ == "__main__":
    unittest.main()
