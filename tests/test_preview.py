"""preview_emo_request.py without a browser: what it takes, what it writes, what stands in it."""

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import time
import unittest
import zlib
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

from support.service import wav
from aliyun_emo import requests, local_files
from support import (
    AUDIO_URL,
    FIXTURES,
    IMAGE_URL,
    NAME,
    REQUEST,
    RUN,
    SCRIPT,
    SCRIPTS,
    Case,
    arguments,
    emo,
    preview,
)

PREVIEW = SCRIPTS / "preview_emo_request.py"

DESK = Path("output/aliyun-emo")
PAGE = DESK / "preview.html"
FILE = os.path.join("output", "aliyun-emo", "request.json")
ANSWER = json.loads((FIXTURES / "detection-pass.json").read_text("utf-8"))
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
        return shlex.split(re.search(r"^(\S*(?:python|env).*)$", markup, re.M)[1])


class CommandLine(PreviewCase):
    def test_the_line_on_stdout(self):
        self.write(REQUEST)
        for words in ([], [FILE]):
            with self.subTest(words):
                result = self.run_script(*words, script=PREVIEW)
                path = os.path.join("output", "aliyun-emo", "preview.html")
                self.assertEqual(result.code, 0, result)
                line = {"ok": True, "preview_path": path, "warnings": []}
                self.assertEqual(list(result.line.items()), list(line.items()))
                self.assertEqual(result.stderr, "")
                self.assertEqual(self.files(), [FILE.replace(os.sep, "/"), PAGE.as_posix()][::-1])
                PAGE.unlink()

    def test_the_module_docstring_shows_what_the_program_prints(self):
        printed = self.show(self.write(REQUEST)).stdout.replace("\\\\", "/").strip()
        self.assertIn(printed, preview.__doc__)

    def test_output_dir_has_the_default_file(self):
        os.environ["OUTPUT_DIR"] = "evidence"
        Path("evidence/aliyun-emo").mkdir(parents=True)
        Path("evidence/aliyun-emo/request.json").write_text(json.dumps(REQUEST))
        path = self.show().line["preview_path"]
        self.assertEqual(path, os.path.join("evidence", "aliyun-emo", "preview.html"))

    def test_output_names_another_file_and_its_folders_are_made(self):
        file = self.write(REQUEST)
        for name in ("page.html", os.path.join("a", "b c", f"{NAME}.html")):
            with self.subTest(name):
                self.assertEqual(self.show(file, "--output", name).line["preview_path"], name)
                self.assertIn("<!doctype html>", Path(name).read_text("utf-8"))
        self.assertFalse(PAGE.exists())

    def test_a_file_without_a_folder_has_its_page_beside_it(self):
        Path("loose.json").write_text(json.dumps(REQUEST))
        self.assertEqual(self.show("loose.json").line["preview_path"], "preview.html")

    def test_stdin_and_stdout_are_refused(self):
        file = self.write(REQUEST)
        result = self.run_script("-", script=PREVIEW, input=json.dumps(REQUEST).encode())
        self.assertIn("place", self.refuses(result, "file")["message"])
        error = self.refuses(self.show(file, "--output", "-"), "output")
        self.assertNotIn("dry-run", error["hint"])

    def test_the_page_never_replaces_what_it_shows(self):
        file = self.write(REQUEST)
        before = Path(file).read_bytes()
        os.symlink("request.json", DESK / "link.html")
        for path in (file, os.path.abspath(file), str(DESK / "link.html")):
            with self.subTest(path):
                result = self.show(file, "--output", path)
                self.assertEqual((result.code, result.fields), (2, ["output"]), result)
                self.assertEqual(Path(file).read_bytes(), before)

    def test_all_that_is_wrong_is_told_at_once(self):
        file = self.write(request_with(image_url="./a.png", ext_bbox=[71, 9, 471, 309]))
        fields = ("arguments", "image_url", "ext_bbox", "face_bbox", "output")
        result = self.show(file, "--output", "-", "--dry-run")
        self.assertEqual(sorted(result.fields), sorted(set(fields) & set(result.fields)), result)
        self.assertLessEqual({"arguments", "image_url", "ext_bbox", "output"}, set(result.fields))

    def test_a_file_that_is_not_there_or_no_json(self):
        Path("text.json").write_text("hello")
        Path("list.json").write_text("[]")
        for words in (["none.json"], ["text.json"], ["list.json"], ["output"], [""], []):
            with self.subTest(words):
                error = self.refuses(self.show(*words), "file")
                self.assertNotIn("stdin", error["message"] + error["hint"])

    def test_an_earlier_page_outlives_a_refusal(self):
        self.show(self.write(REQUEST))
        before = PAGE.read_bytes()
        self.assertEqual(self.show(self.write(request_with(style_level="loud"))).code, 2)
        self.assertEqual(PAGE.read_bytes(), before)

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_without_room_the_earlier_page_is_whole(self):
        file = self.write(REQUEST)
        earlier = preview.PAGE_BEGINS.decode() + "earlier"
        PAGE.write_text(earlier)
        for room in (0, 5000):
            with self.subTest(room):
                result = self.run_with_room(room, file, script=PREVIEW)
                self.assertEqual((result.code, result.fields), (1, ["output"]), result)
                self.assertEqual(PAGE.read_text(), earlier)
                self.assertEqual([name for name in self.files() if ".tmp" in name], [])

    def test_a_page_replaces_nothing_but_a_page(self):
        request = self.prepare_files()
        self.write(request)
        self.write(DETECTION, "detection.json")
        task = self.task()
        file = self.write(TASK, task)
        place = os.path.dirname(file)
        Path(place, "video.mp4").write_bytes(b"video")
        for given, output in (
            (FILE, FILE),
            (FILE, "portrait.png"),
            (FILE, "hello.wav"),
            (FILE, str(DESK / "detection.json")),
            (file, os.path.join(place, "video.mp4")),
            (file, file),
        ):
            with self.subTest(output):
                before = Path(output).read_bytes()
                result = self.show(given, "--output", output)
                self.assertEqual((result.code, result.fields), (2, ["output"]), result)
                self.assertEqual(Path(output).read_bytes(), before)
        Path("index.html").write_text(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Mine'
        )
        self.assertEqual(self.show(FILE, "--output", "index.html").fields, ["output"])
        PAGE.symlink_to(self.folder / "portrait.png")
        before = Path("portrait.png").read_bytes()
        self.assertEqual(self.show(FILE).fields, ["output"])
        self.assertEqual(Path("portrait.png").read_bytes(), before)

    def test_a_page_of_64_kb_is_none(self):
        for link in ("https://example.com/" + "a" * 60_000 + ".png",):
            result = self.show(self.write(request_with(image_url=link)))
            self.assertEqual((result.code, result.fields), (2, ["file"]), result)
            self.assertFalse(PAGE.exists())

    def test_a_place_that_cannot_be_written_is_exit_1(self):
        result = self.show(self.write(REQUEST), "--output", str(DESK))
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)

    def test_help_version_and_an_option_that_is_none(self):
        result = self.run_script("--help", script=PREVIEW)
        for text in ("[FILE]", "--output", "--open", "detection.json", "\n  2  ", "\n  130  "):
            self.assertIn(text, result.stdout)
        self.assertNotIn("dry-run", result.stdout)
        self.assertIn(emo.VERSION, self.show("--version").stdout)
        self.refuses(self.show(self.write(REQUEST), "--opne"), "arguments")

    def test_at_a_terminal_it_says_what_was_written(self):
        result = self.show(self.write(REQUEST), terminal=True)
        self.assertIn("preview.html", result.stderr)

    def test_copied_alone_it_says_so_in_one_line(self):
        Path("alone").mkdir()
        copy = shutil.copy(PREVIEW, "alone")
        for script, python in ((copy, []), (copy, ["-I"]), (PREVIEW, ["-I"])):
            for words in ([], [FILE], ["--help"]):
                with self.subTest(f"{script} {python} {words}"):
                    result = self.run_script(*words, script=script, python=python)
                    error = self.refuses(result, "arguments")
                    self.assertIn(SCRIPT.name, error["message"])
                    self.assertEqual(len(result.stderr.splitlines()), 1, result)

    def test_no_network_module_is_even_loaded(self):
        self.prepare_files()
        code = (
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import preview_emo_request as p\n"
            "code = p.main(sys.argv[1:])\n"
            "sys.exit(code or 7 * ('socket' in sys.modules or 'webbrowser' in sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code, FILE], capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


@unittest.skipUnless(os.name == "posix", "needs sh")
class Open(PreviewCase):
    def browser(self, script):
        """Make a browser of a shell `script`, the only one there is."""
        path = self.folder / "my browser"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        os.environ["BROWSER"] = f"{shlex.quote(str(path))} %s"

    def test_the_browser_gets_the_page_and_none_of_our_stdout(self):
        self.browser(f'echo noise; echo noise >&2; printf %s "$1" > {self.folder}/opened')
        result = self.run_script(self.write(REQUEST), "--open", script=PREVIEW)
        self.assertEqual((result.code, result.stderr), (0, ""), result)
        self.assertEqual(result.line["warnings"], [])
        opened = Path("opened").read_text()
        self.assertEqual(opened, (self.folder / PAGE).as_uri())

    def test_one_that_stays_in_the_foreground_is_not_waited_for(self):
        self.browser("sleep 30")
        file = self.write(REQUEST)
        with mock.patch.object(preview, "BROWSER_START", 0.2):
            started = time.monotonic()
            result = self.show(file, "--open")
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual((result.code, result.line["warnings"]), (0, []))

    def test_no_browser_is_a_warning(self):
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            os.environ.pop(name, None)
        os.environ["BROWSER"] = "/nonexistent/browser"
        result = self.run_script(self.write(REQUEST), "--open", script=PREVIEW, PATH="/nonexistent")
        self.assertEqual(result.code, 0, result)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["open"])
        self.assertEqual(len(result.stderr.splitlines()), 1)
        self.assertTrue(PAGE.exists())

    def test_without_the_option_no_browser_is_asked(self):
        self.browser(f"touch {self.folder}/opened")
        self.assertEqual(self.show(self.write(REQUEST)).code, 0)
        self.assertFalse(Path("opened").exists())


