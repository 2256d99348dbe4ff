"""Stories: the whole way, and long walks in one folder in which anything may happen.

A walk is a seed. EMO_WALKS=500 takes as many of them, and not two.
"""

import functools
import hashlib
import json
import os
import random
import time
import unittest
from pathlib import Path

from support import AUDIO_URL, IMAGE_URL, arguments
from support.kills import DIES
from support.service import (
    KEY,
    PORTRAIT,
    created,
    fails,
    mp3,
    policy,
    policy_with,
    raw,
    reset,
    says,
    status_of,
    store_fails,
    stored,
    video,
    video_of,
)
from support.service import after as later
from support.service_case import DAY, EVIDENCE, KEYS, POSIX, TASKS, ServiceCase

WALKS = int(os.environ.get("EMO_WALKS", "2"))
STEPS = 45
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN")


class Stories(ServiceCase):
    def test_the_four_commands_end_with_a_video(self):
        service = self.serve()
        for ratio in ("1:1", "3:4"):
            with self.subTest(ratio):
                detect = self.call("detect", "--image-url", IMAGE_URL, "--ratio", ratio)
                detection = self.ends(self.call_run(detect.line["request_path"]), 0)
                prepared = self.call(
                    *("--image-url", IMAGE_URL, "--audio-url", AUDIO_URL),
                    *("--detection", detection.line["detection_path"]),
                )
                self.assertEqual(prepared.line["ratio"], ratio)
                self.ends_with_video(self.call_run(prepared.line["request_path"]))
        self.assertEqual(len(service.posts), 4)

    def test_two_files_on_disk_become_a_video(self):
        service = self.serve()
        Path("portrait.png").write_bytes(PORTRAIT)
        Path("speech.mp3").write_bytes(mp3(9))
        detect = self.call("detect", "--image", "portrait.png")
        detection = self.ends(self.call_run(detect.line["request_path"]), 0)
        words = "--image", "portrait.png", "--audio", "speech.mp3"
        prepared = self.call(*words, "--detection", detection.line["detection_path"])
        line = self.ends_with_video(self.call_run(prepared.line["request_path"]))
        self.assertEqual(line["estimate"], prepared.line["estimate"])
        self.assertEqual((len(service.policies), len(service.uploads)), (3, 3))
        contents = [content for _, content in service.store.values()]
        self.assertEqual(contents, [PORTRAIT, PORTRAIT, mp3(9)])
        self.assertEqual(service.looks, [])

    def test_several_videos_of_one_portrait(self):
        service = self.serve()
        detect = self.call("detect", "--image-url", IMAGE_URL).line["request_path"]
        detection = self.call_run(detect).line["detection_path"]
        files = []
        for name in ("one", "two", "three"):
            words = arguments(
                face_bbox=None,
                ext_bbox=None,
                detection=detection,
                audio_url=AUDIO_URL.replace("speech", name),
                output=os.path.join("output", "aliyun-emo", f"{name}.json"),
            )
            files.append(self.call(*words).line["request_path"])
        for file in files:
            self.ends(self.call_run(file, "--no-wait"), 0)
        paths = [self.ends_with_video(self.call_run(file))["video_path"] for file in files]
        self.assertEqual((len(set(paths)), len(service.posts)), (3, 4))
        titles = {self.kept(folder=folder)["title"] for folder in self.folders()}
        self.assertEqual(len(titles), 3)

    def test_another_day_in_another_folder_nothing_is_paid_for_to_find_out(self):
        service = self.serve()
        file = str((EVIDENCE / "request.json").resolve())
        self.call(*arguments())
        self.ends(self.call_run(file, "--no-wait"), 0)
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        os.chdir(elsewhere)
        first = self.ends_with_video(self.call_run(file))
        self.clock.slept.append(3 * DAY)
        self.assertEqual(self.ends_with_video(self.call_run(file)), first)
        self.assertEqual(len(service.posts), 1)
        self.assertEqual(os.listdir(elsewhere), [])


