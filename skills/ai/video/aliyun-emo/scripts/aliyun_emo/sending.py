"""Sending a generation: claimed, sent once, settled. From the claim on an interrupt waits."""

from __future__ import annotations

import os
from collections import namedtuple

import prepare_emo_request as emo
from aliyun_emo import answers, clock, commands, files, refusals, requests, service, tasks
from aliyun_emo.settings import Settings

# What is sent: settings with the key, the request, its body with links of uploads, what it costs.
Ready = namedtuple("Ready", "settings request body price")


def decide_now(settings: Settings, place: str, name: str) -> tasks.Follow | tasks.Send:
    """Return what is done about the request `name`, whose tasks are in `place`, or `Problem`."""
    decision = tasks.decide(tasks.folders_of(place, name), settings.attempt)
    if isinstance(decision, emo.Problem):
        raise decision
    return decision


def send_or_follow(ready: Ready, place: str, name: str, report: emo.Report) -> tasks.Follow:
    """Send what is `ready`, unless another run came first; return the task; raises `Problem`."""
    decision = decide_now(ready.settings, place, name)
    while isinstance(decision, tasks.Send):
        began = clock.time()
        with ready.settings.interrupts.held():
            task = tasks.claim(place, name, decision.number)
            outcome = send_once(ready, task, decision.attempt, began, report) if task else None
        if task and outcome:
            check_made(*outcome, ready.body, decision.attempt)
            return tasks.Follow(task)
        decision = decide_now(ready.settings, place, name)
    return decision


def send_once(
    ready: Ready, task: tasks.Task, attempt: int, began: float, report: emo.Report
) -> tuple[str, answers.Answer] | None:
    """Send what is `ready`, and keep what comes; return that, or None for a new decision."""
    folder, name = os.path.split(task.folder)
    state, answer = service.NOT_TAKEN, answers.Answer(0)
    try:
        what = write_record(task, attempt, ready.request, ready.body)
        ready.settings.tell_warnings(report)
        ready.settings.progress.say(f"paying for {name}: {what}; {ready.price}")
        if tasks.has_rival(tasks.folders_of(folder, name.partition("-")[0]), task):
            return None
        if abs(clock.time() - began) > tasks.AT_WORK / 2:  # well before another run takes over
            message = "nothing was sent: this run was stopped, or held up, before it could"
            raise emo.Problem("service", message, "Run the same command again.", 4)
        state = "unclear"  # from here on it may have left
        state, answer = service.deliver(ready.settings, service.GENERATION_PATH, ready.body)
    except BaseException as error:
        state = state if getattr(error, "left", True) else service.NOT_TAKEN  # by transport
        raise
    finally:
        settle(task, state, answer, report)
    return state, answer


def write_record(task: tasks.Task, attempt: int, request: emo.Json, body: emo.Json) -> str:
    """Write what is about to be sent, and return it in words; raises `OSError`."""
    given = request["input"]
    names = [requests.file_name(given[field]) for field in emo.FORMATS]
    title = " + ".join(name.rpartition(".")[0] or name for name in names)
    record = {"saved_at": tasks.timestamp(), "title": title, "attempt": attempt, "state": "sending"}
    task.write(**record, request=request, sent=body, http_status=None, response=None)
    files.sync_folder(os.path.dirname(task.folder))
    size = emo.VIDEO_SIZES[emo.ratio_of(given["ext_bbox"]) or ""]
    return f"{', '.join(names)}; {size}, {request['parameters']['style_level']}"


def settle(task: tasks.Task, state: str, answer: answers.Answer, report: emo.Report) -> None:
    """Keep what became of a generation; what was certainly not taken leaves nothing."""
    if state == service.NOT_TAKEN:
        return task.remove()
    came = {"http_status": answer.status or None, "response": answer.document}
    try:
        task.write(saved_at=tasks.timestamp(), state=state, **came)
    except OSError as error:
        report.errors.append(unsaved_problem(task, error))
    return report.facts.update(task.facts())


def unsaved_problem(task: tasks.Task, error: OSError) -> emo.Problem:
    """Return the `Problem` of an answer that could not be kept; the id is the only way back."""
    message = f"{emo.shown_link(task.path('task.json'))} cannot be written: {error.strerror}"
    hint = "Make room, then look whether the account has a task."
    if task.state == "made":
        task_id = emo.printable(task.task_id, 200)
        message = f"task {task_id} was made, and {message}"
        hint = "Keep the id, make room, then: " + commands.command(commands.RUN, "--task", task_id)
    return emo.Problem("output", message, hint, 1)


def check_made(state: str, answer: answers.Answer, body: emo.Json, attempt: int) -> None:
    if state == "made":
        return
    problem = refusals.with_store_hint(refusals.answer_problem(answer), answer.document, body)
    problem.code = 3 if state == "refused" else problem.code
    if state == "unclear":
        problem.message += "; a task may have been made"
        problem.hint = commands.look_first(f"--attempt {attempt + 1}")
    raise problem
