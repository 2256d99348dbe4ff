"""A generation: decided, checked, looked at, uploaded, sent once, followed."""

from __future__ import annotations

import os

import prepare_emo_request as emo
from aliyun_emo import files, follow, links, looks, media, sending, service, store, tasks
from aliyun_emo.answers import member, text_in
from aliyun_emo.commands import RUN, command
from aliyun_emo.local_files import look_again
from aliyun_emo.requests import identity_of, request_name
from aliyun_emo.settings import Settings
from aliyun_emo.tasks import Task, all_tasks, no_facts


def run_generation(
    settings: Settings, request: emo.Json, faults: emo.Report, place: str, report: emo.Report
) -> None:
    """Go on with the task of a generation, or send it where there is none that stands."""
    # `faults` are those of the links by now: they count only for what is sent, not for a task.
    if not settings.has("dry_run"):
        files.sweep(os.path.dirname(place) or os.curdir)
    name = request_name(request, settings.base)
    decision = sending.decide_now(settings, place, name)
    if isinstance(decision, tasks.Send):
        ready = make_ready(settings, request, faults, os.path.join(place, name), report)
        if ready:
            settings = ready.settings
            decision = sending.send_or_follow(ready, place, name, report)
        else:  # this run sends nothing; another may have, during the question
            settings, decision = settings.started_anew(), sending.decide_now(settings, place, name)
            if isinstance(decision, tasks.Send) or decision.task.state != "made":
                return
    further = tasks.next_attempt(place, name)
    if not decision.task.is_new:
        warn_of_new_signatures(decision.task, request, further, report)
    if not report.errors:
        follow.follow(settings, decision.task, further, report)


def make_ready(
    settings: Settings, request: emo.Json, faults: emo.Report, folder: str, report: emo.Report
) -> sending.Ready | None:
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
        return sending.Ready(agreed, request, store.with_uploads(agreed, body), price)
    report.facts.update(no_facts(), already_submitted=False, would_send=True, request=body)
    report.done = "all is well; nothing was sent, and a run without --dry-run costs money: " + price
    return None


def of_same_media(place: str, request: emo.Json) -> list[Task]:
    """Return the tasks of the picture and the recording of a `request`."""
    found = [(task, member(task.record, "request")) for task in all_tasks(place)]
    mine = [identity_of(field, request) for field in emo.FORMATS]
    return [task for task, its in found if [identity_of(f, its) for f in emo.FORMATS] == mine]


def warn_of_others(place: str, request: emo.Json, report: emo.Report) -> None:
    for task in [task for task in of_same_media(place, request) if task.is_open]:
        what = "its video was not fetched" if task.video_url else "it is not at its end"
        hint = f"Go on with it: {command(RUN, '--task', task.folder)}"
        if task.state != "made":
            what, hint = "it is not known what became of it", follow.may_exist_problem(task, 0).hint
        message = f"there is a task of this picture and recording, {task.name}: {what}"
        report.warn("service", message, hint)


def warn_of_new_signatures(task: Task, request: emo.Json, further: int, report: emo.Report) -> None:
    before = member(task.record.get("request"), "input")
    for field in emo.FORMATS:
        then = text_in(before, field)
        if then and links.link_identity(then)[1] != links.link_identity(request["input"][field])[1]:
            message = "the link was signed anew since its task was sent; it is the same request"
            hint = f"If the file behind it has changed, --attempt {further} pays for it."
            report.warn(field, message, hint)
