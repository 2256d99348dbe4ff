"""The codes with which the service says no, and what to do about each (contract, "Errors")."""

from __future__ import annotations

import json
import re

import prepare_emo_request as emo

REMEDIES = {
    "InvalidApiKey": "Use an API key of the China mainland (Beijing) region.",
    "InvalidParameter": "The request is malformed or lacks a field: prepare it again.",
    "InvalidParameter.Ratio": "Ask for the ratio 1:1 or 3:4.",
    "InvalidURL": "Make the file public, and check that its link has not expired.",
    "DataInspectionFailed": "The content check refused the input: use another picture or audio.",
    "InvalidFile.NoHuman": "No person was found: use a photo of one person.",
    "InvalidFile.MultiHuman": "There are several people: use a photo of one person.",
    "InvalidFile.BodyProportion": "Use a picture in which the person fills more, or less, of it.",
    "InvalidFile.Resolution": "Use a picture with every side from 400 to 7000 pixels.",
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
    "Throttling.RateQuota": "Too many requests: wait and try again.",
    "Arrearage": "The account is unpaid: settle it, then try again.",
    "AccessDenied": "The account may not use the model: ask for access in the console.",
    "Model.AccessDenied": "The account may not use the model: ask for access in the console.",
    "ModelNotFound": "Check the model name, and that the key is of the Beijing region.",
    "InternalError": "This is the service's own fault: try again later.",
    "ServiceUnavailable": "This is the service's own fault: try again later.",
}
UNKNOWN_REMEDY = "Look the code up in the service's documentation, or ask its support."
SILENT_REMEDY = "Give each id to the vendor's support, and try another recording or picture."
PORTRAIT_REMEDY = "Use a clear photo of one person who faces the camera, and detect again."


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
        ids.append("task_id")
    told = ", ".join(f"{one} {shown_words(str(said[one]))}" for one in ids if said.get(one))
    words += f" ({told})" if told else ""
    return emo.Problem(field, words, REMEDIES.get(name, remedy), code)
