"""What a file shows, and what is refused: a request, a detection, a task."""

import json
import os
import shlex
import shutil
import unittest
from pathlib import Path

from support import IMAGE_URL, REQUEST, arguments
from support.page import (
    ANSWER,
    DESK,
    DETECT,
    DETECTION,
    FILE,
    ID,
    OLD_LINK,
    PREVIEW,
    TASK,
    PreviewCase,
    four_colours,
    request_with,
)
from support.service import fixture
from support.upload_case import UploadCase

from aliyun_emo import requests


class WhatItTakes(PreviewCase):
    def test_stdin_is_refused(self):
        self.write(REQUEST)
        result = self.run_script("-", script=PREVIEW, input=json.dumps(REQUEST).encode())
        self.assertIn("place", self.refuses(result, "file")["message"])

    def test_a_file_that_is_not_there_or_no_json(self):
        Path("text.json").write_text("hello")
        Path("list.json").write_text("[]")
        for words in (["none.json"], ["text.json"], ["list.json"], ["output"], [""], []):
            with self.subTest(words):
                error = self.refuses(self.show(*words), "file")
                self.assertNotIn("stdin", error["message"] + error["hint"])

    def test_a_file_without_a_picture_is_refused_and_the_right_one_named(self):
        failed = fixture("detection-fail")
        output = fixture("task-succeeded")
        for what, document, field, hint in (
            ("an answer", ANSWER, "file", "detection.json"),
            ("its output", ANSWER["output"], "file", "detection.json"),
            ("an answer that did not pass", failed, "file", "detection.json"),
            ("a detection not passed", {**DETECTION, "response": failed}, "detection", "photo"),
            (
                "a detection refused",
                {**DETECTION, "response": {"code": "x"}},
                "detection",
                "support",
            ),
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
                self.assertFalse((DESK / "previews").exists())

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

    def test_a_url_that_a_browser_reads_otherwise_is_refused(self):
        request = self.prepare_files()
        url = request["input"]["image_url"]
        for end in ("?x", "#x", "%2e", "/../portrait.png", "\\x"):
            with self.subTest(end):
                given = {**request["input"], "image_url": url + end}
                result = self.show(self.write({**request, "input": given}))
                self.assertEqual((result.code, result.fields), (2, ["image_url"]), result)


class WhatItKnows(PreviewCase):
    def test_of_a_task_the_request_is_shown_never_what_was_sent(self):
        markup = self.markup_of(TASK, self.task())
        self.assertNotIn("s3nt", markup)
        self.assertIn(IMAGE_URL, markup)

    def test_a_word_of_the_service_shows_no_signature(self):
        said = {"code": "InvalidURL", "message": "no https://example.com/a?Signature=s3cret here"}
        page = self.page_of({**TASK, "response": said}, self.task())
        self.assertIn("InvalidURL", page.text)
        self.assertNotIn("s3cret", page.text)

    def test_the_digits_count_another_service_for_itself(self):
        os.environ["DASHSCOPE_BASE_URL"] = " http://127.0.0.1:8080 "
        digits = requests.request_name(REQUEST, "http://127.0.0.1:8080")
        self.assertNotEqual(digits, requests.request_name(REQUEST, ""))
        self.assertIn(digits, self.page_of(REQUEST).text)
        for variable in ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"):  # the second comes first
            os.environ[variable] = "http://["  # nothing is sent there, and here nothing is sent
            shutil.rmtree(DESK / "previews", ignore_errors=True)
            self.assertIn(requests.request_name(REQUEST, ""), self.page_of(REQUEST).text)
        os.environ["DASHSCOPE_HTTP_BASE_URL"] = "http://127.0.0.1:9090/x"
        self.assertIn(digits, self.page_of(REQUEST).text)

    def test_of_a_task_the_digits_are_its_folder_s(self):
        for folder in ("0123456789ab", "0123456789ab-2"):
            os.environ["DASHSCOPE_BASE_URL"] = "http://["
            page = self.page_of(TASK, f"tasks/{folder}/task.json")
            self.assertIn(folder, page.text)


class Earlier(UploadCase):
    """What prepare says when it refuses: what is known, and that an earlier file is still there."""

    def refused(self, *words):
        return self.ends(self.call(*words), 2)

    def test_the_earlier_request_is_named_and_stays(self):
        before = Path(FILE).read_bytes()
        digits = requests.request_name(json.loads(before), os.environ["DASHSCOPE_BASE_URL"])
        result = self.refused(*arguments(style_level="loud"))
        (warning,) = result.line["warnings"]
        self.assertIn(f"still the earlier request {digits}: portrait.png, speech.mp3", str(warning))
        self.assertIn(f"still the earlier request {digits}", result.stderr)
        self.assertEqual(Path(FILE).read_bytes(), before)
        result = self.refused("detect", "--image-url", "x")
        self.assertIn("portrait.png", result.line["warnings"][0]["message"])

    def test_of_what_is_no_request_nothing_is_said(self):
        for content in (b"", b"{", b"[]", b"{}", b'{"input": {}}', b'{"input": 7}'):
            with self.subTest(content):
                Path(FILE).write_bytes(content)
                self.assertEqual(self.refused(*arguments(style_level="x")).line["warnings"], [])
        os.unlink(FILE)
        self.assertEqual(self.refused(*arguments(style_level="x")).line["warnings"], [])

    def test_a_refusal_has_the_facts_and_the_price_as_far_as_they_are_known(self):
        words = ("--image", str(self.image), "--audio", str(self.audio))
        line = self.refused(*words).line
        self.assertEqual((line["audio"]["seconds"], line["image"]["width"]), (12.38, 1000))
        self.assertEqual(
            {r: e["cny"] for r, e in line["estimates"].items()}, {"1:1": 0.99, "3:4": 1.98}
        )
        boxes = ("--face-bbox", "302,286,610,593", "--ext-bbox", "71,9,840,778")
        line = self.refused(*words, *boxes, "--style-level", "loud").line
        self.assertEqual((line["estimate"]["cny"], "estimates" in line), (0.99, False))

    def test_without_boxes_the_detection_of_that_picture_is_named(self):
        for words, named in (
            (("--image", str(self.image)), ["--image", str(self.image)]),
            (("--image-url", IMAGE_URL), ["--image-url", IMAGE_URL]),
            (("--image-url", OLD_LINK), ["--image-url", "PICTURE"]),
            (("--image-url", "https://me:s3cret@example.com/a.png"), ["--image-url", "PICTURE"]),
            ((), ["--image", "PICTURE"]),
        ):
            with self.subTest(words):
                result = self.refused(*words, "--audio", str(self.audio))
                hints = [e["hint"] for e in result.line["errors"] if e["field"] == "ext_bbox"]
                command = shlex.split(hints[0].partition(": ")[2])
                self.assertEqual(command[-3:], ["detect", *named])
                self.assertNotIn("s3cret", str(result))


if __name__ == "__main__":
    unittest.main()
