"""The evidence of paid tasks: folders, whoever makes one sends it; what came back; the attempts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.answers import as_object, id_in, member, text_in, understood
from aliyun_emo.files import move, read_evidence, write_durably

UNFINISHED = ("PENDING", "PRE-PROCESSING", "RUNNING", "POST-PROCESSING", "SUSPENDED")
FAILED = ("FAILED", "CANCELED")
SUCCEEDED = "SUCCEEDED"
GONE = "UNKNOWN"  # no such task, or not any more
ENDS = (*FAILED, SUCCEEDED, GONE)
AT_WORK = 120  # seconds for which another run may be sending what it has claimed


class Task:
    """A task's folder: task.json is its `record`, response.json what was said later, `answer`."""

    def __init__(self, folder: str, is_new: bool = False) -> None:
        self.folder, self.name, self.is_new = folder, os.path.basename(folder), is_new
        self.record = read_evidence(self.path("task.json"))
        self.answer = read_evidence(self.path("response.json"))
        if self.answer.get("task_id", self.task_id) != self.task_id:  # it is about another task
            self.answer = {}

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def found(self, name: str) -> str | None:
        return self.path(name) if os.path.isfile(self.path(name)) else None

    @property
    def state(self) -> str:
        state = text_in(self.record, "state")
        state = "unclear" if state == "made" and not self.task_id else state
        return state if state in ("unclear", "made", "refused") else "sending"

    @property
    def attempt(self) -> int | None:
        """Which task of its request it is, as its record says, or None."""
        number = self.record.get("attempt")
        return number if type(number) is int and number > 0 else None

    @property
    def first_answer(self) -> emo.Json:
        """The answer to its request, {} where there is none."""
        return as_object(understood(self.record.get("response")))

    @property
    def task_id(self) -> str:
        return id_in(member(self.first_answer, "output")) or id_in(self.answer)

    @property
    def status(self) -> str:
        """The last status that is known, SUCCEEDED where the video is here, or ""."""
        first = member(self.first_answer, "output")
        known = text_in(self.answer, "task_status") or text_in(first, "task_status")
        return SUCCEEDED if self.video_path else known

    @property
    def video_url(self) -> str:
        return text_in(self.answer, "video_url")

    @property
    def video_path(self) -> str | None:
        """The path of the video, which is there whole or not at all."""
        return self.found("video.mp4")

    @property
    def is_open(self) -> bool:
        """Whether its end is not known, or its video is not here; what is gone is not open."""
        return not (self.state == "refused" or self.status in (*FAILED, GONE) or self.video_path)

    @property
    def saved_at(self) -> str:
        """When its record was written, else its folder, as UTC."""
        saved_at = text_in(self.record, "saved_at")
        if emo.instant(saved_at) is not None:
            return saved_at
        with contextlib.suppress(OSError):  # removed just now
            return emo.utc(int(os.stat(self.folder).st_mtime))
        return emo.utc(int(clock.time()))

    @property
    def age(self) -> float:
        """Seconds since `saved_at`: that it was sent, or the answer to that was kept."""
        return clock.time() - (emo.instant(self.saved_at) or 0)

    @property
    def at_work(self) -> int:
        """Seconds for which another run may still be sending it, 0 where none is."""
        return max(AT_WORK - int(abs(self.age)), 0) if self.state == "sending" else 0

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

    def write(self, **changes: Any) -> None:
        """Change the record, synced; raises `OSError`."""
        self.record = {**self.record, **changes}
        write_durably(self.path("task.json"), self.record)

    def write_answer(self, answer: emo.Json) -> None:
        """Write the normalized `answer` about it, with its video if that is here."""
        answer = {name: value for name, value in answer.items() if name != "video_path"}
        self.answer = {**answer, **({"video_path": "video.mp4"} if self.video_path else {})}
        emo.write_json(self.path("response.json"), self.answer, move)

    def save_video(self, chunks: Iterable[bytes]) -> None:
        """Keep the video that comes in `chunks`, whole or not at all; raises what they raise."""
        emo.replace_file(self.path("video.mp4"), chunks, move)

    def copy_video(self, path: str) -> str:
        """Copy the video to `path`, whole or not at all, and return that; raises `OSError`."""
        source = self.path("video.mp4")
        if os.path.realpath(path) != os.path.realpath(source):
            with open(source, "rb") as video:
                emo.replace_file(path, video)
        return path

    def remove(self) -> None:
        """Remove the folder at once, of a request that never left or an id that is none."""
        move(self.folder, aside := os.path.join(os.path.dirname(self.folder), emo.temporary_name()))
        shutil.rmtree(aside, ignore_errors=True)


