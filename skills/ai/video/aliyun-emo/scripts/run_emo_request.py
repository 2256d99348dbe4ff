#!/usr/bin/env python3
"""Run a prepared EMO request: send it once, wait for its task, and bring the answer home.

    $ python3 run_emo_request.py output/aliyun-emo/detect_request.json
    {"ok": true, "detection_path": "output/aliyun-emo/detection.json", "check_pass": true, ...}
    $ python3 run_emo_request.py output/aliyun-emo/request.json
    paying for 3f9a12c07b1e: portrait.png, speech.mp3; 512x512, active
    {"ok": true, "state": "made", "task_path": "output/aliyun-emo/tasks/3f9a12c07b1e/task.json", ...

The second costs money. Run the same command until it ends with 0: killed, interrupted or out of
time, it goes on where it was, and pays once. Without a file it tells what there is:

    $ python3 run_emo_request.py
    {"ok": true, "tasks": [{"task_path": "output/aliyun-emo/tasks/3f9a12c07b1e/task.json", ...

Each paid task has a folder of its own, named for what was asked for. Whoever makes the folder
sends the request, and everybody else finds it there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from errno import ENOSPC
from time import monotonic, sleep, time

try:
    from prepare_emo_request import (
        BOX_FIELDS,
        DETECTION_MODEL,
        DETECTION_MODEL_ON_WIRE,
        EXIT_CODES,
        FORMATS,
        MAX_JSON,
        MAX_PICTURE,
        MAX_RECORDING,
        PORTRAIT_REMEDY,
        PRICES,
        PRICES_OF,
        TEMPORARY_NAME,
        VIDEO_SIZES,
        Problem,
        Report,
        check_detection,
        check_host,
        check_medium,
        check_other_file,
        check_writable,
        estimate,
        evidence_path,
        file_name,
        if_offered,
        instant,
        is_number,
        is_visible_ascii,
        link_identity,
        local_path,
        look_again,
        media_module,
        member,
        move,
        neighbour,
        not_taken_problem,
        option,
        output_path,
        printable,
        ratio_of,
        read_json,
        refusal_problem,
        replace_file,
        request_name,
        request_of,
        run_command_line,
        service_text,
        shown,
        split_link,
        sync_folder,
        temporary_name,
        utc,
        write_json,
    )
except ImportError:
    message = "prepare_emo_request.py of the same version is not beside this program"
    hint = "Copy the whole folder scripts, and start the program without -I."
    error = {"field": "arguments", "message": message, "hint": hint}
    print(json.dumps({"ok": False, "errors": [error]}))
    if sys.stderr:
        print(f"error: arguments: {message}. {hint}", file=sys.stderr)
    sys.exit(2)

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from email.message import Message
    from http.client import HTTPConnection, HTTPResponse
    from socket import socket
    from threading import Timer
    from types import FrameType
    from typing import Any, NoReturn
    from urllib.parse import SplitResult
    from urllib.request import OpenerDirector

    from prepare_emo_request import Files, Json, LocalFile, Program, Values

# --- 1. Contract: the facts of the service ------------------------------------------------------

BASE_URL = "https://dashscope.aliyuncs.com/api/v1"
DETECTION_PATH = "/services/aigc/image2video/face-detect"
GENERATION_PATH = "/services/aigc/image2video/video-synthesis"
TASK_PATH = "/tasks/"
POLICY_PATH = "/uploads?action=getPolicy&model="
# What the form of an upload takes from the policy (contract, "Temporary store for local files").
FORM = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}
POLICY = (*FORM.values(), "upload_dir", "upload_host", "max_file_size_mb")
CREDENTIALS = os.path.join("~", ".alibabacloud", "credentials")

UNFINISHED = ("PENDING", "PRE-PROCESSING", "RUNNING", "POST-PROCESSING", "SUSPENDED")
FAILED = ("FAILED", "CANCELED")
SUCCEEDED = "SUCCEEDED"
GONE = "UNKNOWN"  # no such task, or older than this:
TASK_LIFETIME = 24 * 3600  # seconds, of tasks and of the links of videos
SHORTEST_INTERVAL = 0.05  # seconds: 20 queries a second for the whole account
BUSY = 429  # HTTP: certainly not taken
TRANSIENT = (408, 425, BUSY)  # HTTP: another time the answer may be another one

CONNECT_TIMEOUT, READ_TIMEOUT = 10, 30  # seconds
PAUSES = (1, 2, 4, 8)  # seconds before a request is sent again, so five tries
RESEND_TIME = 30  # seconds within which they must start
LONGEST_PAUSE = 60  # seconds between two polls when the service does not answer them
GRACE = 5  # seconds that an interrupt leaves to the answer of what was paid for
LOOK_TIME = 20  # seconds for a look at the links
NOT_FOR_ALL = (401, 403, 404, 410)  # HTTP: not for the service either
DOWNLOADS = 3  # tries
REDIRECTS = 5  # that a download follows
MAX_VIDEO = 512 * 1024 * 1024  # bytes
PIECE = 64 * 1024  # bytes that go up or come down at once
SLOWEST, SLOW_TIME = 1024, 60  # bytes a second, over as many seconds
DEEPEST = 100  # levels of an answer
HEARTBEAT = 60  # seconds between two lines of progress at most
AT_WORK = 120  # seconds for which another run may be sending what it has claimed
STALE = 24 * 3600  # seconds after which a temporary file is nobody's any more

PRINTING = "".join(map(chr, range(33, 127)))  # what may stand in the first line of a request
UNTOLD = "untold"  # a file that marks an attempt of --again, until its end was told
# Codes and messages that are about a link, if not about what is behind it.
ABOUT_A_LINK = (
    r"oss://|^(invalid_parameter_error|InvalidURL.*|InvalidParameter\.DataInspection):"
    "|^InvalidParameter:.*[Uu][Rr][Ll]"
)
STATES = ("sending", "unclear", "made", "refused")
LOOK_FIRST = (
    "Look at the account's tasks in the console: --task ID goes on with one that is there, --again "
    "pays for one."
)

# --- 2. Validation: text in, value or problems out ----------------------------------------------


def check_seconds(field: str, text: str, least: float) -> float:
    """Return `text` as seconds, from `least` to a day, after which a task is gone."""
    number = text.replace(".", "", 1)
    seconds_given = float(text) if is_number(number) else -1
    if least <= seconds_given <= TASK_LIFETIME:
        return seconds_given
    wanted = f"a number of seconds from {least:g} to {TASK_LIFETIME}"
    raise Problem(field, f"{shown(text)} is not {wanted}", f"Give {wanted}.")


def check_task_id(text: str) -> str:
    """Return a task's id, which goes into a path of the service; raises `Problem`."""
    if text.strip(".") and is_visible_ascii(text) and "://" not in text:
        return text
    hint = "Copy task_id from the line that was printed, or from task.json."
    raise Problem("task", f"{shown(text)} is not the id of a task", hint)


def check_key(text: str) -> str:
    """Return the API key; raises `Problem`, which never shows it."""
    both = f"DASHSCOPE_API_KEY, or dashscope_api_key in {CREDENTIALS}"
    if not text:
        raise Problem("api_key", "there is no API key", f"Put a Beijing key into {both}.")
    if text[0] in "'\"\u2018\u201c" or text[-1] in "'\"\u2019\u201d":
        message = "the API key still has its quotes"
        raise Problem("api_key", message, f"Take the quotes out of {both}.")
    if not is_visible_ascii(text):
        message = "the API key has more than visible ASCII characters"
        raise Problem("api_key", message, f"Correct it in {both}.")
    return text


def check_base_url(text: str) -> str:
    """Return the service's base URL without a slash at its end; raises `Problem`.

    The key goes there, so only https, and plain http where it does not leave this machine.
    """
    hint = f"Set DASHSCOPE_BASE_URL to an https URL, or unset it for {BASE_URL}."
    parts = plain_url(text)
    if not parts:
        raise Problem("base_url", f"{shown(text)} is not the base of a service", hint)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts)):
        raise Problem("base_url", f"{shown(text)} would send the API key unprotected", hint)
    return text.rstrip("/")


def plain_url(text: str) -> SplitResult | None:
    """Return the parts of a URL that is a host and perhaps a path, and nothing else, or None."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and is_visible_ascii(text)
    except ValueError:
        return None
    return parts if usable and not set("@?#") & set(text) else None


def is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127\.[0-9.]+", host))


# --- 3. Requests: what is sent, and the normal form of what comes back ---------------------------


def body_to_send(request: Json) -> Json:
    """Return the body of a prepared `request`; the detection model has another name over the wire.

    (Contract, section 1.)
    """
    wire = {DETECTION_MODEL: DETECTION_MODEL_ON_WIRE}
    body = {**request, "model": wire.get(request["model"], request["model"])}
    body.pop("files", None)
    return body


def uses_store(body: object) -> bool:
    """Whether a `body` that is sent has links of the service's temporary store."""
    return any(str(value).startswith("oss://") for value in member(body, "input").values())


