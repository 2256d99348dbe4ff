"""What the service said, kept as it came, without the API key, and understood all the same."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any, NamedTuple

import prepare_emo_request as emo

MAX_JSON = 1024 * 1024  # bytes of a file or an answer that is read
DEEPEST = 100  # levels of an answer
BUSY = 429  # HTTP: certainly not taken
TRANSIENT = (408, 425, BUSY)  # HTTP: another time the answer may be another one


class Answer(NamedTuple):
    """An HTTP answer, or with the `status` 0 that there is none."""

    status: int
    document: object = None  # JSON, else a text, None for nothing
    retry_after: float | None = None  # seconds
    words: str = ""  # why there is none
    again: bool = False  # whether the same may be asked again
    left: bool = True  # whether the request may have left
    is_whole: bool = True  # not cut short
    base: str = ""  # of the service, if that was asked
    base_variable: str = "DASHSCOPE_BASE_URL"  # that this is from, or that sets another one


def is_over_soon(status: int) -> bool:
    """Whether an HTTP `status` may be another one at another time."""
    return status >= 500 or status in TRANSIENT


def document_of(data: bytes, key: str) -> object:
    """Return an answer's JSON value, else its text, or None for nothing, without the API key."""
    # What could not be written again as it came stays a text: a name twice, NaN, too many levels.
    if len(data) <= MAX_JSON:
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(data, object_pairs_hook=without_doubles)
            if depth_of(value) <= DEEPEST:
                written = json.dumps(value, allow_nan=False)
                return json.loads(written.replace(json.dumps(key)[1:-1], "***"))
    # Where it is no JSON, the key may be escaped in it, or cut off in its midst.
    escaped = "".join(f"(?:{re.escape(c)}|\\\\u{ord(c):04x})" for c in key)
    text = re.sub(escaped, "***", data.decode("utf-8", "replace"), flags=re.IGNORECASE)
    cut = next(filter(text.endswith, (key[:length] for length in range(len(key), 3, -1))), "")
    return (text.removesuffix(cut) + "***" if cut else text)[:MAX_JSON] or None


def without_doubles(pairs: list[tuple[str, Any]]) -> emo.Json:
    """Return the object of `pairs`; raises `ValueError` where a name stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def depth_of(value: object) -> int:
    """Return how many levels a JSON `value` has below its outermost one."""
    inner = list(value.values()) if isinstance(value, dict) else value
    return max((1 + depth_of(item) for item in inner), default=0) if isinstance(inner, list) else 0


def understood(said: object) -> Any:
    """Return what the service `said` as JSON, also where that was kept as a text."""
    if not isinstance(said, str):
        return said
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(
            said,
            parse_constant=lambda _: None,
            parse_int=lambda text: int(text) if len(text) < 4000 else None,
            parse_float=lambda text: float(text) if math.isfinite(float(text)) else None,
            object_pairs_hook=joined_doubles,
        )
    return None


def joined_doubles(pairs: list[tuple[str, Any]]) -> emo.Json:
    """Return the object of `pairs`; of a name that stands twice the first value that says much."""
    found: emo.Json = {}
    for name, value in pairs:
        before = found.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            before = joined_doubles([*before.items(), *value.items()])
        found[name] = before or value
    return found


def member(document: object, name: str) -> emo.Json:
    """Return the object that `document` has by this name, {} where there is none."""
    return as_object(as_object(document).get(name))


def as_object(value: object) -> emo.Json:
    return value if isinstance(value, dict) else {}


def id_in(document: emo.Json) -> str:
    """Return the `task_id` that `document` has, "" for none: it becomes a step of a path."""
    task_id = text_in(document, "task_id")
    is_step = task_id.strip(".") and "/" not in task_id and emo.is_visible_ascii(task_id)
    return task_id if is_step else ""


def text_in(document: emo.Json, name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
