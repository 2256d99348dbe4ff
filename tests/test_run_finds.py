"""What was found by trying to make a run pay twice, lie, leak or hang: a row for each kind."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from support import IMAGE_URL, RUN, emo, run
from support.service import KEY, fixture, raw, says, status_of, video_of
from support.service_case import DAY, DETECTION, FILE, POSIX, TASKS, GenerationCase, utc


class Finds(GenerationCase):
    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_again_does_not_pay_before_the_end_of_what_it_paid_for_was_told(self):
        service = self.serve()
        self.assertEqual(self.go().code, 0)
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, str(RUN), FILE, "--again", "--interval", "0.05"],
                stdout=full,
                stderr=subprocess.DEVNULL,
            )
        self.assertEqual((done.returncode, len(service.posts)), (1, 2))
        for posts in (2, 3):  # told now, and only then paid for anew
            self.assertEqual(self.go("--again").code, 0)
            self.assertEqual(len(service.posts), posts)
        self.assertEqual([name for name in self.files() if "untold" in name], [])

    def test_a_dry_run_finds_what_cannot_be_written(self):
        service = self.serve()
        TASKS.write_text("")
        for words in (["--dry-run"], []):
            result = self.go(*words)
            self.assertEqual((result.code, result.fields, service.posts), (1, ["output"], []))

    def test_an_id_is_asked_for_whatever_the_clock_says(self):
        service = self.serve()
        self.go("--no-wait")
        record = self.kept()
        record["saved_at"] = "1970-01-01T00:00:00Z"
        self.write(f"tasks/{self.folders()[0]}/task.json", record)
        self.assertEqual(self.go().code, 3)
        task_id = record["response"]["output"]["task_id"]
        self.assertEqual(self.call_run("--task", task_id).code, 0)
        self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_the_boxes_of_a_detection_are_told_when_they_cannot_be_kept(self):
        self.serve()
        path = self.write("detect_request.json", DETECTION)
        old = self.write("detection.json", {"old": True})
        result = self.run_with_room(100, path, script=RUN)
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)
        self.assertIsNone(result.line["detection_path"])
        self.assertEqual(result.line["face_bbox"], [302, 286, 610, 593])
        self.assertEqual(json.loads(Path(old).read_text()), {"old": True})

    def test_an_interrupt_between_claim_and_sending_leaves_no_folder(self):
        service = self.serve()
        for place in ("body_to_send", "file_name", "replace_file"):
            with self.subTest(place):
                flight = run.Flight()

                def interrupt(*_, flight=flight):
                    flight.interrupt(signal.SIGTERM, None)

                with mock.patch.object(run, place, interrupt):
                    result = self.call(FILE, "--again", main=lambda w, f=flight: run.main(w, f))
                self.assertEqual((result.code, service.posts), (143, []), result)
                self.assertEqual(self.folders(), [])
        flight = run.Flight()
        claim = run.claim

        def interrupted(*words):
            task = claim(*words)
            flight.interrupt(signal.SIGTERM, None)
            return task

        with mock.patch.object(run, "claim", interrupted):
            result = self.call(FILE, main=lambda w: run.main(w, flight))
        self.assertEqual((result.code, service.posts, self.folders()), (143, [], []), result)

    def test_what_is_no_json_does_not_reach_stdout_as_json(self):
        self.serve(face_detect=[raw(200, b'{"output": {"check_pass": NaN}}')])
        path = self.write("detect_request.json", DETECTION)
        result = self.go(file=path)
        self.assertEqual(result.code, 4, result)
        self.assertNotIn("NaN,", result.stdout)
        self.assertIsNone(result.line["check_pass"])
        self.write("tasks/abc/task.json", {"saved_at": float("inf")})
        self.assertNotIn("Infinity", self.call_run().stdout)

    def test_a_key_that_is_cut_or_escaped_is_masked(self):
        escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
        for name, body in (
            ("cut", b"key " + KEY[:-1].encode()),
            ("cut early", b"key " + KEY[:5].encode()),
            ("escaped and cut", f'{{"message": "Bearer {escaped}", '.encode()),
            ("escaped in part", f'{{"message": "Bearer {escaped[:6]}{KEY[1:]}'.encode()),
        ):
            with self.subTest(name):
                self.clear()
                self.write("request.json", emo.json.loads(Path(FILE).read_text()))
                self.serve(video_synthesis=[raw(200, body, Content_Length="500")])
                result = self.go()
                self.assertEqual(result.code, 4, result)
                kept = str(result) + json.dumps(self.kept())
                for secret in (KEY[:5], escaped[:12]):
                    self.assertNotIn(secret, kept)
                    self.assertNotIn(secret.replace("\\", "\\\\"), kept)

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

    def test_a_length_that_is_none_does_not_count(self):
        body = video_of("x")
        self.serve(videos=[raw(200, body, Content_Length="9" * 5000)])
        result = self.go()
        self.assertNotIn("redirects", str(result))

    def test_too_early_is_a_no(self):
        self.serve(video_synthesis=[raw(425, b"")])
        self.assertEqual((self.go().code, self.states()), (3, ["refused"]))

    def test_an_error_of_a_task_has_its_warnings(self):
        link = f"{IMAGE_URL}?OSSAccessKeyId=k&Expires=9999999999&Signature="
        request = json.loads(Path(FILE).read_text())
        request["input"]["image_url"] = link + "a"
        self.write("request.json", request)
        self.serve(tasks=[says(fixture("task-failed"))])
        self.go()
        request["input"]["image_url"] = link + "b"
        self.write("request.json", request)
        result = self.go()
        self.assertEqual(result.code, 3)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url"])

    def test_the_newest_stands_first_within_a_second_too(self):
        for name, fraction in (("aaa", "100000"), ("bbb", "900000"), ("ccc", "500000")):
            self.write(f"tasks/{name}/task.json", {"saved_at": f"2026-01-01T00:00:00.{fraction}Z"})
        rows = self.call_run().line["tasks"]
        self.assertEqual([Path(r["task_path"]).parent.name for r in rows], ["bbb", "ccc", "aaa"])

    def test_the_next_command_after_a_dry_run_is_the_same_without_it(self):
        self.serve()
        result = self.go("--again", "--interval", "2", "--dry-run", terminal=True)
        self.assertTrue(result.stderr.rstrip().endswith(f"{FILE} --again --interval 2"), result)

    def test_the_way_on_of_an_interrupt_that_saw_no_answer_is_to_look_first(self):
        self.serve(tasks=[status_of("RUNNING")])
        with mock.patch.object(run, "ask", side_effect=KeyboardInterrupt):
            flight = run.Flight()
            with mock.patch.object(run, "send", self.left_and_interrupted(run.send, flight)):
                result = self.call(FILE, main=lambda w: run.main(w, flight))
        self.assertEqual((result.code, self.states()), (130, ["unclear"]), result)
        self.assertIn("account", result.line["errors"][0]["hint"])

    def left_and_interrupted(self, send, flight):
        def sending(*words):
            def ask(*_):
                flight.left = True
                raise KeyboardInterrupt

            with mock.patch.object(run, "ask", ask):
                return send(*words)

        return sending

    def test_a_signal_while_the_line_is_printed_does_not_cut_it(self):
        flight = run.Flight()
        flight.is_over = True
        flight.interrupt(signal.SIGTERM, None)
        with mock.patch("os._exit") as ended:
            flight.interrupt(signal.SIGTERM, None)
        ended.assert_called_once_with(143)
        self.call(main=lambda w: run.main(w, flight))
        self.assertTrue(flight.is_over)


class Untold(GenerationCase):
    def test_an_unclear_attempt_of_again_gives_way_to_the_next(self):
        service = self.serve(video_synthesis=[raw(500, b"")])
        for posts in (1, 2, 3):
            result = self.go("--again")
            self.assertEqual((result.code, len(service.posts)), (4, posts), result)
        self.assertEqual(self.states(), ["unclear"] * 3)

    def test_a_dry_run_tells_an_end_and_leaves_its_mark(self):
        service = self.serve()
        self.go("--again")
        mark = TASKS / self.folders()[0] / "untold"
        mark.touch()
        self.assertIs(self.go("--again", "--dry-run").line["would_send"], False)
        self.assertTrue(mark.exists())
        self.assertEqual((self.go("--again").code, len(service.posts)), (0, 1))
        self.assertFalse(mark.exists())


class OlderThanADay(GenerationCase):
    def test_what_was_paid_for_and_never_told_gives_way_after_a_day(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.go("--again", "--timeout", "0")
        self.assertTrue(any("untold" in name for name in self.files()))
        record = self.kept()
        self.write(
            f"tasks/{self.folders()[0]}/task.json",
            {**record, "saved_at": utc(emo.time() - DAY - 60)},
        )
        self.go("--again", "--timeout", "0")
        self.assertEqual(len(service.posts), 2)


if __name__ == "__main__":
    unittest.main()
