"""A generation: decided, checked, looked at, uploaded, sent once, followed."""

from __future__ import annotations

import os

import prepare_emo_request as emo
from aliyun_emo import attempts, service, tasks
from aliyun_emo.answers import member, text_in
from aliyun_emo.follow import follow
from aliyun_emo.links import link_identity
from aliyun_emo.local_files import look_again
from aliyun_emo.looks import look
from aliyun_emo.requests import request_name
from aliyun_emo.sending import Ready, decided, sent
from aliyun_emo.settings import Settings
from aliyun_emo.store import with_uploads


def run_generation(
    settings: Settings, request: emo.Json, links: emo.Report, folder: str, report: emo.Report
) -> None:
    """Go on with the task of a generation, or send it where there is none that stands.

    `links` has what is wrong with the links by now, which counts only for what is sent.
    """
    name = request_name(request, settings.base)
    decision = decided(settings, folder, name)
    if isinstance(decision, attempts.Send):
        ready = make_ready(settings, request, links, os.path.join(folder, name), report)
        if not ready:
            return
        decision = sent(ready, request, folder, name, report)
    further = attempts.next_attempt(folder, name)
    if not decision.task.is_new:
        warn_of_new_signatures(decision.task, request, further, report)
    if not report.errors:
        follow(settings, decision.task, further, report)


def make_ready(
    settings: Settings, request: emo.Json, links: emo.Report, folder: str, report: emo.Report
) -> Ready | None:
    """Return what is to be sent, checked and its files uploaded, or None where it is not sent."""
    report.errors += links.errors
    files = look_again(request, settings.values["file"], report)
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
