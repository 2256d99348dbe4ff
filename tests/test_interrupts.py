"""Signals: one ends the run, before the claim with nothing sent, after it with the answer kept."""

import gc
import signal
import time
import unittest
import weakref
from pathlib import Path
from unittest import mock

from support.service import created, detected, fails, stall, status_of
from support.service_case import DETECTION, EVIDENCE, FILE, KEYS, POSIX, SCRIPTS, GenerationCase

from aliyun_emo import follow, generation, looks, requests, tasks
from aliyun_emo import service as room
from aliyun_emo.interrupts import Interrupts


def in_a_destructor(interrupts):
    class Dying:
        def __del__(self):
            interrupts.handle(signal.SIGTERM, None)

    with mock.patch("sys.unraisablehook"):
        Dying()
        gc.collect()


def in_a_callback(interrupts):
    class Dying:
        pass

    dying = Dying()
    called = weakref.ref(dying, lambda _: interrupts.handle(signal.SIGTERM, None))
    with mock.patch("sys.unraisablehook"):
        del dying
        gc.collect()
    assert called() is None


# Where Python swallows whatever is raised.
SWALLOWING = {"a destructor": in_a_destructor, "a callback": in_a_callback}


PATIENT = {"interrupts_GRACE": 60, "interrupts_APART": 0}
SHORT = {"interrupts_GRACE": 0.1}


class Held(unittest.TestCase):
    """What becomes of a signal, without a process."""

    def test_one_ends_what_goes_on_and_a_held_one_what_comes_after(self):
        interrupts = Interrupts()
        with self.assertRaises(KeyboardInterrupt) as caught:
            interrupts.handle(signal.SIGTERM, None)
        self.assertEqual(caught.exception.args, (143,))
        interrupts, done = Interrupts(), []
        with self.assertRaises(KeyboardInterrupt) as caught, interrupts.held():
            interrupts.handle(signal.SIGINT, None)
            interrupts.check()
            done.append("kept")
        self.assertEqual((caught.exception.args, done), ((130,), ["kept"]))

    def test_one_that_came_before_ends_what_would_be_held(self):
        interrupts, done = Interrupts(), []
        interrupts.came = signal.SIGINT
        with self.assertRaises(KeyboardInterrupt), interrupts.held():
            done.append("sent")
        self.assertEqual(done, [])

    def test_a_second_one_shortens_the_wait_and_several_at_once_are_one(self):
        for apart, code, waits in ((0.01, 130, True), (1.5, 143, False)):
            with self.subTest(apart):
                interrupts, kept = Interrupts(), []
                with self.assertRaises(KeyboardInterrupt) as caught, interrupts.held():
                    interrupts.handle(signal.SIGINT, None)
                    interrupts.came_at -= apart
                    interrupts.handle(signal.SIGTERM, None)
                    self.assertIs(interrupts.patience() > time.monotonic() + 1, waits)
                    kept.append("what came is kept")
                self.assertEqual((caught.exception.args, len(kept)), ((code,), 1))

    def test_a_pause_within_what_is_held_is_ended(self):
        interrupts, steps = Interrupts(), []
        with self.assertRaises(KeyboardInterrupt), interrupts.held():
            if not interrupts.lets_end(lambda _: interrupts.handle(signal.SIGINT, None), 1):
                steps.append("the pause ends")
            steps.append("and is settled")
            self.assertTrue(interrupts.is_held)
        self.assertEqual(len(steps), 2)

    def test_one_that_python_swallows_is_raised_again(self):
        for where, swallowing in SWALLOWING.items():
            for is_held in (False, True):
                with self.subTest(f"{where} {is_held}"):
                    interrupts = Interrupts()
                    interrupts.is_held = is_held
                    swallowing(interrupts)
                    self.assertEqual(interrupts.came, signal.SIGTERM)
                    interrupts.is_held = False
                    for _ in range(2):  # it stays
                        with self.assertRaises(KeyboardInterrupt) as caught:
                            interrupts.check()
                        self.assertEqual(caught.exception.args, (143,))

    def test_answers_are_waited_for_as_long_as_they_have(self):
        interrupts = Interrupts()
        self.assertEqual(interrupts.patience(), float("inf"))
        with self.assertRaises(KeyboardInterrupt), interrupts.held():
            interrupts.handle(signal.SIGINT, None)
        self.assertAlmostEqual(interrupts.patience(), time.monotonic() + 30, delta=1)

    def test_while_the_line_is_printed_the_first_changes_nothing_and_the_second_ends(self):
        interrupts = Interrupts()
        with interrupts.end(None):
            pass
        with mock.patch("os._exit") as ended:
            interrupts.handle(signal.SIGTERM, None)
            ended.assert_not_called()
            interrupts.handle(signal.SIGTERM, None)
        ended.assert_called_once_with(143)


