"""Asking whether to pay: only a yes, and only for what was shown."""

import shutil
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, IMAGE_URL
from support.making_case import MakingCase
from support.service import mp3, raw, status_of
from support.service_case import EVIDENCE, POSIX, utc
from support.upload_case import PRICE

from aliyun_emo import clock


class Asking(MakingCase):
    def test_yes_pays_and_anything_else_is_no(self):
        for said, pays in (
            *(("y\n", True), ("yes\n", True), ("Y\n", True), (" YES \n", True)),
            *(("\n", False), ("", False), ("n\n", False), ("yep\n", False), ("yy\n", False)),
            *(("ja\n", False), ("1\n", False), ("y y\n", False), ("--pay\n", False)),
        ):
            with self.subTest(said):
                shutil.rmtree(EVIDENCE, ignore_errors=True)
                service = self.serve()
                result = self.make(says=said)
                self.assertIn("Pay about CNY 0.99? [y/N] ", result.stderr)
                self.assertEqual(len(service.of("POST", "video-synthesis")), int(pays))
                self.assertEqual(result.line["state"], "made" if pays else "ready")
                if not pays:
                    self.ends_with_video(self.run_next(result))

    def test_nobody_is_asked_about_what_was_paid_for(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.make("--pay", "--no-wait")
        result = self.make("--timeout", "0", says="", code=5)
        self.assertNotIn("Pay", result.stderr)
        self.assertIs(result.line["would_send"], False)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)

    def test_where_no_length_is_known_the_question_has_the_price_of_a_second(self):
        self.serve()
        result = self.make("--no-look", says="n\n", media=("portrait.png", AUDIO_URL))
        self.assertIn("Pay about CNY 0.08 a second? [y/N] ", result.stderr)

    def test_the_time_of_the_answer_does_not_count(self):
        self.serve()

        class Slow(str):
            pass

        def pondered():
            clock.sleep(3600)
            return "y\n"

        with mock.patch("support.Terminal.readline", lambda _: pondered()):
            self.ends_with_video(self.make("--timeout", "60", says=""))

    def test_a_file_that_is_changed_while_the_question_stands_is_not_paid_for(self):
        service = self.serve()

        def changed(_):
            Path("speech.mp3").write_bytes(mp3(5))
            return "y\n"

        with mock.patch("support.Terminal.readline", changed):
            self.make(says="", code=2, fields=["audio_url"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_a_link_that_leads_elsewhere_while_the_question_stands_is_not_paid_for(self):
        service = self.serve()
        media = (IMAGE_URL, AUDIO_URL)
        first = self.make(media=media)
        looks = iter((mp3(12.4), mp3(59)))
        service.links[AUDIO_URL] = lambda handler: raw(200, next(looks))(handler)
        refused = self.make(says="y\n", media=media, code=2, fields=["audio_url"])
        self.assertIn("not format mp3, seconds 12.38", refused.stderr)
        self.assertEqual((len(service.tasks), first.line["estimate"]), (0, PRICE))

    def test_what_another_run_has_sent_meanwhile_is_not_asked_about_and_never_ready(self):
        service = self.serve()
        media = ("portrait.png", AUDIO_URL)
        digits = Path(self.make(media=media).line["request_path"]).stem
        record = {"saved_at": utc(time.time()), "attempt": 1}
        record["response"] = {"output": {"task_id": "a-task"}}
        state = "made"

        def another_run(_=None):
            self.write(f"tasks/{digits}/task.json", {**record, "state": state})
            return "n\n"

        def seen(handler):
            another_run()
            raw(200, mp3(12.4))(handler)

        for state in ("made", "sending", "unclear"):
            for name, words, says, link in (
                ("while it looks", [], None, seen),
                ("while it looks, at a terminal", [], "y\n", seen),
                ("while the question stands", [], "", raw(200, mp3(12.4))),
                ("while it looks, and may pay", ["--pay"], None, seen),
            ):
                asks = mock.patch("support.Terminal.readline", another_run)
                with self.subTest(name, state=state), asks:
                    self.clear()
                    service.links[AUDIO_URL] = link
                    code = 4 if "--pay" in words and state != "made" else 0
                    options = {"says": says, "media": media, "code": code}
                    before = len(service.uploads)
                    result = self.make(*words, "--no-wait", **options)
                    self.assertEqual(len(service.uploads) - before, "--pay" in words)
                    told = [result.line[key] for key in ("state", "task_id", "would_send")]
                    self.assertEqual(told, [state, "a-task", False])
                    self.assertNotIn("not paid for", result.stderr)
                    page = Path(result.line["preview_path"]).read_text("utf-8")
                    self.assertIn("A request that was sent", page)
                    self.assertEqual("[y/N]" in result.stderr, says == "")
                    if state != "made" and not words:
                        self.assertIn("--task", self.next_of(result))
        self.assertEqual(service.of("POST", "video-synthesis"), [])

    def test_no_command_that_follows_a_no_pays_for_what_another_run_could_not_send(self):
        service = self.serve()
        digits = Path(self.make().line["request_path"]).stem

        def sending(_):
            self.write(f"tasks/{digits}/task.json", {"state": "sending"})
            return "n\n"

        with mock.patch("support.Terminal.readline", sending):
            result = self.make(says="")
        self.clear()  # the other run's request was not taken: its folder goes
        self.assertNotEqual(self.run_next(result).code, 0)
        self.assertEqual(service.of("POST", "video-synthesis"), [])

    def test_after_a_yes_what_could_not_be_looked_at_again_is_told_before_it_is_paid_for(self):
        service = self.serve()

        def lost(_):
            service.links[AUDIO_URL] = raw(500, b"")
            return "y\n"

        with mock.patch("support.Terminal.readline", lost):
            result = self.make(says="", media=("portrait.png", AUDIO_URL))
        self.assertIn("could not be looked at", result.line["warnings"][0]["message"])
        told, paid = (result.stderr.index(w) for w in ("could not be looked at", "paying for"))
        self.assertLess(told, paid)

    def test_after_a_yes_no_warning_is_told_twice(self):
        self.serve()
        Path("speech.mp3").write_bytes(mp3(0.5))
        result = self.make(says="y\n")
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["audio"])

    @unittest.skipUnless(POSIX, "terminals of POSIX")
    def test_a_terminal_that_takes_no_orders_any_more_says_no(self):
        import termios

        self.serve()
        gone = mock.patch("termios.tcflush", side_effect=termios.error(5, "Input/output error"))
        with gone, mock.patch("support.Terminal.fileno", lambda _: 0, create=True):
            self.assertEqual(self.make(says="n\n").line["state"], "ready")

    def test_what_comes_after_the_question_begins_a_line_of_its_own(self):
        self.serve()
        for says, between in (("n\n", ""), ("", "\n"), ("n", "\n")):
            with self.subTest(repr(says)):
                self.assertIn(f"[y/N] {between}not paid", self.make(says=says).stderr)

    def test_a_terminal_that_is_gone_says_no(self):
        self.serve()
        with mock.patch("support.Terminal.readline", side_effect=OSError(5, "gone")):
            self.assertEqual(self.make(says="").line["state"], "ready")

    def test_an_interrupt_at_the_question_pays_for_nothing(self):
        service = self.serve()

        def interrupted(_):
            raise KeyboardInterrupt(130)

        with mock.patch("support.Terminal.readline", interrupted):
            result = self.make(says="", code=130)
        self.assertIn("[y/N] \nerror: ", result.stderr)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        self.make("--pay")
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)

    def test_what_is_no_text_is_no_yes(self):
        self.serve()

        def garbled(_):
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")

        with mock.patch("support.Terminal.readline", garbled):
            self.assertEqual(self.make(says="").line["state"], "ready")


if __name__ == "__main__":
    unittest.main()
