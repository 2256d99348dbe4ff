"""Showing what would be paid for, and asking whether to pay for it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import prepare_emo_request as emo
from aliyun_emo import clock, commands, local_files, looks, previews, sending, tasks
from aliyun_emo.media import medium_facts
from aliyun_emo.requests import PREVIEWS, kept_path
from aliyun_emo.settings import Settings
from aliyun_emo.subjects import Subject
from aliyun_emo.tasks import Task, no_facts


def show_request(settings: Settings, subject: Subject, report: emo.Report) -> Task | None:
    """Show what is asked for, and return the task of it that there is, by whichever run."""
    decision = sending.decide_now(settings, emo.evidence_path("tasks"), subject.name)
    task = decision.task if isinstance(decision, tasks.Follow) else None
    if task:
        subject.tell_task(task)
    evidence = emo.evidence_path("")
    values = {n: os.path.abspath(v) if n == "output" else v for n, v in settings.values.items()}
    subject.words = commands.option_words(values, ("attempt", "no_look", "output"))
    report.facts.update(task.facts() if task else no_facts())
    previews.show(subject, evidence, "", kept_path(evidence, PREVIEWS, subject.name), report)
    what = ("output",) if task else ("attempt", "no_look", "output")
    given = ("--task", task.folder) if task else (report.facts["request_path"],)
    report.next = [(commands.RUN, *given, *commands.option_words(settings.values, what))]
    return task


def shown_and_agreed(
    subject: Subject, report: emo.Report, settings: Settings, found: dict[str, Any]
) -> Settings | None:
    """Show what would be paid for, with what was `found`, and ask; return the settings, or None."""
    for field, medium in found.items():  # of local files more is known already
        report.facts[emo.LOCAL[field]] = report.facts[emo.LOCAL[field]] or medium_facts(medium)
    task = show_request(settings, subject, report)  # of another run, meanwhile
    settings.tell_warnings(report)
    price = report.facts["estimate"]
    settings.progress.say(facts_in_words(subject, report.facts))
    settings.progress.say(f"price: {emo.price_words(price, subject.ratio)}")
    if settings.has("pay"):
        return settings
    asked_at = clock.monotonic()
    amount = f"{price['cny']:.2f}" if price else f"{emo.PRICES[subject.ratio]} a second"
    if not task and says_yes(amount):
        settings = settings._replace(deadline=settings.deadline + clock.monotonic() - asked_at)
        changes = emo.Report()  # of what was changed meanwhile
        local_files.look_again(subject.request, report.facts["request_path"], changes)
        again = looks.look(settings, subject.request, changes)
        changes.check(looks.as_shown, report.facts, settings, again)
        told = [warning.message for warning in report.warnings]
        report.warnings += [new for new in changes.warnings if new.message not in told]
        report.errors += changes.errors
        return None if report.errors else settings
    task = task or show_request(settings, subject, report)
    if task and task.state == "made":
        return None  # it is gone on with: nothing is paid for any more
    words = "another run has sent it, or is about to: the next command tells what is known"
    if not task:
        words = "not paid for yet: the next command pays for it"
        report.facts.update(state="ready", would_send=True)
    settings.progress.say(f"{words}\nnext: {commands.command(*report.next[0])}")  # of show_request
    return None


def facts_in_words(subject: Subject, facts: emo.Json) -> str:
    image, audio = facts["image"], facts["audio"]
    size = f", {image['width']}x{image['height']} pixels" if image else ""
    length = f", {audio['seconds']:g} s" if audio else ""
    width, height = emo.size_of(facts["ext_bbox"])
    video = f"a video of {facts['video_size']}, {facts['style_level']}"
    media = f"from: {subject.names['image_url']}{size}; {subject.names['audio_url']}{length}"
    moves = f"what moves: {width}x{height} pixels of the picture; {video}"
    return f"{media}\n{moves}\npage: {emo.printable(facts['preview_path'], 4096)}"


def says_yes(price: str) -> bool:
    """Ask at a terminal whether to pay about the `price`; elsewhere nobody says yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        return False
    with contextlib.suppress(ImportError):
        import termios

        with contextlib.suppress(OSError, ValueError, termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)  # typed before is no answer
    said = ""
    with contextlib.suppress(OSError, ValueError):  # nobody is there, or what is no text: no yes
        try:
            print(f"Pay about CNY {price}? [y/N] ", end="", file=sys.stderr, flush=True)
            said = sys.stdin.readline()
        finally:  # Ctrl-D and Ctrl-C end no line
            print("" if said.endswith("\n") else "\n", end="", file=sys.stderr, flush=True)
    return said.strip().lower() in ("y", "yes")
