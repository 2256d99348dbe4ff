"""A scripted service on 127.0.0.1, with the answers of the real one, that misbehaves on demand.

    $ eval "$(python3 tests/service.py start)"
    $ echo $DASHSCOPE_BASE_URL
    http://127.0.0.1:53211/api/v1
    $ kill $EMO_SERVICE

A script is a list of answers for each route; the last one is repeated. An answer is a function
that gets the request's handler.
"""

import contextlib
import http.server
import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent / "fixtures"
KEY = "sk-of-no-account"
VIDEO = bytes(range(256)) * 1024


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def raw(status, body, **headers):
    """Answer with `body` as it is; `Content_Length` and the like replace headers."""

    def answer(handler):
        handler.send_response(status)
        fields = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        for name, value in fields.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(body)

    return answer


def says(document, status=200, **headers):
    return raw(status, json.dumps(document).encode(), **headers)


def fails(name, status, **headers):
    return says(fixture(name), status, **headers)


def status_of(word, **output):
    """Answer a poll with the status `word`."""
    answer = fixture("task-running")
    answer["output"].update(task_status=word, **output)
    return says(answer)


def succeeded(path="/video.mp4"):
    """Answer a poll with a video at `path` of this service, or at another URL."""

    def answer(handler):
        document = fixture("task-succeeded")
        url = path if "://" in path else handler.server.root + path
        document["output"]["results"]["video_url"] = url
        says(document)(handler)

    return answer


def reset(handler):
    """Reset the connection instead of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The handler's own files keep the socket open: close what they are made on.
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()
    handler.close_connection = True


def stall(handler):
    """Answer nothing until the service ends."""
    handler.server.ended.wait(20)
    handler.close_connection = True


def drip(handler):
    """Send a byte of the answer now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not handler.server.ended.wait(0.05):
            handler.wfile.write(b" ")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.server.before_body and self.command == "POST":
            self.server.seen.append(self)
            return reset(self)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self)
        route = self.path.rpartition("/")[2].partition("?")[0]
        if "/tasks/" in self.path:
            route = "tasks"
        script = self.server.script.get(route) or [raw(404, b"{}")]
        with contextlib.suppress(OSError):
            (script.pop(0) if len(script) > 1 else script[0])(self)
        return None

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Service(http.server.ThreadingHTTPServer):
    """The service while it is used as a context; `seen` has the requests, `root` its address."""

    daemon_threads = True

    def __init__(self, **script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = {
            "face-detect": [fails("detection-pass", 200)],
            "video-synthesis": [fails("task-created", 200)],
            "tasks": [status_of("PENDING"), status_of("RUNNING"), succeeded()],
            "video.mp4": [raw(200, VIDEO, Content_Type="video/mp4")],
            **{name.replace("_", "-").replace("-mp4", ".mp4"): v for name, v in script.items()},
        }
        self.seen = []
        self.before_body = False
        self.ended = threading.Event()
        self.root = f"http://127.0.0.1:{self.server_port}"
        self.base_url = self.root + "/api/v1"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_):
        pass  # a client that is killed, or that gives up, is part of the tests

    @property
    def posts(self):
        return [handler for handler in self.seen if handler.command == "POST"]

    @property
    def polls(self):
        return [handler for handler in self.seen if "/tasks/" in handler.path]


def main(words):
    """Serve for an hour, or with `start` in the background; print what a shell must know."""
    if words == ["start"]:
        running = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        print(running.stdout.readline().strip(), f"EMO_SERVICE={running.pid}")
        return
    with Service() as service:
        print(f"export DASHSCOPE_BASE_URL={service.base_url} DASHSCOPE_API_KEY={KEY}", flush=True)
        service.ended.wait(3600)


if __name__ == "__main__":
    main(sys.argv[1:])
