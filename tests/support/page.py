"""What the tests of the page build with: files to show, and a page as a browser reads it."""

import json
import os
import re
import shlex
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

from support import IMAGE_URL, REQUEST, SCRIPTS, Case, arguments, preview
from support.service import (
    fixture,
    wav,
)

from aliyun_emo.page import PAGE_BEGINS  # noqa: F401
from aliyun_emo.page import SCRIPT as PAGE_SCRIPT  # noqa: F401

PREVIEW = SCRIPTS / "preview_emo_request.py"

DESK = Path("output/aliyun-emo")
PAGE = DESK / "previews/6872062bccf0.html"  # of REQUEST
SHOWN = DESK / "requests/6872062bccf0.json"
FILE = os.path.join("output", "aliyun-emo", "request.json")
ANSWER = fixture("detection-pass")
DETECT = {
    "model": "emo-v1-detect",
    "input": {"image_url": IMAGE_URL},
    "parameters": {"ratio": "1:1"},
}
DETECTION = {
    "saved_at": "2026-01-01T00:00:00.000000Z",
    "request": DETECT,
    "sent": {**DETECT, "model": "emo-detect-v1"},
    "response": ANSWER,
}
ID = "a8532587-fa8c-4ef8-82be-0c46b17950d1"
TASK = {
    "saved_at": "2026-01-01T00:00:00.000000Z",
    "title": "portrait + speech",
    "state": "made",
    "request": REQUEST,
    "sent": {**REQUEST, "input": {**REQUEST["input"], "image_url": "oss://store/s3nt.png"}},
    "http_status": 200,
    "response": {"output": {"task_id": ID, "task_status": "PENDING"}},
}
OLD_LINK = IMAGE_URL + "?Expires=1735689600&OSSAccessKeyId=k&Signature=s"
COLOURS = ((200, 30, 30), (30, 160, 60), (30, 60, 200), (230, 200, 40))  # RGB, row by row


def four_colours(width, height, orientation=None):
    """Return a PNG whose quarters have the four `COLOURS`, with EXIF's `orientation`."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    def row(left, right):
        return b"\0" + bytes(left) * (width // 2) + bytes(right) * (width - width // 2)

    upper, lower = row(*COLOURS[:2]), row(*COLOURS[2:])
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0" + bytes([orientation or 1]) + bytes(6)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            chunk(b"eXIf", exif) if orientation else b"",
            chunk(b"IDAT", zlib.compress(upper * (height // 2) + lower * (height - height // 2))),
            chunk(b"IEND", b""),
        )
    )


def request_with(model="emo-v1", style_level="active", **given):
    """Return the quick start's request, `given` in the place of what is in its input."""
    return {
        "model": model,
        "input": {**REQUEST["input"], **given},
        "parameters": {"style_level": style_level},
    }


class Page(HTMLParser):
    """A page as a browser reads it: its `elements` with their attributes, its `text`."""

    def __init__(self, markup):
        super().__init__()
        self.elements, self.path, self.pieces = [], [], []
        self.code = {"script": [], "style": []}
        self.feed(markup)
        self.text = " ".join("".join(self.pieces).split())

    def handle_starttag(self, tag, attributes):
        self.pieces.append(" " if tag in ("td", "dd", "p", "li") else "")
        self.elements.append((tag, dict(attributes)))
        self.path.append(tag)

    def handle_endtag(self, tag):
        self.path.append("/" + tag)

    def handle_data(self, data):
        if self.path[-1:] in (["script"], ["style"]):
            self.code[self.path[-1]].append(data)
        else:
            self.pieces.append(data)

    def all(self, tag):
        """Return the attributes of each element `tag`."""
        return [attributes for name, attributes in self.elements if name == tag]

    def of(self, id_):
        """Return the attributes of the element with this id, None where there is none."""
        return next((a for _, a in self.elements if a.get("id") == id_), None)


class PreviewCase(Case):
    def setUp(self):
        super().setUp()
        DESK.mkdir(parents=True)

    def write(self, document, name="request.json"):
        """Write a JSON file of the evidence; return its path as one types it."""
        path = DESK / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    def show(self, *words, **options):
        """Return the `Result` of preview_emo_request.py with `words`."""
        return self.call(*words, main=preview.main, **options)

    def page_of(self, document, name="request.json", warnings=0):
        """Return the page of `document`, which must be taken with so many `warnings`."""
        result = self.show(self.write(document, name))
        self.assertEqual(result.code, 0, result)
        self.assertEqual(len(result.line["warnings"]), warnings, result)
        return Page(Path(result.line["preview_path"]).read_text("utf-8"))

    def markup_of(self, document, name="request.json"):
        """Return the bytes of the page of `document`, as text."""
        result = self.show(self.write(document, name))
        self.assertEqual(result.code, 0, result)
        return Path(result.line["preview_path"]).read_bytes().decode()

    def task(self, name="3f9a12c07b1e", answer=None, video=b"", **changes):
        """Write a task's folder; return the name of its task.json among the evidence."""
        folder = f"tasks/{name}"
        self.write({**TASK, **changes}, f"{folder}/task.json")
        if answer:
            self.write(answer, f"{folder}/response.json")
        if video:
            (DESK / folder / "video.mp4").write_bytes(video)
        return f"{folder}/task.json"

    def prepare_files(self, *words, size=(900, 1100), seconds=12.4):
        """Prepare a request of two local files; return it."""
        Path("portrait.png").write_bytes(four_colours(*size))
        Path("hello.wav").write_bytes(wav(seconds))
        links = {"image_url": None, "audio_url": None}
        words = [*arguments(image="portrait.png", audio="hello.wav", **links), *words]
        result = self.call(*words)
        self.assertEqual(result.code, 0, result)
        return json.loads((DESK / "request.json").read_text("utf-8"))

    def refuses(self, result, *fields):
        """Assert exit 2 for `fields`, and that there is no page; return the first error."""
        self.assertEqual(result.code, 2, result)
        self.assertEqual(result.fields, list(fields), result)
        for error in result.line["errors"]:
            self.assertEqual(list(error), ["field", "message", "hint"])
            self.assertTrue(error["message"] and error["hint"], error)
        self.assertEqual([name for name in self.files() if name.endswith(".html")], [])
        return result.line["errors"][0]

    def command(self, page):
        """Return the words of the next command on `page`."""
        markup = "".join(page.pieces)
        return shlex.split(re.search(r"^(\S*(?:python|pypy|env).*)$", markup, re.M)[1])
