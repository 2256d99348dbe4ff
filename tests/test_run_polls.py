"""Waiting for a task: every answer kept, the video whole or not at all, the way on told."""

import os
import re
import signal
import sys
import time
import unittest
from email.utils import formatdate
from functools import partial
from pathlib import Path
from unittest import mock

from support import RUN
from support.service import (
    KEY,
    Proxy,
    announced,
    created,
    drip,
    fails,
    fixture,
    polled,
    raw,
    reset,
    says,
    stall,
    status_of,
    succeeded,
    video,
    video_of,
)
from support.service_case import DAY, FILE, KEYS, POSIX, TASKS, GenerationCase, other

from aliyun_emo import download, progress, settings

LIVES = r"(?m), \d+ s$"


def when_seen(answer, seen):
    """Give `answer` when a line on stderr has told that the run lives, which is noted in `seen`."""

    def late(handler):
        for _ in range(300):
            if re.search(LIVES, sys.stderr.getvalue()):
                seen.append(True)
                break
            time.sleep(0.01)
        answer(handler)

    return late


class Polls(GenerationCase):
    def test_polls_are_kept_and_the_last_one_told_in_its_normal_form(self):
        service = self.serve()
        line = self.ends_with_video(self.go())
        output = fixture("task-succeeded")["output"]
        self.assertEqual(self.clock.slept, [5, 5])
        self.assertEqual(
            self.kept("response.json"),
            {
                "task_id": line["task_id"],
                "task_status": "SUCCEEDED",
                "video_url": line["video_url"],
                "submit_time": output["submit_time"],
                "scheduled_time": output["scheduled_time"],
                "end_time": output["end_time"],
                "usage": {"video_duration": 10.23, "video_ratio": "1:1"},
                "request_id": "2bddf73b-01a0-9e5f-8d5e-5f4b1d2c7a10",
                "video_path": "video.mp4",
            },
        )
        statuses = [s["response"]["output"]["task_status"] for s in self.snapshots()]
        self.assertEqual(statuses, ["PENDING", "RUNNING", "SUCCEEDED"])
        for snapshot in self.snapshots():
            self.assertEqual(list(snapshot), ["polled_at", "response"])
        for handler in service.polls:
            self.assertEqual(handler.path, f"/api/v1/tasks/{line['task_id']}")
            self.assertEqual(handler.headers["Authorization"], f"Bearer {KEY}")
        (download,) = service.downloads
        self.assertNotIn(KEY, str(download.headers))

    def test_each_end_of_a_task_has_its_exit_code(self):
        nowhere = fixture("task-succeeded")
        del nowhere["output"]["results"]
        for name, script, code, words in (
            ("failed", [says(fixture("task-failed"))], 3, "InvalidURL: Failed to download"),
            ("cancelled", [status_of("CANCELED")], 3, "CANCELED"),
            ("unknown", [status_of("UNKNOWN")], 3, ""),
            ("401", [fails("error-401", 401)], 3, "InvalidApiKey"),
            ("404", [raw(404, b"")], 3, "HTTP 404"),
            ("redirect", [raw(302, b"", Location="http://example.com/")], 3, "redirects"),
            ("running", [status_of("RUNNING")], 5, "not ended"),
            ("suspended", [status_of("SUSPENDED")], 5, "not ended"),
            ("500", [raw(500, b"")], 4, "HTTP 500"),
            ("429", [fails("error-429", 429)], 4, "HTTP 429"),
            ("408", [raw(408, b"")], 4, "HTTP 408"),
            ("425", [raw(425, b"")], 4, "HTTP 425"),
            ("no JSON", [raw(200, b"<")], 4, "HTTP 200"),
            ("reset", [reset], 4, "reset"),
            ("another shape", [says({"output": {"task_status": 7}})], 4, "HTTP 200"),
            ("a list", [says([])], 4, "HTTP 200"),
            ("500 after an answer", [status_of("RUNNING"), raw(500, b"")], 5, "not ended"),
            ("no link", [says(nowhere)], 4, "no video_url"),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(tasks=list(script))
                result = self.ends(self.go("--timeout", "100"), code, "service")
                self.assertIn(words, result.line["errors"][0]["message"])
                self.assertFalse((self.place() / "video.mp4").exists())
                self.assertLessEqual(sum(self.clock.slept), 100)
                self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])
                self.assertEqual(result.line["state"], "made")
                service.script["tasks"] = [succeeded()]
                if code in (4, 5):
                    self.ends_with_video(self.go())
                self.assertEqual(len(service.posts), 1)

    def test_a_failed_task_tells_why_and_keeps_it(self):
        self.serve(tasks=[says(fixture("task-failed"))])
        self.ends(self.go(), 3)
        kept = self.kept("response.json")
        self.assertEqual((kept["code"], kept["task_status"]), ("InvalidURL", "FAILED"))
        self.assertNotIn("video_url", kept)

    def test_a_known_status_is_never_overwritten_by_unknown(self):
        for status in ("RUNNING", "SUCCEEDED", "FAILED"):
            with self.subTest(status):
                self.clear()
                service = self.serve()
                self.go("--no-wait")
                (task_id,) = service.tasks
                known = {"task_id": task_id, "task_status": status, "code": "X"}
                (folder,) = self.folders()
                self.write(f"tasks/{folder}/response.json", known)
                service.script["tasks"] = [status_of("UNKNOWN")]
                result = self.ends(self.go(), 3, "service")
                self.assertEqual(self.kept("response.json"), known)
                self.assertEqual(result.line["task_status"], status)

    def test_what_another_run_has_found_meanwhile_is_not_overwritten(self):
        for word in ("UNKNOWN", "RUNNING", "PENDING"):
            with self.subTest(word):
                self.clear()
                service = self.serve(tasks=[status_of("RUNNING")])
                self.go("--timeout", "0")

                def slowly(handler, word=word, service=service):
                    if len(service.polls) < 3:  # another run asks meanwhile, and hears the end
                        service.script["tasks"] = [succeeded()]
                        second = self.start(FILE, "--no-download")
                        self.assertEqual(self.end_of(second).code, 0)
                        service.script["tasks"] = [slowly]
                    status_of(word)(handler)

                service.script["tasks"] = [slowly]
                self.go("--timeout", "0")
                kept = self.kept("response.json")
                self.assertEqual(kept["task_status"], "SUCCEEDED")
                self.assertIn("/videos/", kept["video_url"])
                self.ends_with_video(self.go())

    def test_failing_polls_are_waited_out_with_growing_pauses(self):
        self.serve(
            tasks=[
                raw(500, b""),
                reset,
                raw(200, b"<"),
                raw(200, b"{", Content_Length="9"),
                fails("error-429", 429),
                raw(408, b""),
                raw(425, b""),
                announced(raw(503, b""), 102),
                announced(polled, 103),
                polled,
                polled,
            ]
        )
        self.ends_with_video(self.go())
        self.assertEqual(self.clock.slept, [10, 20, 40, 60, 60, 60, 60, 60, 5, 5])

    def test_retry_after_is_obeyed_in_both_its_forms(self):
        soon = formatdate(time.time() + 30, usegmt=True)
        self.serve(
            tasks=[
                fails("error-429", 429, Retry_After="17"),
                raw(503, b"", Retry_After=soon),
                raw(503, b"", Retry_After="0"),
                raw(503, b"", Retry_After="\u00b2"),
                status_of("RUNNING"),
                succeeded(),
            ]
        )
        self.ends(self.go(), 0)
        self.assertEqual(self.clock.slept[0], 17)
        # The clock of the test is 17 seconds ahead of the service's by then.
        self.assertAlmostEqual(self.clock.slept[1], 13, delta=5)
        self.assertEqual(self.clock.slept[2:], [5, 10, 5])

    def test_a_stall_ends_within_the_time_that_is_left(self):
        for name, answer in (("stall", stall), ("drip", drip)):
            with self.subTest(name):
                self.clear()
                service = self.serve()
                self.go("--no-wait")
                service.script["tasks"] = [answer]
                start = time.monotonic()
                self.ends(self.go("--timeout", "0.4"), 4, "service")
                self.assertLess(time.monotonic() - start, 10)

    def test_a_timeout_of_0_asks_once(self):
        for script, code in (([status_of("RUNNING")], 5), ([raw(500, b"")], 4), ([succeeded()], 0)):
            with self.subTest(code):
                self.clear()
                service = self.serve(tasks=script)
                self.ends(self.go("--timeout", "0"), code)
                self.assertEqual((len(service.polls), self.clock.slept), (1, []))

    def test_a_word_that_is_not_known_counts_as_not_finished_with_a_warning(self):
        self.serve(tasks=[status_of("QUEUED"), status_of("QUEUED\x1b[2J"), succeeded()])
        result = self.ends(self.go(), 0)
        (warning,) = result.line["warnings"]
        self.assertIn("QUEUED", warning["message"])
        self.assertNotIn("\x1b", result.stderr)

    def test_the_link_may_stand_in_either_place(self):
        service = self.serve()
        self.go("--no-wait")
        (task_id,) = service.tasks
        answer = fixture("task-succeeded")
        del answer["output"]["results"]
        answer["output"]["video_url"] = f"{service.root}/videos/{task_id}.mp4"
        service.script["tasks"] = [says(answer)]
        self.ends_with_video(self.go())

    def test_numbers_are_checked(self):
        service = self.serve()
        for option, texts in {
            "interval": ["0", "-1", "0.01", "1e3", "nan", "inf", "", "x", "1.2.3", "５", "9" * 400],
            "timeout": ["-1", "1e3", "nan", "inf", "", "x", "86401", ".", "²"],
        }.items():
            for text in texts:
                with self.subTest(f"{option} {text[:9]}"):
                    self.ends(self.go(f"--{option}", text), 2, option)
        self.assertEqual(service.seen, [])
        self.ends(self.go("--interval", "0.25", "--timeout", "3.5"), 0)
        self.assertEqual(self.clock.slept, [0.25, 0.25])

    def test_at_a_terminal_one_line_updates_itself(self):
        self.serve()
        shown = self.ends(self.go(terminal=True), 0).stderr
        self.assertIn("\rRUNNING, 5 s", shown)
        self.assertIn("MB", shown)
        looking, paid, progress, *_ = shown.split("\n")
        self.assertIn("portrait.png", paid)
        self.assertEqual((looking.count("\r"), progress.count("\r")), (1, shown.count("\r") - 1))

    def test_there_is_a_line_at_least_a_minute_so_that_one_sees_it_lives(self):
        for name, route, answer, words in (
            ("the answer takes long", "video-synthesis", created, []),
            ("the first poll takes long", "tasks", succeeded(), []),
            ("the download takes long", "videos", video, []),
            ("the download of a known link takes long", "videos", video, ["--no-download"]),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(tasks=[succeeded()])
                if words:
                    self.ends(self.go(*words), 0)
                seen = []
                service.script[route] = [when_seen(answer, seen)]
                with mock.patch.object(progress, "HEARTBEAT", 0.1):
                    self.ends_with_video(self.go())
                self.assertEqual(seen, [True])

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_a_signal_ends_with_its_code_and_all_so_far_is_on_disk(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for words in (["--interval", "0.1"], ["--interval", "60"]):
                with self.subTest(f"{code} {words}"):
                    self.clear()
                    service = self.serve(tasks=[status_of("RUNNING")])
                    process = self.start(FILE, *words)
                    self.until(lambda service=service: service.polls)
                    self.until(lambda: TASKS.exists() and list(TASKS.glob("*/response.json")))
                    process.send_signal(number)
                    result = self.ends(self.end_of(process), code, "arguments")
                    self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])
                    self.assertEqual(result.line["task_status"], "RUNNING")
                    self.assertIn("again", result.line["errors"][0]["hint"])
                    self.assertEqual(self.kept("response.json")["task_status"], "RUNNING")

    def test_after_a_kill_it_goes_on(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        process = self.start(FILE, "--interval", "0.05")
        self.until(lambda: len(service.polls) > 2)
        process.kill()
        self.end_of(process)
        before = len(self.snapshots())
        self.assertGreaterEqual(before, 2)
        service.script["tasks"] = [succeeded()]
        self.ends_with_video(self.go())
        self.assertEqual((len(self.snapshots()), len(service.posts)), (before + 1, 1))

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_snapshot_is_whole_or_absent_when_the_disk_fills(self):
        self.serve(tasks=[status_of("RUNNING")])
        self.go("--timeout", "0")
        room = (self.place() / "polls.jsonl").stat().st_size + 50
        result = self.run_with_room(room, FILE, "--timeout", "0", script=RUN)
        self.ends(result, 1, "output")
        self.assertIn("polls.jsonl", result.line["errors"][0]["message"])
        self.assertEqual(len(self.snapshots()), 1)


class OtherTasks(GenerationCase):
    """`--task ID`, for a task of this folder or one that was made elsewhere."""

    def test_a_task_of_this_folder_is_gone_on_with(self):
        service = self.serve()
        self.write("b.json", other(style_level="calm"))
        first = self.ends(self.go("--no-wait"), 0).line
        self.go("--no-wait", file=os.path.join("output", "aliyun-emo", "b.json"))
        result = self.ends_with_video(self.call_run("--task", first["task_id"]))
        self.assertEqual(result["task_path"], first["task_path"])
        self.assertEqual((len(service.posts), len(self.folders())), (2, 2))
        del os.environ["DASHSCOPE_API_KEY"]
        self.assertEqual(self.ends_with_video(self.go()), result)

    def test_a_task_that_was_made_elsewhere_gets_a_folder_of_its_own(self):
        service = self.serve()
        task_id = "0385dc79-5ff8-4d82-bcb6-7fc4b1d0e1a2"
        service.tasks[task_id] = 0
        line = self.ends_with_video(self.call_run("--task", task_id))
        self.assertEqual(self.folders(), [f"id-{task_id}"])
        self.assertEqual(list(line), ["ok", *KEYS, "warnings"])
        self.assertEqual((line["state"], service.posts), ("made", []))
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        self.assertEqual(self.ends_with_video(self.call_run("--task", task_id)), line | {})
        self.assertEqual(service.seen, [])
        (row,) = self.ends(self.call_run(), 0).line["tasks"]
        self.assertEqual((row["task_id"], row["video_path"]), (task_id, line["video_path"]))
        self.age(3 * DAY)
        self.ends_with_video(self.call_run("--task", task_id))

    def test_an_id_is_made_safe_and_no_two_share_a_folder(self):
        service = self.serve()
        ids = [
            *("Abc", "abc", "ABC", "../../../x", "a/b?c#d", "-", ".-.", "a.b", "a_b", "con", "nul"),
            *("x" * 3000, "X" * 3000, "a%2Fb", "a:b", "*", "id-abc", "\\\\host\\c$"),
        ]
        for task_id in ids:
            service.tasks[task_id] = 0
            line = self.ends(self.call_run("--task", task_id, "--no-download"), 0).line
            self.assertEqual(line["task_id"], task_id)
            self.assertEqual(Path(line["task_path"]).parent.parent, TASKS)
        folders = [name.lower() for name in self.folders()]
        self.assertEqual(len(set(folders)), len(ids))
        for name in folders:
            self.assertRegex(name, r"^id-[a-z0-9.-]{1,200}$")
        for handler in service.polls:
            self.assertEqual(handler.path.count("/"), 4, handler.path)
        service.seen.clear()
        for task_id in ("", " ", "a b", "a\nb", "é", "\x1b", ".", ".."):
            with self.subTest(task_id):
                self.ends(self.call_run("--task", task_id), 2, "task")
        self.assertEqual(service.seen, [])

    def test_a_task_that_is_not_known_is_exit_3(self):
        self.serve()
        result = self.ends(self.call_run("--task", "of-another-account"), 3, "service")
        self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])

    def test_its_key_is_needed_only_where_there_is_something_to_ask(self):
        service = self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--task", "of-another-account"), 2, "api_key")
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_it_stands_for_file_and_not_beside_it(self):
        service = self.serve()
        self.ends(self.go("--task", "abc"), 2, "task")
        for words, field in ((["--output", "x"], "output"), (["--again"], "again")):
            self.ends(self.call_run("--task", "abc", *words), 2, field)
        self.assertEqual((service.seen, self.folders()), ([], []))


