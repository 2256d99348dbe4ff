"""What run_emo_request.py is asked for: a prepared request, a task by its id, or what there is."""

from __future__ import annotations

import os
import re
from functools import partial

import prepare_emo_request as emo
from aliyun_emo import clock, detection, files, follow, generation, looks, refusals, requests, tasks
from aliyun_emo.answers import id_in, member, text_in
from aliyun_emo.commands import RUN, command, option_words
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.requests import DIGITS, REQUESTS, file_name, kept_path
from aliyun_emo.settings import DAY, Settings, settings_of

CODES = {  # exit codes, beside those of prepare
    2: "the input is wrong; this run paid for no video",
    3: "the service said no: request refused, portrait not passed, task failed, cancelled or gone",
    4: "the service could not be reached, or what happened is not known: a task may exist",
    5: "the task has not ended within --timeout: run the same command again",
    130: "interrupted (143: by SIGTERM): run the same command again, and it tells what is known",
}
FOLLOWING = ("interval", "timeout", "no_download")  # what may stand without FILE, as below
BESIDE = {"task": ("task", "output", *FOLLOWING), "all": ("all", *FOLLOWING), "": ()}


def run(values: emo.Values, report: emo.Report, interrupts: Interrupts) -> None:
    """Run the request in FILE, go on with one task or with all, or tell what there is."""
    word = next((word for word in ("task", "all") if word in values), "")
    for field in values if word or "file" not in values else ():
        if field not in BESIDE[word]:
            message = f"has nothing to do {f'with {emo.option(word)}' if word else 'without FILE'}"
            hint = "Give FILE, --task or --all." if field in FOLLOWING else "Give FILE."
            if field == "attempt":  # of a request
                hint = f"Give FILE: {kept_path(emo.evidence_path(''), REQUESTS, 'DIGITS')}"
            report.error(field, message, "Take it away." if word and field != "attempt" else hint)
    if not values:
        return list_tasks(report)
    settings = settings_of(values, interrupts, report)
    done = ("dry_run",) if "dry_run" in values else ("no_wait", "no_download")
    report.next = [command_without(values, *done)] if values.get("file") != "-" else []
    try:
        if "file" in values and not word:
            run_file(settings, report)
        elif not report.errors:
            {"task": run_task, "all": run_all}[word](settings, report)
    finally:
        settings.progress.end()
        if "estimate" in report.facts:  # the last of what is told
            report.facts["estimate"] = report.facts.pop("estimate")


def command_without(values: emo.Values, *fields: str) -> list[str]:
    return [RUN, *option_words(values, [field for field in values if field not in fields])]


def run_file(settings: Settings, report: emo.Report) -> None:
    faults, path = emo.Report(), settings.values["file"]
    body = report.check(requests.read_request, path)
    is_generation = requests.is_generation(body or {})
    if is_generation:
        report.facts["estimate"] = None
    request = None if body is None else requests.request_of(body, clock.time(), faults)
    folder = report.check(requests.evidence_of, path)
    if settings.has("again"):
        report.errors.append(again_problem(settings, request, folder or ""))
    if is_generation and folder is not None:  # "" is here
        report.check(requests.check_copy, settings.values, request or {}, [path])
    if not request or folder is None or report.errors:
        report.errors += [] if request else faults.errors
        report.check(settings.with_key)
        return
    name = requests.request_name(request, settings.base) if is_generation else ""
    requests.check_shown(path, name)
    if is_generation:
        settings = settings._replace(before_pay=partial(looks.as_shown, body, looks.AGAIN))
        generation.run_generation(settings, request, faults, os.path.join(folder, "tasks"), report)
    elif settings.has("attempt"):
        report.error("attempt", "is of a generation only", "A detection has no task: leave it out.")
    else:
        detection.run_detection(settings, request, faults, folder, report)


def again_problem(settings: Settings, request: emo.Json | None, folder: str) -> emo.Problem:
    """Return what to do in the place of --again; `request` is None where it is wrong."""
    words = command_without(settings.values, "again", "attempt")
    if not request:
        words += ["--attempt", "N"]
    elif "audio_url" in request["input"]:
        name, place = requests.request_name(request, settings.base), os.path.join(folder, "tasks")
        words += ["--attempt", str(tasks.next_attempt(place, name))]
    message = "is --attempt N now: it may be run again and again, and pays once"
    return emo.Problem("again", message, f"Run: {command(*words)}")


def list_tasks(report: emo.Report) -> None:
    """Tell all tasks, the newest first, a line each for people as well, and what comes next."""
    found = tasks.all_tasks(emo.evidence_path("tasks"))
    report.facts["tasks"] = list(map(row_of, found))
    report.next = [(RUN, "--all")] if any(map(is_to_follow, found)) else []
    folder = os.path.abspath(emo.evidence_path(""))
    place = emo.printable(folder, 200)
    report.done = "\n".join([f"tasks in {place}: {len(found)}", *map(line_of, found)])
    if not found and os.path.isdir(folder) and {*os.listdir(folder)} - {"tasks"}:
        hint = "Run make again, or the request that was prepared: it tells how to go on."
        report.warn("tasks", f"no tasks in {place}: no video was paid for, or tasks is gone", hint)
    elif not found:
        hint = "Go to the folder where the work was done, or set OUTPUT_DIR to its output."
        report.warn("tasks", f"no tasks in {place}: is this the folder?", hint)
    for task in found:
        is_gone = task.status == tasks.GONE and task.age < DAY
        is_odd = is_gone or task.state in ("sending", "unclear")  # if nobody has paid again
        if is_odd and (not re.fullmatch(DIGITS, task.name) or follow.paying_again(task, {})):
            what = "is UNKNOWN, and not a day old" if is_gone else "was sent; its answer is unknown"
            said = follow.gone_problem(task, {}) if is_gone else follow.lost_problem(task, {})
            report.warn("tasks", f"{task.name} {what}", said.hint)