class WhatItTakes(PreviewCase):
    def test_a_file_without_a_picture_is_refused_and_the_right_one_named(self):
        failed = json.loads((FIXTURES / "detection-fail.json").read_text("utf-8"))
        output = json.loads((FIXTURES / "task-succeeded.json").read_text("utf-8"))
        for what, document, field, hint in (
            ("an answer", ANSWER, "file", "detection.json"),
            ("its output", ANSWER["output"], "file", "detection.json"),
            ("an answer that did not pass", failed, "file", "detection.json"),
            ("a detection not passed", {**DETECTION, "response": failed}, "detection", "detection"),
            ("a detection refused", {**DETECTION, "response": {"code": "x"}}, "detection", "det"),
            ("a detection without request", {"response": ANSWER}, "file", "detection.json"),
            ("one with none", {**DETECTION, "request": None}, "file", "detection.json"),
            ("an answer about a task", output, "file", "task.json"),
            ("response.json", {"task_id": ID, "task_status": "RUNNING"}, "file", "task.json"),
            ("a task of an id", {**TASK, "request": None, "sent": None}, "file", "request.json"),
            ("a task without", {**TASK, "request": {}}, "file", "request.json"),
            ("a task of a detection", {**TASK, "request": DETECT}, "file", "request.json"),
            ("a request of a detection", DETECT, "file", "detection.json"),
            ("nothing", {}, "file", "request.json"),
            ("something", {"a": [1]}, "file", "request.json"),
        ):
            with self.subTest(what):
                error = self.refuses(self.show(self.write(document, "x.json")), field)
                self.assertIn(hint, error["hint"])

    def test_a_request_is_held_to_all_rules_of_prepare(self):
        self.prepare_files()
        prepared = json.loads(Path(FILE).read_text("utf-8"))
        digest = {**prepared, "files": {**prepared["files"], "image_url": "0" * 64}}
        for what, document, field in (
            ("expired", request_with(image_url=OLD_LINK), "image_url"),
            ("private", request_with(audio_url="http://10.0.0.1/a.mp3"), "audio_url"),
            ("ratio", request_with(ext_bbox=[0, 0, 400, 700]), "ext_bbox"),
            ("style", request_with(style_level="loud"), "style_level"),
            ("foreign", {**REQUEST, "seed": 7}, "file"),
            ("boxes", request_with(face_bbox=[0, 0, 50, 50]), "face_bbox"),
            ("changed", digest, "image_url"),
            ("no digest", {**prepared, "files": {}}, "image_url"),
        ):
            with self.subTest(what):
                result = self.show(self.write(document, "x.json"))
                self.assertEqual(result.code, 2, result)
                self.assertIn(field, result.fields)
                self.assertFalse(PAGE.exists())

    def test_a_local_file_is_looked_at_again(self):
        for what, name, content in (
            ("gone", "portrait.png", None),
            ("another", "portrait.png", four_colours(900, 1101)),
            ("a page", "hello.wav", b"<html>"),
        ):
            with self.subTest(what):
                self.prepare_files()
                Path(name).unlink()
                if content:
                    Path(name).write_bytes(content)
                self.refuses(self.show(FILE), "image_url" if ".png" in name else "audio_url")

    def test_what_was_made_is_shown_however_old_its_links_and_files_are(self):
        request = self.prepare_files()
        os.unlink("portrait.png")
        Path("hello.wav").write_bytes(b"another")
        self.page_of({**TASK, "request": request}, self.task(), warnings=2)
        detected = {"model": "emo-v1-detect", "parameters": {"ratio": "1:1"}}
        detected["input"] = {"image_url": request["input"]["image_url"]}
        detected["files"] = {"image_url": request["files"]["image_url"]}
        page = self.page_of({**DETECTION, "request": detected}, "d.json", warnings=1)
        self.assertIn("portrait.png", page.text)
        old = {**DETECT, "input": {"image_url": OLD_LINK}}
        for document, name in (
            ({**DETECTION, "request": old}, "d.json"),
            ({**TASK, "request": request_with(image_url=OLD_LINK)}, self.task()),
        ):
            page = self.page_of(document, name)
            self.assertIn("expired at 2025-01-01T00:00:00Z", page.text)

    def test_a_detection_of_before_is_taken(self):
        before = {"saved_at": "x", "request": DETECTION["sent"], "response": ANSWER}
        self.assertIn("emo-detect-v1", self.page_of(before, "detection.json").text)

    def test_boxes_and_form_of_what_was_made_count(self):
        crooked = {"output": {**ANSWER["output"], "ext_bbox": [0, 0, 400, 700]}}
        error = self.show(self.write({**DETECTION, "response": crooked}, "d.json"))
        self.assertEqual((error.code, error.fields), (2, ["detection"]))
        result = self.show(
            self.write({**TASK, "request": request_with(ext_bbox=[0, 0, 400, 700])}, self.task())
        )
        self.assertEqual((result.code, result.fields[0]), (2, "ext_bbox"), result)

    def test_whatever_a_file_holds_ends_in_the_same_form(self):
        for key, document in (("task", TASK), ("detection", DETECTION), ("request", REQUEST)):
            for name in document:
                for value in (
                    None,
                    7,
                    "x",
                    [],
                    {},
                    {"output": 7},
                    {"output": {"task_id": 7}},
                    "\ud800",
                ):
                    with self.subTest(f"{key} {name} {value!r}"):
                        result = self.show(self.write({**document, name: value}, "x.json"))
                        self.assertIn(result.code, (0, 2), result)
        for value in (
            "",
            "[]",
            "{",
            '{"task_status": [], "code": {}, "message": 7, "task_id": []}',
        ):
            with self.subTest(value):
                path = self.write(TASK, self.task())
                (DESK / "tasks/3f9a12c07b1e/response.json").write_text(value)
                self.assertEqual(self.show(path).code, 0)


