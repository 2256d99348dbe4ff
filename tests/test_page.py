"""The page, without a browser: where it goes, what stands on it, and what never does."""

import base64
import hashlib
import json
import os
import shlex
import shutil
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, NAME, REQUEST, RUN, SCRIPT, emo
from support.page import (
    DESK,
    DETECT,
    DETECTION,
    FILE,
    ID,
    PAGE,
    PAGE_BEGINS,
    PREVIEW,
    SHOWN,
    TASK,
    Page,
    PreviewCase,
    four_colours,
    request_with,
)
from support.service import KEY, wav

from aliyun_emo import local_files, requests

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

    def test_a_task_has_its_state_and_its_video(self):
        self.task(answer={"task_id": ID, "task_status": "SUCCEEDED"}, video=b"video")
        page = self.page_of(TASK, "tasks/3f9a12c07b1e/task.json")
        self.assertIn("A task: made, SUCCEEDED", page.text)
        self.assertNotIn("Until when", page.text)
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

    def test_a_request_whose_video_was_made_has_it(self):
        made, sent = None, "FAILED"  # of the last attempt, with which its command goes on
        for attempt, (name, video) in enumerate(
            (
                ("6872062bccf0", b""),
                ("6872062bccf0-2", b"second"),
                ("6872062bccf0-3", b""),
                ("6872062bccf0-10", b"last"),
                ("000000000000", b"of another"),
            ),
            1,
        ):
            answer = {"task_id": ID, "task_status": "SUCCEEDED" if video else "FAILED"}
            self.task(name, answer, video, attempt=attempt)
            if name.startswith("6872"):
                made, sent = (name if video else None), answer["task_status"]
            for file in ("request.json", "requests/6872062bccf0.json"):
                with self.subTest(f"{name} {file}"):
                    page = self.page_of(REQUEST, file)
                    path = self.folder / DESK / "tasks" / str(made) / "video.mp4"
                    shown = [element["src"] for element in page.all("video")]
                    self.assertEqual(shown, [path.as_uri()] if made else [])
                    self.assertIn("costs nothing", page.text)
                    for text in ("whose video was made", "was made already"):
                        self.assertEqual(text in page.text, bool(made), text)
                    for text in ("request that was sent: made, FAILED", "was sent already"):
                        self.assertEqual(text in page.text, not made, text)
                    for text in ("Until when", "How long"):
                        self.assertEqual(text in page.text, not made, text)
                    self.assertIn(f"made, {sent}", page.text)
                    self.assertNotIn("costs money", page.text)
                    self.assertEqual(self.command(page)[-1], str(self.folder / SHOWN))

    def test_what_is_asked_next_is_answered(self):
        boxes = {"face_bbox": [200, 100, 500, 500], "ext_bbox": [100, 0, 700, 800]}
        for document, name, ratio in (
            (REQUEST, "request.json", "1:1"),
            (request_with(**boxes), "request.json", "3:4"),
            (DETECTION, "detection.json", "1:1"),
            (TASK, self.task(), "1:1"),
        ):
            with self.subTest(f"{name} {ratio}"):
                page = self.page_of(document, name)
                for text in (
                    *("Do not change them by hand", "another picture", "or with the other ratio"),
                    *(f"These boxes have the ratio {ratio}", "--ratio 1:1", "--ratio 3:4"),
                    "13.93 seconds took two minutes",
                    *("15 seconds in the queue", "One task runs at a time", "24 hours after"),
                ):
                    self.assertIn(text, page.text)

    def test_price_and_command_stand_before_the_pictures(self):
        for document, name in ((REQUEST, "r.json"), (DETECTION, "d.json"), (TASK, self.task())):
            ids = [a["id"] for _, a in self.page_of(document, name).elements if "id" in a]
            places = [ids.index(name) for name in ("price", "command", "portrait")]
            self.assertEqual(places, sorted(places), name)


