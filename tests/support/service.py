"""A scripted service on 127.0.0.1, with the answers of the real one, that misbehaves on demand.

    $ eval "$(python3 tests/support/service.py start)"
    $ echo $DASHSCOPE_BASE_URL
    http://127.0.0.1:53211/api/v1
    $ kill $EMO_SERVICE

Each generation makes a task with an id of its own. Its polls say PENDING, RUNNING and SUCCEEDED,
and its video has bytes that no other task's has.

It plays two more parts at the same address: the temporary store for local files, and, as a proxy,
the public internet with the pictures and recordings behind links. Nothing is forwarded anywhere:
to speak as an https host it has tests/fixtures/links-server.pem, whose authority a client takes
from SSL_CERT_FILE. What it is sent it takes only in the one form that is documented.

A script is a list of answers for each route; the last one is repeated. An answer is a function
that gets the request's handler.
"""

import base64
import contextlib
import copy
import functools
import html
import http.server
import json
import random
import re
import shlex
import socket
import ssl
import struct
import subprocess
import sys
import threading
import uuid
import zlib
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
KEY = "sk-of-no-account"
BOXES = {
    "1:1": {"face_bbox": [302, 286, 610, 593], "ext_bbox": [71, 9, 840, 778]},
    "3:4": {"face_bbox": [302, 286, 610, 593], "ext_bbox": [168, 9, 745, 778]},
}
STEPS = ("PENDING", "RUNNING", "SUCCEEDED")
FORM = {  # an upload's fields: the member of its policy that gives the value
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
    "key": "",
    "success_action_status": "",
    "file": "",
}
PART = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([^"\r\n]+)"(?:; filename="([^"\r\n]+)")?'
    rb"(?:\r\nContent-Type: [^\r\n]+)?\r\n\r\n(.*)",
    re.DOTALL | re.IGNORECASE,
)
MIB = 1024 * 1024
HOUR = 3600


def fixture(name):
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def video_of(task_id):
    """Return the video of a task: two boxes, of which no other task has the second."""
    pictures = random.Random(task_id).randbytes(200 * 1024)
    head = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"
    return head + struct.pack(">I4s", 8 + len(pictures), b"mdat") + pictures


# What is behind links


def png(width, height):
    """Return a grey picture, 8 bits a pixel."""
    rows = (b"\0" + b"\x80" * width) * height  # the first byte of a row says: no filter
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def wav(seconds):
    """Return silence, 8 bits at 8000 Hz."""
    sound = b"\x80" * round(seconds * 8000)
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + layout + struct.pack("<4sI", b"data", len(sound)) + sound
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def mp3(seconds):
    """Return silence, MPEG 2.5 layer III: each frame has 72 bytes, and 576 samples at 8000 Hz."""
    return b"\xff\xe3\x18\xc4".ljust(72, b"\0") * round(seconds * 8000 / 576)


PORTRAIT = png(1000, 1000)
SPEECH = mp3(12.4)
SPEECH_WAV = wav(12.4)


# Answers of any kind


class Refused(Exception):
    """Raised with the answer that a request gets in place of the one that it asks for."""


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


def chunked(body, size=1000, end=b"0\r\n\r\n"):
    """Answer with `body` in chunks (RFC 9112, section 7.1)."""
    parts = [body[place : place + size] for place in range(0, len(body), size)]
    data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return raw(200, data + end, Content_Length=None, Transfer_Encoding="chunked")


def says(document, status=200, **headers):
    return raw(status, json.dumps(document).encode(), **headers)


def fails(name, status, **headers):
    return says(fixture(name), status, **headers)


def refuses(status, code, message):
    """Answer with an error as the service writes it."""
    return says({"code": code, "message": message, "request_id": str(uuid.uuid4())}, status)


def store_fails(status, code, message):
    """Answer with an error as the temporary store writes it."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n  <Code>{code}</Code>\n'
        f"  <Message>{html.escape(message, quote=False)}</Message>\n"
        f"  <RequestId>{uuid.uuid4().hex[:24].upper()}</RequestId>\n</Error>"
    )
    return raw(status, body.encode(), Content_Type="application/xml")


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


def moments(handler):
    """Yield now and then until the service ends; its client's clock goes on by 3 s meanwhile."""
    left = 6
    while not handler.server.ended.wait(0.02):
        handler.server.passes(0.5 if left > 0 else 0)
        left -= 1
        yield


