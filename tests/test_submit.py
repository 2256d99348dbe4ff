"""`submit`: what the service gets, what is kept, and that nothing is paid for twice or lost."""

import json
import os
import signal
import socket
import threading
import time
import unittest
from email.utils import formatdate
from pathlib import Path
from unittest import mock

from service import (
    KEY,
    drip,
    fails,
    fixture,
    raw,
    reset,
    says,
    stall,
)
from service_case import EVIDENCE, TASK_ID, ServiceCase
from support import IMAGE_URL, REQUEST, Result, arguments, emo

DETECTION = {
    "model": "emo-v1-detect",
    "input": {"image_url": IMAGE_URL},
    "parameters": {"ratio": "1:1"},
}
UNKNOWN = 4  # the exit code when it is not known what happened


class Generation(ServiceCase):
    def setUp(self):
        super().setUp()
        self.start_over()

    def start_over(self, task=None):
        """Leave nothing but the request, and the record of a `task` if there is one."""
        self.clear()
        self.write("request.json", REQUEST)
        if task:
            self.write("task.json", task)

    def record(self, saved_at=None, task_id=TASK_ID, request=REQUEST, response=True):
        answer = fixture("task-created")
        answer["output"]["task_id"] = task_id
        saved_at = saved_at or emo.timestamp()
        return {
            "saved_at": saved_at,
            "request": request,
            "response": answer if response else None,
        }

    def test_the_request_is_sent_once_and_its_task_kept(self):
        service = self.serve()
        result = self.call("submit")
        self.assertEqual((result.code, result.stderr), (0, ""), result)
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("task_path", os.path.join("output", "aliyun-emo", "task.json")),
                ("task_id", TASK_ID),
                ("task_status", "PENDING"),
                ("already_submitted", False),
                ("warnings", []),
            ],
        )
        (post,) = service.seen
        self.assertEqual(post.path, "/api/v1/services/aigc/image2video/video-synthesis")
        self.assertEqual(post.headers["Authorization"], f"Bearer {KEY}")
        self.assertEqual(post.headers["X-DashScope-Async"], "enable")
        self.assertEqual(post.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(post.body), REQUEST)
        record = self.read("task.json")
        self.assertEqual(list(record), ["saved_at", "request", "response"])
        self.assertRegex(record["saved_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        self.assertEqual(record["request"], REQUEST)
        self.assertEqual(record["response"], fixture("task-created"))
        self.assertEqual(self.evidence(), ["request.json", "task.json"])
        self.assert_no_key(result)

    def test_the_same_body_is_not_sent_again(self):
        service = self.serve()
        self.call("submit")
        del os.environ["DASHSCOPE_API_KEY"]  # there is nothing to send
        for status in ("PENDING", "RUNNING", "SUCCEEDED", "UNKNOWN"):
            with self.subTest(status):
                if status != "PENDING":
                    self.write("response.json", {"task_id": TASK_ID, "task_status": status})
                result = self.call("submit")
                self.assertEqual(result.code, 0, result)
                self.assertIs(result.line["already_submitted"], True)
                self.assertEqual(result.line["task_id"], TASK_ID)
                self.assertEqual(result.line["task_status"], status)
        self.assertEqual(len(service.posts), 1)

    def test_a_link_that_has_expired_since_does_not_hide_its_task(self):
        service = self.serve()
        now = int(time.time())
        link = f"{IMAGE_URL}?Expires={now + 1000}&Signature=s3cret"
        self.write("request.json", {**REQUEST, "input": {**REQUEST["input"], "image_url": link}})
        first = self.call("submit")
        self.assertEqual([w["field"] for w in first.line["warnings"]], ["image_url"])
        with mock.patch.object(emo, "time", lambda: now + 2000):
            result = self.call("submit")
            self.assertEqual((result.code, result.stderr), (0, ""), result)
            self.assertIs(result.line["already_submitted"], True)
            result = self.call("submit", "--again")
            self.assertEqual((result.code, result.fields), (2, ["image_url"]), result)
            self.assertNotIn("s3cret", str(result))
        self.assertEqual(len(service.posts), 1)
        self.assertEqual(self.evidence(), ["request.json", "task.json"])

    def test_a_task_that_failed_was_cancelled_or_has_expired_gives_way(self):
        day = 24 * 3600
        for name, saved_at, status, again in (
            ("failed", None, "FAILED", True),
            ("cancelled", None, "CANCELED", True),
            ("of another task", None, ("another", "FAILED"), False),
            ("expired", emo.utc(int(time.time()) - day - 5), None, True),
            ("expired, in another spelling", "2026-01-01T00:00:00.5+00:00", None, True),
            ("not yet expired", emo.utc(int(time.time()) - day + 60), None, False),
            ("of no known time", "yesterday", None, False),
        ):
            with self.subTest(name):
                self.start_over(self.record(saved_at, task_id="old"))
                (EVIDENCE / "video.mp4").write_bytes(b"old")
                task_id, status = status if isinstance(status, tuple) else ("old", status)
                if status:
                    path = os.path.join("output", "aliyun-emo", "video.mp4")
                    self.write(
                        "response.json",
                        {"task_id": task_id, "task_status": status, "video_path": path},
                    )
                service = self.serve()
                result = self.call("submit")
                self.assertEqual(result.code, 0, result)
                self.assertEqual(len(service.posts), again)
                self.assertIs(result.line["already_submitted"], not again)
                if again:
                    self.assertEqual(self.read("task.json")["request"], REQUEST)
                    self.assertEqual(task_id, emo.task_of(self.read("task-old.json")))
                if again and status:
                    kept = self.read("response-old.json")
                    self.assertEqual(Path(kept["video_path"]).read_bytes(), b"old")
                    self.assertEqual(Path(kept["video_path"]).name, "video-old.mp4")
                    self.assertNotIn("response.json", self.evidence())

    def test_another_body_is_sent_and_the_old_files_stay_under_their_id(self):
        self.write("task.json", self.record(task_id="old", request={"model": "other"}))
        self.write("response.json", {"task_id": "older", "task_status": "SUCCEEDED"})
        service = self.serve()
        self.assertEqual(self.call("submit").code, 0)
        self.assertEqual(len(service.posts), 1)
        self.assertEqual(
            self.evidence(), ["request.json", "response-older.json", "task-old.json", "task.json"]
        )

    def test_again_pays_for_another(self):
        service = self.serve()
        for posts in (1, 2, 3):
            result = self.call("submit", "--again")
            self.assertEqual((result.code, len(service.posts)), (0, posts), result)
            self.assertIs(result.line["already_submitted"], False)
        self.assertIn(f"task-{TASK_ID}.json", self.evidence())

    def test_a_record_without_an_answer_is_a_task_that_may_exist(self):
        service = self.serve()
        sent = "2026-01-01T00:00:00.000000Z"
        for name, content in {
            "killed": json.dumps(self.record(sent, response=False)),
            "of another body": json.dumps(self.record(sent, request={}, response=False)),
            "with an answer of no task": json.dumps({"saved_at": sent, "response": {"output": 1}}),
            "cut short": '{"saved_at": "2026-01-01T0',
            "empty": "",
        }.items():
            with self.subTest(name):
                (EVIDENCE / "task.json").write_text(content)
                result = self.call("submit")
                self.assertEqual(result.code, UNKNOWN, result)
                self.assertEqual(service.posts, [])
                (error,) = result.line["errors"]
                if sent in content:
                    self.assertIn(sent, error["message"])
                self.assertIn("account", error["hint"])
                self.assertIn("--again", error["hint"])
                self.assertEqual((EVIDENCE / "task.json").read_text(), content)
        self.write("task.json", self.record(sent, response=False))
        with mock.patch.dict(os.environ, DASHSCOPE_API_KEY=""):
            result = self.call("submit")
        self.assertEqual((result.code, result.fields), (UNKNOWN, ["api_key", "service"]), result)
        self.assertEqual(self.call("submit", "--again").code, 0)
        self.assertIn("task-unanswered-20260101000000000000.json", self.evidence())

    def test_an_id_leads_nowhere_else(self):
        for task_id in (
            "../../evil",
            "/etc/passwd",
            "a\\b",
            "..",
            "x" * 3000,
            "\ud800",
            "a\0b",
            "é",
        ):
            with self.subTest(task_id[:20]):
                answer = fixture("task-created")
                answer["output"]["task_id"] = task_id
                self.serve(video_synthesis=[says(answer)])
                result = self.call("submit", "--again")
                self.assertEqual(result.line["task_id"], task_id)
                self.assertEqual(self.call("submit", "--again").code, 0)
        outside = [name for name in self.files() if not name.startswith("output/aliyun-emo/")]
        self.assertEqual(outside, [])
        self.assertEqual(len([n for n in self.evidence() if n.startswith("task-")]), 8)

    def test_each_fault_ends_as_its_row_says(self):
        cut = raw(200, b'{"output": {"task_id"', Content_Length="500")
        late = formatdate(time.time() + 3600, usegmt=True)
        soon = formatdate(time.time() + 3, usegmt=True)
        deep = raw(200, b'{"output":' + b"[" * 5000 + b"]" * 5000 + b"}")
        created_deep = {**fixture("task-created"), "x": json.loads("[" * 800 + "]" * 800)}
        throttled = "error-429"
        created = fails("task-created", 200)
        for name, script, posts, code, record in (
            # name, answers, POSTs, exit code, what becomes of the record
            ("401", [fails("error-401", 401)], 1, 3, "gone"),
            ("400", [says({"code": "InvalidParameter", "message": "m"}, 400)], 1, 3, "gone"),
            ("400 with no JSON", [raw(400, b"<html>")], 1, 3, "gone"),
            ("403", [says({"code": "Arrearage"}, 403)], 1, 3, "gone"),
            ("404", [raw(404, b"")], 1, 3, "gone"),
            ("redirect", [raw(302, b"", Location="http://example.com/")], 1, 3, "gone"),
            ("redirect 307", [raw(307, b"", Location="/elsewhere")], 1, 3, "gone"),
            ("429 for ever", [fails(throttled, 429)], 5, 4, "gone"),
            ("429 once", [fails(throttled, 429), created], 2, 0, "task"),
            ("429, 2 s", [fails(throttled, 429, Retry_After="2"), created], 2, 0, "task"),
            ("429, a date", [fails(throttled, 429, Retry_After=soon), created], 2, 0, "task"),
            ("429, too long", [fails(throttled, 429, Retry_After="31"), created], 1, 4, "gone"),
            ("429, an hour", [fails(throttled, 429, Retry_After=late), created], 1, 4, "gone"),
            ("429, nonsense", [fails(throttled, 429, Retry_After="soon"), created], 2, 0, "task"),
            ("429, 9s", [fails(throttled, 429, Retry_After="9" * 400), created], 1, 4, "gone"),
            ("429 of no JSON", [raw(429, b"slow down"), created], 2, 0, "task"),
            ("500", [says({"code": "InternalError", "message": "m"}, 500)], 1, 4, "open"),
            ("503", [says({"code": "ServiceUnavailable"}, 503)], 1, 4, "open"),
            ("503 with Retry-After", [raw(503, b"", Retry_After="1"), created], 1, 4, "open"),
            ("reset after the body", [reset, created], 1, 4, "open"),
            ("stall", [stall, created], 1, 4, "open"),
            ("drip", [drip, created], 1, 4, "open"),
            ("truncated", [cut, created], 1, 4, "open"),
            ("truncated 400", [raw(400, b'{"code"', Content_Length="500")], 1, 3, "gone"),
            ("over-long", [raw(200, b'{"a": "' + b"x" * 2**21 + b'"}'), created], 1, 4, "open"),
            ("no JSON", [raw(200, b"<html>"), created], 1, 4, "open"),
            ("nothing", [raw(200, b""), created], 1, 4, "open"),
            ("204", [raw(204, b""), created], 1, 4, "open"),
            ("JSON of another shape", [says({"output": {"task": 1}}), created], 1, 4, "open"),
            ("a list", [says([]), created], 1, 4, "open"),
            ("no id", [says({"output": {"task_id": ""}}), created], 1, 4, "open"),
            ("an error inside 200", [says({"code": "X", "message": "m"})], 1, 4, "open"),
            ("nested deep", [deep, created], 1, 4, "open"),
            ("nested too deep to be kept", [says(created_deep), created], 1, 4, "open"),
        ):
            for before in (None, self.record(task_id="old", request={"model": "other"})):
                with self.subTest(f"{name}, {'before' if before else 'new'}"):
                    self.start_over(before)
                    if before:
                        self.write("response.json", {"task_id": "old", "task_status": "RUNNING"})
                    there = {name: (EVIDENCE / name).read_bytes() for name in self.evidence()}
                    service = self.serve(video_synthesis=list(script))
                    with self.patience(script):
                        result = self.call("submit")
                    self.assertEqual((result.code, len(service.posts)), (code, posts), result)
                    self.assert_no_key(result)
                    if record == "gone":
                        now = {name: (EVIDENCE / name).read_bytes() for name in self.evidence()}
                        self.assertEqual(now, there)
                    else:
                        kept = self.read("task.json")
                        self.assertEqual(kept["response"] is None, record == "open")
                        self.assertEqual("task-old.json" in self.evidence(), before is not None)
                    if code:
                        self.assertEqual(result.fields, ["service"])
                    self.assertLessEqual(sum(self.clock.slept), 30)
                    if record == "open":
                        self.assertIn("--again", result.line["errors"][0]["hint"])
                        self.assertEqual(self.call("submit").code, 4)
                        self.assertEqual(len(service.posts), posts)

    def test_retry_after_is_obeyed_to_the_second(self):
        self.serve(
            video_synthesis=[fails("error-429", 429, Retry_After="7"), fails("task-created", 200)]
        )
        self.assertEqual(self.call("submit").code, 0)
        self.assertEqual(self.clock.slept, [7])

    def test_a_service_that_is_not_reached_leaves_no_record(self):
        self.refuse_connections()
        result = self.call("submit")
        self.assertEqual((result.code, len(self.clock.slept)), (4, 4), result)
        self.assertIn("refused", result.line["errors"][0]["message"])
        self.assertEqual(self.evidence(), ["request.json"])
        self.clock.slept.clear()
        os.environ["DASHSCOPE_BASE_URL"] = "https://emo.invalid/api/v1"
        with mock.patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "not known")):
            result = self.call("submit")
        self.assertEqual((result.code, len(self.clock.slept)), (4, 4), result)
        self.assertIn("did not resolve", result.line["errors"][0]["message"])
        self.assertEqual(self.evidence(), ["request.json"])

    def test_a_reset_before_the_body_was_read_may_have_been_taken(self):
        service = self.serve()
        service.before_body = True
        result = self.call("submit")
        self.assertEqual((result.code, len(service.posts)), (4, 1), result)
        self.assertIsNone(self.read("task.json")["response"])

    def test_what_the_service_says_is_shown_with_its_remedy_and_safely(self):
        self.serve(video_synthesis=[fails("error-401", 401)])
        (error,) = self.call("submit").line["errors"]
        self.assertEqual(error["hint"], emo.REMEDIES["InvalidApiKey"])
        for words in ("HTTP 401", "InvalidApiKey", "No API-key provided.", "7438d53d-6eb8"):
            self.assertIn(words, error["message"])
        nasty = {
            "code": f"\x1b[2J{KEY}",
            "message": f"Bearer {KEY} https://example.com/a?Signature=s3cret \u202e",
            "request_id": {"a": KEY},
        }
        self.serve(video_synthesis=[says(nasty, 400)])
        result = self.call("submit")
        self.assert_no_key(result)
        self.assertNotIn("s3cret", str(result))
        self.assertTrue(result.line["errors"][0]["message"].isprintable())

    def test_an_answer_as_deep_as_can_be_is_kept(self):
        answer = {**fixture("task-created"), "x": json.loads("[" * 99 + "]" * 99)}
        self.serve(video_synthesis=[says(answer)])
        self.assertEqual(self.call("submit").code, 0)
        self.assertEqual(self.read("task.json")["response"], answer)

    def test_an_echoed_key_is_masked_in_what_is_kept(self):
        answer = {**fixture("task-created"), "echo": [{f"x{KEY}": f"Bearer {KEY}"}]}
        text = json.dumps(answer).replace("sk-of", "\\u0073\\u006b-of")
        self.serve(video_synthesis=[raw(200, text.encode())])
        self.assert_no_key(self.call("submit"))
        self.assertEqual(self.read("task.json")["response"]["echo"], [{"x***": "Bearer ***"}])

    def test_two_at_once_send_one(self):
        for before in (None, self.record(task_id="old", request={"model": "other"})):
            with self.subTest(before is None):
                self.start_over(before)

                others_ended = threading.Event()

                def slowly(handler, others_ended=others_ended):
                    others_ended.wait(30)
                    fails("task-created", 200)(handler)

                service = self.serve(video_synthesis=[slowly])
                running = [self.start("submit") for _ in range(4)]
                self.until(lambda ps=running: sum(p.poll() is not None for p in ps) == 3)
                others_ended.set()
                ends = [
                    (process.communicate(timeout=30), process.returncode) for process in running
                ]
                self.assertEqual(sorted(code for _, code in ends), [0, 4, 4, 4], ends)
                self.assertEqual(len(service.posts), 1)
                self.assertEqual(emo.task_of(self.read("task.json")), TASK_ID)
                self.assertEqual("task-old.json" in self.evidence(), before is not None)

    def test_without_locks_exclusive_creation_alone_sends_one(self):
        service = self.serve()

        def slower(record):
            self.write("task.json", record)  # the other one's, between the look and the creation
            return []

        with mock.patch.object(emo, "set_aside", lambda _: slower(self.record(response=False))):
            result = self.call("submit")
        self.assertEqual((result.code, service.posts), (4, []), result)
        self.assertIsNone(self.read("task.json")["response"])

    def test_a_kill_before_the_answer_leaves_the_record_and_nothing_is_sent_again(self):
        service = self.serve(video_synthesis=[stall])
        process = self.start("submit")
        self.until(lambda: service.posts)
        process.kill()
        process.communicate(timeout=30)
        self.assertIsNone(self.read("task.json")["response"])
        self.assertEqual(self.evidence(), ["request.json", "task.json"])
        result = self.run_script("submit")
        self.assertEqual((result.code, len(service.posts)), (4, 1), result)

    @unittest.skipUnless(os.name == "posix", "signals of POSIX")
    def test_an_interrupt_ends_with_130_and_the_record(self):
        for answer, left in (
            (stall, ["request.json", "task.json"]),
            (fails("error-429", 429, Retry_After="20"), ["request.json"]),  # not taken for certain
        ):
            with self.subTest(left):
                self.start_over()
                service = self.serve(video_synthesis=[answer])
                process = self.start("submit")
                self.until(lambda service=service: service.posts)
                time.sleep(1)  # until it has read the answer and sleeps
                process.send_signal(signal.SIGINT)
                stdout, stderr = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 130)
                result = Result(130, stdout, stderr)
                self.assertEqual(result.fields, ["arguments"])
                self.assertNotIn("Traceback", stderr)
                self.assertEqual(self.evidence(), left)

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_a_disk_that_fills_while_the_record_is_written(self):
        ahead = len(json.dumps(self.record(response=False), indent=2)) + 1
        for room, posts, code in ((10, 0, 1), (ahead - 1, 0, 1), (ahead + 10, 1, 1)):
            for before in (None, self.record(task_id="old", request={"model": "other"})):
                with self.subTest(f"{room} {before is None}"):
                    self.start_over(before)
                    there = self.evidence()
                    service = self.serve()
                    result = self.run_with_room(room, "submit")
                    self.assertEqual((result.code, len(service.posts)), (code, posts), result)
                    self.assertEqual(result.fields, ["output"])
                    if posts:  # the id is the only way back to what was paid for
                        self.assertEqual(result.line["task_id"], TASK_ID)
                        self.assertIn(TASK_ID, result.stderr)
                        self.assertIsNone(self.read("task.json")["response"])
                    else:
                        self.assertEqual(self.evidence(), there)

    def test_a_file_is_checked_like_options(self):
        service = self.serve()
        good = REQUEST["input"]
        for name, document, fields in (
            ("no input", {"model": "emo-v1"}, ["file"]),
            ("a saved answer", fixture("detection-pass"), ["file"]),
            ("a record", self.record(), ["file"]),
            ("local", {"input": {**good, "image_url": "portrait.png"}}, ["image_url"]),
            ("number", {"input": {**good, "audio_url": 7}}, ["audio_url"]),
            ("null", {"input": {**good, "audio_url": None}}, ["audio_url"]),
            ("misfit", {"input": {**good, "ext_bbox": [0, 0, 4, 300]}}, ["ext_bbox", "face_bbox"]),
            ("no parameters", {"input": good, "parameters": []}, ["file"]),
            ("null parameters", {"input": good, "parameters": None}, ["file"]),
            ("no box", {"input": {**good, "face_bbox": None}}, ["face_bbox"]),
            ("text box", {"input": {**good, "face_bbox": "1,2,3,4"}}, ["face_bbox"]),
            ("style", {"input": good, "parameters": {"style_level": "loud"}}, ["style_level"]),
            ("misspelt", {"input": good, "parameters": {"stile_level": "calm"}}, ["file"]),
            ("ratio", {"input": good, "parameters": {"ratio": "1:1"}}, ["file"]),
            ("model", {"model": "emo-v1-detect", "input": good}, ["model"]),
            ("no audio", {"input": {k: v for k, v in good.items() if k != "audio_url"}}, None),
            (
                "detection of emo-v1",
                {"model": "emo-v1", "input": {"image_url": IMAGE_URL}},
                ["model"],
            ),
        ):
            with self.subTest(name):
                self.write("request.json", document)
                result = self.call("submit")
                self.assertEqual(result.code, 2, result)
                if fields:
                    self.assertEqual(result.fields, fields, result)
        self.assertEqual(service.seen, [])
        for content in (b"", b"{", b"[]", b"\xff"):
            (EVIDENCE / "request.json").write_bytes(content)
            self.assertEqual(self.call("submit").fields, ["file"])
        (EVIDENCE / "request.json").unlink()
        self.assertEqual(self.call("submit").fields, ["file"])

    def test_a_file_is_read_leniently_and_sent_normalized(self):
        service = self.serve()
        body = {"input": {**REQUEST["input"], "image_url": " HTTPS://Example.com/portrait.png#x "}}
        path = self.folder / "mine.json"
        path.write_bytes(json.dumps(body).encode("utf-16"))
        result = self.call("submit", str(path))
        self.assertEqual(result.code, 0, result)
        sent = {**REQUEST, "parameters": {"style_level": "normal"}}
        self.assertEqual(json.loads(service.posts[0].body), sent)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url"])
        self.assertIn("warning: image_url:", result.stderr)
        result = self.run_script("submit", "-", "--again", input=json.dumps(REQUEST).encode())
        self.assertEqual(result.code, 0, result)

    def test_what_prepare_writes_submit_takes(self):
        service = self.serve()
        (EVIDENCE / "request.json").unlink()
        self.assertEqual(self.call(*arguments()).code, 0)
        self.assertEqual(self.call("submit").code, 0)
        self.assertEqual(json.loads(service.posts[0].body), REQUEST)


