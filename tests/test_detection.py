"""Running a detection: its answer is kept, told, and paid for once."""

import gzip
import json
import os
import unittest
from pathlib import Path

from support import REQUEST, RUN, arguments, emo
from support.service import (
    KEY,
    announced,
    detected,
    drip,
    fails,
    fixture,
    raw,
    reset,
    says,
    stall,
)
from support.service_case import DETECTION, EVIDENCE, ServiceCase

from aliyun_emo.refusals import REMEDIES

FILE = os.path.join("output", "aliyun-emo", "detect_request.json")
KEPT = os.path.join("output", "aliyun-emo", "detection.json")


class Detection(ServiceCase):
    def setUp(self):
        super().setUp()
        self.write("detect_request.json", DETECTION)

    def answer(self):
        return json.loads(Path(KEPT).read_text("utf-8"))

    def test_a_portrait_that_passes(self):
        service = self.serve()
        result = self.ends(self.call_run(FILE), 0)
        self.assertEqual(result.stderr, "")
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("detection_path", KEPT),
                ("check_pass", True),
                ("face_bbox", [302, 286, 610, 593]),
                ("ext_bbox", [71, 9, 840, 778]),
                ("ratio", "1:1"),
                ("warnings", []),
            ],
        )
        (post,) = service.seen
        self.assertEqual(post.path, "/api/v1/services/aigc/image2video/face-detect")
        self.assertIsNone(post.headers["X-DashScope-Async"])
        self.assertEqual(post.headers["Authorization"], f"Bearer {KEY}")
        sent = {**DETECTION, "model": "emo-detect-v1"}
        self.assertEqual(json.loads(post.body), sent)
        record = self.answer()
        self.assertEqual(list(record), ["saved_at", "request", "sent", "response"])
        self.assertEqual((record["request"], record["sent"]), (DETECTION, sent))
        self.assertEqual(record["response"], fixture("detection-pass"))
        words = arguments(face_bbox=None, ext_bbox=None, detection=result.line["detection_path"])
        self.assertEqual(self.call(*words).code, 0)
        request = EVIDENCE / "request.json"
        self.assertEqual(json.loads(request.read_text("utf-8")), REQUEST)

    def test_the_other_ratio_gives_its_boxes(self):
        self.serve()
        self.write("detect_request.json", {**DETECTION, "parameters": {"ratio": "3:4"}})
        line = self.ends(self.call_run(FILE), 0).line
        self.assertEqual((line["ratio"], emo.ratio_of(line["ext_bbox"])), ("3:4", "3:4"))

    def test_the_file_may_come_on_stdin_or_lie_elsewhere(self):
        self.serve()
        result = self.run_script("-", script=RUN, input=json.dumps(DETECTION).encode())
        self.assertEqual(self.ends(result, 0).line["detection_path"], KEPT)
        there = self.folder / "elsewhere/aliyun-emo"
        there.mkdir(parents=True)
        (there / "d.json").write_text(json.dumps(DETECTION))
        path = self.ends(self.call_run(str(there / "d.json")), 0).line["detection_path"]
        self.assertEqual(path, str(there / "detection.json"))
        self.assertTrue((there / "detection.json").exists())

    def test_another_model_name_goes_as_it_stands(self):
        service = self.serve()
        for model in ("my-deployment", "emo-detect-v1"):
            self.write("detect_request.json", {**DETECTION, "model": model})
            self.ends(self.call_run(FILE), 0)
            self.assertEqual(json.loads(service.posts[-1].body)["model"], model)

    def test_output_says_where_the_answer_goes(self):
        service = self.serve()
        for path in ("mine.json", os.path.join("x", "y", "mine")):
            line = self.ends(self.call_run(FILE, "--output", path), 0).line
            self.assertEqual(line["detection_path"], path)
            self.assertTrue(json.loads(Path(path).read_text())["response"])
        self.assertFalse(Path(KEPT).exists())
        for path in ("-", ""):
            self.ends(self.call_run(FILE, "--output", path), 2, "output")
        self.assertEqual(len(service.posts), 2)

    def test_a_dry_run_sends_nothing_and_says_what_would_be_sent(self):
        service = self.serve()
        before = self.files()
        line = self.ends(self.call_run(FILE, "--dry-run"), 0).line
        self.assertIs(line["would_send"], True)
        self.assertEqual(line["request"], {**DETECTION, "model": "emo-detect-v1"})
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run(FILE, "--dry-run"), 2, "api_key")
        self.assertEqual((self.files(), service.seen), (before, []))

    def test_a_portrait_that_does_not_pass_is_kept_all_the_same(self):
        self.serve(face_detect=[fails("detection-fail", 200)])
        result = self.ends(self.call_run(FILE), 3, "service")
        told = ("detection_path", "check_pass")
        self.assertEqual(list(result.line), ["ok", "errors", *told, "warnings"])
        self.assertIs(result.line["check_pass"], False)
        (error,) = result.line["errors"]
        self.assertIn("InvalidFile.FacePose: The pose of the detected face", error["message"])
        self.assertEqual(error["hint"], REMEDIES["InvalidFile.FacePose"])
        self.assertEqual(self.answer()["response"], fixture("detection-fail"))

    def test_a_pass_whose_boxes_do_not_hold_is_kept_and_refused(self):
        answer = fixture("detection-pass")
        answer["output"]["ext_bbox"] = [0, 0, 400, 300]
        self.serve(face_detect=[says(answer)])
        result = self.ends(self.call_run(FILE), 3)
        self.assertIn("400x300", str(result.line["errors"]))
        self.assertEqual(self.answer()["response"], answer)

    def test_each_fault_ends_as_its_row_says(self):
        for name, script, posts, code in (
            ("401", [fails("error-401", 401)], 1, 3),
            ("redirect", [raw(301, b"", Location="http://example.com/")], 1, 3),
            ("429, then well", [fails("error-429", 429), detected], 2, 0),
            ("429, too long", [fails("error-429", 429, Retry_After="31"), detected], 1, 4),
            ("500, then well", [raw(500, b""), detected], 2, 0),
            ("503 for ever", [raw(503, b"")], 5, 4),
            ("503, too long", [raw(503, b"", Retry_After="60"), detected], 1, 4),
            ("reset, then well", [reset, detected], 2, 0),
            ("stall, then well", [stall, detected], 2, 0),
            ("103 before it", [announced(detected, 103)], 1, 0),
        ):
            with self.subTest(name):
                self.clear()
                Path(KEPT).unlink(missing_ok=True)
                service = self.serve(face_detect=list(script))
                with self.patience():
                    result = self.call_run(FILE)
                self.ends(result, code, *(["service"] if code else []))
                self.assertEqual(len(service.posts), posts)
                self.assertEqual(Path(KEPT).exists(), code == 0)
                self.assertLessEqual(sum(self.clock.slept), 30)

    def test_what_was_answered_with_200_is_billed_so_it_is_kept_and_not_sent_again(self):
        odd = {"output": {"check_pass": "yes"}}
        for name, answer, expected, words in (
            ("no JSON", raw(200, b"<html>odd"), "<html>odd", "<html>odd"),
            ("nothing", raw(200, b""), None, "200"),
            ("truncated", raw(200, b'{"output', Content_Length="50"), '{"output', "output"),
            ("another shape", says(odd), odd, "yes"),
            ("no output", says({"a": "odd"}), {"a": "odd"}, "odd"),
            ("a list", says(["odd"]), ["odd"], "odd"),
            (
                "an error",
                says({"code": "Odd", "message": "m"}),
                {"code": "Odd", "message": "m"},
                "Odd",
            ),
            ("the key", raw(200, f"<p>{KEY}".encode()), "<p>***", "***"),
        ):
            with self.subTest(name):
                Path(KEPT).unlink(missing_ok=True)
                service = self.serve(face_detect=[answer, detected])
                result = self.ends(self.call_run(FILE), 4, "service")
                self.assertEqual(len(service.posts), 1)
                self.assertIn(words, result.line["errors"][0]["message"])
                self.assertEqual(self.answer()["response"], expected)
                self.assertEqual(result.line["detection_path"], KEPT)
        with self.subTest("drip"):
            Path(KEPT).unlink(missing_ok=True)
            service = self.serve(face_detect=[drip, detected])
            with self.patience():
                self.ends(self.call_run(FILE), 4, "service")
            self.assertEqual(len(service.posts), 1)
            self.assertTrue(Path(KEPT).exists())

    def test_an_answer_that_stays_a_text_is_kept_and_its_boxes_told(self):
        answer = json.dumps(fixture("detection-pass"))
        failed = json.dumps(fixture("detection-fail"))
        for name, text, code in (
            ("1e999", answer[:-1] + ', "x": 1e999}', 0),
            ("a name twice", answer[:-1] + ', "output": {}}', 0),
            ("not passed, with 1e999", failed[:-1] + ', "x": 1e999}', 3),
        ):
            with self.subTest(name):
                Path(KEPT).unlink(missing_ok=True)
                service = self.serve(face_detect=[raw(200, text.encode())])
                result = self.ends(self.call_run(FILE), code, *(["service"] if code else []))
                self.assertEqual(self.answer()["response"], text)
                self.assertIs(result.line["check_pass"], code == 0)
                if code == 0:
                    self.assertEqual(result.line["ext_bbox"], [71, 9, 840, 778])
                self.assertEqual(len(service.posts), 1)

    def test_an_answer_that_came_packed_is_unpacked(self):
        body = gzip.compress(json.dumps(fixture("detection-pass")).encode())
        self.serve(face_detect=[raw(200, body, Content_Encoding="gzip")])
        self.ends(self.call_run(FILE), 0)
        self.assertEqual(self.answer()["response"], fixture("detection-pass"))

    def test_an_earlier_answer_stays_where_there_is_no_new_one(self):
        self.serve()
        self.ends(self.call_run(FILE), 0)
        before = Path(KEPT).read_bytes()
        for script in ([fails("error-401", 401)], [raw(503, b"")], [reset]):
            self.clear()
            self.serve(face_detect=script)
            self.assertIn(self.call_run(FILE).code, (3, 4))
            self.assertEqual(Path(KEPT).read_bytes(), before)
        self.refuse_connections()
        self.ends(self.call_run(FILE), 4, "service")
        self.assertEqual(Path(KEPT).read_bytes(), before)

    def test_the_answer_to_what_was_sent_gets_its_time(self):
        self.serve(face_detect=[self.late(detected, 10)])
        for words in (["--timeout", "5"], ["--timeout", "0"]):
            self.ends(self.call_run(FILE, *words), 0)

    def test_a_folder_in_the_way_is_found_before_it_is_billed(self):
        service = self.serve()
        Path(KEPT).mkdir()
        result = self.ends(self.call_run(FILE), 1, "output")
        self.assertIn("detection.json", result.line["errors"][0]["message"])
        self.ends(self.call_run(FILE, "--output", os.path.join(FILE, "x")), 1, "output")
        self.assertEqual(service.seen, [])

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_the_boxes_are_told_also_when_the_disk_is_full(self):
        service = self.serve()
        result = self.ends(self.run_with_room(10, FILE, script=RUN), 1, "output")
        self.assertIn("detection.json", result.line["errors"][0]["message"])
        self.assertLessEqual(len(service.posts), 1)
        self.assert_no_temporary_files()

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_the_boxes_of_a_detection_are_told_when_they_cannot_be_kept(self):
        self.serve()
        path = self.write("detect_request.json", DETECTION)
        old = self.write("detection.json", {"old": True})
        result = self.run_with_room(100, path, script=RUN)
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)
        self.assertIsNone(result.line["detection_path"])
        self.assertEqual(result.line["face_bbox"], [302, 286, 610, 593])
        self.assertEqual(json.loads(Path(old).read_text()), {"old": True})

    def test_what_is_no_json_does_not_reach_stdout_as_json(self):
        self.serve(face_detect=[raw(200, b'{"output": {"check_pass": NaN}}')])
        path = self.write("detect_request.json", DETECTION)
        result = self.call_run(path)
        self.assertEqual(result.code, 4, result)
        self.assertNotIn("NaN,", result.stdout)
        self.assertIsNone(result.line["check_pass"])
        self.write("tasks/abc/task.json", {"saved_at": float("inf")})
        self.assertNotIn("Infinity", self.call_run().stdout)


if __name__ == "__main__":
    unittest.main()
