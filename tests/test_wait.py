"""`wait`: every answer kept, the video on disk or not at all, and the way on always told."""

import io
import json
import os
import signal
import time
import unittest
from email.utils import formatdate
from pathlib import Path
from unittest import mock

from service import (
    KEY,
    VIDEO,
    drip,
    fails,
    fixture,
    raw,
    reset,
    says,
    stall,
    status_of,
    succeeded,
)
from service_case import EVIDENCE, TASK_ID, ServiceCase
from support import REQUEST, emo

VIDEO_PATH = os.path.join("output", "aliyun-emo", "video.mp4")
RESPONSE_PATH = os.path.join("output", "aliyun-emo", "response.json")


class WaitCase(ServiceCase):
    def setUp(self):
        super().setUp()
        answer = fixture("task-created")
        record = {"saved_at": emo.timestamp(), "request": REQUEST, "response": answer}
        self.write("task.json", record)

    def snapshots(self):
        path = EVIDENCE / "polls.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


class Polls(WaitCase):
    def test_a_task_that_succeeds_ends_with_its_video(self):
        service = self.serve()
        result = self.call("wait")
        url = service.root + "/video.mp4"
        self.assertEqual(result.code, 0, result)
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("task_id", TASK_ID),
                ("task_status", "SUCCEEDED"),
                ("video_url", url),
                ("video_path", VIDEO_PATH),
                ("response_path", RESPONSE_PATH),
                ("warnings", []),
            ],
        )
        self.assertEqual(result.stderr, "PENDING\nRUNNING\nSUCCEEDED\ndownloading\n")
        self.assertEqual(self.clock.slept, [5, 5])
        self.assertEqual((EVIDENCE / "video.mp4").read_bytes(), VIDEO)
        output = fixture("task-succeeded")["output"]
        self.assertEqual(
            self.read("response.json"),
            {
                "task_id": TASK_ID,
                "task_status": "SUCCEEDED",
                "video_url": url,
                "submit_time": output["submit_time"],
                "scheduled_time": output["scheduled_time"],
                "end_time": output["end_time"],
                "usage": {"video_duration": 10.23, "video_ratio": "1:1"},
                "request_id": "2bddf73b-01a0-9e5f-8d5e-5f4b1d2c7a10",
                "video_path": VIDEO_PATH,
            },
        )
        statuses = [s["response"]["output"]["task_status"] for s in self.snapshots()]
        self.assertEqual(statuses, ["PENDING", "RUNNING", "SUCCEEDED"])
        for snapshot in self.snapshots():
            self.assertEqual(list(snapshot), ["polled_at", "response"])
        for handler in service.polls:
            self.assertEqual(handler.path, f"/api/v1/tasks/{TASK_ID}")
            self.assertEqual(handler.headers["Authorization"], f"Bearer {KEY}")
        (download,) = (h for h in service.seen if h.path == "/video.mp4")
        self.assertNotIn(KEY, str(download.headers))
        self.assert_no_key(result)

    def test_each_end_of_a_task_has_its_exit_code(self):
        elsewhere = fixture("task-succeeded")
        nowhere = fixture("task-succeeded")
        del nowhere["output"]["results"]
        for name, script, code, words in (
            (
                "failed",
                [says(fixture("task-failed"))],
                3,
                "InvalidURL: Failed to download the audio",
            ),
            ("cancelled", [status_of("CANCELED")], 3, "CANCELED"),
            ("unknown", [status_of("UNKNOWN")], 3, "knows no such task"),
            ("401", [fails("error-401", 401)], 3, "InvalidApiKey"),
            ("404", [raw(404, b"")], 3, "HTTP 404"),
            ("redirect", [raw(302, b"", Location="http://example.com/")], 3, "redirects"),
            ("running", [status_of("RUNNING")], 5, "not ended"),
            ("suspended", [status_of("SUSPENDED")], 5, "not ended"),
            ("500", [raw(500, b"")], 4, "HTTP 500"),
            ("429", [fails("error-429", 429)], 4, "HTTP 429"),
            ("no JSON", [raw(200, b"<")], 4, "HTTP 200"),
            ("reset", [reset], 4, "reset"),
            ("another shape", [says({"output": {"task_status": 7}})], 4, "HTTP 200"),
            ("500 after an answer", [status_of("RUNNING"), raw(500, b"")], 5, "not ended"),
            ("no link", [says(nowhere)], 4, "no video_url"),
        ):
            with self.subTest(name):
                self.clear("task.json")
                self.serve(tasks=list(script))
                result = self.call("wait", "--timeout", "100")
                self.assertEqual((result.code, result.fields), (code, ["service"]), result)
                self.assertIn(words, result.line["errors"][0]["message"])
                self.assertNotIn("video.mp4", self.evidence())
                self.assertLessEqual(sum(self.clock.slept), 100)
                self.assert_no_key(result)
                if "task_id" in result.line:
                    self.assertEqual(
                        list(result.line)[2:],
                        ["task_id", "task_status", "video_url", "video_path", "response_path"],
                    )
        self.assertEqual(elsewhere["output"]["task_id"], TASK_ID)

    def test_a_failed_task_tells_why_and_keeps_it(self):
        self.serve(tasks=[says(fixture("task-failed"))])
        result = self.call("wait")
        self.assertEqual(result.line["errors"][0]["hint"], emo.REMEDIES["InvalidURL"])
        kept = self.read("response.json")
        self.assertEqual((kept["code"], kept["task_status"]), ("InvalidURL", "FAILED"))
        self.assertNotIn("video_url", kept)

    def test_failing_polls_are_waited_out_with_growing_pauses(self):
        self.serve(
            tasks=[
                raw(500, b""),
                reset,
                raw(200, b"<"),
                raw(200, b"{", Content_Length="9"),
                fails("error-429", 429),
                raw(503, b""),
                succeeded(),
            ]
        )
        result = self.call("wait")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.clock.slept, [10, 20, 40, 60, 60, 60])

    def test_retry_after_is_obeyed_in_both_its_forms(self):
        soon = formatdate(time.time() + 30, usegmt=True)
        self.serve(
            tasks=[
                fails("error-429", 429, Retry_After="17"),
                raw(503, b"", Retry_After=soon),
                raw(503, b"", Retry_After="0"),
                status_of("RUNNING"),
                succeeded(),
            ]
        )
        self.assertEqual(self.call("wait").code, 0)
        self.assertEqual(self.clock.slept[0], 17)
        self.assertAlmostEqual(self.clock.slept[1], 30, delta=3)
        self.assertEqual(self.clock.slept[2:], [5, 5])

    def test_a_stall_ends_within_the_time_that_is_left(self):
        for name, answer in (("stall", stall), ("drip", drip)):
            with self.subTest(name):
                self.serve(tasks=[answer])
                start = time.monotonic()
                result = self.call("wait", "--timeout", "0.4")
                self.assertEqual(result.code, 4, result)
                self.assertLess(time.monotonic() - start, 10)

    def test_a_timeout_of_0_asks_once(self):
        for script, code in (([status_of("RUNNING")], 5), ([raw(500, b"")], 4), ([succeeded()], 0)):
            with self.subTest(code):
                self.clear("task.json")
                service = self.serve(tasks=script)
                self.assertEqual(self.call("wait", "--timeout", "0").code, code)
                self.assertEqual((len(service.polls), self.clock.slept), (1, []))

    def test_a_word_that_is_not_known_counts_as_not_finished_with_a_warning(self):
        self.serve(tasks=[status_of("QUEUED"), status_of("QUEUED\x1b[2J"), succeeded()])
        result = self.call("wait")
        self.assertEqual(result.code, 0, result)
        (warning,) = result.line["warnings"]
        self.assertIn("QUEUED", warning["message"])
        self.assertNotIn("\x1b", result.stderr)

    def test_the_link_may_stand_in_either_place(self):
        service = self.serve()
        answer = fixture("task-succeeded")
        del answer["output"]["results"]
        answer["output"]["video_url"] = service.root + "/video.mp4"
        service.script["tasks"] = [says(answer)]
        self.assertEqual(self.call("wait").line["video_path"], VIDEO_PATH)

    def test_an_id_may_be_given_and_leads_nowhere_else(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        for task_id in ("other", "../../../x", "a/b?c#d"):
            self.call("wait", task_id, "--timeout", "0")
            path = service.polls[-1].path
            self.assertTrue(path.startswith("/api/v1/tasks/"), path)
            self.assertEqual(path.count("/"), 4, path)
            self.assertEqual(self.read("response.json")["task_id"], task_id)
        self.assertIn("response-other.json", self.evidence())
        service.seen.clear()
        for task_id in ("", " ", "a b", "a\nb", "é", "\x1b"):
            with self.subTest(task_id):
                result = self.call("wait", task_id)
                self.assertEqual((result.code, result.fields), (2, ["task_id"]), result)
        self.assertEqual(service.seen, [])

    def test_without_a_task_it_says_what_to_do(self):
        self.serve()
        self.write("task.json", {"saved_at": "x", "request": REQUEST, "response": None})
        result = self.call("wait")
        self.assertEqual((result.code, result.fields), (4, ["task_id"]))
        (EVIDENCE / "task.json").unlink()
        result = self.call("wait")
        self.assertEqual((result.code, result.fields), (2, ["task_id"]))
        self.assertIn("submit", result.line["errors"][0]["hint"])

    def test_numbers_are_checked(self):
        service = self.serve()
        for option, texts in {
            "interval": ["0", "-1", "0.01", "1e3", "nan", "inf", "", "x", "1.2.3", "５", "9" * 400],
            "timeout": ["-1", "1e3", "nan", "inf", "", "x", "86401", "."],
        }.items():
            for text in texts:
                with self.subTest(f"{option} {text[:9]}"):
                    result = self.call("wait", f"--{option}", text)
                    self.assertEqual((result.code, result.fields), (2, [option]), result)
        self.assertEqual(service.seen, [])
        self.assertEqual(self.call("wait", "--interval", "0.25", "--timeout", "3.5").code, 0)
        self.assertEqual(self.clock.slept, [0.25, 0.25])

    def test_at_a_terminal_one_line_updates_itself(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        self.serve()
        terminal = Terminal()
        with mock.patch("sys.stderr", terminal), mock.patch("sys.stdout", io.StringIO()):
            self.assertEqual(emo.main(["wait"]), 0)
        shown = terminal.getvalue()
        self.assertEqual(shown.count("\n"), 1)
        self.assertIn("\rRUNNING, 5 s", shown)
        self.assertIn("MB", shown)

    def test_two_waiters_do_not_garble_what_they_keep(self):
        service = self.serve(tasks=[status_of("RUNNING", note="x" * 20_000)] * 60 + [succeeded()])
        running = [self.start("wait", "--interval", "0.05") for _ in range(3)]
        for process in running:
            stdout, stderr = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0, stderr)
            self.assertEqual(json.loads(stdout)["task_status"], "SUCCEEDED")
        self.assertEqual(len(self.snapshots()), len(service.polls))
        self.assertEqual((EVIDENCE / "video.mp4").read_bytes(), VIDEO)

    @unittest.skipUnless(os.name == "posix", "signals of POSIX")
    def test_an_interrupt_ends_with_130_and_all_so_far_is_on_disk(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        process = self.start("wait", "--interval", "0.1")
        self.until(lambda: len(service.polls) > 2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, stderr)
        line = json.loads(stdout)
        self.assertEqual((line["ok"], line["task_status"]), (False, "RUNNING"))
        self.assertIn("again", line["errors"][0]["hint"])
        self.assertNotIn("Traceback", stderr)
        self.assertGreaterEqual(len(self.snapshots()), 2)
        self.assertEqual(self.read("response.json")["task_status"], "RUNNING")

    def test_after_a_kill_it_goes_on(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        process = self.start("wait", "--interval", "0.05")
        self.until(lambda: len(service.polls) > 2)
        process.kill()
        process.communicate(timeout=30)
        before = len(self.snapshots())
        self.assertGreaterEqual(before, 2)
        service.script["tasks"] = [succeeded()]
        self.assertEqual(self.run_script("wait").code, 0)
        self.assertEqual(len(self.snapshots()), before + 1)

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_a_snapshot_is_whole_or_absent_when_the_disk_fills(self):
        self.serve(tasks=[status_of("RUNNING")])
        self.call("wait", "--timeout", "0")
        room = (EVIDENCE / "polls.jsonl").stat().st_size + 50
        result = self.run_with_room(room, "wait", "--timeout", "0")
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)
        self.assertEqual(len(self.snapshots()), 1)


class Videos(WaitCase):
    def test_a_download_that_fails_is_tried_three_times_and_leaves_nothing_broken(self):
        whole = raw(200, VIDEO)
        cut = raw(200, VIDEO[:1000], Content_Length=str(len(VIDEO)))
        chunked = raw(200, b"5\r\nhello\r\n", Content_Length=None, Transfer_Encoding="chunked")
        for name, script, tries, code in (
            ("cut twice", [cut, cut, whole], 3, 0),
            ("cut for ever", [cut], 3, 4),
            ("a chunk is missing", [chunked], 3, 4),
            ("reset, then well", [reset, whole], 2, 0),
            ("500, then well", [raw(500, b""), whole], 2, 0),
            ("403", [raw(403, b"<Error>"), whole], 1, 4),
            ("stall", [stall], 3, 4),
        ):
            with self.subTest(name):
                self.clear("task.json")
                service = self.serve(tasks=[succeeded()], video_mp4=list(script))
                with self.patience(script):
                    result = self.call("wait")
                asked = [handler for handler in service.seen if handler.path == "/video.mp4"]
                self.assertEqual((result.code, len(asked)), (code, tries), result)
                self.assert_no_key(result)
                self.assertEqual([n for n in self.evidence() if ".tmp" in n], [])
                link = service.root + "/video.mp4"
                self.assertEqual(self.read("response.json")["video_url"], link)
                if code == 0:
                    self.assertEqual((EVIDENCE / "video.mp4").read_bytes(), VIDEO)
                    continue
                self.assertNotIn("video.mp4", self.evidence())
                self.assertNotIn("video_path", self.read("response.json"))
                self.assertEqual(result.line["video_url"], link)
                self.assertIsNone(result.line["video_path"])
                service.script["video.mp4"] = [whole]
                self.assertEqual(self.call("wait").line["video_path"], VIDEO_PATH)

    def test_a_redirect_is_followed_to_http_only_and_without_the_key(self):
        service = self.serve(
            moved=[raw(302, b"", Location="/video.mp4")], tasks=[succeeded("/moved")]
        )
        self.assertEqual(self.call("wait").code, 0)
        for handler in service.seen:
            if "/tasks/" not in handler.path:
                self.assertNotIn("Authorization", handler.headers)
        secret = self.folder / "secret"
        secret.write_text("s3cret")
        for location in (secret.as_uri(), "ftp://127.0.0.1/x", "data:,x", "/moved", "", "http://["):
            with self.subTest(location):
                self.clear("task.json")
                self.serve(moved=[raw(302, b"", Location=location)], tasks=[succeeded("/moved")])
                result = self.call("wait")
                self.assertEqual(result.code, 4, result)
                self.assertNotIn("video.mp4", self.evidence())
        for link in (secret.as_uri(), "data:,x", "http://127.0.0.1:1/ x", "http://é/"):
            with self.subTest(link):
                self.clear("task.json")
                self.serve(tasks=[succeeded(link.replace("data:", "data://"))])
                self.assertEqual(self.call("wait").code, 4)

    def test_no_download_leaves_it_and_wait_again_fetches_it(self):
        service = self.serve(tasks=[succeeded()])
        result = self.call("wait", "--no-download")
        self.assertEqual(result.code, 0)
        self.assertIsNone(result.line["video_path"])
        self.assertNotIn("video.mp4", self.evidence())
        self.assertEqual(self.call("wait").line["video_path"], VIDEO_PATH)
        self.assertEqual(len(service.polls), 2)

    def test_what_is_finished_and_saved_is_answered_from_disk(self):
        service = self.serve()
        first = self.call("wait")
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        for words in ([], [TASK_ID], ["--no-download"], ["--timeout", "0"]):
            with self.subTest(words):
                again = self.call("wait", *words)
                self.assertEqual(again.stdout, first.stdout)
        self.assertEqual(service.seen, [])
        (EVIDENCE / "video.mp4").unlink()
        os.environ["DASHSCOPE_API_KEY"] = KEY
        self.assertEqual(self.call("wait").code, 0)
        self.assertEqual((EVIDENCE / "video.mp4").read_bytes(), VIDEO)

    def test_a_failed_task_is_answered_from_disk_too(self):
        service = self.serve(tasks=[says(fixture("task-failed"))])
        first = self.call("wait")
        second = self.call("wait")
        self.assertEqual((second.code, second.stdout), (3, first.stdout))
        self.assertEqual(len(service.polls), 1)

    def test_a_task_that_gave_way_is_answered_from_its_own_files(self):
        service = self.serve()
        self.write("request.json", REQUEST)
        self.call("wait")
        new = fixture("task-created")
        new["output"]["task_id"] = "new"
        service.script["video-synthesis"] = [says(new)]
        self.assertEqual(self.call("submit", "--again").code, 0)
        old = os.path.join("output", "aliyun-emo", f"video-{TASK_ID}.mp4")
        service.seen.clear()
        result = self.call("wait", TASK_ID)
        self.assertEqual(result.line["video_path"], old)
        self.assertEqual(Path(old).read_bytes(), VIDEO)
        self.assertEqual(service.seen, [])
        service.script["tasks"] = [succeeded()]
        self.assertEqual(self.call("wait").line["task_id"], "new")
        self.assertEqual(self.call("wait", TASK_ID).line["video_path"], old)

    def test_a_kill_during_the_download_leaves_no_video(self):
        service = self.serve(tasks=[succeeded()], video_mp4=[drip])
        process = self.start("wait")
        self.until(lambda: any(handler.path == "/video.mp4" for handler in service.seen))
        process.kill()
        process.communicate(timeout=30)
        self.assertNotIn("video.mp4", self.evidence())
        service.script["video.mp4"] = [raw(200, VIDEO)]
        self.assertEqual(self.run_script("wait").code, 0)
        self.assertEqual((EVIDENCE / "video.mp4").read_bytes(), VIDEO)

    @unittest.skipUnless(os.name == "posix", "limits of POSIX")
    def test_a_disk_that_fills_during_the_download(self):
        service = self.serve(tasks=[succeeded()])
        result = self.run_with_room(90_000, "wait")
        self.assertEqual((result.code, result.fields), (1, ["output"]), result)
        self.assertEqual(result.line["video_url"], service.root + "/video.mp4")
        self.assertEqual(self.evidence(), ["polls.jsonl", "response.json", "task.json"])


if __name__ == "__main__":
    unittest.main()
