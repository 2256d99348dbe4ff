"""Showing what was prepared: where the page and the request as shown lie, and the browser."""

import json
import os
import shlex
import time
import unittest
from pathlib import Path
from unittest import mock

from support import NAME, REQUEST
from support.page import (
    DESK,
    DETECT,
    DETECTION,
    FILE,
    PAGE,
    PAGE_BEGINS,
    PREVIEW,
    SHOWN,
    TASK,
    PreviewCase,
    request_with,
)

from aliyun_emo import requests

PICTURE = requests.detection_name(DETECT, "").partition("-")[0]  # the digits of its picture


class Place(PreviewCase):
    def test_stdout_is_refused(self):
        error = self.refuses(self.show(self.write(REQUEST), "--output", "-"), "output")
        self.assertNotIn("dry-run", error["hint"])

    def test_output_names_another_file_and_its_folders_are_made(self):
        file = self.write(REQUEST)
        for name in ("page.html", os.path.join("a", "b c", f"{NAME}.html")):
            with self.subTest(name):
                self.assertEqual(self.show(file, "--output", name).line["preview_path"], name)
                self.assertIn("<!doctype html>", Path(name).read_text("utf-8"))
        self.assertFalse(PAGE.exists())

    def test_each_page_has_the_name_of_what_it_shows(self):
        Path("loose.json").write_text(json.dumps(REQUEST))
        for file, name in (
            (self.write(REQUEST), "6872062bccf0"),
            ("loose.json", "6872062bccf0"),
            (self.write(REQUEST, "requests/6872062bccf0.json"), "6872062bccf0"),
            (self.write(DETECTION, "detection.json"), f"{PICTURE}-1x1"),
            (self.write(DETECTION, f"detections/{PICTURE}-1x1.json"), f"{PICTURE}-1x1"),
            (self.write(TASK, self.task()), "3f9a12c07b1e"),
            (self.write(TASK, self.task("3f9a12c07b1e-2")), "3f9a12c07b1e-2"),
        ):
            with self.subTest(file):
                page_path = str(DESK / "previews" / f"{name}.html")
                self.assertEqual(self.show(file).line["preview_path"], page_path)

    def test_only_a_request_is_kept_and_as_it_was_shown(self):
        files = self.prepare_files()
        for document, name, kept in (
            (DETECTION, "detection.json", None),
            (TASK, self.task(), None),
            (REQUEST, "request.json", REQUEST),
            (request_with(style_level="calm"), "request.json", request_with(style_level="calm")),
            (files, "request.json", files),
        ):
            with self.subTest(name):
                line = self.show(self.write(document, name), "--output", "page.html").line
                path = line.get("request_path")
                self.assertEqual(path and json.loads(Path(path).read_text("utf-8")), kept)

    def test_the_page_never_replaces_what_it_shows(self):
        file = self.write(REQUEST)
        before = Path(file).read_bytes()
        os.symlink("request.json", DESK / "link.html")
        for path in (file, os.path.abspath(file), str(DESK / "link.html"), str(SHOWN)):
            with self.subTest(path):
                result = self.show(file, "--output", path)
                self.assertEqual((result.code, result.fields), (2, ["output"]), result)
                self.assertEqual(Path(file).read_bytes(), before)

    def test_an_earlier_page_outlives_a_refusal(self):
        self.show(self.write(REQUEST))
        before = PAGE.read_bytes(), SHOWN.read_bytes()
        for document in (request_with(style_level="loud"), {**REQUEST, "seed": 7}):
            self.assertEqual(self.show(self.write(document)).code, 2)
            self.assertEqual((PAGE.read_bytes(), SHOWN.read_bytes()), before)
            self.assertEqual(len(self.files()), 3)

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_without_room_the_earlier_page_is_whole(self):
        file = self.write(REQUEST)
        earlier = PAGE_BEGINS.decode() + "earlier"
        PAGE.parent.mkdir()
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
        page = Path(self.show(FILE).line["preview_path"])
        page.unlink()
        page.symlink_to(self.folder / "portrait.png")
        before = Path("portrait.png").read_bytes()
        self.assertEqual(self.show(FILE).fields, ["output"])
        self.assertEqual(Path("portrait.png").read_bytes(), before)

    def test_a_place_that_cannot_be_written_is_exit_1(self):
        result = self.show(self.write(REQUEST), "--output", str(DESK))
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)


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
        with mock.patch("aliyun_emo.previews.BROWSER_START", 0.2):
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


if __name__ == "__main__":
    unittest.main()
