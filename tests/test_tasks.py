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

from aliyun_emo import interrupts, requests, service, settings, tasks
from aliyun_emo.tasks import Send

ENDED = [("made", status) for status in ("FAILED", "CANCELED", "UNKNOWN", "SUCCEEDED")]
GOES_ON = [("made", status) for status in ("", "PENDING", "RUNNING", "SUSPENDED", "odd")]


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

    def test_a_video_that_is_gone_is_not_in_the_answer_any_more(self):
        task = tasks.Task(str(self.place(1, "made")))
        Path(task.path("video.mp4")).write_bytes(b"x")
        task.write_answer({"task_id": "a"})
        self.assertEqual(task.answer["video_path"], "video.mp4")
        os.unlink(task.path("video.mp4"))
        task.write_answer(task.answer)
        self.assertNotIn("video_path", task.answer)

    def test_a_record_is_on_the_disk_on_return(self):
        task = tasks.claim("tasks", NAME, 1)
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
        task = tasks.claim("tasks", NAME, 1)
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


class Decide(TaskCase):
    def test_what_is_done_about_a_request(self):
        made = {"state": "made", "status": "RUNNING"}
        failed = {"state": "made", "status": "FAILED"}
        refused = {"state": "refused"}
        young = {"state": "sending", "age": 60}
        for name, folders, wanted, expected in (
            ("nothing", [], None, Send(1, 1)),
            ("nothing, the first", [], 1, Send(1, 1)),
            ("nothing, the second", [], 2, "there is no attempt 1 yet"),
            ("refused", [refused], None, Send(1, 2)),
            ("refused, its number", [{**refused, "attempt": 1}], 1, Send(1, 2)),
            ("refused twice", [refused, refused], None, Send(1, 3)),
            ("made", [made], None, 1),
            ("made, its number", [{**made, "attempt": 1}], 1, 1),
            ("made, the next", [made], 2, "attempt 1 has not ended"),
            ("failed", [failed], None, 1),
            ("failed, the next", [failed], 2, Send(2, 2)),
            ("failed, the one after that", [failed], 3, "there is no attempt 2 yet"),
            ("sending now", [young], None, 1),
            ("sending now, the next", [young], 2, "attempt 1 has not ended"),
            ("sending long since", [{"state": "sending"}], 2, Send(2, 2)),
            ("unclear", [{"state": "unclear", "age": 1}], None, 1),
            ("unclear, the next", [{"state": "unclear", "age": 1}], 2, Send(2, 2)),
            ("no record, young", [{"age": 9}], None, 1),
            ("no record, young, the next", [{"age": 9}], 2, "attempt 1 has not ended"),
            ("no record, old, the next", [{}], 2, Send(2, 2)),
            ("two, without a number", [failed, made], None, 2),
            ("two, the first", [failed, made], 1, 1),
            ("two, the second", [failed, made], 2, 2),
            ("two, the third", [failed, made], 3, "attempt 2 has not ended"),
            ("the second was refused", [failed, {**refused, "attempt": 2}], 2, Send(2, 3)),
            ("the second was refused, the last", [failed, {**refused, "attempt": 2}], None, 1),
            ("the second in a third folder", [failed, refused, {**made, "attempt": 2}], 2, 3),
            ("of an earlier version", [failed, refused, made], 2, 3),
            # One that slept through an attempt wakes up and is refused: nothing is renumbered.
            (
                "the first was refused late",
                [{**refused, "attempt": 1}, {**made, "attempt": 2}],
                2,
                2,
            ),
            (
                "the first was refused late, the first",
                [{**refused, "attempt": 1}, {**made, "attempt": 2}],
                1,
                Send(1, 3),
            ),
            ("out of order", [{**failed, "attempt": 2}, {**failed, "attempt": 1}], 2, 1),
            ("no number", [{**made, "attempt": "2"}], 1, 1),
            ("an odd state", [{"state": "lost", "age": 9}], 2, "attempt 1 has not ended"),
            ("no whole number", [{**made, "attempt": 2.0}], None, 1),
            ("no number of an attempt", [{**made, "attempt": 0}], 1, 1),
            # A record that says its number counts before the place of a folder that has none.
            ("a place that is taken", [{}, {**made, "attempt": 1}], 1, 2),
            ("a place that is taken, the last", [{}, {**made, "attempt": 1}], None, 2),
            ("a place that is taken before", [{**made, "attempt": 2}, {}], 2, 1),
            ("two that say the same", [{**failed, "attempt": 1}, {**made, "attempt": 1}], 1, 2),
            ("between two", [failed, {}, {**made, "attempt": 3}], 2, 2),
            ("between two, the last", [failed, {}, {**made, "attempt": 3}], None, 3),
            ("between two, the next", [failed, {}, {**failed, "attempt": 3}], 4, Send(4, 4)),
            ("a gap", [{**failed, "attempt": 1}, {**failed, "attempt": 3}], 2, Send(2, 3)),
            ("a gap, the last", [{**failed, "attempt": 1}, {**made, "attempt": 3}], None, 2),
        ):
            with self.subTest(name):
                self.clear()
                for number, options in enumerate(folders, 1):
                    self.place(number, **options)
                decision = self.decide(wanted)
                if isinstance(expected, str):
                    self.assertEqual(decision.field, "attempt")
                    self.assertIn(expected, decision.message)
                    self.assertTrue(decision.hint)
                else:
                    self.assertEqual(decision, expected)

    def test_each_state_and_each_number(self):
        not_yet, beside = "there is no attempt 2 yet", "attempt 1 has not ended"
        gives_way = 1, 1, Send(2, 2), not_yet
        stands = 1, 1, beside, not_yet
        sent_anew = Send(1, 2), Send(1, 2), "there is no attempt 1 yet", not_yet
        for state, status, age, *expected in (
            # state, status, age, what is done with no number, 1, 2 and 3
            ("sending", "", 60, *stands),
            ("sending", "", 180, *gives_way),
            (None, "", 60, *stands),
            (None, "", 180, *gives_way),
            ("unclear", "", 0, *gives_way),
            ("refused", "", 0, *sent_anew),
            *((*ended, 0, *gives_way) for ended in ENDED),
            *((*unfinished, 99 * DAY, *stands) for unfinished in GOES_ON),
        ):
            for attempt in (None, 1) if state else (None,):
                with self.subTest(f"{state} {status} {age} {attempt}"):
                    self.clear()
                    self.place(1, state, status, attempt, age)
                    for wanted, outcome in zip((None, 1, 2, 3), expected):
                        decision = self.decide(wanted)
                        if isinstance(outcome, str):
                            decision = decision.message.partition(",")[0]
                        self.assertEqual(decision, outcome, wanted)

    def test_a_sending_has_ended_before_another_run_may_take_its_place(self):
        longest = settings.CONNECT_TIMEOUT + 2 * settings.READ_TIMEOUT  # sent, answered
        self.assertLessEqual(service.RESEND_TIME + longest, tasks.AT_WORK)
        self.assertLessEqual(interrupts.GRACE, settings.READ_TIMEOUT)

    def test_a_hint_names_the_number_that_can_be_given(self):
        failed, young = {"state": "made", "status": "FAILED"}, {"state": "sending", "age": 9}
        for folders, wanted, hint in (
            ([], 2, "Leave --attempt out."),
            ([{"state": "refused"}], 9, "Leave --attempt out."),
            ([failed], 3, "The next one is --attempt 2."),
            ([failed, failed], 9, "The next one is --attempt 3."),
            ([{"state": "made"}], 2, "Run with --attempt 1 first, until it ends."),
            ([failed, {"state": "made"}], 3, "Run with --attempt 2 first, until it ends."),
            ([young], 2, f"with --attempt 1 in {tasks.AT_WORK - 9} seconds: it tells"),
        ):
            with self.subTest(hint):
                self.clear()
                for number, options in enumerate(folders, 1):
                    self.place(number, **options)
                self.assertIn(hint, self.decide(wanted).hint)

    def test_a_task_whose_video_is_here_has_ended(self):
        folder = self.place(1, "made", "RUNNING")
        self.assertNotIsInstance(self.decide(2), Send)
        folder.joinpath("video.mp4").write_bytes(b"")
        self.assertEqual(self.decide(2), Send(2, 2))

    def test_the_clock_gives_two_minutes_to_who_is_at_it_and_no_end_to_a_task(self):
        for age, sends in ((0, False), (119, False), (121, True), (-3600, True)):
            with self.subTest(age):
                self.clear()
                self.place(1, "sending", age=age)
                self.assertEqual(isinstance(self.decide(2), Send), sends)
        self.clear()
        self.place(1, "made", "RUNNING", age=30 * 24 * 3600)
        self.assertNotIsInstance(self.decide(2), Send)

    def test_the_number_that_comes_next(self):
        for folders, expected in (
            ([], 1),
            ([{"state": "refused"}], 1),
            ([{"state": "made"}], 2),
            ([{"state": "made"}, {"state": "refused"}, {"state": "unclear"}], 3),
            ([{"state": "made", "attempt": 4}], 5),
        ):
            with self.subTest(folders):
                self.clear()
                for number, options in enumerate(folders, 1):
                    self.place(number, **options)
                self.assertEqual(tasks.next_attempt("tasks", NAME), expected)


