"""Showing what was prepared: where the page and the request as shown lie, and the browser."""

import json
import os
import shlex
import shutil
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, NAME, REQUEST, RUN, SCRIPT
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
        self.assertIn("prepare --dry-run", error["hint"])  # which is no option here

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

    def test_that_the_next_command_pays_is_said(self):
        result = self.show(self.write(REQUEST), terminal=True)
        self.assertIn("the next command pays for it\nnext: ", result.stderr)

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


if __name__ == "__main__":
    unittest.main()
