"""A generation: decided, looked at, uploaded, claimed, sent once, settled. From the claim of its
folder on an interrupt waits until it is kept what became of it.
"""

from __future__ import annotations

import os
from collections import namedtuple

import prepare_emo_request as emo
from aliyun_emo import service, tasks
from aliyun_emo.answers import member, text_in
from aliyun_emo.follow import follow, look_first
from aliyun_emo.links import link_identity
from aliyun_emo.local_files import look_again
from aliyun_emo.looks import look
from aliyun_emo.requests import file_name, request_name
from aliyun_emo.settings import Settings
from aliyun_emo.store import with_store_hint, with_uploads

# What is sent: the settings with the key, the body with the uploads' links, what it will cost.
Ready = namedtuple("Ready", "settings body price")


def run_generation(
    settings: Settings, request: emo.Json, links: emo.Report, folder: str, report: emo.Report
) -> None:
    """Go on with the task of a generation, or send it where there is none that stands.

    `links` has what is wrong with the links by now, which counts only for what is sent.
    """
    name = request_name(request, settings.base)
    decision = decided(settings, folder, name)
    if isinstance(decision, tasks.Send):
        ready = make_ready(settings, request, links, os.path.join(folder, name), report)
        if not ready:
            return
        decision = sent(ready, request, folder, name, report)
    further = tasks.next_attempt(tasks.attempts(folder, name))
    if not decision.task.is_new:
        warn_of_new_signatures(decision.task, request, further, report)
    if not report.errors:
        follow(settings, decision.task, further, report)


def decided(settings: Settings, folder: str, name: str) -> tasks.Follow | tasks.Send:
    """Return what is done about the request `name`; raises `Problem`."""
    decision = tasks.decide(tasks.attempts(folder, name), settings.attempt)
    if isinstance(decision, emo.Problem):
        raise decision
    return decision


def make_ready(
    settings: Settings, request: emo.Json, links: emo.Report, folder: str, report: emo.Report
) -> Ready | None:
    """Return what is to be sent, checked and its files uploaded, or None where it is not sent."""
    report.errors += links.errors
    files = look_again(request, report)
    settings = report.check(settings.with_key) or settings
    ratio = emo.ratio_of(request["input"]["ext_bbox"]) or ""
    if not report.errors:
        emo.check_writable(os.path.join(folder, "task.json"))
        found = look(settings, request, files, report)
        if "audio_url" in found:
            report.facts["estimate"] = emo.estimate(found["audio_url"].seconds, ratio)
    if report.errors:
        return None
    report.warnings += links.warnings
    body, price = service.body_to_send(request), price_words(report.facts.get("estimate"), ratio)
    if settings.has("dry_run"):
        keys = ("state", "task_path", "task_id", "task_status", "already_submitted")
        report.facts.update(dict.fromkeys((*keys, "video_url", "video_path", "response_path")))
        report.facts.update(already_submitted=False, would_send=True, request=body)
        what = "all is well; nothing was sent, and a run without --dry-run costs money"
        report.done = f"{what}: {price}"
        return None
    return Ready(settings, with_uploads(settings, body, files), price)


def price_words(price: emo.Json | None, ratio: str) -> str:
    """Return the `price` that is estimated, or else what a second costs, for people."""
    about = price and f"{price['seconds']:g} s, about CNY {price['cny']:.2f}"
    return f"{about or f'CNY {emo.PRICES[ratio]} a second'} (prices of {emo.PRICES_OF})"


