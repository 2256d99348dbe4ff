"""No secret is told: no key, no signature, no link's query in what is printed or kept."""

import json
import unittest
from pathlib import Path

from support import emo
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


if __name__ == "__main__":
    unittest.main()
