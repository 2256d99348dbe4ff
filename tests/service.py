"""A scripted service on 127.0.0.1, with the answers of the real one, that misbehaves on demand.

    $ eval "$(python3 tests/service.py start)"
    $ echo $DASHSCOPE_BASE_URL
    http://127.0.0.1:53211/api/v1
    $ kill $EMO_SERVICE

Each generation makes a task with an id of its own. Its polls say PENDING, RUNNING and SUCCEEDED,
and its video has bytes that no other task's has.

A script is a list of answers for each route; the last one is repeated. An answer is a function
that gets the request's handler.
"""

import contextlib
import http.server
import json
import random
import socket
import struct
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from urllib.parse import unquote

FIXTURES = Path(__file__).resolve().parent / "fixtures"
KEY = "sk-of-no-account"
BOXES = {
    "1:1": {"face_bbox": [302, 286, 610, 593], "ext_bbox": [71, 9, 840, 778]},
    "3:4": {"face_bbox": [302, 286, 610, 593], "ext_bbox": [168, 9, 745, 778]},
}
STEPS = ("PENDING", "RUNNING", "SUCCEEDED")
HOUR = 3600


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def video_of(task_id):
    """Return the video of a task: it begins as an MP4 does, and no other task has the rest."""
    return b"\0\0\0\x18ftypmp42" + random.Random(task_id).randbytes(200 * 1024)


# Answers of any kind


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


def after(seconds, answer):
    """Give `answer` after some time, or when the service ends."""

    def late(handler):
        handler.server.ended.wait(seconds)
        answer(handler)

    return late


def announced(answer, *statuses):
    """Give `answer` after others that only announce it."""

    def interim(handler):
        for status in statuses:
            handler.send_response_only(status)
            handler.send_header("Link", "</style.css>; rel=preload")
            handler.end_headers()
        answer(handler)

    return interim


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


def drip(handler, start=b""):
    """Send a byte of the answer now and then, for ever, after its `start`."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(start)
        while not handler.server.ended.wait(0.05):
            handler.wfile.write(b" ")


# Answers of the real one


def detected(handler):
    """Answer a detection with boxes of the ratio that it asks for."""
    answer = fixture("detection-pass")
    answer["output"].update(BOXES[json.loads(handler.body)["parameters"]["ratio"]])
    says(answer)(handler)


def created(handler, task_id=None):
    """Make a task."""
    task_id = task_id or str(uuid.uuid4())
    handler.server.tasks[task_id] = 0
    answer = fixture("task-created")
    answer["output"]["task_id"] = task_id
    says(answer)(handler)


def polled(handler):
    """Tell how far a task is: a step further with each poll."""
    task_id = unquote(handler.path.rpartition("/")[2])
    step = handler.server.tasks.get(task_id)
    if step is None:
        return status_of("UNKNOWN")(handler)
    handler.server.tasks[task_id] += 1
    word = STEPS[min(step, len(STEPS) - 1)]
    return (succeeded() if word == "SUCCEEDED" else status_of(word))(handler)


def status_of(word, **output):
    """Answer a poll with the status `word`."""

    def answer(handler):
        document = fixture("task-running")
        task_id = unquote(handler.path.rpartition("/")[2])
        document["output"].update(task_id=task_id, task_status=word, **output)
        says(document)(handler)

    return answer


def succeeded(link=None):
    """Answer a poll with the video of its task, or with another `link`, or a path here."""

    def answer(handler):
        document = fixture("task-succeeded")
        task_id = unquote(handler.path.rpartition("/")[2])
        url = link or f"/videos/{task_id}.mp4?Expires=9999999999&Signature=s3cret"
        url = url if "://" in url else handler.server.root + url
        document["output"].update(task_id=task_id, results={"video_url": url})
        says(document)(handler)

    return answer


def video(handler):
    """Answer a download with the bytes of the task that its link names."""
    name = unquote(handler.path.partition("?")[0].rpartition("/")[2])
    raw(200, video_of(name.rpartition(".")[0]), Content_Type="video/mp4")(handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # each answer is two writes, and the second would wait 40 ms

    def answer(self):
        if self.server.before_body and self.command == "POST":
            self.server.seen.append(self)
            return reset(self)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(self)
        folder, _, name = self.path.partition("?")[0].rpartition("/")
        route = folder.rpartition("/")[2]
        route = route if route in ("tasks", "videos") else name
        script = self.server.script.get(route) or [raw(404, b"{}")]
        with contextlib.suppress(OSError):
            (script.pop(0) if len(script) > 1 else script[0])(self)
        return None

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Service(http.server.ThreadingHTTPServer):
    """The service while it is used as a context.

    `seen` has the requests, `tasks` how often each task was polled, `lines` the connections that
    are open, `root` its address.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, **script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = {
            "face-detect": [detected],
            "video-synthesis": [created],
            "tasks": [polled],
            "videos": [video],
            **{name.replace("_", "-"): answers for name, answers in script.items()},
        }
        self.seen = []
        self.tasks = {}
        self.lines = set()
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

    def get_request(self):
        line, address = super().get_request()
        self.lines.add(line)
        return line, address

    def shutdown_request(self, line):
        super().shutdown_request(line)
        self.lines.discard(line)

    def handle_error(self, *_):
        pass  # a client that is killed, or that gives up, is part of the tests

    def of(self, method="GET", path=""):
        """Return the requests with this method whose path contains `path`."""
        return [h for h in list(self.seen) if h.command == method and path in h.path]

    @property
    def posts(self):
        return self.of("POST")

    @property
    def polls(self):
        return self.of(path="/tasks/")

    @property
    def downloads(self):
        return self.of(path="/videos/")


class Proxy:
    """A proxy, while it is used as a context, that gives one `answer` to whatever it is asked.

    Then it hangs up, or with `drips` goes on with a byte now and then.
    """

    def __init__(self, answer, drips=False):
        self.answer, self.drips = answer, drips
        self.ended = threading.Event()
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.socket.close()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.socket.accept()
                threading.Thread(target=self.speak, args=(line,), daemon=True).start()

    def speak(self, line):
        with line, contextlib.suppress(OSError):
            self.asked.append(line.recv(65536))
            line.sendall(self.answer)
            while self.drips and not self.ended.wait(0.05):
                line.sendall(b"x")


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
        return 0
    if words:
        print(f"{' '.join(words)!a} is not known: give start, or nothing", file=sys.stderr)
        return 2
    with Service() as service:
        print(f"export DASHSCOPE_BASE_URL={service.base_url} DASHSCOPE_API_KEY={KEY}", flush=True)
        service.ended.wait(HOUR)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
