"""From a picture and a recording to the video: checked, detected, shown, asked, run."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from functools import partial
from typing import Any, NamedTuple

import prepare_emo_request as emo
from aliyun_emo import answers, clock, commands, detection, links, looks, previews, requests, tasks
from aliyun_emo.generation import decide_now, of_same_media, run_generation, warn_of_others
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.local_files import Local, facts_of_files, look_again
from aliyun_emo.media import medium_facts
from aliyun_emo.requests import DETECTIONS, PREVIEWS, check_copy, kept_path
from aliyun_emo.settings import Settings, settings_of
from aliyun_emo.subjects import Subject
from aliyun_emo.tasks import Task, no_facts

KEYS = """model image audio face_bbox ext_bbox ratio video_size style_level estimate uploads
    detection_path request_path preview_path would_send state task_path task_id task_status
    already_submitted video_url video_path response_path""".split()  # of stdout, null where unknown
STANDING = ("sending", "unclear", "made")  # states of a task that may have been paid for
# A request has such boxes until they are known: of each ratio clearly, and inside of any picture.
DRAFT = {ratio: ("1,1,2,2", "0,0," + ratio.replace(":", "0,") + "0") for ratio in emo.VIDEO_SIZES}


class Media(NamedTuple):
    """Picture and recording: what was `given`, by option, and the `ratio`."""

    given: emo.Values
    files: emo.Files  # by the field of the link in whose place they are, None for a wrong one
    local: Local  # those of them that are right
    ratio: str | None  # None for a wrong one


def make(values: emo.Values, report: emo.Report, interrupts: Interrupts) -> None:
    """Make the video of a picture and a recording; it is paid for only after a yes."""
    settings = settings_of(values, interrupts, report)
    try:
        make_video(settings, report)
    finally:
        settings.progress.end()
        report.facts = {key: report.facts.get(key) for key in KEYS}
        if report.facts["state"] in STANDING:
            report.facts["would_send"] = False  # a task stands: nothing is sent any more


def make_video(settings: Settings, report: emo.Report) -> None:
    """Check, detect, and go on; faults of links by now count only where something is sent."""
    media, faults = media_of(settings.values, report), emo.Report()
    draft = with_boxes(media, dict(zip(emo.BOX_FIELDS, DRAFT[media.ratio or "1:1"])), faults)
    report.facts.update(facts_of_files(media.files, media.ratio))
    report.facts["uploads"] = [requests.file_name(file.url) for file in media.local.values()]
    if draft:
        unknown = emo.BOX_FIELDS if media.ratio else (*emo.BOX_FIELDS, "ratio", "video_size")
        report.facts.update(emo.facts_of(draft), **dict.fromkeys(unknown))
    if report.check(emo.evidence_path, "tasks"):
        report.check(check_copy, settings.values, draft or {}, [])
    if not draft or report.errors:
        clear_to_send(settings, faults, report)  # for what is wrong with links and key, too
        return
    if settings.has("dry_run"):
        warn_of_others(emo.evidence_path("tasks"), draft, report)
    digits = requests.detection_name(draft, settings.base)
    path = kept_path(emo.evidence_path(""), DETECTIONS, digits)
    record = detection.kept_detection(path)
    if record:
        day = emo.printable(answers.text_in(record, "saved_at")[:10], 40)
        words = f"this picture was detected on {day}; to detect it, and pay for that, again, remove"
        settings.progress.say(f"{words} {emo.printable(path, 200)}")
    else:
        if not of_same_media(emo.evidence_path("tasks"), draft):  # then attempt 1 is next
            decide_now(settings, "", "")  # raises for another, before it is detected
        report.check(emo.check_writable, path)
        if clear_to_send(settings, faults, report):
            record = detected(settings.with_key(), media, path, report)
    if record and not report.errors:
        report.facts["detection_path"] = path
        go_on(settings, media, record, path, report)


def detected(settings: Settings, media: Media, path: str, report: emo.Report) -> emo.Json:
    """Detect the face, as the draft was checked; return the record that is kept at `path`."""
    settings.progress.say(f"detecting the face: CNY {detection.PRICE}")
    asked = {n: text for n, text in media.given.items() if n in ("image_url", "ratio")}
    files = {field: file for field, file in media.local.items() if field == "image_url"}
    request = emo.detection_request(asked, {**files}, clock.time(), emo.Report()) or {}
    settings = settings._replace(files=files)
    told = detection.detect(settings, request, path, report, detection.keep_first)
    return detection.kept_detection(path) or told  # another run's, if that was first


def media_of(values: emo.Values, report: emo.Report) -> Media:
    """Return what was given, each of the two a file or a link, and the files looked at."""
    options, missing = ("ratio", "style_level", "model"), []
    given: emo.Values = {name: values[name] for name in options if name in values}
    for field, name in emo.LOCAL.items():
        text = values.get(name, "").strip()
        if re.search(rf"https?:\\?/|^{links.ALMOST_HTTP}", text, re.I) and not os.path.exists(text):
            given[field] = text
        elif text:
            given[name] = values[name]
        else:
            missing.append(field)  # None in `files`: no link is asked for as well
            report.error(name, "is missing", f"Give the {emo.KINDS[field]}: a file or quoted link.")
    files = {**emo.local_files(given, report), **dict.fromkeys(missing)}
    ratio = report.check(emo.check_choice, "ratio", given, emo.VIDEO_SIZES)
    return Media(given, files, {field: file for field, file in files.items() if file}, ratio)


def with_boxes(media: Media, boxes: emo.Values, report: emo.Report) -> emo.Json | None:
    return emo.generation_request({**media.given, **boxes}, media.files, clock.time(), report)


def clear_to_send(settings: Settings, faults: emo.Report, report: emo.Report) -> bool:
    """Whether something may be sent now; report what is wrong with links or key, or a dry run."""
    report.errors += faults.errors
    report.check(settings.with_key)
    if not report.errors and not settings.has("dry_run"):
        return True
    report.warnings += faults.warnings
    report.facts["would_send"] = None if report.errors else True
    if settings.has("dry_run") and (ratio := settings.values.get("ratio", "1:1")) in emo.PRICES:
        settings.progress.say(f"price: {emo.price_words(report.facts.get('estimate'), ratio)}")
    report.done = "all that shows offline is well; nothing was sent"
    return False


def go_on(settings: Settings, media: Media, kept: emo.Json, path: str, report: emo.Report) -> None:
    """Run the request with the boxes of the `kept` detection; where it is to be paid for, ask."""
    of_boxes, faults = emo.Report(), emo.Report()
    boxes = detection.tell_detection(kept, path, of_boxes)
    texts = {n: ",".join(map(str, box)) for n, box in zip(emo.BOX_FIELDS, boxes or ())}
    request = with_boxes(media, texts, faults) if boxes else None
    its, mine = (requests.identity_of("image_url", of or {}) for of in (kept["request"], request))
    if request and (its != mine or emo.facts_of(request)["ratio"] != media.ratio):
        message = f"{emo.shown_path(path)} is of another picture, or of another ratio"
        of_boxes.error("detection", message, "Remove it: then the picture is detected anew.", 3)
    if of_boxes.errors or not request:
        report.errors += of_boxes.errors or faults.errors
        return
    report.facts.update(emo.facts_of(request))
    subject = Subject("request", request, media.local)
    place = emo.evidence_path("tasks")
    if isinstance(decide_now(settings, place, subject.name), tasks.Send):  # decided anew in run
        if not clear_to_send(settings, faults, report):
            return
    elif not settings.has("dry_run"):
        show_task(settings, subject, report, report)
    ask = partial(shown_and_agreed, subject, report)
    settings = settings._replace(files=media.local, before_pay=ask)
    try:
        run_generation(settings, request, faults, place, report)
    finally:  # from now on the page tells of a task, not of what is to be paid for
        if report.facts["state"] in STANDING and not settings.has("dry_run"):
            show_task(settings, subject, emo.Report(), report)


def show_task(settings: Settings, subject: Subject, shown: emo.Report, report: emo.Report) -> None:
    """Show a request of which there is a task: that goes on, whether or not this can be written."""
    of_page = emo.Report()
    of_page.facts = report.facts
    of_page.check(show_request, settings, subject, shown)
    report.warnings += of_page.errors


def show_request(settings: Settings, subject: Subject, report: emo.Report) -> Task | None:
    """Show what is asked for, and return the task of it that there is, by whichever run."""
    decision = decide_now(settings, emo.evidence_path("tasks"), subject.name)
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
    path, image = report.facts["detection_path"], report.facts["image"]
    if image and (kept := detection.kept_detection(path)):
        detect = f"Remove {emo.printable(path, 200)}, and run the same again: it is detected anew."
        looks.as_shown(kept, detect, settings, found)
        emo.write_json(path, {**kept, "image": image})
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
        look_again(subject.request, report.facts["request_path"], changes)
        again = looks.look(settings, subject.request, changes)
        changes.check(looks.as_shown, report.facts, looks.AGAIN, settings, again)
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
    moves = "what moves: {}x{} pixels of the picture".format(*emo.size_of(facts["ext_bbox"]))
    media = f"from: {subject.names['image_url']}{size}; {subject.names['audio_url']}{length}"
    video = f"a video of {facts['video_size']}, {facts['style_level']}"
    return f"{media}\n{moves}; {video}\npage: {emo.printable(facts['preview_path'], 4096)}"


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