class Videos(GenerationCase):
    def test_a_download_that_fails_is_tried_three_times_and_leaves_nothing_broken(self):
        body = video_of("x")
        cut = raw(200, body[:1000], Content_Length=str(len(body)))
        chunks = raw(200, b"5\r\nhello\r\n", Content_Length=None, Transfer_Encoding="chunked")
        start = b"%x\r\n%s\r\n" % (len(body), body)
        chunk_missing = raw(200, start, Content_Length=None, Transfer_Encoding="chunked")
        for name, script, tries, code in (
            ("cut twice", [cut, cut, video], 3, 0),
            ("cut for ever", [cut], 3, 4),
            ("a chunk is missing", [chunk_missing], 3, 4),
            ("no video in chunks", [chunks], 1, 4),
            ("reset, then well", [reset, video], 2, 0),
            ("500, then well", [raw(500, b""), video], 2, 0),
            ("429, then well", [raw(429, b""), video], 2, 0),
            ("403", [raw(403, b"<Error>"), video], 1, 4),
            ("404", [raw(404, b"<Error>"), video], 1, 4),
            ("stall", [stall], 3, 4),
            ("103 before it", [announced(video, 103)], 1, 0),
            ("206", [raw(206, body), video], 1, 4),
            ("204", [raw(204, b""), video], 1, 4),
            ("a page", [raw(200, b"<html>please log in"), video], 1, 4),
            ("JSON", [raw(200, b'{"code": "x"}'), video], 1, 4),
            ("nothing", [raw(200, b""), video], 1, 4),
            ("seven bytes of it", [raw(200, body[:7]), video], 1, 4),
            ("ftyp at the wrong place", [raw(200, b"ftyp" + body), video], 1, 4),
            (
                "longer than announced",
                [raw(200, body + b"xx", Content_Length=str(len(body)))],
                1,
                0,
            ),
            ("no length", [raw(200, body, Content_Length=None, Connection="close")], 1, 0),
            ("² bytes", [raw(200, body, Content_Length="²", Connection="close")], 1, 0),
            ("9s bytes", [raw(200, body, Content_Length="9" * 5000, Connection="close")], 1, 0),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(
                    tasks=[succeeded()], video_synthesis=[partial(created, task_id="x")]
                )
                service.script["videos"] = list(script)
                with self.patience(script, 0.25):
                    result = self.ends(self.go(), code, *(["service"] if code else []))
                if tries:
                    self.assertEqual(len(service.downloads), tries)
                self.assert_no_temporary_files()
                self.assertEqual(self.kept("response.json")["video_url"], result.line["video_url"])
                if code == 0:
                    self.ends_with_video(result)
                    continue
                self.assertFalse((self.place() / "video.mp4").exists())
                self.assertNotIn("video_path", self.kept("response.json"))
                self.assertIsNone(result.line["video_path"])
                service.script["videos"] = [video]
                self.ends_with_video(self.go())
                self.assertEqual(len(service.posts), 1)

    def test_a_video_is_at_most_so_large(self):
        big = raw(200, video_of("x") * 2)
        endless = raw(200, video_of("x") * 2, Content_Length=None, Connection="close")
        for name, answer in (("announced", big), ("not announced", endless)):
            with self.subTest(name), mock.patch.object(download, "MAX_VIDEO", 300_000):
                self.clear()
                service = self.serve(tasks=[succeeded()], videos=[answer])
                self.ends(self.go(), 4, "service")
                self.assertEqual(self.folders() and os.listdir(self.place()).count("video.mp4"), 0)
                self.assert_no_temporary_files()
                self.assertEqual(len(service.downloads), 1)
        self.assertEqual(download.MAX_VIDEO, 512 * 2**20)

    def test_a_download_ends_when_it_is_too_slow_or_nothing_comes(self):
        dripping = partial(drip, start=video_of("x")[:1000])

        def halting(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(video_of("x")[:1000])
            stall(handler)

        self.assertEqual(
            (settings.READ_TIMEOUT, download.SLOWEST, download.SLOW_TIME), (30, 1024, 60)
        )
        for name, answer, constants in (
            ("slow", dripping, (download, {"SLOW_TIME": 0.3})),
            ("halting", halting, (download, {"SLOW_TIME": 0.2})),
            ("silent", stall, (settings, {"READ_TIMEOUT": 0.2})),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(tasks=[succeeded()])
                self.ends(self.go("--no-download"), 0)
                service.script["videos"] = [answer]
                start = time.monotonic()
                with mock.patch.multiple(constants[0], **constants[1]):
                    self.ends(self.go(), 4, "service")
                self.assertLess(time.monotonic() - start, 10)
                self.assertLessEqual(len(service.downloads), 3)
                self.assertFalse((self.place() / "video.mp4").exists())
                self.assert_no_temporary_files()

    def test_a_redirect_is_followed_to_http_only_and_without_the_key(self):
        service = self.serve(tasks=[succeeded("/moved")])
        self.go("--no-wait")
        (task_id,) = service.tasks
        service.script["moved"] = [raw(302, b"", Location=f"/videos/{task_id}.mp4")]
        self.ends_with_video(self.go())
        for handler in service.seen:
            if "/tasks/" not in handler.path and handler.command == "GET":
                self.assertNotIn("Authorization", handler.headers)
        secret = self.folder / "secret.mp4"
        secret.write_bytes(video_of("secret"))
        for location in (
            *(secret.as_uri(), "ftp://127.0.0.1/x", "data:,x", "/moved", "", "http://["),
            *("http://127.0.0.1:0/", "http://127.0.0.1:x/", "javascript:x", "//", "http:///x"),
        ):
            with self.subTest(location):
                self.clear()
                self.serve(moved=[raw(302, b"", Location=location)], tasks=[succeeded("/moved")])
                self.ends(self.go(), 4, "service")
                self.assertFalse((self.place() / "video.mp4").exists())
        for link in (secret.as_uri(), "data://,x", "http://127.0.0.1:1/ x", "http://é/"):
            with self.subTest(link):
                self.clear()
                self.serve(tasks=[succeeded(link)])
                self.ends(self.go(), 4, "service")
                self.assertFalse((self.place() / "video.mp4").exists())

    def test_a_redirect_may_have_spaces_and_letters_of_any_script(self):
        for name, location in (
            ("a space", "/my folder/videos/x.mp4?a=b c"),
            ("UTF-8", "/é/视频/videos/x.mp4?a=ü".encode().decode("latin-1")),
            ("Latin-1", "/\xe9/videos/x.mp4"),
            ("escapes", "/%C3%A9%20/videos/x.mp4?a=%2B+"),
            ("a fragment", "/videos/x.mp4#t=1"),
            ("brackets", "/[a]/{b}/videos/x.mp4?a[]=|"),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(
                    video_synthesis=[partial(created, task_id="x")],
                    tasks=[succeeded("/moved")],
                    moved=[raw(302, b"", Location=location)],
                )
                self.ends_with_video(self.go())
                (download,) = service.downloads
                self.assertTrue(download.path.isascii())
                self.assertNotIn("#", download.path)
                if "%C3" in location:
                    self.assertEqual(download.path, location)

    def test_no_download_leaves_it_and_running_again_fetches_it(self):
        service = self.serve(tasks=[succeeded()])
        line = self.ends(self.go("--no-download"), 0).line
        self.assertIsNone(line["video_path"])
        self.assertTrue(line["video_url"])
        self.assertEqual((service.downloads, len(service.polls)), ([], 1))
        del os.environ["DASHSCOPE_API_KEY"]  # a link needs none
        self.ends_with_video(self.go())
        self.assertEqual(len(service.polls), 1)

    def test_a_video_that_was_removed_is_fetched_again(self):
        self.serve()
        line = self.ends_with_video(self.go())
        Path(line["video_path"]).unlink()
        self.ends_with_video(self.go())

    def test_a_video_of_an_earlier_attempt_stays_its_own(self):
        service = self.serve()
        first = self.ends_with_video(self.go())
        second = self.ends_with_video(self.go("--again"))
        self.assertNotEqual(first["video_path"], second["video_path"])
        self.assertEqual(self.ends_with_video(self.go())["task_id"], second["task_id"])
        again = self.ends_with_video(self.call_run("--task", first["task_id"]))
        self.assertEqual(again["video_path"], first["video_path"])
        self.assertEqual(len(service.posts), 2)

    def test_a_kill_during_the_download_leaves_no_video(self):
        dripping = partial(drip, start=video_of("x")[:5000])
        service = self.serve(tasks=[succeeded()], videos=[dripping])
        process = self.start(FILE)
        self.until(lambda: service.downloads)
        process.kill()
        self.end_of(process)
        self.assertFalse((self.place() / "video.mp4").exists())
        service.script["videos"] = [video]
        self.ends_with_video(self.go())

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_disk_that_fills_during_the_download(self):
        self.serve(tasks=[succeeded()])
        result = self.ends(self.run_with_room(90_000, FILE, script=RUN), 1, "output")
        self.assertTrue(result.line["video_url"])
        self.assertIn("video.mp4", result.line["errors"][0]["message"])
        names = sorted(os.listdir(self.place()))
        self.assertEqual(names, ["polls.jsonl", "response.json", "task.json"])
        self.ends_with_video(self.go())

    def test_a_proxy_that_is_named_is_used_for_a_video_elsewhere(self):
        self.serve(tasks=[succeeded("http://emo.invalid/videos/x.mp4")])
        with Proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n\0\0\0\x0cftypmp42") as proxy:
            os.environ["http_proxy"] = proxy.url
            line = self.ends(self.go(), 0).line
            self.assertEqual(Path(line["video_path"]).read_bytes(), b"\0\0\0\x0cftypmp42")
            (asked,) = proxy.asked
        self.assertIn(b"GET http://emo.invalid/videos/x.mp4", asked)
        self.assertNotIn(KEY.encode(), asked)


if __name__ == "__main__":
    unittest.main()
