"""What is asked of EMO, what its answers mean, and sending until it is taken or refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import TypeVar

import prepare_emo_request as emo
from aliyun_emo import clock, refusals
from aliyun_emo import settings as limits
from aliyun_emo.answers import BUSY, MAX_JSON, Answer, document_of, id_in, member, understood
from aliyun_emo.settings import Settings, times_until
from aliyun_emo.transport import Body, NoAnswer, Reply, exchange

DETECTION_PATH = "/services/aigc/image2video/face-detect"
GENERATION_PATH = "/services/aigc/image2video/video-synthesis"
TASK_PATH = "/tasks/"

PAUSES = (1, 2, 4, 8)  # seconds before a request is sent again, so five tries; a download has three
RESEND_TIME = 30  # seconds within which those tries must start
NOT_TAKEN = "not taken"  # beside the states of a task: the request made nothing, and never will
Result = TypeVar("Result")


def body_to_send(request: emo.Json) -> emo.Json:
    """Return the body of a prepared `request`, with the wire's model name (references/api.md)."""
    wire = {emo.DETECTION_MODEL: emo.DETECTION_MODEL_ON_WIRE}
    model = wire.get(request["model"], request["model"])
    return {"model": model, "input": request["input"], "parameters": request["parameters"]}


Try = tuple[Result, Answer]  # what came of it, and the last answer


def ask(settings: Settings, path: str, body: emo.Json | None = None) -> Answer:
    """Return the answer to a `body`, or to a GET, or one of status 0."""
    # That to a POST, which may be worth money, has its time also where --timeout ends before.
    headers = {"Authorization": f"Bearer {settings.key}", "Accept": "application/json"}
    data, times = None, times_until(settings.deadline)
    if body is not None:
        headers["Content-Type"] = "application/json"
        data, times = json.dumps(body).encode(), clock.Times(times.connect, limits.READ_TIMEOUT)
    if path == GENERATION_PATH:
        headers["X-DashScope-Async"] = "enable"
    if refusals.has_link(body, "oss://"):
        headers["X-DashScope-OssResourceResolve"] = "enable"
    answer = answer_of(settings, settings.base + path, data, headers, times, MAX_JSON)
    return answer._replace(base=settings.base, base_variable=settings.base_variable)


def answer_of(
    settings: Settings, url: str, data: Body, headers: emo.Values, times: clock.Times, limit: int
) -> Answer:
    """Return the answer of `url`, to `limit` bytes and without the API key, or one of status 0."""
    settings.interrupts.check()
    try:
        reply = exchange(url, data, headers, times, settings.patience)
    except NoAnswer as error:
        return Answer(0, words=f"no answer: {error}", again=error.again, left=error.left)
    with contextlib.closing(reply):
        came, is_whole = body_of(reply, limit + len(settings.key))
    document, wanted = document_of(came, settings.key), reply.headers.get("Retry-After", "")
    return Answer(reply.status, document, retry_after(wanted.strip()), is_whole=is_whole)


def body_of(reply: Reply, limit: int) -> tuple[bytes, bool]:
    """Return what has come of a body, to about `limit` bytes, and whether it is all."""
    data = b""
    with contextlib.suppress(NoAnswer):
        while len(data) < limit and (piece := reply.read()):
            data += piece
        return data, not reply.is_cut
    return data or reply.packed, False  # cut short, or not packed at all: evidence all the same


def retry_after(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or until a date."""
    from email.utils import parsedate_to_datetime

    if emo.is_number(text):
        return float(text)
    with contextlib.suppress(TypeError, ValueError, IndexError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock.time())
    return None


def repeated(settings: Settings, doing: str, once: Callable[[], Try[Result]]) -> Try[Result]:
    """Return what comes of the last try: there is another after a pause where one says `again`."""
    began, last_start = clock.time(), min(clock.monotonic() + RESEND_TIME, settings.deadline)
    for pause in (*PAUSES, None):
        result, answer = once()
        wait = answer.retry_after if pause and answer.retry_after is not None else pause
        goes_on = answer.again and not settings.interrupts.came
        if not goes_on or wait is None or clock.monotonic() + wait > last_start:
            break
        settings.progress.show(f"{answer.words or f'HTTP {answer.status}'}; {doing} it again")
        # Who was stopped for longer by now, or slept, may find another run in its place.
        if not settings.pause(wait) or abs(clock.time() - began) > RESEND_TIME + 1:
            break
    return result, answer


def deliver(settings: Settings, path: str, body: emo.Json) -> tuple[str, Answer]:
    """Send `body` until it is taken or refused; return the state, and the last answer."""
    # Again goes what found no host or was refused, 429, and any detection, if that may help.

    def once() -> tuple[str, Answer]:
        answer = ask(settings, path, body)
        state = state_of(path, answer)
        may_help = state in ("unclear", NOT_TAKEN) and not 200 <= answer.status < 300
        again = state == NOT_TAKEN if answer.status else answer.again
        return state, answer._replace(again=may_help if path == DETECTION_PATH else again)

    return repeated(settings, "sending", once)


def state_of(path: str, answer: Answer) -> str:
    """Return the state of a task by an answer to its POST, "made" of a detection that was told."""
    if answer.status in (0, BUSY):
        return NOT_TAKEN if answer.status or not answer.left else "unclear"
    if answer.status < 300:
        output = member(understood(answer.document), "output")
        is_told = isinstance(output.get("check_pass"), bool)
        is_made = id_in(output) if path == GENERATION_PATH else is_told
        return "made" if is_made else "unclear"
    return "unclear" if answer.status >= 500 or answer.status == 408 else "refused"