# The file `handled` has a mark for each signal that was handled.
HANDLED = """
from aliyun_emo.interrupts import Interrupts
real = Interrupts.handle
def handle(*words):
    with open("handled", "a") as file:
        file.write("+")
    return real(*words)
Interrupts.handle = handle
"""


class Runs(GenerationCase):
    def interrupted(self, script, signals, **constants):
        """Return service and `Result` of a run that gets `signals` once it has sent.

        A signal that is sent twice before it is handled counts once, so each waits for the last.
        """
        Path("handled").write_text("")
        service = self.serve(video_synthesis=[script])
        process = self.start(FILE, code=HANDLED, transport_SLICE=0.02, **constants)
        self.until(lambda: service.posts)
        for count, number in enumerate(signals):
            self.until(lambda count=count: Path("handled").read_text() == "+" * count)
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

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_waits_for_the_answer_to_what_was_paid_for(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                self.clear()

                def afterwards(handler):
                    self.until(lambda: Path("handled").read_text())
                    created(handler)

                service, result = self.interrupted(afterwards, [number])
                self.ends(result, code, "arguments")
                (task_id,) = service.tasks
                self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])
                self.assertEqual((result.line["state"], result.line["task_id"]), ("made", task_id))
                self.assertEqual(self.kept()["response"]["output"]["task_id"], task_id)
                self.ends_with_video(self.go())
                self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_the_answer_to_a_detection_is_waited_for_as_always(self):
        def afterwards(handler):
            self.until(lambda: Path("handled").read_text())
            time.sleep(0.5)
            detected(handler)

        file = self.write("detect_request.json", DETECTION)
        Path("handled").write_text("")
        service = self.serve(face_detect=[afterwards])
        process = self.start(file, code=HANDLED, transport_SLICE=0.02)
        self.until(lambda: service.posts)
        process.send_signal(signal.SIGINT)
        result = self.ends(self.end_of(process), 130)
        self.assertNotIn("sending it again", result.stderr)
        self.assertIn("waiting for an answer", result.stderr)
        self.assertTrue((EVIDENCE / "detection.json").exists())
        self.assertEqual(len(service.posts), 1)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_does_not_wait_for_ever(self):
        stop, end = signal.SIGINT, signal.SIGTERM
        for name, signals, constants, code in (
            ("no answer in time", [stop], SHORT, 130),
            ("no answer in time, SIGTERM", [end], SHORT, 143),
            ("a second interrupt", [stop, stop], PATIENT, 130),
            ("another signal", [stop, end], PATIENT, 143),
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

    def with_interrupts(self):
        """Return the signals of the next run in this process, which a test sends by `handle`."""
        interrupts = Interrupts()
        patch = mock.patch("aliyun_emo.interrupts.Interrupts", lambda: interrupts)
        patch.start()
        self.addCleanup(patch.stop)
        return interrupts

    def test_one_before_anything_was_sent_leaves_no_folder(self):
        service = self.serve()
        for owner, name in (
            (room, "body_to_send"),
            (generation, "write_record"),
            (tasks.Task, "write"),
            (tasks, "claim"),
            (tasks, "has_rival"),
        ):
            with self.subTest(name):
                interrupts = self.with_interrupts()
                real = getattr(owner, name)

                def interrupted(*words, real=real, interrupts=interrupts, **more):
                    if not interrupts.came:
                        interrupts.handle(signal.SIGTERM, None)
                    return real(*words, **more)

                with mock.patch.object(owner, name, interrupted):
                    result = self.go()
                self.assertEqual((result.code, service.posts), (143, []), result)
                self.assertEqual(self.folders(), [])
                self.clear()
                service.seen.clear()

    def test_one_that_python_swallows_ends_a_run_all_the_same(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        for owner, name, posts in (
            (requests, "read_request", 0),
            (room, "body_to_send", 0),
            (looks, "look", 0),
            (generation, "write_record", 0),
            (tasks, "has_rival", 0),
            (room, "deliver", 0),
            (room, "body_of", 1),
            (follow, "poll", 1),
        ):
            for where, swallowing in SWALLOWING.items():
                with self.subTest(f"{name}, {where}"):
                    self.clear()
                    service.seen.clear()
                    interrupts = self.with_interrupts()
                    real = getattr(owner, name)

                    def interrupted(*words, real=real, interrupts=interrupts, into=swallowing):
                        if not interrupts.came:
                            into(interrupts)
                        return real(*words)

                    with mock.patch.object(owner, name, interrupted):
                        result = self.ends(self.go(), 143, "arguments")
                    self.assertEqual(len(service.posts), posts)
                    self.assertEqual(len(self.folders()), posts)
                    if posts:
                        self.assertEqual(self.states(), ["made"])
                        self.assertEqual(result.line["state"], "made")

    def test_one_that_python_swallows_after_the_last_answer_is_told_and_loses_nothing(self):
        self.serve()
        interrupts = self.with_interrupts()
        save_video = tasks.Task.save_video

        def interrupted(*words):
            save_video(*words)
            in_a_destructor(interrupts)

        with mock.patch.object(tasks.Task, "save_video", interrupted):
            result = self.ends(self.go(), 143, "arguments")
        self.assertEqual((self.states(), interrupts.came), (["made"], signal.SIGTERM))
        self.assertIn("and the task is made", result.line["errors"][0]["hint"])
        self.assertTrue(self.place().joinpath("video.mp4").exists(), result)
        with mock.patch("aliyun_emo.interrupts.Interrupts", Interrupts):
            self.ends_with_video(self.go())

    def test_where_no_answer_was_seen_it_is_said_that_a_task_may_exist(self):
        self.serve()
        interrupts = self.with_interrupts()

        def unanswered(*_):
            interrupts.handle(signal.SIGINT, None)
            return "unclear", room.Answer(0)

        with mock.patch.object(generation.service, "deliver", unanswered):
            result = self.go()
        self.assertEqual((result.code, self.states()), (130, ["unclear"]), result)
        self.assertIn("A task may exist", result.line["errors"][0]["hint"])
        self.assertIn("console", self.ends(self.go(), 4).line["errors"][0]["hint"])

    def test_a_signal_waits_for_no_lock_that_it_came_upon(self):
        import threading

        interrupts, raised = Interrupts(), []

        def interrupted_while_a_thread_starts():
            with threading._active_limbo_lock:
                try:
                    interrupts.handle(signal.SIGTERM, None)
                except KeyboardInterrupt:
                    raised.append(True)

        thread = threading.Thread(target=interrupted_while_a_thread_starts, daemon=True)
        thread.start()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual((interrupts.came, raised), (signal.SIGTERM, [True]))


@unittest.skipUnless(POSIX, "signals of POSIX")
class Starting(GenerationCase):
    """Signals while the program starts, which imports for most of that time."""

    AT_IMPORT = """
import os, signal, sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{name}":
            os.kill(os.getpid(), {number})
            time.sleep(0.01)
sys.meta_path.insert(0, Finder())
"""

    def test_one_during_any_import_ends_with_its_line_and_nothing_is_sent(self):
        service = self.serve()
        for name in ("prepare_emo_request", "aliyun_emo", "aliyun_emo.runs", "http.client", "ssl"):
            for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
                with self.subTest(f"{name} {code}"):
                    at = self.AT_IMPORT.format(name=name, number=int(number))
                    program = f"sys.path.insert(0, {str(SCRIPTS)!r})\nimport run_emo_request\n"
                    program = f"{at}{program}run_emo_request.script()"
                    result = self.run_script(FILE, python=["-c"], script=program)
                    self.ends(result, code, "arguments")
                    self.assertEqual(result.line["errors"][0]["message"], "interrupted")
                    self.assertEqual((service.seen, self.folders()), ([], []))

    def test_one_in_the_first_milliseconds_of_the_program_ends_with_its_line(self):
        self.serve()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                program = (
                    "import os, signal, sys\n"
                    f"sys.path.insert(0, {str(SCRIPTS)!r})\n"
                    "import run_emo_request\n"
                    "real = signal.signal\n"
                    "def set_and_send(number, handler):\n"
                    "    before = real(number, handler)\n"
                    f"    if number == {int(number)}: os.kill(os.getpid(), number)\n"
                    "    return before\n"
                    "signal.signal = set_and_send\n"
                    "run_emo_request.script()\n"
                )
                result = self.run_script(FILE, python=["-c"], script=program)
                self.ends(result, code, "arguments")
                self.assertEqual(self.folders(), [])

    def test_one_while_the_line_is_printed_does_not_cut_it_and_a_second_ends(self):
        self.serve()
        for count, code in ((1, 0), (2, 143)):
            with self.subTest(count):
                printing = (
                    "import os, signal, sys\n"
                    "class Out:\n"
                    f"    left, to = {count}, sys.stdout\n"
                    "    def write(self, text):\n"
                    "        if self.left:\n"
                    "            self.left -= 1\n"
                    "            os.kill(os.getpid(), signal.SIGTERM)\n"
                    "        return self.to.write(text)\n"
                    "    def flush(self):\n"
                    "        self.to.flush()\n"
                    "sys.stdout = Out()\n"
                )
                process = self.start(FILE, "--interval", "0.05", code=printing)
                result = self.end_of(process)
                self.assertEqual(result.code, code, result)
                if not code:
                    self.ends_with_video(result)
                self.ends_with_video(self.go())


if __name__ == "__main__":
    unittest.main()
