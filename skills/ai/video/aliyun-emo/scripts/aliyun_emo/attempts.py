"""The attempts of a request, tasks/NAME/, tasks/NAME-2/ and so on: whoever makes one sends it."""

from __future__ import annotations

import os
import re
from collections import namedtuple
from collections.abc import Iterable, Sequence

import prepare_emo_request as emo
from aliyun_emo.tasks import ENDS, Task

AT_WORK = 120  # seconds for which another run may be sending what it has claimed


def folders_of(place: str, name: str) -> list[tuple[int, Task]]:
    """Return the folders for the request `name` with their numbers, the oldest first."""
    names = os.listdir(place) if os.path.isdir(place) else []
    matches = [re.fullmatch(rf"{name}(?:-([1-9][0-9]*))?", n, re.IGNORECASE) for n in names]
    found = [(int(m[1] or 1), Task(os.path.join(place, m[0]))) for m in matches if m]
    return sorted(found, key=lambda attempt: attempt[0])


def claim(place: str, name: str, number: int) -> Task | None:
    """Return the new folder with this `number`, or None when another process has just made it."""
    os.makedirs(place, exist_ok=True)
    folder = os.path.join(place, name if number == 1 else f"{name}-{number}")
    try:
        os.mkdir(folder)
    except FileExistsError:
        return None
    return Task(folder, is_new=True)


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
    # The `wanted` attempt, or without one the last that there is, is gone on with where it was not
    # refused; it is sent where it may be the next: after one that has ended, or of which nobody
    # knows what became of it. Another run may still be at one that is `sending`, for two minutes.
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
    """Return the tasks that were not refused, each with the attempt that it is."""
    # That stands in its record. Without one it is the one of its place: nothing was sent from a
    # folder whose record was not written yet. Of two the one that says it is last: a dict keeps it.
    standing = [task for _, task in found if task.state != "refused"]
    placed = [(task.attempt or place, task) for place, task in enumerate(standing, 1)]
    return sorted(placed, key=lambda one: one[1].attempt is not None)


def gives_way(task: Task) -> bool:
    is_lost = task.state == "unclear" or abs(task.age) >= AT_WORK
    return task.status in ENDS if task.state == "made" else is_lost


def next_attempt(place: str, name: str) -> int:
    """Return the number of the attempt of the request `name` that was not made yet."""
    return max((attempt for attempt, _ in numbered(folders_of(place, name))), default=0) + 1
