"""What is asked of the service, what its answers mean, and sending until taken or refused."""

import gzip
import json
import time
import unittest
from email.utils import formatdate
from functools import partial
from unittest import mock

from support import REQUEST
from support.service import (
    KEY,
    announced,
    created,
    drip,
    fails,
    polled,
    raw,
    reset,
    says,
    stall,
)
from support.service_case import DETECTION, KEYS, GenerationCase, ServiceCase, other

from aliyun_emo import clock
from aliyun_emo import service as room
from aliyun_emo.answers import Answer
from aliyun_emo.service import DETECTION_PATH, GENERATION_PATH, NOT_TAKEN

THROTTLED = fails("error-429", 429)
VAST = b'{"output": {"task_id": "a"}, "usage": 1e999}'
TWICE = raw(200, b'{"output": {"task_id": "a"}, "output": {"task_id": "a"}}')
packed = partial(raw, 200, Content_Encoding="gzip")


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
            ("a name twice", [TWICE, created], 1, 0, "made", 200, ""),
            ("1e999", [raw(200, VAST), created], 1, 0, "made", 200, ""),
            ("gzip", [packed(gzip.compress(VAST)), created], 1, 0, "made", 200, ""),
            ("gzip, cut", [packed(gzip.compress(VAST)[:-9])], 1, 0, "made", 200, ""),
            ("no gzip", [packed(b"<html>hello"), created], 1, 4, "unclear", 200, "<html>hello"),
            ("103, then 400", [announced(raw(400, b"n"), 103)], 1, 3, "refused", 400, "n"),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(video_synthesis=list(script))
                with self.patience():
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
                    self.assertIn("--attempt 2", result.line["errors"][0]["hint"])
                    again = self.ends(self.go(), 4, "service").line
                    self.assertEqual(list(again), ["ok", "errors", *KEYS, "warnings"])
                    self.assertEqual(len(service.posts), posts)
                    self.assertEqual(self.kept(), record)

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

    def test_no_try_starts_half_a_minute_after_the_first_or_when_the_time_is_over(self):
        for name, words, script, posts in (
            ("half a minute", [], [THROTTLED], 5),
            ("a pause that is asked for", [], [fails("error-429", 429, Retry_After="14")], 3),
            ("--timeout", ["--timeout", "8"], [THROTTLED], 4),
            ("--timeout 0 sends once", ["--timeout", "0"], [THROTTLED], 5),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(video_synthesis=script)
                self.ends(self.go("--no-look", *words), 4, "service")
                self.assertEqual(len(service.posts), posts)

    def test_who_was_stopped_while_it_waited_sends_nothing_any_more(self):
        for name, late in (("stopped", 123), ("the clock was set back", -7200)):
            with self.subTest(name):
                self.clear()
                service = self.serve(video_synthesis=[THROTTLED, created])

                def sleep(seconds, late=late):
                    self.clock.slept.append(seconds + late)

                with mock.patch.object(clock, "sleep", sleep):
                    self.ends(self.go("--no-look"), 4, "service")
                self.assertEqual((len(service.posts), self.folders()), (1, []))


class Meanings(unittest.TestCase):
    def test_an_answer_to_a_post_means_the_state_of_its_task(self):
        made = {"output": {"task_id": "a"}}
        passed = {"output": {"check_pass": False}}
        for path, answer, state in (
            (GENERATION_PATH, Answer(200, made), "made"),
            (GENERATION_PATH, Answer(299, made), "made"),
            (GENERATION_PATH, Answer(200, json.dumps(made)), "made"),
            (GENERATION_PATH, Answer(200, VAST.decode()), "made"),
            (GENERATION_PATH, Answer(200, '{"output": {}, "output": {"task_id": "a"}}'), "made"),
            (GENERATION_PATH, Answer(200, '{"output": {"task_id": "a"}, "output": 0}'), "made"),
            (GENERATION_PATH, Answer(200, '{"output": {"task_id": "a"'), "unclear"),
            (GENERATION_PATH, Answer(200, {"output": {"task_id": ""}}), "unclear"),
            (GENERATION_PATH, Answer(200, {"output": {"task_id": 7}}), "unclear"),
            (GENERATION_PATH, Answer(200, {"output": [made]}), "unclear"),
            (GENERATION_PATH, Answer(200, {"task_id": "a"}), "unclear"),
            (GENERATION_PATH, Answer(200, passed), "unclear"),
            (GENERATION_PATH, Answer(200, None), "unclear"),
            (GENERATION_PATH, Answer(302, made), "refused"),
            (GENERATION_PATH, Answer(400, made), "refused"),
            (GENERATION_PATH, Answer(425, None), "refused"),
            (GENERATION_PATH, Answer(408, None), "unclear"),
            (GENERATION_PATH, Answer(429, made), NOT_TAKEN),
            (GENERATION_PATH, Answer(500, made), "unclear"),
            (GENERATION_PATH, Answer(599, None), "unclear"),
            (GENERATION_PATH, Answer(0), "unclear"),
            (GENERATION_PATH, Answer(0, left=False), NOT_TAKEN),
            (DETECTION_PATH, Answer(200, passed), "made"),
            (DETECTION_PATH, Answer(200, {"output": {"check_pass": True}}), "made"),
            (DETECTION_PATH, Answer(200, {"output": {"check_pass": 1}}), "unclear"),
            (DETECTION_PATH, Answer(200, made), "unclear"),
            (DETECTION_PATH, Answer(429, passed), NOT_TAKEN),
        ):
            with self.subTest(f"{path[-6:]} {answer}"):
                self.assertEqual(room.state_of(path, answer), state)

    def test_retry_after_is_a_number_or_a_date(self):
        for text, least, most in (
            ("7", 7, 7),
            ("0", 0, 0),
            (formatdate(time.time() + 100, usegmt=True), 90, 100),
            (formatdate(time.time() - 100, usegmt=True), 0, 0),
            ("-1", None, None),
            ("1.5", None, None),
            ("\u00b2", None, None),
            ("soon", None, None),
            ("", None, None),
        ):
            with self.subTest(text):
                found = room.retry_after(text)
                if least is None:
                    self.assertIsNone(found)
                else:
                    self.assertLessEqual(least, found)
                    self.assertLessEqual(found, most)

    def test_over_the_wire_the_detection_model_has_another_name_and_no_digest_goes_along(self):
        files = {"image_url": "a" * 64}
        for request, body in (
            (REQUEST, REQUEST),
            ({**REQUEST, "files": files}, REQUEST),
            (DETECTION, {**DETECTION, "model": "emo-detect-v1"}),
            ({**DETECTION, "files": files}, {**DETECTION, "model": "emo-detect-v1"}),
            ({**DETECTION, "model": "mine"}, {**DETECTION, "model": "mine"}),
        ):
            before = json.dumps(request)
            self.assertEqual(room.body_to_send(request), body)
            self.assertEqual(json.dumps(request), before)


class Asking(ServiceCase):
    def test_each_request_has_the_headers_that_it_needs_and_no_others(self):
        service = self.serve(face_detect=[says({})], video_synthesis=[says({})])
        settings = self.settings()
        stored = other(image_url="oss://a/b.png")
        asynchronous, resolve = "X-DashScope-Async", "X-DashScope-OssResourceResolve"
        for name, path, body, method, expected in (
            ("a poll", "/tasks/a", None, "GET", {}),
            ("a detection", DETECTION_PATH, DETECTION, "POST", {}),
            ("a generation", GENERATION_PATH, REQUEST, "POST", {asynchronous: "enable"}),
            (
                "of the store",
                GENERATION_PATH,
                stored,
                "POST",
                {asynchronous: "enable", resolve: "enable"},
            ),
            ("a detection of the store", DETECTION_PATH, stored, "POST", {resolve: "enable"}),
        ):
            with self.subTest(name):
                room.ask(settings, path, body)
                asked = service.seen[-1]
                self.assertEqual((asked.command, asked.path), (method, f"/api/v1{path}"))
                self.assertEqual(asked.headers["Authorization"], f"Bearer {KEY}")
                self.assertEqual(asked.headers["Accept"], "application/json")
                kind = "application/json" if body else None
                self.assertEqual(asked.headers["Content-Type"], kind)
                for header in (asynchronous, resolve):
                    self.assertEqual(asked.headers[header], expected.get(header))
                self.assertEqual(asked.body, json.dumps(body).encode() if body else b"")

    def test_an_answer_that_is_cut_short_is_kept_and_known_to_be(self):
        for name, answer, document, is_whole in (
            ("whole", raw(200, b'{"a": 1}'), {"a": 1}, True),
            ("cut", raw(200, b'{"a": 1', Content_Length="99"), '{"a": 1', False),
            ("cut where it is JSON", raw(200, b'{"a": 1}', Content_Length="99"), {"a": 1}, False),
            ("gzip", packed(gzip.compress(b'{"a": 1}')), {"a": 1}, True),
            ("no gzip", packed(b"<html>"), "<html>", False),
        ):
            with self.subTest(name):
                self.serve(tasks=[answer])
                found = room.ask(self.settings(), "/tasks/a")
                self.assertEqual((found.status, found.document), (200, document))
                self.assertIs(found.is_whole, is_whole)

    def test_a_body_that_unpacks_to_more_than_a_mebibyte_is_read_no_further(self):
        bomb = gzip.compress(b"x" * 2**26)
        self.serve(tasks=[packed(bomb)])
        found = room.ask(self.settings(), "/tasks/a")
        self.assertEqual(found.document, "x" * 2**20)

    def test_a_request_that_is_interrupted_before_it_leaves_does_not(self):
        service = self.serve(tasks=[polled])
        settings = self.settings()
        settings.interrupts.came = 2
        with self.assertRaises(KeyboardInterrupt) as caught:
            room.ask(settings, "/tasks/a")
        self.assertEqual(caught.exception.args, (130,))
        self.assertEqual(service.seen, [])


if __name__ == "__main__":
    unittest.main()
