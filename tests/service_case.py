"""What the tests of `submit` and `wait` share: a service, a clock, and a look at the evidence."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

from service import KEY, Service
from support import SCRIPT, Case, emo

EVIDENCE = Path("output/aliyun-emo")
TASK_ID = "a8532587-fa8c-4ef8-82be-0c46b17950d1"


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

    def assert_no_key(self, *results):
        """Assert that the key is in no output and in no file."""
        for result in results:
            self.assertNotIn(KEY, str(result))
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)

    def start(self, *words, stdout=subprocess.PIPE):
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), *words],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, happened):
        for _ in range(1000):
            if happened():
                return
            time.sleep(0.01)
        self.fail("it did not happen")
