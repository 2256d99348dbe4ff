"""preview_emo_request.py as a program: options, help, what is missing, and signals."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from support import REQUEST, SCRIPT, SCRIPTS, emo, preview
from support.page import FILE, PAGE, PREVIEW, SHOWN, PreviewCase, request_with


class CommandLine(PreviewCase):
    def test_the_line_on_stdout(self):
        self.write(REQUEST)
        for words in ([], [FILE]):
            with self.subTest(words):
                result = self.run_script(*words, script=PREVIEW)
                self.assertEqual(result.code, 0, result)
                line = {"ok": True, "request_path": str(SHOWN), "preview_path": str(PAGE)}
                self.assertEqual(list(result.line.items()), [*line.items(), ("warnings", [])])
                self.assertEqual(result.stderr, "")
                written = [PAGE.as_posix(), FILE.replace(os.sep, "/"), SHOWN.as_posix()]
                self.assertEqual(self.files(), written)
                PAGE.unlink()

    def test_output_dir_has_the_default_file(self):
        os.environ["OUTPUT_DIR"] = "evidence"
        Path("evidence/aliyun-emo").mkdir(parents=True)
        Path("evidence/aliyun-emo/request.json").write_text(json.dumps(REQUEST))
        path = self.show().line["preview_path"]
        self.assertEqual(Path(path), Path("evidence/aliyun-emo/previews", PAGE.name))

    def test_all_that_is_wrong_is_told_at_once(self):
        file = self.write(request_with(image_url="./a.png", ext_bbox=[71, 9, 471, 309]))
        fields = ("arguments", "image_url", "ext_bbox", "face_bbox", "output")
        result = self.show(file, "--output", "-", "--dry-run")
        self.assertEqual(sorted(result.fields), sorted(set(fields) & set(result.fields)), result)
        self.assertLessEqual({"arguments", "image_url", "ext_bbox", "output"}, set(result.fields))

    def test_help_version_and_an_option_that_is_none(self):
        result = self.run_script("--help", script=PREVIEW)
        for text in ("[FILE]", "--output", "--open", "detection.json", "\n  2  ", "\n  130  "):
            self.assertIn(text, result.stdout)
        self.assertNotIn("dry-run", result.stdout)
        self.assertIn(emo.VERSION, self.show("--version").stdout)
        self.refuses(self.show(self.write(REQUEST), "--opne"), "arguments")

    def test_at_a_terminal_it_says_what_was_written(self):
        result = self.show(self.write(REQUEST), terminal=True)
        written, command = result.stderr.splitlines()
        self.assertIn(f"{PAGE} is written", written)
        self.assertRegex(command, f"^next: .*{re.escape(str(SHOWN))}'?$")

    def test_a_page_lies_beside_its_request_whatever_its_folder_is_called(self):
        file = Path("a$b", "aliyun-emo", "request.json")
        file.parent.mkdir(parents=True)
        shutil.copy(self.write(REQUEST), file)
        result = self.call(str(file), main=preview.main)
        self.assertEqual(result.code, 0, result)
        self.assertTrue(Path(result.line["preview_path"]).is_relative_to(file.parent), result)

    def test_copied_alone_it_says_so_in_one_line(self):
        Path("alone").mkdir()
        copy = shutil.copy(PREVIEW, "alone")
        for script, python in ((copy, []), (copy, ["-I"]), (PREVIEW, ["-I"])):
            for words in ([], [FILE], ["--help"]):
                with self.subTest(f"{script} {python} {words}"):
                    result = self.run_script(*words, script=script, python=python)
                    error = self.refuses(result, "arguments")
                    self.assertIn(SCRIPT.name, error["message"])
                    self.assertIn("aliyun_emo,", error["message"])
                    self.assertEqual(len(result.stderr.splitlines()), 1, result)

    def test_with_a_part_missing_it_says_so_in_one_line(self):
        file = self.write(REQUEST)
        parts = SCRIPTS / "aliyun_emo"
        for missing in (SCRIPT, parts, *parts.glob("page.*"), parts / "subjects.py"):
            with self.subTest(missing.name):
                shutil.rmtree("copy", ignore_errors=True)
                shutil.copytree(SCRIPTS, "copy", ignore=shutil.ignore_patterns("__pycache__"))
                path = Path("copy", missing.relative_to(SCRIPTS))
                (shutil.rmtree if path.is_dir() else os.unlink)(path)
                result = self.run_script(file, script=Path("copy", PREVIEW.name))
                self.assertEqual((result.code, result.fields), (2, ["arguments"]), result)
                self.assertEqual(len(result.stderr.splitlines()), 1, result)
                self.assertFalse(PAGE.exists())

    def test_no_network_module_is_even_loaded(self):
        self.prepare_files()
        code = (
            # PyPy's own hashlib loads socket.
            "import sys; SOCKET = ['socket'] if sys.implementation.name == 'cpython' else []\n"
            f"sys.path.insert(0, {str(SCRIPTS)!r}); import preview_emo_request as p\n"
            "code = p.main(sys.argv[1:])\n"
            "loaded = {'http.client', 'ssl', 'webbrowser', *SOCKET} & set(sys.modules)\n"
            "sys.exit(code or 7 * bool(loaded))"
        )
        done = subprocess.run([sys.executable, "-c", code, FILE], capture_output=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


# Moments at which this process gets a signal: when it looks for a module, when it calls a function.
AT_IMPORT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{}":
            send()
sys.meta_path.insert(0, Finder())
"""
AT_CALL = """
import {module} as module
call = module.{name}
def sending(*arguments):
    send()
    return call(*arguments)
module.{name} = sending
"""


