"""Running a generation: what is sent, and what is kept of what comes back."""

import json
import os
import socket
import sys
import time
import unittest
from email.utils import formatdate
from functools import partial
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, REQUEST, RUN, arguments, emo
from support.service import (
    KEY,
    announced,
    created,
    drip,
    fails,
    fixture,
    raw,
    reset,
    says,
    stall,
    status_of,
    video_of,
)
from support.service import after as later
from support.service_case import EVIDENCE, FILE, KEYS, TASKS, GenerationCase, other

SEQUEL = os.path.join("output", "aliyun-emo", "tasks")
THROTTLED = fails("error-429", 429)


class Sending(GenerationCase):
    def test_a_run_sends_once_and_brings_the_video_home(self):
        service = self.serve()
        result = self.go()
        (task_id,) = service.tasks
        (folder,) = self.folders()
        self.assertRegex(folder, "^[0-9a-f]{12}$")
        place = os.path.join(SEQUEL, folder)
        url = f"{service.root}/videos/{task_id}.mp4?Expires=9999999999&Signature=s3cret"
        self.ends(result, 0)
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("state", "made"),
                ("task_path", os.path.join(place, "task.json")),
                ("task_id", task_id),
                ("task_status", "SUCCEEDED"),
                ("already_submitted", False),
                ("video_url", url),
                ("video_path", os.path.join(place, "video.mp4")),
                ("response_path", os.path.join(place, "response.json")),
                ("estimate", {"seconds": 12.38, "cny": 0.99, "prices_of": "2026-05-30"}),
                ("warnings", []),
            ],
        )
        self.assertEqual((TASKS / folder / "video.mp4").read_bytes(), video_of(task_id))
        (post,) = service.posts
        self.assertEqual(post.path, "/api/v1/services/aigc/image2video/video-synthesis")
        self.assertEqual(post.headers["Authorization"], f"Bearer {KEY}")
        self.assertEqual(post.headers["X-DashScope-Async"], "enable")
        self.assertEqual(post.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(post.body), REQUEST)
        self.assertEqual(
            self.files(),
            ["output/aliyun-emo/request.json"]
            + [
                f"output/aliyun-emo/tasks/{folder}/{name}"
                for name in ("polls.jsonl", "response.json", "task.json", "video.mp4")
            ],
        )

    def test_the_record_has_what_was_sent_when_and_what_came_back(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        record = self.kept()
        self.assertEqual(
            list(record),
            ["saved_at", "title", "state", "request", "sent", "http_status", "response"],
        )
        self.assertRegex(record["saved_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        for stem in ("portrait", "speech"):
            self.assertIn(stem, record["title"])
        self.assertEqual((record["state"], record["http_status"]), ("made", 200))
        self.assertEqual((record["request"], record["sent"]), (REQUEST, REQUEST))
        (task_id,) = service.tasks
        answer = fixture("task-created")
        answer["output"]["task_id"] = task_id
        self.assertEqual(record["response"], answer)

    def test_the_record_is_on_the_disk_before_the_request_leaves(self):
        synced = []

        def look(handler):
            synced.append(len(told.mock_calls))
            created(handler)

        self.serve(video_synthesis=[look])
        with mock.patch("os.fsync") as told:
            self.ends(self.go("--no-wait"), 0)
            self.assertGreater(synced[0], 0)
            self.assertGreater(len(told.mock_calls), synced[0])

    def test_stderr_names_what_is_paid_for_before_it_leaves(self):
        told = []

        def look(handler):
            told.append(sys.stderr.getvalue())
            created(handler)

        self.serve(video_synthesis=[look])
        links = {
            "image_url": f"{IMAGE_URL}?Expires=9999999999&Signature=s3cret",
            "audio_url": f"{AUDIO_URL}?token=s3cret",
        }
        self.write("request.json", other(**links, ext_bbox=[71, 9, 648, 778], style_level="calm"))
        result = self.ends(self.go(), 0)
        for words in ("portrait.png", "speech.mp3", "512x704", "calm"):
            self.assertIn(words, told[0])
        self.assertNotIn("s3cret", result.stderr)
        looking, paid, *progress = result.stderr.splitlines()
        self.assertEqual(told, [f"{looking}\n{paid}\n"])
        self.assertIn("12.38 s, about CNY 1.98", paid)
        self.assertEqual(progress, ["PENDING", "RUNNING", "SUCCEEDED", "downloading"])

    def test_no_wait_ends_when_the_task_is_made_and_running_again_fetches_its_video(self):
        service = self.serve()
        line = self.ends(self.go("--no-wait"), 0).line
        self.assertEqual(list(line), ["ok", *KEYS, "warnings"])
        self.assertEqual((line["state"], line["task_status"]), ("made", "PENDING"))
        for key in ("video_url", "video_path", "response_path"):
            self.assertIsNone(line[key])
        self.assertEqual((len(service.posts), service.polls), (1, []))
        del os.environ["DASHSCOPE_API_KEY"]
        line = self.ends(self.go("--no-wait"), 0).line
        self.assertIs(line["already_submitted"], True)
        self.ends(self.go(), 2, "api_key")
        os.environ["DASHSCOPE_API_KEY"] = KEY
        line = self.ends_with_video(self.go())
        self.assertIs(line["already_submitted"], True)
        self.assertEqual(len(service.posts), 1)

    def test_the_request_may_come_on_stdin(self):
        service = self.serve()
        result = self.run_script(
            *("-", "--interval", "0.05"), script=RUN, input=json.dumps(REQUEST).encode()
        )
        self.ends_with_video(result)
        self.assertIs(self.go().line["already_submitted"], True)
        self.assertEqual(len(service.posts), 1)

    def test_what_prepare_writes_is_run(self):
        service = self.serve()
        (EVIDENCE / "request.json").unlink()
        path = self.call(*arguments()).line["request_path"]
        self.ends_with_video(self.go(file=path))
        self.assertEqual(json.loads(service.posts[0].body), REQUEST)

    def test_a_file_is_checked_like_options(self):
        service = self.serve()
        good = REQUEST["input"]
        for name, document, fields in (
            ("no input", {"model": "emo-v1"}, ["file"]),
            ("a saved answer", fixture("detection-pass"), ["file"]),
            ("a record", {"saved_at": "x", "request": REQUEST, "response": None}, ["file"]),
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
                result = self.ends(self.go(), 2)
                if fields:
                    self.assertEqual(result.fields, fields, result)
        for content in (b"", b"{", b"[]", b"\xff", b"[" * 2**18):
            with self.subTest(content[:5]):
                (EVIDENCE / "request.json").write_bytes(content)
                self.ends(self.go(), 2, "file")
        (EVIDENCE / "request.json").unlink()
        for path in (FILE, "nowhere/request.json", ""):
            with self.subTest(path):
                result = self.ends(self.go(file=path), 2, "file")
                if path:
                    self.assertIn("prepare", result.line["errors"][0]["hint"])
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_a_file_is_read_leniently_and_sent_normalized(self):
        service = self.serve()
        body = {"input": {**REQUEST["input"], "image_url": " HTTPS://Example.com/portrait.png#x "}}
        path = self.folder / "mine.json"
        path.write_bytes(json.dumps(body).encode("utf-16"))
        result = self.ends(self.go(file=str(path)), 0)
        sent = {**REQUEST, "parameters": {"style_level": "normal"}}
        self.assertEqual(json.loads(service.posts[0].body), sent)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url"])
        self.assertIn("warning: image_url:", result.stderr)

    def test_all_that_is_missing_is_told_at_once(self):
        service = self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["DASHSCOPE_BASE_URL"] = "http://example.com"
        self.write("request.json", other(style_level="loud"))
        result = self.ends(self.go("--agian", "--interval", "x"), 2)
        self.assertEqual(
            sorted(result.fields),
            ["api_key", "arguments", "base_url", "interval", "style_level"],
        )
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_the_timeout_bounds_the_wait_but_not_the_answer_to_what_was_sent(self):
        service = self.serve(video_synthesis=[later(0.4, created)], tasks=[status_of("RUNNING")])
        for words in (["--timeout", "0.2"], ["--timeout", "0"]):
            with self.subTest(words):
                self.clear()
                line = self.ends(self.go(*words), 5, "service").line
                self.assertEqual(line["state"], "made")
                self.assertEqual(list(line), ["ok", "errors", *KEYS, "warnings"])
        self.assertEqual((len(service.posts), len(service.polls)), (2, 2))


class Faults(GenerationCase):
    """What goes wrong while a request is sent, a row a fault."""

    def test_each_fault_ends_as_its_row_says(self):
        cut = raw(200, b'{"output": {"task_id"', Content_Length="500")
        late = formatdate(time.time() + 3600, usegmt=True)
        soon = formatdate(time.time() + 3, usegmt=True)
        deep = raw(200, b'{"output":' + b"[" * 5000 + b"]" * 5000 + b"}")
        wait = partial(fails, "error-429", 429)
        for name, script, posts, code, state, status, words in (
            # name, answers, POSTs, exit code, state in task.json, its http_status, the message
            ("401", [fails("error-401", 401)], 1, 3, "refused", 401, "InvalidApiKey"),
            ("400", [says({"code": "Arrearage"}, 400)], 1, 3, "refused", 400, "Arrearage"),
            ("400 with no JSON", [raw(400, b"<html>no")], 1, 3, "refused", 400, "<html>no"),
            ("truncated 400", [raw(400, b'{"c', Content_Length="50")], 1, 3, "refused", 400, "{"),
            ("403", [says({"message": "no"}, 403)], 1, 3, "refused", 403, "no"),
            ("404", [raw(404, b"")], 1, 3, "refused", 404, "404"),
            ("425", [raw(425, b""), created], 1, None, "refused", 425, "425"),
            ("302", [raw(302, b"", Location="http://a.bc/")], 1, 3, "refused", 302, "redirects"),
            ("307", [raw(307, b"", Location="/x")], 1, 3, "refused", 307, "redirects"),
            ("429 for ever", [THROTTLED], 5, 4, None, 429, "Throttling"),
            ("429 once", [THROTTLED, created], 2, 0, "made", 200, ""),
            ("429, 2 s", [wait(Retry_After="2"), created], 2, 0, "made", 200, ""),
            ("429, a date", [wait(Retry_After=soon), created], 2, 0, "made", 200, ""),
            ("429, too long", [wait(Retry_After="31"), created], 1, 4, None, 429, "Throttling"),
            ("429, an hour", [wait(Retry_After=late), created], 1, 4, None, 429, "Throttling"),
            ("429, nonsense", [wait(Retry_After="soon"), created], 2, 0, "made", 200, ""),
            ("429, ²", [wait(Retry_After="²"), created], 2, 0, "made", 200, ""),
            ("429, -1", [wait(Retry_After="-1"), created], 2, 0, "made", 200, ""),
            ("429, 9s", [wait(Retry_After="9" * 400), created], 1, 4, None, 429, "Throttling"),
            ("429 of no JSON", [raw(429, b"slow down"), created], 2, 0, "made", 200, ""),
            ("408", [raw(408, b""), created], 1, 4, "unclear", 408, "408"),
            ("500", [says({"code": "InternalError"}, 500)], 1, 4, "unclear", 500, "InternalError"),
            ("503", [raw(503, b"busy"), created], 1, 4, "unclear", 503, "busy"),
            ("503, 1 s", [raw(503, b"", Retry_After="1"), created], 1, 4, "unclear", 503, "503"),
            ("reset after the body", [reset, created], 1, 4, "unclear", None, "reset"),
            ("stall", [stall, created], 1, 4, "unclear", None, "too long"),
            ("drip", [drip, created], 1, 4, "unclear", 200, ""),
            ("truncated", [cut, created], 1, 4, "unclear", 200, "task_id"),
            ("over-long", [raw(200, b"x" * 2**21), created], 1, 4, "unclear", 200, "xxx"),
            ("no JSON", [raw(200, b"<html>hello"), created], 1, 4, "unclear", 200, "<html>hello"),
            ("nothing", [raw(200, b""), created], 1, 4, "unclear", 200, "200"),
            ("204", [raw(204, b""), created], 1, 4, "unclear", 204, "204"),
            ("another shape", [says({"output": {"a": 1}}), created], 1, 4, "unclear", 200, "a"),
            ("numeric id", [says({"output": {"task_id": 774411}})], 1, 4, "unclear", 200, "774411"),
            ("a list", [says(["odd"]), created], 1, 4, "unclear", 200, "odd"),
            ("a text", [says("odd"), created], 1, 4, "unclear", 200, "odd"),
            ("false", [says(False), created], 1, 4, "unclear", 200, "alse"),
            ("no id", [says({"output": {"task_id": ""}}), created], 1, 4, "unclear", 200, "200"),
            ("error in 200", [says({"code": "Odd", "message": "m"})], 1, 4, "unclear", 200, "Odd"),
            ("nested deep", [deep, created], 1, 4, "unclear", 200, "[["),
            ("102 before it", [announced(created, 102)], 1, 0, "made", 200, ""),
            ("103s before it", [announced(created, 100, 103, 103)], 1, 0, "made", 200, ""),
            ("103, then 400", [announced(raw(400, b"n"), 103)], 1, 3, "refused", 400, "n"),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(video_synthesis=list(script))
                with self.patience(script):
                    result = self.go("--no-wait")
                code = result.code if code is None else code
                self.ends(result, code, *(["service"] if code else []))
                self.assertEqual(len(service.posts), posts)
                self.assertLessEqual(sum(self.clock.slept), 30)
                self.assert_no_temporary_files()
                if code:
                    self.assertIn(words, result.line["errors"][0]["message"])
                if not state:
                    self.assertEqual(self.folders(), [])
                    continue
                record = self.kept()
                self.assertEqual((record["state"], record["http_status"]), (state, status))
                self.assertEqual(result.line["state"], state)
                self.assertEqual(record["request"], REQUEST)
                if state == "unclear":
                    self.assertIn("--again", result.line["errors"][0]["hint"])
                    again = self.ends(self.go(), 4, "service").line
                    self.assertEqual(list(again), ["ok", "errors", *KEYS, "warnings"])
                    self.assertEqual(len(service.posts), posts)
                    self.assertEqual(self.kept(), record)

    def test_what_came_back_is_kept_masked_and_at_most_a_mebibyte(self):
        deep = json.loads("[" * 90 + "]" * 90)
        for name, script, expected in (
            ("no id", says({"a": [1, None], "deep": deep}), {"a": [1, None], "deep": deep}),
            ("HTML", raw(200, "<html>\u00e9".encode()), "<html>\u00e9"),
            ("not UTF-8", raw(200, b"<html>\xff"), "<html>\ufffd"),
            ("an error", says({"code": "X"}, 500), {"code": "X"}),
            ("cut short", raw(200, b'{"output', Content_Length="99"), '{"output'),
            ("nothing", raw(200, b""), None),
            ("the key in JSON", says({f"x{KEY}": [KEY]}), {"x***": ["***"]}),
            ("the key in a text", raw(500, f"<p>{KEY}".encode()), "<p>***"),
            (
                "the key escaped",
                raw(200, json.dumps({"k": KEY}).replace("sk-of", "\\u0073\\u006b-of").encode()),
                {"k": "***"},
            ),
            ("refused", says({"code": "InvalidParameter"}, 400), {"code": "InvalidParameter"}),
        ):
            with self.subTest(name):
                self.clear()
                self.serve(video_synthesis=[script])
                self.assertIn(self.ends(self.go(), self.go().code).code, (3, 4))
                self.assertEqual(self.kept(folder=self.folders()[0])["response"], expected)
        for body in (b"x" * 2**21, KEY.encode() * 2**17, b"\xff" * 2**21):
            with self.subTest(body[:20]):
                self.clear()
                self.serve(video_synthesis=[raw(200, body)])
                self.ends(self.go(), 4)
                kept = self.kept()["response"]
                self.assertTrue(kept)
                self.assertLessEqual(len(kept.encode()), 3 * 2**20)
                self.assertLessEqual(len(kept), 2**20)

    def test_an_echo_of_the_key_across_the_limit_is_masked(self):
        for shift in range(0, len(KEY), 5):
            with self.subTest(shift):
                self.clear()
                body = b"x" * (2**20 - shift) + KEY.encode() + b"x" * 100
                self.serve(video_synthesis=[raw(200, body)])
                self.go()
                self.assertNotIn(KEY[: max(shift, 4)], self.kept()["response"])

    def test_an_answer_as_deep_as_can_be_is_kept(self):
        def answer(handler):
            document = fixture("task-created")
            document["x"] = json.loads("[" * 98 + "]" * 98)
            says(document)(handler)

        self.serve(video_synthesis=[answer])
        self.ends(self.go("--no-wait"), 0)
        self.assertEqual(self.kept()["response"]["x"], json.loads("[" * 98 + "]" * 98))

    def test_an_answer_that_is_nested_too_deep_still_gives_its_id_back(self):
        deep = b"[" * 800 + b"]" * 800
        body = b'{"output": {"task_id": "its-own-id"}, "x": ' + deep + b"}"
        self.serve(video_synthesis=[raw(200, body)])
        result = self.go("--no-wait")
        self.assertIn(result.code, (0, 4))
        self.assertIn("its-own-id", result.stdout)

    def test_what_the_service_says_is_shown_with_its_remedy_and_safely(self):
        self.serve(video_synthesis=[fails("error-401", 401)])
        (error,) = self.go().line["errors"]
        self.assertEqual(error["hint"], emo.REMEDIES["InvalidApiKey"])
        for words in ("HTTP 401", "InvalidApiKey", "No API-key provided.", "7438d53d-6eb8"):
            self.assertIn(words, error["message"])
        nasty = {
            "code": f"\x1b[2J{KEY}",
            "message": f"Bearer {KEY} https://example.com/a?Signature=s3cret \u202e",
            "request_id": {"a": KEY},
        }
        self.serve(video_synthesis=[says(nasty, 400)])
        result = self.ends(self.go(), 3, "service")
        self.assertNotIn("s3cret", str(result))

    def test_no_message_takes_longer_than_a_blink(self):
        for text in (
            " " * 2**20,
            "\n" * 2**20,
            "a" * 2**20,
            "//" * 2**19,
            "https://a/?" * 90_000,
            "a " * 2**19,
        ):
            with self.subTest(text[:12]):
                start = time.monotonic()
                self.assertLess(len(emo.shown_words(text)), 2000)
                self.assertLess(time.monotonic() - start, 2)
        for body in (b"a" * 2**20, b" " * 2**20, json.dumps({"code": "a" * 2**19}).encode()):
            for status in (200, 400):
                with self.subTest(f"{status} {body[:9]}"):
                    self.clear()
                    self.serve(video_synthesis=[raw(status, body)])
                    start = time.monotonic()
                    result = self.ends(self.go(), self.go().code)
                    self.assertLess(time.monotonic() - start, 10)
                    self.assertLess(len(result.stdout), 5000)

    def test_a_404_without_json_mentions_the_base_url(self):
        for body, mentions in ((b"", True), (b"<html>", True), (b'{"code": "NoModel"}', False)):
            with self.subTest(body):
                self.clear()
                self.serve(video_synthesis=[raw(404, body)])
                (error,) = self.ends(self.go(), 3).line["errors"]
                if mentions:
                    self.assertIn("DASHSCOPE_BASE_URL", error["hint"])

    def test_retry_after_is_obeyed_to_the_second(self):
        self.serve(video_synthesis=[fails("error-429", 429, Retry_After="7"), created])
        self.ends(self.go("--no-wait"), 0)
        self.assertEqual(self.clock.slept, [7])

    def test_a_retry_after_out_of_range_is_none(self):
        for text in (
            "Fri, 31 Dec 99999 23:59:59 GMT",
            "Mon, 32 Jan 2026 00:00:00 GMT",
            "Mon, 01 Jan 2026 25:00:00 GMT",
            "Mon, 01 Jan 2026 00:00:00 +999999999999",
            "1e3",
            "\u00b2\u00b3",
            "",
        ):
            with self.subTest(text):
                self.clear()
                self.serve(video_synthesis=[fails("error-429", 429, Retry_After=text), created])
                self.ends(self.go("--no-wait"), 0)
                self.assertEqual(self.clock.slept, [1])

    def test_a_reset_before_the_body_was_read_may_have_been_taken(self):
        service = self.serve()
        service.before_body = True
        self.ends(self.go(), 4, "service")
        self.assertEqual((len(service.posts), self.states()), (1, ["unclear"]))

    def test_what_never_left_leaves_nothing(self):
        service = self.serve()
        plain = f"https://127.0.0.1:{service.server_port}/api/v1"
        cases = (
            ("refused", None, "refused", 4),
            ("no such name", "https://emo.invalid/api/v1", "did not resolve", 4),
            ("no TLS there", plain, "", 0),
        )
        for name, url, words, pauses in cases:
            with self.subTest(name):
                self.clear()
                os.environ["DASHSCOPE_BASE_URL"] = url or ""
                if not url:
                    self.refuse_connections()
                os.environ.pop("https_proxy", None)
                nowhere = socket.gaierror(-2, "not known")
                real = socket.getaddrinfo

                def lookup(host, *rest, real=real, nowhere=nowhere, **more):
                    if host == "emo.invalid":
                        raise nowhere
                    return real(host, *rest, **more)

                with mock.patch("socket.getaddrinfo", lookup):
                    result = self.ends(self.go("--no-look"), 4, "service")
                self.assertIn(words, result.line["errors"][0]["message"])
                self.assertEqual((self.folders(), self.states()), ([], []))
                self.assertEqual(len(self.clock.slept), pauses)
                self.assertNotIn("state", result.line)
        self.assertEqual(service.posts, [])

    def test_an_exception_of_any_kind_counts_by_whether_the_first_byte_left(self):
        class Odd(Exception):
            pass

        for kind in (OSError(5, "odd"), ValueError("odd"), Odd("odd"), MemoryError()):
            for place, left in (
                ("http.client.HTTPConnection.connect", False),
                ("http.client.HTTPConnection.getresponse", True),
            ):
                with self.subTest(f"{type(kind).__name__} {place}"):
                    self.clear()
                    service = self.serve()
                    with mock.patch(place, side_effect=kind):
                        result = self.go("--no-look")
                    self.assertIn(result.code, (1, 4), result)
                    self.assertEqual(self.states(), ["unclear"] if left else [])
                    if not left:
                        self.assertEqual(service.posts, [])

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
                self.clear()
                service = self.serve(video_synthesis=[partial(created, task_id=task_id)])
                result = self.ends(self.go("--no-wait"), 0)
                self.assertEqual(result.line["task_id"], task_id)
                self.go("--timeout", "0", "--no-download")
                self.assertTrue(all(h.path.count("/") == 4 for h in service.polls))
        outside = [name for name in self.files() if not name.startswith("output/aliyun-emo/")]
        self.assertEqual(outside, [])


if __name__ == "__main__":
    unittest.main()
