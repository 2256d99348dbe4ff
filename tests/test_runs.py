"""The command line of run_emo_request.py; what tasks there are, one named, all gone on with."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, REQUEST, RUN, SCRIPT, arguments, emo
from support.service import KEY, created, fails, raw, status_of, succeeded, video_of
from support.service_case import DAY, EVIDENCE, FILE, KEYS, POSIX, TASKS, GenerationCase, other, utc
from support.upload_case import DETECT, UploadCase

DETECTION = {"input": {"image_url": IMAGE_URL}, "parameters": {"ratio": "1:1"}}


class Options(GenerationCase):
    def test_without_file_an_option_that_has_nothing_to_do_is_refused(self):
        service = self.serve()
        for words in (
            *("--dry-run", "--no-wait", "--again", "--no-download", "--interval 5", "--timeout 5"),
            *("--output x.json", "--attempt 2", "--no-look"),
        ):
            with self.subTest(words):
                field = words.split()[0][2:].replace("-", "_")
                (error,) = self.ends(self.call_run(*words.split()), 2, field).line["errors"]
                goes_with_all = field in ("no_download", "interval", "timeout")
                told = "Give FILE, --task or --all." if goes_with_all else "Give FILE."
                told = (
                    "Give FILE: output/aliyun-emo/requests/DIGITS.json"
                    if field == "attempt"
                    else told
                )
                self.assertEqual(error["hint"], told)
        for place in ("output", "~/x"):
            with mock.patch.dict(os.environ, OUTPUT_DIR=place):
                result = self.call_run("--no-wait", "--again")
            self.assertEqual(sorted(self.ends(result, 2).fields), ["again", "no_wait"])
        self.assertEqual(service.seen, [])

    def test_what_is_not_known_is_a_problem_with_a_guess(self):
        for words, hint in (
            (["--no-wiat"], "--no-wait"),
            (["--no_download"], "--no-download"),
            (["--atempt"], "--attempt"),
            (["--agian"], "The options are"),  # it is no more
            (["x", "y"], ""),
            (["--no"], "--no"),
            (["--file", "x"], "Give its value alone, without --file."),
            (["x", "y.json"], "Quote a name with spaces; run once for each file."),
            (["x", "hello.mp4"], "The place of the video is given as -o FILE, in quotes"),
            (["-t"], "The options are"),
            (["--no-wait=yes"], "--no-wait"),
        ):
            with self.subTest(words):
                result = self.ends(self.go(*words), 2)
                self.assertIn(hint, str(result.line["errors"]))
        self.assertEqual(self.folders(), [])

    def test_a_value_that_is_missing_is_a_problem_of_its_field(self):
        for option in ("interval", "timeout", "attempt"):
            for words in ([f"--{option}"], [f"--{option}="], [f"--{option}", "--no-wait"]):
                with self.subTest(words):
                    self.ends(self.go(*words), 2, option)
        self.ends(self.call_run("--task"), 2, "task")

    def test_no_message_shows_a_query_or_a_key(self):
        for word in (
            "https://example.com/a?Signature=s3cret",
            "--key=s3cret",
            "--x=https://a/?s3cret",
        ):
            for words in ([word], [FILE, word], [FILE, "--timeout", word], ["--timeout", word]):
                with self.subTest(words):
                    result = self.ends(self.call_run(*words), 2)
                    self.assertNotIn("s3cret", str(result))

    def test_help_and_version(self):
        for word in ("--help", "-h"):
            result = self.run_script(word, script=RUN)
            self.assertEqual((result.code, result.stderr), (0, ""))
            for text in (
                *("FILE", "--dry-run", "--no-wait", "--attempt N", "--task", "--interval"),
                *("--timeout", "--no-download", "--output", "example:", "exit codes:"),
            ):
                self.assertIn(text, result.stdout)
            self.assertNotIn("--again", result.stdout)
            for code in "0 1 2 3 4 5 130".split():
                self.assertIn(f"\n  {code}  ", result.stdout)
            self.assertIn("143", result.stdout)
        self.assertIn(emo.VERSION, self.call_run("--version").stdout)


class Attempts(GenerationCase):
    """--attempt N, and what --again is answered with."""

    def test_what_is_no_number_of_an_attempt_is_refused(self):
        service = self.serve()
        for word in [*"0 00 01 -1 +1 1.0 1e1 x ２ ² 1000000".split(), "", "1 2"]:
            with self.subTest(word):
                self.ends(self.go("--attempt", word), 2, "attempt")
                self.ends(self.go(f"--attempt={word}", "--dry-run"), 2, "attempt")
        self.assertEqual((service.seen, service.looks, self.folders()), ([], [], []))
        self.ends_with_video(self.go("--attempt", " 1 "))

    def test_a_detection_has_none(self):
        service = self.serve()
        path = self.write("detect_request.json", DETECTION)
        for words in (["--attempt", "1"], ["--attempt", "2"], ["--attempt", "2", "--dry-run"]):
            with self.subTest(words):
                self.ends(self.call_run(path, *words), 2, "attempt")
        self.assertEqual(service.seen, [])

    def test_one_that_comes_too_early_is_refused_in_a_dry_run_too(self):
        service = self.serve()
        for words in ([], ["--dry-run"]):
            with self.subTest(words):
                result = self.ends(self.go("--attempt", "2", *words), 2, "attempt")
                self.assertIn("Leave --attempt out", result.line["errors"][0]["hint"])
        self.ends(self.go("--no-wait"), 0)
        for number, hint in (("2", "--attempt 1"), ("3", "--attempt 2"), ("9", "--attempt 2")):
            for words in ([], ["--dry-run"]):
                with self.subTest(number, words=words):
                    result = self.ends(self.go("--attempt", number, *words), 2, "attempt")
                    self.assertIn(hint, result.line["errors"][0]["hint"])
        self.assertEqual(len(service.posts), 1)

    def told(self, result):
        """Return the words of the command that --again was answered with, from the program on."""
        self.ends(result, 2)
        (hint,) = [e["hint"] for e in result.line["errors"] if e["field"] == "again"]
        self.assertTrue(hint.startswith("Run: "), hint)
        words = shlex.split(hint[len("Run: ") :])
        names = [Path(word).name for word in words]
        return words[names.index(RUN.name) if RUN.name in names else 0 :]

    @unittest.skipUnless(POSIX, "the shell of POSIX")
    def test_again_is_answered_with_the_command_that_has_the_next_number(self):
        service = self.serve()
        words = self.told(self.go("--again", "--interval", "2", "--no-look"))
        self.assertTrue(os.path.samefile(words[0], RUN))
        self.assertEqual(words[1:], [FILE, "--no-look", "--interval", "2", "--attempt", "1"])
        self.assertEqual((service.seen, service.looks, self.folders()), ([], [], []))
        for number in ("1", "2", "3"):
            with self.subTest(number):
                words = self.told(self.go("--again"))
                self.assertEqual(words[1:], [FILE, "--attempt", number])
                line = self.ends_with_video(self.call_run(*words[1:]))
                self.assertIs(line["already_submitted"], False)
        self.assertEqual(len(service.posts), 3)
        service.script["video-synthesis"] = [fails("error-401", 401)]
        self.ends(self.go("--attempt", "4"), 3, "service")
        self.assertEqual(self.told(self.go("--again"))[1:], [FILE, "--attempt", "4"])
        service.script["video-synthesis"] = [raw(500, b"")]
        self.ends(self.go("--attempt", "4"), 4, "service")
        self.assertEqual(self.told(self.go("--again"))[1:], [FILE, "--attempt", "5"])

    @unittest.skipUnless(POSIX, "the shell of POSIX")
    def test_again_is_told_beside_what_else_is_wrong(self):
        self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        self.write("request.json", other(style_level="loud"))
        result = self.go("--again", "--timeout", "x")
        self.assertEqual(
            sorted(self.ends(result, 2).fields), ["again", "api_key", "style_level", "timeout"]
        )
        self.assertEqual(self.told(result)[-2:], ["--attempt", "N"])
        os.environ["OUTPUT_DIR"] = "my files"
        result = self.call_run("nowhere/it's one.json", "--again")
        self.assertEqual(sorted(result.fields), ["again", "api_key", "file"])
        self.assertEqual(self.told(result)[1:], ["nowhere/it's one.json", "--attempt", "N"])

    def test_a_place_of_the_video_is_told_beside_what_else_is_wrong(self):
        self.serve()
        self.write("request.json", other(style_level="loud"))
        result = self.ends(self.go("-o", "a.json"), 2)
        self.assertEqual(sorted(result.fields), ["output", "style_level"])

    def test_so_it_is_where_the_folder_of_evidence_is_this_one(self):
        service = self.serve()
        os.chdir(EVIDENCE)
        for place in ("request.json", "~/x.mp4", "folder/", "a.json"):
            with self.subTest(place):
                self.assertIn(self.call_run("request.json", "-o", place).code, (1, 2))
        self.assertEqual(service.posts, [])

    @unittest.skipUnless(POSIX, "the shell of POSIX")
    def test_the_command_that_again_names_asks_for_the_same(self):
        self.serve()
        for words in (["--dry-run"], ["--no-wait"], ["--no-download"]):
            with self.subTest(words):
                told = self.told(self.go(*words, "--again"))
                self.assertEqual(told[1:], [FILE, *words, "--attempt", "1"])
        with self.subTest("pasted into a shell"):
            words = ("--interval", "0.05", "--no-download")
            (error,) = self.ends(self.go("--again", *words), 2, "again").line["errors"]
            command = ["/bin/sh", "-c", error["hint"].partition(": ")[2]]
            done = subprocess.run(command, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done)
            shutil.rmtree(TASKS)
        with self.subTest("a number beside it"):
            told = self.told(self.go("--again", "--attempt", "2"))
            self.assertEqual(told.count("--attempt"), 1, told)
        with self.subTest("stdin"):
            given = json.dumps(REQUEST).encode()
            told = self.told(self.run_script("-", "--again", script=RUN, input=given))
            self.assertEqual((Path(told[0]).name, told[1:]), (RUN.name, ["-", "--attempt", "1"]))
        with self.subTest("a detection"):
            path = self.write("detect_request.json", DETECTION)
            result = self.ends(self.call_run(path, "--again"), 2, "again")
            self.assertNotIn("--attempt", result.line["errors"][0]["hint"])

    def test_the_next_command_after_a_dry_run_is_the_same_without_it(self):
        self.serve()
        result = self.go("--attempt", "1", "--interval", "2", "--dry-run", terminal=True)
        self.assertTrue(result.stderr.rstrip().endswith(f"{FILE} --attempt 1 --interval 2"), result)


class Tasks(GenerationCase):
    """--task ID"""

    def test_options_that_have_nothing_to_do_with_it_are_refused(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        (task_id,) = service.tasks
        service.seen.clear()
        for words in (
            *("--dry-run", "--no-wait", "--no-look", "--again", "--attempt 1", "--attempt 2"),
            *("request.json", "--all"),
        ):
            with self.subTest(words):
                name = words.split()[0]
                field = name[2:].replace("-", "_") if name.startswith("--") else "file"
                result = self.ends(self.call_run("--task", task_id, *words.split()), 2)
                self.assertEqual(result.fields, [field])
        result = self.ends(self.go("--task", task_id, "--attempt", "2", "--again"), 2)
        self.assertEqual(sorted(result.fields), ["again", "attempt", "file"])
        self.assertEqual(service.seen, [])

    def test_a_task_of_this_folder_is_gone_on_with(self):
        service = self.serve()
        self.write("b.json", other(style_level="calm"))
        first = self.ends(self.go("--no-wait"), 0).line
        self.go("--no-wait", file=os.path.join("output", "aliyun-emo", "b.json"))
        result = self.ends_with_video(self.call_run("--task", first["task_id"]))
        self.assertEqual(result["task_path"], first["task_path"])
        self.assertEqual((len(service.posts), len(self.folders())), (2, 2))
        del os.environ["DASHSCOPE_API_KEY"]
        self.assertEqual(self.ends_with_video(self.go()), result)

    def test_a_task_that_was_made_elsewhere_gets_a_folder_of_its_own(self):
        service = self.serve()
        task_id = "0385dc79-5ff8-4d82-bcb6-7fc4b1d0e1a2"
        service.tasks[task_id] = 0
        line = self.ends_with_video(self.call_run("--task", task_id))
        self.assertEqual(self.folders(), [f"id-{task_id}"])
        self.assertEqual(list(line), ["ok", *KEYS, "warnings"])
        self.assertEqual((line["state"], service.posts), ("made", []))
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        self.assertEqual(self.ends_with_video(self.call_run("--task", task_id)), line | {})
        self.assertEqual(service.seen, [])
        (row,) = self.ends(self.call_run(), 0).line["tasks"]
        self.assertEqual((row["task_id"], row["video_path"]), (task_id, line["video_path"]))
        self.age(3 * DAY)
        self.ends_with_video(self.call_run("--task", task_id))

    def test_an_id_is_made_safe_and_no_two_share_a_folder(self):
        service = self.serve()
        ids = [
            *("Abc", "abc", "ABC", "..x", "a?c#d", "-", ".-.", "a.b", "a_b", "con", "nul"),
            *("x" * 3000, "X" * 3000, "a%2Fb", "a:b", "id-abc", "\\\\host\\c$"),
        ]
        for task_id in ids:
            service.tasks[task_id] = 0
            line = self.ends(self.call_run("--task", task_id, "--no-download"), 0).line
            self.assertEqual(line["task_id"], task_id)
            self.assertEqual(Path(line["task_path"]).parent.parent, TASKS)
        folders = [name.lower() for name in self.folders()]
        self.assertEqual(len(set(folders)), len(ids))
        for name in folders:
            self.assertRegex(name, r"^id-[a-z0-9.-]{1,200}$")
        for handler in service.polls:
            self.assertEqual(handler.path.count("/"), 4, handler.path)
        service.seen.clear()
        for task_id in (
            *(
                "",
                " ",
                "*",
                "a b",
                "a\nb",
                "é",
                "\x1b",
                ".",
                "..",
                "/",
                "a/b",
                "../../../x",
                "x/..",
            ),
            *("https://example.com/x", "/api/v1/tasks/x"),
        ):
            with self.subTest(task_id):
                self.ends(self.call_run("--task", task_id), 2, "task")
        self.assertEqual(service.seen, [])

    def test_a_task_that_is_not_known_is_exit_3(self):
        self.serve()
        result = self.ends(self.call_run("--task", "of-another-account"), 3, "service")
        self.assertEqual(list(result.line), ["ok", "errors", *KEYS, "warnings"])

    def test_its_key_is_needed_only_where_there_is_something_to_ask(self):
        service = self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--task", "of-another-account"), 2, "api_key")
        self.assertEqual((service.seen, self.folders()), ([], []))


class Outputs(UploadCase):
    """--output FILE of a detection."""

    def test_an_answer_replaces_nothing_that_was_given(self):
        service = self.serve()
        for path in (str(self.image), DETECT):
            with self.subTest(path):
                before = Path(path).read_bytes()
                self.ends(self.call_run(DETECT, "--output", path), 2, "output")
                self.assertEqual(Path(path).read_bytes(), before)
        self.saw(service)


class DryRun(GenerationCase):
    def test_it_says_what_would_be_sent_and_leaves_nothing(self):
        service = self.serve()
        before = self.files()
        line = self.ends(self.go("--dry-run"), 0).line
        self.assertIs(line["would_send"], True)
        self.assertEqual(line["request"], REQUEST)
        self.assertEqual((self.files(), service.seen), (before, []))
        self.assertFalse(TASKS.exists())

    def test_it_checks_what_a_run_checks(self):
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.go("--dry-run"), 2, "api_key")
        os.environ["DASHSCOPE_API_KEY"] = KEY
        past = int(time.time()) - 60
        link = f"{IMAGE_URL}?Expires={past}&Signature=s&OSSAccessKeyId=k"
        self.write("request.json", other(image_url=link))
        self.ends(self.go("--dry-run"), 2, "image_url")

    def test_it_ends_as_the_run_would_with_the_known_task_beside_it(self):
        service = self.serve()
        self.go("--no-wait")
        (folder,) = self.folders()
        (task_id,) = service.tasks
        link = f"{service.root}/videos/{task_id}.mp4"
        for status, state, ago, words, code, would_send in (
            (None, "made", 0, "", 0, False),
            ("RUNNING", "made", 0, "--attempt 1", 0, False),
            ("SUCCEEDED", "made", 0, "", 0, False),
            ("FAILED", "made", 0, "", 3, False),
            ("FAILED", "made", 0, "--attempt 1", 3, False),
            ("FAILED", "made", 0, "--attempt 2", 0, True),
            ("SUCCEEDED", "made", 0, "--attempt 2", 0, True),
            ("UNKNOWN", "made", 0, "--attempt 2", 0, True),
            ("RUNNING", "made", DAY + 5, "", 0, False),
            (None, "unclear", 0, "", 4, False),
            (None, "unclear", 0, "--attempt 1", 4, False),
            (None, "unclear", 0, "--attempt 2", 0, True),
            (None, "sending", 0, "", 4, False),
            (None, "sending", 130, "--attempt 2", 0, True),
            (None, "refused", 0, "", 0, True),
        ):
            with self.subTest(f"{status} {state} {words}"):
                record = {**self.kept(folder=folder), "state": state}
                record["saved_at"] = utc(time.time() - ago)
                if state != "made":
                    record["response"] = None
                self.write(f"tasks/{folder}/task.json", record)
                (TASKS / folder / "response.json").unlink(missing_ok=True)
                if status:
                    answer = {"task_id": task_id, "task_status": status, "video_url": link}
                    self.write(f"tasks/{folder}/response.json", answer)
                service.seen.clear()
                before = {name: Path(name).read_bytes() for name in self.files()}
                line = self.ends(self.go("--dry-run", *words.split()), code).line
                self.assertIs(line["would_send"], would_send)
                self.assertEqual(list(filter(KEYS.__contains__, line)), KEYS)
                if not would_send:
                    self.assertEqual(line["state"], state)
                    self.assertEqual(Path(line["task_path"]).parent.name, folder)
                after = {name: Path(name).read_bytes() for name in self.files()}
                self.assertEqual((after, service.seen), (before, []))
                record["response"] = {"output": {"task_id": task_id}}
                self.write(f"tasks/{folder}/task.json", record)

    def test_a_task_that_still_runs_needs_the_key(self):
        self.serve()
        self.go("--no-wait")
        del os.environ["DASHSCOPE_API_KEY"]
        for words in ([], ["--dry-run"]):
            line = self.ends(self.go(*words), 2, "api_key").line
            self.assertEqual([key for key in line if key in KEYS], KEYS)
            self.assertEqual(line["state"], "made")


class Listing(GenerationCase):
    def test_a_folder_that_may_not_be_read_is_no_empty_one(self):
        denied = mock.patch("os.scandir", side_effect=PermissionError(13, "Permission denied", "x"))
        for words in ((), ("--all",)):
            with denied:
                (error,) = self.ends(self.call_run(*words), 1, "output").line["errors"]
            self.assertIn("Permission denied", error["message"])
        TASKS.mkdir(parents=True)
        (TASKS / "0123456789ab").mkdir()
        inside = PermissionError(13, "Permission denied", str(TASKS / "0123456789ab" / "task.json"))
        with mock.patch("aliyun_emo.tasks.read_evidence", side_effect=inside):
            for words in ((), ("--task", "0123456789ab")):
                (error,) = self.ends(self.call_run(*words), 1, "output").line["errors"]
                self.assertIn("task.json' cannot be written: Permission", error["message"])
        denied = PermissionError(13, "Permission denied", str(TASKS))
        with mock.patch("os.scandir", side_effect=denied):
            (error,) = self.ends(self.call_run(), 1, "output").line["errors"]
        self.assertIn("In another OUTPUT_DIR nothing paid here counts.", error["hint"])

    def test_what_there_is_is_told_newest_first_from_disk_alone(self):
        line = self.ends(self.call_run(), 0).line
        self.assertEqual((line["ok"], line["tasks"]), (True, []))
        self.assertIn(": no video was paid for, or tasks is gone", line["warnings"][0]["message"])
        with mock.patch.dict(os.environ, OUTPUT_DIR="elsewhere"):
            line = self.ends(self.call_run(), 0).line
        self.assertIn(": is this the folder?", line["warnings"][0]["message"])
        service = self.serve()
        links = {"image_url": f"{IMAGE_URL}?Signature=s3cret", "audio_url": f"{AUDIO_URL}?t=s3cret"}
        self.write("request.json", other(**links))
        video_path = self.ends_with_video(self.go())["video_path"]
        (first,) = self.folders()
        self.age(3600)
        self.write("b.json", other(style_level="calm"))
        service.script["video-synthesis"] = [fails("error-401", 401)]
        self.go(file=os.path.join("output", "aliyun-emo", "b.json"))
        (second,) = set(self.folders()) - {first}
        junk = TASKS / "000000000000"
        junk.mkdir()
        past = time.time() - DAY
        os.utime(junk, (past, past))
        (TASKS / "notes.txt").write_text("mine")
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["DASHSCOPE_BASE_URL"] = "nonsense"
        result = self.ends(self.call_run(), 0)
        self.assertNotIn("s3cret", str(result))
        self.assertEqual(service.seen, [])
        rows = result.line["tasks"]
        keys = [
            *("task_path", "task_id", "task_status", "state", "saved_at"),
            *("image_url", "audio_url", "video_path"),
        ]
        for row in rows:
            self.assertEqual(list(row), keys)
        self.assertEqual([Path(row["task_path"]).parent.name for row in rows[:2]], [second, first])
        self.assertEqual([row["state"] for row in rows], ["refused", "made", "sending"])
        self.assertEqual([row["task_status"] for row in rows], [None, "SUCCEEDED", None])
        self.assertEqual([row["video_path"] for row in rows], [None, video_path, None])
        self.assertEqual((rows[1]["image_url"], rows[1]["audio_url"]), (IMAGE_URL, AUDIO_URL))
        self.assertEqual(rows[1]["saved_at"], self.kept(folder=first)["saved_at"])

    def test_what_cannot_be_read_does_not_hide_the_rest(self):
        self.serve()
        self.go()
        for number, content in enumerate(
            ("", "{", "[]", '{"state": 7, "request": [], "response": 3}', '{"saved_at": 7}')
        ):
            folder = TASKS / f"{number:012x}"
            folder.mkdir()
            (folder / "task.json").write_text(content)
            (folder / "response.json").write_text(content)
        (TASKS / "aaaaaaaaaaaa/task.json").mkdir(parents=True)
        line = self.ends(self.call_run(), 0).line
        self.assertEqual(len(line["tasks"]), 7)

    def test_output_dir_says_where_to_look(self):
        self.serve()
        os.environ["OUTPUT_DIR"] = "evidence"
        (self.folder / "loose.json").write_text(json.dumps(REQUEST))
        path = self.ends(self.go(file="loose.json"), 0).line["task_path"]
        self.assertEqual([t["task_path"] for t in self.call_run().line["tasks"]], [path])
        del os.environ["OUTPUT_DIR"]
        self.assertEqual(self.call_run().line["tasks"], [])


class Terminals(GenerationCase):
    def next_command(self, result):
        self.ends(result, 0)
        lines = [line for line in result.stderr.splitlines() if line.startswith("next: ")]
        self.assertEqual(len(lines), 1, result)
        self.assertIn(result.stderr.splitlines()[-1][:6], ("next: ", "then: "))
        self.assertGreater(len(result.stderr.splitlines()), 1)
        return shlex.split(lines[0][6:])

    @unittest.skipUnless(os.name == "posix", "the shell of POSIX")
    def test_success_is_told_in_a_line_and_so_is_the_command_that_comes_next(self):
        self.serve()
        os.environ["OUTPUT_DIR"] = "my files"
        words = self.next_command(self.call("detect", "--image-url", IMAGE_URL, terminal=True))
        self.assertEqual(
            [Path(word).name for word in words[-2:]], [RUN.name, "detect_request.json"]
        )
        done = subprocess.run(words, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done)
        prepared = self.call(*arguments(), terminal=True)
        words = self.next_command(prepared)
        self.assertEqual(Path(words[-2]).name, "preview_emo_request.py")
        self.assertIn("CNY 0.08 a second", prepared.stderr)
        last = prepared.stderr.splitlines()[-1]
        self.assertRegex(last, "^then: .*run_emo_request.py .*request.json")
        path = words[-1]
        words = self.next_command(self.go("--no-wait", file=path, terminal=True))
        self.assertEqual([Path(word).name for word in words[-2:]], [RUN.name, "request.json"])
        result = self.ends(self.go(file=path, terminal=True), 0)
        self.assertIn("video.mp4", result.stderr.splitlines()[-1])
        self.assertNotIn("next:", result.stderr)
        result = self.ends(self.call_run(terminal=True), 0)
        self.assertEqual(len(result.stderr.splitlines()), 2)

    def test_after_a_detection_the_command_that_comes_next_prepares(self):
        self.serve()
        path = self.write("detect_request.json", DETECTION)
        words = self.next_command(self.go(file=path, terminal=True))
        self.assertIn(SCRIPT.name, [Path(word).name for word in words])
        self.assertIn("--detection", words)

    def test_elsewhere_stderr_has_on_success_what_is_paid_for_and_the_progress_only(self):
        self.serve()
        path = self.write("detect_request.json", DETECTION)
        self.assertEqual(self.go(file=path).stderr, "")
        self.assertEqual(self.call(*arguments()).stderr, "")
        stderr = self.go().stderr
        self.assertEqual(stderr.splitlines()[0], "looking at the links")
        self.assertEqual(
            stderr.splitlines()[2:], ["PENDING", "RUNNING", "SUCCEEDED", "downloading"]
        )
        self.assertEqual((self.go().stderr, self.call_run().stderr), ("", ""))


class Trouble(GenerationCase):
    def test_a_fault_that_nobody_foresaw_is_told_in_the_same_form(self):
        self.serve()

        class Unforeseen(Exception):
            pass

        for target in ("tasks.claim", "follow.download", "runs.run_file"):
            with self.subTest(target):
                self.clear()
                with mock.patch(f"aliyun_emo.{target}", side_effect=Unforeseen(KEY)):
                    result = self.ends(self.go(), 1, "internal")
                self.assertIn("Unforeseen", result.line["errors"][0]["message"])
        with mock.patch("json.loads", side_effect=Unforeseen(KEY)):
            result = self.go()
        self.assertEqual(result.code, 1)
        self.assertNotIn("Traceback", result.stderr)
        self.assertNotIn(KEY, result.stdout + result.stderr)
        self.assertEqual(result.fields, ["internal"])

    def test_copied_alone_it_says_so_in_one_line(self):
        alone = self.folder / "alone"
        alone.mkdir()
        copy = shutil.copy(RUN, alone)
        beside = self.folder / "beside"
        beside.mkdir()
        shutil.copy(RUN, beside)
        (beside / SCRIPT.name).write_text("VERSION = '0.1'\n")
        without = self.folder / "without the package"
        without.mkdir()
        for program in (RUN, SCRIPT):
            shutil.copy(program, without)
        for script, python in (
            (copy, []),
            (copy, ["-I"]),
            (copy, ["-I", "-S"]),
            (RUN, ["-I"]),
            (beside / RUN.name, []),
            (without / RUN.name, []),
        ):
            for words in ([], [FILE], ["--help"], ["--task", "x"]):
                with self.subTest(f"{script} {python} {words}"):
                    result = self.run_script(*words, script=script, python=python)
                    self.assertEqual(result.code, 2, result)
                    self.assertIs(result.line["ok"], False)
                    (error,) = result.line["errors"]
                    self.assertEqual(list(error), ["field", "message", "hint"])
                    self.assertIn(SCRIPT.name, error["message"] + error["hint"])
                    self.assertIn("aliyun_emo", error["message"] + error["hint"])
                    self.assertEqual(len(result.stderr.splitlines()), 1, result)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_without_room_on_stdout_it_ends_with_1_and_the_id_on_disk(self):
        service = self.serve()
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, str(RUN), FILE, "--no-wait"],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=60,
            )
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"stdout cannot be written", done.stderr)
        self.assertNotIn(b"Traceback", done.stderr)
        self.assertEqual(self.kept()["response"]["output"]["task_id"], next(iter(service.tasks)))

    @unittest.skipUnless(os.name == "posix", "needs sh")
    def test_closed_streams_end_in_no_traceback(self):
        self.serve()
        for redirection, lines in (("2>&-", 1), (">&-", 0), ("<&-", 1), ("2>&- <&-", 1)):
            with self.subTest(redirection):
                self.clear()
                command = f'"{sys.executable}" "{RUN}" "{FILE}" --interval 0.05 {redirection}'
                done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60)
                self.assertNotIn(b"Traceback", done.stdout + done.stderr)
                self.assertEqual(len(done.stdout.splitlines()), lines, done)
                self.assertEqual(self.states(), ["made"])

    @unittest.skipUnless(os.name == "posix", "needs a pseudo-terminal")
    def test_a_terminal_is_not_asked_for_the_request(self):
        master, slave = os.openpty()
        try:
            result = self.run_script("-", script=RUN, stdin=slave)
        finally:
            os.close(master)
            os.close(slave)
        self.ends(result, 2, "file")
        self.assertIn("terminal", result.line["errors"][0]["message"])

    def test_a_word_of_the_service_moves_no_cursor(self):
        self.serve(tasks=[status_of("RUN\x1b[2J"), succeeded()])
        result = self.ends(self.go(terminal=True), 0)
        self.assertNotIn("\x1b", result.stderr)


class ListingCase(GenerationCase):
    def send(self, *levels, script=None):
        """Send a request for each of the style `levels`; return their folders' names."""
        names = []
        for level in levels:
            path = self.write(f"{level}.json", other(style_level=level))
            line = self.ends(self.go("--no-wait", file=path), 0).line
            names.append(Path(line["task_path"]).parent.name)
        return names


