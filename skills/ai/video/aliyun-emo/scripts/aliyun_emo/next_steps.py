"""The command that comes after what a page shows, and what it does, in words."""

from __future__ import annotations

import os

from aliyun_emo import evidence, local_files, subjects
from aliyun_emo.commands import PREPARE, RUN, starting


def next_step(subject: subjects.Subject, place: str) -> tuple[str, list[str]]:
    """Return what the command that comes next does, and its words; none where there is none."""
    if subject.kind == "request" and (subject.task_id or not subject.state):
        what = "This command sends the request, which costs money. Then it fetches the video."
        if subject.state:
            what = "It was sent already. This command tells what became of it, and costs nothing."
        if subject.video:
            what = "The video was made already. This command tells where it is, and costs nothing."
        words = [place, *(["--attempt", str(subject.attempt)] if subject.attempt else [])]
        return what, [*starting(RUN, anywhere=True), *words]
    if subject.kind == "detection":
        media = local_files.media_words(subject.given["image_url"])
        what = "This command writes the request of a video. It costs nothing."
        what += f" Put the recording in the place of {media[-1]}."
        target = os.path.join(evidence.folder_above(place), "request.json")
        words = [*media, "--detection", place, "--output", target]
        return what, [*starting(PREPARE, anywhere=True), *words]
    what = "This command waits for the end of the task, and shows it. It costs nothing."
    folder = os.path.dirname(place)
    is_at_home = os.path.basename(os.path.dirname(folder)) == "tasks"
    words = ["--task", folder if is_at_home else subject.task_id]
    return what, [*starting(RUN, anywhere=True), *words] if subject.task_id else []
