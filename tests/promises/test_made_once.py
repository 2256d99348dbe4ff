"""The same command is run until it ends with 0: one payment, one video, one detection.

EMO_KILLS=200 kills and interrupts `make` at as many random moments, and not at 6.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest
from pathlib import Path

from support import MAKE
from support.kills import DIES, FORKS
from support.service import (
    BOXES,
    created,
    detected,
    fixture,
    mp3,
    png,
    says,
    stored,
    succeeded,
)
from support.service import after as later
from support.service_case import EVIDENCE, POSIX
from support.upload_case import UploadCase, digest_of

KILLS = int(os.environ.get("EMO_KILLS", "6"))


@unittest.skipUnless(POSIX, "signals of POSIX")
class MadeOnce(UploadCase):
    WORDS = ("portrait.png", "speech.mp3", "--pay", "--interval", "0.05")

    def setUp(self):
        super().setUp()
        shutil.copy(self.image, "portrait.png")
        shutil.copy(self.audio, "speech.mp3")

    def afresh(self, service):
        shutil.rmtree(EVIDENCE, ignore_errors=True)
        service.seen.clear()
        self.clock.slept.clear()

    def counts(self, service):
        kinds = ("face-detect", "video-synthesis")
        return [len(service.of("POST", kind)) for kind in kinds]

    def ends_after(self, service, was_killed):
        """Run the same command until it ends with 0, and assert what was paid for."""
        detections, payments = self.counts(service)
        kept = list(EVIDENCE.glob("detections/*.json"))
        result = self.call_make(*self.WORDS)
        if result.code == 4:  # killed while it was sending
            self.assertTrue(was_killed)
            self.assertEqual(result.line["state"], "sending")
            self.assertEqual(self.counts(service)[1], payments)
        else:
            self.ends_with_video(result)
            self.assertEqual(self.counts(service)[1], 1)
        lost = 1 if was_killed and detections and not kept else 0
        self.assertEqual(self.counts(service)[0], 1 + lost)
        self.assertEqual(len(list(EVIDENCE.glob("detections/*.json"))), 1)
        self.assertLessEqual(len(self.folders()), 1)

    def test_a_kill_between_any_two_steps(self):
        service = self.serve(tasks=[succeeded()])
        pipes = {"code": FORKS + DIES, "stdin": subprocess.PIPE}
        forks = self.start(*self.WORDS, script=MAKE, **pipes)
        kills, code = 0, -signal.SIGKILL
        while code:
            kills += 1
            self.assertLess(kills, 200)
            self.afresh(service)
            forks.stdin.write(b"%d\n" % kills)
            forks.stdin.flush()
            code = int(forks.stdout.readline())
            self.quiet(service)
            with self.subTest(kills):
                self.assertIn(code, (0, -signal.SIGKILL))
                self.ends_after(service, was_killed=bool(code))
        self.assertGreater(kills, 20)

    def test_of_several_that_were_told_other_boxes_one_pays(self):
        all_ask, left = threading.Barrier(3), iter((302, 303, 304))

        def told_another_box(handler):
            answer = fixture("detection-pass")
            all_ask.wait(60)
            answer["output"].update(BOXES["1:1"], face_bbox=[next(left), 286, 610, 593])
            says(answer)(handler)

        service = self.serve(face_detect=[told_another_box])
        processes = [self.start(*self.WORDS, script=MAKE) for _ in range(3)]
        results = [self.end_of(process) for process in processes]
        self.assertLessEqual({result.code for result in results}, {0, 4})  # 4: one is at it
        task_id = self.ends_with_video(self.call_make(*self.WORDS))["task_id"]
        self.assertLessEqual({result.line["task_id"] for result in results}, {task_id, None})
        self.assertEqual(self.counts(service), [3, 1])

    def test_a_kill_or_an_interrupt_at_any_moment(self):
        chance = random.Random(KILLS)
        slow = {"face_detect": detected, "video_synthesis": created, "store": stored}
        service = self.serve(**{name: [later(0.05, answer)] for name, answer in slow.items()})
        for _ in range(KILLS):
            self.afresh(service)
            number = chance.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            process = self.start(*self.WORDS, script=MAKE)
            seen, count = len(service.seen), chance.randrange(12)
            for _ in range(200):
                if len(service.seen) - seen > count or process.poll() is not None:
                    break
                time.sleep(0.005)
            time.sleep(chance.random() * 0.1)
            process.send_signal(number)
            code = self.end_of(process).code
            self.quiet(service)
            with self.subTest(f"{number} {count} {code}"):
                if number != signal.SIGKILL:
                    self.assertIn(code, (0, 128 + number, -number))
                self.ends_after(service, was_killed=number == signal.SIGKILL)
        self.assertTrue(Path("portrait.png").exists())


class MadeWalk(UploadCase):
    """Ordinary steps in one folder, in any order: nothing is paid for that was not agreed to.

    Of two pictures and three recordings, in both ratios; a recording is changed now and then, and
    what was shown is run later. EMO_WALKS=200 takes as many walks, and not 3.
    """

    STEPS = 25

    def test_what_is_paid_is_what_was_shown_and_agreed_to(self):
        for seed in range(int(os.environ.get("EMO_WALKS", "3"))):
            shutil.rmtree(EVIDENCE, ignore_errors=True)
            self.clock.slept.clear()
            self.walk(seed)

    def walk(self, seed):
        chance = random.Random(seed)
        service, shown, agreed = self.serve(), {}, {}
        Path("a.png").write_bytes(png(900, 800))
        shutil.copy(self.image, "b.png")
        for name in "xyz":
            Path(f"{name}.mp3").write_bytes(mp3(chance.randrange(3, 9)))
        for number in range(self.STEPS):
            step = chance.choice(("make", "make", "make", "run", "all", "change", "again"))
            before = set(self.folders())
            with self.subTest(f"seed {seed}, step {number}: {step}"):
                if step == "change":
                    Path(f"{chance.choice('xyz')}.mp3").write_bytes(mp3(chance.randrange(3, 9)))
                elif step == "all":
                    self.ends(self.call_run("--all"), 0)
                elif step == "again" and self.folders():
                    name = chance.choice(self.folders())
                    self.ends_with_video(self.call_run("--task", name))
                elif step == "run" and shown:
                    path = chance.choice(sorted(shown))
                    result = self.call_run(path, *chance.choice(((), ("--no-wait",))))
                    self.assertIn(result.code, (0, 2), result)  # 2: a file was changed since
                    agreed[Path(path).stem] = shown[path]
                elif step == "make":
                    words = [f"{chance.choice('ab')}.png", f"{chance.choice('xyz')}.mp3"]
                    words += chance.choice(([], ["--style-level", "calm"], ["--ratio", "3:4"]))
                    says = chance.choice((None, "y\n", "n\n", ""))
                    pays = chance.random() < 0.3
                    words += ["--pay"] if pays else []
                    words += chance.choice(([], [], ["--no-wait"], ["-o", "out.mp4"]))
                    line = self.ends(self.call_make(*words, says=says), 0).line
                    name = Path(line["request_path"]).stem
                    content = {path: Path(path).read_bytes() for path in words[:2]}
                    shown[line["request_path"]] = content
                    if pays or says == "y\n":
                        agreed[name] = content
                        self.assertEqual(line["state"], "made")
                self.assertLessEqual(set(self.folders()) - before, set(agreed))
        self.ends(self.call_run("--all"), 0)
        self.assert_all_videos_are_their_own()
        self.assertEqual(len(service.of("POST", "video-synthesis")), len(self.folders()))
        for name in self.folders():
            record = self.kept(folder=name)
            self.assertTrue((EVIDENCE / "previews" / f"{name}.html").exists())
            digests = {digest_of(content) for content in agreed[name].values()}
            self.assertEqual(set(record["request"]["files"].values()), digests)
        kept = EVIDENCE / "detections"
        pictures = len(list(kept.iterdir())) if kept.exists() else 0
        self.assertEqual(len(service.of("POST", "face-detect")), pictures)


if __name__ == "__main__":
    unittest.main()