class WhatStandsOnIt(PreviewCase):
    def test_facts_of_a_request(self):
        later = int(time.time()) + 90 * 60
        link = "https://example.com/my%20portr%C3%A4t.png"
        link += f"?Expires={later}&OSSAccessKeyId=k&Signature=s"
        boxes = {"face_bbox": [200, 100, 500, 500], "ext_bbox": [100, 0, 700, 800]}
        request = request_with(image_url=link, **boxes)
        page = self.page_of(request)
        digits = requests.request_name(request, "")
        for text in (
            *("3:4", "512x704", "512x704 pixels, not quite 3:4", "active", "emo-v1"),
            *("my porträt.png", "speech.mp3", f"expires at {emo.utc(later)}", digits),
            *("does not tell when it expires", "CNY 0.16 a second", emo.PRICES_OF, "EXIF"),
            *("200, 100, 500, 500: 300x400 pixels", "100, 0, 700, 800: 600x800 pixels"),
            "Do not publish",
        ):
            self.assertIn(text, page.text)
        self.assertRegex(
            page.text, r"Page made at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ for the request"
        )
        self.assertEqual(page.of("portrait")["src"], link)
        self.assertEqual(page.of("recording")["src"], AUDIO_URL)

    def test_1_1_is_exact(self):
        text = self.page_of(REQUEST).text
        self.assertIn("512x512 pixels.", text)
        self.assertNotIn("not quite", text)

    def test_the_digits_count_another_service_for_itself(self):
        os.environ["DASHSCOPE_BASE_URL"] = " http://127.0.0.1:8080 "
        digits = requests.request_name(REQUEST, "http://127.0.0.1:8080")
        self.assertNotEqual(digits, requests.request_name(REQUEST, ""))
        self.assertIn(digits, self.page_of(REQUEST).text)
        os.environ["DASHSCOPE_BASE_URL"] = "http://["
        PAGE.unlink()
        self.refuses(self.show(FILE), "base_url")

    def test_the_length_of_a_local_file_is_what_prepare_found(self):
        request = self.prepare_files(seconds=12.4)
        page = self.page_of(request)
        self.assertIn("12.4 s", page.text)
        self.assertIn("CNY 0.99", page.text)
        self.assertNotIn("about", page.text)
        self.assertEqual(page.of("recording")["data-seconds"], "12.4")
        self.assertEqual(page.of("portrait")["src"], (self.folder / "portrait.png").as_uri())
        self.assertNotIn("12.4 s", self.page_of(REQUEST).text)
        boxes = ("--face-bbox", "300,290,640,700", "--ext-bbox", "90,40,855,1060")
        self.assertIn("CNY 1.98", self.page_of(self.prepare_files(*boxes)).text)

    def test_a_warning_of_prepare_is_on_the_page_too(self):
        soon = int(time.time()) + 60
        link = f"{IMAGE_URL}?Expires={soon}&OSSAccessKeyId=k&Signature=s"
        page = self.page_of(request_with(image_url=link), warnings=1)
        self.assertIn("the service may fetch it later than that", page.text)

    def test_a_detection_has_no_recording_and_no_digits(self):
        page = self.page_of(DETECTION, "detection.json")
        self.assertEqual(page.all("audio"), [])
        self.assertIn("CNY 0.08 a second", page.text)
        self.assertNotIn("for the request", page.text)
        self.assertEqual(page.of("preview")["data-ext"], "71,9,840,778")

    def test_of_a_task_the_request_is_shown_never_what_was_sent(self):
        markup = self.markup_of(TASK, self.task())
        self.assertNotIn("s3nt", markup)
        self.assertIn(IMAGE_URL, markup)

    def test_a_task_has_its_state_and_its_video(self):
        self.task(answer={"task_id": ID, "task_status": "SUCCEEDED"}, video=b"video")
        page = self.page_of(TASK, "tasks/3f9a12c07b1e/task.json")
        self.assertIn("A task: made, SUCCEEDED", page.text)
        uri = (self.folder / DESK / "tasks/3f9a12c07b1e/video.mp4").as_uri()
        self.assertEqual(page.of("video")["src"], uri)
        failed = {
            "task_id": ID,
            "task_status": "FAILED",
            "code": "InvalidFile.Size",
            "message": "big",
        }
        name = self.task("000000000000", answer=failed)
        page = self.page_of(TASK, name)
        self.assertIn("made, FAILED, InvalidFile.Size, big", page.text)
        self.assertEqual(page.all("video"), [])
        refused = {"state": "refused", "response": {"code": "Arrearage", "message": "unpaid"}}
        page = self.page_of({**TASK, **refused}, self.task("000000000001"))
        self.assertIn("refused, Arrearage, unpaid", page.text)

    def test_a_word_of_the_service_shows_no_signature(self):
        said = {"code": "InvalidURL", "message": "no https://example.com/a?Signature=s3cret here"}
        page = self.page_of({**TASK, "response": said}, self.task())
        self.assertIn("InvalidURL", page.text)
        self.assertNotIn("s3cret", page.text)


