"""The commands that hints name: as the programs were started, and such that they can be pasted."""

import os
import shlex
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from support import SCRIPTS, Case, arguments, make, run
from support.service_case import POSIX

import prepare_emo_request as emo
from aliyun_emo import commands


class Starting(Case):
    def starting(self, typed, **more):
        with mock.patch.object(sys, "argv", [typed]):
            return commands.starting(commands.RUN, **more)

    def test_a_script_is_named_as_it_was_typed(self):
        for typed, expected in (
            ("prepare_emo_request.py", "run_emo_request.py"),
            ("scripts/prepare_emo_request.py", "scripts/run_emo_request.py"),
            ("../a b/make_emo_video.py", "../a b/run_emo_request.py"),
            ("/abs/run_emo_request.py", "/abs/run_emo_request.py"),
        ):
            with self.subTest(typed), mock.patch("shutil.which", lambda name: f"/bin/{name}"):
                with mock.patch.object(sys, "base_prefix", sys.prefix):
                    python, script = self.starting(typed)
                self.assertEqual(Path(script), Path(expected))
                self.assertEqual(python, os.path.basename(sys.executable))

    def test_the_python_of_an_environment_is_named_whole_since_other_shells_have_another(self):
        with mock.patch.object(sys, "base_prefix", "/elsewhere"):
            words = self.starting("scripts/make_emo_video.py")
        script = os.path.join("scripts", "run_emo_request.py")
        self.assertEqual(words, [sys.executable, script])

    def test_so_is_that_of_uv_which_puts_it_on_the_path_of_its_child_alone(self):
        with mock.patch.dict(os.environ, UV="/bin/uv"), mock.patch("shutil.which", str):
            words = self.starting("scripts/make_emo_video.py")
        self.assertEqual(words, [sys.executable, str(SCRIPTS / "run_emo_request.py")])

    def test_an_installed_command_is_named_alone_where_the_path_has_it(self):
        for name in ("make-emo-video", "run-emo-request", "prepare-emo-request.exe"):
            with self.subTest(name):
                with mock.patch("shutil.which", lambda name: f"/bin/{name}"):
                    self.assertEqual(self.starting(f"/venv/bin/{name}"), ["run-emo-request"])
                with mock.patch("shutil.which", lambda _: None):
                    (word,) = self.starting(f"/venv/bin/{name}")
                self.assertEqual(Path(word).name, "run-emo-request")
                self.assertTrue(os.path.isabs(word))

    def test_anywhere_both_are_absolute(self):
        for words in (
            self.starting("make_emo_video.py", anywhere=True),
            self.starting("python -m unittest"),
        ):
            self.assertEqual(words, [sys.executable, str(SCRIPTS / "run_emo_request.py")])

    @unittest.skipUnless(POSIX, "the shell of POSIX")
    def test_the_next_command_of_a_process_is_one_that_runs(self):
        script = os.path.relpath(SCRIPTS / "prepare_emo_request.py")
        done = subprocess.run(
            [sys.executable, "-c", TERMINAL, script, *arguments()], capture_output=True, text=True
        )
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("next: ")]
        words = shlex.split(line[6:])
        self.assertEqual(words[1], os.path.relpath(SCRIPTS / "preview_emo_request.py"))
        self.assertEqual(subprocess.run(words, capture_output=True).returncode, 0)


# Runs a script at what says that it is a terminal.
TERMINAL = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
class Terminal:
    def __getattr__(self, name): return getattr(sys.__stderr__, name)
    def isatty(self): return True
