"""Files: what killed runs left half written goes, and what must last is on the disk."""

import os
import time
import unittest
from pathlib import Path
from unittest import mock

from support.task_case import TaskCase

from aliyun_emo import files


class Appending(TaskCase):
    def test_a_line_that_finds_no_room_leaves_no_half_line(self):
        path = Path("polls.jsonl")
        files.append_line(str(path), b"one")

        class Full:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return getattr(self.file, name)

            def write(self, line):
                return self.file.write(line[:5])

        real = open
        full = mock.patch("builtins.open", lambda *w, **m: Full(real(*w, **m)))
        with full, self.assertRaises(OSError) as caught:
            files.append_line(str(path), b"another one")
        self.assertEqual(caught.exception.filename, str(path))
        self.assertEqual(path.read_bytes(), b"one\n")


class Denied(unittest.TestCase):
    def test_evidence_that_may_not_be_read_is_not_taken_for_none(self):
        denied = mock.patch("builtins.open", side_effect=PermissionError(13, "Permission denied"))
        with denied, mock.patch.object(files.os, "name", "posix"):
            self.assertRaises(PermissionError, files.read_evidence, "task.json")
        with denied, mock.patch.object(files.os, "name", "nt"):
            self.assertEqual(files.read_evidence("task.json"), {})


class Leftovers(TaskCase):
    def test_what_killed_runs_left_goes_after_a_day(self):
        old, young = Path("tasks/.emo-1-0a.tmp"), Path("tasks/.emo-2-0b.tmp")
        for path in (old, young):
            path.mkdir(parents=True)
            path.joinpath("x").touch()
        os.utime(old, (time.time() - 25 * 3600,) * 2)
        files.sweep(".")
        self.assertEqual(os.listdir("tasks"), [young.name])


if __name__ == "__main__":
    unittest.main()
