"""Detection answers: whether they passed, of which picture they are, and their boxes."""

from __future__ import annotations

import json

import prepare_emo_request as emo
from aliyun_emo import answers, links, refusals
from aliyun_emo.files import read_json


def saved_boxes(
    values: emo.Values, image_url: str | None, files: emo.Files, report: emo.Report
) -> emo.Boxes:
    """Return the boxes of the answer in the file that `detection` of `values` names, or None."""
    if "face_bbox" in values or "ext_bbox" in values:
        message = "it gives both boxes, and a box option is there as well"
        report.error("detection", message, "Leave out --face-bbox and --ext-bbox.")
    saved = report.check(read_json, "detection", values["detection"])
    digest = getattr(files.get("image_url"), "digest", None)
    return boxes_of(saved, image_url, digest, report) if saved is not None else None


def boxes_of(saved: emo.Json, link: emo.Text, digest: emo.Text, report: emo.Report) -> emo.Boxes:
    """Return `face_bbox` and `ext_bbox` from `saved`, or None when something is wrong with them."""
    # `saved` is the service's answer, its `output`, or {"request": ..., "response": the answer};
    # then its picture must be that of `link`, None for any, or a file with this `digest`.
    request = saved.get("request") if "response" in saved else None
    if link and request is not None:
        report.check(check_same_image, request, link, digest, report)
    output = report.check(passed_output, answers.understood(saved.get("response", saved)))
    if not output:
        return None
    found = emo.Report()
    boxes = emo.check_boxes(box_text(output, "face_bbox"), box_text(output, "ext_bbox"), found)
    hint = "Detect again, and keep the answer as it comes."
    for mine, its in (report.errors, found.errors), (report.warnings, found.warnings):
        mine += [emo.Problem("detection", f"{p.field}: {p.message}", hint) for p in its]
    ratio = str(answers.member(request, "parameters").get("ratio") or "")
    if boxes and ratio and not (ratio in emo.VIDEO_SIZES and emo.has_ratio(boxes[1], ratio)):
        message = f"it asked for {emo.shown_link(ratio)}, and ext_bbox is {emo.ratio_of(boxes[1])}"
        report.error("detection", message, "These boxes are not of this answer: detect again.")
        return None
    return boxes


def passed_output(answer: object) -> emo.Json:
    answer = answers.as_object(answer)
    output = answer if "check_pass" in answer else answers.member(answer, "output")
    passed = output.get("check_pass")
    if passed is True:
        return output
    if passed is False:
        what = "the picture did not pass the detection"
        raise refusals.refusal_problem("detection", what, output, remedy=refusals.PORTRAIT_REMEDY)
    if "code" in answer:
        raise refusals.refusal_problem("detection", "the detection failed", answer)
    message = "it is no detection answer: there is no output.check_pass that is true or false"
    hint = "Give the whole answer of the detection, unchanged."
    if "input" in answer:
        hint = "It is a request: run one of a detection first, and give its answer."
    raise emo.Problem("detection", message, hint)


def box_text(output: emo.Json, name: str) -> str | None:
    """Return the box `name` of `output` in the form of the option, so that one rule serves both."""
    box = output.get(name)
    if box is None:
        return None
    numbers = box if isinstance(box, list) else [box]
    texts = [n[:200] if isinstance(n, str) else n for n in numbers[:5]]
    return f"[{','.join('...' if isinstance(n, (list, dict)) else json.dumps(n) for n in texts)}]"


def check_same_image(request: object, link: str, digest: str | None, report: emo.Report) -> None:
    detected = answers.text_in(answers.member(request, "input"), "image_url")
    was_file = detected.lower().startswith("file:")
    if digest or was_file:
        message = "the file was changed or saved anew since, or it is another picture"
        if not (digest and was_file):
            then, now = ("a file", "a link") if was_file else ("a link", "a file")
            message = f"it is of {then}, and this is {now}: they cannot be compared"
        elif digest == answers.member(request, "files").get("image_url"):
            return
        raise emo.Problem("detection", message, "Detect again, with the picture given here.")
    then = emo.check_link("image_url", detected, links.ANY_TIME, emo.Report()) or "no link"
    its, mine = links.link_identity(then), links.link_identity(link)
    if its[0] != mine[0]:
        message = f"it is of another picture: {emo.shown_link(then)}, not {emo.shown_link(link)}"
        raise emo.Problem("detection", message, "Detect this picture, or give the link detected.")
    if its[1] != mine[1]:
        message = "the picture's link was signed anew since: is it the same picture?"
        report.warn("detection", message, "Detect it again if not.")