def stall(handler):
    """Answer nothing until the service ends."""
    for _ in moments(handler):
        pass
    handler.close_connection = True


def drip(handler, start=b""):
    """Send a byte of the answer now and then, for ever, after its `start`."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(start)
        for _ in moments(handler):
            handler.wfile.write(b" ")


# Answers of the real one


def check_body(handler):
    """Check what a detection or a generation is asked for: members and links; raises `Refused`."""
    body = json.loads(handler.body)
    if not {"model", "input"} <= set(body) <= {"model", "input", "parameters"}:
        raise Refused(refuses(400, "InvalidParameter", f"members: {', '.join(body)}"))
    for name, link in body["input"].items():
        if name.endswith("_url"):
            check_link(handler, name, str(link), body["model"])


def check_link(handler, name, link, model):
    """Check a link of a body: one to the temporary store is its model's, and to be resolved."""
    scheme, _, key = link.partition("://")
    if scheme != "oss" and scheme.lower() not in ("http", "https"):
        raise Refused(refuses(400, "InvalidParameter", f"{name} is no URL that is taken: {link}"))
    owner, _ = handler.server.store.get(key, ("nobody", b""))
    resolves = handler.headers.get("X-DashScope-OssResourceResolve") == "enable"
    if scheme == "oss" and not (resolves and owner == model):
        message = f"{name}: {link} is of {owner}" if resolves else "oss:// is not to be resolved"
        raise Refused(refuses(400, "invalid_parameter_error", message))


def detected(handler):
    """Answer a detection with boxes of the ratio that it asks for."""
    check_body(handler)
    answer = fixture("detection-pass")
    answer["output"].update(BOXES[json.loads(handler.body)["parameters"]["ratio"]])
    says(answer)(handler)


def created(handler, task_id=None):
    """Make a task."""
    check_body(handler)
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


def about(document):
    """Answer a poll with `document`, as one about the task that is polled."""

    def answer(handler):
        output = {**document["output"], "task_id": unquote(handler.path.rpartition("/")[2])}
        says({**document, "output": output})(handler)

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


# Answers of the temporary store


def policy_with(**changes):
    """Answer with a new policy for an upload that has `changes`; what becomes None is left out."""

    def answer(handler):
        if handler.headers.get("Authorization") != f"Bearer {KEY}":
            raise Refused(fails("error-401", 401))
        query = parse_qsl(urlsplit(handler.path).query, keep_blank_values=True)
        model = dict(query).get("model")
        wanted = [("action", "getPolicy"), ("model", model)]
        if handler.command != "GET" or not model or sorted(query) != wanted:
            raise Refused(refuses(400, "InvalidParameter", "give action=getPolicy and a model"))
        document = fixture("upload-policy")
        unique = uuid.uuid4()
        data = {
            **document["data"],
            "policy": base64.b64encode(unique.bytes * 3).decode(),
            "signature": base64.b64encode(uuid.uuid4().bytes).decode(),
            "upload_dir": f"dashscope-instant/{unique.hex}",
            "upload_host": handler.server.root,
            **changes,
        }
        document["data"] = {name: value for name, value in data.items() if value is not None}
        handler.server.policies[data["policy"]] = (model, document["data"])
        says(document)(handler)

    return answer


policy = policy_with()