class Detection(ServiceCase):
    FILE = os.path.join("output", "aliyun-emo", "detect_request.json")

    def setUp(self):
        super().setUp()
        self.write("detect_request.json", DETECTION)

    def test_a_portrait_that_passes(self):
        service = self.serve()
        result = self.call("submit", self.FILE)
        self.assertEqual((result.code, result.stderr), (0, ""), result)
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("detection_path", os.path.join("output", "aliyun-emo", "detection.json")),
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
        sent = {**DETECTION, "model": "emo-detect-v1"}
        self.assertEqual(json.loads(post.body), sent)
        record = self.read("detection.json")
        self.assertEqual(list(record), ["saved_at", "request", "response"])
        self.assertEqual(record["request"], sent)
        self.assertEqual(record["response"], fixture("detection-pass"))
        words = arguments(face_bbox=None, ext_bbox=None, detection=result.line["detection_path"])
        self.assertEqual(self.call(*words).code, 0)
        self.assertEqual(self.read("request.json"), REQUEST)
        self.assert_no_key(result)

    def test_another_model_name_goes_as_it_stands(self):
        service = self.serve()
        for model in ("my-deployment", "emo-detect-v1"):
            self.write("detect_request.json", {**DETECTION, "model": model})
            self.assertEqual(self.call("submit", self.FILE).code, 0)
            self.assertEqual(json.loads(service.posts[-1].body)["model"], model)

    def test_a_portrait_that_does_not_pass_is_kept_all_the_same(self):
        self.serve(face_detect=[fails("detection-fail", 200)])
        result = self.call("submit", self.FILE)
        self.assertEqual(result.code, 3)
        self.assertEqual(list(result.line), ["ok", "errors", "detection_path", "check_pass"])
        self.assertIs(result.line["check_pass"], False)
        (error,) = result.line["errors"]
        self.assertEqual(error["field"], "service")
        self.assertIn("InvalidFile.FacePose: The pose of the detected face", error["message"])
        self.assertEqual(error["hint"], emo.REMEDIES["InvalidFile.FacePose"])
        self.assertEqual(self.read("detection.json")["response"], fixture("detection-fail"))

    def test_a_pass_whose_boxes_do_not_hold_is_kept_and_refused(self):
        answer = fixture("detection-pass")
        answer["output"]["ext_bbox"] = [0, 0, 400, 300]
        self.serve(face_detect=[says(answer)])
        result = self.call("submit", self.FILE)
        self.assertEqual(result.code, 3, result)
        self.assertIn("400x300", str(result.line["errors"]))
        self.assertEqual(self.read("detection.json")["response"], answer)

    def test_each_fault_ends_as_its_row_says(self):
        passed = fails("detection-pass", 200)
        for name, script, posts, code in (
            ("401", [fails("error-401", 401)], 1, 3),
            ("redirect", [raw(301, b"", Location="http://example.com/")], 1, 3),
            ("429, then well", [fails("error-429", 429), passed], 2, 0),
            ("429, too long", [fails("error-429", 429, Retry_After="31"), passed], 1, 4),
            ("500, then well", [raw(500, b""), passed], 2, 0),
            ("503 for ever", [raw(503, b"")], 5, 4),
            ("503, too long", [raw(503, b"", Retry_After="60"), passed], 1, 4),
            ("reset, then well", [reset, passed], 2, 0),
            ("stall, then well", [stall, passed], 2, 0),
            ("no JSON, then well", [raw(200, b"<"), passed], 2, 0),
            ("truncated, then well", [raw(200, b"{", Content_Length="9"), passed], 2, 0),
            ("another shape", [says({"output": {"check_pass": "yes"}})], 5, 4),
        ):
            with self.subTest(name):
                self.clear("detect_request.json")
                service = self.serve(face_detect=list(script))
                with self.patience(script):
                    result = self.call("submit", self.FILE)
                self.assertEqual((result.code, len(service.posts)), (code, posts), result)
                self.assertEqual("detection.json" in self.evidence(), code == 0)
                self.assertLessEqual(sum(self.clock.slept), 30)
                self.assert_no_key(result)

    def test_a_folder_in_the_way_is_found_before_it_is_billed(self):
        service = self.serve()
        (EVIDENCE / "detection.json").mkdir()
        result = self.call("submit", self.FILE)
        self.assertEqual((result.code, service.seen), (1, []), result)