class Claims(TaskCase):
    def test_one_of_many_makes_a_folder(self):
        made = [tasks.claim("tasks", NAME, 1) for _ in range(3)]
        self.assertEqual([bool(task) for task in made], [True, False, False])
        self.assertTrue(made[0].is_new)
        self.assertEqual(tasks.claim("tasks", NAME, 2).folder, os.path.join("tasks", f"{NAME}-2"))

    def test_who_says_the_same_attempt_is_a_rival(self):
        for other, is_rival in (
            ({"state": "sending", "attempt": 2}, True),
            ({"state": "made", "attempt": 2}, True),
            ({"state": "refused", "attempt": 2}, False),
            ({"state": "made", "attempt": 1}, False),
            ({"state": "made"}, False),
            ({}, False),
        ):
            with self.subTest(other):
                self.clear()
                self.place(1, "made", "FAILED", attempt=1)
                mine = tasks.Task(str(self.place(2, "sending", attempt=2)))
                self.place(3, **other)
                found = tasks.folders_of("tasks", NAME)
                self.assertEqual(tasks.has_rival(found, mine), is_rival)

    def test_only_folders_of_the_request_count_in_any_case_and_in_order(self):
        for name in (NAME, f"{NAME}-10", f"{NAME.upper()}-2", f"{NAME}-01", f"{NAME}x", ".x"):
            Path("tasks", name).mkdir(parents=True)
        numbers = [number for number, _ in tasks.folders_of("tasks", NAME)]
        self.assertEqual(numbers, [1, 2, 10])

    def test_folders_of_any_number_are_seen(self):
        for number in (999_999_999, 1_000_000_000, 10**30):
            self.place(number, "refused")
        self.assertEqual(self.decide(None), Send(1, 10**30 + 1))


if __name__ == "__main__":
    unittest.main()
