"""What was found by trying to make uploads and looks pay, leak or lie: a row for each kind."""

import json
import threading
import unittest
from functools import partial
from pathlib import Path
from unittest import mock
from urllib.parse import quote

from support import arguments
from support.service import (
    PORTRAIT,
    mp3,
    policy,
    policy_with,
    raw,
    stall,
    stored,
)
from support.service_case import FILE, TASKS, GenerationCase
from test_run_uploads import DETECT, LocalCase

from aliyun_emo import settings


def send_as(handler, status, *_):
    """Send the first line of an answer with another `status`."""
    type(handler).send_response_only(handler, status)


class Time(GenerationCase):
    def test_nothing_is_paid_for_when_the_time_is_over_with_the_look(self):
        for slow in ("portrait.png", "speech.mp3"):
            with self.subTest(slow):
                service = self.serve(links={slow: stall})
                result = self.ends(self.go("--timeout", "0.3"), 4, "service")
                self.assertIn("--timeout", result.line["errors"][0]["message"])
                self.assertEqual((service.posts, self.folders()), ([], []))


class Again(GenerationCase):
    def test_an_attempt_that_came_during_the_look_is_gone_on_with(self):
        service = self.serve()
        self.ends_with_video(self.go())
        looking, go_on = threading.Event(), threading.Event()

        def slow(handler):
            looking.set()
            go_on.wait(20)
            raw(200, mp3(9))(handler)

        service.links["speech.mp3"] = slow
        process = self.start(FILE, "--again", "--interval", "0.05")
        self.assertTrue(looking.wait(20))
        del service.links["speech.mp3"]
        second = self.ends_with_video(self.go("--again", "--no-look"))
        go_on.set()
        line = self.ends_with_video(self.end_of(process))
        self.assertEqual(line["task_id"], second["task_id"])
        self.assertIs(line["already_submitted"], True)
        self.assertEqual(len(service.posts), 2)


class Answers(LocalCase):
    def test_an_upload_whose_answer_is_cut_is_not_done(self):
        for name, answer in (
            ("cut", raw(200, b"", Content_Length="500")),
            (
                "stalled",
                lambda handler: (raw(200, b"", Content_Length="500")(handler), stall(handler)),
            ),
        ):
            with self.subTest(name), mock.patch.object(settings, "READ_TIMEOUT", 0.3):
                self.clear()
                service = self.serve(store=[answer, stored])
                self.ends_with_video(self.go())
                self.saw(service, policies=3, uploads=3, generations=1)
                service = self.serve(store=[answer])
                self.clear()
                self.ends(self.go(), 4, "service")
                self.saw(service, policies=5, uploads=5)
                self.assertEqual(self.folders(), [])

    def test_what_the_store_echoes_of_a_policy_is_told_in_no_form(self):
        def echo(handler):
            form = handler.body.decode("latin-1").split('name="')
            values = {part.split('"')[0]: part.split("\r\n")[2] for part in form[1:6]}
            signature, document = values["Signature"], values["policy"]
            for body in bodies:
                text = body.replace("SIGNATURE", signature).replace("POLICY", document)
                raw(403, text.encode())(handler)

        for body in (
            '{"policy": "POLICY", "signature": "SIGNATURE"}',
            "bad policy POLICY with Signature: SIGNATURE",
            "policy=POLICY&Signature=SIGNATURE",
            "<Error><Code>X</Code><Message>SIGNATURE of POLICY</Message></Error>",
            "<Error><StringToSign>POLICY</StringToSign><SignatureProvided>SIGNATURE</Error>",
        ):
            with self.subTest(body):
                bodies = [body]
                service = self.serve(store=[echo])
                result = self.ends(self.go(), 3, "service")
                self.paid_nothing(service, result)
                self.assertIn("***", result.line["errors"][0]["message"])

    def test_what_the_store_echoes_escaped_is_not_told_either(self):
        for escape in (
            lambda text: text.replace("+", "&#43;").replace("/", "&#47;").replace("=", "&#61;"),
            lambda text: quote(text, safe=" "),
            lambda text: text.lower(),
            lambda text: text[:25],
        ):

            def echo(handler, escape=escape):
                form = handler.body.decode("latin-1").split('name="')
                values = {part.split('"')[0]: part.split("\r\n")[2] for part in form[1:6]}
                secret = escape(values["Signature"] + " " + values["policy"])
                raw(403, f"<Error><Code>No</Code><Message>{secret}</Message></Error>".encode())(
                    handler
                )

            service = self.serve(store=[echo])
            result = self.ends(self.go(), 3, "service")
            self.paid_nothing(service, result)
            self.assertIn("No: ***", result.line["errors"][0]["message"])

    def test_a_policy_is_told_of_no_answer_that_has_one(self):
        for status in (201, 203, 206, 403, 404, 500):
            with self.subTest(status):

                def answer(handler, status=status):
                    handler.send_response_only = partial(send_as, handler, status)
                    policy(handler)

                service = self.serve(uploads=[answer])
                result = self.go()
                self.assertIn(result.code, (3, 4), result)
                self.assertTrue(service.policies)
                self.paid_nothing(service, result)
        for changes in ({"max_file_size_mb": "s3cret"}, {"upload_host": "https://h.cn/s3cret"}):
            self.serve(uploads=[policy_with(**changes)])
            self.assertNotIn("s3cret", str(self.ends(self.go(), 4, "service")))

    def test_a_policy_that_is_cut_is_asked_for_again(self):
        service = self.serve(uploads=[raw(200, b'{"data": {', Content_Length="500"), policy])
        self.ends_with_video(self.go())
        self.assertEqual(len(service.of(path="/uploads?")), 3)

    def test_a_policy_with_characters_that_none_has_is_no_fault_of_this_program(self):
        for changes in (
            {"policy": "\ud800"},
            {"signature": "a\r\nb"},
            {"upload_dir": 'a\r\n"/../\u00fc'},
            {"upload_dir": "/"},
            {"max_file_size_mb": "0." + "0" * 300_000 + "1"},
        ):
            with self.subTest(str(changes)[:40]):
                service = self.serve(uploads=[policy_with(**changes)])
                result = self.ends(self.go(), 4, "service")
                self.assertLess(len(result.stdout), 1000)
                self.saw(service, policies=1)

    def test_a_file_that_is_too_large_for_the_store_is_told_with_both_numbers(self):
        self.save("portrait.png", PORTRAIT + bytes(1_070_000))
        self.prepare()
        service = self.serve(uploads=[policy_with(max_file_size_mb="1")])
        result = self.ends(self.go(), 2, "image_url")
        self.assertIn("has 1.02 MiB; the store takes 1 MiB", result.line["errors"][0]["message"])
        self.saw(service, policies=1)