class Settings(ServiceCase):
    def setUp(self):
        super().setUp()
        self.write("request.json", REQUEST)

    def test_the_base_url_keeps_the_key_safe(self):
        for url, usable in (
            ("https://dashscope.aliyuncs.com/api/v1", True),
            ("https://ws.cn-beijing.maas.aliyuncs.com/api/v1/", True),
            ("http://127.0.0.1:8000", True),
            ("http://localhost/x", True),
            ("http://[::1]:1/", True),
            ("http://dashscope.aliyuncs.com/api/v1", False),
            ("http://127.0.0.1.example.com", False),
            ("http://10.0.0.1/", False),
            ("ftp://127.0.0.1/", False),
            ("file:///etc/passwd", False),
            ("https://", False),
            ("dashscope.aliyuncs.com", False),
            ("https://me:s3cret@example.com/", False),
            ("https://example.com/?k=s3cret", False),
            ("https://example.com/#s3cret", False),
            ("https://example.com:x/", False),
            ("https://exa mple.com/", False),
            ("https://exämple.com/", False),
            ("https://[::1/", False),
        ):
            with self.subTest(url):
                report = emo.Report()
                self.assertEqual(
                    report.check(emo.check_base_url, url), url.rstrip("/") if usable else None
                )
                self.assertEqual(
                    [error.field for error in report.errors], [] if usable else ["base_url"]
                )
                self.assertNotIn("s3cret", "".join(error.message for error in report.errors))
                os.environ["DASHSCOPE_BASE_URL"] = url
                if not usable:
                    self.assertEqual(self.call("submit").code, 2)

    def test_the_key_comes_from_the_environment_or_the_credentials_file(self):
        service = self.serve()
        home = self.folder / "home/.alibabacloud"
        home.mkdir(parents=True)
        file = home / "credentials"
        two = "[default]\ndashscope_api_key = sk-file\n[work]\nDashScope_API_Key=sk-work%20x\n"
        for content, environment, profile, sent in (
            (two, "sk-env", None, "sk-env"),
            (two, " sk-env\n", None, "sk-env"),
            (two, "", None, "sk-file"),
            (two, None, None, "sk-file"),
            (two, None, "", "sk-file"),
            (two, None, "work", "sk-work%20x"),
            (two.replace("\n", "\r\n"), None, "work", "sk-work%20x"),
            ("\ufeff" + two, None, None, "sk-file"),
            (two, None, "elsewhere", None),
            ("[default]\n", None, None, None),
            ("[default]\ndashscope_api_key =\n", None, None, None),
            ("", None, None, None),
            ("sk-broken", None, None, None),
            ("[default]\nsk-broken\n[", None, None, None),
            ("[default]\ndashscope_api_key = sk-bröken\n", None, None, None),
            (None, None, None, None),
            (None, "sk-brö", None, None),
            (None, "sk-bro ken", None, None),
            (None, "sk-bro\nken", None, None),
        ):
            with self.subTest(f"{content!r} {environment!r} {profile!r}"):
                file.unlink(missing_ok=True)
                if content is not None:
                    file.write_bytes(content.encode())
                for name, value in (
                    ("DASHSCOPE_API_KEY", environment),
                    ("ALIBABA_CLOUD_PROFILE", profile),
                ):
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = value
                service.seen.clear()
                result = self.call("submit", "--again")
                if sent:
                    self.assertEqual(service.posts[0].headers["Authorization"], f"Bearer {sent}")
                    continue
                self.assertEqual((result.code, result.fields), (2, ["api_key"]), result)
                self.assertEqual(service.seen, [])
                self.assertNotIn("sk-", str(result).replace("ask-", ""))
                error = result.line["errors"][0]
                self.assertIn("DASHSCOPE_API_KEY", error["message"] + error["hint"])
                self.assertIn("credentials", error["message"] + error["hint"])

    def test_all_that_is_missing_is_told_at_once(self):
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["DASHSCOPE_BASE_URL"] = "http://example.com"
        self.write("request.json", {**REQUEST, "parameters": {"style_level": "loud"}})
        result = self.call("submit", "--agian")
        self.assertEqual(result.code, 2)
        self.assertEqual(result.fields, ["arguments", "style_level", "base_url", "api_key"])
        self.assertEqual(self.evidence(), ["request.json"])

    def test_a_proxy_is_obeyed(self):
        service = self.serve()
        os.environ["http_proxy"] = service.root
        os.environ["DASHSCOPE_BASE_URL"] = "http://127.0.0.1:9/api/v1"
        self.assertEqual(self.call("submit").code, 0)
        self.assertTrue(service.posts[0].path.startswith("http://127.0.0.1:9/"))
        os.environ["http_proxy"] = "http://["
        before = self.evidence()
        result = self.call("submit", "--again")
        self.assertEqual((result.code, self.evidence()), (4, before), result)

    def test_a_failed_task_may_be_sent_again_after_wait(self):
        answer = fixture("task-failed")
        service = self.serve(tasks=[says(answer)])
        self.assertEqual(self.call("submit").code, 0)
        self.assertEqual(self.call("wait").code, 3)
        self.assertEqual(self.call("submit").line["already_submitted"], False)
        self.assertEqual(len(service.posts), 2)


if __name__ == "__main__":
    unittest.main()
