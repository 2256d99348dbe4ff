"""The temporary store, where local files go: a policy, then an upload (contract, its section)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote

import prepare_emo_request as emo
from aliyun_emo import clock, service
from aliyun_emo.answers import member
from aliyun_emo.connections import is_loopback
from aliyun_emo.local_files import LocalFile, local_path
from aliyun_emo.requests import file_name
from aliyun_emo.settings import Settings, is_safe, plain_url, times_until
from aliyun_emo.transport import PIECE

POLICY_PATH = "/uploads?action=getPolicy&model="
# What the form of an upload takes from the policy.
FORM = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}
POLICY = (*FORM.values(), "upload_dir", "upload_host", "max_file_size_mb")
# What may be a policy or a signature.
RIGHTS = "(?=[A-Za-z]*[0-9+/=%_-])[A-Za-z0-9+/=%_-]{20,}"
# Codes and messages that are about a link, if not about what is behind it.
ABOUT_A_LINK = (
    r"oss://|^(invalid_parameter_error|InvalidURL.*|InvalidParameter\.DataInspection):"
    "|^InvalidParameter:.*[Uu][Rr][Ll]"
)


def with_uploads(settings: Settings, body: emo.Json, files: dict[str, LocalFile]) -> emo.Json:
    """Return the `body` with the links of its local `files` in the store, after they are there."""
    links = {field: upload(settings, body["model"], field, file) for field, file in files.items()}
    settings.check_time()
    return {**body, "input": {**body["input"], **links}}


def upload(settings: Settings, model: str, field: str, file: LocalFile) -> str:
    """Return the link of a local `file`, which goes to the store for the `model`; raises `Problem`.

    `field` is what it is for. Each try has a policy of its own.
    """
    last_start = min(clock.monotonic() + service.RESEND_TIME, settings.deadline)
    for pause in (*service.PAUSES, None):
        link, answer, problem = upload_once(settings, model, field, file)
        if link:
            return link
        wait = answer.pause_before_next(pause, last_start)
        if problem.code != 4 or 0 < answer.status < 300 or wait is None:
            break
        settings.progress.show(f"{answer.reason}; uploading it again")
        settings.pause(wait)
    if clock.monotonic() >= settings.deadline:
        problem.message += "; --timeout is over"
    raise problem


def upload_once(
    settings: Settings, model: str, field: str, file: LocalFile
) -> tuple[str, service.Answer, emo.Problem]:
    """Try it once; return the link, "" for none, the last answer and what is wrong with it."""
    answer = whole(service.ask(settings, POLICY_PATH + quote(model, safe="")))
    if answer.status != 200:
        return "", answer, told_problem(answer)
    policy = policy_of(answer.document, settings.base)
    size, most = file.size / 1024 / 1024, float(policy["max_file_size_mb"])
    if size > most:
        message = f"{file_name(file.url)} has {size:.2f} MiB; the store takes {most:g} MiB"
        hint = "Save it smaller and prepare it again, or give a public link."
        raise emo.Problem(field, message, hint)
    name = f"{policy['upload_dir']}/{store_name(file)}"
    answer = whole(send_form(settings, policy, name, file))
    if answer.status == 200 and answer.document is None:
        return f"oss://{name}", answer, service.answer_problem(answer)
    problem = told_problem(answer)
    problem.message = f"the temporary store: {problem.message}"
    if answer.status:
        problem.hint = "Run again; if it stays so, upload the file elsewhere and give its link."
    return "", answer, problem


def whole(answer: service.Answer) -> service.Answer:
    """Return `answer`, or that there is none where it was cut short."""
    return answer if answer.is_whole else service.no_answer("it was cut short", again=True)


def policy_of(document: object, base: str) -> emo.Values:
    """Return the texts of a policy, by name; raises `Problem`, which shows none of them."""
    texts = {
        name: value.strip() if isinstance(value, str) else json.dumps(value)
        for name, value in member(document, "data").items()
        if isinstance(value, (str, int, float))
    }
    texts["upload_dir"] = texts.get("upload_dir", "").strip("/")
    fault = ", ".join(f"no {name}" for name in POLICY if not texts.get(name))
    number = texts.get("max_file_size_mb", "")
    if not fault and not (emo.is_number(number.replace(".", "", 1)) and len(number) < 20):
        fault = "an odd max_file_size_mb"
    if not fault and not all(emo.is_visible_ascii(texts[name]) for name in POLICY):
        fault = "characters that no policy has"
    if not fault and not is_store(texts["upload_host"], base):
        fault = "an upload_host that is not safe to use"
    if fault:
        hint = "Try again later, or give public links."
        raise emo.Problem("service", f"the policy for the upload has {fault}", hint, 4)
    return texts


def is_store(url: str, base: str) -> bool:
    """Whether `url` is a host to upload to: by https, but on this machine, like `base` then."""
    parts, base_parts = plain_url(url), plain_url(base)
    if not parts or parts.path not in ("", "/") or not is_safe(parts):
        return False
    return parts.scheme == "https" or (base_parts is not None and is_loopback(base_parts))


def store_name(file: LocalFile) -> str:
    """Return the name of a local `file` in the store, in which nothing is of its folder."""
    name = os.path.basename(local_path(file.url))
    return f"{file.digest[:12]}-{re.sub('[^A-Za-z0-9._-]+', '_', name)[-80:]}"


def send_form(settings: Settings, policy: emo.Values, name: str, file: LocalFile) -> service.Answer:
    """Upload a local `file` as `name` with the rights that a `policy` gives; return the answer.

    multipart/form-data is RFC 7578. The API key is not sent, only kept out of the answer.
    """
    boundary = os.urandom(16).hex()  # no content has it
    values = {field: policy[source] for field, source in FORM.items()}
    values.update(key=name, success_action_status="200")
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    fields = "".join(f'{part}{field}"\r\n\r\n{value}\r\n' for field, value in values.items())
    start = f'{fields}{part}file"; filename="{os.path.basename(name)}"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    what = f"uploading {file_name(file.url)}, {file.size / 1000:,.0f} kB"

    def pieces() -> Iterator[bytes]:
        yield start
        for at in range(0, file.size, PIECE):
            settings.progress.show(what, f", {at / 1000:,.0f} kB are there")
            yield file.content[at : at + PIECE]
        yield end

    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(start) + file.size + len(end)),
    }
    times = times_until(settings.deadline)
    return service.answer_of(settings, policy["upload_host"], pieces(), headers, times)


def told_problem(answer: service.Answer) -> emo.Problem:
    """Return the `Problem` of an `answer` about an upload, in words that may be told."""
    told = answer._replace(document=without_rights(answer.document))
    problem = service.answer_problem(told)
    if "policy expired" in problem.message.lower():  # with a new one it may go
        problem.code = 4
    return problem


def without_rights(document: object) -> object:
    """Return what may be told of what was answered about an upload; the store's errors are XML.

    What may be a policy or a signature, however it is escaped or shortened, is not in it.
    """
    if document is None:
        return None
    text = unescape(document) if isinstance(document, str) else json.dumps(document)
    told: emo.Json = {}
    for name, tag in ("code", "Code"), ("message", "Message"), ("request_id", "RequestId"):
        element = re.search(f"<{tag}>([^<]*)</{tag}>", str(document))
        word = document.get(name) if isinstance(document, dict) else element and element[1]
        if word is not None:
            word = unescape(str(word))
            is_id = name == "request_id" and re.fullmatch("[0-9A-Fa-f-]{1,40}", word)
            told[name] = word if is_id else re.sub(RIGHTS, "***", word)
    return told if "code" in told or "message" in told else re.sub(RIGHTS, "***", text)


def with_store_hint(problem: emo.Problem, said: object, sent: object) -> emo.Problem:
    """Return the `problem` of what was `said` to a body that was `sent`, about a link of the
    temporary store with another hint: the service's page on generations does not name that.
    """
    words = f"{said.get('code')}: {said.get('message')}" if isinstance(said, dict) else ""
    if service.uses_store(sent) and re.search(ABOUT_A_LINK, words):
        problem.hint = (
            "It may not take files of its temporary store: upload them elsewhere, for example to "
            "OSS, and prepare again with their public links."
        )
    return problem
