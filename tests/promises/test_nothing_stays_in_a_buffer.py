"""What a program says has left it when it ends, however it ends: os._exit() empties no buffer.

Where stderr is no terminal PyPy keeps what is written to it, unless PYTHONUNBUFFERED is set.
"""

import json
import os
import signal
import subprocess
import sys
import unittest

from support import REQUEST, RUN, SCRIPT, SCRIPTS, arguments
from support.service import stall
from support.service_case import FILE, POSIX, GenerationCase

PREVIEW = SCRIPTS / "preview_emo_request.py"


class Pipes(GenerationCase):
    def test_each_program_says_all_in_each_way_that_it_ends(self):
        for script, words, code, told in (
            (SCRIPT, ["--style-level", "loud"], 2, "error: --style-level"),
            (SCRIPT, ["detect", "--image", "none.png"], 2, "none.png"),
            (SCRIPT, arguments(image_url="https://example.com/a.png#x"), 0, "warning: --image-url"),
            (SCRIPT, arguments(output=f"{FILE}/x"), 1, "error: --output"),
            (SCRIPT, ["--help"], 0, ""),
            (RUN, [], 0, "no tasks in"),
            (RUN, ["none.json"], 2, "error: file"),
            (RUN, ["--task", "a", "--timeout", "0"], 4, "no answer"),
            (PREVIEW, [FILE], 0, ""),
            (PREVIEW, ["none.json"], 2, "error: file"),
            (PREVIEW, ["--version"], 0, ""),
        ):
            with self.subTest(f"{script.name} {words[:2]}"):
                self.write("request.json", REQUEST)
                result = self.run_script(*words, script=script)
                self.assertEqual(result.code, code, result)
                self.assertIn(told, result.stderr)
                self.assertEqual(bool(result.stderr), bool(told), result)
                self.assertTrue(result.stdout)

    def test_a_program_that_stands_alone_says_so(self):
        for script in (RUN, PREVIEW):
            with self.subTest(script.name):
                alone = self.folder / script.name
                alone.write_bytes(script.read_bytes())
                result = self.run_script(script=alone)
                self.assertEqual((result.code, result.fields), (2, ["arguments"]))
                self.assertIn("error: arguments", result.stderr)

    @unittest.skipUnless(POSIX, "signals of POSIX")
    def test_an_interrupt_is_told(self):
        self.serve(tasks=[stall])
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(code):
                self.clear()
                service = self.serve(tasks=[stall])
                process = self.start(FILE)
                self.until(lambda service=service: service.polls)
                process.send_signal(number)
                result = self.ends(self.end_of(process), code, "arguments")
                self.assertIn("error: arguments: interrupted", result.stderr)
        for script in (SCRIPT, PREVIEW):
            with self.subTest(script.name):
                code = f"""
import os, signal, sys
sys.path.insert(0, {str(SCRIPTS)!r})
import prepare_emo_request as emo
import {script.stem} as program
real = emo.parse
def parse(*words):
    os.kill(os.getpid(), signal.SIGINT)
    return real(*words)
emo.parse = parse
program.script()
"""
                command = [sys.executable, "-c", code, FILE]
                done = subprocess.run(command, capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 130, done)
                self.assertEqual(json.loads(done.stdout)["errors"][0]["message"], "interrupted")
                self.assertIn(b"interrupted", done.stderr)

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_line_that_was_cut_short_is_told_with_and_without_a_buffer(self):
        for unbuffered in ("", "1"):
            with self.subTest(unbuffered), open("line.json", "wb") as out:
                import resource

                words = [sys.executable, "-B", str(SCRIPT), *arguments(), "--dry-run"]
                done = subprocess.run(
                    words,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99)),
                    stdout=out,
                    stderr=subprocess.PIPE,
                    env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                    timeout=60,
                )
                self.assertEqual(done.returncode, 1, done)
                self.assertIn(b"stdout cannot be written", done.stderr)


if __name__ == "__main__":
    unittest.main()
