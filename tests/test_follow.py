"""A made task: asked for as long as there is something to know, and its video brought here."""

import json
import os
import shutil
import signal
import time
import unittest
from email.utils import formatdate
from functools import partial
from pathlib import Path
from unittest import mock

from support import IMAGE_URL, RUN, preview
from support.service import (
    KEY,
    about,
    announced,
    created,
    drip,
    fails,
    fixture,
    polled,
    raw,
    refuses,
    reset,
    says,
    stall,
    status_of,
    succeeded,
    video,
    video_of,
)
from support.service_case import DAY, EVIDENCE, FILE, KEYS, POSIX, GenerationCase
from support.service_case import other as another

from aliyun_emo import follow
from aliyun_emo.commands import command

OTHER = says(fixture("task-succeeded"))  # about a task that no test makes
RUNS = status_of("RUNNING")
TELLS_WHEN_IT_SLEEPS = """
from aliyun_emo import clock
sleep = clock.sleep
def sleep_and_tell(seconds):
    open("asleep", "w").close()
    sleep(seconds)
clock.sleep = sleep_and_tell
"""


class KnownTasks(GenerationCase):
    """A task of which something is known, a row a state: whether it is asked for, and its end."""

    def task(self, status="", link="", **known):
        """Make a task that has no more on disk than `known`; return the service, and its id."""
        self.clear()
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        ((task_id, _),) = service.tasks.items()
        if status:
            url = {"video_url": service.root + link} if link else {}
            (folder,) = self.folders()
            known = {"task_id": task_id, "task_status": status, **url, **known}
            self.write(f"tasks/{folder}/response.json", known)
        service.seen.clear()
        return service, task_id

    def test_each_is_asked_for_as_its_row_says(self):
        gone, broken = status_of("UNKNOWN"), raw(500, b"")
        lost, busy = raw(404, b"<Error>"), raw(503, b"")
        old, new = "/videos/old.mp4", succeeded("/videos/new.mp4")
        nowhere = status_of("SUCCEEDED")
        for name, status, link, words, poll, videos, code, polls, downloads, end in (
            # what is known, options, the answer to polls and that to downloads; exit code, polls,
            # downloads, and the status on disk in the end
            ("nothing", "", "", [], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("nothing, gone", "", "", [], gone, video, 3, 1, [], "UNKNOWN"),
            ("running", "RUNNING", "", [], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("running, gone", "RUNNING", "", [], gone, video, 3, 1, [], "UNKNOWN"),
            ("gone, gone", "UNKNOWN", "", [], gone, video, 3, 1, [], "UNKNOWN"),
            ("gone, and there again", "UNKNOWN", "", [], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("unheard of", "QUEUED", "", [], gone, video, 3, 1, [], "UNKNOWN"),
            ("failed", "FAILED", "", [], new, video, 3, 0, [], "FAILED"),
            ("cancelled", "CANCELED", "", [], new, video, 3, 0, [], "CANCELED"),
            ("a new link", "SUCCEEDED", old, [], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("a link, gone", "SUCCEEDED", old, [], gone, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a link, no poll", "SUCCEEDED", old, [], broken, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a link, reset", "SUCCEEDED", old, [], reset, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a link, another", "SUCCEEDED", old, [], OTHER, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a link, running", "SUCCEEDED", old, [], RUNS, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a link, none now", "SUCCEEDED", old, [], nowhere, video, 0, 1, ["old"], "SUCCEEDED"),
            ("a dead link, gone", "SUCCEEDED", old, [], gone, lost, 3, 1, ["old"], "SUCCEEDED"),
            ("a busy link, gone", "SUCCEEDED", old, [], gone, busy, 4, 1, ["old"], "SUCCEEDED"),
            ("a dead link", "SUCCEEDED", old, [], broken, lost, 4, 1, ["old"], "SUCCEEDED"),
            ("a busy link", "SUCCEEDED", old, [], broken, busy, 4, 1, ["old"] * 3, "SUCCEEDED"),
            ("gone, a link", "UNKNOWN", old, [], gone, video, 0, 1, ["old"], "SUCCEEDED"),
            ("no link", "SUCCEEDED", "", [], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("no link, gone", "SUCCEEDED", "", [], gone, video, 3, 1, [], "SUCCEEDED"),
            ("no link still", "SUCCEEDED", "", [], nowhere, video, 4, 1, [], "SUCCEEDED"),
            ("enough", "SUCCEEDED", old, ["--no-download"], new, video, 0, 0, [], "SUCCEEDED"),
            ("not enough", "SUCCEEDED", "", ["--no-download"], new, video, 0, 1, [], "SUCCEEDED"),
            ("no link", "SUCCEEDED", "", ["--no-download"], nowhere, video, 4, 1, [], "SUCCEEDED"),
            ("no link", "SUCCEEDED", "", ["--no-download"], gone, video, 3, 1, [], "SUCCEEDED"),
            ("no wait", "SUCCEEDED", old, ["--no-wait"], new, video, 0, 0, [], "SUCCEEDED"),
            ("no wait, gone", "UNKNOWN", "", ["--no-wait"], gone, video, 3, 1, [], "UNKNOWN"),
            ("no wait, runs", "UNKNOWN", "", ["--no-wait"], RUNS, video, 0, 1, [], "RUNNING"),
            ("no wait, new", "UNKNOWN", "", ["--no-wait"], new, video, 0, 1, ["new"], "SUCCEEDED"),
            ("no wait, broken", "UNKNOWN", "", ["--no-wait"], broken, video, 4, 1, [], "UNKNOWN"),
            ("asked once", "SUCCEEDED", old, ["--timeout", "0"], new, video, 0, 1, ["new"], None),
        ):
            with self.subTest(f"{name} {words}"):
                service = self.task(status, link)[0]
                service.script.update(tasks=[poll], videos=[videos])
                result = self.ends(self.go(*words), code, *(["service"] if code else []))
                self.assertEqual(len(service.polls), polls)
                asked = [Path(handler.path).stem for handler in service.downloads]
                self.assertEqual(asked, downloads)
                if asked and code == 0:
                    path = Path(result.line["video_path"])
                    self.assertEqual(path.read_bytes(), video_of(asked[-1]))
                else:
                    self.assertIsNone(result.line["video_path"])
                if end:
                    self.assertEqual(result.line["task_status"], end)
                self.assertEqual(service.posts, [])
                self.assert_no_temporary_files()

    def test_a_video_that_was_moved_away_is_put_back_where_the_hint_says(self):
        service, _ = self.task("SUCCEEDED", "/videos/old.mp4")
        service.script.update(tasks=[status_of("UNKNOWN")] * 2, videos=[raw(404, b"")] * 2)
        for words in ([], ["--all"]):
            result = self.call_run(*words) if words else self.go()
            (error,) = self.ends(result, 3, "service").line["errors"]
        place = error["hint"].partition("A moved video belongs at ")[2].partition(". ")[0]
        Path(place).write_bytes(b"the video")
        self.assertEqual(self.call_run("--all").line["tasks"][0]["video_path"], place)

    def test_what_stays_on_disk_of_a_task_that_is_gone(self):
        more = {"submit_time": "2026-01-01 00:00:00.000", "usage": {"x": 1}, "code": "X"}
        for status in ("PENDING", "RUNNING", "SUSPENDED", "QUEUED", "UNKNOWN"):
            with self.subTest(status):
                service, task_id = self.task(status, **more)
                service.script["tasks"] = [status_of("UNKNOWN")]
                result = self.ends(self.go(), 3, "service")
                known = {"task_id": task_id, "task_status": "UNKNOWN", **more}
                self.assertEqual(self.kept("response.json"), known)
                self.assertEqual(result.line["task_status"], "UNKNOWN")
                hint = result.line["errors"][0]["hint"]
                self.assertRegex(hint, r"--attempt 2 pays .*\. To ask again: .* --task \S+$")
        for status in ("SUCCEEDED", "FAILED", "CANCELED"):
            with self.subTest(status):
                service, task_id = self.task(status, **more)
                service.script["tasks"] = [status_of("UNKNOWN")]
                result = self.ends(self.go(), 3, "service")
                known = {"task_id": task_id, "task_status": status, **more}
                self.assertEqual(self.kept("response.json"), known)
                self.assertEqual(result.line["task_status"], status)

    def test_unknown_takes_no_link_away(self):
        service = self.task("RUNNING", "/videos/old.mp4", code="X")[0]
        service.script.update(tasks=[status_of("UNKNOWN")], videos=[raw(503, b"")])
        self.ends(self.go(), 4, "service")
        kept = self.kept("response.json")
        self.assertEqual(kept["video_url"], f"{service.root}/videos/old.mp4")
        self.assertEqual((kept["task_status"], kept["code"]), ("UNKNOWN", "X"))
        service.script["videos"] = [video]
        line = self.ends(self.go(), 0).line
        self.assertEqual(Path(line["video_path"]).read_bytes(), video_of("old"))
        self.assertEqual(line["task_status"], "SUCCEEDED")
        self.assertEqual(len(service.downloads), 2)

    def test_however_old_it_is_by_whatever_clock_it_is_asked_for(self):
        for name, seconds in (
            ("a day", DAY + 1),
            ("a year", 365 * DAY),
            ("from tomorrow", -DAY),
        ):
            for status in ("", "RUNNING", "UNKNOWN", "SUCCEEDED"):
                with self.subTest(f"{name} {status}"):
                    service = self.task(status, "/videos/old.mp4" if status else "")[0]
                    service.script["tasks"] = [succeeded()]
                    self.age(seconds)
                    self.ends_with_video(self.go())
                    self.assertEqual((len(service.polls), service.posts), (1, []))

    def test_a_link_that_was_corrected_is_the_one_that_is_used_and_kept(self):
        service, task_id = self.task("SUCCEEDED", "/videos/old.mp4?Signature=a")
        link = f"/videos/{task_id}.mp4?Signature=b"
        service.script["tasks"] = [succeeded(link)]
        line = self.ends_with_video(self.go())
        self.assertEqual(line["video_url"], service.root + link)
        self.assertEqual(self.kept("response.json")["video_url"], service.root + link)
        self.assertEqual([handler.path for handler in service.downloads], [link])

    def test_an_id_is_asked_for_whatever_the_clock_says(self):
        service = self.serve()
        self.go("--no-wait")
        record = self.kept()
        record["saved_at"] = "1970-01-01T00:00:00Z"
        self.write(f"tasks/{self.folders()[0]}/task.json", record)
        self.ends_with_video(self.go())
        task_id = record["response"]["output"]["task_id"]
        self.assertEqual(self.call_run("--task", task_id).code, 0)
        self.assertEqual(len(service.posts), 1)

    def test_why_it_failed_counts_wherever_the_answer_has_it(self):
        why = {"code": "InvalidFile.NoHuman", "message": "no human"}
        failed = {"task_id": "t-1", "task_status": "FAILED"}
        made = {"task_id": "t-1", "task_status": "PENDING"}
        for name, first, poll in (
            ("in the answer to the request", {"output": {**failed, **why}}, None),
            ("beside its output", {"output": failed, **why}, None),
            ("in a poll", {"output": made}, {"output": {**failed, **why}}),
            ("beside the output of a poll", {"output": made}, {"output": failed, **why}),
        ):
            with self.subTest(name):
                self.clear()
                self.serve(video_synthesis=[says(first)], tasks=[says(poll)])
                (error,) = self.ends(self.go(), 3, "service").line["errors"]
                self.assertIn("InvalidFile.NoHuman: no human", error["message"])
                self.assertIn("No person was found", error["hint"])
        for first in ({"output": failed, "request_id": "r-1"}, {"output": made}):
            with self.subTest(first):
                self.clear()
                poll = {"output": failed, "request_id": "r-1"}
                self.serve(video_synthesis=[says(first)], tasks=[says(poll)])
                (error,) = self.ends(self.go(), 3, "service").line["errors"]
                self.assertIn("(request_id r-1, task_id t-1)", error["message"])

    def test_an_error_of_a_task_has_its_warnings(self):
        link = f"{IMAGE_URL}?OSSAccessKeyId=k&Expires=9999999999&Signature="
        request = json.loads(Path(FILE).read_text())
        request["input"]["image_url"] = link + "a"
        self.write("request.json", request)
        self.serve(tasks=[status_of("FAILED")])
        self.go()
        request["input"]["image_url"] = link + "b"
        self.write("request.json", request)
        result = self.go()
        self.assertEqual(result.code, 3)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url"])


class Together(GenerationCase):
    def test_a_video_that_another_run_has_saved_meanwhile_is_told(self):
        self.serve()
        self.ends(self.go("--no-wait"), 0)
        real = follow.poll_to_the_end

        def saved(settings, task, report):
            status = real(settings, task, report)
            self.place().joinpath("video.mp4").write_bytes(video_of(task.task_id))
            return status

        with mock.patch.object(follow, "poll_to_the_end", saved):
            self.ends_with_video(self.go())


class PaidFor(GenerationCase):
    """What is said of a task that was paid for leads nobody to paying again unawares."""

    def test_where_its_files_cannot_be_written_no_other_folder_is_offered(self):
        self.serve()
        self.ends(self.go("--no-wait"), 0)
        full = OSError(28, "No space left on device", "x")
        with mock.patch.object(follow.files, "append_line", side_effect=full):
            (error,) = self.ends(self.go(), 1, "output").line["errors"]
        self.assertNotIn("set OUTPUT_DIR", error["hint"])
        self.assertIn("run again: it pays nothing. Its task, from any OUTPUT_DIR: ", error["hint"])
        self.assertIn(f"--task {self.kept()['response']['output']['task_id']}", error["hint"])

    def test_where_its_copy_cannot_be_written_it_is_told_where_the_video_is(self):
        service = self.serve()
        Path("stick").mkdir()
        real = follow.poll_to_the_end

        def meanwhile(*of):
            Path("stick").rmdir()
            Path("stick").write_text("a file by now")
            return real(*of)

        with mock.patch.object(follow, "poll_to_the_end", meanwhile):
            (error,) = self.ends(self.go("-o", "stick/x.mp4"), 1, "output").line["errors"]
        self.assertRegex(error["hint"], r"it pays nothing\. The video is \S+video\.mp4\.")
        self.ends_with_video(self.go("-o", "x.mp4"))
        self.assertEqual(len(service.posts), 1)

    def test_where_its_folder_is_gone_that_is_put_back_before_a_run_pays_again(self):
        self.serve()
        real = follow.poll_to_the_end

        def meanwhile(settings, task, report):
            shutil.rmtree(task.folder)
            return real(settings, task, report)

        with mock.patch.object(follow, "poll_to_the_end", meanwhile):
            result = self.ends(self.go(), 1, "output")
        (error,) = result.line["errors"]
        self.assertIn("put the folder back, first: without it a run pays again.", error["hint"])
        unknown = follow.kept_hint({"task_path": None, "video_path": None, "task_id": None})
        self.assertTrue(unknown.endswith(command("run_emo_request", "--task", "ID")), unknown)
        self.assertIn(command("run_emo_request", "--task", result.line["task_id"]), error["hint"])

    def test_one_that_was_gone_on_with_by_its_id_is_named_before_another_attempt(self):
        service = self.serve(video_synthesis=[raw(500, b"{}"), created])
        self.ends(self.go(), 4)
        (name,) = self.folders()
        service.tasks["a-known-id"] = 0
        self.ends(self.call_run("--task", "a-known-id", "--interval", "1"), 0)
        for words in ((FILE,), ()):
            line = self.call_run(*words).line
            (problem,) = line.get("errors", line["warnings"])
            self.assertRegex(
                problem["hint"], r"^Is it .*a-known-id \(SUCCEEDED\).*--attempt 2 pays"
            )
        self.write("other.json", another(style_level="calm"))
        told = self.call_run("output/aliyun-emo/other.json", "--dry-run").line["warnings"]
        self.assertIn("Is it one that was gone on with by its id since", str(told))
        self.assertNotIn("--attempt", str(told))
        self.age(3600, name)
        self.age(7200, next(n for n in self.folders() if n != name))
        self.assertNotIn("a-known-id", self.go().line["errors"][0]["hint"])

    def test_one_that_has_failed_since_leads_to_the_next_attempt(self):
        self.serve(
            video_synthesis=[raw(500, b"{}")],
            tasks=[status_of("FAILED", code="InternalError", message="x")],
        )
        self.ends(self.go(), 4)
        self.ends(self.call_run("--task", "a-known-id"), 3)
        hint = self.ends(self.go(), 4).line["errors"][0]["hint"]
        self.assertIn("(FAILED)? Then it is paid, if it is not FAILED or CANCELED.", hint)
        self.assertIn("or it is FAILED or CANCELED, --attempt 2 pays for one.", hint)

    def test_the_command_that_pays_again_is_whole_where_the_request_was_kept(self):
        self.serve(tasks=[status_of("FAILED", code="InternalError", message="x")])
        (error,) = self.ends(self.go(), 3).line["errors"]
        self.assertIn(" --attempt 2 pays for the same once more.", error["hint"])
        self.assertNotIn("requests", error["hint"])
        self.ends(self.call(FILE, main=preview.main), 0)
        (error,) = self.ends(self.go(), 3).line["errors"]
        (path,) = Path(EVIDENCE, "requests").iterdir()
        self.assertIn(f"run_emo_request.py {path} --attempt 2 pays", error["hint"])
        (error,) = self.ends(self.go("-o", "hello.mp4", "--no-look"), 3).line["errors"]
        self.assertIn(f"{path} --output hello.mp4 --no-look --attempt 2 pays", error["hint"])

    def test_the_same_is_not_offered_where_it_would_fail_again(self):
        for code in ("InvalidFile.AudioLengthError", "DataInspectionFailed"):
            self.clear()
            self.serve(tasks=[status_of("FAILED", code=code, message="x")])
            hint = self.ends(self.go(), 3).line["errors"][0]["hint"]
            self.assertNotIn("for the same once more", hint)
            self.assertIn("--attempt 2 pays for another file behind its link.", hint)

    def test_a_copy_that_comes_later_is_told(self):
        self.serve()
        line = self.ends(self.go("--no-wait", "-o", "hello.mp4"), 0).line
        self.assertEqual([warning["field"] for warning in line["warnings"]], ["output"])
        self.assertEqual(self.ends(self.go("-o", "hello.mp4"), 0).line["warnings"], [])


class OncePaidAgain(GenerationCase):
    """Where a later attempt stands, no hint leads to one more."""

    def test_after_an_end_or_a_lost_answer(self):
        for first in ("FAILED", "UNKNOWN", ""):
            with self.subTest(first):
                self.clear()
                script = {"tasks": [status_of(first, code="InternalError"), succeeded()]}
                lost = {"video_synthesis": [raw(500, b"{}"), created]}
                self.serve(**(script if first else lost))
                self.ends(self.go(), 3 if first else 4)
                self.ends(self.go("--attempt", "2", "--interval", "1"), 0)
                name = min(self.folders(), key=len)
                for words in (("--task", name), (FILE, "--attempt", "1"), ("--all",), ()):
                    told = str(self.call_run(*words))
                    self.assertNotIn("--attempt", told, words)

    def test_a_folder_that_was_only_claimed_gives_way_to_the_attempt_after_it(self):
        self.serve()
        self.ends(self.go("--no-wait"), 0)
        (name,) = self.folders()
        self.clear()
        (Path(EVIDENCE) / "tasks" / name).mkdir(parents=True)
        os.utime(Path(EVIDENCE) / "tasks" / name, (0, 0))
        self.assertIn("--attempt 2 pays", str(self.ends(self.go(), 4)))
        self.ends(self.go("--attempt", "2"), 0)
        for words in (("--task", name), ("--all",), ()):
            self.assertNotIn("--attempt", str(self.call_run(*words)), words)

    def test_a_link_that_was_signed_anew_leads_to_what_is_shown_first(self):
        self.serve()
        signed = "?OSSAccessKeyId=k&Expires=9999999999&Signature="
        for signature in "ab":
            self.write("request.json", another(image_url=IMAGE_URL + signed + signature))
            line = self.ends(self.go("--no-wait", "--no-look"), 0).line
        self.assertRegex(
            line["warnings"][0]["hint"], "make it; where the video is old, --attempt [2-9]"
        )

    def test_the_digits_of_what_was_refused_name_the_task_that_came_after(self):
        self.serve(video_synthesis=[refuses(400, "Arrearage", "x"), created])
        self.ends(self.go(), 3)
        self.ends(self.go("--no-wait"), 0)
        name = min(self.folders(), key=len)
        (error,) = self.ends(self.call_run("--task", name), 2, "task").line["errors"]
        self.assertIn(f"--task {self.place(name)}-2", error["hint"])

    def test_what_was_cancelled_is_not_billed(self):
        self.serve(tasks=[status_of("CANCELED")])
        (error,) = self.ends(self.go(), 3).line["errors"]
        self.assertIn("Nothing is billed. ", error["hint"])


class Videos(GenerationCase):
    """Whether the video is asked for, and whose it is; how it comes is in test_download.py."""

    def test_a_video_is_said_to_be_where_it_is(self):
        self.serve()
        for words, told in (
            (["--no-download"], "made; its link ends 24 hours after the request was sent"),
            (["--interval", "1"], "the video is "),
            (["--dry-run"], "video.mp4"),
        ):
            with self.subTest(words):
                self.assertIn(told, self.ends(self.go(*words, terminal=True), 0).stderr)

    def test_no_download_leaves_it_and_running_again_asks_once_more_and_fetches_it(self):
        service = self.serve(tasks=[succeeded()])
        line = self.ends(self.go("--no-download"), 0).line
        self.assertIsNone(line["video_path"])
        self.assertTrue(line["video_url"])
        self.assertEqual((service.downloads, len(service.polls)), ([], 1))
        del os.environ["DASHSCOPE_API_KEY"]
        self.assertEqual(
            self.ends(self.go("--no-download"), 0).line["video_url"], line["video_url"]
        )
        line = self.ends(self.go(), 2, "api_key").line
        self.assertEqual((line["task_status"], line["video_path"]), ("SUCCEEDED", None))
        self.assertEqual((service.downloads, len(service.polls)), ([], 1))
        os.environ["DASHSCOPE_API_KEY"] = KEY
        self.ends_with_video(self.go())
        self.assertEqual((len(service.downloads), len(service.polls)), (1, 2))
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends_with_video(self.go())
        self.assertEqual((len(service.downloads), len(service.polls)), (1, 2))

    def test_a_video_url_that_is_no_link_is_kept_in_the_answer_and_nowhere_else(self):
        for link in (
            *("\ud800", "https://example.com/\ud800.mp4", "", " ", "x", "/videos/x.mp4", 7, True),
            *(
                "ftp://example.com/x.mp4",
                "file:///etc/passwd",
                "oss://a/b.mp4",
                "data:,x",
                "https:",
            ),
            *(
                "//example.com/x.mp4",
                "http:///x",
                "https://?x",
                "https:// a/x",
                "http:x",
                ["x"],
                {},
            ),
            *("javascript:x", "https://a.example.com/x\n.mp4", "\u202ehttps://example.com/x.mp4"),
        ):
            with self.subTest(str(link).encode("ascii", "backslashreplace")):
                self.clear()
                output = {"task_status": "SUCCEEDED", "results": {"video_url": link}}
                service = self.serve(tasks=[about({"output": output})])
                result = self.ends(self.go(), 4, "service")
                self.assertIn("no video_url", result.line["errors"][0]["message"])
                self.assertIn("polls.jsonl", result.line["errors"][0]["hint"])
                self.assertEqual(
                    self.snapshots()[0]["response"]["output"]["results"], {"video_url": link}
                )
                self.assertEqual((service.downloads, result.line["video_url"]), ([], None))

    def test_a_video_url_that_is_no_link_takes_none_away(self):
        for link in ("\ud800", 7, "ftp://example.com/x.mp4"):
            with self.subTest(str(link).encode("ascii", "backslashreplace")):
                self.clear()
                output = {"task_status": "SUCCEEDED", "results": {"video_url": link}}
                service = self.serve(tasks=[about({"output": output})])
                task_id = self.ends(self.go("--no-wait"), 0).line["task_id"]
                known = f"{service.root}/videos/old.mp4"
                answer = {"task_id": task_id, "task_status": "SUCCEEDED", "video_url": known}
                self.write(f"tasks/{self.folders()[0]}/response.json", answer)
                self.assertEqual(self.ends(self.go(), 0).line["video_url"], known)
                self.clear()
                output["video_url"] = f"{service.root}/videos/other.mp4"
                service.script["tasks"] = [about({"output": output})]
                self.assertEqual(self.ends(self.go(), 0).line["video_url"], output["video_url"])

    def test_a_link_that_was_edited_into_no_link_is_no_fault_of_this_program(self):
        for link in (
            "\ud800",
            "https://example.com/\udc80.mp4",
            "ftp://example.com/x",
            "https://[/x",
        ):
            with self.subTest(link.encode("ascii", "backslashreplace")):
                self.clear()
                service = self.serve()
                self.ends(self.go("--no-wait"), 0)
                (task_id,) = service.tasks
                known = {"task_id": task_id, "task_status": "SUCCEEDED", "video_url": link}
                self.write(f"tasks/{self.folders()[0]}/response.json", known)
                service.script["tasks"] = [raw(500, b"")]
                self.ends(self.go(), 4, "service")

    def test_a_link_may_be_http_and_have_what_no_link_of_a_user_may_have(self):
        host = "dashscope-result-sh.oss-cn-shanghai.aliyuncs.com"
        for link in (
            f"http://{host}/videos/x.mp4?Expires=1776400000&OSSAccessKeyId=k&Signature=s%3D",
            f"HTTP://{host.upper()}/videos/x.mp4",
            f"http://{host}:80/videos/x.mp4",
            f"http://{host}/my video/videos/x.mp4",
            f"http://ann:pa@{host}/videos/x.mp4",
            f"http://{host}/视频/videos/x.mp4",
            "http://10.0.0.1/videos/x.mp4",
            "http://[::ffff:10.0.0.1]/videos/x.mp4",
        ):
            with self.subTest(link):
                self.clear()
                service = self.serve(
                    video_synthesis=[partial(created, task_id="x")], tasks=[succeeded(link)]
                )
                service.links["x.mp4"] = video
                line = self.ends_with_video(self.go())
                self.assertEqual(line["video_url"], link)
                (asked,) = service.looks[-1:]
                self.assertNotIn("Authorization", asked.headers)

    def test_a_video_that_was_removed_is_fetched_again(self):
        self.serve()
        line = self.ends_with_video(self.go())
        Path(line["video_path"]).unlink()
        self.ends_with_video(self.go())

    def test_a_video_of_an_earlier_attempt_stays_its_own(self):
        service = self.serve()
        first = self.ends_with_video(self.go())
        second = self.ends_with_video(self.go("--attempt", "2"))
        self.assertNotEqual(first["video_path"], second["video_path"])
        self.assertEqual(self.ends_with_video(self.go())["task_id"], second["task_id"])
        again = self.ends_with_video(self.call_run("--task", first["task_id"]))
        self.assertEqual(again["video_path"], first["video_path"])
        self.assertEqual(len(service.posts), 2)


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
            ("failed", [about(fixture("task-failed"))], 3, "InvalidURL: Failed to download"),
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
            ("no link", [about(nowhere)], 4, "no video_url"),
            ("another task", [OTHER], 4, "about another task"),
            ("another task after an answer", [status_of("RUNNING"), OTHER], 5, "not ended"),
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
        self.serve(tasks=[about(fixture("task-failed"))])
        self.ends(self.go(), 3)
        kept = self.kept("response.json")
        self.assertEqual((kept["code"], kept["task_status"]), ("InvalidURL", "FAILED"))
        self.assertNotIn("video_url", kept)

    def test_what_another_run_has_found_meanwhile_is_not_overwritten(self):
        for word in ("UNKNOWN", "RUNNING", "PENDING", "QUEUED"):
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
                with self.patience():
                    self.ends(self.go("--timeout", "1"), 4, "service")
                self.assertLess(sum(self.clock.slept), 10)

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
        service.script["tasks"] = [about(answer)]
        self.ends_with_video(self.go())

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_a_signal_ends_with_its_code_and_all_so_far_is_on_disk(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            for words in (["--interval", "0.1"], ["--interval", "60"]):
                with self.subTest(f"{code} {words}"):
                    self.clear()
                    Path("asleep").unlink(missing_ok=True)
                    self.serve(tasks=[status_of("RUNNING")])
                    process = self.start(FILE, *words, code=TELLS_WHEN_IT_SLEEPS)
                    self.until(Path("asleep").exists)
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

    def test_an_id_leads_nowhere_else(self):
        for task_id in ("a\\b", "x" * 3000, "a?b#c", "..a", "%2e%2e", "a%2Fb"):
            with self.subTest(task_id[:20]):
                self.clear()
                service = self.serve(video_synthesis=[partial(created, task_id=task_id)])
                result = self.ends(self.go("--no-wait"), 0)
                self.assertEqual(result.line["task_id"], task_id)
                self.go("--timeout", "0", "--no-download")
                self.assertTrue(service.polls)
                self.assertTrue(all(h.path.count("/") == 4 for h in service.polls))
        outside = [name for name in self.files() if not name.startswith("output/aliyun-emo/")]
        self.assertEqual(outside, [])

    def test_what_is_no_id_in_an_answer_or_a_record_is_asked_for_nowhere(self):
        for task_id in (
            *("", ".", "..", "...", "/", "../../evil", "/etc/passwd", "a/..", "a/"),
            *("\ud800", "a\0b", "é", " ", "a b", " a", "a\n", "\u200ba", None, 7, ["a"], True),
        ):
            with self.subTest(str(task_id).encode("ascii", "backslashreplace")):
                self.clear()
                document = {"output": {"task_id": task_id, "task_status": "PENDING"}}
                service = self.serve(video_synthesis=[says(document)])
                self.ends(self.go(), 4, "service")
                record = self.kept()
                self.assertEqual((record["state"], record["response"]), ("unclear", document))
                (folder,) = self.folders()
                for known in ({}, {"task_id": task_id, "task_status": "RUNNING"}):
                    self.write(f"tasks/{folder}/task.json", {**record, "state": "made"})
                    self.write(f"tasks/{folder}/response.json", known)
                    result = self.ends(self.go(), 4, "service")
                    self.assertEqual(
                        (result.line["state"], result.line["task_id"]), ("unclear", None)
                    )
                    self.assertIn("--attempt 2", result.line["errors"][0]["hint"])
                self.assertEqual((len(service.posts), service.polls), (1, []))
                self.ends(self.call_run(), 0)

    def test_a_record_that_has_no_id_and_an_answer_that_has_one_are_a_task(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        record, (folder,) = self.kept(), self.folders()
        known = {"task_id": record["response"]["output"]["task_id"]}
        self.write(f"tasks/{folder}/task.json", {**record, "response": None})
        self.write(f"tasks/{folder}/response.json", known)
        self.assertEqual(self.ends(self.go(), 0).line["task_id"], known["task_id"])
        self.assertEqual(len(service.posts), 1)

    def test_a_task_that_ended_without_a_word_has_its_ids_and_what_to_do(self):
        for word, output, said, told in (
            ("FAILED", {}, {}, True),
            ("FAILED", {"code": "", "message": ""}, {}, True),
            ("FAILED", {"code": None, "message": None}, {}, True),
            ("FAILED", {}, {"request_id": None}, False),
            ("FAILED", {"code": "X"}, {}, None),
            ("FAILED", {"message": "m"}, {}, None),
        ):
            with self.subTest(f"{word} {output} {said}"):
                self.clear()
                document = {
                    "request_id": "its-own",
                    "output": {"task_status": word, **output},
                    **said,
                }
                self.serve(tasks=[about(document)])
                result = self.ends(self.go(), 3, "service")
                (error,) = result.line["errors"]
                if told is None:
                    self.assertIn("no message" if "code" in output else "no code", error["message"])
                    self.assertIn("Look it up", error["hint"])
                    continue
                self.assertIn(
                    f"ended as {word}, with neither a code nor a message", error["message"]
                )
                self.assertIn(f"task_id {result.line['task_id']}", error["message"])
                self.assertEqual("request_id its-own" in error["message"], told)
                for words in ("support", "another recording or picture", "--attempt 2"):
                    self.assertIn(words, error["hint"])
                self.assertEqual(self.ends(self.go(), 3).line["errors"], [error])


class Words(GenerationCase):
    def test_what_the_service_says_of_a_poll_is_told(self):
        self.serve(tasks=[refuses(429, "Throttling.RateQuota", "Requests rate limit exceeded")])
        result = self.ends(self.go("--timeout", "0"), 4, "service")
        self.assertIn("HTTP 429: Throttling.RateQuota: Requests rate", result.stderr)
        self.assertNotIn("network", result.stderr)


class OtherIds(GenerationCase):
    """An answer that is about another task is none."""

    def test_it_is_kept_and_waited_out(self):
        for name, word, other in (
            ("another", "SUCCEEDED", "another"),
            ("none", "SUCCEEDED", ""),
            ("a number", "FAILED", 7),
            ("null", "UNKNOWN", None),
            ("a list", "CANCELED", []),
            ("in capitals", "SUCCEEDED", "HERE"),
        ):
            with self.subTest(name):
                self.clear()
                document = {"output": {"task_id": other, "task_status": word, "video_url": "/x"}}
                self.serve(
                    video_synthesis=[partial(created, task_id="here")],
                    tasks=[says(document), says(document), succeeded()],
                )
                result = self.go()
                self.ends_with_video(result)
                self.assertEqual(self.clock.slept, [10, 20])
                kept = [snapshot["response"] for snapshot in self.snapshots()]
                self.assertEqual(kept[:2], [document, document])
                self.assertEqual(len(kept), 3)
                self.assertIn("about another task", result.stderr)

    def test_nothing_of_it_is_taken_over(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.ends(self.go("--timeout", "0"), 5)
        before = self.kept("response.json")
        service.script["tasks"] = [OTHER]
        result = self.ends(self.go("--timeout", "100"), 4, "service")
        self.assertEqual(self.kept("response.json"), before)
        self.assertEqual((result.line["task_status"], result.line["video_url"]), ("RUNNING", None))
        self.assertEqual(service.downloads, [])

    def test_one_that_names_no_task_is_about_the_one_that_was_asked_for(self):
        def nameless(handler):
            document = {"output": {"task_status": "FAILED", "code": "X"}}
            says(document)(handler)

        self.serve(tasks=[nameless])
        self.ends(self.go(), 3, "service")
        self.assertEqual(self.kept("response.json")["task_status"], "FAILED")


class Merging(unittest.TestCase):
    """What is known of a task after another answer, by what was known before."""

    def test_what_was_known_stays_unless_there_is_better(self):
        def known(status, **more):
            return {"task_id": "a", "task_status": status, **more}

        old, new = {"video_url": "https://example.com/1"}, {"video_url": "https://example.com/2"}
        why = {"code": "InvalidURL"}
        for earlier, answer, expected in (
            ({}, known("RUNNING"), known("RUNNING")),
            (known("PENDING"), known("RUNNING"), known("RUNNING")),
            (known("RUNNING"), known("FAILED", **why), known("FAILED", **why)),
            (known("FAILED", **why), known("RUNNING"), known("FAILED", **why)),
            (known("FAILED", **why), known("UNKNOWN"), known("FAILED", **why)),
            (known("FAILED", **why), known("SUCCEEDED", **new), known("SUCCEEDED", **new)),
            (known("SUCCEEDED", **old), known("NEVER-HEARD"), known("SUCCEEDED", **old)),
            (known("SUCCEEDED", **old), known("UNKNOWN"), known("SUCCEEDED", **old)),
            (known("SUCCEEDED", **old), known("SUCCEEDED"), known("SUCCEEDED", **old)),
            (known("SUCCEEDED", **old), known("SUCCEEDED", **new), known("SUCCEEDED", **new)),
            (known("RUNNING", usage={}), known("UNKNOWN"), known("UNKNOWN", usage={})),
            ({}, known("UNKNOWN"), known("UNKNOWN")),
            (known("UNKNOWN"), known("RUNNING"), known("RUNNING")),
        ):
            with self.subTest(f"{earlier}, {answer}"):
                self.assertEqual(follow.merged(earlier, answer), expected)


if __name__ == "__main__":
    unittest.main()