class Files(LocalCase):
    def test_an_answer_replaces_nothing_that_was_given(self):
        service = self.serve()
        for path in (str(self.image), DETECT):
            with self.subTest(path):
                before = Path(path).read_bytes()
                self.ends(self.call_run(DETECT, "--output", path), 2, "output")
                self.assertEqual(Path(path).read_bytes(), before)
        self.saw(service)

    def test_a_request_replaces_no_detection_that_was_given(self):
        self.serve()
        kept = self.ends(self.call_run(DETECT), 0).line["detection_path"]
        before = Path(kept).read_bytes()
        boxes = dict.fromkeys(("face_bbox", "ext_bbox", "image_url", "audio_url"))
        files = {"image": str(self.image), "audio": str(self.audio)}
        words = arguments(**boxes, **files, detection=kept, output=kept)
        self.ends(self.call(*words), 2, "output")
        self.assertEqual(Path(kept).read_bytes(), before)

    def test_a_recording_in_the_wrong_place_of_the_file_makes_no_detection_of_it(self):
        for place in ("parameters", ""):
            with self.subTest(place):
                self.clear()
                self.prepare()
                document = json.loads(Path(FILE).read_text("utf-8"))
                link = document["input"].pop("audio_url")
                (document[place] if place else document)["audio_url"] = link
                self.write("request.json", document)
                service = self.serve()
                self.ends_with_video(self.go())
                self.saw(service, policies=2, uploads=2, generations=1)

    def test_only_a_url_of_a_file_leads_to_one(self):
        path = str(self.image)
        self.save("portrait.png", PORTRAIT)
        for url in (f"file:x/{path}", f"file:{path}", f"file://elsewhere{path}"):
            with self.subTest(url):
                self.prepare()
                document = json.loads(Path(FILE).read_text("utf-8"))
                document["input"]["image_url"] = url.replace(" ", "%20")
                self.write("request.json", document)
                self.ends(self.go(), 2, "image_url")


class Marks(GenerationCase):
    def test_an_end_is_told_where_its_mark_cannot_be_removed(self):
        self.serve()
        self.ends_with_video(self.go("--again"))
        mark = TASKS / self.folders()[0] / "untold"
        for name, make in (("a folder", mark.mkdir), ("gone meanwhile", mark.touch)):
            with self.subTest(name):
                make()
                with mock.patch("os.unlink", side_effect=OSError):
                    self.ends_with_video(self.go())
                (mark.rmdir if name == "a folder" else mark.unlink)()


if __name__ == "__main__":
    unittest.main()