def no_facts() -> emo.Json:
    """Return what the line on stdout has where there is no task: the same, null."""
    return dict.fromkeys(Task(os.devnull).facts())


def timestamp() -> str:
    """Return the time now as "2026-01-01T00:00:00.000000Z"."""
    from datetime import datetime, timezone

    return datetime.fromtimestamp(clock.time(), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def folder_of_id(tasks: str, task_id: str) -> str:
    """Return the folder of a task that was made elsewhere; its id cannot lead anywhere else."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,99}", task_id):  # in some folders capitals are none
        from hashlib import sha256

        task_id = "-" + sha256(task_id.encode()).hexdigest()
    return os.path.join(tasks, f"id-{task_id}")


def all_tasks(tasks: str) -> list[Task]:
    """Return all tasks, the newest first; a folder that was only claimed has digits for a name."""
    found: list[Task] = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # but not what is not allowed
        found = [Task(e.path) for e in [*os.scandir(tasks)] if e.is_dir() and e.name[:1] != "."]
    found = [t for t in found if t.record or re.match(r"[0-9a-f]{12}", t.name)]
    return sorted(found, key=lambda task: task.saved_at, reverse=True)


def folders_of(place: str, name: str) -> list[tuple[int, Task]]:
    """Return the folders for the request `name` with their numbers, the oldest first."""
    names = os.listdir(place) if os.path.isdir(place) else []
    matches = [re.fullmatch(rf"{re.escape(name)}(?:-([1-9][0-9]*))?", n, re.I) for n in names]
    found = [(int(m[1] or 1), Task(os.path.join(place, m[0]))) for m in matches if m]
    return sorted(found, key=lambda numbered: numbered[0])


def claim(place: str, name: str, number: int) -> Task | None:
    """Return the new folder with this `number`, or None when another process has just made it."""
    os.makedirs(place, exist_ok=True)
    folder = os.path.join(place, name if number == 1 else f"{name}-{number}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
        return Task(folder, is_new=True)
    return None


def has_rival(found: Iterable[tuple[int, Task]], mine: Task) -> bool:
    """Whether another folder says that it is the same attempt as `mine`."""
    # A run that slept between its claim and its record may wake up beside one that took its place:
    # each looks for the other after it has said so, and before it sends.
    others = [task for _, task in found if task.folder != mine.folder and task.state != "refused"]
    return mine.attempt in [task.attempt for task in others]


Follow = namedtuple("Follow", "task")  # go on with this one
Send = namedtuple("Send", "attempt number")  # send this attempt, in the folder with that number


def decide(found: Sequence[tuple[int, Task]], wanted: int | None) -> Follow | Send | emo.Problem:
    """Return what is done about a request with the folders `found`, the oldest first."""
    # The `wanted` attempt, or the last, is gone on with where it was not refused; it is sent after
    # one that has ended, or that nobody knows of: another run may be `sending` for two minutes.
    standing = dict(numbered(found))
    attempt = wanted or max(standing, default=1)
    if attempt in standing:
        return Follow(standing[attempt])
    before = standing.get(attempt - 1)
    is_over = before and (before.status in ENDS if before.state == "made" else not before.at_work)
    if attempt == 1 or is_over:
        return Send(attempt, max((number for number, _ in found), default=0) + 1)
    last = max(standing, default=0)
    message = f"there is no attempt {attempt - 1} yet, and this one comes after it"
    hint = f"The next one is --attempt {last + 1}." if last else "Leave --attempt out."
    if before:
        message = f"attempt {attempt - 1} has not ended, and this one would pay beside it"
        hint = f"Run with --attempt {attempt - 1} first, until it ends."
        if left := before.at_work:
            hint = f"Run with --attempt {attempt - 1} in {left} seconds: it tells what is known."
    return emo.Problem("attempt", message, hint)


def numbered(found: Sequence[tuple[int, Task]]) -> list[tuple[int, Task]]:
    """Return the tasks that were not refused, each with the attempt that it is."""
    # Without a record, so never sent, its place counts; one that says it is last, for the dict.
    standing = [task for _, task in found if task.state != "refused"]
    placed = [(task.attempt or place, task) for place, task in enumerate(standing, 1)]
    return sorted(placed, key=lambda one: one[1].attempt is not None)


def next_attempt(place: str, name: str) -> int:
    """Return the number of the attempt of the request `name` that was not made yet."""
    return max((attempt for attempt, _ in numbered(folders_of(place, name))), default=0) + 1
