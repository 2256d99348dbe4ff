"""What is told of a no of the service, and what to do about it."""

import json
import os
import time
import unittest
from functools import partial

from support import REQUEST, emo
from support.service import KEY, fails, raw, refuses, reset, says, status_of
from support.service_case import DETECTION, FILE, GenerationCase
from support.upload_case import DETECT, UploadCase

from aliyun_emo import links, refusals
from aliyun_emo.answers import Answer
from aliyun_emo.refusals import REMEDIES, shown_words
from aliyun_emo.service import GENERATION_PATH, ask


class Messages(GenerationCase):
    """What an answer means for people."""

    def test_what_the_service_says_is_shown_with_its_remedy_and_safely(self):
        self.serve(video_synthesis=[fails("error-401", 401)])
        (error,) = self.go().line["errors"]
        self.assertEqual(error["hint"], REMEDIES["InvalidApiKey"])
        self.assertRegex(error["hint"], "Beijing.*DASHSCOPE_API_KEY goes before .*credentials")
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

    def test_a_code_counts_also_in_an_answer_that_is_kept_as_text(self):
        for text in (
            '{"code": "InvalidFile.NoHuman", "message": "\ufffd\ufffd"}',
            '{"code": "InvalidFile.NoHuman", "code": "", "message": "m"}',
        ):
            with self.subTest(text):
                problem = refusals.answer_problem(Answer(400, text))
                self.assertIn("No person was found", problem.hint)

    def test_a_404_without_json_mentions_the_base_url(self):
        for body, mentions in ((b"", True), (b"<html>", True), (b'{"code": "NoModel"}', False)):
            with self.subTest(body):
                self.clear()
                self.serve(video_synthesis=[raw(404, body)])
                (error,) = self.ends(self.go(), 3).line["errors"]
                if mentions:
                    self.assertIn("DASHSCOPE_BASE_URL", error["hint"])

    def test_a_404_names_the_base_and_the_variable_that_it_is_from(self):
        for variable in ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"):
            for body in (b"", b"<html>", b'{"code": "ModelNotFound", "message": "m"}', b'{"a": 1}'):
                with self.subTest(f"{variable} {body}"):
                    self.clear()
                    service = self.serve(video_synthesis=[raw(404, body)], tasks=[raw(404, body)])
                    os.environ.update({"DASHSCOPE_BASE_URL": "-", variable: service.base_url})
                    for words in ((FILE,), ("--task", "a")):
                        (error,) = self.ends(self.call_run(*words), 3).line["errors"]
                        place = f"HTTP 404 at '{service.base_url}' ({variable}): "
                        self.assertTrue(error["message"].startswith(place), error)
        its = {"base": "https://h/api/v1", "base_variable": "V"}
        problem = refusals.answer_problem(Answer(401, {"code": "InvalidApiKey"}, **its))
        self.assertTrue(problem.message.startswith("HTTP 401 at 'https://h/api/v1' (V): "), problem)
        self.assertEqual(problem.hint, REMEDIES["InvalidApiKey"])
        problem = refusals.answer_problem(Answer(404, base=links.BASE_URL))
        self.assertTrue(problem.message.startswith(f"HTTP 404 at '{links.BASE_URL}': "), problem)
        self.assertNotIn("DASHSCOPE", problem.message + problem.hint)  # none was set
        for status in (400, 403, 500):
            problem = refusals.answer_problem(Answer(status, base="https://example.com/api/v1"))
            self.assertNotIn("example.com", problem.message + problem.hint)

    def test_a_hint_names_the_variable_that_was_set(self):
        variable = "DASHSCOPE_HTTP_BASE_URL"
        for answer in (raw(302, b"", Location="/x"), raw(404, b""), reset):
            service = self.serve(video_synthesis=[answer])
            self.clear()
            os.environ.update({"DASHSCOPE_BASE_URL": "-", variable: service.base_url})
            self.go("--no-look")
            report = emo.Report()
            answer = ask(self.settings(), GENERATION_PATH, REQUEST)
            report.errors.append(refusals.answer_problem(answer))
            self.assertIn(variable, report.errors[0].hint)

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
                start = time.process_time()
                self.assertLess(len(shown_words(text)), 2000)
                self.assertLess(time.process_time() - start, 2)
        for body in (b"a" * 2**20, b" " * 2**20, json.dumps({"code": "a" * 2**19}).encode()):
            for status in (200, 400):
                with self.subTest(f"{status} {body[:9]}"):
                    self.clear()
                    self.serve(video_synthesis=[raw(status, body)])
                    start = time.monotonic()
                    result = self.ends(self.go(), self.go().code)
                    self.assertLess(time.monotonic() - start, 10)
                    self.assertLess(len(result.stdout), 5000)

    def test_each_status_says_whether_it_may_be_another_one_later(self):
        for status, code in (
            *((200, 4), (204, 4), (302, 3), (400, 3), (401, 3), (403, 3), (404, 3), (413, 3)),
            *((408, 4), (425, 4), (429, 4), (500, 4), (502, 4), (503, 4), (599, 4)),
        ):
            for document in (None, "<html>", {"code": "Odd", "message": "m"}, ["x"]):
                with self.subTest(f"{status} {document}"):
                    problem = refusals.answer_problem(Answer(status, document))
                    self.assertEqual((problem.field, problem.code), ("service", code))
                    self.assertIn(f"HTTP {status}", problem.message)
                    self.assertTrue(problem.hint)
        for document in (None, {"error": {"message": "Incorrect API key provided."}}, "<html>"):
            problem = refusals.answer_problem(Answer(401, document))
            self.assertEqual(problem.hint, REMEDIES["InvalidApiKey"])
        problem = refusals.answer_problem(Answer(0, words="no answer: the connection was refused"))
        self.assertEqual(problem.code, 4)
        self.assertEqual(problem.message, "no answer: the connection was refused")

    def test_a_signature_is_not_shown_however_the_service_writes_its_link(self):
        for link in (
            "https:\\/\\/b.example.com\\/a.png?OSSAccessKeyId=S3CRET&Signature=S3CRET",
            "https%3A%2F%2Fb.example.com%2Fa.png%3FSignature%3DS3CRET",
            "b.example.com/a.png?x=1&Signature=S3CRET",
            "https://b.example.com/a b.png?Signature=S3CRET",
            "x-oss-security-token=S3CRET",
        ):
            with self.subTest(link):
                self.serve(video_synthesis=[says({"code": "X", "message": f"no {link} no"}, 400)])
                result = self.go()
                self.assertEqual(result.code, 3)
                self.assertNotIn("S3CRET", result.line["errors"][0]["message"])

    def test_a_code_of_several_parts_has_the_remedy_of_the_first_that_is_known(self):
        problem = refusals.refusal_problem("service", "no", {"code": "Model.AccessDenied"}, 3)
        self.assertEqual(problem.hint, REMEDIES["AccessDenied"])
        for code in (
            "AccessDenied.Unpurchased",
            "Throttling.AllocationQuota",
            "InternalError.Algo",
        ):
            problem = refusals.refusal_problem("service", "HTTP 403", {"code": code}, 3)
            self.assertEqual(problem.hint, REMEDIES[code.partition(".")[0]])

    def test_too_early_is_a_no(self):
        self.serve(video_synthesis=[raw(425, b"")])
        self.assertEqual((self.go().code, self.states()), (3, ["refused"]))


