"""The evidence of paid tasks: what was sent, what came back, where it stands, and that it stays."""

import json
import os
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

from support import REQUEST, emo, without_root
from support.service_case import DAY, EVIDENCE, TASKS, GenerationCase
from support.task_case import NAME, TaskCase

from aliyun_emo import attempts, requests, tasks


class Evidence(TaskCase):
    def test_an_id_counts_also_in_an_answer_that_is_kept_as_text(self):
        for response in (
            {"output": {"task_id": "a"}},
            '{"output": {"task_id": "a"}, "x": 1e999}',
            '{"output": {"task_id": "a"}, "output": {"task_id": "a"}}',
            '{"output": {}, "output": {"task_id": "a"}}',
        ):
            with self.subTest(response):
                self.clear()
                folder = self.place(1, "made", response=response)
                self.assertEqual(tasks.Task(str(folder)).task_id, "a")

    def test_a_record_that_cannot_be_read_counts_as_sending(self):
        for content in (b"", b"{", b"[]", b'{"state": 7}', b"\xff", b"[" * 9999):
            with self.subTest(content[:9]):
                self.clear()
                folder = self.place(1)
                folder.joinpath("task.json").write_bytes(content)
                self.assertEqual(tasks.Task(str(folder)).state, "sending")

    def test_a_record_is_on_the_disk_on_return(self):
        task = attempts.claim("tasks", NAME, 1)
        with mock.patch("os.fsync") as synced:
            task.write(state="sending")
        self.assertGreaterEqual(synced.call_count, 1)
        self.assertEqual(tasks.Task(task.folder).state, "sending")

    def test_what_is_about_another_task_does_not_count(self):
        made = {"output": {"task_id": "mine"}}
        folder = self.place(1, "made", response=made, attempt=1)
        other = {"task_id": "other", "task_status": "SUCCEEDED", "video_url": "https://x/"}
        folder.joinpath("response.json").write_text(json.dumps(other))
        task = tasks.Task(str(folder))
        self.assertEqual((task.task_id, task.status, task.video_url), ("mine", "", ""))

    def test_a_number_of_an_attempt_is_one_from_one_on(self):
        for number, expected in ((1, 1), (7, 7), (0, None), (-1, None), (True, None), ("2", None)):
            with self.subTest(number):
                self.clear()
                task = tasks.Task(str(self.place(1, "made", attempt=number)))
                self.assertEqual(task.attempt, expected)

    def test_what_never_left_leaves_nothing(self):
        task = attempts.claim("tasks", NAME, 1)
        task.write(state="sending")
        task.remove()
        self.assertEqual(os.listdir("tasks"), [])


class OfARun(GenerationCase):
    """The evidence as a run writes it."""

    @unittest.skipUnless(os.name == "posix", "permissions of POSIX")
    def test_a_place_that_cannot_be_written_is_named(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)

        def blocked(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")

        for what, posts in (("tasks", 0), ("polls.jsonl", 1), ("response.json", 1)):
            with self.subTest(what):
                self.clear()
                service.seen.clear()
                if what == "tasks":
                    blocked(TASKS)
                else:
                    self.go("--no-wait")
                    (TASKS / name / what).mkdir()
                result = self.ends(self.go(), 1, "output")
                self.assertIn(what, result.line["errors"][0]["message"])
                self.assertEqual(len(service.posts), posts)
                if what == "tasks":
                    TASKS.unlink()
        if os.geteuid() == 0 and not hasattr(os, "setresuid"):
            return
        self.clear()
        service.seen.clear()
        TASKS.mkdir()
        for path in (self.folder, self.folder / "output", EVIDENCE):
            os.chmod(path, 0o777)
        os.chmod(TASKS, 0o555)
        with without_root():
            result = self.ends(self.go(), 1, "output")
        os.chmod(TASKS, 0o777)
        self.assertIn("tasks", result.line["errors"][0]["message"])
        self.assertEqual(service.posts, [])

    @unittest.skipUnless(sys.platform == "linux", "a folder that is in use can be removed")
    def test_in_a_folder_that_was_deleted_the_place_is_named(self):
        service = self.serve()
        path = self.folder / "request.json"
        path.write_text(json.dumps(REQUEST))
        gone = self.folder / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
        result = self.go(file=str(path))
        os.chdir(self.folder)
        self.ends(result, 1, "output")
        self.assertNotIn("None", result.line["errors"][0]["message"])
        self.assertEqual(service.posts, [])

    def test_temporary_files_of_a_killed_run_are_removed_when_they_are_a_day_old(self):
        self.serve()
        self.go()
        (folder,) = self.folders()
        places = (EVIDENCE, TASKS, TASKS / folder)
        old = time.time() - DAY - 60
        for kind in ("old", "fresh"):
            for place in places:
                path = place / emo.temporary_name()
                path.write_text(kind)
                if kind == "old":
                    os.utime(path, (old, old))
            path = TASKS / emo.temporary_name()
            path.mkdir()
            (path / "task.json").write_text(kind)
            if kind == "old":
                os.utime(path, (old, old))
        mine = EVIDENCE / "mine.tmp"
        mine.write_text("")
        os.utime(mine, (old, old))
        self.ends(self.go(), 0)
        self.assertTrue(mine.exists())
        left = [path for path in EVIDENCE.rglob(".*") if path.is_file()]
        self.assertEqual([path.read_text() for path in left], ["fresh"] * 3)
        left = list(TASKS.glob(".*/*"))
        self.assertEqual([path.read_text() for path in left], ["fresh"])
        line = self.ends(self.call_run(), 0).line
        self.assertEqual(len(line["tasks"]), 1)

    def test_the_newest_stands_first_within_a_second_too(self):
        for name, fraction in (("aaa", "100000"), ("bbb", "900000"), ("ccc", "500000")):
            self.write(f"tasks/{name}/task.json", {"saved_at": f"2026-01-01T00:00:00.{fraction}Z"})
        rows = self.call_run().line["tasks"]
        self.assertEqual([Path(r["task_path"]).parent.name for r in rows], ["bbb", "ccc", "aaa"])

    def test_a_dry_run_finds_what_cannot_be_written(self):
        service = self.serve()
        TASKS.write_text("")
        for words in (["--dry-run"], []):
            result = self.go(*words)
            self.assertEqual((result.code, result.fields, service.posts), (1, ["output"], []))


if __name__ == "__main__":
    unittest.main()