@unittest.skipUnless(os.name == "posix", "the shell of POSIX")
class Next(PreviewCase):
    def test_of_a_request_it_runs_it(self):
        folder = self.folder / f"my {NAME}'s & files" / "aliyun-emo"
        folder.mkdir(parents=True)
        path = folder / "request.json"
        path.write_text(json.dumps(REQUEST))
        os.chdir(folder)
        page = Page(Path(self.show("request.json").line["preview_path"]).read_text("utf-8"))
        shown = folder / "requests" / SHOWN.name
        self.assertEqual(self.command(page), [sys.executable, str(RUN), str(shown)])

    def test_each_page_s_command_runs_what_that_page_shows(self):
        os.environ["DASHSCOPE_API_KEY"] = KEY
        pages = []
        for audio in ("one.mp3", "two.mp3", "three.mp3", "one.mp3"):
            request = request_with(audio_url=f"https://example.com/{audio}")
            pages.append((request, self.page_of(request)))
        self.assertEqual(len(list((DESK / "previews").iterdir())), 3)
        os.chdir("/")
        for request, page in pages:
            words = self.command(page)[1:]
            result = self.run_script(*words[1:], "--dry-run", "--no-look", script=words[0])
            self.assertEqual((result.code, result.line["request"]), (0, request), result)
            self.assertEqual(page.of("recording")["src"], request["input"]["audio_url"])

    def test_what_was_changed_since_it_was_shown_is_not_run(self):
        os.environ["DASHSCOPE_API_KEY"] = KEY
        file = self.command(self.page_of(REQUEST))[-1]
        for style_level, code in (("active", 0), ("calm", 2)):
            Path(file).write_text(json.dumps(request_with(style_level=style_level)))
            result = self.call_run(file, "--dry-run", "--no-look")
            self.assertEqual(result.code, code, result)
        self.assertEqual(result.fields, ["file"])

    def test_of_a_detection_it_prepares_and_the_command_works(self):
        link = "https://example.com/a'b.png?Expires=9999999999&OSSAccessKeyId=k&Signature=s%3D"
        request = {**DETECT, "input": {"image_url": link}}
        page = self.page_of({**DETECTION, "request": request}, "detection.json")
        words = self.command(page)
        self.assertEqual(words[:2], [sys.executable, str(SCRIPT)])
        self.assertIn("AUDIO_URL", words)
        words = [AUDIO_URL if word == "AUDIO_URL" else word for word in words[2:]]
        os.chdir("/")
        result = self.run_script(*words)
        os.chdir(self.folder)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(json.loads(Path(FILE).read_text())["input"]["image_url"], link)

    def test_of_a_detection_of_a_local_file_too(self):
        Path("my portrait+.png").write_bytes(four_colours(900, 1100))
        self.call("detect", "--image", "my portrait+.png")
        request = json.loads((DESK / "detect_request.json").read_text())
        page = self.page_of({**DETECTION, "request": request}, "detection.json")
        Path("hello.wav").write_bytes(wav(3))
        words = ["hello.wav" if word == "AUDIO_FILE" else word for word in self.command(page)]
        self.assertEqual(self.run_script(*words[2:]).code, 0)
        self.assertEqual(self.show(FILE).code, 0)

    def test_of_a_task_it_goes_on_with_it_where_it_lies(self):
        page = self.page_of(TASK, self.task())
        run = [sys.executable, str(RUN), "--task"]
        folder = (self.folder / DESK / self.task()).parent
        self.assertEqual(self.command(page), [*run, str(folder)])
        Path("task.json").write_text(json.dumps(TASK))
        page = Page(Path(self.show("task.json").line["preview_path"]).read_text("utf-8"))
        self.assertEqual(self.command(page), [*run, ID])

    def test_of_a_task_behind_a_link_the_command_knows_its_folder(self):
        Path("store").mkdir()
        Path("output").mkdir(exist_ok=True)
        if DESK.exists():
            shutil.rmtree(DESK)
        DESK.symlink_to(self.folder / "store")
        page = self.page_of(TASK, self.task())
        folder = Path(self.command(page)[-1])
        self.assertTrue(folder.samefile((DESK / self.task()).parent))

    def test_of_a_request_elsewhere_the_command_knows_where_its_tasks_are(self):
        Path("mine").mkdir()
        Path("mine/req.json").write_text(json.dumps(REQUEST))
        for output, place in ((None, "output"), ("my files", "my files")):
            with self.subTest(place), mock.patch.dict(os.environ):
                if output:
                    os.environ["OUTPUT_DIR"] = output
                result = self.show("mine/req.json")
                page = Page(Path(result.line["preview_path"]).read_text("utf-8"))
                shown = self.folder / place / "aliyun-emo/requests" / SHOWN.name
                self.assertEqual(self.command(page), [sys.executable, str(RUN), str(shown)])

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
                os.chdir(folder)
                for document, words in (
                    (REQUEST, [sys.executable, str(RUN), "PATH"]),
                    (TASK, [sys.executable, str(RUN), "--task", ID]),
                ):
                    Path("x.json").write_text(json.dumps(document))
                    markup = Path(self.show("x.json").line["preview_path"]).read_text("utf-8")
                    self.assertNotIn(name, markup)
                    self.assertEqual(self.command(Page(markup)), words)
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
                self.assertIn("sending, <script>, <b onclick=x>&lt;", page.text)

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
        self.assertEqual(links, [AUDIO_URL, IMAGE_URL])
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
