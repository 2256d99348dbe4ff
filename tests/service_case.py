"""What the tests of `submit` and `wait` share: a service, a clock, and a look at the evidence."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

from service import KEY, Service, drip, stall
from support import SCRIPT, Case, emo

EVIDENCE = Path("output/aliyun-emo")
TASK_ID = "a8532587-fa8c-4ef8-82be-0c46b17950d1"


def listen():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)

    def monotonic(self):
        return time.monotonic() + sum(self.slept)


class ServiceCase(Case):
    def setUp(self):
        super().setUp()
        EVIDENCE.mkdir(parents=True)
        self.clock = Clock()
        for name in ("sleep", "monotonic"):
            patch = mock.patch.object(emo, name, getattr(self.clock, name))
            patch.start()
            self.addCleanup(patch.stop)
        os.environ["DASHSCOPE_API_KEY"] = KEY
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder / "home")

    def serve(self, **script):
        """Return a service that is there until the test ends, and point the program to it."""
        service = self.enterContext(Service(**script)) if hasattr(self, "enterContext") else None
        if service is None:
            service = Service(**script).__enter__()
            self.addCleanup(service.__exit__)
        os.environ["DASHSCOPE_BASE_URL"] = service.base_url
        return service

    def patience(self, script):
        """Wait for an answer half a second where the `script` has one that never comes."""
        seconds = 0.5 if stall in script or drip in script else 20
        return mock.patch.multiple(emo, READ_TIMEOUT=seconds, CONNECT_TIMEOUT=seconds)

    def refuse_connections(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            os.environ["DASHSCOPE_BASE_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"

    def write(self, name, document):
        (EVIDENCE / name).write_text(json.dumps(document), encoding="utf-8")

    def read(self, name):
        return json.loads((EVIDENCE / name).read_text("utf-8"))

    def evidence(self):
        return sorted(path.name for path in EVIDENCE.iterdir())

    def clear(self, *kept):
        """Remove the evidence, except the files `kept`, and forget the time that has passed."""
        for path in EVIDENCE.iterdir():
            if path.name not in kept:
                path.unlink()
        self.clock.slept.clear()

    def assert_no_key(self, *results):
        """Assert that the key is in no output and in no file."""
        for result in results:
            self.assertNotIn(KEY, str(result))
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)

    def start(self, *words):
        """Start a process that an interrupt reaches, also where this one ignores it."""
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=listen if os.name == "posix" else None,
        )
        self.addCleanup(process.kill)
        return process

    def until(self, happened):
        for _ in range(3000):
            if happened():
                return
            time.sleep(0.01)
        self.fail("it did not happen")