@unittest.skipUnless(os.name == "posix", "the shell of POSIX")
class Next(PreviewCase):
    def test_of_a_request_it_runs_it(self):
        folder = self.folder / f"my {NAME}'s & files" / "aliyun-emo"
        folder.mkdir(parents=True)
        path = folder / "request.json"
        path.write_text(json.dumps(REQUEST))
        os.chdir(folder)
        self.assertEqual(self.show("request.json").code, 0)
        page = Page(Path("preview.html").read_text("utf-8"))
        self.assertEqual(self.command(page), [sys.executable, str(RUN), str(path)])

    def test_of_a_detection_it_prepares_and_the_command_works(self):
        link = "https://example.com/a'b.png?Expires=9999999999&OSSAccessKeyId=k&Signature=s%3D"
        request = {**DETECT, "input": {"image_url": link}}
        page = self.page_of({**DETECTION, "request": request}, "detection.json")
        words = self.command(page)
        output = f"OUTPUT_DIR={self.folder / 'output'}"
        self.assertEqual(words[:4], ["env", output, sys.executable, str(SCRIPT)])
        self.assertIn("AUDIO_URL", words)
        words = [AUDIO_URL if word == "AUDIO_URL" else word for word in words[4:]]
        result = self.run_script(*words)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(json.loads(Path(FILE).read_text())["input"]["image_url"], link)

    def test_of_a_detection_of_a_local_file_too(self):
        Path("my portrait+.png").write_bytes(four_colours(900, 1100))
        self.call("detect", "--image", "my portrait+.png")
        request = json.loads((DESK / "detect_request.json").read_text())
        page = self.page_of({**DETECTION, "request": request}, "detection.json")
        Path("hello.wav").write_bytes(wav(3))
        words = ["hello.wav" if word == "AUDIO_FILE" else word for word in self.command(page)]
        self.assertEqual(self.run_script(*words[4:]).code, 0)
        self.assertEqual(self.show(FILE).code, 0)

    def test_of_a_task_it_goes_on_with_it_where_it_lies(self):
        page = self.page_of(TASK, self.task())
        output = f"OUTPUT_DIR={self.folder / 'output'}"
        run = [sys.executable, str(RUN), "--task", ID]
        self.assertEqual(self.command(page), ["env", output, *run])
        Path("task.json").write_text(json.dumps(TASK))
        self.show("task.json")
        page = Page(Path("preview.html").read_text("utf-8"))
        self.assertEqual(self.command(page), ["env", output, *run])

    def test_of_a_task_the_digits_are_its_folder_s(self):
        for folder in ("0123456789ab", "0123456789ab-2"):
            os.environ["DASHSCOPE_BASE_URL"] = "http://["
            page = self.page_of(TASK, f"tasks/{folder}/task.json")
            self.assertIn(folder, page.text)

    def test_of_a_task_behind_a_link_the_command_knows_its_folder(self):
        Path("store").mkdir()
        Path("output").mkdir(exist_ok=True)
        if DESK.exists():
            shutil.rmtree(DESK)
        DESK.symlink_to(self.folder / "store")
        page = self.page_of(TASK, self.task())
        self.assertEqual(self.command(page)[:2], ["env", f"OUTPUT_DIR={self.folder / 'output'}"])

    def test_of_a_request_elsewhere_the_command_knows_where_its_tasks_are(self):
        Path("mine").mkdir()
        Path("mine/req.json").write_text(json.dumps(REQUEST))
        for output, place in ((None, "output"), ("my files", "my files")):
            with self.subTest(place), mock.patch.dict(os.environ):
                if output:
                    os.environ["OUTPUT_DIR"] = output
                self.assertEqual(self.show("mine/req.json").code, 0)
                page = Page(Path("mine/preview.html").read_text("utf-8"))
                words = [sys.executable, str(RUN), str(self.folder / "mine/req.json")]
                output_dir = f"OUTPUT_DIR={self.folder / place}"
                self.assertEqual(self.command(page), ["env", output_dir, *words])

    def test_a_url_that_a_browser_reads_otherwise_is_refused(self):
        request = self.prepare_files()
        url = request["input"]["image_url"]
        for end in ("?x", "#x", "%2e", "/../portrait.png", "\\x"):
            with self.subTest(end):
                given = {**request["input"], "image_url": url + end}
                result = self.show(self.write({**request, "input": given}))
                self.assertEqual((result.code, result.fields), (2, ["image_url"]), result)

    def test_of_a_task_without_an_id_it_says_what_to_do(self):
        for state, words in (
            ("refused", "no task"),
            ("unclear", "console"),
            ("sending", "console"),
        ):
            for response in (None, {"output": {"task_id": "a b"}}, {"output": {"task_id": "\x1b"}}):
                with self.subTest(f"{state} {response}"):
                    changed = {**TASK, "state": state, "response": response}
                    page = self.page_of(changed, self.task())
                    self.assertIn(words, page.text)
                    self.assertIsNone(page.of("command"))

    def test_no_path_acts_on_the_terminal_it_is_pasted_to(self):
        for name in ("a\x03b", "a\u202eb", "a\nb", "a\x1b[2J"):
            with self.subTest(repr(name)):
                folder = self.folder / name
                folder.mkdir()
                path = folder / "request.json"
                path.write_text(json.dumps(REQUEST))
                self.assertEqual(self.show(str(path)).code, 0)
                markup = (folder / "preview.html").read_text("utf-8")
                self.assertNotIn(name, markup)
                self.assertEqual(self.command(Page(markup))[-1], "PATH")
                os.chdir(folder)
                self.assertEqual(self.show("request.json").code, 0)
                words = self.command(Page(Path("preview.html").read_text("utf-8")))
                self.assertEqual((words[:2], words[-1]), (["env", "OUTPUT_DIR=PATH"], "PATH"))
                os.chdir(self.folder)

    @unittest.skipUnless(sys.platform == "linux", "names that are no UTF-8")
    def test_a_name_that_is_no_utf_8_breaks_nothing(self):
        picture = os.fsdecode(b"\xfe.png")
        request = self.prepare_files()
        os.rename("portrait.png", picture)
        request["input"]["image_url"] = local_files.file_url(picture)
        self.assertIn("\ufffd.png", self.page_of(request).text)
        detect = {**DETECT, "input": {"image_url": local_files.file_url(picture)}}
        detect["files"] = {"image_url": request["files"]["image_url"]}
        page = self.page_of({**DETECTION, "request": detect}, "detection.json")
        self.assertIn("PATH", self.command(page))


