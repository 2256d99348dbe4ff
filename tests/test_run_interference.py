"""Other runs, signals, kills and full disks: nothing is paid for twice, lost or mixed up."""

import errno
import json
import os
import signal
import sys
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from support import REQUEST, RUN, emo, run, without_root
from support.service import after as later
from support.service import (
    created,
    fails,
    stall,
    status_of,
    succeeded,
)
from support.service_case import DAY, EVIDENCE, FILE, KEYS, POSIX, TASKS, GenerationCase, other

from aliyun_emo import requests


class Interference(GenerationCase):
    def test_eight_at_once_send_one(self):
        service = self.serve(video_synthesis=[later(0.3, created)])
        running = [self.start(FILE, "--interval", "0.05") for _ in range(8)]
        ends = [self.end_of(process) for process in running]
        self.assertEqual(len(service.posts), 1)
        codes = [result.code for result in ends]
        self.assertLessEqual(set(codes), {0, 4}, list(map(str, ends)))
        self.assertIn(0, codes)
        for result in ends:
            if result.code == 0:
                self.ends_with_video(result)
        self.ends_with_video(self.go())
        self.assert_no_temporary_files()
        self.assertEqual(len(service.posts), 1)

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

    def test_a_kill_before_the_answer_leaves_the_record_and_nothing_is_sent_again(self):
        service = self.serve(video_synthesis=[stall])
        process = self.start(FILE)
        self.until(lambda: service.posts)
        process.kill()
        self.end_of(process)
        record = self.kept()
        self.assertEqual((record["state"], record["response"]), ("sending", None))
        result = self.ends(self.run_script(FILE, script=RUN), 4, "service")
        self.assertEqual(result.line["state"], "sending")
        self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_a_kill_between_any_two_steps_pays_once_and_loses_nothing(self):
        steps = (
            "import http.client, os, signal, sys\n"
            "left = int(os.environ['KILL_AT'])\n"
            "def counted(owner, name):\n"
            "    real = getattr(owner, name)\n"
            "    def step(*words, **more):\n"
            "        global left\n"
            "        left -= 1\n"
            "        if left == 0:\n"
            "            os.kill(os.getpid(), signal.SIGKILL)\n"
            "        return real(*words, **more)\n"
            "    setattr(owner, name, step)\n"
            "for name in ('mkdir', 'replace', 'unlink'):\n"
            "    counted(os, name)\n"
            "for name in ('connect', 'send', 'getresponse'):\n"
            "    counted(http.client.HTTPConnection, name)\n"
        )
        service = self.serve(tasks=[succeeded()])
        kills, code = 0, -signal.SIGKILL
        while code:
            kills += 1
            self.assertLess(kills, 100)
            self.clear()
            service.seen.clear()
            os.environ["KILL_AT"] = str(kills)
            done = self.end_of(self.start(FILE, "--interval", "0.05", code=steps))
            code = done.code
            self.quiet(service)
            with self.subTest(kills):
                self.assertIn(code, (0, -signal.SIGKILL), done)
                sent = len(service.posts)
                made = self.folders() and "made" in [
                    self.kept(folder=folder).get("state")
                    for folder in self.folders()
                    if (TASKS / folder / "task.json").exists()
                ]
                result = self.go()
                self.assertLessEqual(len(service.posts), 1)
                if made or not self.folders():
                    self.assertEqual(result.code, 0, result)
                self.ends(result, result.code)
                if result.code == 0:
                    self.ends_with_video(result)
                    continue
                self.assertEqual((result.code, result.line["state"]), (4, "sending"))
                self.assertEqual(len(service.posts), sent)
        self.assertGreater(kills, 8)

    def interrupted(self, script, signals, **constants):
        """Return service and `Result` of a run that gets `signals` once it has sent."""
        service = self.serve(video_synthesis=[script])
        process = self.start(FILE, **constants)
        self.until(lambda: service.posts)
        for number in signals:
            time.sleep(0.3)  # a signal that is sent twice before it is handled counts once
            process.send_signal(number)
        return service, self.end_of(process)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_while_it_waits_to_send_again_leaves_nothing(self):
        busy = fails("error-429", 429, Retry_After="20")
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                self.clear()
                service, result = self.interrupted(busy, [number])
                self.ends(result, code, "arguments")
                self.assertEqual((len(service.posts), self.folders()), (1, []))

    def test_a_signal_waits_for_no_lock_that_it_came_upon(self):
        flight = run.Flight()
        flight.left = True

        def interrupted_while_a_timer_starts():
            with threading._active_limbo_lock:
                flight.interrupt(signal.SIGTERM, None)

        thread = threading.Thread(target=interrupted_while_a_timer_starts, daemon=True)
        thread.start()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual(flight.interrupted, signal.SIGTERM)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_waits_for_the_answer_to_what_was_paid_for(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                self.clear()
                service, result = self.interrupted(later(0.8, created), [number])
                self.ends(result, code, "arguments")
                (task_id,) = service.tasks
                self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])
                self.assertEqual((result.line["state"], result.line["task_id"]), ("made", task_id))
                self.assertEqual(self.kept()["response"]["output"]["task_id"], task_id)
                self.ends_with_video(self.go())
                self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_does_not_wait_for_ever(self):
        stop, end = signal.SIGINT, signal.SIGTERM
        for name, signals, constants, code in (
            ("no answer in time", [stop], {"GRACE": 0.5}, 130),
            ("no answer in time, SIGTERM", [end], {"GRACE": 0.5}, 143),
            ("a second interrupt", [stop, stop], {"GRACE": 60}, 130),
            ("another signal", [stop, end], {"GRACE": 60}, 143),
        ):
            with self.subTest(name):
                self.clear()
                start = time.monotonic()
                service, result = self.interrupted(stall, signals, **constants)
                self.ends(result, code)
                self.assertLess(time.monotonic() - start, 15)
                self.assertEqual((result.line["state"], self.states()), ("unclear", ["unclear"]))
                self.ends(self.go(), 4, "service")
                self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_disk_that_fills_while_the_record_is_written(self):
        self.serve()
        self.go("--no-wait")
        record = self.kept()
        ahead = {**record, "state": "sending", "http_status": None, "response": None}
        ahead = len(json.dumps(ahead, indent=2)) + 1
        for room, posts in ((10, 0), (ahead - 1, 0), (ahead + 10, 1)):
            with self.subTest(room):
                self.clear()
                service = self.serve()
                result = self.ends(self.run_with_room(room, FILE, script=RUN), 1, "output")
                self.assertEqual(len(service.posts), posts, result)
                self.assertIn("task.json", result.line["errors"][0]["message"])
                self.assert_no_temporary_files()
                if not posts:
                    self.assertEqual(self.folders(), [])
                    continue
                (task_id,) = service.tasks  # the id is the only way back to what was paid for
                self.assertEqual(result.line["task_id"], task_id)
                self.assertIn(task_id, result.stderr)
                self.assertEqual(self.kept()["state"], "sending")
                self.ends(self.go(), 4, "service")
                self.ends(self.call_run("--task", task_id), 0)
                self.assertEqual(len(service.posts), 1)

    def test_a_folder_on_which_fsync_or_chmod_is_not_permitted_works(self):
        for error in (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP):
            for name in ("fsync", "chmod"):
                with self.subTest(f"{name} {errno.errorcode[error]}"):
                    self.clear()
                    service = self.serve()
                    refusal = OSError(error, os.strerror(error))
                    with mock.patch(f"os.{name}", side_effect=refusal):
                        self.ends_with_video(self.go())
                    self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "permissions of POSIX")
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


if __name__ == "__main__":
    unittest.main()
