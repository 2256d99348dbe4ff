#!/usr/bin/env python3
"""Turn a portrait and a recording into a talking-head video with EMO of Alibaba Cloud Model Studio.

    $ python3 prepare_emo_request.py \\
        --image-url https://example.com/portrait.png \\
        --audio-url https://example.com/speech.mp3 \\
        --face-bbox 302,286,610,593 --ext-bbox 71,9,840,778 --style-level active
    {"ok": true, "request_path": "output/aliyun-emo/request.json", "model": "emo-v1", ...}

What the service would refuse is refused here, all of it at once, and nothing is written:

    $ python3 prepare_emo_request.py --image-url oss://bucket/portrait.png ...
    error: --image-url: 'oss://bucket/portrait.png' is not an http or https link but oss:. ...
    {"ok": false, "errors": [{"field": "image_url", "message": "...", "hint": "..."}]}

The whole way is five commands, of which only `submit` and `wait` open a socket:

    $ python3 prepare_emo_request.py detect --image-url https://example.com/portrait.png
    $ python3 prepare_emo_request.py submit output/aliyun-emo/detect_request.json
    $ python3 prepare_emo_request.py prepare --detection output/aliyun-emo/detection.json ...
    $ python3 prepare_emo_request.py submit
    $ python3 prepare_emo_request.py wait

Stdout is one line of JSON, stderr the same for people; --help lists the exit codes.
"""

from __future__ import annotations

import argparse
import errno
import functools
import json
import os
import re
import sys
from time import monotonic, sleep, time

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from http.client import HTTPResponse
    from ipaddress import IPv4Address, IPv6Address
    from typing import Any, NoReturn, TypeVar

    Value = TypeVar("Value")
    Json = dict[str, Any]  # a JSON object
    Box = list[int]  # [x1, y1, x2, y2], whole pixels of the original image
    Values = dict[str, str]  # what was given, by field
    Service = tuple[str, str]  # base URL and API key
    Moves = list[tuple[Sequence[str], str]]  # names of files, and the suffix they got

# --- 1. Contract: the facts of the service ------------------------------------------------------

VERSION = "1.0.0"

GENERATION_MODEL = "emo-v1"
DETECTION_MODEL = "emo-v1-detect"  # the skill's normalized name
DETECTION_MODEL_ON_WIRE = "emo-detect-v1"

MODEL_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:")
VIDEO_SIZES = {"1:1": "512x512", "3:4": "512x704"}  # ratio of ext_bbox: width x height in pixels
DEFAULT_RATIO = "1:1"
STYLE_LEVELS = ("normal", "calm", "active")
DEFAULT_STYLE_LEVEL = "normal"
MAX_SIDE = 7000  # pixels of the original image

FORMATS = {"image_url": "jpg jpeg png bmp webp".split(), "audio_url": "wav mp3".split()}
# Extensions that name a medium the service does not take, by the field they were meant for.
OTHER_FORMATS = {
    "image_url": "gif tif tiff svg heic heif avif jfif jxl ico psd eps".split(),
    "audio_url": "m4a flac ogg oga opus aac wma amr aif aiff mid midi caf".split(),
    "": "mp4 m4v mov avi mkv webm wmv flv mpg mpeg 3gp ogv pdf".split(),
}
KINDS = {"image_url": "picture", "audio_url": "recording"}

SOON = 3600  # seconds: a link that expires within these may not outlive the queue
# Signed links: the parameter that holds the start, and the one that holds the seconds from there.
LIFETIMES = (
    ("x-oss-date", "x-oss-expires"),
    ("X-Amz-Date", "X-Amz-Expires"),
    ("X-Goog-Date", "X-Goog-Expires"),
)

# Names that mean nothing on the public internet (RFC 6761, RFC 6762, RFC 8375 and usage).
PRIVATE_NAMES = ("localhost", "local", "internal", "lan", "home.arpa", "test", "invalid")
# What is not global unicast (IANA IPv4 and IPv6 special-purpose address registries). The standard
# library's is_global has changed between Python versions, and counts multicast as global.
NOT_PUBLIC = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
    " 224.0.0.0/4 240.0.0.0/4"
    # All but 2000::/3, and the special blocks within it.
    " ::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20"
).split()
# What IDNA 2008 takes (RFC 5892, 2.1 and 2.6): letters, marks and digits, and the zero of dates,
IDNA_2008_CATEGORIES = ("Ll", "Lo", "Lm", "Mn", "Mc", "Nd")
IDNA_2008_EXCEPTION = "\u3007"
# but of those not these, which IDNA 2003 maps or lets stand, nor a dot that a character maps to.
NOT_THE_SAME_IN_IDNA_2008 = (
    "[.\u00df\u03c2\u1e9e\u0640\u07fa\u1100-\u11ff\u17b4\u17b5\u180f\u20d0-\u20ff\u302e\u302f"
    "\u3031-\u3035\u303b\U0001d165-\U0001d1ad\U000e0100-\U000e01ef]"
)
LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
NOT_IN_A_LINK = r"[\s\x00-\x1f\x7f-\x9f\\]"

BASE_URL = "https://dashscope.aliyuncs.com/api/v1"
DETECTION_PATH = "/services/aigc/image2video/face-detect"
GENERATION_PATH = "/services/aigc/image2video/video-synthesis"
TASK_PATH = "/tasks/"
DETECTION_FIELDS = ("model", "image_url", "ratio")
GENERATION_FIELDS = ("model", "image_url", "audio_url", "face_bbox", "ext_bbox", "style_level")
UNFINISHED = ("PENDING", "PRE-PROCESSING", "RUNNING", "POST-PROCESSING", "SUSPENDED")
FAILED = ("FAILED", "CANCELED")
FINISHED = ("SUCCEEDED", *FAILED)
GONE = "UNKNOWN"  # no such task, or older than this
TASK_LIFETIME = 24 * 3600  # seconds
SHORTEST_INTERVAL = 0.05  # seconds: 20 queries a second for the whole account

CONNECT_TIMEOUT, READ_TIMEOUT = 10, 30  # seconds
PAUSES = (1, 2, 4, 8)  # seconds before a request is sent again, so five tries
RESEND_TIME = 30  # seconds within which they must start
LONGEST_PAUSE = 60  # seconds between two polls when the service does not answer them
DOWNLOADS = 3  # tries
REDIRECTS = 5  # that a download follows
CREDENTIALS = os.path.join("~", ".alibabacloud", "credentials")
DEEPEST = 100  # levels of an answer
SILENCE = 60  # seconds that a pipe may keep quiet, so that one nobody writes to does not hang
MAX_JSON = 1024 * 1024  # bytes of a file or an answer that is read

