"""What tasks there are: told, and one of them, or all that are open, gone on with."""

from __future__ import annotations

import os
import re

import prepare_emo_request as emo
from aliyun_emo import attempts, commands, evidence, files, follow, refusals, tasks
from aliyun_emo.answers import id_in, member, text_in
from aliyun_emo.requests import DIGITS, file_name
from aliyun_emo.settings import DAY, Settings


def list_tasks(report: emo.Report) -> None:
    """Tell all tasks, the newest first, a line each for people as well, and what comes next."""
    found = tasks.all_tasks(emo.evidence_path("tasks"))
    report.facts["tasks"] = list(map(row_of, found))
    report.next = [(commands.RUN, "--all")] if any(map(is_to_follow, found)) else []
    place = emo.printable(os.path.abspath(emo.evidence_path("")), 200)
    report.done = "\n".join([f"tasks in {place}: {len(found)}", *map(line_of, found)])
    if not found:
        hint = "Go to the folder where the work was done, or set OUTPUT_DIR to its output."
        report.warn("tasks", f"no tasks in {place}: is this the folder?", hint)
    for task in found:
        if task.status == tasks.GONE and task.age < DAY:
            hint = follow.gone_problem("", task, following(task)).hint
            report.warn("tasks", f"{task.name} is UNKNOWN to the service, and not a day old", hint)
        if task.state in ("sending", "unclear") and task.attempt in (None, following(task) - 1):
            hint = follow.may_exist_problem(task, following(task)).hint  # nobody has paid again
            report.warn("tasks", f"{task.name} was sent, and its answer is not known", hint)


def following(task: tasks.Task) -> int:
    """Return the number of the attempt after those of a task's request, 0 for one of an id."""
    folder, name = os.path.split(task.folder)
    return attempts.next_attempt(folder, name[:12]) if re.fullmatch(DIGITS, name) else 0


def row_of(task: tasks.Task) -> emo.Json:
    """Return what is told of a task on stdout, its links without the query."""
    given = member(task.record.get("request"), "input")
    facts, saved_at = task.facts(), text_in(task.record, "saved_at") or None
    row = {name: facts[name] for name in ("task_path", "task_id", "task_status", "state")}
    query = r"(?i)(\?|%(25)*3f|(&|;|%(25)*26)([\w.-]+(=|%3d)|amp;)).*"
    shown = {f: re.sub(query, "", text_in(given, f)) or None for f in emo.FORMATS}
    return {**row, "saved_at": saved_at, **shown, "video_path": facts["video_path"]}


def line_of(task: tasks.Task) -> str:
    """Return what is told of a task to people: digits, media, status, age or time left, video."""
    given = member(task.record.get("request"), "input")
    media = ", ".join(file_name(given[f]) for f in emo.FORMATS if text_in(given, f))
    left = min(DAY - task.age, DAY)  # a clock may have been wrong
    time = f"{hours(task.age)} old" if given else f"known for {hours(task.age)}"  # made elsewhere
    if is_to_follow(task) and given:
        time = f"{hours(left)} left to fetch it" if left > 0 else f"{time}: it may be forgotten"
    code = refusals.shown_words(text_in(task.answer, "code"))  # why it failed
    words = [task.name, media, task.status or task.state, code, time, task.video_path]
    return "  " + "; ".join(emo.printable(word, 200) for word in words if word)


def hours(seconds: float) -> str:
    return f"{seconds // 3600:.0f} h" if seconds >= 3600 else f"{max(seconds, 0) // 60:.0f} min"


def is_to_follow(task: tasks.Task) -> bool:
    return task.state == "made" and task.is_open


def run_all(settings: Settings, report: emo.Report) -> None:
    """Go on with all open tasks, the oldest first, each as if it were run alone."""
    try:
        for task in filter(is_to_follow, reversed(tasks.all_tasks(emo.evidence_path("tasks")))):
            its = emo.Report()
            its.check(follow.follow, settings.started_anew(), task, following(task), its)
            for problem in its.errors + its.warnings:
                problem.message = f"{task.name}: {problem.message}"
            report.errors += its.errors
            report.warnings += its.warnings
    finally:
        list_tasks(report)


def run_task(settings: Settings, report: emo.Report) -> None:
    """Go on with the task that is named, of this folder or made elsewhere."""
    report.facts["estimate"] = None
    mark, end = rf"[{emo.QUOTES}<(*\s]*", rf"(?<=\w)[.,;>)*\u3002{emo.QUOTES}]+$"
    name = re.sub(rf"^{mark}(task_id{mark}[:=]{mark})?|{end}", "", settings.values["task"])
    task = task_named(name) if name else None
    if task and task.state == "refused":
        hint = "There is no task of it: mend the request, and run that."
        raise emo.Problem("task", f"{emo.shown_link(name)} was refused by the service", hint)
    evidence.check_copy(settings.values, member(task.record, "request") if task else {}, [])
    if task:
        return follow.follow(settings, task, following(task), report)
    task_id = check_task_id(name)
    settings = settings.with_key()
    files.sweep(emo.evidence_path(""))
    task = tasks.Task(tasks.folder_of_id(emo.evidence_path("tasks"), task_id))
    nothing = ("title", "attempt", "state", "request", "sent", "http_status", "response")
    task.write(**{"saved_at": tasks.timestamp(), **dict.fromkeys(nothing), "state": "made"})
    task.write_answer({"task_id": task_id})
    try:
        follow.follow(settings, task, 0, report)
    finally:
        if tasks.Task(task.folder).status in ("", tasks.GONE):  # it is not known that there is one
            task.remove()
            report.facts.update(task.facts(), state=None, already_submitted=None)


def task_named(name: str) -> tasks.Task | None:
    """Return the task with this id, these digits, or this path of its record or folder, or None."""
    place = name[: -len("task.json")] if os.path.basename(name) == "task.json" else name
    if os.path.isfile(os.path.join(place, "task.json")):
        return tasks.Task(os.path.realpath(place))
    own = rf"{DIGITS}|id-[0-9a-f-]{{36}}|id--[0-9a-f]{{64}}"  # names of folders; of short ids none
    folder = name if re.fullmatch(own, name) else None
    found = tasks.all_tasks(emo.evidence_path("tasks"))
    return next((task for task in found if task.name == folder or task.task_id == name), None)


def check_task_id(text: str) -> str:
    if re.fullmatch(rf"(.*[/\\])?{DIGITS}[/\\]?", text):
        message = f"there is no task {emo.shown_path(text)}: it was not sent from here"
        raise emo.Problem("task", message, "Make it again, or run without --task for the list.")
    if id_in({"task_id": text}) and emo.without_keys(text) == text and text[-5:] != ".json":
        return text
    hint = "Copy task_id from the line that was printed, or from task.json."
    raise emo.Problem("task", f"{emo.shown_link(text)} is not the id of a task", hint)
