"""Nothing is mixed up: each task has its own folder, record, answers and video."""

import os
import unittest
from pathlib import Path

from support.service import status_of, succeeded
from support.service_case import DAY, FILE, GenerationCase, other


class Together(GenerationCase):
    def test_two_requests_at_once_end_with_each_video_in_its_own_folder(self):
        self.write("b.json", other(style_level="calm"))
        b = os.path.join("output", "aliyun-emo", "b.json")
        service = self.serve(tasks=[status_of("RUNNING")])
        slow = self.start(FILE, "--interval", "0.05")
        self.until(lambda: service.polls)
        service.script["tasks"] = [status_of("RUNNING"), succeeded()]
        fast = self.start(b, "--interval", "0.05")
        ends = [self.end_of(process) for process in (fast, slow)]
        lines = [self.ends_with_video(result) for result in ends]
        self.assertNotEqual(lines[0]["video_path"], lines[1]["video_path"])
        self.assertEqual(len(service.posts), 2)
        self.clock.slept.append(DAY + 60)
        for file, line in ((b, lines[0]), (FILE, lines[1])):
            again = self.ends_with_video(self.go(file=file))
            self.assertEqual(again["task_id"], line["task_id"])
            kept = self.kept("response.json", folder=Path(line["task_path"]).parent.name)
            self.assertEqual((kept["task_id"], kept["video_path"]), (line["task_id"], "video.mp4"))

    def test_several_runs_of_one_task_do_not_garble_what_they_keep(self):
        service = self.serve()
        self.go("--no-wait")
        service.script["tasks"] = [status_of("RUNNING", note="x" * 20_000)] * 30 + [succeeded()]
        running = [self.start(FILE, "--interval", "0.05") for _ in range(3)]
        for process in running:
            self.ends_with_video(self.end_of(process))
        self.assertEqual(len(self.snapshots()), len(service.polls))
        self.assertEqual(len(service.posts), 1)

    def test_a_b_and_a_again_sends_two(self):
        service = self.serve()
        self.write("b.json", other(style_level="calm"))
        b = os.path.join("output", "aliyun-emo", "b.json")
        paths = [self.ends_with_video(self.go(file=file))["video_path"] for file in (FILE, b, FILE)]
        self.assertEqual(len(service.posts), 2)
        self.assertEqual(paths[0], paths[2])
        self.assertEqual(len(set(paths)), 2)
        for path in paths:
            self.assertTrue(Path(path).exists())


if __name__ == "__main__":
    unittest.main()