REMEDIES = {
    "InvalidApiKey": "Use an API key of the China mainland (Beijing) region.",
    "InvalidParameter": "The request is malformed or lacks a field: prepare it again.",
    "InvalidParameter.Ratio": "Ask for the ratio 1:1 or 3:4.",
    "InvalidURL": "Make the file public, and check that its link has not expired.",
    "DataInspectionFailed": "The content check refused the input: use another picture or audio.",
    "InvalidFile.NoHuman": "No person was found: use a photo of one person.",
    "InvalidFile.MultiHuman": "There are several people: use a photo of one person.",
    "InvalidFile.BodyProportion": "The person is too large or too small in the picture: "
    "use one in which the person fills more, or less, of it.",
    "InvalidFile.Resolution": "Use a picture with every side from 400 to 7000 pixels.",
    "InvalidFile.Value": "The picture is too dark or unclear: use a brighter, sharper one.",
    "InvalidFile.FrontBody": "Use a picture in which the person faces the camera.",
    "InvalidFile.FullFace": "Use a picture in which the face is whole and uncovered.",
    "InvalidFile.FacePose": "The face is turned or tilted too far: use a picture that is taken "
    "from the front.",
    "InvalidFile.FullBody": "For 1:1 show the whole head, for 3:4 the whole upper body, or detect "
    "with the other ratio.",
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
LOOK_FIRST = (
    "Look at the account's tasks: wait TASK_ID if there is one, submit --again to pay for one."
)
PORTRAIT_REMEDY = "Use a clear photo of one person who faces the camera, and detect again."

# --- 2. Problems: what can be wrong, in the user's words ----------------------------------------


class Problem(Exception):
    """One thing that is wrong: its `field`, what it is, what to do, and the exit code."""

    def __init__(self, field: str, message: str, hint: str, code: int = 2) -> None:
        super().__init__(message)
        self.field, self.message, self.hint, self.code = field, message, hint, code


class Report:
    """All that a run has to say: `errors` forbid to go on, `warnings` do not, `facts` are told."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.facts: Json = {}
        self.options: list[str] = []  # the fields that have an option in this run

    def error(self, field: str, message: str, hint: str) -> None:
        self.errors.append(Problem(field, message, hint))

    def warn(self, field: str, message: str, hint: str) -> None:
        self.warnings.append(Problem(field, message, hint))

    def check(self, rule: Callable[..., Value], *arguments: Any) -> Value | None:
        """Return what `rule` returns, or None when it raised a `Problem`, which is kept."""
        try:
            return rule(*arguments)
        except Problem as problem:
            self.errors.append(problem)
            return None


def shown(value: str) -> str:
    """Return `value` in quotes as a message may show it.

    A link's query is a signature and what stands before an "@" a password, so both are left out,
    whatever option they were pasted to.
    """
    head = re.split(r"[?#]|%3f|&\w+=", value, maxsplit=1, flags=re.IGNORECASE)[0]
    cut = "?..." if head != value else ""
    if "@" in value:
        scheme = re.match("[a-z]*://|", head, re.IGNORECASE)
        host = head.rpartition("@")[2] if "@" in head else ""
        head = f"{scheme[0] if scheme else ''}...@{host}"
    return f"'{printable(head, 120)}{cut}'"


def printable(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, those that do not print as escapes.

    Control characters would move a terminal's cursor.
    """
    if len(text) > limit:
        text = text[:limit] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def option(field: str) -> str:
    """Return the option that gives `field`: "--ext-bbox" for "ext_bbox"."""
    return "--" + field.replace("_", "-")


def service_text(text: object) -> str:
    """Return words of the service as a message may show them: links in it lose their query."""
    return printable(re.sub(r"\S*//\S*", lambda link: shown(link[0]), str(text)), 500)


# --- 3. Validation: text in, value or problems out ----------------------------------------------


def check_given(field: str, text: str | None, wanted: str) -> str:
    """Return `text`; raises `Problem` where it is missing, empty, or not valid Unicode."""
    if not text:
        message = "is missing" if text is None else "has no value"
        raise Problem(field, message, f"Give {wanted}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(field, f"{shown(text)} is not valid UTF-8", f"Give {wanted}.") from None
    return text


def check_choice(field: str, text: str | None, choices: Sequence[str]) -> str:
    """Return `text`, one of `choices`; raises `Problem`."""
    wanted = f"one of {', '.join(choices)}"
    text = check_given(field, text, wanted)
    if text in choices:
        return text
    raise Problem(field, f"{shown(text)} is not known", f"Give {wanted}.")


def check_model(text: str | None, stage: str, others: Sequence[str]) -> str:
    """Return the model name as given: dedicated deployments have names of their own.

    Raises `Problem` for what cannot be a name, and for one of `others`, the other stage's models.
    """
    wanted = f"a model for {stage}, or leave --model out"
    text = check_given("model", text, wanted)
    if text in others:
        raise Problem("model", f"{shown(text)} is not for {stage}", f"Give {wanted}.")
    if not MODEL_CHARACTERS.issuperset(text):
        message = f"{shown(text)} is not a model name: letters, digits and . _ - / :"
        raise Problem("model", message, f"Give {wanted}.")
    return text


# Boxes: [x1, y1, x2, y2], the top-left and the bottom-right corner.


def parse_box(field: str, text: str | None) -> Box:
    """Return the box in `text`, "x1,y1,x2,y2" or the same as a JSON list; raises `Problem`."""
    hint = f"Copy {field} from the detection answer unchanged: x1,y1,x2,y2."
    text = check_given(field, text, f"{option(field)} x1,y1,x2,y2, or --detection FILE")
    if text[0] == "[" and text[-1] == "]":
        numbers = [number.strip(" \t\r\n") for number in text[1:-1].split(",")]
    else:
        numbers = text.split(",")
    if len(numbers) != 4:
        raise Problem(field, f"{shown(text)} is not four numbers with commas between", hint)
    # int() also takes 1_0, +3 and digits of other scripts, and refuses thousands of digits.
    bad = [n for n in numbers if not re.fullmatch("0|[1-9][0-9]{0,3}", n) or int(n) > MAX_SIDE]
    if bad:
        given = ", ".join(map(shown, bad))
        raise Problem(field, f"{given}: not a whole number from 0 to {MAX_SIDE}", hint)
    x1, y1, x2, y2 = box = [int(number) for number in numbers]
    if x1 >= x2 or y1 >= y2:
        message = f"{box} has no area: x1 must be less than x2, and y1 less than y2"
        raise Problem(field, message, hint)
    return box


def size_of(box: Sequence[int]) -> tuple[int, int]:
    """Return width and height of `box` in pixels."""
    x1, y1, x2, y2 = box
    return x2 - x1, y2 - y1


def ratio_of(box: Sequence[int]) -> str | None:
    """Return the service's ratio, "1:1" or "3:4", that `box` has, or None.

    Corners are whole pixels, so either side may be one pixel off the exact ratio p:q, which moves
    w*q - h*p by at most p + q. The service's own 546x545 is 1:1.
    """
    width, height = size_of(box)
    for ratio in VIDEO_SIZES:
        p, q = map(int, ratio.split(":"))
        if abs(width * q - height * p) <= p + q:
            return ratio
    return None


def check_boxes(
    face_text: str | None, ext_text: str | None, report: Report
) -> tuple[Box, Box] | None:
    """Return `face_bbox` and `ext_bbox`, or None when one of them is not a box."""
    face_bbox = report.check(parse_box, "face_bbox", face_text)
    ext_bbox = report.check(parse_box, "ext_bbox", ext_text)
    if ext_bbox and not ratio_of(ext_bbox):
        from math import gcd

        width, height = size_of(ext_bbox)
        its = f"{width // gcd(width, height)}:{height // gcd(width, height)}"
        message = f"{width}x{height} is {its}; the service takes {' or '.join(VIDEO_SIZES)}"
        hint = "Copy ext_bbox from the detection answer unchanged."
        report.error("ext_bbox", message, hint)
    if not face_bbox or not ext_bbox:
        return None
    hint = "Copy both boxes from one detection answer unchanged."
    shared = [*map(max, face_bbox[:2], ext_bbox[:2]), *map(min, face_bbox[2:], ext_bbox[2:])]
    if shared[0] >= shared[2] or shared[1] >= shared[3]:
        message = "the face box and ext_bbox are apart; in every answer it lies inside"
        report.error("face_bbox", message, hint)
    elif shared == ext_bbox:
        message = "the face box contains ext_bbox; in every answer it lies inside: swapped?"
        report.error("face_bbox", message, hint)
    elif shared != face_bbox:
        report.warn("face_bbox", "the face box sticks out of ext_bbox", hint)
    return face_bbox, ext_bbox


# Links: `image_url` and `audio_url`, which the service downloads from the public internet.


def check_link(field: str, text: str | None, now: float, report: Report) -> str | None:
    """Return the normalized link, or None when something is wrong with it.

    `now` is in seconds since 1970. Path and query of a plain ASCII link stay byte for byte, since
    a signature covers them.
    """
    before = len(report.errors)
    text = report.check(check_given, field, text, f"{option(field)} URL, a public link")
    link = report.check(split_link, field, text) if text else None
    if not text or not link:
        return None
    scheme, userinfo, host, port, path, query, fragment = link
    found = re.search(NOT_IN_A_LINK, text)
    if found:
        control = "a backslash" if found[0] == "\\" else "a control character"
        name = "white space" if found[0].isspace() else control
        message = f"{shown(text)} has {name}, U+{ord(found[0]):04X}, in it"
        report.error(field, message, "Copy the link anew; a space of a file's name is %20.")
    if userinfo:
        message = f"{shown(text)} has a user name or password before the host"
        report.error(field, message, "Give a link that works without, for example a signed one.")
    public_host = report.check(check_host, field, host)
    if port and not (re.fullmatch(":[0-9]{1,5}", port) and 0 < int(port[1:]) < 65536):
        message = "the port is not a number from 1 to 65535"
        report.error(field, message, "Correct it, or leave it out with its colon.")
    bad_escape = re.search("%(?![0-9A-Fa-f]{2}).{0,2}", path) if "%" in path else None
    if bad_escape:
        message = f"the path has a bad percent escape, {shown(bad_escape[0])}"
        report.error(field, message, "Write a percent sign of a file's name as %25.")
    report.check(check_format, field, path)
    expiry = expiry_of(query) if query else None
    if expiry is not None and expiry <= now:
        report.error(field, f"the link expired at {utc(expiry)}", "Sign it anew.")
    elif expiry is not None and expiry <= now + SOON:
        message = f"the link expires at {utc(expiry)}; the service may fetch it later than that"
        report.warn(field, message, "Sign it anew, for a day.")
    if fragment:
        message = "the part from # on was dropped: no server ever gets it"
        report.warn(field, message, "Write a # of a file's name as %23.")
    if len(report.errors) > before:
        return None
    return f"{scheme}://{public_host}{port}{escaped(path + query)}"


def split_link(field: str, text: str) -> tuple[str, ...]:
    """Return scheme, user info, host, port, path, query and fragment (RFC 3986, appendix B).

    The optional ones are empty or have their punctuation. What no link may hold is left out, so
    that the rest can be checked as well. Raises `Problem` for what is no http(s) link at all.
    """
    link = re.sub(NOT_IN_A_LINK, "", text.replace("\\", "/"))
    found = re.match("([A-Za-z][A-Za-z0-9+-]+):(/*)([^/?#]*)([^?#]*)([^#]*)(.*)", link)
    upload = f"Upload the {KINDS[field]} first, for example to OSS, and give its public https link."
    if not found:
        message = f"{shown(text)} is a local path, or lacks https:// in front"
        raise Problem(field, message, upload)
    scheme, slashes, authority, path, query, fragment = found.groups()
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        raise Problem(field, f"{shown(text)} is not an http or https link but {scheme}:", upload)
    if slashes != "//":
        raise Problem(field, f"{shown(text)} has no host", "Write https://, the host, the path.")
    userinfo, at, host = authority.rpartition("@")
    end = host.find(":", host.find("]") + 1)
    host, port = (host[:end], host[end:]) if end >= 0 else (host, "")
    return scheme, userinfo + at, host, port, path, query, fragment


def check_host(field: str, host: str) -> str:
    """Return the public `host` in lower case and ASCII; raises `Problem`.

    An IPv4 address is read as browsers read it, in every spelling, and written as four decimals.
    """
    if not host:
        raise Problem(field, "the link has no host", "Write https://, the host, the path.")
    if host.startswith("["):
        return check_ipv6(field, host)
    # What is too long is not converted: the codec takes a time that grows with the square.
    name = host.lower() if host.isascii() or len(host) > 253 else idna_form(field, host)
    if len(name) > 253:
        raise Problem(field, "the host is longer than 253 characters", "Correct the host.")
    labels = name.split(".")
    if labels[-1] == "" and len(labels) > 1:
        labels.pop()  # the root's own label, as in "example.com."
    last = labels[-1]
    if last.isdigit() or (last.startswith("0x") and set(last[2:]) <= set("0123456789abcdef")):
        return check_ipv4(field, host, labels)
    for label in labels:
        fault = ""
        if not label:
            fault = "is empty"
        elif len(label) > 63:
            fault = "is longer than 63 characters"
        elif label.strip("-") != label or not LABEL_CHARACTERS.issuperset(label):
            fault = "has more than letters, digits and _, with - only between them"
        if fault:
            message = f"the label {shown(label)} of the host {shown(host)} {fault}"
            raise Problem(field, message, "Correct the host.")
    if len(labels) == 1:
        raise not_public(field, host, "has no dot: a name of this machine or network")
    for suffix in PRIVATE_NAMES:
        if ("." + ".".join(labels)).endswith("." + suffix):
            raise not_public(field, host, f"is private: .{suffix} is not on the internet")
    return name


def not_public(field: str, host: str, why: str) -> Problem:
    hint = "Give a link that works from the public internet: the service downloads it from there."
    return Problem(field, f"the host {shown(host)} {why}", hint)


def idna_form(field: str, host: str) -> str:
    """Return the "xn--" form of a host that is not ASCII; raises `Problem`.

    Python's codec is IDNA 2003, the internet has moved to IDNA 2008, and a host in which they
    differ would be another host: its owner must say which.
    """
    from encodings.idna import nameprep
    from unicodedata import category, normalize

    try:
        for label in re.split("[.\u3002\uff0e\uff61]", host):
            if label.isascii():
                continue
            mapped = nameprep(label)
            if (
                mapped != normalize("NFKC", normalize("NFKC", label).casefold())
                or re.search(NOT_THE_SAME_IN_IDNA_2008, label + mapped)
                or any(
                    c > "\x7f"
                    and c != IDNA_2008_EXCEPTION
                    and category(c) not in IDNA_2008_CATEGORIES
                    for c in mapped
                )
            ):
                message = f"the host {shown(host)} has a character in which IDNA versions differ"
                raise Problem(field, message, "Give the host in its xn-- form.")
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        message = f"the host {shown(host)} has no IDNA form"
        raise Problem(field, message, "Check it, or give it in its xn-- form.") from None


def check_ipv4(field: str, host: str, labels: Sequence[str]) -> str:
    """Return the public IPv4 address that `labels` spell; raises `Problem`."""
    numbers = []
    for label in labels:
        base = 16 if label.startswith("0x") else 8 if label.startswith("0") else 10
        digits = label[2:] if base == 16 else label
        if label and set(digits) <= set("0123456789abcdef"[:base]):
            numbers.append(int(digits or "0", base))
    # All but the last are bytes; the last fills the bytes that are left.
    limits = [256] * (len(labels) - 1) + [256 ** (5 - len(labels)) if len(labels) < 5 else 0]
    if len(numbers) != len(labels) or any(n >= limit for n, limit in zip(numbers, limits)):
        message = f"the host {shown(host)} ends in a number and is no IPv4 address"
        raise Problem(field, message, "Correct the host.")
    value = numbers.pop() + sum(n << 24 - 8 * place for place, n in enumerate(numbers))
    import ipaddress

    address = ipaddress.IPv4Address(value)
    check_address(field, host, address)
    return str(address)


def check_ipv6(field: str, host: str) -> str:
    """Return the public IPv6 address `host`, with its brackets; raises `Problem`."""
    import ipaddress

    try:
        if "%" in host or not host.endswith("]"):
            raise ValueError("a zone, or no closing bracket")
        address = ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        message = f"the host {shown(host)} is no IPv6 address"
        raise Problem(field, message, "Check the link.") from None
    check_address(field, host, address)
    return host.lower()


def check_address(field: str, host: str, address: IPv4Address | IPv6Address) -> None:
    """Raise `Problem` for an `address` that is not global unicast."""
    from ipaddress import ip_network

    if any(address in ip_network(block) for block in NOT_PUBLIC):
        raise not_public(field, host, f"is the address {address}, which is not public")


def check_format(field: str, path: str) -> None:
    """Raise `Problem` for an extension that names a format the service does not take.

    No extension, or one that names no medium (".php"), says nothing: many links have none.
    """
    name = path.rpartition("/")[2]
    if "%" in name:
        from urllib.parse import unquote

        name = unquote(name)
    extension = name.rpartition(".")[2].strip().lower() if "." in name else ""
    if extension in FORMATS[field]:
        return
    for other, kind in KINDS.items():
        if other != field and extension in FORMATS[other] + OTHER_FORMATS[other]:
            message = f"the link is of a {kind} (.{extension}), not of a {KINDS[field]}: swapped?"
            hint = "Give the picture to --image-url and the recording to --audio-url."
            raise Problem(field, message, hint)
    if extension in OTHER_FORMATS[field] + OTHER_FORMATS[""]:
        message = f".{extension} is not taken; the service takes {', '.join(FORMATS[field])}"
        raise Problem(field, message, f"Convert the {KINDS[field]} and upload it anew.")


def expiry_of(query: str) -> int | None:
    """Return the second since 1970 at which a link with `query` stops working, or None.

    Parameters: Alibaba OSS V1, AWS V2 and CloudFront; OSS V4, AWS V4 and Google V4; Tencent COS;
    Azure SAS.
    """
    from urllib.parse import unquote

    values: Values = {}
    for pair in query[1:].split("&"):
        name, _, value = pair.partition("=")
        values.setdefault(unquote(name), unquote(value))
    ends = [
        seconds(values.get("Expires", "")),
        seconds(values.get("q-sign-time", "").partition(";")[2]),
        instant(values.get("se", "")),
    ]
    for date, lifetime in LIFETIMES:
        start, length = instant(values.get(date, "")), seconds(values.get(lifetime, ""))
        ends.append(None if start is None or length is None else start + length)
    return min((end for end in ends if end is not None), default=None)


def seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def instant(text: str) -> int | None:
    """Return the second since 1970 of "20241114T084516Z" or "2026-01-01T00:00:00Z", or None."""
    time_of_day = r"T(\d\d):?(\d\d)(?::?(\d\d)(?:\.\d+)?)?(?:Z|\+00:00)?"
    found = re.fullmatch(rf"(\d{{4}})-?(\d\d)-?(\d\d)(?:{time_of_day})?", text, re.ASCII)
    if not found:
        return None
    from datetime import datetime, timezone

    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:  # the thirteenth month: not a time, so nothing is known of the expiry
        return None
    return int(moment.timestamp())


def utc(moment: int) -> str:
    """Return the second since 1970 as "2026-01-01T00:00:00Z"."""
    from datetime import datetime, timedelta, timezone

    # fromtimestamp() refuses times before 1970 on Windows.
    moment_utc = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=moment)
    return moment_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp() -> str:
    """Return the time now as "2026-01-01T00:00:00.000000Z"."""
    from datetime import datetime, timezone

    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def escaped(text: str) -> str:
    """Return `text` with UTF-8 percent escapes for what is not ASCII, and the rest as it is."""
    if text.isascii():
        return text
    from urllib.parse import quote

    return quote(text, safe="".join(map(chr, range(128))))


# Detection answers, saved as the service gave them or with their request


def check_detection(saved: Json, image_url: str | None, report: Report) -> tuple[Box, Box] | None:
    """Return `face_bbox` and `ext_bbox` from `saved`, or None when something is wrong with them.

    `saved` is the service's answer, or {"request": ..., "response": the answer}; then the picture
    of that request must be `image_url`, which is None when that is wrong itself.
    """
    if image_url and saved.get("request") is not None and "response" in saved:
        report.check(check_same_image, saved["request"], image_url, report)
    output = report.check(passed_output, saved.get("response", saved))
    if not output:
        return None
    found = Report()
    boxes = check_boxes(box_text(output, "face_bbox"), box_text(output, "ext_bbox"), found)
    hint = "Detect again, and keep the answer as it comes."
    for mine, its in (report.errors, found.errors), (report.warnings, found.warnings):
        mine += [Problem("detection", f"{p.field}: {p.message}", hint) for p in its]
    return boxes


def passed_output(answer: object) -> Json:
    """Return `output` of a detection answer that passed; raises `Problem`."""
    hint = "Give the answer of the detection, whole and unchanged."
    if not isinstance(answer, dict):
        raise Problem("detection", "the answer is not a JSON object", hint)
    output = answer.get("output")
    if not isinstance(output, dict):
        if "code" not in answer:
            raise Problem("detection", "the file is no detection answer: it has no output", hint)
        raise refusal("detection", "the detection failed", answer)
    if output.get("check_pass") is True:
        return output
    if output.get("check_pass") is False:
        what = "the picture did not pass the detection"
        raise refusal("detection", what, output, remedy=PORTRAIT_REMEDY)
    message = "the file is no detection answer: output.check_pass is neither true nor false"
    raise Problem("detection", message, hint)


def refusal(
    field: str, what: str, said: Json, code: int = 2, remedy: str = UNKNOWN_REMEDY
) -> Problem:
    """Return the `Problem` for the `code` and `message` with which the service said no.

    `remedy` is for a code that is not in the contract's table.
    """
    name, message = said.get("code") or "no code", said.get("message") or "no message"
    request_id = f" (request_id {service_text(said['request_id'])})" if "request_id" in said else ""
    words = f"{what}: {service_text(name)}: {service_text(message)}{request_id}"
    return Problem(field, words, REMEDIES.get(str(name), remedy), code)


def box_text(output: Json, name: str) -> str | None:
    """Return the box `name` of `output` in the form of the option, so that one rule serves both."""
    box = output.get(name)
    if box is None:
        return None
    numbers = box if isinstance(box, list) else [box]
    return f"[{','.join('...' if isinstance(n, (list, dict)) else json.dumps(n) for n in numbers)}]"


def check_same_image(request: object, image_url: str, report: Report) -> None:
    """Raise `Problem` unless the detection's `request` has the picture of this call."""
    body = request.get("input") if isinstance(request, dict) else None
    detected = body.get("image_url") if isinstance(body, dict) else None
    if not isinstance(detected, str):
        message = "its request has no input.image_url"
        raise Problem("detection", message, "Give the file as it was saved, or the answer alone.")
    # Then as now: normalized alike, and whether that link still works does not matter any more.
    before = Report()
    then = check_link("image_url", detected, float("-inf"), before)
    if not then or then.partition("?")[0] != image_url.partition("?")[0]:
        message = f"it is of another picture: {shown(then or 'no link')}, not {shown(image_url)}"
        raise Problem("detection", message, "Detect this picture, or give the link detected.")
    if then != image_url:
        message = "the picture's link was signed anew since: is it the same picture?"
        report.warn("detection", message, "Detect it again if not.")


# What `submit` and `wait` need besides


def check_seconds(field: str, text: str, least: float) -> float:
    """Return `text` as seconds, from `least` to a day, after which a task is gone."""
    number = text.replace(".", "", 1)
    seconds_given = float(text) if number.isascii() and number.isdigit() else -1
    if least <= seconds_given <= TASK_LIFETIME:
        return seconds_given
    wanted = f"a number of seconds from {least:g} to {TASK_LIFETIME}"
    raise Problem(field, f"{shown(text)} is not {wanted}", f"Give {wanted}.")


def is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def check_task_id(text: str) -> str:
    """Return a task's id, which goes into a path of the service; raises `Problem`."""
    if text.strip(".") and is_visible_ascii(text):
        return text
    hint = "Copy task_id from the line that submit printed, or from task.json."
    raise Problem("task_id", f"{shown(text)} is not the id of a task", hint)


def check_key(text: str) -> str:
    """Return the API key; raises `Problem`, which never shows it."""
    both = f"DASHSCOPE_API_KEY, or dashscope_api_key in {CREDENTIALS}"
    if not text:
        raise Problem("api_key", "there is no API key", f"Put a Beijing key into {both}.")
    if not is_visible_ascii(text):
        message = "the API key has more than visible ASCII characters"
        raise Problem("api_key", message, f"Correct it in {both}.")
    return text


def check_base_url(text: str) -> str:
    """Return the service's base URL without a slash at its end; raises `Problem`.

    The key goes there, so only https, and plain http where it does not leave this machine.
    """
    from urllib.parse import urlsplit

    hint = f"Set DASHSCOPE_BASE_URL to an https URL, or unset it for {BASE_URL}."
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        usable = host != "" and parts.port != 0 and is_visible_ascii(text)
    except ValueError:
        usable = False
    if not usable or "@" in text or "?" in text or "#" in text:
        raise Problem("base_url", f"{shown(text)} is not the base of a service", hint)
    loopback = host in ("localhost", "::1") or re.fullmatch(r"127\.[0-9.]+", host)
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise Problem("base_url", f"{shown(text)} would send the API key unprotected", hint)
    return text.rstrip("/")


# --- 4. Requests: from values to the JSON that is sent -------------------------------------------


def detection_request(values: Values, now: float, report: Report) -> Json | None:
    """Return the body of a detection (contract, section 1), or None when a value is wrong."""
    image_url = check_link("image_url", values.get("image_url"), now, report)
    ratio = values.get("ratio", DEFAULT_RATIO)
    report.check(check_choice, "ratio", ratio, list(VIDEO_SIZES))
    model = values.get("model", DETECTION_MODEL)
    report.check(check_model, model, "a detection", [GENERATION_MODEL])
    if report.errors:
        return None
    return {"model": model, "input": {"image_url": image_url}, "parameters": {"ratio": ratio}}


def generation_request(
    values: Values, saved: Json | None, now: float, report: Report
) -> Json | None:
    """Return the body of a generation (contract, section 2), or None when a value is wrong.

    The boxes come from `values`, or from `saved`, a detection answer, when `values` has
    `detection`; `saved` is then None if it could not be read.
    """
    image_url = check_link("image_url", values.get("image_url"), now, report)
    audio_url = check_link("audio_url", values.get("audio_url"), now, report)
    boxes = None
    if saved is not None:
        boxes = check_detection(saved, image_url, report)
    elif "detection" not in values:
        boxes = check_boxes(values.get("face_bbox"), values.get("ext_bbox"), report)
    style_level = values.get("style_level", DEFAULT_STYLE_LEVEL)
    report.check(check_choice, "style_level", style_level, STYLE_LEVELS)
    model = values.get("model", GENERATION_MODEL)
    others = [DETECTION_MODEL, DETECTION_MODEL_ON_WIRE]
    report.check(check_model, model, "a generation", others)
    if report.errors or not boxes:
        return None
    face_bbox, ext_bbox = boxes
    return {
        "model": model,
        "input": {
            "image_url": image_url,
            "audio_url": audio_url,
            "face_bbox": face_bbox,
            "ext_bbox": ext_bbox,
        },
        "parameters": {"style_level": style_level},
    }


def request_of(body: Json, now: float, report: Report) -> Json | None:
    """Return a prepared `body` checked anew, since people edit files, or None when it is wrong.

    With an `audio_url` it is a generation, else a detection. The detection model gets the name by
    which the service knows it.
    """
    inner, parameters = body.get("input"), body.get("parameters", {})
    if not isinstance(inner, dict) or not isinstance(parameters, dict):
        message = "it is no prepared request: input or parameters is missing or no object"
        report.error("file", message, "Give the file that prepare or detect wrote.")
        return None
    given = {**body, **inner, **parameters}
    del given["input"]
    given.pop("parameters", None)
    generation = "audio_url" in given
    what = "generation" if generation else "detection (it has no audio_url)"
    values = {}
    for name, value in given.items():
        if name not in (GENERATION_FIELDS if generation else DETECTION_FIELDS):
            message = f"{shown(name)} does not belong to a {what}"
            report.error("file", message, "Take it out, or prepare the request again.")
        elif name in ("face_bbox", "ext_bbox"):
            values[name] = box_text(given, name) or ""
        else:
            values[name] = value.strip() if isinstance(value, str) else ""
    if generation:
        return generation_request(values, None, now, report)
    request = detection_request(values, now, report)
    if request and request["model"] == DETECTION_MODEL:
        request["model"] = DETECTION_MODEL_ON_WIRE
    return request


def task_answer(task_id: str, answer: Json) -> Json:
    """Return the normalized form of the service's `answer` about a task, for response.json."""
    output = answer["output"]
    results = output.get("results")
    video_url = results.get("video_url") if isinstance(results, dict) else None
    values = {
        "task_id": task_id,
        "task_status": output["task_status"],
        "video_url": video_url or output.get("video_url"),
        "code": output.get("code"),
        "message": output.get("message"),
        "submit_time": output.get("submit_time"),
        "scheduled_time": output.get("scheduled_time"),
        "end_time": output.get("end_time"),
        "usage": answer.get("usage"),
        "request_id": answer.get("request_id"),
    }
    return {name: value for name, value in values.items() if value is not None}


# --- 5. Files: where evidence lives, and how it is read and written ------------------------------


def evidence_path(name: str) -> str:
    """Return the path of the file `name` among the evidence."""
    return os.path.join(os.environ.get("OUTPUT_DIR") or "output", "aliyun-emo", name)


def read_json(field: str, path: str) -> Json:
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem`."""
    path = check_given(field, path, "FILE, or - for stdin")
    name = "stdin" if path == "-" else shown(path)
    hint = "Give a file that was written or saved for this, or - for stdin."
    try:
        data = read_bytes(path, MAX_JSON + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or printable(str(error), 200)
        raise Problem(field, f"{name} cannot be read: {reason}", hint) from None
    document, fault = parsed(data)
    if document is None:
        raise Problem(field, f"{name} {fault}", hint)
    return document


def parsed(data: bytes) -> tuple[Json | None, str]:
    """Return the JSON object in `data`, or None and what is wrong with it.

    UTF-8, UTF-16 or UTF-32, with or without a byte-order mark: shells write them all.
    """
    if len(data) > MAX_JSON:
        return None, "is larger than 1 MiB"
    if not data.strip():
        return None, "is empty"
    try:
        document = json.loads(data)
    except RecursionError:
        return None, "is nested too deep"
    except ValueError as error:  # no JSON, no text, or a number of thousands of digits
        return None, f"is not JSON: {printable(str(error), 200)}"
    if not isinstance(document, dict):
        return None, "holds no JSON object"
    return document, ""


def read_bytes(path: str, limit: int) -> bytes:
    """Return at most `limit` bytes of the file `path`, "-" for stdin; raises `OSError`."""
    import select

    given = path != "-"
    data, waiting = b"", not given
    with open(path if given else 0, "rb", 0, closefd=given, opener=open_at_once) as file:
        if file.isatty():
            raise OSError("it is a terminal, and nothing here asks questions")
        while len(data) < limit:
            # Windows can select sockets only.
            if waiting and os.name == "posix" and not select.select([file], [], [], SILENCE)[0]:
                raise OSError(f"nothing has come for {SILENCE} seconds")
            chunk = file.read(limit - len(data))
            if chunk == b"":
                break
            waiting = chunk is None or not given
            data += chunk or b""
    return data


def open_at_once(path: str, flags: int) -> int:
    """Open as `os.open` does, but wait neither for a pipe's writer nor for what it writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def check_writable(path: str) -> str:
    """Return the real file behind `path`; raises `OSError` if it cannot be written.

    Replacing a file asks the folder alone for permission, so what `open` would respect is looked
    at here: a folder, a device (a link to /dev/null, say) and a file that is read-only.
    """
    target = os.path.realpath(path)
    exists = os.path.exists(target)
    folder = os.path.dirname(target)
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if os.path.isdir(target) or not os.path.basename(path):
        code = errno.EISDIR
    elif exists and not os.path.isfile(target):
        code = errno.EPERM
    elif not os.path.isdir(folder):
        code = errno.ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK) or (exists and not os.access(target, os.W_OK)):
        code = errno.EACCES
    else:
        return target
    raise OSError(code, os.strerror(code))


def write_json(path: str, document: object, sync: bool = False) -> None:
    """Replace the file `path` whole by `document`, making its folder; raises `OSError`."""
    replace_file(path, [json.dumps(document, indent=2).encode(), b"\n"], sync)


def replace_file(path: str, chunks: Iterable[bytes], sync: bool = False) -> None:
    """Replace the file `path` whole by `chunks`, making its folder; raises `OSError`.

    Whoever reads it sees the old file or the new one, whatever happens to this process. With
    `sync` it is on the disk on return.
    """
    target = check_writable(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".emo-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
        os.replace(temporary, target)
        if sync:
            sync_folder(folder)
    except BaseException as error:
        if os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = path  # what was asked for, not the temporary file on the way
        raise


def sync_folder(folder: str) -> None:
    """Bring a folder's names to the disk, where the system can: Windows cannot open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# The evidence of tasks. Only one process at a time changes which task the files are of.

TASK_FILES = ("task{}.json",)
ANSWER_FILES = ("response{}.json", "video{}.mp4")


class Holding:
    """Within, no other process changes which task the evidence is of; a kill lets go as well."""

    def __enter__(self) -> None:
        folder = os.path.dirname(evidence_path(""))
        os.makedirs(folder, exist_ok=True)
        if sys.platform == "win32":
            import msvcrt

            self.descriptor = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT)
            msvcrt.locking(self.descriptor, msvcrt.LK_LOCK, 1)
        else:
            import contextlib
            import fcntl

            self.descriptor = os.open(folder, os.O_RDONLY)
            # Without it, on a file system that has no locks, exclusive creation alone must do.
            with contextlib.suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def kept(name: str) -> Json | None:
    """Return the JSON object in `name` of the evidence, {} if it is none, None if absent."""
    path = evidence_path(name)
    if not os.path.exists(path):
        return None
    try:
        return read_json("file", path)
    except Problem:
        return {}


def create_record(record: Json) -> None:
    """Write task.json, synced; raises `OSError`, also when there is one."""
    path = evidence_path("task.json")
    open(path, "xb").close()
    try:
        write_json(path, record, sync=True)
    except BaseException:
        os.unlink(path)
        raise


def rename_files(names: Sequence[str], old: str, new: str) -> None:
    """Rename files of a task in the evidence from the suffix `old` to `new`, "" for none."""
    for name in names:
        source, target = evidence_path(name.format(old)), evidence_path(name.format(new))
        if os.path.exists(source):
            os.replace(source, target)
    response = kept(f"response{new}.json") if names == ANSWER_FILES else None
    if response and "video_path" in response:
        response["video_path"] = evidence_path(f"video{new}.mp4")
        write_json(evidence_path(f"response{new}.json"), response)


def suffix(task_id: object) -> str:
    """Return what a task's files have in their names; the id cannot lead to another folder."""
    from urllib.parse import quote

    name = quote(str(task_id), safe="", errors="surrogatepass")
    if len(name) > 100:
        import hashlib

        name = hashlib.sha256(name.encode()).hexdigest()
    return "-" + name


def append_snapshot(answer: Json) -> None:
    """Append a poll's `answer` to polls.jsonl, as one whole line or not at all."""
    line = json.dumps({"polled_at": timestamp(), "response": answer}).encode() + b"\n"
    path = evidence_path("polls.jsonl")
    with Holding(), open(path, "ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if file.write(line) != len(line):
            file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


# --- 6. Service: the only chapter that opens a socket ---------------------------------------------


class Unreached(OSError):
    """No connection could be made, for the error that is its argument, so nothing was sent."""


class NoAnswer(Exception):
    """There is no answer, but the service may have got the request if `reached`.

    `again` tells whether it does no harm to ask again.
    """

    def __init__(self, reason: str, reached: bool, again: bool) -> None:
        super().__init__(reason)
        self.reached, self.again = reached, again


def settings(report: Report) -> Service | None:
    """Return the base URL and the API key, or None when one of them is wrong."""
    url = os.environ.get("DASHSCOPE_BASE_URL", "").strip() or BASE_URL
    base, key = report.check(check_base_url, url), report.check(find_key)
    return (base, key) if base and key else None


def find_key() -> str:
    """Return the API key; raises `Problem`."""
    return check_key(os.environ.get("DASHSCOPE_API_KEY", "").strip() or key_in_file())


def key_in_file() -> str:
    """Return the API key of the credentials file, or "" where there is none; raises `Problem`."""
    import configparser

    parser = configparser.RawConfigParser()
    try:
        with open(os.path.expanduser(CREDENTIALS), encoding="utf-8-sig") as file:
            parser.read_file(file)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, configparser.Error):  # its message may show the key
        hint = "Mend the file, or set DASHSCOPE_API_KEY."
        raise Problem("api_key", f"{CREDENTIALS} cannot be read", hint) from None
    profile = os.environ.get("ALIBABA_CLOUD_PROFILE") or "default"
    return parser.get(profile, "dashscope_api_key", fallback="").strip()


def masked(value: Any, key: str, depth: int = 0) -> Any:
    """Return a JSON `value` in which the API key is not, if the service has echoed it.

    Raises `RecursionError` where it is nested so deep that it could not be written again.
    """
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        return value.replace(key, "***")
    if isinstance(value, list):
        return [masked(item, key, depth + 1) for item in value]
    if isinstance(value, dict):
        return {masked(k, key): masked(item, key, depth + 1) for k, item in value.items()}
    return value


def opened(
    url: str, data: bytes | None, headers: Values, left: float, sockets: list[Any]
) -> HTTPResponse:
    """Return the response of `url`, whatever its status; a redirect is not followed.

    Never waits longer than `left` seconds for one step. Puts its socket into `sockets`. Raises
    `Unreached`, another `OSError` or `HTTPException`.
    """
    from http.client import HTTPConnection, HTTPSConnection
    from urllib import request
    from urllib.error import URLError

    def reach(connection: HTTPConnection, connect: Callable[[], None]) -> None:
        try:
            connect()
        except OSError as error:
            raise Unreached(error) from error
        connection.sock.settimeout(min(READ_TIMEOUT, left))
        sockets.append(connection.sock)

    class Plain(HTTPConnection):
        def connect(self) -> None:
            reach(self, super().connect)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            reach(self, super().connect)

    class Handler(request.AbstractHTTPHandler):
        http_request = https_request = request.AbstractHTTPHandler.do_request_

        def http_open(self, req: request.Request) -> HTTPResponse:
            return self.do_open(Plain, req)

        def https_open(self, req: request.Request) -> HTTPResponse:
            return self.do_open(Secure, req)

    # Not build_opener(): it opens file:, ftp: and data: as well, and follows redirects to them.
    opener = request.OpenerDirector()
    opener.add_handler(request.ProxyHandler())
    opener.add_handler(Handler())
    asked = request.Request(url, data, headers)
    try:
        response: HTTPResponse = opener.open(asked, timeout=min(CONNECT_TIMEOUT, left))
        return response
    except URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else error from None


def ask(
    service: Service, path: str, body: Json | None, left: float
) -> tuple[int, Json, float | None]:
    """Return the HTTP status, the answer and the seconds of Retry-After, None for none.

    `service` is the base URL and the key. The answer is {} when it is unreadable: cut short, over
    1 MiB, or no JSON object. Ends within about `left` seconds. Raises `NoAnswer`.
    """
    import contextlib
    import socket
    import threading
    from http.client import HTTPException

    base, key = service
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if path == GENERATION_PATH:
        headers["X-DashScope-Async"] = "enable"
    sockets: list[socket.socket] = []

    def cut() -> None:
        for connection in sockets:
            with contextlib.suppress(OSError):  # it may be closed already
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    # A socket's time-out is for one read, and a byte now and then would never end.
    watch = threading.Timer(min(left, CONNECT_TIMEOUT + READ_TIMEOUT), cut)
    watch.daemon = True
    watch.start()
    try:
        data = None if body is None else json.dumps(body).encode()
        with opened(base + path, data, headers, left, sockets) as response:
            try:
                answer = masked(parsed(b"".join(chunks_of(response, MAX_JSON)))[0] or {}, key)
            except (OSError, HTTPException, RecursionError):
                answer = {}
            return response.status, answer, retry_after(response.headers.get("Retry-After", ""))
    except (OSError, HTTPException, ValueError) as error:
        raise no_answer(error) from None
    finally:
        watch.cancel()


def chunks_of(response: HTTPResponse, limit: float = float("inf")) -> Iterator[bytes]:
    """Yield the body of `response`, a little over `limit` bytes of it at most.

    Raises `HTTPException` when it is shorter than announced, which read(n) does not notice.
    """
    from http.client import IncompleteRead

    length = 0
    while length <= limit:
        chunk = response.read(65536)
        if not chunk:
            announced = response.headers.get("Content-Length", "")
            if announced.isdigit() and length < int(announced):
                raise IncompleteRead(b"", int(announced) - length)
            return
        length += len(chunk)
        yield chunk


def retry_after(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or until a date."""
    if text.strip().isdigit():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (TypeError, ValueError, IndexError):
        return None


def no_answer(error: Exception) -> NoAnswer:
    """Return what `error` of a connection means.

    Only a connection that was refused and a name that did not resolve are sure to stay without
    effect when they are tried again.
    """
    import socket

    unreached = isinstance(error, Unreached)
    cause = error.args[0] if unreached else error
    again = unreached and isinstance(cause, (ConnectionRefusedError, socket.gaierror))
    for kind, words in (
        (socket.timeout, "it took too long"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (socket.gaierror, "the name of the host did not resolve"),
        (OSError, str(getattr(cause, "strerror", None) or cause)),
        (ValueError, "the URL, or a proxy variable, is no URL"),
    ):
        if isinstance(cause, kind):
            sent = not unreached and not isinstance(error, ValueError)
            return NoAnswer(printable(words, 200), sent, again)
    return NoAnswer("the answer is cut short, or is not HTTP", True, False)


def refused(status: int, answer: Json) -> Problem:
    """Return the `Problem` for an HTTP status, or an unreadable answer, that ends a request.

    Its exit code is 3 where the service said no, and 4 where it may say yes at another time.
    """
    if status < 300:
        return Problem("service", f"HTTP {status}: the answer is unreadable", "Try again later.", 4)
    if status < 400:
        hint = "Set DASHSCOPE_BASE_URL to where the service is: the API key does not follow."
        return Problem("service", f"HTTP {status}: it redirects elsewhere", hint, 3)
    return refusal("service", f"HTTP {status}", answer, 4 if status == 429 or status >= 500 else 3)


def deliver(service: Service, path: str, body: Json, undo: Callable[[], None]) -> Json:
    """Return the service's answer to `body`; raises `Problem` when there is none.

    What the service certainly did not take is sent again for a while, and a detection, which makes
    nothing, in any case. `undo` is called when it is certain at the end that nothing was taken.
    """
    started = monotonic()
    pause: float | None
    for pause in (*PAUSES, None):
        wanted = None
        try:
            status, answer, wanted = ask(service, path, body, float("inf"))
        except NoAnswer as error:
            taken, again = error.reached, error.again
            hint = "Check the network, the proxy variables and DASHSCOPE_BASE_URL, and try again."
            problem = Problem("service", f"no answer: {error}", hint, 4)
        else:
            if status < 300 and readable(path, answer):
                return answer
            taken, again = status < 300 or status >= 500, status == 429
            problem = refused(status, answer)
        if path == DETECTION_PATH:
            again = problem.code == 4
        elif taken:
            problem.message += "; a task may have been made"
            problem.hint = LOOK_FIRST
        if wanted is not None and pause is not None:
            pause = wanted
        if not again or pause is None or monotonic() + pause > started + RESEND_TIME:
            break
        try:
            sleep(pause)
        except KeyboardInterrupt:
            undo()
            raise
    if not taken:
        undo()
    raise problem


def readable(path: str, answer: Json) -> bool:
    """Whether `answer` has what an answer of `path` is for: a verdict, a task, or its status."""
    output = answer.get("output")
    if not isinstance(output, dict):
        return False
    if path == DETECTION_PATH:
        return isinstance(output.get("check_pass"), bool)
    value = output.get("task_id" if path == GENERATION_PATH else "task_status")
    return isinstance(value, str) and value != ""


def video_chunks(url: str, show: Callable[[int, int], None]) -> Iterator[bytes]:
    """Yield the video at `url`, following redirects; raises `NoAnswer`. The key is not sent."""
    from http.client import HTTPException
    from urllib.parse import urljoin, urlsplit

    try:
        for _ in range(REDIRECTS + 1):
            if urlsplit(url).scheme not in ("http", "https"):
                raise NoAnswer("the link is not http or https", False, False)
            with opened(url, None, {}, float("inf"), []) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, response.headers.get("Location", ""))
                    continue
                if response.status != 200:
                    again = response.status >= 500 or response.status == 429
                    raise NoAnswer(f"HTTP {response.status}", True, again)
                total, done = response.headers.get("Content-Length", ""), 0
                for chunk in chunks_of(response):
                    done += len(chunk)
                    show(done, int(total) if total.isdigit() else 0)
                    yield chunk
                return
        raise NoAnswer("it redirects too often", True, False)
    except (OSError, HTTPException) as error:
        raise NoAnswer(str(no_answer(error)), True, True) from None
    except ValueError as error:
        raise no_answer(error) from None


# --- 7. Commands: one function each --------------------------------------------------------------


def prepare(values: Values, report: Report) -> None:
    """Check everything a generation needs and write its request."""
    answer = None
    if "detection" in values:
        if "face_bbox" in values or "ext_bbox" in values:
            message = "it gives both boxes, and a box option is there as well"
            report.error("detection", message, "Leave out --face-bbox and --ext-bbox.")
        answer = report.check(read_json, "detection", values["detection"])
    request = generation_request(values, answer, time(), report)
    path = report.check(output_path, values, "request.json")
    if report.errors or not request or not path:
        return
    ratio = ratio_of(request["input"]["ext_bbox"]) or ""
    keep(path, request, values, report)
    report.facts.update(
        model=request["model"],
        ratio=ratio,
        video_size=VIDEO_SIZES[ratio],
        style_level=request["parameters"]["style_level"],
        face_bbox=request["input"]["face_bbox"],
        ext_bbox=request["input"]["ext_bbox"],
    )


def detect(values: Values, report: Report) -> None:
    """Check everything a detection needs and write its request."""
    request = detection_request(values, time(), report)
    path = report.check(output_path, values, "detect_request.json")
    if not request or not path:
        return
    ratio = request["parameters"]["ratio"]
    keep(path, request, values, report)
    report.facts.update(model=request["model"], ratio=ratio, video_size=VIDEO_SIZES[ratio])


def output_path(values: Values, name: str) -> str:
    """Return the file to write, by default `name` among the evidence; raises `Problem`."""
    path = values.get("output", evidence_path(name))
    if path == "-":
        raise Problem("output", "'-' is not a file", "--dry-run prints the request on stdout.")
    return check_given("output", path, "the file to write, or leave --output out")


def keep(path: str, request: Json, values: Values, report: Report) -> None:
    """Write `request`, or only make sure of the path for --dry-run; raises `OSError`."""
    if "dry_run" in values:
        check_writable(path)
        report.facts.update(request_path=None, request=request)
    else:
        write_json(path, request)
        report.facts.update(request_path=path)


def submit(values: Values, report: Report) -> None:
    """Send a prepared request, and keep what the service answers."""
    body = report.check(read_json, "file", values.get("file", evidence_path("request.json")))
    request = request_of(body, time(), report) if body else None
    service = settings(report)
    # Without a clock, so that a link that has expired since does not hide the task it made.
    lasting = request_of(body, float("-inf"), Report()) if body else None
    if lasting and "audio_url" in lasting["input"]:
        submit_generation(lasting, service, "again" in values, report)
    elif request and service and not report.errors:
        submit_detection(request, service, report)


def submit_detection(request: Json, service: Service, report: Report) -> None:
    """Send a detection, keep its answer in detection.json and tell its boxes."""
    path = evidence_path("detection.json")
    check_writable(path)  # before it is billed
    answer = deliver(service, DETECTION_PATH, request, lambda: None)
    output = answer["output"]
    record = {"saved_at": timestamp(), "request": request, "response": answer}
    report.facts.update(detection_path=path, check_pass=output.get("check_pass"))
    write_json(path, record)
    if output.get("check_pass") is not True:
        said = {**output, **{k: v for k, v in answer.items() if k == "request_id"}}
        raise refusal("service", "the portrait did not pass", said, 3, PORTRAIT_REMEDY)
    boxes = check_detection(record, None, report)
    if report.errors or not boxes:
        for problem in report.errors:
            problem.code = 3
        return
    face_bbox, ext_bbox = boxes
    report.facts.update(face_bbox=face_bbox, ext_bbox=ext_bbox, ratio=ratio_of(ext_bbox))


def submit_generation(request: Json, service: Service | None, again: bool, report: Report) -> None:
    """Send a generation, unless its task is known or may exist, and keep its task in task.json.

    task.json is written ahead, so that neither a kill nor a second submit pays twice. What is wrong
    already, such as an expired link or no key, counts only when there is something to send.
    """
    path = evidence_path("task.json")
    record = {"saved_at": timestamp(), "request": request, "response": None}
    with Holding():
        earlier = kept("task.json")
        known = known_task(earlier, request) if earlier is not None and not again else None
        if known:
            report.errors.clear()
            report.warnings.clear()
            report.facts.update(task_path=path, **known, already_submitted=True)
            return
        if report.errors or not service:
            return
        moves = set_aside(earlier)
        try:
            create_record(record)
        except FileExistsError:  # where there are no locks, another one was faster
            raise may_exist(record) from None
        except OSError:
            put_back(moves)
            raise

    def undo() -> None:
        with Holding():
            if kept("task.json") == record:  # not another's, who was told to do it --again
                if earlier is None:
                    os.unlink(path)
                put_back(moves)

    answer = deliver(service, GENERATION_PATH, request, undo)
    output = answer["output"]
    task_id, status = output["task_id"], output.get("task_status")
    report.facts.update(
        task_path=path, task_id=task_id, task_status=status, already_submitted=False
    )
    try:
        with Holding():
            if kept("task.json") != record:
                report.facts["task_path"] = path = evidence_path(f"task{suffix(task_id)}.json")
            write_json(path, {**record, "saved_at": timestamp(), "response": answer}, sync=True)
    except OSError as error:
        shown_id = printable(task_id, 200)
        message = f"task {shown_id} was made, and {shown(path)} cannot be written: {error.strerror}"
        raise Problem(
            "output", message, f"Keep the id, make room, then: wait {shown_id}", 1
        ) from None


def known_task(record: Json, request: Json) -> Json | None:
    """Return `task_id` and `task_status` of the `record`, if it is a task for `request` still.

    None when the task is for another request, has failed, was cancelled or has expired. Raises
    `Problem` for a record without an answer, of a task that may exist.
    """
    task_id = task_of(record)
    if not task_id:
        raise may_exist(record)
    if record.get("request") != request:
        return None
    sent = instant(str(record.get("saved_at")))
    if sent is not None and sent + TASK_LIFETIME <= time():
        return None
    answer, _ = kept_answer(task_id)
    status = (answer or record["response"]["output"]).get("task_status")
    return None if status in FAILED else {"task_id": task_id, "task_status": status}


def may_exist(record: Json) -> Problem:
    """Return the `Problem` of a record without an answer."""
    sent = printable(str(record.get("saved_at", "an unknown time")), 40)
    message = f"a request was sent at {sent} and its answer is not known: a task may exist"
    return Problem("service", message, LOOK_FIRST, 4)


def task_of(record: Json) -> str:
    """Return the id of the task in a `record`, or ""."""
    response = record.get("response")
    output = response.get("output") if isinstance(response, dict) else None
    task_id = output.get("task_id") if isinstance(output, dict) else None
    return task_id if isinstance(task_id, str) else ""


def kept_answer(task_id: str) -> tuple[Json | None, str]:
    """Return the kept normalized answer about a task, or None, and the suffix of its files."""
    for ending in ("", suffix(task_id)):
        answer = kept(f"response{ending}.json")
        if answer and answer.get("task_id") == task_id:
            return answer, ending
    return None, ""


def set_aside(record: Json | None) -> Moves:
    """Rename the files of the task that gives way to another; return which, and their suffix."""
    moves: Moves = []
    unnamed = "unanswered-" + re.sub("[^0-9]", "", str((record or {}).get("saved_at")))
    task_id = task_of(record or {}) or unnamed
    answer = kept("response.json")
    if record is not None:
        moves.append((TASK_FILES, suffix(task_id)))
    if answer is not None:
        moves.append((ANSWER_FILES, suffix(answer.get("task_id") or task_id)))
    for names, ending in moves:
        rename_files(names, "", ending)
    return moves


def put_back(moves: Moves) -> None:
    for names, ending in moves:
        rename_files(names, ending, "")


def wait(values: Values, report: Report) -> None:
    """Poll a task until it ends, and bring its video home."""
    interval = report.check(
        check_seconds, "interval", values.get("interval", "5"), SHORTEST_INTERVAL
    )
    timeout = report.check(check_seconds, "timeout", values.get("timeout", "1800"), 0)
    task_id = report.check(wanted_task, values.get("task_id"))
    if task_id and not report.errors and answer_from_disk(task_id, report):
        return
    service = settings(report)
    if interval is None or timeout is None or not task_id or not service or report.errors:
        return
    check_writable(evidence_path("response.json"))
    tell_task({"task_id": task_id, "task_status": None}, None, report)
    progress = Progress()
    try:
        answer = poll(task_id, service, interval, timeout, report, progress)
        if answer["task_status"] != "SUCCEEDED":
            raise ended(answer)
        if "no_download" not in values:
            save_video(answer, report, progress)
    finally:
        progress.end()


def ended(answer: Json) -> Problem:
    """Return the `Problem` of a task that ended without a video."""
    if answer["task_status"] == GONE:
        hint = "Check the id and whose key it is; tasks are forgotten after 24 hours."
        return Problem("service", "the service knows no such task", hint, 3)
    return refusal("service", f"the task ended as {answer['task_status']}", answer, 3)


def save_video(answer: Json, report: Report, progress: Progress) -> None:
    """Download the video of a finished task beside response.json, and note it there."""
    if not isinstance(answer.get("video_url"), str):
        message = "the task has finished, and the answer has no video_url"
        raise Problem("service", message, "Run wait again; the answer is in polls.jsonl.", 4)
    path = evidence_path("video.mp4")
    download(answer["video_url"], path, progress)
    keep_answer({**answer, "video_path": path}, report)


def wanted_task(given: str | None) -> str:
    """Return the id that was `given`, or else of the task in task.json; raises `Problem`."""
    if given is not None:
        return check_task_id(given)
    record = kept("task.json")
    if record is None:
        message = f"there is no {shown(evidence_path('task.json'))}"
        raise Problem("task_id", message, "Run submit first, or give the task's id.")
    task_id = task_of(record)
    if not task_id:
        message = "task.json has no answer of the service, so no id: a task may exist"
        raise Problem("task_id", message, LOOK_FIRST, 4)
    return check_task_id(task_id)


def answer_from_disk(task_id: str, report: Report) -> bool:
    """Tell what is kept of a task that has ended, its video saved; the service forgets it."""
    answer, ending = kept_answer(task_id)
    if not answer or answer.get("task_status") not in FINISHED:
        return False
    saved = os.path.isfile(evidence_path(f"video{ending}.mp4")) and "video_path" in answer
    if answer["task_status"] == "SUCCEEDED" and not saved:
        return False
    tell_task(answer, evidence_path(f"response{ending}.json"), report)
    if answer["task_status"] in FAILED:
        raise ended(answer)
    return True


def tell_task(answer: Json, path: str | None, report: Report) -> None:
    report.facts.update(
        task_id=answer["task_id"],
        task_status=answer["task_status"],
        video_url=answer.get("video_url"),
        video_path=answer.get("video_path"),
        response_path=path,
    )


def poll(
    task_id: str,
    service: Service,
    interval: float,
    timeout: float,
    report: Report,
    progress: Progress,
) -> Json:
    """Return the normalized answer when the task has ended or is gone, keeping all on the way.

    Polls that fail are waited out with growing pauses. Raises `Problem` when the time is over.
    """
    from urllib.parse import quote

    path = TASK_PATH + quote(task_id, safe="")
    started = monotonic()
    pause, answered = interval, False
    while True:
        elapsed = monotonic() - started
        wanted = None
        try:
            left = max(timeout - elapsed, SHORTEST_INTERVAL) if timeout else float("inf")
            status, document, wanted = ask(service, path, None, left)
        except NoAnswer as error:
            trouble = f"no answer: {error}"
        else:
            if document:
                append_snapshot(document)
            if 300 <= status < 500 and status != 429:
                raise refused(status, document)
            usable = status < 300 and readable(TASK_PATH, document)
            trouble = "" if usable else f"HTTP {status}, not to be read as a status"
        elapsed = monotonic() - started
        if trouble:
            progress.show(f"{trouble}; waiting", f", {elapsed:.0f} s")
            pause = min(pause * 2, max(LONGEST_PAUSE, interval))
            if wanted is not None:
                pause = max(interval, wanted)
        else:
            answered, pause = True, interval
            answer = task_answer(task_id, document)
            keep_answer(answer, report)
            word = answer["task_status"]
            progress.show(printable(word, 40), f", {elapsed:.0f} s")
            if word in FINISHED or word == GONE:
                return answer
            if word not in UNFINISHED and not report.warnings:
                message = f"{shown(word)} is a status that is not known; taken as not finished"
                report.warn("service", message, "Look at references/api.md.")
        if elapsed + pause >= timeout:
            if answered:
                hint = "Run wait again: it goes on where it was."
                message = f"the task has not ended within {timeout:g} seconds"
                raise Problem("service", message, hint, 5)
            raise Problem("service", trouble, "Run wait again; check the network and proxies.", 4)
        sleep(pause)


def keep_answer(answer: Json, report: Report) -> None:
    """Keep the normalized `answer` about a task in response.json, and tell it."""
    path = evidence_path("response.json")
    with Holding():
        other = kept("response.json")
        if other is not None and other.get("task_id") != answer["task_id"]:
            rename_files(ANSWER_FILES, "", suffix(other.get("task_id") or "unknown"))
        write_json(path, answer)
    tell_task(answer, path, report)


def download(url: str, path: str, progress: Progress) -> None:
    """Save the video at `url` as `path`, whole or not at all; raises `Problem`."""

    def show(done: int, total: int) -> None:
        of = f" of {total / 1e6:.1f}" if total else ""
        progress.show("downloading", f" {done / 1e6:.1f}{of} MB")

    for tried in range(1, DOWNLOADS + 1):
        try:
            return replace_file(path, video_chunks(url, show))
        except NoAnswer as error:
            if tried == DOWNLOADS or not error.again:
                message = f"the video could not be downloaded: {error}"
                hint = "Run wait again; until then response.json has the link, for 24 hours."
                raise Problem("service", message, hint, 4) from None
        sleep(PAUSES[tried - 1])
    return None


class Progress:
    """What `wait` shows on stderr: at a terminal one line that changes, else one per change."""

    def __init__(self) -> None:
        self.last = ""

    def show(self, what: str, detail: str) -> None:
        """Show `what` goes on, with a `detail` that changes all the time."""
        if sys.stderr is None or (what == self.last and not sys.stderr.isatty()):
            return
        self.last = what
        try:
            if sys.stderr.isatty():
                print(f"\r{what}{detail}".ljust(79), end="", file=sys.stderr, flush=True)
            else:
                print(what, file=sys.stderr, flush=True)
        except OSError:
            return  # nobody looks

    def end(self) -> None:
        if self.last and sys.stderr.isatty():
            print(file=sys.stderr)


# --- 8. Command line -----------------------------------------------------------------------------

COMMANDS = {  # name: function, what it does, an example
    "prepare": (
        prepare,
        "check links and boxes, write the request of a video (the default command)",
        "--image-url https://example.com/portrait.png \\\n"
        "    --audio-url https://example.com/speech.mp3 \\\n"
        "    --face-bbox 302,286,610,593 --ext-bbox 71,9,840,778 --style-level active",
    ),
    "detect": (
        detect,
        "check the picture's link, write the request of its boxes",
        "detect --image-url https://example.com/portrait.png --ratio 3:4",
    ),
    "submit": (
        submit,
        "send a prepared request; that of a video costs money, and is not sent twice",
        "submit output/aliyun-emo/detect_request.json",
    ),
    "wait": (
        wait,
        "poll the task until it ends, and save its video",
        "wait --timeout 900",
    ),
}
OPTIONS = {  # field: commands, metavar ("" for a flag), help
    "file": ("submit", "FILE", "the prepared request (default: request.json); - is stdin"),
    "task_id": ("wait", "TASK_ID", "the task (default: the one in task.json)"),
    "image_url": ("prepare detect", "URL", "the portrait: jpg, jpeg, png, bmp or webp"),
    "audio_url": ("prepare", "URL", "the speech: wav or mp3, < 15 MB, < 60 s"),
    "face_bbox": ("prepare", "X1,Y1,X2,Y2", "the face, from the detection answer"),
    "ext_bbox": ("prepare", "X1,Y1,X2,Y2", "the region that moves, from the same answer"),
    "detection": ("prepare", "FILE", "take both boxes from a saved detection answer; - is stdin"),
    "style_level": ("prepare", "LEVEL", "normal (the default), calm or active"),
    "ratio": ("detect", "RATIO", "1:1 for a head shot (the default), 3:4 for half body"),
    "model": ("prepare detect", "NAME", "the model of a dedicated deployment"),
    "output": ("prepare detect", "FILE", "write this file, not one in $OUTPUT_DIR/aliyun-emo"),
    "dry_run": ("prepare detect", "", "only check"),
    "again": ("submit", "", "pay for another task, whatever became of the one before"),
    "interval": ("wait", "SECONDS", "between two polls (default: 5)"),
    "timeout": ("wait", "SECONDS", "until it gives up (default: 1800); 0 asks once"),
    "no_download": ("wait", "", "leave the video where it is, for 24 hours"),
}
POSITIONALS = ("file", "task_id")
EXIT_CODES = """exit codes:
  0  done (with --dry-run: would be)
  1  the file system refused: no permission, disk full, the path is a folder
  2  the input is wrong; nothing was written or sent
  3  the service said no: request refused, portrait not passed, task failed or unknown
  4  the service could not be reached, or what happened is not known
  5  the task has not ended within --timeout: run wait again
  130  interrupted"""


class Parser(argparse.ArgumentParser):
    """argparse, but what it finds wrong is a `Problem` like any other."""

    def error(self, message: str) -> NoReturn:
        raise Problem("arguments", printable(message, 200), f"See {self.prog} --help.")


def build_parser(command: str, fields: Sequence[str]) -> Parser:
    """Return the parser of `command`, whose options give `fields`."""
    commands = "\n".join(f"  {name:9}{what}" for name, (_, what, _) in COMMANDS.items())
    sizes = ", ".join(f"{ratio} gives {size}" for ratio, size in VIDEO_SIZES.items())
    _, what, example = COMMANDS[command]
    words = ["[prepare]" if command == "prepare" else command, "[options]"]
    words += [f"[{OPTIONS[field][1]}]" for field in fields if field in POSITIONALS]
    parser = Parser(
        usage=f"%(prog)s {' '.join(words)}",
        description=f"{what[0].upper()}{what[1:]}.\n\ncommands:\n{commands}",
        epilog=f"video size by ratio: {sizes}\n\nexample:\n  %(prog)s {example}\n\n{EXIT_CODES}",
        # Without a width argparse asks shutil for it, at every option, and that imports a lot.
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, width=96),
        allow_abbrev=False,
    )
    for field in fields:
        _, metavar, text = OPTIONS[field]
        if field in POSITIONALS:
            parser.add_argument(field, metavar=metavar, nargs="?", help=text)
        elif metavar:
            parser.add_argument(option(field), metavar=metavar, help=text)
        else:
            parser.add_argument(option(field), action="store_true", default=None, help=text)
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    return parser


def parse(arguments: Sequence[str], report: Report) -> tuple[str, Values]:
    """Return the command and the values of its options, stripped of white space around them.

    Raises `Problem` when there is no such command, and `SystemExit` after --help and --version.
    """
    command = "prepare"
    if arguments and not arguments[0].startswith("-"):
        command, *arguments = arguments
    if command not in COMMANDS:
        hint = f"The first word is {' or '.join(COMMANDS)}, or an option: see --help."
        raise Problem("arguments", f"{shown(command)} is not a command", hint)
    fields = [field for field, (commands, _, _) in OPTIONS.items() if command in commands]
    report.options = [field for field in fields if field not in POSITIONALS]
    words = attached(arguments, report)
    parsed_words, unknown = build_parser(command, fields).parse_known_args(words)
    report_unknown(unknown, report)
    values = {
        field: str(value).strip()
        for field, value in vars(parsed_words).items()
        if value is not None
    }
    return command, values


def attached(arguments: Sequence[str], report: Report) -> list[str]:
    """Return `arguments` with options and their values as one word, "--name=value".

    So a value may begin with a minus sign, and one that is missing is empty: both are for the
    field's own check, and argparse, which stops at the first thing it finds wrong, finds nothing.
    """
    fields = {option(field): field for field in report.options}
    words: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, _ = word.partition("=")
        takes_value = name in fields and OPTIONS[fields[name]][1] != ""
        if takes_value and not equals:
            after = waiting[0] if waiting else "-h"
            is_option = after == "-h" or (after.startswith("--") and after[2:3].isalpha())
            word += "=" + ("" if is_option else waiting.pop(0))
        elif name in fields and equals and not takes_value:
            report.error(fields[name], "takes no value", f"Write {name} alone.")
            continue
        words.append(word)
    return words


def report_unknown(words: Sequence[str], report: Report) -> None:
    """Report the `words` that no option takes: options, or else what belongs to none.

    What follows an unknown option may be its value, and a secret, so it is not shown.
    """
    names = [option(field) for field in report.options]
    for word in [word for word in words if word.startswith("-")] or words:
        import difflib

        name = word.partition("=")[0]
        close = difflib.get_close_matches(name.lower().replace("_", "-"), names, 1)
        hint = f"Did you mean {close[0]}?" if close else f"The options are {', '.join(names)}."
        report.error("arguments", f"{shown(name)} is not an option here", hint)


def run(arguments: Sequence[str], report: Report) -> tuple[int, Json]:
    """Carry out a command line; return the exit code and the line for stdout."""
    try:
        command, values = parse(arguments, report)
        COMMANDS[command][0](values, report)
    except Problem as problem:
        report.errors.append(problem)
    except OSError as error:
        message = f"{shown(str(error.filename))} cannot be written: {error.strerror}"
        hint = "Make room, ask for permission, or choose another place (--output, OUTPUT_DIR)."
        report.errors.append(Problem("output", message, hint, 1))
    except KeyboardInterrupt:
        hint = "Everything so far is on disk: run the same command again to go on."
        report.errors.append(Problem("arguments", "interrupted", hint, 130))
    if report.errors:
        errors = as_json(report.errors)
        return max(p.code for p in report.errors), {"ok": False, "errors": errors, **report.facts}
    return 0, {"ok": True, **report.facts, "warnings": as_json(report.warnings)}


def as_json(found: Sequence[Problem]) -> list[Values]:
    return [{"field": p.field, "message": p.message, "hint": p.hint} for p in found]


def tell(report: Report) -> None:
    """Write what was found to stderr, a line each, for people."""
    for p in report.errors or report.warnings:
        kind = "error" if report.errors else "warning"
        label = option(p.field) if p.field in report.options else p.field
        stop = "" if p.message.endswith(("?", ".")) else "."
        print(f"{kind}: {label}: {p.message}{stop} {p.hint}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default this process's; return the exit code."""
    report = Report()
    try:
        try:
            code, line = run(sys.argv[1:] if argv is None else argv, report)
            print(json.dumps(line))
        except SystemExit as done:  # argparse has printed --help or --version
            code = int(done.code or 0)
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        message = f"stdout cannot be written: {error.strerror}"
        report.error("arguments", message, "Give it a reader, or room.")
        code = 1
    if sys.stderr:  # without one, print() would take stdout
        try:
            tell(report)
        except OSError:
            return code  # nobody reads stderr, but stdout has said it all
    return code


def script() -> NoReturn:
    """Run this process's command line and end the process."""
    code = main()
    os._exit(code)  # all is written by now, and Python's clean-up takes longer than the work did


if __name__ == "__main__":
    script()
