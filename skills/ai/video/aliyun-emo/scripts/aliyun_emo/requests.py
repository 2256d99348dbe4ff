"""A prepared request: read and checked again, its name; where its evidence lies, and goes."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

import prepare_emo_request as emo
from aliyun_emo import links, local_files
from aliyun_emo.answers import member, text_in
from aliyun_emo.commands import MEANT, PREPARE, RUN, command
from aliyun_emo.detection_answers import box_text
from aliyun_emo.files import file_meant, read_json

REQUESTS, DETECTIONS, PREVIEWS = "requests", "detections", "previews"
AS_A_QUERY = rf"[?#]|{emo.AS_A_SIGNATURE}"  # what begins a query in the name of a file
DIGITS = "[0-9a-f]{12}(-[0-9]+)?"  # the folder of a task
# The two kinds: what it is called, its fields beside model and image_url, its rule.
DETECTION = "detection (it has no audio_url)", ["ratio"], emo.detection_request
GENERATION = "generation", ["audio_url", *emo.BOX_FIELDS, "style_level"], emo.generation_request
PLACES = {"model": "", "ratio": "parameters", "style_level": "parameters"}  # not in `input`


def read_request(path: str) -> emo.Json:
    """Return the request in the file `path`, "-" for stdin; raises `Problem`."""
    record = os.path.join(path, "task.json")
    path = record if os.path.isfile(record) else path
    check_there(path)
    body = read_json("file", path)
    body = (member(body, "request") if "ok" in body else {}) or body  # what a dry run printed
    if "response" in body and "state" in body:
        hint = f"Go on with that task: {command(RUN, '--task', path)}"
        raise emo.Problem("file", "it is the record of a task, not a request", hint)
    if "response" in body:
        link = text_in(member(member(body, "request"), "input"), "image_url")
        words = [*local_files.media_words(link), "--detection", path]
        hint = f"Prepare the request: {command(PREPARE, *words)}"
        raise emo.Problem("file", "it is the answer of a detection, not a request", hint)
    return body


def check_there(path: str) -> None:
    """Raise `Problem` where there is no file `path`, which may be "-"."""
    if path not in ("", "-") and not os.path.exists(path):
        hint = file_meant(path) or MEANT.get(path, "Go to where it was made, or prepare it first.")
        if re.fullmatch(rf"{DIGITS}|[0-9a-f-]{{36}}", path):
            hint = f"Go on with that task: {command(RUN, '--task', path)}"
        raise emo.Problem("file", f"there is no {emo.shown_link(path)}", hint)


def is_generation(body: emo.Json) -> bool:
    """Whether a `body` is that of a generation, wherever in it the recording stands."""
    return any("audio_url" in place for place in places_of(body).values())


def places_of(body: emo.Json) -> dict[str, emo.Json]:
    return {"": body, "input": member(body, "input"), "parameters": member(body, "parameters")}


def request_of(body: emo.Json, now: float, report: emo.Report) -> emo.Json | None:
    """Return a prepared `body` checked anew, since people edit files, or None when it is wrong."""
    # What a link's age is at `now`, a Unix time, does not hide it (none has one at links.ANY_TIME).
    if not isinstance(body.get("input"), dict) or not isinstance(body.get("parameters", {}), dict):
        message = "it is no prepared request: input or parameters is missing or no object"
        report.error("file", message, "Give the file that prepare or detect wrote.")
        return None
    what, fields, rule = GENERATION if is_generation(body) else DETECTION
    given, foreign = fields_of(body, ["model", "image_url", *fields])
    for name in foreign:
        message = f"{emo.shown_link(name)} does not belong to a {what}"
        report.error("file", message, "Take it out, or prepare the request again.")
    values = {name: v.strip() if isinstance(v, str) else "" for name, v in given.items()}
    values.update({name: box_text(given, name) or "" for name in emo.BOX_FIELDS if name in given})
    digests = member(body, "files")
    files: emo.Files = {}
    for field in emo.FORMATS:
        if values.get(field, "").lower().startswith("file:"):
            files[field] = report.check(prepared_file, field, values[field], digests.get(field))
    request = rule(values, files, now, report)
    for problem in (p for p in report.errors if re.match("Give (a [^']*)?--[a-z]", p.hint)):
        problem.hint = "Correct it in the file, or prepare the request again."
    return None if foreign else request


def fields_of(body: emo.Json, fields: list[str]) -> tuple[emo.Json, list[str]]:
    """Return those `fields` of a `body` that stand in their place, and the names of all else."""
    given, foreign = {}, []
    for place, members in places_of(body).items():
        for name, value in members.items():
            if name in fields and PLACES.get(name, "input") == place:
                given[name] = value
            elif place or name not in ("input", "files", "parameters", *emo.LOCAL.values()):
                foreign.append(f"{place}.{name}" if place and name in fields else name)
    return given, foreign


def prepared_file(field: str, url: str, digest: object) -> local_files.LocalFile:
    hint = f"Prepare the request again, with {emo.option(emo.LOCAL[field])} FILE."
    emo.check_given(field, url, "Give the URL of a file.")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise emo.text_problem(field, url, "is a local file without its SHA-256 in files", hint)
    if not local_files.is_file_url(url):
        raise emo.text_problem(field, url, "is not the URL of a file on this machine", hint)
    return local_files.LocalFile(url, digest)


def request_name(request: emo.Json, base_url: str) -> str:
    """Return twelve hexadecimal digits that stand for what a generation's `request` asks for."""
    # Signatures, a file's place, and which of the vendor's hosts is at `base_url`, do not count.
    asked = {"model": request["model"], **request["input"], **request["parameters"]}
    asked.update({field: identity_of(field, request) for field in emo.FORMATS})
    return digits_of(asked, base_url)


