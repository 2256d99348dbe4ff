"""The evidence of paid tasks: a folder for each, claims, states, and what is done about a request.

    tasks/3f9a12c07b1e/      the first folder of a request, named for what it asks for
    tasks/3f9a12c07b1e-2/    the next one

Whoever makes a folder sends the request, and everybody else finds it there.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.answers import member, text_in, understood

# --- 1. States ------------------------------------------------------------------------------------

STATES = ("sending", "unclear", "made", "refused")
UNFINISHED = ("PENDING", "PRE-PROCESSING", "RUNNING", "POST-PROCESSING", "SUSPENDED")
FAILED = ("FAILED", "CANCELED")
SUCCEEDED = "SUCCEEDED"
GONE = "UNKNOWN"  # no such task, or not any more
ENDS = (*FAILED, SUCCEEDED, GONE)
AT_WORK = 120  # seconds for which another run may be sending what it has claimed
STALE = 24 * 3600  # seconds after which a temporary file is nobody's any more


class Task:
    """A task's folder: its `record` is task.json, and its `answer` response.json, as last seen."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.is_new = False  # made by this run
        self.record = read_evidence(self.path("task.json"))
        self.answer = read_evidence(self.path("response.json"))
        if self.answer.get("task_id", self.task_id) != self.task_id:  # it is about another task
            self.answer = {}

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def found(self, name: str) -> str | None:
        """Return the path of the file `name`, or None where there is none."""
        return self.path(name) if os.path.isfile(self.path(name)) else None

    @property
    def state(self) -> str:
        state = text_in(self.record, "state")
        return state if state in STATES else "sending"

    @property
    def attempt(self) -> int | None:
        """Which task of its request it is, as its record says, or None."""
        number = self.record.get("attempt")
        return number if type(number) is int and number > 0 else None

    @property
    def made(self) -> emo.Json:
        """The `output` of the answer that made it."""
        return member(understood(self.record.get("response")), "output")

    @property
    def task_id(self) -> str:
        return text_in(self.made, "task_id") or text_in(self.answer, "task_id")

    @property
    def status(self) -> str:
        """The last status that is known, or ""."""
        if self.video_path:
            return SUCCEEDED
        return text_in(self.answer, "task_status") or text_in(self.made, "task_status")

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
        if emo.instant(saved_at) is not None:
            return saved_at
        try:
            return emo.utc(int(os.stat(self.folder).st_mtime))
        except OSError:  # removed just now
            return emo.utc(int(clock.time()))

    @property
    def age(self) -> float:
        """Seconds since its request was sent."""
        return clock.time() - (emo.instant(self.saved_at) or 0)

    def facts(self) -> emo.Json:
        """Return what is known of it, for the line on stdout."""
        return {
            "state": self.state,
            "task_path": self.found("task.json"),
            "task_id": self.task_id or None,
            "task_status": self.status or None,
            "already_submitted": not self.is_new,
            "video_url": self.video_url or None,
            "video_path": self.video_path,
            "response_path": self.found("response.json"),
        }

    # What is written, and how it is removed again

    def write(self, **changes: Any) -> None:
        """Change the record, synced; raises `OSError`."""
        self.record = {**self.record, **changes}
        write_durably(self.path("task.json"), self.record)

    def write_answer(self, answer: emo.Json) -> None:
        """Write the normalized `answer` about it, with its video if that is here."""
        self.answer = {**answer, **({"video_path": "video.mp4"} if self.video_path else {})}
        emo.write_json(self.path("response.json"), self.answer, move)

    def append_snapshot(self, answer: object) -> None:
        """Append a poll's `answer` to polls.jsonl, as one whole line or not at all."""
        line = json.dumps({"polled_at": timestamp(), "response": answer}).encode() + b"\n"
        path = self.path("polls.jsonl")
        with open(path, "ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                written = file.write(line)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from None
            if written != len(line):
                if os.fstat(file.fileno()).st_size == size + written:
                    file.truncate(size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def save_video(self, chunks: Iterable[bytes]) -> None:
        """Keep the video that comes in `chunks`, whole or not at all; raises what they raise."""
        emo.replace_file(self.path("video.mp4"), chunks, move)

    def remove(self) -> None:
        """Remove the folder at once, for a request that certainly never left."""
        aside = os.path.join(os.path.dirname(self.folder), emo.temporary_name())
        move(self.folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def read_evidence(path: str) -> emo.Json:
    """Return the JSON object in the file `path` of the evidence, {} where there is none to read."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def timestamp() -> str:
    """Return the time now as "2026-01-01T00:00:00.000000Z"."""
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- 2. Folders -----------------------------------------------------------------------------------


def attempts(tasks: str, name: str) -> list[tuple[int, Task]]:
    """Return the folders for the request `name` with their numbers, the oldest first."""
    found = []
    for entry in os.listdir(tasks) if os.path.isdir(tasks) else []:
        match = re.fullmatch(rf"{name}(?:-([1-9][0-9]*))?", entry, re.IGNORECASE)
        if match:
            found.append((int(match[1] or 1), Task(os.path.join(tasks, entry))))
    return sorted(found, key=lambda attempt: attempt[0])


def claim(tasks: str, name: str, number: int) -> Task | None:
    """Return the new folder with this `number`, or None when another process has just made it."""
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
    """Return the folder of a task that was made elsewhere; its id cannot lead anywhere else."""
    # Capitals count in an id, and not in the names of every file system.
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


def sweep(folder: str) -> None:
    """Remove what killed runs left half written below `folder`, when it is older than a day."""
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            if re.fullmatch(emo.TEMPORARY_NAME, name):
                with contextlib.suppress(OSError):  # another run is at it, or a later one will be
                    if clock.time() - os.lstat(path).st_mtime > STALE:
                        (shutil.rmtree if name in folders else os.unlink)(path)


# --- 3. What is done about a request --------------------------------------------------------------

Follow = namedtuple("Follow", "task")  # go on with this one
Send = namedtuple("Send", "attempt number")  # send this attempt, in the folder with that number


def decide(found: Sequence[tuple[int, Task]], wanted: int | None) -> Follow | Send | emo.Problem:
    """Return what is done about a request with the folders `found`, the oldest first.

    The `wanted` attempt, or without one the last that there is, is gone on with where it was not
    refused; it is sent where it may be the next: after one that has ended, or of which nobody knows
    what became of it. Another run may still be at one that is `sending`, for two minutes.
    """
    standing = dict(numbered(found))
    attempt = wanted or max(standing, default=1)
    if attempt in standing:
        return Follow(standing[attempt])
    before = standing.get(attempt - 1)
    if attempt == 1 or (before and gives_way(before)):
        return Send(attempt, max((number for number, _ in found), default=0) + 1)
    last = max(standing, default=0)
    message = f"there is no attempt {attempt - 1} yet, and this one comes after it"
    hint = f"The next one is --attempt {last + 1}." if last else "Leave --attempt out."
    if before:
        message = f"attempt {attempt - 1} has not ended, and this one would pay beside it"
        hint = f"Run with --attempt {attempt - 1} first, until it ends."
        if before.state == "sending":
            hint = f"Another run may be at it just now: try again after {AT_WORK} seconds."
    return emo.Problem("attempt", message, hint)


def numbered(found: Sequence[tuple[int, Task]]) -> list[tuple[int, Task]]:
    """Return the tasks that were not refused, each with the attempt that it is.

    That stands in its record. Without one it is the one of its place: nothing was sent from a
    folder whose record was not written yet. Of two the one that says it comes last, and counts.
    """
    standing = [task for _, task in found if task.state != "refused"]
    placed = [(task.attempt or place, task) for place, task in enumerate(standing, 1)]
    return sorted(placed, key=lambda one: one[1].attempt is not None)


def gives_way(task: Task) -> bool:
    """Whether another attempt may be paid for beside this one."""
    if task.state == "made":
        return task.status in ENDS
    return task.state == "unclear" or abs(task.age) >= AT_WORK


def next_attempt(found: Sequence[tuple[int, Task]]) -> int:
    """Return the number of the attempt that was not made yet."""
    return max((attempt for attempt, _ in numbered(found)), default=0) + 1


def has_rival(found: Iterable[tuple[int, Task]], mine: Task) -> bool:
    """Whether another folder says that it is the same attempt as `mine`.

    A run that slept between its claim and its record may wake up beside one that took its place:
    each looks for the other after it has said so, and before it sends.
    """
    others = [task for _, task in found if task.folder != mine.folder and task.state != "refused"]
    return mine.attempt in [task.attempt for task in others]


# --- 4. Writing what must not be lost -------------------------------------------------------------

NOT_OFFERED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def write_durably(path: str, document: object) -> None:
    """Replace the file `path` whole by `document`, on the disk on return; raises `OSError`."""

    def place(temporary: str, target: str) -> None:
        with open(temporary, "rb+") as file:
            if_offered(os.fsync, file.fileno())
        move(temporary, target)
        sync_folder(os.path.dirname(target))

    emo.write_json(path, document, place)


def move(source: str, target: str) -> None:
    """Rename a file to `target`, in place of what is there; raises `OSError`."""
    for _ in range(20 if os.name == "nt" else 0):
        try:
            return os.replace(source, target)
        except PermissionError:  # on Windows, as long as another process has it open
            clock.sleep(0.05)
    return os.replace(source, target)


def sync_folder(folder: str) -> None:
    """Bring a folder's names to the disk, where that is offered; Windows cannot open folders."""
    if os.name != "nt":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if_offered(os.fsync, descriptor)
        finally:
            os.close(descriptor)


def if_offered(call: Callable[..., object], *arguments: Any) -> None:
    """Call what some file systems do not offer (CIFS, FUSE) and a file can do without."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