def sent(
    ready: Ready, request: emo.Json, folder: str, name: str, report: emo.Report
) -> tasks.Follow:
    """Send what is `ready`, unless another run has come first; return the task that there is.

    Raises `Problem` where none was made.
    """
    while True:
        decision = decided(ready.settings, folder, name)
        if isinstance(decision, tasks.Follow):
            return decision
        task = outcome = None
        try:
            with ready.settings.interrupts.held():
                task = tasks.claim(folder, name, decision.number)
                if task:
                    outcome = send_once(ready, request, task, decision.attempt, report)
        except KeyboardInterrupt as interrupt:
            if task and task.state == "unclear":
                hint = look_first(decision.attempt + 1)
                code = interrupt.args[0] if interrupt.args else 130
                raise emo.Problem("arguments", "interrupted", hint, code) from None
            raise
        if task and outcome:
            check_made(*outcome, ready.body, decision.attempt)
            return tasks.Follow(task)


def send_once(
    ready: Ready, request: emo.Json, task: tasks.Task, attempt: int, report: emo.Report
) -> tuple[str, service.Answer] | None:
    """Send what is `ready`, and keep what becomes of it in the folder of its `task`.

    Returns its state and the answer, or None where another run has sent the same attempt.
    """
    folder, name = os.path.split(task.folder)
    state, answer = service.NOT_TAKEN, service.Answer(0)
    try:
        what = write_record(task, attempt, request, ready.body)
        if tasks.has_rival(tasks.attempts(folder, name.partition("-")[0]), task):
            return None
        ready.settings.progress.say(f"paying for {name}: {what}; {ready.price}")
        state = "unclear"  # from here on it may have left
        state, answer = service.deliver(ready.settings, service.GENERATION_PATH, ready.body)
    except BaseException as error:
        state = state if getattr(error, "left", True) else service.NOT_TAKEN
        raise
    finally:
        settle(task, state, answer, report)
    return state, answer


def write_record(task: tasks.Task, attempt: int, request: emo.Json, body: emo.Json) -> str:
    """Write what is about to be sent, and return it in words; raises `OSError`."""
    links = request["input"]
    names = [file_name(links[field]) for field in emo.FORMATS]
    title = " + ".join(name.rpartition(".")[0] or name for name in names)
    record = {"saved_at": tasks.timestamp(), "title": title, "attempt": attempt, "state": "sending"}
    task.write(**record, request=request, sent=body, http_status=None, response=None)
    tasks.sync_folder(os.path.dirname(task.folder))
    size = emo.VIDEO_SIZES[emo.ratio_of(links["ext_bbox"]) or ""]
    return f"{', '.join(names)}; {size}, {request['parameters']['style_level']}"


def settle(task: tasks.Task, state: str, answer: service.Answer, report: emo.Report) -> None:
    """Keep what became of a generation that was sent; what certainly never left leaves nothing."""
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
    place = f"{emo.shown_link(task.path('task.json'))} cannot be written: {error.strerror}"
    if task.state != "made":
        hint = "Make room, then look whether the account has a task."
        return emo.Problem("output", place, hint, 1)
    task_id = emo.printable(task.task_id, 200)
    hint = f"Keep the id, make room, then: run_emo_request.py --task {task_id}"
    return emo.Problem("output", f"task {task_id} was made, and {place}", hint, 1)


def check_made(state: str, answer: service.Answer, body: emo.Json, attempt: int) -> None:
    """Raise `Problem` where what was sent, the `body`, has made no task that is known."""
    if state == "made":
        return
    problem = with_store_hint(service.answer_problem(answer), answer.document, body)
    problem.code = 3 if state == "refused" else problem.code
    if state == "unclear":
        problem.message += "; a task may have been made"
        problem.hint = look_first(attempt + 1)
    raise problem


def warn_of_new_signatures(
    task: tasks.Task, request: emo.Json, further: int, report: emo.Report
) -> None:
    """Warn where links of `request` are signed otherwise than those that `task` was made with."""
    before = member(task.record.get("request"), "input")
    for field in emo.FORMATS:
        then = text_in(before, field)
        if then and link_identity(then)[1] != link_identity(request["input"][field])[1]:
            message = "the link was signed anew since its task was sent; it is the same request"
            hint = f"If the file behind it has changed, --attempt {further} pays for it."
            report.warn(field, message, hint)
