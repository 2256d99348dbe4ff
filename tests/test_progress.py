"""What a person sees meanwhile: at a terminal one line, elsewhere a line for each change."""

import io
import re
import sys
import time
import unittest
from contextlib import redirect_stderr
from unittest import mock

from support import Terminal
from support.service import created, succeeded, video
from support.service_case import GenerationCase, ServiceCase

from aliyun_emo import progress, transport
from aliyun_emo.progress import Progress

LIVES = r"(?m), \d+ s$"


def when_seen(answer, seen):
    """Give `answer` when a line on stderr has told that the run lives, which is noted in `seen`."""

    def late(handler):
        for _ in range(3000):
            if re.search(LIVES, sys.stderr.getvalue()):
                seen.append(True)
                break
            time.sleep(0.01)
        answer(handler)

    return late


class Runs(GenerationCase):
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
                seen, looks_up = [], mock.patch.object(transport, "SLICE", 0.02)
                service.script[route] = [when_seen(answer, seen)]
                with looks_up, mock.patch.object(progress, "HEARTBEAT", 0.1):
                    self.ends_with_video(self.go())
                self.assertEqual(seen, [True])


class Lines(ServiceCase):
    """The clock of these tests goes on when somebody sleeps."""

    def shown(self, *steps, stream=None):
        """Return what stderr has after `steps`, each a method of `Progress` and its arguments."""
        stream = stream or io.StringIO()
        with redirect_stderr(stream):
            shows = Progress()
            for name, *values in steps:
                (self.clock.sleep if name == "sleep" else getattr(shows, name))(*values)
        return stream.getvalue()

    def test_elsewhere_there_is_a_line_for_each_change_and_at_least_one_a_minute(self):
        for name, steps, expected in (
            ("nothing", [], ""),
            ("a change", [("show", "A"), ("show", "A"), ("show", "B")], "A\nB\n"),
            ("details", [("show", "A", " 1 MB"), ("show", "A", " 2 MB")], "A\n"),
            ("after a minute", [("show", "A"), ("sleep", 60), ("show", "A")], "A\nA, 60 s\n"),
            (
                "with its detail",
                [("show", "A"), ("sleep", 61), ("show", "A", " 2 MB")],
                "A\nA 2 MB, 61 s\n",
            ),
            ("a beat too early", [("show", "A"), ("sleep", 59), ("beat",)], "A\n"),
            ("a beat in time", [("show", "A"), ("sleep", 60), ("beat",)], "A\nA, 60 s\n"),
            ("a beat before anything", [("sleep", 60), ("beat",)], "connecting, 60 s\n"),
            ("a wait of a minute", [("show", "A"), ("wait", 60)], "A\n"),
            (
                "a long wait",
                [("show", "A"), ("wait", 130)],
                "A\nA, 60 s\nA, 120 s\n",
            ),
            ("a line counts", [("sleep", 59), ("say", "B"), ("sleep", 59), ("beat",)], "B\n"),
            ("the end", [("show", "A"), ("end",)], "A\n"),
        ):
            with self.subTest(name):
                self.clock.slept.clear()
                self.assertEqual(self.shown(*steps), expected)

    def test_a_wait_takes_its_time_however_it_is_cut(self):
        for seconds in (0, 0.05, 59, 60, 61, 600.5):
            with self.subTest(seconds):
                self.clock.slept.clear()
                self.shown(("wait", seconds))
                self.assertAlmostEqual(sum(self.clock.slept), seconds)
                self.assertLessEqual(max(self.clock.slept), progress.HEARTBEAT)

    def test_at_a_terminal_a_line_replaces_the_one_before_and_ends_before_another(self):
        steps = [("show", "A"), ("sleep", 5), ("show", "B", " 1"), ("say", "C"), ("end",)]
        shown = self.shown(*steps, stream=Terminal())
        first, second, *rest = shown.split("\r")[1:]
        self.assertEqual((first, rest), ("A, 0 s".ljust(78), []))
        self.assertEqual(second, "B 1, 5 s".ljust(78) + "\nC\n")
        shown = self.shown(("show", "A"), ("end",), stream=Terminal())
        self.assertTrue(shown.endswith("\n"))

    def test_where_nobody_looks_it_goes_on(self):
        class Broken(io.StringIO):
            def write(self, text):
                raise OSError(32, "Broken pipe")

        self.shown(("say", "A"), ("show", "B"), ("wait", 61), ("end",), stream=Broken())
        with mock.patch.object(sys, "stderr", None):
            shows = Progress()
            shows.say("A")
            shows.show("B")
            shows.wait(61)
            shows.end()


if __name__ == "__main__":
    unittest.main()
