"""What a file shows: a request, a detection or a task; or what is wrong with it."""

from __future__ import annotations

import os
import re

import prepare_emo_request as emo
from aliyun_emo import answers, clock, detection_answers, refusals, requests, tasks
from aliyun_emo.files import read_json
from aliyun_emo.links import ANY_TIME
from aliyun_emo.local_files import Local, look_again
from aliyun_emo.settings import base_given

WHICH_FILE = "Give request.json, a detection.json, or a task's task.json."


class Subject:
    """What a page shows: its `kind`, the prepared `request` with both boxes, the local `files`."""

    def __init__(self, kind: str, request: emo.Json, files: Local, name: str = "") -> None:
        self.kind, self.request, self.files = kind, request, files
        self.given = {**request["input"], **{field: file.url for field, file in files.items()}}
        self.names = {f: requests.file_name(self.given[f]) for f in emo.KINDS if f in self.given}
        self.ratio = emo.ratio_of(self.given["ext_bbox"]) or ""
        self.name = name or name_here(request)  # its digits
        self.state = self.said = self.task_id = self.video = ""  # of its task; the video's path
        self.words: list[str] = []  # what the command of a request has more

    def tell_task(self, task: tasks.Task) -> None:
        """Let the page tell of the `task` that was made of this, or is on its way."""
        said = [of.get(n) for of in (task.answer, task.first_answer) for n in ("code", "message")]
        self.said = ", ".join(refusals.shown_words(word) for word in (task.status, *said) if word)
        self.state, self.video, self.task_id = task.state, task.video_path or "", task.task_id


def subject_of(path: str, report: emo.Report) -> Subject | None:
    """Return what the file `path` shows, or None when something is wrong with it."""
    if path == "-":
        message = "stdin has no place beside it, where the page could go"
        raise emo.Problem("file", message, "Give the path of the file.")
    requests.check_there(path)
    document = read_json("file", path, WHICH_FILE)
    if "input" in document:
        return request_subject(document, path, report)
    if "state" in document and "response" in document:
        return task_subject(document, path, report)
    if isinstance(document.get("request"), dict) and "response" in document:
        return detection_subject(document, path, report)
    raise emo.Problem("file", "there is no request with a picture in it", WHICH_FILE)


def request_subject(body: emo.Json, path: str, report: emo.Report) -> Subject | None:
    request = requests.request_of(body, clock.time(), report)
    if not request or report.errors:
        return None
    if "audio_url" not in request["input"]:
        message = "it is the request of a detection, which has no boxes yet"
        raise emo.Problem("file", message, "Run it, and give its detection.json.")
    subject = Subject("request", request, look_again(request, path, report))
    folder = os.path.join(requests.evidence_of(path), "tasks")
    decision = tasks.decide(tasks.folders_of(folder, subject.name), None)
    if isinstance(decision, tasks.Follow):
        subject.tell_task(decision.task)
    return subject


def detection_subject(record: emo.Json, path: str, report: emo.Report) -> Subject | None:
    boxes = detection_answers.boxes_of(record, None, None, report)
    request = requests.request_of(record["request"], ANY_TIME, report) if boxes else None
    if not boxes or not request:
        return None
    request["input"].update(zip(emo.BOX_FIELDS, boxes))
    return Subject("detection", request, files_since(request, path, report))


def task_subject(record: emo.Json, path: str, report: emo.Report) -> Subject | None:
    body = answers.member(record, "request")
    if "audio_url" not in answers.member(body, "input"):
        message = "the task was waited for by its id alone: there is no picture in it"
        raise emo.Problem("file", message, "Give the request.json that the task was made of.")
    request = requests.request_of(body, ANY_TIME, report)
    if not request:
        return None
    task = tasks.Task(os.path.dirname(os.path.realpath(path)))
    task.record = record  # of FILE, whatever its name
    name = task.name if re.fullmatch(requests.DIGITS, task.name) else ""
    subject = Subject("task", request, files_since(request, path, report), name)
    subject.tell_task(task)
    return subject


def warn_of_earlier(path: str, report: emo.Report) -> None:
    """Warn that what stands in the file `path` is still an earlier request, and which."""
    found = emo.Report()
    body = found.check(read_json, "file", path)
    request = requests.request_of(body, ANY_TIME, found) if body else None
    if request:
        links = [request["input"][field] for field in emo.FORMATS if field in request["input"]]
        its = f"{name_here(request)}: {', '.join(map(requests.file_name, links))}"
        message = f"{emo.shown_path(path)} is still the earlier request {its}"
        report.warn("output", message, "Do not run it in the place of this one.")


def files_since(request: emo.Json, path: str, report: emo.Report) -> Local:
    """Return the local files of a `request`; what was changed since is only warned of."""
    found = emo.Report()
    files = look_again(request, path, found)
    report.warnings += found.errors + found.warnings
    return files


def name_here(request: emo.Json) -> str:
    """Return the name of a `request`, here and now."""
    name = requests.request_name if requests.is_generation(request) else requests.detection_name
    return name(request, base_given()[0])