def row_of(task: tasks.Task) -> emo.Json:
    """Return what is told of a task on stdout, its links without the query."""
    given = member(task.record.get("request"), "input")
    facts, saved_at = task.facts(), text_in(task.record, "saved_at") or None
    row = {name: facts[name] for name in ("task_path", "task_id", "task_status", "state")}
    query = r"(?i)(\?|%(25)*3f|(&|;|%(25)*26)([\w.-]+(=|%3d)|amp;)).*"
    shown = {f: re.sub(query, "", text_in(given, f)) or None for f in emo.FORMATS}
    return {**row, "saved_at": saved_at, **shown, "video_path": facts["video_path"]}


def line_of(task: tasks.Task) -> str:
    """Return what people are told of a task: digits, media, style, status, why, time, video."""
    given = member(task.record.get("request"), "input")
    media = ", ".join(file_name(given[f]) for f in emo.FORMATS if text_in(given, f))
    style = text_in(member(task.record.get("request"), "parameters"), "style_level")
    left = min(DAY - task.age, DAY)  # a clock may have been wrong
    time = f"{hours(task.age)} old" if given else f"known for {hours(task.age)}"  # made elsewhere
    if is_to_follow(task) and given:
        time = f"{hours(left)} left to fetch it" if left > 0 else f"{time}: it may be forgotten"
    code = refusals.shown_words(text_in(task.answer, "code"))  # why it failed
    why = f"--task {task.name} says more" if task.status in (*tasks.FAILED, tasks.GONE) else ""
    words = [task.name, media, style, task.status or task.state, code, why, time, task.video_path]
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
            its.check(follow.follow, settings.started_anew(), task, its)
            for problem in its.errors + its.warnings:
                problem.message = f"{task.name}: {problem.message}"
            report.errors += its.errors
            report.warnings += its.warnings
    finally:
        list_tasks(report)


def run_task(settings: Settings, report: emo.Report) -> None:
    """Go on with the task that is named, of this folder or made elsewhere."""
    report.facts["estimate"] = None
    mark, end = rf"[][{emo.QUOTES}<({{\u3010*\s]*", rf"(?<=\w)[].,;>)}}*\u3002\u3011{emo.QUOTES}]+$"
    label = rf"((?:task[ _]?id|\u4efb\u52a1 ?ID){mark}[:=\uff1a]{mark})?"
    name = re.sub(rf"(?i)^{mark}{label}|{end}", "", settings.values["task"])
    task = task_named(name) if name else None
    if task and task.state == "refused":
        hint = "There is no task of it: do what the service said, and run the request again."
        if later := tasks.numbered(tasks.folders_of(os.path.dirname(task.folder), task.name[:12])):
            hint = f"Go on with its later task: {command(RUN, '--task', later[-1][1].folder)}"
        raise emo.Problem("task", f"{emo.shown_link(name)} was refused by the service", hint)
    requests.check_copy(settings.values, member(task.record, "request") if task else {}, [])
    if task:
        return follow.follow(settings, task, report)
    task_id = check_task_id(name)
    settings = settings.with_key()
    files.sweep(emo.evidence_path(""))
    task = tasks.Task(tasks.folder_of_id(emo.evidence_path("tasks"), task_id))
    nothing = ("title", "attempt", "state", "request", "sent", "http_status", "response")
    task.write(**{"saved_at": tasks.timestamp(), **dict.fromkeys(nothing), "state": "made"})
    task.write_answer({"task_id": task_id})
    try:
        follow.follow(settings, task, report)
    finally:
        if tasks.Task(task.folder).status in ("", tasks.GONE):  # it is not known that there is one
            task.remove()
            report.facts.update(task.facts(), state=None, already_submitted=None)


def task_named(name: str) -> tasks.Task | None:
    """Return the task with this id, these digits, or this path of its record or folder, or None."""
    place = name[: -len("task.json")] if os.path.basename(name) == "task.json" else name
    if os.path.isfile(os.path.join(place, "task.json")):
        return tasks.Task(os.path.realpath(place))
    own = rf"{DIGITS}|id-[0-9a-f-]{{36}}|id--[0-9a-f]{{64}}"  # folders' names; short ids are ids
    last = os.path.basename(name.rstrip("/\\"))
    folder = last if re.fullmatch(own, last) else None
    found = tasks.all_tasks(emo.evidence_path("tasks"))
    return next((task for task in found if task.name == folder or task.task_id == name), None)


def check_task_id(text: str) -> str:
    if re.fullmatch(rf"(.*[/\\])?{DIGITS}[/\\]?", text):
        message = f"there is no task {emo.shown_path(text)}: it was sent from another, or removed"
        hint = "Go to the folder where it is, or set OUTPUT_DIR: to make it again is paid again."
        raise emo.Problem("task", message, hint)
    is_other = text[-5:] == ".json" or re.fullmatch("<?(TASK_?)?ID>?|[0-9a-f]{8}", text)
    if id_in({"task_id": text}) and emo.without_keys(text) == text and not is_other:
        return text
    hint = "Copy task_id from the line that was printed, or from task.json."
    raise emo.Problem("task", f"{emo.shown_link(text)} is not the id of a task", hint)
