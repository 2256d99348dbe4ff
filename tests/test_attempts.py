"""The attempts of a request: whose a folder is, who claims one, what is done about a request."""

import os
import unittest
from pathlib import Path

from support.service_case import DAY
from support.task_case import NAME, TaskCase

from aliyun_emo import attempts, interrupts, service, settings, tasks
from aliyun_emo.attempts import Send

ENDED = [("made", status) for status in ("FAILED", "CANCELED", "UNKNOWN", "SUCCEEDED")]
GOES_ON = [("made", status) for status in ("", "PENDING", "RUNNING", "SUSPENDED", "odd")]


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
        self.assertLessEqual(service.RESEND_TIME + longest, attempts.AT_WORK)
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
            ([young], 2, f"try again after {attempts.AT_WORK} seconds."),
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
                self.assertEqual(attempts.next_attempt("tasks", NAME), expected)


class Claims(TaskCase):
    def test_one_of_many_makes_a_folder(self):
        made = [attempts.claim("tasks", NAME, 1) for _ in range(3)]
        self.assertEqual([bool(task) for task in made], [True, False, False])
        self.assertTrue(made[0].is_new)
        self.assertEqual(
            attempts.claim("tasks", NAME, 2).folder, os.path.join("tasks", f"{NAME}-2")
        )

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
                found = attempts.folders_of("tasks", NAME)
                self.assertEqual(attempts.has_rival(found, mine), is_rival)

    def test_only_folders_of_the_request_count_in_any_case_and_in_order(self):
        for name in (NAME, f"{NAME}-10", f"{NAME.upper()}-2", f"{NAME}-01", f"{NAME}x", ".x"):
            Path("tasks", name).mkdir(parents=True)
        numbers = [number for number, _ in attempts.folders_of("tasks", NAME)]
        self.assertEqual(numbers, [1, 2, 10])

    def test_folders_of_any_number_are_seen(self):
        for number in (999_999_999, 1_000_000_000, 10**30):
            self.place(number, "refused")
        self.assertEqual(self.decide(None), Send(1, 10**30 + 1))


if __name__ == "__main__":
    unittest.main()
