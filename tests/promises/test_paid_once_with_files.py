"""A request is paid for once, whatever happens while its local files go to the store."""

import signal
import threading
import time
import unittest

from support.service import after as later
from support.service import created, policy, raw, stall, stored
from support.service_case import FILE, POSIX
from support.upload_case import DETECT, UploadCase, telling


class WhileFilesGoUp(UploadCase):
    """Other runs, kills and signals while a file goes up."""

    def test_two_runs_at_once_pay_once(self):
        service = self.serve(store=[later(0.1, stored)], video_synthesis=[later(0.1, created)])
        running = [self.start(FILE, "--interval", "0.05") for _ in range(2)]
        ends = [self.end_of(process) for process in running]
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)
        self.assertEqual(len(self.folders()), 1)
        self.assertLessEqual({result.code for result in ends}, {0, 4}, list(map(str, ends)))
        self.ends_with_video(next(result for result in ends if result.code == 0))
        self.ends_with_video(self.go())
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)
        self.assert_no_rights(service, *ends)
        self.assert_no_temporary_files()

    def test_a_task_that_another_run_made_during_the_upload_is_gone_on_with(self):
        def meanwhile(handler):
            service.script["store"] = [stored]
            made.append(self.end_of(self.start(FILE, "--no-wait")))
            stored(handler)

        made = []
        service = self.serve(store=[meanwhile])
        result = self.go()
        self.assertIs(self.ends_with_video(result)["already_submitted"], True)
        self.assertIs(self.ends(made[0], 0).line["already_submitted"], False)
        self.saw(service, policies=4, uploads=4, generations=1)
        self.assertNotIn("paying", result.stderr)

    @unittest.skipUnless(POSIX, "kill -9")
    def test_a_kill_during_an_upload_and_again_pay_once(self):
        for name, route, answers in (
            ("the policy", "uploads", []),
            ("the upload", "store", []),
            ("the second upload", "store", [stored]),
        ):
            with self.subTest(name):
                self.clear()
                reached = threading.Event()
                service = self.serve(**{route: [*answers, telling(reached, stall)]})
                process = self.start(FILE)
                self.assertTrue(reached.wait(20))
                process.kill()
                killed = self.end_of(process)
                self.assertEqual((killed.code, killed.stdout), (-signal.SIGKILL, ""))
                self.paid_nothing(service, killed)
                service.script.update(uploads=[policy], store=[stored])
                self.ends_with_video(self.go())
                self.assertEqual(len(service.of("POST", "video-synthesis")), 1)
                self.assertEqual(len(self.folders()), 1)

    @unittest.skipUnless(POSIX, "signals")
    def test_a_signal_during_an_upload_ends_it_at_once_and_nothing_is_paid(self):
        pause = raw(503, b"", Retry_After="25")
        for name, route, answer, file in (
            ("the policy", "uploads", stall, FILE),
            ("the upload", "store", stall, FILE),
            ("the upload for a detection", "store", stall, DETECT),
            ("a pause", "store", pause, FILE),
        ):
            for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
                with self.subTest(name, code=code):
                    reached = threading.Event()
                    service = self.serve(**{route: [telling(reached, answer)]})
                    process = self.start(file)
                    self.assertTrue(reached.wait(20))
                    while answer is pause and b"again" not in process.stderr.readline():
                        pass  # until it waits to send it again
                    start = time.monotonic()
                    process.send_signal(number)
                    result = self.end_of(process)
                    self.assertLess(time.monotonic() - start, 10)
                    self.ends(result, code)
                    self.assertIsNone(result.line.get("task_id"))
                    self.paid_nothing(service, result)


if __name__ == "__main__":
    unittest.main()
