"""Showing what would be paid for, and asking whether to pay for it."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import prepare_emo_request as emo
from aliyun_emo import attempts, clock, commands, local_files, looks, previews, sending, subjects
from aliyun_emo.evidence import PREVIEWS, kept_path
from aliyun_emo.media import medium_facts
from aliyun_emo.settings import Settings


def show_request(settings: Settings, subject: subjects.Subject, report: emo.Report) -> bool:
    """Show what is asked for, and return whether there is a task of it, by whichever run."""
    decision = sending.decide_now(settings, emo.evidence_path("tasks"), subject.name)
    if isinstance(decision, attempts.Follow):
        subject.tell_task(decision.task)
        report.facts.update(decision.task.facts())
    evidence = emo.evidence_path("")
    previews.show(subject, evidence, "", kept_path(evidence, PREVIEWS, subject.name), report)
    options = commands.option_words(settings.values, ("attempt", "no_look", "output"))
    report.next = [(commands.RUN, report.facts["request_path"], *options)]
    return isinstance(decision, attempts.Follow)


def shown_and_agreed(
    subject: subjects.Subject, report: emo.Report, settings: Settings, found: dict[str, Any]
) -> Settings | None:
    """Show what would be paid for, with what was `found`, and ask; return the settings, or None."""
    media = {emo.LOCAL[field]: medium_facts(medium) for field, medium in found.items()}
    known = {n: fact for n, fact in report.facts.items() if fact and n in media}  # of files: more
    report.facts.update({**media, **known})
    is_sent = show_request(settings, subject, report)  # by another run, meanwhile
    settings.tell_warnings(report)
    price = report.facts["estimate"]
    settings.progress.say(facts_in_words(subject, media, report.facts["preview_path"]))
    settings.progress.say(f"price: {emo.price_words(price, subject.ratio)}")
    if settings.has("pay"):
        return settings
    asked_at = clock.monotonic()
    if not is_sent and says_yes(
        f"{price['cny']:.2f}" if price else f"{emo.PRICES[subject.ratio]} a second"
    ):
        settings = settings._replace(deadline=settings.deadline + clock.monotonic() - asked_at)
        since = emo.Report()  # what was changed meanwhile
        local_files.look_again(subject.request, report.facts["request_path"], since)
        again = looks.look(settings, subject.request, since)
        since.check(looks.as_shown, report.facts, settings, again)
        report.errors += since.errors
        report.warnings += since.warnings
        return None if report.errors else settings
    if is_sent or show_request(settings, subject, report):
        words = "another run has sent it meanwhile: this command goes on with it"
    else:
        words = "not paid for yet: this command pays for it"
        report.facts.update(state="ready", would_send=True)
    settings.progress.say(f"{words}\nnext: {commands.command(*report.next[0])}")
    return None


def facts_in_words(subject: subjects.Subject, media: emo.Json, page_path: str) -> str:
    image, audio = media.get("image"), media.get("audio")
    size = f", {image['width']}x{image['height']} pixels" if image else ""
    length = f", {audio['seconds']:g} s" if audio else ""
    width, height = emo.size_of(subject.given["ext_bbox"])
    style = subject.request["parameters"]["style_level"]
    video = f"a video of {emo.VIDEO_SIZES[subject.ratio]}, {style}"
    names = subject.names
    return (
        f"from: {names['image_url']}{size}; {names['audio_url']}{length}\n"
        f"what moves: {width}x{height} pixels of the picture; {video}\n"
        f"page: {emo.printable(page_path, 200)}"
    )


def says_yes(price: str) -> bool:
    """Ask at a terminal whether to pay about the `price`; elsewhere nobody says yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        return False
    with contextlib.suppress(ImportError, OSError, ValueError):
        import termios

        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)  # what was typed before is no answer
    try:
        print(f"Pay about CNY {price}? [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except (OSError, ValueError):  # nobody is there, or what is no text: no yes
        return False