sys.stderr = Terminal()
runpy.run_path(sys.argv[0], run_name="__main__")
"""


PROGRAM = ({"": (print, "", "")}, run.OPTIONS, {})


class Quoting(Case):
    def test_a_picture_is_named_by_the_option_that_takes_it(self):
        for given, words in (
            ({"image": "p.png"}, "--image p.png"),
            ({"image": "https://example.com/a.png"}, "--image-url https://example.com/a.png"),
            ({"image_url": "./p.png"}, "--image ./p.png"),
            ({"image_url": "https://example.com/a.png"}, "--image-url https://example.com/a.png"),
            ({"image_url": "https://example.com/a.png?Signature=s"}, "--image-url PICTURE"),
            *(
                ({"image_url": f"https%3A%2F%2Fexample.com%2Fa.png{end}"}, "--image PICTURE")
                for end in ("%3FSignature%3Ds", " Signature=s", "\uff06Signature=s", "#s")
            ),
            ({}, "--image PICTURE"),
        ):
            with self.subTest(given):
                self.assertTrue(commands.detect_hint(given).endswith(f"detect {words}"))

    def test_a_command_for_windows_is_quoted_for_its_shell_too(self):
        for words, command in (
            (["python.exe", "a.py"], "python.exe a.py"),
            (["C:\\My Files\\p.exe", "x"], '"C:\\My Files\\p.exe" x'),
            (["a.py", "https://h.cn/a?b=1&c=2"], 'a.py "https://h.cn/a?b=1&c=2"'),
            (["a.py", "a b&c", "x^y"], 'a.py "a b&c" "x^y"'),
        ):
            with self.subTest(command), mock.patch.object(commands.os, "name", "nt"):
                self.assertEqual(commands.for_the_shell(words), command)
                if "\\" in command:  # Git's bash would take them away
                    with mock.patch.dict(os.environ, MSYSTEM="MINGW64"):
                        self.assertEqual(shlex.split(commands.for_the_shell(words)), words)

    def test_what_goes_on_in_the_next_line_elsewhere_is_told(self):
        for mark in ("\\", "^", "`", " "):
            with self.subTest(mark):
                words = ("--style-level", "calm", mark) if mark == " " else (mark, "--image", "p")
                result = self.call(*words)
                self.assertIn("in one line", result.line["errors"][0]["hint"])

    def test_nobody_is_led_to_the_opposite(self):
        for word in ("--download", "--wait", "--look", "--color", "--watermark", "--no-color"):
            with self.subTest(word):
                hint = commands.hint_for(word, PROGRAM, PROGRAM[1])
                self.assertNotRegex(hint, "Did you mean --(no-wait|no-download)")
        self.assertIn("--no-", commands.hint_for("--no-wiat", PROGRAM, PROGRAM[1]))

    def test_nor_by_its_spelling_alone_to_what_means_something_else(self):
        program = ({"": (print, "", "")}, make.OPTIONS, {})
        for word in (
            *("--duration", "--caption", "--rotation", "--output-format", "--audio-file"),
            *("--no-logo", "--no-color", "--no-upload", "--no-watermark", "--no-ask", "--no-audio"),
            *("--ask", "--pays", "--payed", "--no-timeout", "--no-output", "--on-download", "-n"),
            *("--list-all", "--cancel-all", "--cancel-task", "--without-audio", "--never-open"),
        ):
            for of in (program, PROGRAM):
                with self.subTest(word):
                    hint = commands.hint_for(word, of, [f for f in of[1] if of[1][f][1][:1] != "<"])
                    self.assertNotIn("Did you mean", hint)
                    self.assertIn("The options are", hint)
        hint = commands.hint_for("--wait", program, program[1])
        self.assertRegex(hint, "run_emo_request.py FILE and make_emo_video.py wait by themselves")
        for word, meant in (
            *(("--styel-level", "--style-level"), ("--out", "--output"), ("--raito", "--ratio")),
            *(("--task-id", "--task"), ("--taskid", "--task"), ("--poll-interval", "--interval")),
            *(("--output_path", "--output"), ("--aspect-ratio", "--ratio"), ("--modle", "--model")),
            *(("--timeout-id", "--timeout"), ("--no-wati", "--no-wait"), ("--tasks", "--task")),
        ):
            of = program if meant in map(emo.option, make.OPTIONS) else PROGRAM
            with self.subTest(word):
                self.assertEqual(commands.hint_for(word, of, of[1]), f"Did you mean {meant}?")


if __name__ == "__main__":
    unittest.main()
