"""What is asked of EMO, what its answers mean, and sending until it is taken or refused."""

from __future__ import annotations

import json
from email.message import Message
from typing import NamedTuple

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo import settings as limits
from aliyun_emo.answers import document_of, member, text_in, understood
from aliyun_emo.connections import Times
from aliyun_emo.files import MAX_JSON
from aliyun_emo.refusals import refusal_problem
from aliyun_emo.settings import BASE_URL, Settings, times_until
from aliyun_emo.transport import Body, NoAnswer, Reply, exchange

# --- 1. Contract: where, and which words ----------------------------------------------------------

DETECTION_PATH = "/services/aigc/image2video/face-detect"
GENERATION_PATH = "/services/aigc/image2video/video-synthesis"
TASK_PATH = "/tasks/"
BUSY = 429  # HTTP: certainly not taken
TRANSIENT = (408, 425, BUSY)  # HTTP: another time the answer may be another one

PAUSES = (1, 2, 4, 8)  # seconds before a request is sent again, so five tries
RESEND_TIME = 30  # seconds within which they must start
NOT_TAKEN = "not taken"  # beside the states of a task: the request made nothing, and never will


def body_to_send(request: emo.Json) -> emo.Json:
    """Return the body of a prepared `request`; the detection model has another name over the wire.

    (Contract, section 1.)
    """
    wire = {emo.DETECTION_MODEL: emo.DETECTION_MODEL_ON_WIRE}
    body = {**request, "model": wire.get(request["model"], request["model"])}
    body.pop("files", None)
    return body


def uses_store(body: object) -> bool:
    """Whether a `body` that is sent has links of the service's temporary store."""
    return any(str(value).startswith("oss://") for value in member(body, "input").values())


# --- 2. Answers -----------------------------------------------------------------------------------


class Answer(NamedTuple):
    """An HTTP answer, or with the `status` 0 that there is none."""

    status: int
    document: object = None  # JSON, else a text, None for nothing
    retry_after: float | None = None  # seconds
    words: str = ""  # why there is none
    again: bool = False  # whether it does no harm to ask again at once
    left: bool = True  # whether the request may have left
    is_whole: bool = True  # not cut short

    @property
    def reason(self) -> str:
        return self.words or f"HTTP {self.status}"

    def pause_before_next(self, pause: float | None, last_start: float) -> float | None:
        """Return the seconds to wait before a try after this answer, None where there is none.

        They are those of `pause`, or that the answer asks for; no try starts after `last_start`.
        """
        if pause is not None and self.retry_after is not None:
            pause = self.retry_after
        return None if pause is None or clock.monotonic() + pause > last_start else pause


def no_answer(reason: str, again: bool, left: bool = True) -> Answer:
    return Answer(0, words=f"no answer: {reason}", again=again, left=left)


def ask(settings: Settings, path: str, body: emo.Json | None = None) -> Answer:
    """Return the service's answer to a `body`, or to a GET where there is none, or one of status 0.

    That to a POST, which may be worth money, always has its time.
    """
    headers = {"Authorization": f"Bearer {settings.key}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if path == GENERATION_PATH:
        headers["X-DashScope-Async"] = "enable"
    if uses_store(body):
        headers["X-DashScope-OssResourceResolve"] = "enable"
    data = None if body is None else json.dumps(body).encode()
    times = times_until(settings.deadline)
    times = times if data is None else Times(times.connect, limits.READ_TIMEOUT)
    return answer_of(settings, settings.base + path, data, headers, times)


def answer_of(
    settings: Settings, url: str, data: Body, headers: emo.Values, times: Times
) -> Answer:
    """Return the answer of `url`, without the API key in it, or one of status 0."""
    settings.interrupts.check()
    try:
        reply = exchange(url, data, headers, times, settings.patience)
    except NoAnswer as error:
        return no_answer(str(error), error.again, error.left)
    try:
        came, is_whole = body_of(reply, MAX_JSON + len(settings.key))
    finally:
        reply.close()
    document = document_of(came, settings.key)
    return Answer(reply.status, document, retry_after(reply.headers), is_whole=is_whole)


def body_of(reply: Reply, limit: int) -> tuple[bytes, bool]:
    """Return what has come of a body, to about `limit` bytes, and whether it is all."""
    data = b""
    try:
        while len(data) < limit and (piece := reply.read()):
            data += piece
    except NoAnswer:
        return data or reply.packed, False  # cut short, or not packed at all: evidence all the same
    return data, not reply.is_cut


def retry_after(headers: Message) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or until a date."""
    text = headers.get("Retry-After", "").strip()
    if emo.is_number(text):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock.time())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


# --- 3. Sending until it is taken or refused ------------------------------------------------------


def deliver(settings: Settings, path: str, body: emo.Json) -> tuple[str, Answer]:
    """Send `body` until it is taken or refused; return the state, and the last answer.

    The state is that of a task, or `NOT_TAKEN`. What was certainly not taken is sent again for a
    while; so is a detection, which makes nothing, without an answer or after a momentary one.
    """
    last_start = min(clock.monotonic() + RESEND_TIME, settings.deadline)
    for pause in (*PAUSES, None):
        answer = ask(settings, path, body)
        state = state_of(path, answer)
        again = answer.again if not answer.status else state == NOT_TAKEN
        if path == DETECTION_PATH and state in ("unclear", NOT_TAKEN):
            again = not 200 <= answer.status < 300
        wait = answer.pause_before_next(pause, last_start)
        if not again or wait is None:
            break
        settings.progress.show(f"{answer.reason}; sending it again")
        if not settings.pause(wait):
            break
    return state, answer


def state_of(path: str, answer: Answer) -> str:
    """Return what an answer to a POST at `path` means: the state of a task, or `NOT_TAKEN`."""
    if not answer.status:
        return "unclear" if answer.left else NOT_TAKEN
    if answer.status == BUSY:
        return NOT_TAKEN
    if answer.status < 300:
        output = member(understood(answer.document), "output")
        is_made = isinstance(output.get("check_pass"), bool)
        if path == GENERATION_PATH:
            is_made = bool(text_in(output, "task_id"))
        return "made" if is_made else "unclear"
    return "unclear" if answer.status >= 500 or answer.status == 408 else "refused"


# --- 4. What an answer means for people -----------------------------------------------------------


def answer_problem(answer: Answer) -> emo.Problem:
    """Return the `Problem` of an HTTP answer that is not what was asked for, or of none at all.

    Its exit code is 3 where the service said no, and 4 where it may say yes at another time.
    """
    if not answer.status:
        hint = "Check the network, the proxy variables and DASHSCOPE_BASE_URL, and try again."
        return emo.Problem("service", answer.reason, hint, 4)
    status, said, hint = answer.status, answer.document, "Try again later."
    code = 4 if status < 300 or is_over_soon(status) else 3
    if 300 <= status < 400:
        hint = "Set DASHSCOPE_BASE_URL to where the service is: the API key does not follow."
        return emo.Problem("service", f"HTTP {status}: it redirects elsewhere", hint, code)
    if isinstance(said, dict) and ("code" in said or "message" in said):
        return refusal_problem("service", f"HTTP {status}", said, code)
    if status == 404:
        hint = f"Check DASHSCOPE_BASE_URL; without it the service is at {BASE_URL}."
    message = f"HTTP {status}: not as expected: {emo.shown_words(said)}"
    return emo.Problem("service", message, hint, code)


def is_over_soon(status: int) -> bool:
    """Whether an HTTP `status` may be another one at another time."""
    return status >= 500 or status in TRANSIENT
