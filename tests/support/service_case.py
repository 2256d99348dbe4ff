"""What the tests of run_emo_request.py share: a service, a clock, and a look at the evidence."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

from support import (
    IMAGE_URL,
    POSIX,
    REQUEST,
    RUN,
    SCRIPTS,
    Case,
    Result,
    emo,
)
from support.service import KEY, Service, video_of

from aliyun_emo import clock, settings, transport
from aliyun_emo.interrupts import Interrupts

EVIDENCE = Path("output/aliyun-emo")
TASKS = EVIDENCE / "tasks"
FILE = os.path.join("output", "aliyun-emo", "request.json")
DAY = 24 * 3600
DETECTION = {
    "model": "emo-v1-detect",
    "input": {"image_url": IMAGE_URL},
    "parameters": {"ratio": "1:1"},
}
KEYS = [
    *("state", "task_path", "task_id", "task_status", "already_submitted"),
    *("video_url", "video_path", "response_path", "estimate"),
]


def other(**values):
    """Return another request: `values` replace input's, or the style."""
    style = values.pop("style_level", "active")
    return {
        **REQUEST,
        "input": {**REQUEST["input"], **values},
        "parameters": {"style_level": style},
    }


def utc(moment):
    """Return seconds since 1970 as a record has them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def listen():
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Clock:
    """Time that passes when somebody sleeps, and while it `flies`, where nothing comes."""

    def __init__(self):
        self.slept, self.flies = [], False

    def passes(self, seconds):
        if self.flies:
            self.slept.append(seconds)

    def sleep(self, seconds):
        self.slept.append(seconds)

    def monotonic(self):
        return time.monotonic() + sum(self.slept)

    def time(self):
        return time.time() + sum(self.slept)


class ServiceCase(Case):
    def setUp(self):
        super().setUp()
        EVIDENCE.mkdir(parents=True)
        self.clock = Clock()
        self.services = contextlib.ExitStack()
        self.addCleanup(self.services.close)
        names = ("sleep", "monotonic", "time")
        clocks = mock.patch.multiple(clock, **{name: getattr(self.clock, name) for name in names})
        for patch in (clocks, mock.patch("os.fsync")):  # no power fails: a disk need not wait
            patch.start()
            self.addCleanup(patch.stop)
        os.environ["DASHSCOPE_API_KEY"] = KEY
        self.refuse_connections()
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder / "home")

    def serve(self, **script):
        """Return a service that is there until the next one, and point the program to it.

        Links lead there, too.
        """
        self.services.close()
        service = self.services.enter_context(Service(**script))
        service.passes = self.clock.passes
        os.environ.update(service.environment)
        return service

    @contextlib.contextmanager
    def patience(self, seconds=2):
        """Wait for an answer so many `seconds`, which fly where it never comes."""
        times = mock.patch.multiple(settings, READ_TIMEOUT=seconds, CONNECT_TIMEOUT=seconds)
        looks_up = mock.patch.object(transport, "SLICE", 0.02)
        with times, looks_up, mock.patch.object(self.clock, "flies", True):
            yield

    def late(self, answer, seconds):
        """Return what gives `answer` when so many `seconds` have passed."""

        def given(handler):
            self.clock.slept.append(seconds)
            answer(handler)

        return given

    def settings(self, **values):
        """Return the settings of a run with its key, as options, by field, give them."""
        report = emo.Report()
        found = settings.settings_of(values, Interrupts(), report)
        self.assertEqual(report.errors, [])
        return found.with_key()

    def refuse_connections(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            root = f"http://127.0.0.1:{closed.getsockname()[1]}"
            os.environ.update(DASHSCOPE_BASE_URL=root, https_proxy=root, http_proxy=root)

    def write(self, name, document):
        """Write a JSON file of the evidence; return its path as one types it."""
        path = EVIDENCE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    def go(self, *words, file=FILE, **options):
        """Return the `Result` of run_emo_request.py with the request and `words`."""
        return self.call_run(file, *words, **options)

    # A look at the evidence

    def folders(self):
        """Return the names of what is in tasks/, the oldest attempt of a request first."""
        return sorted(path.name for path in TASKS.iterdir()) if TASKS.exists() else []

    def kept(self, name="task.json", folder=None):
        """Return a JSON file of a task, of the only one where no folder is given."""
        return json.loads(self.place(folder).joinpath(name).read_text("utf-8"))

    def place(self, folder=None):
        if folder is None:
            (folder,) = self.folders()
        return TASKS / folder

    def states(self):
        """Return the state of each attempt, the oldest first."""
        return [self.kept(folder=folder)["state"] for folder in self.folders()]

    def snapshots(self, folder=None):
        path = self.place(folder) / "polls.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def age(self, seconds, folder=None):
        """Make a task older: as if it had been sent so many seconds earlier."""
        record = self.kept(folder=folder)
        record["saved_at"] = utc(time.time() - seconds)
        self.place(folder).joinpath("task.json").write_text(json.dumps(record))

    def clear(self):
        """Remove all tasks, and forget the time that has passed."""
        import shutil

        shutil.rmtree(TASKS, ignore_errors=True)
        self.clock.slept.clear()

    # What must hold

    def ends(self, result, code, *fields):
        """Assert the exit code and the fields of the errors, and that the line has its form."""
        self.assertEqual(result.code, code, result)
        self.assertIs(result.line["ok"], code == 0, result)
        if fields:
            self.assertEqual(result.fields, list(fields), result)
        for error in result.line.get("errors", []):
            self.assertEqual(list(error), ["field", "message", "hint"])
            self.assertTrue(error["message"] and error["hint"], error)
            self.assertTrue((error["message"] + error["hint"]).isprintable(), error)
        self.assertNotIn("Traceback", result.stderr)
        self.assert_no_key(result)
        return result

    def ends_with_video(self, result):
        """Assert that the run ended with the video of its own task."""
        self.ends(result, 0)
        line = result.line
        self.assertEqual(Path(line["video_path"]).read_bytes(), video_of(line["task_id"]))
        return line

    def assert_all_videos_are_their_own(self):
        for folder in self.folders():
            path = TASKS / folder / "video.mp4"
            if path.exists():
                task_id = self.kept(folder=folder)["response"]["output"]["task_id"]
                self.assertEqual(path.read_bytes(), video_of(task_id), folder)

    def assert_no_key(self, *results):
        """Assert that the key is in no output and in no file."""
        for result in results:
            self.assertNotIn(KEY, str(result))
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_size < 100_000:
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)

    def assert_no_temporary_files(self):
        self.assertEqual([name for name in self.files() if ".tmp" in name], [])

    # Processes

    def start(self, *words, script=RUN, code="", stdin=subprocess.DEVNULL, **constants):
        """Start a process of a `script` that signals reach, also where this one ignores them.

        `constants` of its rooms, "room_NAME", are changed in it, and `code` is executed before it
        starts.
        """
        command = [str(script)]
        if constants or code:
            changes = ""
            for name, value in constants.items():
                room, _, constant = name.partition("_")
                changes += f"from aliyun_emo import {room}\n{room}.{constant} = {value!r}\n"
            command = ["-c", f"import {script.stem} as program\n{changes}{code}\nprogram.script()"]
        process = subprocess.Popen(
            [sys.executable, *command, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
            preexec_fn=listen if POSIX else None,
        )
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        process.kill()
        process.communicate(timeout=30)

    def end_of(self, process):
        """Return the `Result` of a process that was started."""
        stdout, stderr = process.communicate(timeout=60)
        return Result(process.returncode, stdout.decode(), stderr.decode(errors="replace"))

    def quiet(self, service):
        """Wait until the service has seen all that processes that have ended sent to it."""
        with socket.create_connection(service.server_address) as line:
            line.shutdown(socket.SHUT_WR)
            line.recv(1)  # connections come in order: when this one is done with, all have come
        self.until(lambda: not service.lines)


class GenerationCase(ServiceCase):
    """A test that has a request to run."""

    def setUp(self):
        super().setUp()
        self.write("request.json", REQUEST)