def store_name(file: LocalFile) -> str:
    """Return the name of a local `file` in the store, in which nothing is of its folder."""
    name = os.path.basename(local_path(file.url))
    return f"{file.digest[:12]}-{re.sub('[^A-Za-z0-9._-]+', '_', name)[-80:]}"


def price_words(price: Json | None, ratio: str) -> str:
    """Return the `price` that is estimated, or else what a second costs, for people."""
    words = f"CNY {PRICES[ratio]} a second"
    if price:
        words = f"{price['seconds']:g} s, about CNY {price['cny']:.2f}"
    return f"{words} (prices of {PRICES_OF})"


def task_answer(task_id: str, answer: Json) -> Json:
    """Return the normalized form of the service's `answer` about a task, for response.json."""
    output = answer["output"]
    video_url = member(output, "results").get("video_url")
    values = {
        "task_id": task_id,
        "task_status": output["task_status"],
        "video_url": video_url or output.get("video_url"),
        "code": output.get("code"),
        "message": output.get("message"),
        "submit_time": output.get("submit_time"),
        "scheduled_time": output.get("scheduled_time"),
        "end_time": output.get("end_time"),
        "usage": answer.get("usage"),
        "request_id": answer.get("request_id"),
    }
    return {name: value for name, value in values.items() if value is not None}


def text_in(document: Json, name: str) -> str:
    """Return the text that `document` has by this name, or ""."""
    value = document.get(name)
    return value if isinstance(value, str) else ""


def state_of(path: str, status: int, said: object) -> str:
    """Return what an answer to a POST at `path` means: a word of `STATES`, or "not taken"."""
    if status < 300 and path == GENERATION_PATH:
        return "made" if text_in(member(said, "output"), "task_id") else "unclear"
    if status < 300:
        return "made" if isinstance(member(said, "output").get("check_pass"), bool) else "unclear"
    if status == BUSY:
        return "not taken"
    return "unclear" if status >= 500 or status == 408 else "refused"


def timestamp() -> str:
    """Return the time now as "2026-01-01T00:00:00.000000Z"."""
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- 4. Files: a folder for each task ------------------------------------------------------------


def read_evidence(path: str) -> Json:
    """Return the JSON object in the file `path` of the evidence, {} where there is none to read."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


class Task:
    """A task's folder: its `record` is task.json, and its `answer` response.json, as last seen."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.is_new = False  # made by this run
        self.record = read_evidence(self.path("task.json"))
        self.answer = read_evidence(self.path("response.json"))

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def found(self, name: str) -> str | None:
        """Return the path of the file `name`, or None where there is none."""
        return self.path(name) if os.path.isfile(self.path(name)) else None

    @property
    def state(self) -> str:
        state = self.record.get("state")
        return state if state in STATES else "sending"

    @property
    def task_id(self) -> str:
        made = member(self.record.get("response"), "output")
        return text_in(self.answer, "task_id") or text_in(made, "task_id")

    @property
    def status(self) -> str:
        """The last status that is known, or ""."""
        if self.video_path:
            return SUCCEEDED
        made = member(self.record.get("response"), "output")
        return text_in(self.answer, "task_status") or text_in(made, "task_status")

    @property
    def video_url(self) -> str:
        return text_in(self.answer, "video_url")

    @property
    def video_path(self) -> str | None:
        """The path of the video, which is there whole or not at all."""
        return self.found("video.mp4")

    @property
    def saved_at(self) -> str:
        """When its record was written, else its folder, as UTC."""
        saved_at = text_in(self.record, "saved_at")
        if instant(saved_at) is not None:
            return saved_at
        try:
            return utc(int(os.stat(self.folder).st_mtime))
        except OSError:  # removed just now
            return utc(int(time()))

    @property
    def age(self) -> float:
        """Seconds since its request was sent."""
        return time() - (instant(self.saved_at) or 0)

    @property
    def has_ended(self) -> bool:
        """Whether its end is known, so that the service need not be asked."""
        fetched = self.video_path or self.video_url
        return self.status in FAILED or (self.status == SUCCEEDED and bool(fetched))

    def write(self, **changes: Any) -> None:
        """Change the record, synced; raises `OSError`."""
        self.record = {**self.record, **changes}
        write_json(self.path("task.json"), self.record, sync=True)

    def remove(self) -> None:
        """Remove the folder at once, for a request that certainly never left."""
        import shutil

        aside = os.path.join(os.path.dirname(self.folder), temporary_name())
        move(self.folder, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def tell(self, report: Report) -> None:
        """Put what is known into the line for stdout."""
        report.facts.update(
            state=self.state,
            task_path=self.found("task.json"),
            task_id=self.task_id or None,
            task_status=self.status or None,
            already_submitted=not self.is_new,
            video_url=self.video_url or None,
            video_path=self.video_path,
            response_path=self.found("response.json"),
        )


def attempts(tasks: str, name: str) -> list[tuple[int, Task]]:
    """Return the folders for the request `name` with their numbers, the oldest first."""
    found = []
    for entry in os.listdir(tasks) if os.path.isdir(tasks) else []:
        match = re.fullmatch(rf"{name}(?:-([1-9][0-9]{{0,8}}))?", entry, re.IGNORECASE)
        if match:
            found.append((int(match[1] or 1), Task(os.path.join(tasks, entry))))
    return sorted(found, key=lambda attempt: attempt[0])


def claim(tasks: str, name: str, number: int) -> Task | None:
    """Return the new folder of an attempt, or None when another process has just made it."""
    os.makedirs(tasks, exist_ok=True)
    folder = os.path.join(tasks, name if number == 1 else f"{name}-{number}")
    try:
        os.mkdir(folder)
    except FileExistsError:
        return None
    task = Task(folder)
    task.is_new = True
    return task


def folder_of_id(tasks: str, task_id: str) -> str:
    """Return the folder of a task that was made elsewhere; its id cannot lead anywhere else.

    Capitals count in an id, and not in the names of every file system.
    """
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,99}", task_id):
        import hashlib

        task_id = "-" + hashlib.sha256(task_id.encode()).hexdigest()
    return os.path.join(tasks, f"id-{task_id}")


def all_tasks(tasks: str) -> list[Task]:
    """Return all tasks, the newest first."""
    names = os.listdir(tasks) if os.path.isdir(tasks) else []
    folders = [os.path.join(tasks, name) for name in names if not name.startswith(".")]
    found = [Task(folder) for folder in folders if os.path.isdir(folder)]
    return sorted(found, key=lambda task: task.saved_at, reverse=True)


