"""The command that comes after what a page shows: it works as it stands there."""

import json
import os
import shutil
import sys
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
    SHOWN,
    TASK,
    Page,
    PreviewCase,
    four_colours,
    request_with,
)
from support.service import KEY, wav

from aliyun_emo import local_files


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