class People(ListingCase):
    def lines(self):
        result = self.ends(self.call_run(terminal=True), 0)
        return result.stderr.splitlines()

    def test_each_task_has_a_line_after_the_one_of_json(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        head, line, after = self.lines()
        self.assertIn(str(self.folder / EVIDENCE), head)
        for words in (name, "portrait.png, speech.mp3", "PENDING", "23 h left"):
            self.assertIn(words, line)
        self.assertRegex(after, "^next: .*run_emo_request.py --all$")
        self.age(DAY + 3600)
        self.assertIn("25 h old: it may be forgotten", self.lines()[1])

    def test_time_is_rounded_down_and_of_a_task_made_elsewhere_it_is_how_long_it_is_known(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        for age, words in ((3500, "23 h left"), (3700, "22 h left"), (DAY - 50, "0 min left")):
            self.age(age, name)
            self.assertIn(words, self.lines()[1])
        self.clear()
        self.ends(self.call_run("--task", "made-elsewhere", "--timeout", "0"), 5)
        self.assertIn("RUNNING; known for 0 min", self.lines()[1])

    def test_why_a_task_failed_is_named(self):
        output = {"code": "InvalidFile.FullFace", "message": "the face is covered"}
        self.serve(tasks=[status_of("FAILED", **output)])
        self.ends(self.go(), 3)
        self.assertRegex(
            self.lines()[1], "; FAILED; InvalidFile.FullFace; --task [0-9a-f]{12} says more; "
        )

    def test_the_style_is_named(self):
        self.serve()
        self.send("calm")
        self.assertIn("portrait.png, speech.mp3; calm; PENDING; ", self.lines()[1])

    def test_after_an_error_the_list_is_told_as_well(self):
        self.serve(tasks=[status_of("FAILED", code="InternalError", message="x")])
        (name,) = self.send("calm")
        result = self.ends(self.call_run("--all", terminal=True), 3)
        self.assertIn(f"\n  {name}; portrait.png, speech.mp3; calm; FAILED;", result.stderr)

    def test_a_video_that_is_here_is_named_and_nothing_comes_next(self):
        self.serve()
        self.ends_with_video(self.go())
        _, line = self.lines()
        self.assertIn("SUCCEEDED", line)
        self.assertIn(os.path.join("tasks", self.folders()[0], "video.mp4"), line)

    def test_no_link_is_told_with_its_query(self):
        self.serve()
        links = {"image_url": "https://example.com/p.png?Signature=s3cret"}
        self.write("request.json", other(**links))
        self.ends(self.go("--no-wait"), 0)
        self.assertNotIn("s3cret", "".join(self.lines()))
        for url in (
            *("file:///a/q.png%3FSignature%3Ds3cret", "file:///a/q.png%3fSignature=s3cret"),
            *("https://e.com/q.png&Signature=s3cret", "https://e.com/q.png%26X-Signature%3Ds3cret"),
            *("https://e.com/q.png;Signature=s3cret", "https://e.com/q.png&amp;Signature=s3cret"),
        ):
            folder = TASKS / self.folders()[0]
            record = json.loads((folder / "task.json").read_text())
            record["request"]["input"]["image_url"] = url
            (folder / "task.json").write_text(json.dumps(record))
            self.assertNotIn("s3cret", str(self.call_run()))

    def test_a_record_with_damage_in_any_place_is_told_and_left_to_its_request(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        file = self.write("calm.json", other(style_level="calm"))
        place = TASKS / name / "task.json"
        record = json.loads(place.read_text())
        fields = [(key,) for key in record]
        fields += [("request", key) for key in record["request"]]
        fields += [("request", "input", key) for key in record["request"]["input"]]
        for field in fields:
            for damage in ("https://[", "\ud800", 7, None, [], {}):
                with self.subTest(f"{field} {damage!a}"):
                    changed = json.loads(json.dumps(record))
                    inner = changed
                    for key in field[:-1]:
                        inner = inner[key]
                    inner[field[-1]] = damage
                    place.write_text(json.dumps(changed))
                    self.assertIn(name, "".join(self.lines()))
                    for words in (["--all"], ["--task", name], [file]):
                        result = self.call_run(*words, "--timeout", "0")
                        self.assertNotIn("a fault of this program", result.stderr, result)
        place.write_text(json.dumps(record))
        self.assertIn("portrait.png, speech.mp3", self.lines()[1])

    def test_a_folder_that_is_not_there_is_said(self):
        shutil.rmtree(EVIDENCE)
        result = self.ends(self.call_run(), 0)
        (warning,) = result.line["warnings"]
        place = str(self.folder / EVIDENCE)
        self.assertEqual(warning["message"], f"no tasks in {place}: is this the folder?")
        self.assertIn(f"no tasks in {place}: is this the folder?", result.stderr)
        warnings = self.ends(self.call_run("--all"), 0).line["warnings"]
        self.assertIn(f"no tasks in {place}: is this the folder?", [w["message"] for w in warnings])

    def test_an_id_that_is_not_known_leaves_it_so(self):
        self.serve(tasks=[status_of("UNKNOWN")])
        shutil.rmtree(EVIDENCE)
        self.ends(self.call_run("--task", "made-elsewhere"), 3)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn(": is this the folder?", warning["message"])

    def test_what_may_have_been_paid_for_is_warned_of(self):
        self.serve()
        for words in ((), ("--all",)):
            with self.subTest(words):
                folder = TASKS / "0123456789ab"
                folder.mkdir(parents=True, exist_ok=True)
                (warning,) = self.ends(self.call_run(*words), 0).line["warnings"]
                self.assertIn("0123456789ab was sent", warning["message"])
                result = self.ends(self.call_run("--task", "0123456789ab"), 4)
                self.assertNotIn("--attempt 0", str(result))

    def test_one_that_somebody_paid_for_again_is_not(self):
        self.serve(video_synthesis=[raw(500, b""), created])
        self.ends(self.go(), 4)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn("--attempt 2", warning["hint"])
        self.ends_with_video(self.go("--attempt", "2"))
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])

    def test_one_that_is_not_known_any_more_is_warned_of_for_a_day(self):
        service = self.serve(tasks=[status_of("UNKNOWN")])
        (name,) = self.send("calm")
        self.ends(self.call_run("--all"), 3, "service")
        result = self.ends(self.call_run("--all"), 0)
        (warning,) = result.line["warnings"]
        self.assertIn(f"{name} is UNKNOWN, and not a day old", warning["message"])
        self.assertIn("Check the key", warning["hint"])
        service.script["tasks"] = [succeeded()]
        self.ends(self.call_run(*shlex.split(warning["hint"].partition("again: ")[2])[2:]), 0)
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])
        shutil.rmtree(TASKS)
        service.script["tasks"] = [status_of("UNKNOWN")]
        self.send("calm")
        self.ends(self.call_run("--all"), 3, "service")
        self.age(DAY)
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])

    def test_only_what_may_be_a_task_is_told(self):
        self.serve()
        for name in ("junk", "0123456789ab", "renamed-by-hand"):
            (TASKS / name).mkdir(parents=True)
        (TASKS / "renamed-by-hand/task.json").write_text('{"state": "unclear"}')
        told = str(self.call_run().line["warnings"])
        self.assertNotIn("junk", told)
        self.assertIn("0123456789ab", told)
        self.assertIn("renamed-by-hand", told)
        self.assertIn("console", told)