class Walk(ServiceCase):
    """In one folder, in any order: prepare, run, faults, kills, other days, no key.

    Requests a and b have links, c has files on disk, of which the recording changes now and then.
    """

    def test_whatever_happens_nothing_is_paid_for_twice_lost_or_mixed_up(self):
        for seed in range(WALKS):
            with self.subTest(f"seed {seed}"):
                self.clear()
                self.walk(seed)

    def walk(self, seed):
        chance = random.Random(seed)
        self.chance, self.service, self.refusals = chance, self.serve(), 0
        self.checked = {}
        Path("portrait.png").write_bytes(PORTRAIT)
        self.change_a_file("c")
        for name in "abc":
            self.prepare(name)
        for number in range(STEPS):
            self.clock.slept.clear()
            step = chance.choices(
                (
                    *(self.prepare, self.run_one, self.run_with_a_fault, self.run_without_key),
                    *(self.kill_one, self.run_several, self.a_day_passes, self.change_a_file),
                ),
                (10, 40, 30, 8, 4, 2, 10, 5),
            )[0]
            before = self.look()
            told = step(chance.choice("abc")) or []
            with self.subTest(f"seed {seed}, step {number}: {step.__name__} {told}"):
                self.check(before, self.look(), told)

    # Steps: each returns what was run, the request, the words and the result, if anything was

    def file(self, name):
        return os.path.join("output", "aliyun-emo", f"{name}.json")

    def prepare(self, name):
        if name == "c":
            links = dict.fromkeys(("image_url", "audio_url"))
            words = arguments(**links, image="portrait.png", audio="c.mp3", output=self.file(name))
            self.assertEqual(self.call(*words).code, 0)
            return
        end = int(time.time()) + self.chance.randrange(2, 9) * DAY
        signature = f"OSSAccessKeyId=k&Expires={end}&Signature={self.chance.random()}"
        words = arguments(
            image_url=f"{IMAGE_URL}?{signature}",
            audio_url=AUDIO_URL.replace("speech", name),
            output=self.file(name),
        )
        self.assertEqual(self.call(*words).code, 0)

    def words(self):
        attempt = f"--attempt {self.chance.choice((1, 2, 2, 3))}"
        options = (attempt, "--no-wait", "--no-download", "--timeout 0")
        return " ".join(o for o in options if self.chance.random() < 0.35).split()

    def run_one(self, name):
        words = self.words()
        return [(name, words, self.call_run(self.file(name), *words))]

    def run_without_key(self, name):
        del os.environ["DASHSCOPE_API_KEY"]
        told = self.run_one(name)
        os.environ["DASHSCOPE_API_KEY"] = KEY
        return told

    def refuse(self, handler):
        self.refusals += 1
        fails("error-429", 429)(handler)

    def run_with_a_fault(self, name):
        faults = {
            "video-synthesis": (
                [fails("error-401", 401)],
                [raw(500, b"")],
                [raw(408, b"")],
                [reset],
                [raw(200, b"<html>")],
                [says({"output": {"task_id": 7}})],
                [self.refuse, created],
                [self.refuse],
            ),
            "tasks": (
                [status_of("FAILED", code="X")],
                [status_of("CANCELED")],
                [status_of("UNKNOWN")],
                [status_of("RUNNING")],
                [raw(500, b""), status_of("RUNNING")],
                [raw(401, b"{}")],
                [reset],
            ),
            "uploads": (
                [raw(500, b""), policy],
                [fails("error-401", 401)],
                [fails("error-429", 429)],
                [policy_with(signature=None)],
            ),
            "store": (
                [store_fails(403, "AccessDenied", "Policy expired."), stored],
                [store_fails(400, "InvalidArgument", "no")],
                [reset, stored],
                [reset],
            ),
            "videos": (
                [raw(403, b"")],
                [raw(200, b"<html>")],
                [raw(200, video_of("x")[:99], Content_Length="1000"), video],
                [raw(200, video_of("x")[:99], Content_Length="1000")],
            ),
        }
        script = self.service.script
        healthy = dict(script)
        for route in self.chance.sample(sorted(faults), self.chance.choice((1, 1, 2))):
            script[route] = list(self.chance.choice(faults[route]))
        behind = (raw(404, b""), raw(200, b"<html>"), raw(503, b""), reset)
        if self.chance.random() < 0.2:
            self.service.links[f"{name}.mp3"] = self.chance.choice(behind)
        words = [*self.words(), *(["--timeout", "60"] if self.chance.random() < 0.7 else [])]
        told = [(name, words, self.call_run(self.file(name), *words))]
        script.clear()
        script.update(healthy)
        self.service.links.clear()
        return told

    def kill_one(self, name):
        """Kill a run between two of its steps, or at any time."""
        if POSIX and self.chance.random() < 0.6:
            return self.run_at_once([(name, self.words(), self.chance.randrange(1, 25))])
        words = self.words()
        healthy = self.service.script["video-synthesis"]
        self.service.script["video-synthesis"] = [later(0.05, created)]
        process = self.start(self.file(name), "--interval", "0.05", *words)
        if self.chance.random() < 0.7:
            posts = len(self.service.posts)
            for _ in range(100):
                if len(self.service.posts) > posts or process.poll() is not None:
                    break
                time.sleep(0.01)
        time.sleep(self.chance.random() * 0.25)
        process.kill()
        result = self.end_of(process)
        self.quiet(self.service)
        self.service.script["video-synthesis"] = healthy
        return [(name, words, result)]

    def run_several(self, name):
        """Run up to four processes at once, of one request or more; some of them are killed."""
        runs = []
        for _ in range(self.chance.randrange(2, 5)):
            request = name if self.chance.random() < 0.7 else self.chance.choice("abc")
            dies = POSIX and self.chance.random() < 0.25
            runs.append((request, self.words(), self.chance.randrange(1, 25) if dies else 0))
        return self.run_at_once(runs)

    def run_at_once(self, runs):
        """Run processes: each is a request, words, and the step that it dies at, or 0."""
        healthy = self.service.script["video-synthesis"]
        self.service.script["video-synthesis"] = [later(0.05, created)]
        running = []
        for name, words, kill_at in runs:
            os.environ["KILL_AT"] = str(kill_at)
            words = [self.file(name), "--interval", "0.05", *words]
            running.append(self.start(*words, code=DIES if kill_at else ""))
        results = [self.end_of(process) for process in running]
        self.quiet(self.service)
        self.service.script["video-synthesis"] = healthy
        return [(name, words, result) for (name, words, _), result in zip(runs, results)]

    def a_day_passes(self, _):
        folders = [name for name in self.folders() if (TASKS / name / "task.json").exists()]
        if folders:
            self.age(25 * 3600, self.chance.choice(folders))

    def change_a_file(self, _):
        Path("c.mp3").write_bytes(mp3(self.chance.randrange(7, 10)))

    # What must hold after each

    def look(self):
        """Return what there is: attempts by folder, POSTs that may have made a task, temporaries.

        An attempt is its state, whether it stands in the way of another one, its request, and its
        number.
        """
        attempts = {}
        for name in self.folders():
            if name.startswith("."):
                continue
            path = TASKS / name / "task.json"
            record = json.loads(path.read_text()) if path.exists() else {"state": "sending"}
            response = TASKS / name / "response.json"
            status = json.loads(response.read_text())["task_status"] if response.exists() else ""
            waits = record["state"] == "sending" and time.time() - self.moment(record) < 110
            runs = record["state"] == "made" and status not in ENDED
            number = record.get("attempt")
            attempts[name] = (record["state"], runs or waits, name.partition("-")[0], number)
        taken = len(self.service.of("POST", "video-synthesis")) - self.refusals
        temporary = set(EVIDENCE.rglob(".*"))
        return attempts, taken, temporary

    def moment(self, record):
        import calendar

        if "saved_at" not in record:
            return time.time()
        return calendar.timegm(time.strptime(record["saved_at"][:19], "%Y-%m-%dT%H:%M:%S"))

    def check(self, before, after, told):
        attempts, taken, temporary = before
        attempts_now, taken_now, temporary_now = after
        killed = [result for _, _, result in told if result.code < 0]
        new = sorted(set(attempts_now) - set(attempts))
        self.assertLessEqual(set(attempts), set(attempts_now))
        self.assertLessEqual(len(new), len(told))
        never_left = len(new) - (taken_now - taken)
        self.assertIn(never_left, range(len(killed) + 1))
        for name in new:
            self.check_new(name, attempts, attempts_now, told)
        said = [entry[2:] for entry in attempts_now.values() if entry[0] != "refused" and entry[3]]
        self.assertEqual(len(said), len(set(said)), "an attempt was sent twice")
        if not killed:
            self.assertEqual(temporary_now - temporary, set())
        self.check_videos()
        self.check_uploads()
        self.assert_no_key()
        for _, words, result in told:
            if result.code >= 0:
                self.check_line(words, result)

    def check_new(self, name, attempts, attempts_now, told):
        """Check that the new folder `name` was asked for, and stands beside nothing unfinished.

        What ran before the step may have ended in it, and may then have been followed by another.
        """
        _, _, request, number = attempts_now[name]
        earlier = [entry for entry in attempts.values() if entry[2] == request]
        standing = [entry for entry in earlier if entry[0] != "refused"]
        wanted = [words[1] for _, words, _ in told if words[:1] == ["--attempt"]]
        if not wanted:
            self.assertEqual(standing, [], "sent twice")
        if number is None:  # its run was killed before it said so
            return
        self.assertIn(str(number), wanted if standing else ["1", *wanted], "not asked for")
        for other, (_, is_unfinished, of, attempt) in attempts_now.items():
            is_before = attempt < number if attempt else folder_number(other) < folder_number(name)
            if of == request and other != name and is_before:
                self.assertFalse(is_unfinished, f"sent beside {other}")

    def check_line(self, words, result):
        self.assertIn(result.code, (0, 2, 3, 4, 5), result)
        self.ends(result, result.code)
        line = result.line
        for key in ("task_path", "video_path", "response_path"):
            self.assertTrue(line.get(key) is None or os.path.exists(line[key]), result)
        if "state" in line:
            self.assertEqual([key for key in line if key in KEYS], KEYS)
        if result.code == 0:
            self.assertEqual(line["state"], "made")
            if not {"--no-wait", "--no-download"} & set(words):
                self.ends_with_video(result)

    def check_uploads(self):
        """Check that what was sent is what was prepared, and belongs to the model."""
        for path in TASKS.glob("*/task.json"):
            record = json.loads(path.read_text())
            for field, digest in (record["request"] or {}).get("files", {}).items():
                link = record["sent"]["input"][field]
                model, content = self.service.store[link.partition("://")[2]]
                self.assertEqual(hashlib.sha256(content).hexdigest(), digest)
                self.assertEqual(model, record["sent"]["model"])

    def check_videos(self):
        for path in TASKS.glob("*/video.mp4"):
            status = path.stat()
            mark = (status.st_mtime_ns, status.st_size)
            if self.checked.get(path) != mark:
                task_id = self.kept(folder=path.parent.name)["response"]["output"]["task_id"]
                self.assertEqual(path.read_bytes(), bytes_of(task_id))
                self.checked[path] = mark


def folder_number(name):
    return int(name.partition("-")[2] or 1)


@functools.lru_cache(None)
def bytes_of(task_id):
    return video_of(task_id)


if __name__ == "__main__":
    unittest.main()
