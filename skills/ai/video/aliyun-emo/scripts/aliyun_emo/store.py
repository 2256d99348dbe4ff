"""The temporary store, where local files go: a policy, then an upload (references/api.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

import prepare_emo_request as emo
from aliyun_emo import answers, clock, refusals, requests, service, transport
from aliyun_emo.links import is_loopback, is_safe, plain_url
from aliyun_emo.local_files import LocalFile, local_path
from aliyun_emo.settings import Settings, times_until

POLICY_PATH = "/uploads?action=getPolicy&model="
# The fields of an upload, and those of the policy in them; of these two the names are the same.
FORM = {"OSSAccessKeyId": "oss_access_key_id", "Signature": "signature", "policy": "policy"}
FORM.update({n: n.replace("-", "_") for n in ("x-oss-object-acl", "x-oss-forbid-overwrite")})
POLICY = (*FORM.values(), "upload_dir", "upload_host", "max_file_size_mb")
MAX_ERROR = 64 * 1024  # bytes of what the store says that are read
RIGHTS = "[A-Za-z0-9+/=%_-]{20,}"  # what may be a policy or a signature


def with_uploads(settings: Settings, body: emo.Json) -> emo.Json:
    """Return the `body` with the links of its local files in the store, after they are there."""
    links = {f: upload(settings, body["model"], f, file) for f, file in settings.files.items()}
    if clock.monotonic() >= settings.deadline:
        hint = "Run the same command again, with more time: no video was paid for."
        raise emo.Problem("service", "--timeout is over before the request was sent", hint, 4)
    return {**body, "input": {**body["input"], **links}}


def upload(settings: Settings, model: str, field: str, file: LocalFile) -> str:
    """Upload the local `file` of a `field` for a `model`; return its link; raises `Problem`."""
    once = partial(upload_once, settings, model, field, file)
    found, _ = service.repeated(settings, "uploading", once)
    if isinstance(found, str):
        return found
    found.message += "; --timeout is over, give it more" * (clock.monotonic() >= settings.deadline)
    raise found


def upload_once(
    settings: Settings, model: str, field: str, file: LocalFile
) -> service.Try[str | emo.Problem]:
    """Try it, with a new policy; return its link or a problem, and the answer: `again` may help."""
    answer = whole(service.ask(settings, POLICY_PATH + quote(model, safe="")))
    if answer.status != 200 or answers.as_object(answer.document).get("code"):
        return failed(answer)
    policy = policy_of(answer.document, settings.base)
    size, most = file.size / 1024 / 1024, float(policy["max_file_size_mb"])
    if size > most:
        message = f"{requests.file_name(file.url)} has {size:.2f} MiB; the store takes {most:g} MiB"
        hint = "Save it smaller and prepare it again, or give a public link."
        raise emo.Problem(field, message, hint)
    own = re.split(emo.AS_A_SIGNATURE, os.path.basename(local_path(file.url)), flags=re.I)[0]
    name = f"{policy['upload_dir']}/{file.digest[:12]}-{re.sub('[^A-Za-z0-9._-]+', '_', own)[-80:]}"
    answer = whole(send_form(settings, policy, name, file))
    answer = answer._replace(base_variable=settings.base_variable)
    if answer.status == 200 and answer.document is None:
        return f"oss://{name}", answer
    problem, answer = failed(answer, is_store=True)
    problem.message = f"the temporary store: {problem.message}"
    if answer.status:
        problem.hint = "Run again; if it stays so, upload the file elsewhere and give its link."
    return problem, answer


def whole(answer: answers.Answer) -> answers.Answer:
    """Return `answer`, or that there is none where what it grants was cut short."""
    if answer.is_whole or not 200 <= answer.status < 300:
        return answer
    return answer._replace(status=0, words="no answer: it was cut short", again=True)


def policy_of(document: object, base: str) -> emo.Values:
    """Return the texts of a policy, by name; raises `Problem`, which shows none of them."""
    given = answers.member(document, "data").items()
    texts = {n: str(value).strip() for n, value in given if isinstance(value, (str, int, float))}
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
    """Whether `url` is a host to upload to: https, or on this machine where `base` is there too."""
    parts, base_parts = plain_url(url), plain_url(base)
    if not parts or parts.path not in ("", "/") or not is_safe(parts):
        return False
    return parts.scheme == "https" or (base_parts is not None and is_loopback(base_parts))


def send_form(settings: Settings, policy: emo.Values, name: str, file: LocalFile) -> answers.Answer:
    """Upload a local `file` as `name` with the rights that a `policy` gives; return the answer."""
    # multipart/form-data is RFC 7578. The API key is not sent, only kept out of the answer.
    boundary = os.urandom(16).hex()  # no content has it
    values = {field: policy[source] for field, source in FORM.items()}
    values.update(key=name, success_action_status="200")
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    fields = "".join(f'{part}{field}"\r\n\r\n{value}\r\n' for field, value in values.items())
    start = f'{fields}{part}file"; filename="{os.path.basename(name)}"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    what = f"uploading {requests.file_name(file.url)}, {file.size / 1000:,.0f} kB"

    def pieces() -> Iterator[bytes]:
        yield start
        for at in range(0, file.size, transport.PIECE):
            settings.progress.show(what, f", {at / 1000:,.0f} kB are there")
            yield file.content[at : at + transport.PIECE]
        yield end

    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    headers["Content-Length"] = str(len(start) + file.size + len(end))
    times, url = times_until(settings.deadline), policy["upload_host"]
    return service.answer_of(settings, url, pieces(), headers, times, MAX_ERROR)


def failed(answer: answers.Answer, is_store: bool = False) -> service.Try[emo.Problem]:
    """Return what is wrong with an `answer` about an upload, in words that may be told."""
    said, words = answer.document, str(answer.document)
    told = said and "***"  # the store echoes what it was sent: only its <Code> is told
    if isinstance(said, dict) and "message" in said and not is_store:
        told = {**said, "message": re.sub(RIGHTS, "***", answers.text_in(said, "message"))}
    problem = refusals.answer_problem(answer._replace(document=told))
    if code := re.search("<Code>([A-Za-z.]{1,64})</Code>", words):
        problem.message = f"HTTP {answer.status}: {code[1]}"
    if "policy expired" in words.lower():  # with a new one it may go
        problem.code = 4
    return problem, answer._replace(again=problem.code == 4 and not 0 < answer.status < 300)
