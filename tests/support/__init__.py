"""What the tests share: the programs as modules, as calls and as processes."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "skills/ai/video/aliyun-emo/scripts"
SCRIPT, RUN = SCRIPTS / "prepare_emo_request.py", SCRIPTS / "run_emo_request.py"
MAKE = SCRIPTS / "make_emo_video.py"
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what is in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(SCRIPTS))
# Service and client are threads of one process: they take turns sooner than every 5 ms.
sys.setswitchinterval(0.0005)
import make_emo_video as make  # noqa: E402
import prepare_emo_request as emo  # noqa: E402
import preview_emo_request as preview  # noqa: E402, F401
import run_emo_request as run  # noqa: E402

IMAGE_URL = "https://example.com/portrait.png"
AUDIO_URL = "https://example.com/speech.mp3"
FACE_BBOX = [302, 286, 610, 593]
EXT_BBOX = [71, 9, 840, 778]
GOOD = {
    "--image-url": IMAGE_URL,
    "--audio-url": AUDIO_URL,
    "--face-bbox": "302,286,610,593",
    "--ext-bbox": "71,9,840,778",
    "--style-level": "active",
}
POSIX = os.name == "posix"
REQUEST = json.loads((FIXTURES / "request.json").read_text("utf-8"))


def arguments(**changes):
    """Return the quick start's arguments with `changes`; what becomes None is left out."""
    changes = {"--" + field.replace("_", "-"): value for field, value in changes.items()}
    options = {**GOOD, **changes}
    return [word for name, value in options.items() if value is not None for word in (name, value)]


# An ASCII locale, with Python's way out of it barred, has no names beyond ASCII.
NAME = "ü" if sys.getfilesystemencoding() == "utf-8" else "u"


class Result:
    """What a run left behind: exit code, the line on stdout, stderr."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    @property
    def line(self):
        assert self.stdout.endswith("\n"), self.stdout
        assert self.stdout.count("\n") == 1, self.stdout
        return json.loads(self.stdout)

    @property
    def fields(self):
        return [error["field"] for error in self.line["errors"]]

    def __str__(self):
        return f"exit {self.code}\n{self.stdout}{self.stderr}"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


class Case(unittest.TestCase):
    """A test in a folder of its own, where `OUTPUT_DIR` is unset."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("PYTHONUNBUFFERED", None)  # what is not flushed is not there
        for name in list(os.environ):
            # urllib sends even 127.0.0.1 through a proxy.
            if name.lower().endswith("_proxy") or name.startswith(("OUTPUT_DIR", "DASHSCOPE_")):
                del os.environ[name]

    def call(self, *words, main=emo.main, terminal=False):
        """Return the `Result` of the command line `words` in this process."""
        stdout, stderr = io.StringIO(), Terminal() if terminal else io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            code = main(list(words))
        return Result(code, stdout.getvalue(), stderr.getvalue())

    def call_run(self, *words, **options):
        """Return the `Result` of run_emo_request.py with `words` in this process."""
        return self.call(*words, main=run.main, **options)

    def call_make(self, *words, says=None, **options):
        """Return the `Result` of make_emo_video.py with `words`; at a terminal one `says` this."""
        options = options if says is None else {"terminal": True, **options}
        typed = io.StringIO() if says is None else Terminal(says)
        with mock.patch("sys.stdin", typed):
            return self.call(*words, main=make.main, **options)

    def run_script(
        self, *words, script=SCRIPT, python=(), stdin=subprocess.DEVNULL, input=None, **environment
    ):
        """Return the `Result` of a `script` with `words` as a process of its own."""
        done = subprocess.run(
            [sys.executable, *python, str(script), *words],
            stdin=None if input is not None else stdin,
            input=input,
            capture_output=True,
            env={**os.environ, **environment},
            timeout=60,
        )
        stdout = done.stdout.decode("ascii").replace("\r\n", "\n")
        return Result(done.returncode, stdout, done.stderr.decode(errors="replace"))

    def run_with_room(self, room, *words, script=SCRIPT):
        """Return the `Result` of a process whose files may have at most `room` bytes."""
        import resource

        done = subprocess.run(
            [sys.executable, "-B", str(script), *words],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def files(self):
        """Return the paths of all files below the test's folder, hidden ones too."""
        return sorted(
            str(path.relative_to(self.folder).as_posix())
            for path in self.folder.rglob("*")
            if path.is_file()
        )

    def until(self, happened):
        for _ in range(3000):
            if happened():
                return
            time.sleep(0.01)
        self.fail("it did not happen")

    def refuse(self, result, *fields):
        """Assert that `result` is a refusal for `fields` that left no file behind."""
        self.assertEqual(result.code, 2, result)
        self.assertIs(result.line["ok"], False)
        self.assertEqual(result.fields, list(fields), result)
        for error in result.line["errors"]:
            self.assertEqual(list(error), ["field", "message", "hint"])
            self.assertTrue(error["message"] and error["hint"], error)
        told = len(fields) + len(result.line["warnings"])
        self.assertEqual(len(result.stderr.splitlines()), told, result)
        self.assertNotIn("request.json", " ".join(self.files()))


@contextlib.contextmanager
def without_root():
    """Within, a process of root has the permissions of nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def as_given(text):
    """Return `text` as a variable has it, also in a locale that has not all its characters."""
    return os.fsdecode(text.encode())