def append_snapshot(task: Task, answer: object) -> None:
    """Append a poll's `answer` to polls.jsonl, as one whole line or not at all."""
    line = json.dumps({"polled_at": timestamp(), "response": answer}).encode() + b"\n"
    path = task.path("polls.jsonl")
    try:
        with open(path, "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            written = file.write(line)
            if written != len(line):
                if os.fstat(file.fileno()).st_size == size + written:
                    file.truncate(size)
                raise OSError(ENOSPC, os.strerror(ENOSPC))
    except OSError as error:
        error.filename = path
        raise


def sweep(folder: str) -> None:
    """Remove what killed runs left half written below `folder`, when it is older than a day."""
    import shutil

    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            if re.fullmatch(TEMPORARY_NAME, name):
                with contextlib.suppress(OSError):  # another run is at it, or a later one will be
                    if time() - os.lstat(path).st_mtime > STALE:
                        (shutil.rmtree if name in folders else os.unlink)(path)


# --- 5. Service: the only chapter that opens a socket ---------------------------------------------


class NoAnswer(Exception):
    """There is no answer; `again` tells whether it does no harm to ask again at once."""

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Answer:
    """An HTTP answer: `status`, `document` (JSON, else a text, None for nothing), `retry_after`.

    A `status` of 0 is none at all: `reason` says why, and `again` whether it does no harm to ask
    again at once. One that `is_whole` was not cut short.
    """

    def __init__(
        self, status: int, document: object = None, retry_after: float | None = None
    ) -> None:
        self.status, self.document, self.retry_after = status, document, retry_after
        self.reason, self.again, self.is_whole = f"HTTP {status}", False, True

    def pause_before_next(self, pause: float | None, last_start: float) -> float | None:
        """Return the seconds to wait before a try after this answer, None where there is none.

        They are those of `pause`, or that the answer asks for; no try starts after `last_start`.
        """
        if pause is not None and self.retry_after is not None:
            pause = self.retry_after
        return None if pause is None or monotonic() + pause > last_start else pause


class Flight:
    """A request on its way, and what comes back.

    `left` tells whether its first byte was handed to the connection to the service. With a
    generation money has left, so the first interrupt waits for the answer, until `land`.
    """

    def __init__(self) -> None:
        self.left = self.was_cut = self.is_over = self.was_late = False
        self.interrupted = 0  # the number of the signal
        self.untold = ""  # the mark of a task whose end this run tells
        self.connection: HTTPConnection | None = None
        self.socket: socket | None = None
        self.timer: Timer | None = None

    def send(
        self,
        url: str,
        data: bytes | Iterator[bytes] | None,
        headers: Values,
        seconds: float,
        read_seconds: float,
    ) -> HTTPResponse:
        """Return the response of `url`, whatever its status; a redirect is not followed.

        Connects within `seconds`; `limit` is then set to `read_seconds`. Raises `NoAnswer`.
        """
        from http.client import HTTPException
        from urllib.error import URLError
        from urllib.parse import urlsplit
        from urllib.request import ProxyHandler, Request, getproxies, proxy_bypass

        self.left = self.was_cut = False
        self.connection = self.socket = None
        self.limit(seconds)
        variable = ""
        try:
            parts = urlsplit(url)
            # Plain http to this machine takes no proxy: the key would leave it unprotected.
            direct = parts.scheme == "http" and is_loopback(parts)
            proxies = {} if direct or proxy_bypass(parts.netloc) else getproxies()
            proxy = proxies.get(parts.scheme, "")
            variable = f"{parts.scheme}_proxy" if proxy else ""
            if "://" in proxy and not proxy.lower().startswith("http"):
                raise URLError("only http proxies are supported")
            opener = opener_for(self, read_seconds)
            opener.add_handler(ProxyHandler(proxies))
            response: HTTPResponse = opener.open(Request(url, data, headers), timeout=seconds)
            return response
        except (OSError, HTTPException, ValueError) as error:
            self.limit(None)
            cause = error.reason if isinstance(error, URLError) else error
            reason = "it took too long" if self.was_cut else reason_of(cause)
            if variable and not self.left:
                reason += f", by way of the proxy that {variable} names"
            again = data is None or (not self.left and is_momentary(cause))
            raise NoAnswer(reason, again) from None

    def limit(self, seconds: float | None) -> None:
        """Cut the connection after `seconds` from now, in place of what was set before.

        A socket's own time-out is for one read, and a byte now and then would never end.
        """
        import threading

        if self.timer:
            self.timer.cancel()
        self.timer = None
        if seconds is not None:
            self.timer = threading.Timer(seconds, self.cut)
            self.timer.daemon = True
            self.timer.start()

    def cut(self) -> None:
        import socket

        self.was_cut = True
        line = self.socket or (self.connection and self.connection.sock)
        if line:
            with contextlib.suppress(OSError):  # it may be closed already
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def interrupt(self, number: int, _: FrameType | None) -> None:
        """Handle the signal `number`."""
        if self.left and not self.interrupted:
            import _thread

            self.interrupted = number
            # Not threading: whatever lock of it the signal came upon would never be free again.
            _thread.start_new_thread(self.cut_later, ())
        elif not self.is_over:
            raise KeyboardInterrupt(128 + number)
        elif self.was_late:
            os._exit(128 + number)  # nobody reads what is being printed
        else:
            self.was_late = True

    def cut_later(self) -> None:
        sleep(GRACE)
        self.cut()

    def land(self) -> None:
        """End what began when it `left`; an interrupt that waited for this comes now."""
        self.left = False
        if self.interrupted:
            raise KeyboardInterrupt(128 + self.interrupted)


def opener_for(flight: Flight, read_seconds: float) -> OpenerDirector:
    """Return what opens http and https URLs, and nothing else, and tells `flight` how far it is.

    Not build_opener(): it opens file:, ftp: and data: as well, and follows redirects to them.
    """
    from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
    from urllib.request import AbstractHTTPHandler, OpenerDirector, Request, UnknownHandler

    class Response(HTTPResponse):
        def begin(self) -> None:
            """Read the head of the answer; a status that begins with 1 only announces it."""
            super().begin()
            while 100 <= self.status < 200:
                self.headers = self.msg = None  # type: ignore[assignment]
                super().begin()

    class Connecting(HTTPConnection):
        response_class = Response

        def connect(self) -> None:
            flight.connection = self
            super().connect()  # by way of a proxy, and with TLS
            self.sock.settimeout(min(READ_TIMEOUT, read_seconds))
            flight.socket = self.sock
            flight.limit(read_seconds)
            flight.left = True

    class Secure(Connecting, HTTPSConnection):
        pass

    class Handler(AbstractHTTPHandler):
        http_request = https_request = AbstractHTTPHandler.do_request_

        def http_open(self, request: Request) -> HTTPResponse:
            return self.do_open(Connecting, request)

        def https_open(self, request: Request) -> HTTPResponse:
            return self.do_open(Secure, request)

    opener = OpenerDirector()
    opener.add_handler(Handler())
    opener.add_handler(UnknownHandler())
    return opener


def reason_of(error: object) -> str:
    """Return what `error` of a connection means, for people."""
    import socket
    from http.client import InvalidURL

    for kind, words in (
        (str, str(error)),
        (socket.timeout, "it took too long"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (socket.gaierror, "the name of the host did not resolve"),
        (OSError, str(getattr(error, "strerror", None) or error)),
        ((InvalidURL, ValueError), "the URL, or the proxy, is no URL"),
    ):
        if isinstance(error, kind):
            return printable(words, 200)
    return "what came back is cut short, or is not HTTP"


def is_momentary(error: object) -> bool:
    """Whether `error` of a connection may be over a second later."""
    import socket

    return isinstance(error, (ConnectionRefusedError, socket.gaierror))


def find_key() -> str:
    """Return the API key; raises `Problem`."""
    return check_key(os.environ.get("DASHSCOPE_API_KEY", "").strip() or key_in_file())


def key_in_file() -> str:
    """Return the API key of the credentials file, or "" where there is none; raises `Problem`."""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        with open(os.path.expanduser(CREDENTIALS), encoding="utf-8-sig") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, configparser.Error):  # its message may show the key
        hint = "Mend the file, or set DASHSCOPE_API_KEY."
        raise Problem("api_key", f"{CREDENTIALS} cannot be read", hint) from None
    profile = os.environ.get("ALIBABA_CLOUD_PROFILE") or "default"
    return parser.get(profile, "dashscope_api_key", fallback="").strip()


def ask(run: Run, path: str, body: Json | None, flight: Flight) -> Answer:
    """Return the service's answer to a `body`, or to a GET where there is none, or one of status 0.

    That to a POST, which may be worth money, always has its time.
    """
    headers = {"Authorization": f"Bearer {run.key}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if path == GENERATION_PATH:
        headers["X-DashScope-Async"] = "enable"
    if uses_store(body):
        headers["X-DashScope-OssResourceResolve"] = "enable"
    data = None if body is None else json.dumps(body).encode()
    connecting, answering = times_until(run.deadline)
    times = connecting, READ_TIMEOUT if data else answering
    return answer_of(flight, run.base + path, data, headers, times, run.key)


def answer_of(
    flight: Flight,
    url: str,
    data: bytes | Iterator[bytes] | None,
    headers: Values,
    times: tuple[float, float],
    key: str,
) -> Answer:
    """Return the answer of `url`, without the API `key` in it, or one of status 0.

    `times` are the seconds to connect, and for the answer.
    """
    try:
        response = flight.send(url, data, headers, *times)
    except NoAnswer as error:
        return no_answer(str(error), error.again)
    try:
        data, is_whole = body_of(response, MAX_JSON + len(key))
        answer = Answer(response.status, document_of(data, key), retry_after(response.headers))
        answer.is_whole = is_whole and not flight.was_cut
        return answer
    finally:
        response.close()
        flight.limit(None)


def no_answer(reason: str, again: bool) -> Answer:
    answer = Answer(0)
    answer.reason, answer.again = f"no answer: {reason}", again
    return answer


def body_of(response: HTTPResponse, limit: int) -> tuple[bytes, bool]:
    """Return what has come of the body of `response`, to about `limit` bytes, and if it is all."""
    from http.client import HTTPException

    data = b""
    try:
        while len(data) < limit:
            chunk = response.read1(PIECE)
            if not chunk:
                break
            data += chunk
    except (OSError, HTTPException):
        return data, False  # cut short: evidence all the same
    return data, not response.length


def document_of(data: bytes, key: str) -> object:
    """Return an answer's JSON value, else its text, or None for nothing, without the API key."""
    if len(data) <= MAX_JSON:
        try:
            return masked(json.loads(data, parse_constant=int), key)  # int() takes no NaN
        except (ValueError, RecursionError):  # no JSON, or so deep that it could not be written
            pass
    # Where it is no JSON, the key may be escaped in it, or cut off in its midst.
    escaped = "".join(f"(?:{re.escape(c)}|\\\\u{ord(c):04x})" for c in key)
    text = re.sub(escaped, "***", data.decode("utf-8", "replace"), flags=re.IGNORECASE)
    beginnings = [key[:length] for length in range(len(key), 3, -1)]
    cut = next((start for start in beginnings if text.endswith(start)), "")
    text = text[: len(text) - len(cut)] + "***" if cut else text
    return text[:MAX_JSON] or None


def masked(value: Any, key: str, depth: int = 0) -> Any:
    """Return a JSON `value` in which the API key is not, if the service has echoed it.

    Raises `RecursionError` where it is nested so deep that it could not be written again.
    """
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        return value.replace(key, "***")
    if isinstance(value, list):
        return [masked(item, key, depth + 1) for item in value]
    if isinstance(value, dict):
        return {masked(k, key): masked(item, key, depth + 1) for k, item in value.items()}
    return value


def retry_after(headers: Message) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or until a date."""
    text = headers.get("Retry-After", "").strip()
    if is_number(text):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def deliver(run: Run, path: str, body: Json) -> tuple[str, Answer]:
    """Send `body` until it is taken or refused; return the state, and the last answer.

    The state is a word of `STATES`, or "not taken". What was certainly not taken is sent again for
    a while; so is a detection, which makes nothing, where there is no answer or a momentary one.
    """
    last_start = min(monotonic() + RESEND_TIME, run.deadline)
    for pause in (*PAUSES, None):
        answer = ask(run, path, body, run.flight)
        if answer.status:
            state = state_of(path, answer.status, answer.document)
            again = state == "not taken"
        else:
            state = "unclear" if run.flight.left else "not taken"
            again = answer.again
        if path == DETECTION_PATH and state in ("unclear", "not taken"):
            again = not 200 <= answer.status < 300
        wait = answer.pause_before_next(pause, last_start)
        if not again or wait is None:
            break
        run.flight.land()
        run.progress.show(f"{answer.reason}; sending it again")
        sleep(wait)
    return state, answer


def times_until(deadline: float) -> tuple[float, float]:
    """Return the seconds to connect, and for the answer, of a request that ends by `deadline`."""
    left = max(deadline - monotonic(), SHORTEST_INTERVAL)
    return min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left)


def answer_problem(answer: Answer) -> Problem:
    """Return the `Problem` of an HTTP answer that is not what was asked for, or of none at all.

    Its exit code is 3 where the service said no, and 4 where it may say yes at another time.
    """
    if not answer.status:
        hint = "Check the network, the proxy variables and DASHSCOPE_BASE_URL, and try again."
        return Problem("service", answer.reason, hint, 4)
    status, said, hint = answer.status, answer.document, "Try again later."
    code = 4 if status < 300 or status >= 500 or status in TRANSIENT else 3
    if 300 <= status < 400:
        hint = "Set DASHSCOPE_BASE_URL to where the service is: the API key does not follow."
        return Problem("service", f"HTTP {status}: it redirects elsewhere", hint, code)
    if isinstance(said, dict) and ("code" in said or "message" in said):
        return refusal_problem("service", f"HTTP {status}", said, code)
    if status == 404:
        hint = f"Check DASHSCOPE_BASE_URL; without it the service is at {BASE_URL}."
    return Problem("service", f"HTTP {status}: not as expected: {words_of(said)}", hint, code)


def words_of(said: object) -> str:
    """Return what the service said, for people."""
    text = said if isinstance(said, str) else json.dumps(said)
    return "nothing" if said is None else service_text(text)


def follow_redirects(
    url: str, flight: Flight, deadline: float, check: Callable[[str], object] = str
) -> HTTPResponse:
    """Return the response of `url`, behind its redirects, of which `check` sees each place.

    Raises `NoAnswer`. The key is not sent.
    """
    from urllib.parse import quote, urljoin

    for _ in range(REDIRECTS + 1):
        # Redirects have spaces and letters in them that no request line may have.
        url = quote(url, PRINTING, errors="surrogateescape")
        response = flight.send(url, None, {}, *times_until(deadline))
        if response.status not in (301, 302, 303, 307, 308):
            return response
        location = response.headers.get("Location", "")
        response.close()
        flight.limit(None)
        try:
            # http.client reads headers as Latin-1, and servers write UTF-8.
            url = urljoin(url, location.encode("latin-1").decode("utf-8", "surrogateescape"))
        except ValueError:
            raise NoAnswer("it redirects to what is no URL", False) from None
        check(url)
    raise NoAnswer("it redirects too often", False)


def video_chunks(url: str, progress: Progress) -> Iterator[bytes]:
    """Yield the video at `url`, following redirects; raises `NoAnswer`."""
    flight = Flight()
    response = follow_redirects(url, flight, float("inf"))
    try:
        if response.status != 200:
            again = response.status >= 500 or response.status in TRANSIENT
            raise NoAnswer(f"HTTP {response.status}", again)
        yield from checked_chunks(response, flight, progress)
    finally:
        response.close()
        flight.limit(None)


def checked_chunks(response: HTTPResponse, flight: Flight, progress: Progress) -> Iterator[bytes]:
    """Yield the body of `response` if it is a video, whole and not too slow; raises `NoAnswer`.

    The first box of a video is "ftyp" (ISO/IEC 14496-12, section 4.3).
    """
    announced = response.headers.get("Content-Length", "")
    is_length = is_number(announced) and len(announced) < 4000
    total = int(announced) if is_length else None  # int() refuses more digits
    of = f" of {total / 1e6:.1f}" if total else ""
    size, timely, head = 0, -1, b""
    while True:
        if size > timely:  # what a minute should bring has to come within the next one
            timely = size + SLOWEST * SLOW_TIME
            flight.limit(SLOW_TIME)
        chunk = next_chunk(response, flight, f"it is slower than {SLOWEST} bytes a second")
        size += len(chunk)
        head += chunk[: 8 - len(head)]
        if head[4:8] != b"ftyp"[: max(0, len(head) - 4)] or (not chunk and len(head) < 8):
            raise NoAnswer(f"what came is no video: {service_text(head.decode('latin-1'))}", False)
        if size > MAX_VIDEO:
            raise NoAnswer(f"it is larger than {MAX_VIDEO >> 20} MiB", False)
        if not chunk:
            break
        progress.show("downloading", f" {size / 1e6:.1f}{of} MB")
        yield chunk
    if total not in (None, size):
        raise NoAnswer(f"it is cut short: {size} of {total} bytes", True)


def next_chunk(response: HTTPResponse, flight: Flight, reason: str) -> bytes:
    """Return the next bytes of a download, none at its end.

    Raises `NoAnswer`, for the `reason` that it took too long, or others.
    """
    from http.client import HTTPException

    try:
        chunk = response.read1(PIECE)
    except (OSError, HTTPException) as error:
        raise NoAnswer(reason if flight.was_cut else reason_of(error), True) from None
    if flight.was_cut:
        raise NoAnswer(reason, True)
    return chunk


# A look at a link: what the service will find there, as far as it can be seen from here.


def look_at_link(field: str, url: str, flight: Flight, deadline: float) -> tuple[Any, int]:
    """Return what is behind the link `url`, a `Picture` or a `Recording`, and its size in bytes.

    Raises `Problem` for what the service would refuse, and `NoAnswer` where nothing can be told.
    """

    def check(place: str) -> None:
        try:
            check_host(field, split_link(field, place)[2])
        except Problem:
            raise NoAnswer("it redirects to what is no public link", False) from None

    response = follow_redirects(url, flight, deadline, check)
    try:
        if response.status in NOT_FOR_ALL:
            message = f"{shown(url)} is not there for everybody: HTTP {response.status}"
            hint = "Make it public, or sign it anew: the service downloads it without logging in."
            raise Problem(field, message, hint)
        if response.status not in (200, 206):
            raise NoAnswer(f"HTTP {response.status}", False)
        return look_at_body(field, Body(response, flight))
    finally:
        response.close()
        flight.limit(None)


class Body:
    """What has come of a `response`, unpacked: its `data`, and whether they are all, `is_whole`.

    `size` is what the whole has in bytes, as it was announced, or None.
    """

    def __init__(self, response: HTTPResponse, flight: Flight) -> None:
        import zlib

        self.response, self.flight = response, flight
        self.data, self.is_whole = bytearray(), False
        packed = response.headers.get("Content-Encoding", "").strip().lower()
        self.packed = zlib.decompressobj(31) if packed in ("gzip", "x-gzip") else None
        if packed not in ("", "identity") and not self.packed:
            raise NoAnswer(f"it comes packed, as {shown(packed)}", False)
        announced = response.headers.get("Content-Length", "")
        if response.status == 206:  # "bytes 0-999/5000"
            announced = response.headers.get("Content-Range", "").rpartition("/")[2]
        is_length = is_number(announced) and len(announced) < 20
        self.size = int(announced) if is_length and not (self.packed or response.chunked) else None

    def read(self, count: int) -> None:
        """Have `count` bytes, or all that there are; raises `NoAnswer`."""
        while len(self.data) < count and not self.is_whole:
            chunk = self.next_chunk()
            self.is_whole = not chunk
            self.data += chunk
        is_short = self.packed and not self.packed.eof
        if self.is_whole and (is_short or len(self.data) < (self.size or 0)):
            whole = f" of {self.size}" if self.size else ""
            raise NoAnswer(f"what came is cut short, {len(self.data)}{whole} bytes", False)

    def next_chunk(self) -> bytes:
        """Return the next bytes, none at the end."""
        import zlib

        while True:
            chunk = self.packed.unconsumed_tail if self.packed else b""
            if self.packed and self.packed.unused_data:
                if self.packed.unused_data[:2] != b"\x1f\x8b":  # not another part
                    return b""
                chunk, self.packed = self.packed.unused_data, zlib.decompressobj(31)
            chunk = chunk or next_chunk(self.response, self.flight, "it took too long")
            if not self.packed:
                return chunk
            try:  # so much at once: a thousand bytes may unpack to a megabyte
                data = self.packed.decompress(chunk, PIECE)
            except zlib.error:
                raise NoAnswer("what came cannot be unpacked", False) from None
            if data or not chunk:
                return data


def look_at_body(field: str, body: Body) -> tuple[Any, int]:
    """Return what is in a `body` and its size: a picture from its head, a recording as a whole."""
    import io

    media, is_picture = media_module(field), field == "image_url"
    look = media.picture if is_picture else media.recording
    count = PIECE if is_picture or (body.size or 0) > MAX_RECORDING else MAX_RECORDING + 1
    while True:
        body.read(count)
        size = len(body.data) if body.is_whole else body.size or MAX_PICTURE
        try:
            found = look(io.BytesIO(body.data), size)
            break
        except media.NotTaken as fault:
            if not fault.needs_more:
                raise not_taken_problem(field, fault) from None
            if count > MAX_RECORDING:
                raise NoAnswer(str(fault), False) from None
        count *= 4
    if not (is_picture or body.is_whole or body.size):
        message = f"it has more than {MAX_RECORDING:,} bytes; the service takes less than 15 MB"
        raise Problem(field, message, "Save it as mp3, and upload it anew.")
    return found, body.size or len(body.data)


# The temporary store: where local files go (contract, "Temporary store for local files").


def upload(run: Run, model: str, field: str, file: LocalFile) -> str:
    """Return the link of a local `file`, which goes to the store for the `model`; raises `Problem`.

    `field` is what it is for. Each try has a policy of its own.
    """
    from urllib.parse import quote

    last_start = min(monotonic() + RESEND_TIME, run.deadline)
    path = POLICY_PATH + quote(model, safe="")
    for pause in (*PAUSES, None):
        answer = whole(ask(run, path, None, Flight()))
        document, answer.document = answer.document, without_rights(answer.document)
        problem = answer_problem(answer)
        if answer.status == 200:
            policy = policy_of(document, run.base)
            if file.size > float(policy["max_file_size_mb"]) * 1024 * 1024:
                raise no_room_problem(field, file, policy["max_file_size_mb"])
            name = f"{policy['upload_dir']}/{store_name(file)}"
            answer = whole(send_form(run, policy, name, file))
            if answer.status == 200 and answer.document is None:
                return f"oss://{name}"
            problem = store_problem(answer)
        if "policy expired" in problem.message.lower():
            problem.code = 4
        wait = answer.pause_before_next(pause, last_start)
        if problem.code != 4 or 0 < answer.status < 300 or wait is None:
            break
        run.progress.show(f"{answer.reason}; uploading it again")
        sleep(wait)
    if monotonic() >= run.deadline:
        problem.message += "; --timeout is over"
    raise problem


def policy_of(document: object, base: str) -> Values:
    """Return the texts of a policy, by name; raises `Problem`, which shows none of them."""
    texts = {
        name: value.strip() if isinstance(value, str) else json.dumps(value)
        for name, value in member(document, "data").items()
        if isinstance(value, (str, int, float))
    }
    texts["upload_dir"] = texts.get("upload_dir", "").strip("/")
    fault = ", ".join(f"no {name}" for name in POLICY if not texts.get(name))
    number = texts.get("max_file_size_mb", "")
    if not fault and not (is_number(number.replace(".", "", 1)) and len(number) < 20):
        fault = "an odd max_file_size_mb"
    if not fault and not all(is_visible_ascii(texts[name]) for name in POLICY):
        fault = "characters that no policy has"
    if not fault and not is_store(texts["upload_host"], base):
        fault = "an upload_host that is not safe to use"
    if fault:
        hint = "Try again later, or give public links."
        raise Problem("service", f"the policy for the upload has {fault}", hint, 4)
    return texts


def is_store(url: str, base: str) -> bool:
    """Whether `url` is a host to upload to: by https, but on this machine, like `base` then."""
    parts, base_parts = plain_url(url), plain_url(base)
    if not parts or parts.path not in ("", "/"):
        return False
    is_here = is_loopback(parts) and base_parts is not None and is_loopback(base_parts)
    return parts.scheme == "https" or (parts.scheme == "http" and is_here)


def no_room_problem(field: str, file: LocalFile, most: str) -> Problem:
    """Return the `Problem` of a `file` that has more than the `most` MiB that the store takes."""
    size = f"{file.size / 1024 / 1024:.2f} MiB"
    message = f"{file_name(file.url)} has {size}; the store takes {float(most):g} MiB"
    return Problem(field, message, "Save it smaller and prepare it again, or give a public link.")


def send_form(run: Run, policy: Values, name: str, file: LocalFile) -> Answer:
    """Upload a local `file` as `name` with the rights that a `policy` gives; return the answer.

    multipart/form-data is RFC 7578. The API key is not sent, only kept out of the answer.
    """
    boundary = os.urandom(16).hex()  # no content has it
    values = {field: policy[source] for field, source in FORM.items()}
    values.update(key=name, success_action_status="200")
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    fields = "".join(f'{part}{field}"\r\n\r\n{value}\r\n' for field, value in values.items())
    start = f'{fields}{part}file"; filename="{os.path.basename(name)}"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    what = f"uploading {file_name(file.url)}, {file.size / 1000:,.0f} kB"
    flight = Flight()

    def pieces() -> Iterator[bytes]:
        yield start
        for at in range(0, file.size, PIECE):
            flight.limit(times_until(run.deadline)[1])
            run.progress.show(what, f", {at / 1000:,.0f} kB are there")
            yield file.content[at : at + PIECE]
        yield end

    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(start) + file.size + len(end)),
    }
    times = times_until(run.deadline)
    return answer_of(flight, policy["upload_host"], pieces(), headers, times, run.key)


def whole(answer: Answer) -> Answer:
    """Return `answer`, or that there is none where it was cut short."""
    return answer if answer.is_whole else no_answer("it was cut short", True)


def without_rights(said: object) -> object:
    """Return what may be told of what was `said` about an upload.

    What may be a policy or a signature, however it is escaped or shortened, is not in it.
    """
    if said is None:
        return None
    may_be = "(?=[A-Za-z]*[0-9+/=%_-])[A-Za-z0-9+/=%_-]{20,}"
    if isinstance(said, dict) and ("code" in said or "message" in said):
        told = [name for name in ("code", "message", "request_id") if name in said]
        return {
            name: said[name] if name == "request_id" else re.sub(may_be, "***", str(said[name]))
            for name in told
        }
    return re.sub(may_be, "***", said if isinstance(said, str) else json.dumps(said))


def store_problem(answer: Answer) -> Problem:
    """Return the `Problem` of an `answer` of the store, whose errors are XML, in words."""
    from html import unescape

    words = {}
    for name, tag in (("code", "Code"), ("message", "Message"), ("request_id", "RequestId")):
        found = re.search(f"<{tag}>([^<]*)</{tag}>", str(answer.document))
        if found:
            words[name] = unescape(found[1])
    said = unescape(answer.document) if isinstance(answer.document, str) else answer.document
    answer.document = without_rights(words or said)
    problem = answer_problem(answer)
    problem.message = f"the temporary store: {problem.message}"
    if answer.status:
        problem.hint = "Run again; if it stays so, upload the file elsewhere and give its link."
    return problem


# --- 6. Commands: one function each --------------------------------------------------------------


class Run:
    """What a run was asked for (`values`, by option), its service and clock, and who is told."""

    def __init__(self, values: Values, report: Report, flight: Flight) -> None:
        self.values, self.report, self.flight = values, report, flight
        self.progress = Progress()
        self.is_generation = "task" in values
        self.estimate: Json | None = None  # what the video costs, where the recording was looked at
        interval, timeout = values.get("interval", "5"), values.get("timeout", "1800")
        self.interval = report.check(check_seconds, "interval", interval, SHORTEST_INTERVAL) or 0.0
        seconds = report.check(check_seconds, "timeout", timeout, 0)
        self.asks_once = not seconds
        self.deadline = monotonic() + seconds if seconds else float("inf")
        base = os.environ.get("DASHSCOPE_BASE_URL", "").strip() or BASE_URL
        self.base = report.check(check_base_url, base) or ""
        self.key = ""  # looked for when it is needed


def run_file(values: Values, report: Report, flight: Flight) -> None:
    """Run the request in FILE, go on with a task by its id, or tell what there is."""
    if "file" not in values and "task" not in values:
        for field in values:
            report.error(field, "has nothing to do without FILE", "Give FILE, or take it away.")
        if not report.errors:
            tell_tasks(report)
        flight.is_over = True
        return None
    run = Run(values, report, flight)
    report.next = command_again(values)
    try:
        return follow_id(run) if "task" in values else run_request(run)
    finally:
        flight.is_over = True
        run.progress.end()
        if run.is_generation:
            report.facts["estimate"] = run.estimate


def command_again(values: Values) -> Sequence[str]:
    """Return the words of the command that comes after the one of `values`, if it can be pasted."""
    done = ("dry_run",) if "dry_run" in values else ("no_wait", "no_download", "again")
    words = [__file__]
    for field in [field for field in values if field not in done]:
        words += [option(field)] if field != "file" else []
        words += [values[field]] if OPTIONS[field][1] else []
    return words if values.get("file") != "-" else ()


def tell_tasks(report: Report) -> None:
    """Tell all tasks that are on disk, the newest first, their links without the query."""
    rows = []
    folder = os.path.join(evidence_path(""), "tasks")
    for task in all_tasks(folder):
        links = member(task.record.get("request"), "input")
        row = {
            "task_path": task.path("task.json"),
            "task_id": task.task_id or None,
            "task_status": task.status or None,
            "state": task.state,
            "saved_at": text_in(task.record, "saved_at") or None,
        }
        for field in FORMATS:
            row[field] = text_in(links, field).partition("?")[0] or None
        rows.append({**row, "video_path": task.video_path})
    report.facts["tasks"] = rows
    report.done = f"tasks in {printable(os.path.abspath(folder), 200)}: {len(rows)}"


def run_request(run: Run) -> None:
    """Run the request in FILE, a detection or a generation."""
    report, links = run.report, Report()
    path = run.values["file"]
    body = report.check(read_request, path)
    places = body or {}, member(body, "input"), member(body, "parameters")  # people edit files
    run.is_generation = any("audio_url" in place for place in places)
    request = request_of(body, time(), links) if body else None
    if not request or report.errors:
        report.errors += [] if request else links.errors
        report.check(find_key)
        return
    desk = desk_of(path)
    if "dry_run" not in run.values:
        sweep(desk)
    if not run.is_generation:
        run_detection(run, request, links, desk)
    elif "output" in run.values:
        report.error("output", "is of a detection only", "A generation has a folder of its own.")
    else:
        run_generation(run, request, links, os.path.join(desk, "tasks"))


def read_request(path: str) -> Json:
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem`."""
    if path not in ("", "-") and not os.path.exists(path):
        hint = "Run prepare_emo_request.py first, or go to the folder where that was done."
        raise Problem("file", f"there is no {shown(path)}", hint)
    return read_json("file", path)


def desk_of(path: str) -> str:
    """Return the folder of evidence that a prepared file belongs to."""
    folder = os.path.dirname(path)
    if path != "-" and os.path.basename(os.path.abspath(folder)) == "aliyun-emo":
        return folder
    return evidence_path("")


def run_detection(run: Run, request: Json, links: Report, desk: str) -> None:
    """Send a detection, keep its answer and tell its boxes."""
    report = run.report
    report.errors += links.errors
    report.warnings += links.warnings
    path = report.check(output_path, run.values, os.path.join(desk, "detection.json"))
    files = look_again(request, report)
    given = [run.values["file"], *(local_path(file.url) for file in files.values())]
    report.check(check_other_file, path or "", given)
    run.key = report.check(find_key) or ""
    if report.errors or not path:
        return
    check_writable(path)  # before it is billed
    body = body_to_send(request)
    if "dry_run" in run.values:
        report.facts.update(detection_path=None, would_send=True, request=body)
        report.done = "all is well; nothing was sent"
        return
    body = with_uploads(run, body, files)
    state, answer = deliver(run, DETECTION_PATH, body)
    if not 200 <= answer.status < 300:
        raise with_store_hint(answer_problem(answer), answer.document, body)
    response = answer.document
    record = {"saved_at": timestamp(), "request": request, "sent": body, "response": response}
    passed = member(response, "output").get("check_pass") if state == "made" else None
    report.facts.update(detection_path=None, check_pass=passed)
    try:
        write_json(path, record)
        report.facts.update(detection_path=path)
    except OSError as error:  # it is billed: what can be told of it is told all the same
        message = f"{shown(path)} cannot be written: {error.strerror}"
        report.errors.append(Problem("output", message, "Keep the boxes, and make room.", 1))
    if state != "made":
        raise answer_problem(answer)
    tell_detection(report, record, path)


def tell_detection(report: Report, record: Json, path: str) -> None:
    """Tell the boxes of a detection that was kept at `path`; raises `Problem` if it failed."""
    request, response = record["request"], record["response"]
    output = member(response, "output")
    if not output["check_pass"]:
        request_id = {k: v for k, v in response.items() if k == "request_id"}
        what, said = "the portrait did not pass", {**output, **request_id}
        problem = refusal_problem("service", what, said, 3, PORTRAIT_REMEDY)
        raise with_store_hint(problem, said, record["sent"])
    found = Report()
    boxes = check_detection(record, None, None, found)
    for problem in found.errors:
        problem.code = 3
    report.errors += found.errors
    report.warnings += found.warnings
    if boxes:
        face_bbox, ext_bbox = boxes
        report.facts.update(face_bbox=face_bbox, ext_bbox=ext_bbox, ratio=ratio_of(ext_bbox))
        report.done = "the portrait passed; the next command needs the recording"
        link = request["input"]["image_url"]
        if "files" in request:
            words = ("--image", local_path(link), "--audio", "RECORDING")
        else:
            link = "IMAGE_URL" if "?" in link else link  # a signature is for its file alone
            words = ("--image-url", link, "--audio-url", "AUDIO_URL")
        report.next = (neighbour("prepare_emo_request.py"), *words, "--detection", path)


def run_generation(run: Run, request: Json, links: Report, tasks: str) -> None:
    """Go on with the task of a generation, or send it where there is none that stands."""
    report = run.report
    name = request_name(request, run.base)
    body: Json = {}
    task, first = None, None
    while not task:
        found = attempts(tasks, name)
        standing = [attempt for attempt in found if attempt[1].state != "refused"]
        newest, last = standing[-1] if standing else (0, None)
        first = newest if first is None else first
        # What was made meanwhile is another run's, also of --again: one of them pays.
        if last and (newest > first or not gives_way(last, run.values)):
            warn_of_new_signatures(last, request, report)
            return follow(run, last)
        if not body:  # and after the uploads, which take a while, another look at what there is
            report.errors += links.errors
            files = look_again(request, report)
            run.key = report.check(find_key) or ""
            if not report.errors:
                check_writable(os.path.join(tasks, name, "task.json"))
                look(run, request, files)
            if report.errors:
                return None
            report.warnings += links.warnings
            body = body_to_send(request)
            if "dry_run" in run.values:
                return tell_would_send(run, request, body)
            body = with_uploads(run, body, files)
            continue
        run.flight.left = True  # from the claim on, an interrupt waits until it can be taken back
        task = claim(tasks, name, found[-1][0] + 1 if found else 1)
        if not task:
            run.flight.land()
    send(run, task, request, body)
    return None if report.errors else follow(run, task)


def look(run: Run, request: Json, files: Files) -> None:
    """Look at the links of a generation, side by side, and estimate what it will cost."""
    report, given = run.report, request["input"]
    found = {field: (file.found, file.size) for field, file in files.items()}
    links = [field for field in FORMATS if field not in files and "no_look" not in run.values]
    if links:
        run.progress.show("looking at the links")
    for field, outcome in look_at_links({field: given[field] for field in links}, run.deadline):
        judged = Report()
        if isinstance(outcome, Problem):
            judged.errors.append(outcome)
        elif isinstance(outcome, NoAnswer):
            message = f"{shown(given[field])} could not be looked at from here: {outcome}"
            hint = "The service is elsewhere: make sure that it opens in a browser, not logged in."
            report.warn(field, message, hint)
        else:
            medium, size = found[field] = outcome
            check_medium(field, medium, size, [given[name] for name in BOX_FIELDS], judged)
        for problem in judged.errors:
            problem.hint += " --no-look goes on without looking."
        report.errors += judged.errors
        report.warnings += judged.warnings
    if links and not report.errors:
        check_time(run)
    if "audio_url" in found:
        run.estimate = estimate(found["audio_url"][0].seconds, ratio_of(given["ext_bbox"]) or "")


def look_at_links(links: Values, deadline: float) -> Iterator[tuple[str, Any]]:
    """Yield what became of a look at each of the `links`: as `look_at_link` returns or raises."""
    import threading

    deadline = min(monotonic() + LOOK_TIME, deadline)
    flights = {field: Flight() for field in links}
    outcomes: dict[str, Any] = {}

    def look(field: str) -> None:
        try:
            outcomes[field] = look_at_link(field, links[field], flights[field], deadline)
        except Exception as error:
            outcomes[field] = error

    threads = {field: threading.Thread(target=look, args=(field,), daemon=True) for field in links}
    for thread in threads.values():
        thread.start()
    for field, thread in threads.items():
        thread.join(max(deadline - monotonic(), 0))
        flights[field].limit(None)
        if thread.is_alive():
            flights[field].cut()
        outcome = outcomes.get(field, NoAnswer("it took too long", False))
        if isinstance(outcome, Exception) and not isinstance(outcome, (Problem, NoAnswer)):
            raise outcome
        yield field, outcome


def with_uploads(run: Run, body: Json, files: Files) -> Json:
    """Return the `body` with the links of its local `files` in the store, after they are there."""
    links = {field: upload(run, body["model"], field, file) for field, file in files.items()}
    check_time(run)
    return {**body, "input": {**body["input"], **links}}


def check_time(run: Run) -> None:
    """Raise `Problem` when --timeout is over before anything was sent."""
    if monotonic() >= run.deadline:
        hint = "Run the same command again, with more time: nothing was paid."
        raise Problem("service", "--timeout is over before anything was sent", hint, 4)


def with_store_hint(problem: Problem, said: object, sent: object) -> Problem:
    """Return the `problem` of what was `said` to a body that was `sent`.

    Where it is about a link of the temporary store it has another hint, since the service's page
    on generations does not name that store.
    """
    words = f"{said.get('code')}: {said.get('message')}" if isinstance(said, dict) else ""
    if uses_store(sent) and re.search(ABOUT_A_LINK, words):
        problem.hint = (
            "It may not take files of its temporary store: upload them elsewhere, for example to "
            "OSS, and prepare again with their public links."
        )
    return problem


def gives_way(task: Task, values: Values) -> bool:
    """Whether --again is given and pays for another attempt beside this one.

    Not while its end, or its video, is still to be had, or was not told yet: the same command, run
    again, goes on with what it has paid for.
    """
    if "again" not in values:
        return False
    if task.state != "made":
        return task.state == "unclear" or abs(task.age) >= AT_WORK
    if task.age > TASK_LIFETIME:
        return True
    has_video = task.video_path or "no_download" in values
    is_complete = task.status == SUCCEEDED and bool(has_video)
    return (task.status in FAILED or is_complete) and not task.found(UNTOLD)


def warn_of_new_signatures(task: Task, request: Json, report: Report) -> None:
    """Warn where links of `request` are signed otherwise than those that `task` was made with."""
    before = member(task.record.get("request"), "input")
    for field in FORMATS:
        then = text_in(before, field)
        if then and link_identity(then)[1] != link_identity(request["input"][field])[1]:
            message = "the link was signed anew since its task was sent; it is the same request"
            report.warn(field, message, "If the file behind it has changed, --again pays for it.")


def tell_would_send(run: Run, request: Json, body: Json) -> None:
    """Tell that a generation would be sent, and paid for."""
    report, ratio = run.report, ratio_of(request["input"]["ext_bbox"]) or ""
    keys = ("state", "task_path", "task_id", "task_status", "already_submitted")
    report.facts.update(dict.fromkeys((*keys, "video_url", "video_path", "response_path")))
    report.facts.update(already_submitted=False, would_send=True, request=body)
    price = price_words(run.estimate, ratio)
    report.done = f"all is well; nothing was sent, and a run without --dry-run costs money: {price}"


def send(run: Run, task: Task, request: Json, body: Json) -> None:
    """Send the `body` of a generation, once, and keep what becomes of it in its `task`'s folder."""
    state, answer = "", Answer(0)
    try:
        run.flight.land()
        links = request["input"]
        names = [file_name(links["image_url"]), file_name(links["audio_url"])]
        ratio = ratio_of(links["ext_bbox"]) or ""
        style_level = request["parameters"]["style_level"]
        if "again" in run.values:
            replace_file(task.path(UNTOLD), [])
        task.write(
            saved_at=timestamp(),
            title=" + ".join(name.rpartition(".")[0] or name for name in names),
            state="sending",
            request=request,
            sent=body,
            http_status=None,
            response=None,
        )
        if_offered(sync_folder, os.path.dirname(task.folder))
        name = os.path.basename(task.folder)
        price = price_words(run.estimate, ratio)
        what = f"{', '.join(names)}; {VIDEO_SIZES[ratio]}, {style_level}; {price}"
        run.progress.say(f"paying for {name}: {what}")
        state, answer = deliver(run, GENERATION_PATH, body)
        settle(run, task, state, answer)
    except BaseException:
        if not state:
            settle(run, task, "unclear" if run.flight.left else "not taken", answer)
        raise
    run.flight.land()
    if state != "made":
        problem = with_store_hint(answer_problem(answer), answer.document, body)
        problem.code = 3 if state == "refused" else problem.code
        if state == "unclear":
            problem.message += "; a task may have been made"
            problem.hint = LOOK_FIRST
        raise problem


def settle(run: Run, task: Task, state: str, answer: Answer) -> None:
    """Keep what became of a generation that was sent; what certainly never left leaves nothing."""
    if state == "not taken":
        return task.remove()
    came = {"http_status": answer.status or None, "response": answer.document}
    try:
        task.write(saved_at=timestamp(), state=state, **came)
    except OSError as error:
        run.report.errors.append(unsaved_problem(task, error))
    if state == "unclear":
        run.report.way_on = LOOK_FIRST
    return task.tell(run.report)


def unsaved_problem(task: Task, error: OSError) -> Problem:
    """Return the `Problem` of an answer that could not be kept; the id is the only way back."""
    place = f"{shown(task.path('task.json'))} cannot be written: {error.strerror}"
    if task.state != "made":
        return Problem("output", place, "Make room, then look whether the account has a task.", 1)
    task_id = printable(task.task_id, 200)
    hint = f"Keep the id, make room, then: run_emo_request.py --task {task_id}"
    return Problem("output", f"task {task_id} was made, and {place}", hint, 1)


def follow_id(run: Run) -> None:
    """Go on with the task whose id is given, of this folder or made elsewhere."""
    report = run.report
    task_id = report.check(check_task_id, run.values["task"])
    if "file" in run.values:
        report.error("task", "stands for FILE, which is there as well", "Give one of the two.")
    for field in ("dry_run", "no_wait", "again", "no_look", "output"):
        if field in run.values:
            report.error(field, "has nothing to do with --task", "Take it away, or give FILE.")
    if report.errors or not task_id:
        return
    sweep(evidence_path(""))
    tasks = os.path.join(evidence_path(""), "tasks")
    task = next((task for task in all_tasks(tasks) if task.task_id == task_id), None)
    if not task:
        find_key()
        task = Task(folder_of_id(tasks, task_id))
        nothing = dict.fromkeys(("title", "state", "request", "sent", "http_status", "response"))
        task.write(**{"saved_at": timestamp(), **nothing, "state": "made"})
        write_answer(task, {"task_id": task_id})
    follow(run, task)


def follow(run: Run, task: Task) -> None:
    """Go on with `task` until its end is known and its video is here; tell what is known."""
    report, values = run.report, run.values
    task.tell(report)
    if "dry_run" in values:
        report.facts["would_send"] = False
    if task.state != "made":
        raise may_exist_problem(task, values)
    if not task.has_ended:
        if is_forgotten(task, values):
            raise gone_problem(run, "it is older than 24 hours, and its end is not known")
        report.done = "the task is made; the next command fetches its video"
        if "no_wait" in values:
            return
        run.key = find_key()
        if "dry_run" in values:
            return
        poll_to_the_end(run, task)
    conclude(run, task)


def is_forgotten(task: Task, values: Values) -> bool:
    """Whether `task` is too old to be asked for; --task asks all the same: a clock may be wrong."""
    return task.age > TASK_LIFETIME and "task" not in values


def conclude(run: Run, task: Task) -> None:
    """Bring home the video of a task that has ended; raises `Problem` where there is none."""
    if "dry_run" not in run.values:
        run.flight.untold = task.path(UNTOLD)
    if task.status in FAILED:
        problem = refusal_problem("service", f"the task ended as {task.status}", task.answer, 3)
        problem = with_store_hint(problem, task.answer, task.record.get("sent"))
        problem.hint += " --again pays for another task."
        raise problem
    if not task.video_path and "no_download" not in run.values:
        if is_forgotten(task, run.values):
            raise gone_problem(run, "it is older than 24 hours, and its video is not here")
        if "no_wait" in run.values or "dry_run" in run.values:
            return
        download(task, run.progress)
        task.tell(run.report)
    if task.video_path:
        run.report.done, run.report.next = f"the video is {printable(task.video_path, 200)}", ()
    else:
        run.report.done = "the video is made; its link is good for 24 hours"


def may_exist_problem(task: Task, values: Values) -> Problem:
    """Return the `Problem` of a request of which it is not known whether it made a task."""
    sent = printable(str(task.record.get("saved_at", "an unknown time")), 40)
    if task.state == "unclear":
        words = words_of(task.record.get("response"))
        message = f"a request was sent at {sent} and no task is known of it; what came: {words}"
    else:
        message = f"a request was sent at {sent} and its answer is not known: a task may exist"
    if "again" in values and task.state == "sending":
        hint = f"Another run may be at it just now: --again pays after {AT_WORK} seconds."
        return Problem("service", message, hint, 4)
    return Problem("service", message, LOOK_FIRST, 4)


def gone_problem(run: Run, what: str) -> Problem:
    """Return the `Problem` of a task that the service does not know, or not any more."""
    hint = "Check the key and the id: it may be another account's; after 24 hours it is forgotten."
    if "file" in run.values:
        hint += " --again pays for another."
    return Problem("service", f"the task is gone: {what}", hint, 3)


def poll_to_the_end(run: Run, task: Task) -> None:
    """Ask for `task` until it has ended, keeping all on the way; raises `Problem`.

    Polls that fail are waited out with growing pauses.
    """
    answered, pause = False, run.interval
    while True:
        trouble, wanted = poll(run, task)
        if trouble:
            pause = min(pause * 2, max(LONGEST_PAUSE, run.interval))
            pause = pause if wanted is None else max(run.interval, wanted)
        elif task.status == SUCCEEDED or task.status in FAILED:
            return
        else:
            answered, pause = True, run.interval
        if run.asks_once or monotonic() + pause >= run.deadline:
            raise out_of_time_problem(answered, trouble)
        sleep(pause)


def out_of_time_problem(answered: bool, trouble: str) -> Problem:
    hint = "Run the same command again: it goes on where it was."
    if answered:
        return Problem("service", "the task has not ended within --timeout", hint, 5)
    return Problem("service", trouble, f"{hint} Check the network and the proxy variables.", 4)


def poll(run: Run, task: Task) -> tuple[str, float | None]:
    """Ask once for `task`; return what went wrong, "" for nothing, and the pause asked for.

    Raises `Problem` where the service says no, or knows no such task.
    """
    from urllib.parse import quote

    path = TASK_PATH + quote(task.task_id, safe="", errors="surrogatepass")
    answer = ask(run, path, None, Flight())
    said, trouble = answer.document, ""
    if said is not None:
        append_snapshot(task, said)
    if 300 <= answer.status < 500 and answer.status not in TRANSIENT:
        raise answer_problem(answer)
    word = text_in(member(said, "output"), "task_status")
    if not answer.status:
        trouble = answer.reason
    elif answer.status >= 300 or not isinstance(said, dict) or not word:
        trouble = f"HTTP {answer.status}, not to be read as a status"
    else:
        record_status(run, task, task_answer(task.task_id, said))
    run.progress.show(trouble or printable(word, 40))
    return trouble, answer.retry_after


def record_status(run: Run, task: Task, answer: Json) -> None:
    """Keep the normalized `answer` about `task`; raises `Problem` when it is gone."""
    word = answer["task_status"]
    if word == GONE:
        if task.status in ("", GONE):
            write_answer(task, answer)
            task.tell(run.report)
        raise gone_problem(run, "the service knows no such task")
    earlier = Task(task.folder).answer
    if earlier.get("task_status") in (SUCCEEDED, *FAILED) and word in UNFINISHED:
        answer = earlier  # of another run, to which a later answer has come sooner
    write_answer(task, answer)
    task.tell(run.report)
    is_told = any(warning.field == "service" for warning in run.report.warnings)
    if word not in (*UNFINISHED, *FAILED, SUCCEEDED) and not is_told:
        message = f"{shown(word)} is a status that is not known; taken as not finished"
        run.report.warn("service", message, "Look at references/api.md.")


def write_answer(task: Task, answer: Json) -> None:
    """Write the normalized `answer` about `task`, with its video if that is here."""
    task.answer = {**answer, **({"video_path": "video.mp4"} if task.video_path else {})}
    write_json(task.path("response.json"), task.answer)


def download(task: Task, progress: Progress) -> None:
    """Save the video of `task` in its folder, whole or not at all; raises `Problem`."""
    url = task.video_url
    if not url:
        message = "the task has finished, and the answer has no video_url"
        raise Problem("service", message, "Run again; the answer is in polls.jsonl.", 4)
    for pause in (*PAUSES[: DOWNLOADS - 1], None):
        try:
            replace_file(task.path("video.mp4"), video_chunks(url, progress))
            break
        except NoAnswer as error:
            if pause is None or not error.again:
                message = f"the video could not be downloaded: {error}"
                hint = "Run again; until then response.json has the link, for 24 hours."
                raise Problem("service", message, hint, 4) from None
            sleep(pause)
    write_answer(task, task.answer)


class Progress:
    """What a run shows on stderr while it goes on.

    At a terminal one line that changes; elsewhere a line for each change, and at least one a
    minute, so that whoever watches sees that it lives.
    """

    def __init__(self) -> None:
        import threading

        self.what, self.detail = "connecting", ""
        self.started = self.shown_at = monotonic()
        self.ended = threading.Event()
        self.is_shown = False
        threading.Thread(target=self.beat, daemon=True).start()

    def say(self, line: str) -> None:
        """Show a whole `line`."""
        self.write("\n" * self.is_shown + f"{line}\n")
        self.is_shown = False

    def show(self, what: str, detail: str = "") -> None:
        """Show that `what` goes on, with a `detail` that changes all the time."""
        changed, self.what, self.detail = what != self.what, what, detail
        if sys.stderr and sys.stderr.isatty():
            self.is_shown = True
            self.write(f"\r{what}{detail}{self.elapsed()}".ljust(79))
        elif changed:
            self.write(f"{what}\n")

    def beat(self) -> None:
        """Show a line whenever there was none for a while, until the run has ended."""
        while not self.ended.wait(max(0.0, HEARTBEAT - (monotonic() - self.shown_at))):
            if monotonic() - self.shown_at >= HEARTBEAT:
                self.write(f"{self.what}{self.detail}{self.elapsed()}\n")

    def elapsed(self) -> str:
        return f", {monotonic() - self.started:.0f} s"

    def write(self, text: str) -> None:
        self.shown_at = monotonic()
        with contextlib.suppress(OSError, AttributeError):  # nobody looks, or there is no stderr
            sys.stderr.write(text)
            sys.stderr.flush()

    def end(self) -> None:
        self.ended.set()
        if self.is_shown:
            self.write("\n")


# --- 7. Command line -----------------------------------------------------------------------------

OPTIONS = {  # field: commands, metavar ("" for a flag), help
    "file": ("", "FILE", "the prepared request; - is stdin; without it, all tasks are told"),
    "dry_run": ("", "", "check everything, tell what would be sent, send nothing"),
    "no_wait": ("", "", "end when the task is made; run again for its video"),
    "again": ("", "", "pay for one more task, once the last has ended"),
    "no_look": ("", "", "do not look at the links before a video is paid for"),
    "task": ("", "ID", "go on with this task instead of FILE's"),
    "interval": ("", "SECONDS", "between two polls (default: 5)"),
    "timeout": ("", "SECONDS", "until it gives up (default: 1800); 0 asks once"),
    "no_download": ("", "", "leave the video where it is, for 24 hours"),
    "output": ("", "FILE", "of a detection: where its answer goes, not detection.json"),
}
CODES = {
    **EXIT_CODES,
    2: "the input is wrong; nothing was sent",
    3: "the service said no: request refused, portrait not passed, task failed, cancelled or gone",
    4: "the service could not be reached, or what happened is not known",
    5: "the task has not ended within --timeout: run the same command again",
    130: "interrupted (143: by SIGTERM): run the same command again",
}


def main(argv: Sequence[str] | None = None, flight: Flight | None = None) -> int:
    """Run the command line `argv`, by default this process's; return the exit code.

    `flight` is the one that handles the signals of this process, if any does.
    """
    flight = flight or Flight()

    def command(values: Values, report: Report) -> None:
        run_file(values, report, flight)

    what = "send a prepared request once, wait for its answer or its video, and keep all of it"
    example = "output/aliyun-emo/request.json --timeout 900"
    program: Program = ({"": (command, what, example)}, OPTIONS, CODES)
    code = run_command_line(program, argv)
    if code in (0, 3) and flight.untold:  # only now is it sure that the end was told
        with contextlib.suppress(OSError):  # another run has told it, or nothing may be removed
            os.unlink(flight.untold)
    return code


def script() -> NoReturn:
    """Run this process's command line and end the process."""
    import signal

    flight = Flight()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, flight.interrupt)
    os._exit(main(flight=flight))


if __name__ == "__main__":
    script()
