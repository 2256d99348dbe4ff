"""What run_emo_request.py is asked for: a prepared request, a task by its id, or what there is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import prepare_emo_request as emo
from aliyun_emo import attempts, clock, tasks
from aliyun_emo.answers import id_in, member, text_in
from aliyun_emo.evidence import evidence_of
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.progress import Progress
from aliyun_emo.requests import is_generation, read_request, request_name, request_of
from aliyun_emo.settings import Settings, find_key, settings_of

FLAGS = ("dry_run", "no_wait", "no_look", "no_download")  # options without a value


def run(values: emo.Values, report: emo.Report, interrupts: Interrupts) -> None:
    """Run the request in FILE, go on with a task by its id, or tell what there is."""
    if "file" not in values and "task" not in values:
        for field in values:
            report.error(field, "has nothing to do without FILE", "Give FILE, or take it away.")
        if not report.errors:
            tell_tasks(report)
        return
    progress = Progress()
    settings = settings_of(values, progress, interrupts, report)
    report.next = command_again(values)
    try:
        run_id(settings, report) if "task" in values else run_file(settings, report)
    finally:
        progress.end()
        if "estimate" in report.facts:  # the last of what is told
            report.facts["estimate"] = report.facts.pop("estimate")


def command_again(values: emo.Values) -> Sequence[str]:
    """Return the words of the command that comes after the one of `values`, if it can be pasted."""
    done = ("dry_run",) if "dry_run" in values else ("no_wait", "no_download")
    return command_without(values, *done) if values.get("file") != "-" else ()


def command_without(values: emo.Values, *fields: str) -> list[str]:
    """Return the words of the command line of `values`, but for the options of these `fields`."""
    words = [emo.neighbour("run_emo_request.py")]
    for field in [field for field in values if field not in fields]:
        words += [emo.option(field)] if field != "file" else []
        words += [] if field in FLAGS else [values[field]]
    return words


def tell_tasks(report: emo.Report) -> None:
    """Tell all tasks that are on disk, the newest first, their links without the query."""
    rows = []
    folder = os.path.join(emo.evidence_path(""), "tasks")
    for task in tasks.all_tasks(folder):
        links = member(task.record.get("request"), "input")
        row = {
            "task_path": task.path("task.json"),
            "task_id": task.task_id or None,
            "task_status": task.status or None,
            "state": task.state,
            "saved_at": text_in(task.record, "saved_at") or None,
        }
        for field in emo.FORMATS:
            row[field] = text_in(links, field).partition("?")[0] or None
        rows.append({**row, "video_path": task.video_path})
    report.facts["tasks"] = rows
    report.done = f"tasks in {emo.printable(os.path.abspath(folder), 200)}: {len(rows)}"


def run_file(settings: Settings, report: emo.Report) -> None:
    """Run the request in FILE, a detection or a generation."""
    links, path = emo.Report(), settings.values["file"]
    body = report.check(read_request, path)
    generation = is_generation(body or {})
    if generation:
        report.facts["estimate"] = None
    request = request_of(body, clock.time(), links) if body else None
    folder = evidence_of(path)
    if settings.has("again"):
        report.errors.append(again_problem(settings, request, folder))
    if not request or report.errors:
        report.errors += [] if request else links.errors
        report.check(find_key)
        return
    if not settings.has("dry_run"):
        tasks.sweep(folder or os.curdir)
    if generation and settings.has("output"):
        report.error("output", "is of a detection only", "A generation has a folder of its own.")
    elif generation:
        from aliyun_emo.generation import run_generation

        run_generation(settings, request, links, os.path.join(folder, "tasks"), report)
    elif settings.has("attempt"):
        report.error("attempt", "is of a generation only", "A detection has no task: leave it out.")
    else:
        from aliyun_emo.detection import run_detection

        run_detection(settings, request, links, folder, report)


def again_problem(settings: Settings, request: emo.Json | None, folder: str) -> emo.Problem:
    """Return what to do in the place of --again, which pays once for each time it is run.

    `request` is None where there is none to be read. A detection has no attempts.
    """
    words = [sys.executable, *command_without(settings.values, "again", "attempt")]
    if not request:
        words += ["--attempt", "N"]
    elif "audio_url" in request["input"]:
        name, place = request_name(request, settings.base), os.path.join(folder, "tasks")
        words += ["--attempt", str(attempts.next_attempt(place, name))]
    message = "is --attempt N now: it may be run again and again, and pays once"
    return emo.Problem("again", message, f"Run: {emo.for_the_shell(words)}")


def run_id(settings: Settings, report: emo.Report) -> None:
    """Go on with the task whose id is given, of this folder or made elsewhere."""
    report.facts["estimate"] = None
    task_id = report.check(check_task_id, settings.values["task"])
    if settings.has("file"):
        report.error("task", "stands for FILE, which is there as well", "Give one of the two.")
    for field in ("dry_run", "no_wait", "attempt", "again", "no_look", "output"):
        if settings.has(field):
            report.error(field, "has nothing to do with --task", "Take it away, or give FILE.")
    if report.errors or not task_id:
        return
    tasks.sweep(emo.evidence_path(""))
    folder = os.path.join(emo.evidence_path(""), "tasks")
    task = next((task for task in tasks.all_tasks(folder) if task.task_id == task_id), None)
    if not task:
        find_key()
        task = tasks.Task(tasks.folder_of_id(folder, task_id))
        nothing = ("title", "attempt", "state", "request", "sent", "http_status", "response")
        task.write(**{"saved_at": tasks.timestamp(), **dict.fromkeys(nothing), "state": "made"})
        task.write_answer({"task_id": task_id})
    from aliyun_emo.follow import follow

    follow(settings, task, 0, report)


def check_task_id(text: str) -> str:
    """Return a task's id, which goes into a path of the service; raises `Problem`."""
    if id_in({"task_id": text}) and emo.without_keys(text) == text:
        return text
    hint = "Copy task_id from the line that was printed, or from task.json."
    raise emo.Problem("task", f"{emo.shown_link(text)} is not the id of a task", hint)