class Safety(PreviewCase):
    HOSTILE = (
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%22%20onerror%3D%22alert(1)",
        "%3C%2Ftitle%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        "'%3E%3Cb%3E",
        "%7Bstyle%7D%7B0%7D%25s",
        "%3C!--",
        "]]%3E%26lt%3B",
        '"onerror="alert(1)',
        "<img/src=x/onerror=alert(1)>",
        "a&lt;b&copy=1",
    )
    ATTRIBUTES = set(
        "alt aria-describedby aria-hidden aria-label charset class content controls d data-ext"
        " data-face data-least data-most data-patience data-price data-seconds data-too-long dir"
        " hidden http-equiv id lang name preload role src".split()
    )

    def outline(self, page):
        """Return all elements and the names of their attributes."""
        return [(tag, sorted(attributes)) for tag, attributes in page.elements]

    def test_what_comes_from_outside_stays_text(self):
        plain = self.outline(self.page_of(REQUEST))
        said = {"output": {"task_id": ID}, "code": "<script>", "message": "<b onclick=x>&lt;"}
        plain_task = self.outline(self.page_of(TASK, self.task()))
        plain_detection = self.outline(self.page_of(DETECTION, "detection.json"))
        for name in self.HOSTILE:
            with self.subTest(name):
                link = f"https://example.com/{name}.png"
                request = request_with(image_url=link, audio_url=link.replace(".png", ".wav"))
                page = self.page_of(request)
                self.assertEqual(self.outline(page), plain)
                self.assertIn(emo.unescaped(name.rpartition("/")[2]) + ".png", page.text)
                self.assertEqual(page.of("portrait")["src"], request["input"]["image_url"])
                self.assertEqual(page.of("recording")["src"], request["input"]["audio_url"])
                for tag, attributes in page.elements:
                    self.assertLessEqual(set(attributes), self.ATTRIBUTES, tag)
                detect = {**DETECT, "input": {"image_url": link}}
                page = self.page_of({**DETECTION, "request": detect}, "detection.json")
                self.assertEqual(self.outline(page), plain_detection)
                self.assertIn(link, self.command(page))
                task = {**TASK, "request": request, "state": "<script>", "response": said}
                page = self.page_of(task, self.task())
                self.assertEqual(self.outline(page), plain_task)
                self.assertIn("<script>, <script>, <b onclick=x>&lt;", page.text)

    def test_a_direction_override_is_shown_and_does_nothing(self):
        for mark in "\u202e\u202b\u2066\u2067\u2068\u200f\u061c\u2028\ufeff\x1b\x9b\x00":
            with self.subTest(f"U+{ord(mark):04X}"):
                name = "".join(f"%{byte:02X}" for byte in f"a{mark}gnp".encode())
                said = {"code": f"a{mark}b", "message": "\u05d0\u05d1"}
                request = request_with(image_url=f"https://example.com/{name}.png")
                task = {**TASK, "request": request, "response": said}
                markup = self.markup_of(task, self.task())
                self.assertNotIn(mark, markup)
                escape = mark.encode("unicode_escape").decode()
                self.assertIn(f"<bdi>a{escape}gnp.png</bdi>", markup)
                self.assertRegex(markup, "<bdi>[^<]*\u05d0\u05d1</bdi>")

    def test_the_policy_allows_the_one_script_and_the_one_style(self):
        page = self.page_of(REQUEST)
        (policy,) = (
            a["content"]
            for a in page.all("meta")
            if a.get("http-equiv") == "Content-Security-Policy"
        )
        hashes = {}
        for tag in ("script", "style"):
            self.assertEqual(len(page.all(tag)), 1)
            digest = hashlib.sha256("".join(page.code[tag]).encode()).digest()
            hashes[tag] = f"'sha256-{base64.b64encode(digest).decode()}'"
        self.assertEqual(
            [words.strip() for words in policy.split(";")],
            [
                "default-src 'none'",
                f"script-src {hashes['script']}",
                f"style-src {hashes['style']}",
                "img-src https: http: file:",
                "media-src https: http: file:",
                "base-uri 'none'",
                "form-action 'none'",
            ],
        )
        tags = [tag for tag, _ in page.elements]
        self.assertLess(tags.index("meta"), tags.index("style"))
        self.assertEqual(page.elements[4][1].get("http-equiv"), "Content-Security-Policy")
        self.assertIn({"name": "referrer", "content": "no-referrer"}, page.all("meta"))

    def test_script_and_style_are_the_same_on_every_page(self):
        codes = []
        for document, name in ((REQUEST, "r.json"), (DETECTION, "d.json"), (TASK, self.task())):
            page = self.page_of(document, name)
            codes.append((page.code["script"], page.code["style"]))
        self.assertEqual(codes[0], codes[1])
        self.assertEqual(codes[0], codes[2])

    def test_the_page_needs_no_other_file_than_the_media(self):
        page = self.page_of(REQUEST)
        links = [
            v for _, a in page.elements for k, v in a.items() if k in ("src", "href", "srcset")
        ]
        self.assertEqual(links, [IMAGE_URL, AUDIO_URL])
        for word in ("url(", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
            self.assertNotIn(word, "".join(page.code["script"] + page.code["style"]))

    def test_the_page_is_small_also_with_the_longest_links(self):
        long = "?x=" + "&'%22%3C" * 1000  # 8,000 characters: more than servers take
        links = {"image_url": IMAGE_URL + long, "audio_url": AUDIO_URL + long}
        self.assertLess(len(self.markup_of(REQUEST)), 20 * 1024)
        detect = {**DETECT, "input": {"image_url": IMAGE_URL + long}}
        for document, name in (
            (request_with(**links), "request.json"),
            ({**DETECTION, "request": detect}, "detection.json"),
            ({**TASK, "request": request_with(**links)}, self.task(video=b"video")),
        ):
            with self.subTest(name):
                self.assertLess(len(self.markup_of(document, name)), 64 * 1024)


if __name__ == "__main__":
    unittest.main()
