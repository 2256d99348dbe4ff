"""A made task: asked for as long as there is something to know, and its video brought here."""

import json
import os
import unittest
from functools import partial
from pathlib import Path
from unittest import mock

from support import IMAGE_URL
from support.service import (
    KEY,
    about,
    created,
    fixture,
    raw,
    reset,
    says,
    status_of,
    succeeded,
    video,
    video_of,
)
from support.service_case import DAY, FILE, GenerationCase

from aliyun_emo import polls as room

OTHER = says(fixture("task-succeeded"))  # about a task that no test makes
RUNS = status_of("RUNNING")


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
        real = room.poll_to_the_end

        def saved(settings, task, report):
            status = real(settings, task, report)
            self.place().joinpath("video.mp4").write_bytes(video_of(task.task_id))
            return status

        with mock.patch.object(room, "poll_to_the_end", saved):
            self.ends_with_video(self.go())


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


if __name__ == "__main__":
    unittest.main()