class Hints(UploadCase):
    """Whether an answer is about the link of the store, or about something else."""

    def test_an_answer_that_refuses_the_link_has_the_hint_to_use_a_public_one(self):
        for name, code, message in (
            ("no such link", "invalid_parameter_error", "oss://x/y.png is not to be resolved"),
            ("InvalidURL", "InvalidURL", "The request URL is invalid."),
            ("time-out", "InvalidURL.Timeout", "Download timed out."),
            ("refused", "InvalidURL.ConnectionRefused", "Connection refused."),
        ):
            refused = refuses(400, code, message)
            ended = status_of("FAILED", code=code, message=message)
            ordinary = refusals.REMEDIES.get(code, refusals.UNKNOWN_REMEDY)
            for kind, script, state in (
                ("generation", {"video_synthesis": [refused]}, "refused"),
                ("task", {"tasks": [ended]}, "made"),
                ("detection", {"face_detect": [refused]}, None),
            ):
                with self.subTest(name, kind=kind):
                    self.clear()
                    self.prepare()
                    self.detect()
                    go = self.go if state else partial(self.call_run, DETECT)
                    service = self.serve(**script)
                    result = self.ends(go(), 3, "service")
                    (error,) = result.line["errors"]
                    self.assertIn(code, error["message"])
                    self.assertRegex(error["hint"], r"public (https? )?link")
                    self.assert_no_rights(service, result)
                    if state:
                        self.assertEqual(self.states(), [state])
                    if state == "made":
                        told = self.ends(self.go(), 3, "service").line["errors"][0]
                        self.assertEqual(told, error)
                        self.assertIn("--attempt 2", error["hint"])
                    # The same about ordinary links
                    self.clear()
                    self.write("request.json", REQUEST)
                    self.write("detect_request.json", DETECTION)
                    self.serve(**script)
                    (error,) = self.ends(go(), 3, "service").line["errors"]
                    self.assertIn(ordinary, error["hint"])
                    self.assertNotIn("store", error["hint"])

    def test_where_the_other_one_is_a_link_each_of_the_two_has_its_hint(self):
        said = {"code": "InvalidURL", "message": "Failed to download the audio."}
        for given, parts in (
            (("oss://a", "https://h/a"), ("Of the link: Make the file public", "Of the file: It")),
            (("https://h/a", "oss://a"), ("Of the link: Make the file public", "Of the file: It")),
            (("oss://a", "oss://b"), ("It may not take files of its temporary store",)),
            (("https://h/a", "http://h/b"), ("Make the file public",)),
        ):
            with self.subTest(given):
                sent = {"input": {**dict(zip(("image_url", "audio_url"), given)), "face_bbox": []}}
                problem = refusals.refusal_problem("service", "no", said, 3)
                hint = refusals.with_store_hint(problem, said, sent).hint
                self.assertTrue(hint.startswith(parts[0]), hint)
                self.assertIn(parts[-1], hint)
                self.assertEqual("public links" in hint, len([p for p in parts if "It" in p]) == 1)
        sent = {"input": {"image_url": "oss://a", "audio_url": "https://h/a"}}
        said = {"code": "InvalidParameter", "message": "url error, please check url"}  # a model's
        problem = refusals.with_store_hint(emo.Problem("service", "m", "h"), said, sent)
        self.assertEqual(problem.hint, "h")
        said = {"code": "InvalidParameter.DataInspection", "message": "url"}
        problem = refusals.refusal_problem("service", "no", said, 3)
        self.assertIn("Of the link: A file was", refusals.with_store_hint(problem, said, sent).hint)
        for code, message in (
            ("invalid_parameter_error", "File of url oss://a not found"),
            ("InvalidParameter", "m"),
            *((code, "no oss://a") for code in ("AccessDenied", "InternalError", "InvalidURL")),
        ):
            said = {"code": code, "message": message}
            problem = refusals.refusal_problem("service", "no", said, 3)
            hint = refusals.with_store_hint(problem, said, sent).hint
            self.assertTrue(hint.startswith("It may not take files of"), (code, hint))

    def test_an_answer_about_something_else_keeps_its_hint(self):
        for code, message in (
            ("Arrearage", "Access denied, please make sure your account is in good standing."),
            ("InvalidFile.Resolution", "The resolution of the image in image_url is too small."),
            ("InvalidFile.NoHuman", "No human in the picture of input.image_url."),
            ("DataInspectionFailed", "Input data of image_url may be inappropriate."),
            ("Throttling.RateQuota", "Requests rate limit exceeded."),
        ):
            with self.subTest(code):
                self.clear()
                self.serve(tasks=[status_of("FAILED", code=code, message=message)])
                (error,) = self.ends(self.go(), 3, "service").line["errors"]
                self.assertIn(REMEDIES.get(code) or REMEDIES[code.partition(".")[0]], error["hint"])
                self.assertNotIn("behind its link", error["hint"])  # a file has another request


if __name__ == "__main__":
    unittest.main()
