"""A generation: decided, checked, looked at, uploaded, claimed, sent once, settled, followed."""

from __future__ import annotations

import os
from collections import namedtuple

import prepare_emo_request as emo
from aliyun_emo import clock, files, follow, links, looks, media, refusals, service, store, tasks
from aliyun_emo.answers import Answer, member, text_in
from aliyun_emo.commands import RUN, command, look_first
from aliyun_emo.local_files import look_again
from aliyun_emo.requests import file_name, identity_of, request_name
from aliyun_emo.settings import Settings

Ready = namedtuple("Ready", "settings request body price")  # the body has the links of uploads


def run_generation(
    settings: Settings, request: emo.Json, faults: emo.Report, place: str, report: emo.Report
) -> None:
    """Go on with the task of a generation, or send it where there is none that stands."""
    # `faults` are those of the links by now: they count only for what is sent, not for a task.
    if not settings.has("dry_run"):
        files.sweep(os.path.dirname(place) or os.curdir)
    name = request_name(request, settings.base)
    decision = decide_now(settings, place, name)
    if isinstance(decision, tasks.Send):
        ready = make_ready(settings, request, faults, os.path.join(place, name), report)
        if ready:
            settings = ready.settings
            decision = send_or_follow(ready, place, name, report)
        else:  # this run sends nothing; another may have, during the question
            settings, decision = settings.started_anew(), decide_now(settings, place, name)
            if isinstance(decision, tasks.Send) or decision.task.state != "made":
                return
    if not decision.task.is_new:
        warn_of_new_signatures(decision.task, request, report)
    if not report.errors:
        follow.follow(settings, decision.task, report)


def make_ready(
    settings: Settings, request: emo.Json, faults: emo.Report, folder: str, report: emo.Report
) -> Ready | None:
    """Return what is to be sent, checked and its files uploaded, or None where it is not sent."""
    report.errors += faults.errors
    local = settings.files or look_again(request, settings.values.get("file", ""), report)
    settings = (report.check(settings.with_key) or settings)._replace(files=local)
    ratio = emo.ratio_of(request["input"]["ext_bbox"]) or ""
    paths = [file.path for file in local.values()]  # they may have moved
    report.check(emo.check_other_file, settings.values.get("output", ""), paths)
    if report.errors:
        return None
    emo.check_writable(os.path.join(folder, "task.json"))
    found = looks.look(settings, request, report)
    if "audio_url" in found:
        report.facts["estimate"] = media.estimate(found["audio_url"].seconds, ratio)
    if report.errors:
        return None
    report.warnings += faults.warnings
    warn_of_others(os.path.dirname(folder), request, report)
    body = service.body_to_send(request)
    price = emo.price_words(report.facts.get("estimate"), ratio)
    agreed = settings.before_pay(settings, found)
    if not agreed:
        return None
    if not settings.has("dry_run"):
        return Ready(agreed, request, store.with_uploads(agreed, body), price)
    report.facts.update(tasks.no_facts(), already_submitted=False, would_send=True, request=body)
    report.done = "all is well; nothing was sent, and a run without --dry-run costs money: " + price
    return None


def decide_now(settings: Settings, place: str, name: str) -> tasks.Follow | tasks.Send:
    """Return what is done about the request `name`, whose tasks are in `place`, or `Problem`."""
    decision = tasks.decide(tasks.folders_of(place, name), settings.attempt)
    if isinstance(decision, emo.Problem):
        raise decision
    return decision


def send_or_follow(ready: Ready, place: str, name: str, report: emo.Report) -> tasks.Follow:
    """Send what is `ready`, unless another run came first; return the task; raises `Problem`."""
    while isinstance(decision := decide_now(ready.settings, place, name), tasks.Send):
        began = clock.time()
        with ready.settings.interrupts.held():
            task = tasks.claim(place, name, decision.number)
            outcome = send_once(ready, task, decision.attempt, began, report) if task else None
        if task and outcome:
            check_made(*outcome, ready, task)
            return tasks.Follow(task)
    return decision


def send_once(
    ready: Ready, task: tasks.Task, attempt: int, began: float, report: emo.Report
) -> tuple[str, Answer] | None:
    """Send what is `ready`, and keep what comes; return that, or None for a new decision."""
    folder, name = os.path.split(task.folder)
    state, answer = service.NOT_TAKEN, Answer(0)
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
    names = [file_name(given[field]) for field in emo.FORMATS]
    title = " + ".join(name.rpartition(".")[0] or name for name in names)
    record = {"saved_at": tasks.timestamp(), "title": title, "attempt": attempt, "state": "sending"}
    task.write(**record, request=request, sent=body, http_status=None, response=None)
    files.sync_folder(os.path.dirname(task.folder))
    size = emo.VIDEO_SIZES[emo.ratio_of(given["ext_bbox"]) or ""]
    return f"{', '.join(names)}; {size}, {request['parameters']['style_level']}"


def settle(task: tasks.Task, state: str, answer: Answer, report: emo.Report) -> None:
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
        hint = "Keep the id, make room, then: " + command(RUN, "--task", task_id)
    return emo.Problem("output", message, hint, 1)


def check_made(state: str, answer: Answer, ready: Ready, task: tasks.Task) -> None:
    if state == "made":
        return
    problem = refusals.with_store_hint(refusals.answer_problem(answer), answer.document, ready.body)
    problem.code = 3 if state == "refused" else problem.code
    if state == "unclear":
        problem.message += "; a task may have been made"
        problem.hint = look_first(follow.paying_again(task, ready.settings.values))
    raise problem


def of_same_media(place: str, request: emo.Json) -> list[tasks.Task]:
    """Return the tasks of the picture and the recording of a `request`."""
    found = [(task, member(task.record, "request")) for task in tasks.all_tasks(place)]
    mine = [identity_of(field, request) for field in emo.FORMATS]
    return [task for task, its in found if [identity_of(f, its) for f in emo.FORMATS] == mine]


def warn_of_others(place: str, request: emo.Json, report: emo.Report) -> None:
    for task in [task for task in of_same_media(place, request) if task.is_open]:
        what = "its video was not fetched" if task.video_url else "it is not at its end"
        hint = f"Go on with it: {command(RUN, '--task', task.folder)}"
        if task.state != "made":
            if not follow.paying_again(task, {}):
                continue  # somebody has paid again
            what, hint = "it is not known what became of it", follow.lost_problem(task, None).hint
        message = f"there is a task of this picture and recording, {task.name}: {what}"
        report.warn("service", message, hint)


def warn_of_new_signatures(task: tasks.Task, request: emo.Json, report: emo.Report) -> None:
    for field in emo.FORMATS:
        then = text_in(member(task.record.get("request"), "input"), field)
        if then and links.link_identity(then)[1] != links.link_identity(request["input"][field])[1]:
            message = "the link was signed anew since its task was sent; it is the same request"
            further = tasks.next_attempt(os.path.dirname(task.folder), task.name[:12])
            anew = f"make it with --attempt {further}, which shows it"
            if field == "image_url":
                anew = f"remove its detection, make it; where the video is old, --attempt {further}"
            report.warn(field, message, f"If its file changed, {anew}.")
