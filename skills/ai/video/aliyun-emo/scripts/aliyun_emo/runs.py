"""What run_emo_request.py is asked for: a prepared request, a task by its id, or what there is."""

from __future__ import annotations

import os
from functools import partial

import prepare_emo_request as emo
from aliyun_emo import attempts, clock, detection, evidence, generation, listing, looks, requests
from aliyun_emo.commands import RUN, command, option_words
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.settings import Settings, settings_of

CODES = {  # exit codes, beside those of prepare
    2: "the input is wrong; this run paid for no video",
    3: "the service said no: request refused, portrait not passed, task failed, cancelled or gone",
    4: "the service could not be reached, or what happened is not known: a task may exist",
    5: "the task has not ended within --timeout: run the same command again",
    130: "interrupted (143: by SIGTERM): run the same command again, and it tells what is known",
}
# Which options may stand without FILE: beside --task, beside --all, and alone.
FOLLOWING = ("interval", "timeout", "no_download")
BESIDE = {"task": ("task", "output", *FOLLOWING), "all": ("all", *FOLLOWING), "": ()}


def run(values: emo.Values, report: emo.Report, interrupts: Interrupts) -> None:
    """Run the request in FILE, go on with one task or with all, or tell what there is."""
    word = next((word for word in ("task", "all") if word in values), "")
    for field in [] if "file" in values and not word else values:
        if field not in BESIDE[word]:
            message = f"has nothing to do {f'with {emo.option(word)}' if word else 'without FILE'}"
            beside = ", --task or --all" if field in FOLLOWING else ""
            report.error(field, message, "Take it away." if word else f"Give FILE{beside}.")
    if not values:
        return listing.list_tasks(report)
    settings = settings_of(values, interrupts, report)
    done = ("dry_run",) if "dry_run" in values else ("no_wait", "no_download")
    report.next = [command_without(values, *done)] if values.get("file") != "-" else []
    try:
        if "file" in values and not word:
            run_file(settings, report)
        elif not report.errors:
            {"task": listing.run_task, "all": listing.run_all}[word](settings, report)
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
    folder = evidence.evidence_of(path)
    if settings.has("again"):
        report.errors.append(again_problem(settings, request, folder))
    if not request or report.errors:
        report.errors += [] if request else faults.errors
        report.check(settings.with_key)
        return
    name = requests.request_name(request, settings.base) if is_generation else ""
    evidence.check_shown(path, name)
    if is_generation:
        evidence.check_copy(settings.values, request, [path])
        settings = settings._replace(before_pay=partial(looks.as_shown, body))
        generation.run_generation(settings, request, faults, os.path.join(folder, "tasks"), report)
    elif settings.has("attempt"):
        report.error("attempt", "is of a generation only", "A detection has no task: leave it out.")
    else:
        detection.run_detection(settings, request, faults, folder, report)


def again_problem(settings: Settings, request: emo.Json | None, folder: str) -> emo.Problem:
    """Return what to do in the place of --again; without a `request` there is none to be read."""
    words = command_without(settings.values, "again", "attempt")
    if not request:
        words += ["--attempt", "N"]
    elif "audio_url" in request["input"]:
        name, place = requests.request_name(request, settings.base), os.path.join(folder, "tasks")
        words += ["--attempt", str(attempts.next_attempt(place, name))]
    message = "is --attempt N now: it may be run again and again, and pays once"
    return emo.Problem("again", message, f"Run: {command(*words)}")