def detection_name(request: emo.Json, base_url: str) -> str:
    """Return the digits that stand for the picture of a `request`, and the ratio of its boxes."""
    ratio = request["parameters"].get("ratio") or emo.ratio_of(request["input"]["ext_bbox"])
    digits = digits_of({"image_url": identity_of("image_url", request)}, base_url)
    return f"{digits}-{str(ratio).replace(':', 'x')}"


def digits_of(asked: emo.Json, base_url: str) -> str:
    """Return twelve hexadecimal digits that stand for what is `asked` for at a service."""
    parts = links.plain_url(base_url)  # where it is none, nothing is sent
    if parts and not links.is_vendor(parts.hostname or ""):
        asked = {**asked, "host": parts.hostname}
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def identity_of(field: str, request: emo.Json) -> str:
    """Return what makes a medium of a `request` the same: content of a file, link but signature."""
    digest = text_in(member(request, "files"), field)
    return digest or links.link_identity(text_in(member(request, "input"), field))[0]


def file_name(link: str) -> str:
    """Return the name of the file behind `link`, or its host, as a message may show it."""
    scheme, _, rest = re.split("[?#]", link)[0].partition("://")
    host, _, path = rest.partition("/")
    name = unquote(path.rpartition("/")[2])
    query = emo.AS_A_SIGNATURE if scheme == "file" else AS_A_QUERY
    return emo.printable(re.split(query, name, flags=re.IGNORECASE)[0] or host, 80)


def evidence_of(path: str) -> str:
    """Return the folder of evidence of a prepared file, the same one however that is reached."""
    pwd = os.environ.get("PWD", "")  # how a shell came here, which the system does not tell
    pwd = pwd if os.path.isdir(pwd) and os.path.samefile(pwd, os.curdir) else os.curdir
    real, typed, walked = map(folder_above, (os.path.realpath(path), path, os.path.join(pwd, path)))
    for folder in (real, typed, walked):
        if path != "-" and os.path.basename(os.path.abspath(folder)) == "aliyun-emo":
            found = os.path.realpath(folder)  # as typed where that is the same
            return typed if os.path.abspath(typed) == found else found
    return emo.evidence_path("")


def folder_above(path: str) -> str:
    """Return the folder of a file, or the one of evidence where it lies in a folder of that."""
    folder = os.path.dirname(path)
    above = os.path.dirname(folder)
    home = os.path.dirname(above)
    if os.path.basename(above) == "tasks" and os.path.basename(home) == "aliyun-emo":
        return home
    return above if os.path.basename(os.path.abspath(folder)) in (REQUESTS, DETECTIONS) else folder


def kept_path(folder: str, kind: str, name: str) -> str:
    """Return where in the `folder` of evidence lies what is kept by `name`, of one of the kinds."""
    return os.path.join(folder, kind, f"{name}.{'html' if kind == PREVIEWS else 'json'}")


def check_shown(path: str, name: str) -> None:
    """Raise `Problem` where `path` is of a request that was shown, and now it is that of `name`."""
    for place in map(os.path.abspath, (path, os.path.realpath(path))):  # either may be a link
        shown = re.search(rf"[/\\]{REQUESTS}[/\\]([0-9a-f]{{12}})\.json$", place)
        if shown and shown[1] != name:
            message = f"it is not the request {shown[1]} that was shown, but {name or 'another'}"
            hint = "It was changed, or is for another service by its base URL: look at it anew."
            raise emo.Problem("file", message, hint)


def check_copy(values: emo.Values, request: emo.Json, given: Sequence[str]) -> None:
    """Check where a copy of the video goes, if one is wanted; raises `Problem` and `OSError`."""
    if "output" in values:
        path = emo.output_path(values, "", "|".join(emo.OTHER_FORMATS[""]))
        links = [text_in(member(request, "input"), field) for field in member(request, "files")]
        emo.check_other_file(path, [*given, *map(local_files.local_path, links)])
        at, tasks = (f"{os.path.realpath(p)}{os.sep}" for p in (path, emo.evidence_path("tasks")))
        beside = os.path.join(os.path.dirname(at[:-1]), "task.json")
        is_ours = path.lower().endswith((".json", ".html")) or os.path.isfile(beside)
        if is_ours or at.startswith(tasks) or tasks.startswith(at):
            message = f"{emo.shown_path(path)} is a folder, .json, .html, or a place of evidence"
            raise emo.Problem("output", message, "Name another file.")
        emo.check_writable(path)