class All(ListingCase):
    def test_all_that_is_open_is_fetched_the_oldest_first(self):
        service = self.serve()
        names = self.send("calm", "normal", "active")
        self.age(100, names[1])
        service.seen.clear()
        result = self.ends(self.call_run("--all"), 0)
        self.assertEqual(list(result.line), ["ok", "tasks", "warnings"])
        for row in result.line["tasks"]:
            self.assertEqual(Path(row["video_path"]).read_bytes(), video_of(row["task_id"]))
        first = self.kept(folder=names[1])["response"]["output"]["task_id"]
        self.assertIn(first, service.polls[0].path)
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual((service.seen, service.posts), ([], []))

    def test_the_exit_code_is_the_highest_and_each_error_names_its_task(self):
        service = self.serve()
        failed, gone, fine = self.send("calm", "normal", "active")
        ids = {n: self.kept(folder=n)["response"]["output"]["task_id"] for n in self.folders()}

        def answer(handler):
            word = {ids[failed]: "FAILED", ids[gone]: "UNKNOWN"}
            known = next((w for i, w in word.items() if i in handler.path), "SUCCEEDED")
            if known == "SUCCEEDED":
                from support.service import succeeded

                return succeeded()(handler)
            return status_of(known)(handler)

        service.script["tasks"] = [answer]
        result = self.ends(self.call_run("--all"), 3, "service", "service")
        told = [error["message"].partition(":")[0] for error in result.line["errors"]]
        self.assertEqual(sorted(told), sorted([failed, gone]))
        self.assertTrue((TASKS / fine / "video.mp4").exists())
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual(service.seen, [])

    def test_one_that_has_not_ended_is_exit_5_and_the_others_are_asked(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.send("calm", "normal")
        service.seen.clear()
        self.ends(self.call_run("--all", "--timeout", "0"), 5)
        self.assertEqual(len(service.polls), 2)

    def test_one_whose_file_cannot_be_written_does_not_end_the_others(self):
        self.serve()
        broken, fine = self.send("calm", "normal")
        (TASKS / broken / "polls.jsonl").mkdir()
        self.age(100, broken)
        result = self.ends(self.call_run("--all"), 1, "output")
        self.assertTrue(result.line["errors"][0]["message"].startswith(f"{broken}: "))
        self.assertTrue((TASKS / fine / "video.mp4").exists())
        (TASKS / broken / "polls.jsonl").rmdir()
        self.ends(self.call_run("--all"), 0)
        self.assertTrue((TASKS / broken / "video.mp4").exists())

    def test_what_is_no_made_task_is_left_alone(self):
        service = self.serve(video_synthesis=[fails("error-401", 401)])
        self.go()
        (TASKS / "000000000000").mkdir()
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual(service.seen, [])

    def test_where_nothing_is_to_ask_no_key_is_needed(self):
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--all"), 0)
        self.serve()
        os.environ["DASHSCOPE_API_KEY"] = "sk-of-no-account"
        self.send("calm")
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--all"), 2, "api_key")

    def test_options_that_have_nothing_to_do_with_it_are_refused(self):
        self.serve()
        for words in ("--dry-run", "--no-wait", "--attempt 2", "--no-look", "-o x", "request.json"):
            with self.subTest(words):
                self.ends(self.call_run("--all", *words.split()), 2)


class Named(ListingCase):
    def test_each_way_to_name_a_task_goes_on_with_it(self):
        service = self.serve()
        (name,) = self.send("calm")
        record = self.kept(folder=name)
        folder = TASKS / name
        for word in (
            *(record["response"]["output"]["task_id"], name, str(folder)),
            *(str(folder / "task.json"), str(folder) + os.sep),
            *(f'"{name}",', f"'{record['response']['output']['task_id']}'."),
            record["response"]["output"]["task_id"] + ".",
            record["response"]["output"]["task_id"] + "\u3002",
            *("({})".format(record["response"]["output"]["task_id"]), f"**{name}**", f"['{name}']"),
            f"{{{name}}}",
            f"Task ID: {name}",
            f"任务ID：{name}",
            f"【{name}】",
            f"{name}/",
            f"tasks/{name}",
            f"aliyun-emo/tasks/{name}/",
            f'"task_id": "{record["response"]["output"]["task_id"]}",',
            f"task_id: {record['response']['output']['task_id']}",
            *(str(folder.resolve()), os.path.join(".", str(folder), "task.json")),
        ):
            with self.subTest(word):
                line = self.ends_with_video(self.call_run("--task", word))
                self.assertTrue(os.path.samefile(Path(line["task_path"]).parent, folder))
        self.assertEqual((self.folders(), len(service.posts)), ([name], 1))

    def test_the_word_of_a_hint_is_no_id(self):
        service = self.serve()
        for word in ("ID", "<ID>", "TASK_ID", "596deae9"):
            self.ends(self.call_run("--task", word), 2, "task")
        self.assertEqual(service.seen, [])

    def test_the_folder_of_a_task_that_was_made_elsewhere_names_it(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        (task_id,) = service.tasks
        shutil.rmtree(TASKS)
        self.ends(self.call_run("--task", task_id, "--timeout", "0"), 5)
        (name,) = self.folders()
        self.assertEqual(name, f"id-{task_id}")
        self.ends_with_video(self.call_run("--task", name))

    def test_the_digits_of_another_attempt_are_its_own(self):
        self.serve()
        self.ends(self.go(), 0)
        self.ends(self.go("--attempt", "2"), 0)
        for name in self.folders():
            line = self.ends(self.call_run("--task", name), 0).line
            self.assertEqual(Path(line["task_path"]).parent.name, name)

    def test_no_name_is_no_task(self):
        service = self.serve(video_synthesis=[raw(500, b"")])
        self.go()
        service.seen.clear()
        for name in ("", '""', " "):
            with self.subTest(name):
                self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual(service.seen, [])

    def test_an_id_that_nobody_knows_leaves_no_folder(self):
        service = self.serve()
        line = self.ends(self.call_run("--task", "of-another-account"), 3, "service").line
        self.assertEqual((line["state"], line["already_submitted"]), (None, None))
        self.assertEqual(self.folders(), [])
        service.script["tasks"] = [fails("error-401", 400)]
        self.ends(self.call_run("--task", "of-another-account"), 3, "service")
        self.assertEqual(self.folders(), [])

    def test_digits_that_are_not_here_are_told_without_a_request(self):
        service = self.serve()
        for name in ("0123456789ab", "0123456789ab-2"):
            self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_the_path_of_a_task_that_was_not_sent_after_all_says_so(self):
        service = self.serve()
        for name in (str(TASKS / "0123456789ab"), str(TASKS / "0123456789ab-2") + os.sep):
            result = self.ends(self.call_run("--task", name), 2, "task")
            self.assertIn("it was sent from another, or removed", result.stderr)
        self.ends(self.call_run("--task", "task.json"), 2, "task")
        self.assertEqual(service.seen, [])

    def test_of_one_that_may_be_on_its_way_no_attempt_is_named(self):
        self.serve()
        (TASKS / "0123456789ab").mkdir(parents=True)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn("Another run may be at it", warning["hint"])
        self.assertNotIn("--attempt", warning["hint"])

    def test_of_one_without_a_request_no_attempt_is_named(self):
        folder = TASKS / "id-abc"
        folder.mkdir(parents=True)
        folder.joinpath("task.json").write_text("{}")
        self.age(300)
        result = self.ends(self.call_run("--task", str(folder)), 4, "service")
        self.assertNotIn("--attempt", result.stderr)
        self.assertIn("Look in the console", result.stderr)

    def test_of_what_was_refused_there_is_no_task(self):
        service = self.serve(video_synthesis=[fails("error-401", 401)])
        self.go()
        (name,) = self.folders()
        service.seen.clear()
        self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual(service.seen, [])

    def test_the_video_may_be_copied(self):
        self.serve()
        (name,) = self.send("calm")
        line = self.ends_with_video(self.call_run("--task", name, "-o", "a/b.mp4"))
        self.assertEqual(Path("a/b.mp4").read_bytes(), video_of(line["task_id"]))
        record = str(TASKS / name / "task.json")
        self.ends(self.call_run("--task", name, "-o", record), 2, "output")
        self.assertEqual(self.kept(folder=name)["state"], "made")


if __name__ == "__main__":
    unittest.main()
