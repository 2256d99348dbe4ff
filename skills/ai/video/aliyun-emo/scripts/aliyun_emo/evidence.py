"""Where evidence lies: beside a prepared file in aliyun-emo, or in OUTPUT_DIR; names of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import prepare_emo_request as emo
from aliyun_emo.answers import member, text_in
from aliyun_emo.local_files import local_path

REQUESTS, DETECTIONS, PREVIEWS = "requests", "detections", "previews"


def evidence_of(path: str) -> str:
    """Return the folder of evidence of a prepared file, the same one however that is reached."""
    pwd = os.environ.get("PWD", "")  # how a shell came here, which the system does not tell
    pwd = pwd if os.path.isdir(pwd) and os.path.samefile(pwd, os.curdir) else os.curdir
    real, typed, walked = map(folder_above, (os.path.realpath(path), path, os.path.join(pwd, path)))
    for folder in (real, typed, walked):
        if path != "-" and os.path.basename(os.path.abspath(folder)) == "aliyun-emo":
            found = os.path.realpath(folder)  # as typed where that is the same
            return typed if os.path.abspath(typed) == found else found
    return emo.evidence_path("")


def folder_above(path: str) -> str:
    """Return the folder of a file, or the one of evidence where it lies in a folder of that."""
    folder = os.path.dirname(path)
    above = os.path.dirname(folder)
    home = os.path.dirname(above)
    if os.path.basename(above) == "tasks" and os.path.basename(home) == "aliyun-emo":
        return home
    return above if os.path.basename(os.path.abspath(folder)) in (REQUESTS, DETECTIONS) else folder


def kept_path(folder: str, kind: str, name: str) -> str:
    """Return where in the `folder` of evidence lies what is kept by `name`, of one of the kinds."""
    return os.path.join(folder, kind, f"{name}.{'html' if kind == PREVIEWS else 'json'}")


def check_shown(path: str, name: str) -> None:
    """Raise `Problem` where `path` is of a request that was shown, and now it is that of `name`."""
    for place in map(os.path.abspath, (path, os.path.realpath(path))):  # either may be a link
        shown = re.search(rf"[/\\]{REQUESTS}[/\\]([0-9a-f]{{12}})\.json$", place)
        if shown and shown[1] != name:
            message = f"it is not the request {shown[1]} that was shown, but {name or 'another'}"
            hint = "It was changed, or is for another service by its base URL: look at it anew."
            raise emo.Problem("file", message, hint)


def check_copy(values: emo.Values, request: emo.Json, given: Sequence[str]) -> None:
    """Check where a copy of the video goes, if one is wanted; raises `Problem` and `OSError`."""
    if "output" in values:
        path = emo.output_path(values, "")
        links = [text_in(member(request, "input"), field) for field in member(request, "files")]
        emo.check_other_file(path, [*given, *map(local_path, links)])
        at, tasks = (f"{os.path.realpath(p)}{os.sep}" for p in (path, emo.evidence_path("tasks")))
        beside = os.path.join(os.path.dirname(at[:-1]), "task.json")
        is_ours = path.lower().endswith((".json", ".html")) or os.path.isfile(beside)
        if is_ours or at.startswith(tasks) or tasks.startswith(at):
            message = f"{emo.shown_path(path)} is a folder, .json, .html, or a place of evidence"
            raise emo.Problem("output", message, "Name another file.")
        emo.check_writable(path)
