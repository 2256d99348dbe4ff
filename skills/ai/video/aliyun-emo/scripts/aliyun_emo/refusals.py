"""What to do about each code with which the service says no (references/errors.md)."""

from __future__ import annotations

import json
import re

import prepare_emo_request as emo
from aliyun_emo import answers, links

REMEDIES = {
    "InvalidApiKey": "Use a Beijing key. DASHSCOPE_API_KEY goes before the credentials file.",
    "InvalidParameter": "The request is malformed or lacks a field: prepare it again.",
    "InvalidParameter.Ratio": "Ask for the ratio 1:1 or 3:4.",
    "InvalidURL": "Make the file public, and check that its link has not expired.",
    "DataInspectionFailed": "The content check refused the input: use another picture or audio.",
    "InvalidFile.NoHuman": "No person was found: use a photo of one person.",
    "InvalidFile.MultiHuman": "There are several people: use a photo of one person.",
    "InvalidFile.BodyProportion": "Use a picture in which the person fills more, or less, of it.",
    "InvalidFile.Resolution": f"Use a picture with sides of {emo.MIN_SIDE} to {emo.MAX_SIDE} px.",
    "InvalidFile.Value": "The picture is too dark or unclear: use a brighter, sharper one.",
    "InvalidFile.FrontBody": "Use a picture in which the person faces the camera.",
    "InvalidFile.FullFace": "Use a picture in which the face is whole and uncovered.",
    "InvalidFile.FacePose": "The face is turned or tilted too far: use a photo from the front.",
    "InvalidFile.AudioLengthError": "The recording is too short or too long: under 60 seconds.",
    "InvalidFile.Duration": "The recording is too short or too long: under 60 seconds.",
    "InvalidFile.Size": "The file is too large: a recording is under 15 MB.",
    "InvalidFile.Format": "Save the file anew, as jpg, png, wav or mp3.",
    "InvalidFile.Openerror": "The file is broken, or of another format: save it anew.",
    "InvalidURL.ConnectionRefused": "The link's host did not answer the service: try another host.",
    "InvalidURL.Timeout": "The link's host did not answer the service: try another host.",
    "InvalidParameter.DataInspection": "A file was not read: try its link from another network.",
    "InvalidFile.FullBody": "For 1:1 show the whole head, for 3:4 the upper body; or change ratio.",
    "Throttling": "Too many requests: wait and try again.",
    "Arrearage": "The account is unpaid: settle it, then try again.",
    "AccessDenied": "The account may not use the model: ask for access in the console.",
    "ModelNotFound": "Check the model name, and that the key is of the Beijing region.",
    **dict.fromkeys(("InternalError", "ServiceUnavailable"), "Try later: the service is at fault."),
}
UNKNOWN_REMEDY = "Look it up in the service's documentation, or ask its support."
SILENT_REMEDY = "Give each id to the vendor's support, and try another recording or picture."
PORTRAIT_REMEDY = "Use a clear photo of one person who faces the camera, and detect again."
# Codes and messages that are about a link, if not about what is behind it.
ABOUT_A_LINK = r"oss://|^(invalid_parameter_error|InvalidURL|InvalidParameter(:(?! url)|\.DataI))"


def shown_words(said: object) -> str:
    """Return what the service `said` as a message may show it: links in it lose their query."""
    words = "nothing" if said is None else said if isinstance(said, str) else json.dumps(said)
    if len(words) > 500:  # cut first, since the pattern takes a time that grows with the square
        words = re.sub(r"\S*//\S*$", "", words[:500]) + "..."  # half a link may hide its "@"
    words = re.sub(r"\S*//\S*", lambda link: emo.shown_link(link[0]), words)
    secret = r"(\w*(?:signature|token|credential|accesskeyid)(?:=|%3d))[^\s&\"'<>]+"
    return emo.printable(re.sub(secret, r"\1...", words, flags=re.IGNORECASE), 800)


def refusal_problem(
    field: str, what: str, said: emo.Json, code: int = 2, remedy: str = UNKNOWN_REMEDY
) -> emo.Problem:
    """Return the `Problem` of a refusal's `code` and `message`; `remedy` is for an unknown code."""
    name, message = str(said.get("code") or "no code"), str(said.get("message") or "no message")
    words = f"{what}: {shown_words(name)}: {shown_words(message)}"
    ids = ["request_id"]
    if "task_status" in said and not (said.get("code") or said.get("message")):
        words, remedy = f"{what}, with neither a code nor a message", SILENT_REMEDY
        remedy = "Nothing is billed." if said["task_status"] == "CANCELED" else remedy
        ids.append("task_id")
    told = ", ".join(f"{one} {shown_words(str(said[one]))}" for one in ids if said.get(one))
    words += f" ({told})" if told else ""
    remedy = next(filter(None, map(REMEDIES.get, (name, *name.split(".")))), remedy)
    return emo.Problem(field, words, remedy, code)


def answer_problem(answer: answers.Answer) -> emo.Problem:
    """Return the `Problem` of an HTTP answer that is not what was asked for, or of none at all."""
    # Its exit code is 3 where the service said no, and 4 where it may say yes at another time.
    if not answer.status:
        hint = f"Check the network, the proxy variables and {answer.base_variable}, and try again."
        return emo.Problem("service", answer.words, hint, 4)
    status, said = answer.status, answers.understood(answer.document) or answer.document
    code = 4 if status < 300 or answers.is_over_soon(status) else 3
    if 300 <= status < 400:
        hint = f"Set {answer.base_variable} to where the service is: the API key does not follow."
        return emo.Problem("service", f"HTTP {status}: it redirects elsewhere", hint, code)
    hint = REMEDIES["InvalidApiKey"] if status == 401 else "Try again later."
    what = f"HTTP {status}"
    if status in (401, 404) and answer.base:  # elsewhere other keys may count
        what += f" at {emo.shown_link(answer.base)}"
        if answer.base != links.BASE_URL:
            what += f" ({answer.base_variable})"
            hint = f"Check {answer.base_variable}; without it the service is at {links.BASE_URL}."
    if isinstance(said, dict) and ("code" in said or "message" in said):
        return refusal_problem("service", what, said, code)
    return emo.Problem("service", f"{what}: not as expected: {shown_words(said)}", hint, code)


def has_link(body: object, scheme: str) -> bool:
    return any(str(value).startswith(scheme) for value in answers.member(body, "input").values())


def with_store_hint(problem: emo.Problem, said: object, sent: object) -> emo.Problem:
    """Return the `problem` of what was `said`, with another hint about a link of the store."""
    words = f"{said.get('code')}: {said.get('message')}" if isinstance(said, dict) else ""
    if has_link(sent, "oss://") and re.search(ABOUT_A_LINK, words):
        hint = "It may not take files of its temporary store: upload them elsewhere, for example "
        hint += "to OSS, and begin again with their public links."
        either = has_link(sent, "http") and re.match("(?!.*oss://)Invalid(URL|.*Inspection)", words)
        problem.hint = f"Of the link: {problem.hint} Of the file: {hint}" if either else hint
    return problem
