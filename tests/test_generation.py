"""A generation: what is sent, and what is told of it."""

import errno
import json
import os
import socket
import sys
import unittest
from functools import partial
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, REQUEST, RUN, arguments
from support.service import (
    KEY,
    created,
    fails,
    fixture,
    raw,
    refuses,
    status_of,
    succeeded,
    video_of,
)
from support.service_case import EVIDENCE, KEYS, TASKS, GenerationCase, other

from aliyun_emo import generation, tasks

SEQUEL = os.path.join("output", "aliyun-emo", "tasks")


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
            [
                *("saved_at", "title", "attempt", "state", "request", "sent"),
                *("http_status", "response"),
            ],
        )
        self.assertRegex(record["saved_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        for stem in ("portrait", "speech"):
            self.assertIn(stem, record["title"])
        self.assertEqual((record["attempt"], record["state"]), (1, "made"))
        self.assertEqual(record["http_status"], 200)
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
        self.assertIn("about CNY 1.98 for 12.38 s", paid)
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

    def test_the_timeout_bounds_the_wait_but_not_the_answer_to_what_was_sent(self):
        service = self.serve(video_synthesis=[self.late(created, 10)], tasks=[status_of("RUNNING")])
        for words in (["--timeout", "5"], ["--timeout", "0"]):
            with self.subTest(words):
                self.clear()
                line = self.ends(self.go(*words), 5, "service").line
                self.assertEqual(line["state"], "made")
                self.assertEqual(list(line), ["ok", "errors", *KEYS, "warnings"])
        self.assertEqual((len(service.posts), len(service.polls)), (2, 2))


class Others(GenerationCase):
    """A run that pays warns of what is open of the same picture and recording."""

    def test_a_warning_names_other_tasks_before_it_is_paid(self):
        service = self.serve()
        path = self.write("calm.json", other(style_level="calm"))
        self.ends(self.go("--no-wait", file=path), 0)
        (first,) = self.folders()
        result = self.ends(self.go("--no-wait"), 0)
        (warning,) = [w for w in result.line["warnings"] if w["field"] == "service"]
        self.assertIn(first, warning["message"])
        self.assertIn(f"--task {TASKS / first}", warning["hint"])
        lines = result.stderr.splitlines()
        (at,) = [n for n, line in enumerate(lines) if first in line]
        (paid,) = [n for n, line in enumerate(lines) if line.startswith("paying")]
        self.assertLess(at, paid)
        self.assertEqual(len(service.posts), 2)

    def test_of_other_media_and_of_what_has_ended_there_is_none(self):
        self.serve()
        path = self.write("b.json", other(audio_url="https://example.com/other.mp3"))
        self.ends(self.go("--no-wait", file=path), 0)
        self.write("c.json", {**REQUEST, "parameters": {"style_level": "calm"}})
        self.ends_with_video(self.go(file=str(EVIDENCE / "c.json")))
        result = self.ends(self.go("--no-wait"), 0)
        self.assertEqual(result.line["warnings"], [])
        self.assertTrue(json.dumps(result.line))

    def test_one_that_was_refused_is_none(self):
        self.serve(video_synthesis=[refuses(400, "InvalidParameter", "no"), created])
        path = self.write("calm.json", other(style_level="calm"))
        self.ends(self.go(file=path), 3)
        self.assertEqual(self.ends(self.go("--no-wait"), 0).line["warnings"], [])

    def test_of_one_that_may_be_none_the_console_is_named_first(self):
        self.serve(video_synthesis=[raw(500, b""), created])
        path = self.write("calm.json", other(style_level="calm"))
        self.ends(self.go(file=path), 4)
        (warning,) = self.ends(self.go("--dry-run"), 0).line["warnings"]
        self.assertIn("it is not known what became of it", warning["message"])
        self.assertIn("Look in the console", warning["hint"])

    def test_a_status_that_is_not_known_is_told_beside_it(self):
        self.serve(tasks=[status_of("QUEUED"), succeeded()])
        path = self.write("calm.json", other(style_level="calm"))
        self.ends(self.go("--no-wait", file=path), 0)
        first, second = self.ends(self.go(), 0).line["warnings"]
        self.assertIn("there is a task of this picture and recording", first["message"])
        self.assertIn("QUEUED", second["message"])


class Settling(GenerationCase):
    """What stays on disk of what was sent, or was not."""

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
                ("http.client.HTTPConnection.request", True),
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

    def test_who_was_stopped_or_held_up_before_it_sent_sends_nothing(self):
        service = self.serve()
        for room, name in (
            (tasks, "claim"),
            (generation, "write_record"),
            (tasks, "has_rival"),
            (generation.tasks.Task, "write"),
        ):
            for late, posts in ((123, 0), (-7200, 0), (61, 0), (20, 1)):
                with self.subTest(name, late=late):
                    self.clear()
                    service.seen.clear()
                    real = getattr(room, name)

                    def stopped(*words, real=real, late=late, **more):
                        if not self.clock.slept:
                            self.clock.slept.append(late)
                        return real(*words, **more)

                    with mock.patch.object(room, name, stopped):
                        self.ends(self.go("--no-wait"), 0 if posts else 4)
                    self.assertEqual((len(service.posts), len(self.folders())), (posts, posts))

    def test_all_is_said_before_it_is_looked_for_a_rival(self):
        self.serve()
        said = []
        say = mock.patch("aliyun_emo.progress.Progress.say", lambda _, line: said.append(line))
        real = tasks.has_rival

        def rival(*words):
            self.assertTrue([line for line in said if "paying for" in line])
            said.append("looked")
            return real(*words)

        with say, mock.patch.object(tasks, "has_rival", rival):
            self.ends(self.go("--no-wait"), 0)
        self.assertFalse([line for line in said[said.index("looked") :] if "paying" in line])

    def test_what_was_not_taken_leaves_nothing_and_is_sent_anew_in_the_same_place(self):
        service = self.serve(video_synthesis=[fails("error-429", 429)])
        result = self.ends(self.go(), 4, "service")
        self.assertNotIn("state", result.line)
        self.assertEqual(self.folders(), [])
        service.script["video-synthesis"] = [created]
        self.ends_with_video(self.go())
        self.assertEqual((self.kept()["attempt"], len(self.folders())), (1, 1))

    def test_a_refused_request_is_sent_anew_in_a_folder_of_its_own_as_the_same_attempt(self):
        service = self.serve(video_synthesis=[fails("error-401", 401)])
        self.ends(self.go(), 3, "service")
        (first,) = self.folders()
        before = self.kept()
        service.script["video-synthesis"] = [created]
        self.ends_with_video(self.go())
        self.assertEqual(self.folders(), [first, f"{first}-2"])
        self.assertEqual(self.kept(folder=first), before)
        self.assertEqual([self.kept(folder=name)["attempt"] for name in self.folders()], [1, 1])

    def test_an_answer_that_cannot_be_kept_gives_its_id_back_on_stdout(self):
        self.serve(video_synthesis=[partial(created, task_id="its-own-id")])
        real = tasks.write_durably

        def full(path, document):
            if document["state"] == "made":
                raise OSError(errno.ENOSPC, "No space left on device", path)
            real(path, document)

        with mock.patch.object(tasks, "write_durably", full):
            result = self.ends(self.go(), 1, "output")
        (error,) = result.line["errors"]
        self.assertIn("its-own-id", error["message"])
        self.assertIn("--task its-own-id", error["hint"])
        self.assertEqual(result.line["task_id"], "its-own-id")
        self.assertEqual(self.kept()["state"], "sending")


if __name__ == "__main__":
    unittest.main()
