"""Showing what was prepared: its page, the command on it, and a request as it was shown."""

from __future__ import annotations

import os
import sys

import prepare_emo_request as emo
from aliyun_emo import clock, commands, interrupts, local_files
from aliyun_emo.files import read_evidence
from aliyun_emo.page import PAGE_BEGINS, Step, page_of
from aliyun_emo.requests import PREVIEWS, REQUESTS, evidence_of, folder_above, kept_path
from aliyun_emo.subjects import Subject, subject_of

BROWSER_START = 3  # seconds within which it is known that no browser was found
REFUSED = "The service refused the request, so there is no task. Correct the request, and run that."


def preview(values: emo.Values, report: emo.Report, _: interrupts.Interrupts) -> None:
    """Check FILE, and write the page that shows it."""
    path = values.get("file", emo.evidence_path("request.json"))
    subject = report.check(subject_of, path, report)
    evidence = evidence_of(path)
    usual = kept_path(evidence, PREVIEWS, subject.name if subject else "")
    page_path = report.check(page_path_of, values, usual)
    if report.errors or not subject or not page_path:
        return
    report.facts.clear()  # the line tells where things lie, not what was checked
    show(subject, evidence, os.path.realpath(path), page_path, report)
    shown = emo.printable(page_path, 200)
    pays = "; the next command pays for it" if report.next and not subject.state else ""
    report.done = f"{shown} is written: open it in a browser{pays}"
    if "open" in values and not is_opened(page_path):
        report.warn("open", "no browser was found", f"Open {shown} yourself.")


def show(subject: Subject, evidence: str, place: str, page_path: str, report: emo.Report) -> None:
    """Write the page of a `subject` from `place`; a request is kept as shown, to be run so."""
    request_path = kept_path(evidence, REQUESTS, subject.name)
    is_request = subject.kind == "request"
    place = os.path.abspath(request_path) if is_request else place
    page = page_of(subject, next_step(subject, place), report.warnings, clock.time()).encode()
    if is_request:
        emo.check_other_file(page_path, [request_path])
        known = {**read_evidence(request_path), **{n: f for n, f in report.facts.items() if f}}
        media = {name: known[name] for name in emo.LOCAL.values() if name in known}  # as seen last
        emo.write_json(request_path, {**subject.request, **media})
        report.facts.update(request_path=request_path)
        report.next = [(commands.RUN, request_path)]
    emo.replace_file(page_path, [page])
    report.facts.update(preview_path=page_path)


def next_step(subject: Subject, place: str) -> Step:
    """Return what comes next, and the words of the command for it; none where there is none."""
    run = commands.starting(commands.RUN, anywhere=True)
    if subject.kind == "request" and (subject.task_id or not subject.state):
        what = "This command sends the request, which costs money. Then it fetches the video."
        if subject.state:
            what = "It was sent already. This command tells what became of it, and costs nothing."
        if subject.video:
            what = "The video was made already. This command tells where it is, and costs nothing."
        return what, [*run, place, *subject.words]
    if subject.kind == "detection":
        media = local_files.media_words(subject.given["image_url"], hides=False)
        what = "This command writes the request of a video. It costs nothing."
        what += f" Put the recording in the place of {media[-1]}."
        target = os.path.join(folder_above(place), "request.json")
        words = [*media, "--detection", place, "--output", target]
        return what, [*commands.starting(commands.PREPARE, anywhere=True), *words]
    if not subject.task_id:
        return REFUSED if subject.state == "refused" else commands.look_first(), []
    what = "This command tells what became of the task, and costs nothing."
    what = "This command tells where the video is. It costs nothing." if subject.video else what
    folder = os.path.dirname(place)
    is_at_home = os.path.basename(os.path.dirname(folder)) == "tasks"
    return what, [*run, "--task", folder if is_at_home else subject.task_id]


def page_path_of(values: emo.Values, usual: str) -> str:
    page_path = emo.output_path(values, usual)
    if os.path.isfile(page_path):
        with open(page_path, "rb") as file:
            if file.read(len(PAGE_BEGINS)) not in (b"", PAGE_BEGINS):
                message = f"{emo.shown_link(page_path)} is there, and it is no page of this program"
                raise emo.Problem("output", message, "Give another file, or leave --output out.")
    return page_path


def is_opened(path: str) -> bool:
    """Open the page at `path` in the browser; return whether there is one."""
    # A process of its own, since browsers print to stdout; one that goes on is the browser itself.
    from subprocess import DEVNULL, Popen, TimeoutExpired

    code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
    words = [sys.executable, "-I", "-c", code, local_files.file_url(path)]
    try:
        child = Popen(words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
        return child.wait(BROWSER_START) == 0
    except TimeoutExpired:
        return True