def form_of(handler):
    """Return an upload's fields by name, `file` as bytes (RFC 7578); raises `Refused`."""
    boundary = handler.headers.get_boundary()
    if handler.headers.get_content_type() != "multipart/form-data" or not boundary:
        raise Refused(store_fails(400, "InvalidArgument", "it is no multipart/form-data"))
    start, *parts = (b"\r\n" + handler.body).split(b"\r\n--" + boundary.encode())
    if start or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise Refused(store_fails(400, "InvalidArgument", "the form has more than its parts"))
    form = {}
    for part in parts:
        found = PART.fullmatch(part)
        if not found:
            raise Refused(store_fails(400, "InvalidArgument", "a part is malformed"))
        name, filename, value = found[1].decode("utf-8", "replace"), found[2], found[3]
        for what, is_wrong in (
            ("is unknown", name not in (*FORM, "x-oss-content-type")),
            ("is doubled", name in form),
            ("is empty", not value),
            ("stands after file", "file" in form),
            ("has a filename", filename and name != "file"),
            ("has no filename", not filename and name == "file"),
        ):
            if is_wrong:
                raise Refused(store_fails(400, "InvalidArgument", f"{name} {what}"))
        form[name] = value if name == "file" else value.decode("utf-8", "replace")
    for name in FORM:
        if name not in form:
            raise Refused(store_fails(400, "InvalidArgument", f"{name} is missing"))
    return form


