"""A request is paid for once: which attempt stands, and when the next one is paid for."""

import errno
import json
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path
from unittest import mock

from support import IMAGE_URL, REQUEST, RUN
from support.kills import DIES, FORKS
from support.service import after as later
from support.service import (
    created,
    fixture,
    raw,
    stall,
    status_of,
    succeeded,
    video,
    video_of,
)
from support.service_case import DAY, FILE, KEYS, POSIX, TASKS, GenerationCase, other, utc

from aliyun_emo import refusals, requests, tasks


class Attempts(GenerationCase):
    def record(self, folder, state, ago=0, status=None, link=None, video=False, request=REQUEST):
        """Write the folder of an attempt that was made before; return its task's id."""
        task_id = f"of-{folder}" if state == "made" else None
        answer = {"output": {"task_id": task_id, "task_status": "PENDING"}} if task_id else None
        record = {
            "saved_at": utc(time.time() - ago),
            "title": "portrait + speech",
            "state": state,
            "request": request,
            "sent": request,
            "http_status": 200 if task_id else None,
            "response": answer,
        }
        self.write(f"tasks/{folder}/task.json", record)
        if status:
            response = {"task_id": task_id, "task_status": status, "video_url": link}
            if video:
                response["video_path"] = "video.mp4"
                (TASKS / folder / "video.mp4").write_bytes(video_of(task_id))
            response = {name: value for name, value in response.items() if value}
            self.write(f"tasks/{folder}/response.json", response)
        return task_id

    def test_what_stands_decides_what_a_run_does(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        link = f"{service.root}/videos/of-{name}.mp4"
        old = DAY + 5
        done = {"state": "made", "status": "SUCCEEDED", "link": link}
        complete = {**done, "video": True}
        for what, before, words, code, posts in (
            # what, what stands, options, exit code, POSTs
            ("nothing", None, "", 0, 1),
            ("nothing", None, "--attempt 1", 0, 1),
            ("nothing", None, "--attempt 2", 2, 0),
            ("just sent", {"state": "sending"}, "", 4, 0),
            ("just sent", {"state": "sending", "ago": 110}, "--attempt 2", 2, 0),
            ("sent a while ago", {"state": "sending", "ago": 130}, "", 4, 0),
            ("sent a while ago", {"state": "sending", "ago": 130}, "--attempt 1", 4, 0),
            ("sent a while ago", {"state": "sending", "ago": 130}, "--attempt 2", 0, 1),
            ("sent long ago", {"state": "sending", "ago": old}, "", 4, 0),
            ("unclear", {"state": "unclear"}, "", 4, 0),
            ("unclear", {"state": "unclear"}, "--attempt 2", 0, 1),
            ("unclear, long ago", {"state": "unclear", "ago": 9 * old}, "", 4, 0),
            ("refused", {"state": "refused"}, "", 0, 1),
            ("refused", {"state": "refused"}, "--attempt 1", 0, 1),
            ("refused", {"state": "refused"}, "--attempt 2", 2, 0),
            ("made", {"state": "made"}, "", 0, 0),
            ("made", {"state": "made"}, "--attempt 1", 0, 0),
            ("made", {"state": "made"}, "--attempt 2", 2, 0),
            ("running", {"state": "made", "status": "RUNNING"}, "", 0, 0),
            ("running", {"state": "made", "status": "RUNNING"}, "--attempt 2", 2, 0),
            ("failed", {"state": "made", "status": "FAILED"}, "", 3, 0),
            ("failed", {"state": "made", "status": "FAILED"}, "--attempt 2", 0, 1),
            ("failed", {"state": "made", "status": "FAILED"}, "--attempt 3", 2, 0),
            ("cancelled", {"state": "made", "status": "CANCELED"}, "", 3, 0),
            ("cancelled", {"state": "made", "status": "CANCELED"}, "--attempt 2", 0, 1),
            ("gone", {"state": "made", "status": "UNKNOWN"}, "--attempt 2", 0, 1),
            ("failed, long ago", {"state": "made", "status": "FAILED", "ago": 9 * old}, "", 3, 0),
            ("succeeded", done, "", 0, 0),
            ("succeeded", done, "--no-download", 0, 0),
            ("succeeded", done, "--attempt 2", 0, 1),
            ("complete", complete, "", 0, 0),
            ("complete", complete, "--attempt 2", 0, 1),
            ("complete, long ago", {**complete, "ago": 9 * old}, "", 0, 0),
            ("complete, long ago", {**complete, "ago": 9 * old}, "--attempt 2", 0, 1),
            # What the clock says decides nothing about a task.
            ("not fetched in time", {**done, "ago": old}, "", 0, 0),
            ("not fetched in time", {**done, "ago": old}, "--no-download", 0, 0),
            ("not asked in time", {"state": "made", "ago": old}, "", 0, 0),
            ("not asked in time", {"state": "made", "ago": old}, "--attempt 2", 2, 0),
            ("hardly in time", {"state": "made", "ago": DAY - 60}, "", 0, 0),
            ("a word of tomorrow", {"state": "melted"}, "", 4, 0),
        ):
            with self.subTest(f"{what} {words}"):
                self.clear()
                service.seen.clear()
                service.tasks = {f"of-{name}": 0}
                if before:
                    self.record(name, **before)
                result = self.ends(self.go(*words.split()), code)
                self.assertEqual(len(service.posts), posts, result)
                if code == 2:
                    self.assertEqual(result.fields, ["attempt"])
                    self.assertEqual(len(self.folders()), 1 if before else 0)
                    continue
                self.assertEqual(result.line["already_submitted"], not posts)
                self.assertEqual(list(result.line)[-len(KEYS) - 1 :], [*KEYS, "warnings"])
                if code == 0 and words != "--no-download":
                    self.ends_with_video(result)
                hint = str(result.line.get("errors"))
                if code == 3 or (code == 4 and not words):
                    just_now = (
                        before["state"] in ("sending", "melted") and before.get("ago", 0) < 120
                    )
                    self.assertRegex(hint, "in 1[12][0-9] s" if just_now else "--attempt 2")
                if code == 3:
                    self.assertEqual(service.seen, [])
                attempts = self.folders()
                self.assertEqual(attempts, [name, f"{name}-2"][: len(attempts)])
                self.assertEqual(len(attempts), (1 if before else 0) + posts)

    def test_the_newest_that_was_not_refused_decides(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        for states, words, code, posts, decides in (
            (["failed", "refused"], "", 3, 0, 0),
            (["complete", "refused"], "", 0, 0, 0),
            (["complete", "failed"], "", 3, 0, 1),
            (["failed", "complete"], "", 0, 0, 1),
            (["failed", "complete", "refused"], "", 0, 0, 1),
            (["unclear", "complete"], "", 0, 0, 1),
            (["complete", "unclear"], "", 4, 0, 1),
            (["refused", "refused"], "", 0, 1, 2),
            (["complete", "refused"], "--attempt 2", 0, 1, 2),
            (["failed", "complete"], "--attempt 1", 3, 0, 0),
            (["complete"] * 10, "", 0, 0, 9),
            (["complete"] * 9 + ["failed"], "", 3, 0, 9),
            (["complete"] * 10, "--attempt 11", 0, 1, 10),
            (["complete"] * 10, "--attempt 5", 0, 0, 4),
        ):
            with self.subTest(f"{states} {words}"):
                self.clear()
                service.seen.clear()
                numbers = [name] + [f"{name}-{n}" for n in range(2, 12)]
                for folder, state in zip(numbers, states):
                    if state == "failed":
                        self.record(folder, "made", status="FAILED")
                    elif state == "complete":
                        self.record(folder, "made", status="SUCCEEDED", video=True)
                    else:
                        self.record(folder, state)
                result = self.ends(self.go(*words.split()), code)
                self.assertEqual(len(service.posts), posts)
                self.assertEqual(Path(result.line["task_path"]).parent.name, numbers[decides])

    def test_a_folder_without_a_readable_record_is_a_task_that_may_exist(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        for content in (None, "", "[]", "null", '{"saved_at": "2026', "[" * 10_000, "{}"):
            for hour in (0, 3600):
                with self.subTest(f"{str(content)[:9]} {hour}"):
                    self.clear()
                    service.seen.clear()
                    folder = TASKS / name
                    folder.mkdir(parents=True)
                    if content is not None:
                        (folder / "task.json").write_text(content)
                    past = time.time() - hour
                    os.utime(folder, (past, past))
                    result = self.ends(self.go(), 4, "service")
                    self.assertEqual(result.line["state"], "sending")
                    path = result.line["task_path"]
                    self.assertTrue(path is None or os.path.exists(path), path)
                    self.ends(self.go("--attempt", "2"), 0 if hour else 2)
                    self.assertEqual(len(service.posts), 1 if hour else 0)
                    if content is not None:
                        self.assertEqual((folder / "task.json").read_text(), content)

    def test_what_is_complete_is_told_from_disk_at_any_age(self):
        service = self.serve()
        first = self.go()
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        for days in (0, 1, 2, 400):
            for words in ([], ["--no-download"], ["--timeout", "0"], ["--no-wait"]):
                with self.subTest(f"{days} {words}"):
                    self.age(days * (DAY + 5))
                    result = self.ends(self.go(*words), 0)
                    again = {**first.line, "already_submitted": True, "estimate": None}
                    self.assertEqual(result.line, again)
                    self.assertEqual(result.stderr, "")
        self.assertEqual(service.seen, [])

    def test_why_a_task_failed_is_told_from_disk_too(self):
        failed = fixture("task-failed")["output"]
        said = {"code": failed["code"], "message": failed["message"]}
        service = self.serve(tasks=[status_of("FAILED", **said)])
        first = self.ends(self.go(), 3, "service")
        self.assertIn("InvalidURL: Failed to download the audio", str(first.line["errors"]))
        self.assertIn(refusals.REMEDIES["InvalidURL"], first.line["errors"][0]["hint"])
        self.assertIn("--attempt 2", first.line["errors"][0]["hint"])
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        for days in (0, 3):
            self.age(days * DAY)
            result = self.ends(self.go(), 3, "service")
            self.assertEqual(result.line["errors"], first.line["errors"])
        self.assertEqual(service.seen, [])

    def test_a_number_pays_once_however_often_it_is_run(self):
        service = self.serve()
        self.ends_with_video(self.go())
        second = "--attempt", "2"
        service.script["tasks"] = [status_of("RUNNING")]
        for _ in range(3):
            self.ends(self.go(*second, "--timeout", "0"), 5, "service")
        service.script["tasks"] = [status_of("RUNNING"), succeeded()]
        service.script["videos"] = [raw(403, b"")]
        self.ends(self.go(*second), 4, "service")
        self.ends(self.go(*second), 4, "service")
        service.script["videos"] = [video]
        path = self.ends_with_video(self.go(*second))["video_path"]
        self.assertEqual(len(service.posts), 2)
        self.assertEqual(self.ends_with_video(self.go(*second))["video_path"], path)
        self.ends(self.go("--attempt", "3", "--no-wait"), 0)
        self.ends_with_video(self.go())
        self.assertEqual(len(service.posts), 3)
        self.assertEqual(len(self.folders()), 3)
        self.assertEqual([self.kept(folder=f)["attempt"] for f in self.folders()], [1, 2, 3])
        self.assert_all_videos_are_their_own()

    def test_an_unclear_attempt_gives_way_to_the_next(self):
        service = self.serve(video_synthesis=[raw(500, b"")])
        for number in (1, 2, 3):
            for _ in range(2):
                result = self.go("--attempt", str(number))
                self.assertEqual((result.code, len(service.posts)), (4, number), result)
        self.assertEqual(self.states(), ["unclear"] * 3)

    def test_a_run_that_slept_between_claim_and_record_pays_for_nothing_twice(self):
        """It wakes up when another one has taken its place: what it said is looked at again."""
        service = self.serve()
        write = tasks.Task.write

        def asleep(task, **changes):
            if changes.get("state") == "sending" and not slept:
                slept.append(task.folder)
                self.clock.slept.append(200)
                past = time.time() - 200
                os.utime(task.folder, (past, past))
                # The first one, which stands before it, is refused only now.
                first = TASKS / requests.request_name(REQUEST, service.base_url)
                record = json.loads((first / "task.json").read_text())
                record["state"] = "refused"
                (first / "task.json").write_text(json.dumps(record))
                self.ends(self.go("--attempt", "2", "--no-wait"), 0)
            write(task, **changes)

        slept = []
        self.record(requests.request_name(REQUEST, service.base_url), "unclear", ago=300)
        with mock.patch.object(tasks.Task, "write", asleep):
            self.go("--attempt", "2", "--no-wait")
        said = [self.kept(folder=f) for f in self.folders()]
        numbers = [r["attempt"] for r in said if r["state"] != "refused" and r.get("attempt")]
        self.assertEqual((len(service.posts), numbers), (1, [2]), said)

    def test_who_sleeps_between_claim_and_record_is_counted_by_all_others(self):
        service = self.serve(tasks=[status_of("FAILED")])
        ran = []
        for name, first, words, age, others, numbers in (
            # name, whether there is an attempt that has ended, what the sleeper was asked for, for
            # how long it sleeps, what others are asked for meanwhile and their codes, the attempts
            ("the first", 0, "", 9, [("", 4), ("--attempt 1", 4), ("--attempt 2", 2)], [1]),
            ("the first, long", 0, "--attempt 1", 200, [("", 4), ("--attempt 1", 4)], [1]),
            ("the first, given up", 0, "", 200, [("--attempt 2", 3), ("", 3)], [1, 2]),
            ("the second", 1, "--attempt 2", 200, [("", 4), ("--attempt 2", 4)], [1, 2]),
            ("the second, young", 1, "--attempt 2", 9, [("--attempt 3", 2)], [1, 2]),
            ("the second, given up", 1, "--attempt 2", 200, [("--attempt 3", 3)], [1, 2, 3]),
            ("the second, beside the first", 1, "--attempt 2", 200, [("--attempt 1", 3)], [1, 2]),
        ):
            with self.subTest(name):
                self.clear()
                service.seen.clear()
                if first:
                    self.ends(self.go(), 3)
                write, ran[:] = tasks.Task.write, []

                def asleep(task, write=write, age=age, others=others, **changes):
                    if changes.get("state") == "sending" and not ran:
                        os.utime(task.folder, (time.time() - age,) * 2)
                        for options, code in others:
                            ran.append(options)
                            self.ends(self.go(*options.split()), code)
                    write(task, **changes)

                with mock.patch.object(tasks.Task, "write", asleep):
                    self.ends(self.go(*words.split()), 3)
                self.assertEqual(ran, [options for options, _ in others])
                said = [self.kept(folder=folder)["attempt"] for folder in self.folders()]
                self.assertEqual((sorted(said), len(service.posts)), (numbers, len(numbers)))
                for number in numbers:  # and each number stands for its own task ever after
                    line = self.ends(self.go("--attempt", str(number)), 3).line
                    record = json.loads(Path(line["task_path"]).read_text())
                    self.assertEqual(record["attempt"], number)
                self.assertEqual(len(service.posts), len(numbers))

    def test_a_link_that_has_expired_counts_only_when_there_is_something_to_send(self):
        service = self.serve()
        now = int(time.time())
        link = f"{IMAGE_URL}?Expires={now + 1000}&Signature=s3cret"
        self.write("request.json", other(image_url=link))
        first = self.ends(self.go("--no-wait"), 0)
        self.assertEqual([w["field"] for w in first.line["warnings"]], ["image_url"])
        self.clock.slept.append(2000)
        result = self.ends_with_video(self.go())
        self.assertEqual((result["already_submitted"], result["warnings"]), (True, []))
        result = self.ends(self.go("--attempt", "2"), 2, "image_url")
        self.assertNotIn("s3cret", str(result))
        self.assertEqual((len(service.posts), len(self.folders())), (1, 1))

    def test_a_trial_against_another_host_counts_for_itself(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        os.environ["DASHSCOPE_BASE_URL"] = service.base_url.replace("127.0.0.1", "localhost")
        self.ends(self.go("--no-wait"), 0)
        self.assertEqual((len(service.posts), len(self.folders())), (2, 2))
        hosts = ("dashscope.aliyuncs.com", "ws.cn-beijing.maas.aliyuncs.com")
        names = {requests.request_name(REQUEST, f"https://{host}/api/v1") for host in hosts}
        self.assertEqual(len(names), 1)
        names.add(requests.request_name(REQUEST, "https://aliyuncs.com.example.com/api/v1"))
        names.add(requests.request_name(REQUEST, "https://notaliyuncs.com/api/v1"))
        self.assertEqual(len(names), 3)

    def test_who_loses_the_claim_looks_again(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        mkdir = os.mkdir
        for words, before, faster, code, posts in (
            ([], None, ("made", name), 0, 0),
            ([], None, ("sending", name), 4, 0),
            ([], None, ("refused", name), 0, 1),
            (["--attempt", "2"], "FAILED", ("made", f"{name}-2"), 0, 0),
            (["--attempt", "2"], "FAILED", ("sending", f"{name}-2"), 4, 0),
        ):
            with self.subTest(f"{words} {faster}"):
                self.clear()
                service.seen.clear()
                service.tasks = {f"of-{name}": 0, f"of-{name}-2": 0}
                if before:
                    self.record(name, "made", status=before)
                folder = faster[1]

                waiting = [faster]

                def slower(path, *rest, waiting=waiting, name=folder):
                    if waiting and os.path.basename(path) == name:
                        state, folder = waiting.pop()
                        self.record(folder, state)
                    return mkdir(path, *rest)

                with mock.patch("os.mkdir", slower):
                    self.ends(self.go(*words), code)
                self.assertEqual(waiting, [])
                self.assertEqual(len(service.posts), posts)


class Together(GenerationCase):
    """Several processes at once, and kills between any two steps."""

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

    def test_several_at_once_with_a_number_send_one_each(self):
        service = self.serve(video_synthesis=[later(0.2, created)])
        for number in (1, 2):
            words = "--attempt", str(number), "--interval", "0.05"
            running = [self.start(FILE, *words) for _ in range(4)]
            ends = [self.end_of(process) for process in running]
            self.assertEqual(len(service.posts), number)
            self.assertLessEqual({result.code for result in ends}, {0, 4}, list(map(str, ends)))
            self.ends_with_video(self.go(*words))
        self.assert_all_videos_are_their_own()

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
        for words in ((), ("--attempt", "2", "--no-look")):
            service = self.serve(tasks=[succeeded()])
            kills, code = 0, -signal.SIGKILL
            words = ("--interval", "0.05", *words)
            forks = self.start(FILE, *words, code=FORKS + DIES, stdin=subprocess.PIPE)
            while code:
                kills += 1
                self.assertLess(kills, 100)
                self.clear()
                before = [self.first_attempt(service)] if "--attempt" in words else []
                service.seen.clear()
                forks.stdin.write(b"%d\n" % kills)
                forks.stdin.flush()
                code = int(forks.stdout.readline())
                self.quiet(service)
                with self.subTest(f"{words} {kills}"):
                    self.assertIn(code, (0, -signal.SIGKILL))
                    sent = len(service.posts)
                    new = [name for name in self.folders() if name not in before]
                    made = "made" in [
                        self.kept(folder=folder).get("state")
                        for folder in new
                        if (TASKS / folder / "task.json").exists()
                    ]
                    result = self.go(*words)
                    self.assertLessEqual(len(service.posts), 1)
                    if made or not new:
                        self.assertEqual(result.code, 0, result)
                    self.ends(result, result.code)
                    if result.code == 0:
                        place = Path(self.ends_with_video(result)["task_path"]).parent.name
                        self.assertNotIn(place, before)
                        continue
                    self.assertEqual((result.code, result.line["state"]), (4, "sending"))
                    self.assertEqual(len(service.posts), sent)
            self.assertGreater(kills, 8)

    def first_attempt(self, service):
        """Make the first attempt, which fails; return the name of its folder."""
        service.script["tasks"] = [status_of("FAILED")]
        self.ends(self.go(), 3)
        service.script["tasks"] = [succeeded()]
        (folder,) = self.folders()
        return folder

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
