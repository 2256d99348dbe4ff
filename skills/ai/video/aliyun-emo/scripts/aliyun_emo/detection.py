"""A detection: sent, its answer kept, its boxes told."""

from __future__ import annotations

import os
import re

import prepare_emo_request as emo
from aliyun_emo import commands, detection_answers, refusals, requests, store, tasks
from aliyun_emo.answers import member, text_in, understood
from aliyun_emo.files import read_evidence
from aliyun_emo.local_files import local_path, look_again, media_words
from aliyun_emo.service import DETECTION_PATH, body_to_send, deliver
from aliyun_emo.settings import Settings

PRICE = 0.004  # CNY a picture, passed or not (references/api.md)
# Codes of an answer that is not about the picture, as where its link has expired: ask again.
NO_RESULT = "InvalidURL|InvalidParameter|Internal|Throttling|ServiceUnavailable"


def run_detection(
    settings: Settings, request: emo.Json, faults: emo.Report, folder: str, report: emo.Report
) -> None:
    """Send a detection, keep its answer in `folder` or where --output says, and tell its boxes."""
    report.errors += faults.errors
    report.warnings += faults.warnings
    path = report.check(emo.output_path, settings.values, os.path.join(folder, "detection.json"))
    files = look_again(request, settings.values["file"], report)
    given = [settings.values["file"], *(local_path(file.url) for file in files.values())]
    report.check(emo.check_other_file, path or "", given)
    settings = (report.check(settings.with_key) or settings)._replace(files=files)
    if report.errors or not path:
        return
    emo.check_writable(path)  # before it is billed
    if settings.has("dry_run"):
        report.facts.update(detection_path=None, would_send=True, request=body_to_send(request))
        report.done = "all is well; nothing was sent"
        return
    tell_detection(detect(settings, request, path, report, os.replace), path, report)


def detect(
    settings: Settings, request: emo.Json, path: str, report: emo.Report, place: emo.Place
) -> emo.Json:
    """Send a detection; keep its record at `path`, as `place` says, and return it; or `Problem`."""
    body = store.with_uploads(settings, body_to_send(request))
    with settings.interrupts.held():  # an answer that is lost is billed anew
        state, answer = deliver(settings, DETECTION_PATH, body)
        record: emo.Json = {"saved_at": tasks.timestamp(), "request": request, "sent": body}
        record["response"] = answer.document
        if 200 <= answer.status < 300:
            output = member(understood(answer.document), "output") if state == "made" else {}
            report.facts.update(detection_path=None, check_pass=output.get("check_pass"))
            try:
                emo.write_json(path, record, place)
                report.facts.update(detection_path=path)
            except OSError as error:  # it is billed, so what it says is told in any case
                message = f"{emo.shown_link(path)} cannot be written: {error.strerror}"
                report.error("output", message, "Make room: until then each run is billed.", 1)
    if state != "made":
        raise refusals.with_store_hint(refusals.answer_problem(answer), answer.document, body)
    return record


def kept_detection(path: str) -> emo.Json:
    """Return the record of a detection at `path` that was answered, passed or not, {} for none."""
    record = read_evidence(path)
    output = member(understood(record.get("response")), "output")
    picture = member(member(record, "request"), "input").get("image_url")
    is_whole = isinstance(picture, str) and isinstance(output.get("check_pass"), bool)
    is_no_result = is_whole and re.match(NO_RESULT, text_in(output, "code"))
    return record if is_whole and "sent" in record and not is_no_result else {}


def keep_first(temporary: str, path: str) -> None:
    """Put a record in its place, unless another run was first: all go on with the same boxes."""
    try:
        os.link(temporary, path)
    except OSError:  # something is there, or the file system has no links
        if not kept_detection(path):
            os.replace(temporary, path)


def tell_detection(record: emo.Json, path: str, report: emo.Report) -> emo.Boxes:
    """Tell the boxes of a detection kept at `path`, and return them; raises `Problem`."""
    request, response = record["request"], understood(record["response"])
    output = member(response, "output")
    if not output["check_pass"]:
        what, said = "the portrait did not pass", {**response, **output}
        if re.match(NO_RESULT, text_in(output, "code")):
            what = "the detection came to no result, and another one is billed again"
        problem = refusals.refusal_problem("service", what, said, 3, refusals.PORTRAIT_REMEDY)
        if requests.DETECTIONS in path and not request["input"]["image_url"].startswith("file:"):
            problem.hint += f" Another picture behind the link? Remove {emo.printable(path, 200)}."
        raise refusals.with_store_hint(problem, said, record["sent"])
    before = len(report.errors)
    boxes = detection_answers.boxes_of(record, None, None, report)
    for problem in report.errors[before:]:
        problem.code = 3
    if boxes:
        report.facts.update(zip(emo.BOX_FIELDS, boxes), ratio=emo.ratio_of(boxes[1]))
        report.done = "the portrait passed; the next command needs the recording"
        words = media_words(request["input"]["image_url"])
        report.next = [(commands.PREPARE, *words, "--detection", path)]
    return boxes