def stored(handler):
    """Keep a file that comes with a policy that was given out; it is for the policy's model."""
    if "Authorization" in handler.headers:
        raise Refused(store_fails(400, "InvalidArgument", "the API key has no business here"))
    form = form_of(handler)
    key, content = form["key"], form["file"]
    model, data = handler.server.policies.get(form["policy"], ("", {}))
    for field, member in FORM.items():
        if member and form[field] != str(data.get(member, "")):
            code = "AccessDenied" if field.startswith("x-oss-") else "SignatureDoesNotMatch"
            raise Refused(store_fails(403, code, f"{field} is not the policy's"))
    folder, _, name = key.rpartition("/")
    is_outside = not name or folder != data.get("upload_dir")
    limit = str(data.get("max_file_size_mb"))
    is_large = limit.isdigit() and len(content) > int(limit) * MIB
    for status, code, message, is_wrong in (
        (400, "InvalidArgument", "no 200 is asked for", form["success_action_status"] != "200"),
        (403, "AccessDenied", "key is not upload_dir/NAME", is_outside),
        (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.", is_large),
        (409, "FileAlreadyExists", "The object already exists.", key in handler.server.store),
    ):
        if is_wrong:
            raise Refused(store_fails(status, code, message))
    handler.server.store[key] = (model, content)
    raw(200, b"", Content_Type=None)(handler)


# Answers of the public internet


def link(handler):
    """Answer with the picture or recording that the end of the path asks for."""
    name = file_name(handler.url).lower()
    ending = name.rpartition(".")[2]
    if ending == "mp3":
        answer = raw(200, SPEECH, Content_Type="audio/mpeg")
    elif ending == "wav":
        answer = raw(200, SPEECH_WAV, Content_Type="audio/wav")
    elif ending in ("png", "jpg", "jpeg", "bmp", "webp") or "portrait" in name:
        answer = raw(200, PORTRAIT, Content_Type="image/png")
    else:
        answer = raw(404, b"<html><body>Not found</body></html>", Content_Type="text/html")
    answer(handler)


def file_name(url):
    return unquote(urlsplit(url).path.rpartition("/")[2])


@functools.cache
def tls():
    """Return what speaks as the https hosts of links; only the tests that need it wait for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(FIXTURES / "links-server.pem"))  # PyPy takes no Path
    return context


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # each answer is two writes, and the second would wait 40 ms
    origin = ""  # the https host that a client of the proxy speaks with

    def answer(self):
        if self.server.before_body and self.command == "POST":
            self.server.seen.append(self)
            return reset(self)
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_look = self.origin or self.path.startswith("http://")
        answer = self.look() if is_look else self.scripted()
        with contextlib.suppress(OSError):
            try:
                answer(self)
            except Refused as refused:
                refused.args[0](self)
        return None

    do_GET = do_POST = answer

    def scripted(self):
        """Return the next answer of the route."""
        self.server.seen.append(self)
        folder, _, name = self.path.partition("?")[0].rpartition("/")
        route = folder.rpartition("/")[2]
        route = route if route in ("tasks", "videos") else name
        route = "store" if (self.command, self.path) == ("POST", "/") else route
        script = self.server.script.get(route) or [raw(404, b"{}")]
        return script.pop(0) if len(script) > 1 else script[0]

    def look(self):
        """Return what the link answers that a client of the proxy asks for."""
        self.url = self.origin + self.path
        self.server.looks.append(copy.copy(self))  # the next one may come on this connection
        if self.command != "GET":
            return raw(405, b"")
        links = self.server.links
        return links.get(self.url.partition("?")[0]) or links.get(file_name(self.url), link)

    def do_CONNECT(self):
        """Go on as the host that is asked for."""
        self.origin = "https://" + self.path.removesuffix(":443")
        self.send_response_only(200)
        self.end_headers()
        self.request = tls().wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def finish(self):
        super().finish()
        if self.origin:
            self.request.close()  # the server knows only the socket below it

    def log_message(self, *_):
        pass


class Service(http.server.ThreadingHTTPServer):
    """The service while it is used as a context.

    `seen` has the requests, `tasks` how often each task was polled, `lines` the connections that
    are open, `root` its address, `environment` the variables that point a program to it.

    `policies` has (model, data) by the policy, and `store` (model, content) by the key. `links` has
    the answers, by URL without query or by file name, of links that do not answer as `link` does,
    and `looks` the requests to links of all kinds, with their `url`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, links=(), **script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = {
            "face-detect": [detected],
            "video-synthesis": [created],
            "tasks": [polled],
            "videos": [video],
            "uploads": [policy],
            "store": [stored],
            **{name.replace("_", "-"): answers for name, answers in script.items()},
        }
        self.seen = []
        self.tasks = {}
        self.policies, self.store = {}, {}
        self.links, self.looks = dict(links), []
        self.lines = set()
        self.before_body = False
        self.passes = lambda _: None  # what is told of seconds that pass with nothing to come
        self.ended = threading.Event()
        self.root = f"http://127.0.0.1:{self.server_port}"
        self.base_url = self.root + "/api/v1"
        self.environment = {
            "DASHSCOPE_HTTP_BASE_URL": "",  # it would come first
            "DASHSCOPE_BASE_URL": self.base_url,
            "https_proxy": self.root,
            "http_proxy": self.root,
            "no_proxy": "",
            "SSL_CERT_FILE": str(FIXTURES / "links-ca.pem"),
        }

    def __enter__(self):
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        socket.create_connection(self.server_address).close()  # wakes up who waits for one
        self.serving.join()
        self.server_close()

    def serve(self):
        while not self.ended.is_set():
            with contextlib.suppress(OSError):  # who has come may be gone already
                self.process_request(*self.get_request())

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

    @property
    def uploads(self):
        return [h for h in self.posts if h.path == "/"]


class Server:
    """A server, while it is used as a context, that talks with each connection as it is told."""

    def __init__(self, talk):
        self.talk, self.asked, self.ends = talk, [], []
        self.ended = threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.url = f"http://{self.place}/x"

    def __enter__(self):
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        # One left behind would wake up at a signal, and take the connections of who has its number.
        socket.create_connection(self.socket.getsockname()).close()
        self.serving.join()
        self.socket.close()

    def serve(self):
        while not self.ended.is_set():
            with contextlib.suppress(OSError):  # who has come may be gone already
                line, _ = self.socket.accept()
                threading.Thread(target=self.speak, args=(line,), daemon=True).start()

    def speak(self, line):
        with line, contextlib.suppress(OSError):
            self.talk(self, line)
            line.settimeout(20)
            while line.recv(65536):
                pass
            self.ends.append(line)  # the other side has closed it


class Proxy(Server):
    """A proxy that gives one `answer` to whatever it is asked.

    Then it hangs up, or with `drips` goes on with a byte now and then.
    """

    def __init__(self, answer, drips=False):
        def talk(_, line):
            self.asked.append(line.recv(65536))
            line.sendall(answer)
            while drips and not self.ended.wait(0.05):
                line.sendall(b"x")
            line.shutdown(socket.SHUT_RDWR)

        super().__init__(talk)
        self.url = f"http://{self.place}"


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
        words = {"DASHSCOPE_API_KEY": KEY, **service.environment}
        told = (f"{name}={value and shlex.quote(value)}" for name, value in words.items())
        print("export", *told, flush=True)
        service.ended.wait(HOUR)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
