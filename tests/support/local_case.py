"""A folder with a portrait and a recording of this machine."""

import hashlib
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, unquote_plus, unquote_to_bytes, urlparse

from support import (
    Case,
    arguments,
)
from support.media import (
    fmt,
    patched,
    png,
    wav,
)
from support.service import fixture

PASSED = fixture("detection-pass")
GB = 1_000_000_000
MIB = 1024 * 1024
PORTRAIT = png(width=900, height=800)  # the boxes of the quick start reach to 840,778
M4A = b"\0\0\0\x20ftypM4A \0\0\2\0"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0"
SMALL_BOXES = {"face_bbox": "10,10,200,200", "ext_bbox": "0,0,300,300"}
IN_ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
TOOL = re.compile(r"\b(ffmpeg|magick|convert)\b.*", re.DOTALL)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def text(data):
    """Return the name of these bytes, as a command line has it in any locale."""
    return os.fsdecode(data if isinstance(data, bytes) else data.encode())


def write(path, data, size=None):
    """Write `data` to `path`, with zeros behind it up to `size` bytes, and return the path."""
    with open(path, "wb") as file:
        file.write(data)
        if size is not None:
            file.truncate(size)
    return str(path)


def sound_of(length, rate=8000, channels=1):
    """Return the head of a WAV whose sound has `length` bytes."""
    head = wav(fmt(rate=rate, channels=channels), (b"data", b""), size=36 + length)
    return patched(head, b"data", length)


def write_sound(path, seconds=None, size=None):
    """Write a WAV of so many seconds, or of so many bytes and under a minute; return `path`."""
    if size is None:
        length = round(seconds * 8000) * 2
        return write(path, sound_of(length), 44 + length)
    return write(path, sound_of(size - 44, rate=96_000, channels=2), size)


def local(**changes):
    """Return the quick start's arguments with two local files instead of the links."""
    files = {"image": "portrait.png", "audio": "speech.wav", "image_url": None, "audio_url": None}
    return arguments(**{**files, **changes})


def path_behind(url):
    """Return the path, as bytes, that a `file:` URL stands for (RFC 8089)."""
    return unquote_to_bytes(url[len("file://") :])


def path_for_the_sdk(url):
    """Return the path that the vendor's SDK takes a `file:` URL for (dashscope, oss_utils.py)."""
    parsed = urlparse(url)
    return parsed.netloc + unquote_plus(parsed.path)


def bytes_read():
    """Return how many bytes this process has read so far; None where the system does not tell."""
    try:
        found = re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text())
    except OSError:
        return None
    return int(found[1]) if found else None


class LocalCase(Case):
    """A test in a folder with a portrait and 12.4 seconds of speech."""

    def setUp(self):
        super().setUp()
        write("portrait.png", PORTRAIT)
        write_sound("speech.wav", 12.4)

    def prepare(self, *words, **changes):
        return self.call(*local(**changes), *words, "--dry-run")

    def detect(self, image="portrait.png", *words):
        return self.call("detect", f"--image={image}", *words, "--dry-run")

    def take(self, result, *warned):
        """Assert that `result` is of a success with warnings for the fields `warned`; return it."""
        self.assertEqual(result.code, 0, result)
        self.assertEqual([w["field"] for w in result.line["warnings"]], list(warned), result)
        for warning in result.line["warnings"]:
            self.assertEqual(list(warning), ["field", "message", "hint"])
            self.assertTrue(warning["message"] and warning["hint"], warning)
        self.assertEqual(len(result.stderr.splitlines()), len(warned), result)
        return result

    def refuse(self, result, *fields):
        """Assert a refusal for `fields`, said in printable words; return its words."""
        super().refuse(result, *fields)
        for error in result.line["errors"]:
            for words in (error["message"], error["hint"]):
                self.assertTrue(words.isprintable(), error)
                self.assertLess(len(words), 2000)
        return "\n".join(f"{e['message']}\n{e['hint']}" for e in result.line["errors"])

    def assert_words(self, words, said):
        for word in words:
            self.assertIn(word, said)

    def assert_leads_to(self, url, path):
        """Assert that whoever decodes the `file:` URL has the very file `path`."""
        self.assertRegex(url, r"^file:///[!-~]+$")
        self.assertNotRegex(url, r"[+?#;\\ ]|/\.\./|/\./|^file:////")
        behind = path_behind(url)
        self.assertTrue(os.path.samefile(behind, path), url)
        try:
            behind.decode(sys.getfilesystemencoding())
        except UnicodeDecodeError:
            return  # no decoder to text has a name for it
        for decoded in (path_for_the_sdk(url), unquote(url[len("file://") :])):
            self.assertTrue(os.path.samefile(decoded, path), url)
