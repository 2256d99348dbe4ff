"""What becomes of a generation that was sent, or was about to be."""

import errno
import os
import socket
import unittest
from functools import partial
from unittest import mock

from support.service import (
    created,
    fails,
)
from support.service_case import GenerationCase

from aliyun_emo import sending, tasks


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
            (sending, "write_record"),
            (tasks, "has_rival"),
            (sending.tasks.Task, "write"),
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
