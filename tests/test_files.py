"""Files: what killed runs left half written goes, and what must last is on the disk."""

import os
import time
import unittest
from pathlib import Path

from support.task_case import TaskCase

from aliyun_emo import files


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