@unittest.skipUnless(os.name == "posix", "signals of POSIX")
class Signals(PreviewCase):
    IMPORTS = [AT_IMPORT.format(name) for name in ("aliyun_emo", "html", "prepare_emo_request")]
    WRITING = AT_CALL.format(module="prepare_emo_request", name="replace_file")
    PRINTING = AT_CALL.format(module="prepare_emo_request", name="as_json")

    def result(self, number, moment):
        """Return the `Result` of a program that gets the signal `number` at a `moment`."""
        code = f"""
import os, signal, sys, time
sys.path.insert(0, {str(SCRIPTS)!r})
signal.signal({int(number)}, signal.SIG_DFL)  # nohup, for one, leaves SIGHUP ignored
def send():
    os.kill(os.getpid(), {int(number)})
    time.sleep(0.01)
{moment}
import preview_emo_request
preview_emo_request.script()
"""
        return self.run_script(self.write(REQUEST), python=["-c"], script=code)

    def test_one_ends_the_run_with_its_line_and_nothing_is_written(self):
        for name, code in (("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)):
            for moment in (*self.IMPORTS, self.WRITING):
                with self.subTest(f"{name} {moment}"):
                    result = self.result(getattr(signal, name), moment)
                    self.assertEqual((result.code, result.fields), (code, ["arguments"]), result)
                    self.assertEqual(result.line["errors"][0]["message"], "interrupted")
                    self.assertEqual(len(result.stderr.splitlines()), 1, result)
                    self.assertEqual(self.files(), [FILE])

    def test_one_that_comes_while_the_line_is_made_does_not_cut_it(self):
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            with self.subTest(name):
                result = self.result(getattr(signal, name), self.PRINTING)
                self.assertEqual((result.code, result.line["ok"]), (0, True), result)
                self.assertTrue(PAGE.exists())

    def test_one_that_is_ignored_stays_ignored(self):
        ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        for moment in (*self.IMPORTS, self.WRITING):
            with self.subTest(moment):
                result = self.result(signal.SIGHUP, ignore + moment)
                self.assertEqual((result.code, result.line["ok"]), (0, True), result)


if __name__ == "__main__":
    unittest.main()
