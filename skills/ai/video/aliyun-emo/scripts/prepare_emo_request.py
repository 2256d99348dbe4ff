#!/usr/bin/env python3
"""Prepare requests for the talking-head model EMO of Alibaba Cloud Model Studio.

    $ python3 prepare_emo_request.py \\
        --image-url https://example.com/portrait.png \\
        --audio-url https://example.com/speech.mp3 \\
        --face-bbox 302,286,610,593 --ext-bbox 71,9,840,778 --style-level active
    {"ok": true, "request_path": "output/aliyun-emo/request.json", "model": "emo-v1", ...}

What the service would refuse is refused here, all of it at once, and nothing is written:

    $ python3 prepare_emo_request.py --image-url oss://bucket/portrait.png ...
    error: --image-url: 'oss://bucket/portrait.png' is not an http or https link. ...
    {"ok": false, "errors": [{"field": "image_url", "message": "...", "hint": "..."}]}

Stdout is one line of JSON, stderr the same for people. Exit codes: 0 written, 1 the file system
refused, 2 the input is wrong. Nothing here opens a socket.
"""

from __future__ import annotations

import argparse
import errno
import functools
import json
import os
import re
import sys
import time

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn, TypeVar

    Value = TypeVar("Value")

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
NOT_PUBLIC_IPV4 = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
    " 224.0.0.0/4 240.0.0.0/4"
).split()
PUBLIC_IPV6 = "2000::/3"
NOT_PUBLIC_IPV6 = "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split()
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

MAX_JSON = 1024 * 1024  # bytes of a file that is read

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
PORTRAIT_REMEDY = "Use a clear photo of one person who faces the camera, and detect again."

# --- 2. Problems: what can be wrong, in the user's words ----------------------------------------


class Problem(Exception):
    """One thing the user can mend: the `field` it is about, what is wrong, and what to do."""

    def __init__(self, field: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.field, self.message, self.hint = field, message, hint


class Problems:
    """All that was found on the way: `errors` forbid the request, `warnings` do not."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

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
    if text and text.isascii():
        return text
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
    if check_given(field, text, wanted) in choices:
        return str(text)
    raise Problem(field, f"{shown(str(text))} is not known", f"Give {wanted}.")


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


# Boxes: [x1, y1, x2, y2], whole pixels of the original image, top-left and bottom-right corner.


def parse_box(field: str, text: str | None) -> list[int]:
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
    face_text: str | None, ext_text: str | None, problems: Problems
) -> tuple[list[int], list[int]] | None:
    """Return `face_bbox` and `ext_bbox`, or None when one of them is not a box."""
    face_bbox = problems.check(parse_box, "face_bbox", face_text)
    ext_bbox = problems.check(parse_box, "ext_bbox", ext_text)
    if ext_bbox and not ratio_of(ext_bbox):
        from math import gcd

        width, height = size_of(ext_bbox)
        its = f"{width // gcd(width, height)}:{height // gcd(width, height)}"
        message = f"{width}x{height} is {its}; the service takes {' or '.join(VIDEO_SIZES)}"
        hint = "Copy ext_bbox from the detection answer unchanged."
        problems.error("ext_bbox", message, hint)
    if not face_bbox or not ext_bbox:
        return None
    hint = "Copy both boxes from one detection answer unchanged."
    shared = [*map(max, face_bbox[:2], ext_bbox[:2]), *map(min, face_bbox[2:], ext_bbox[2:])]
    if shared[0] >= shared[2] or shared[1] >= shared[3]:
        message = "the face box and ext_bbox are apart; in every answer it lies inside"
        problems.error("face_bbox", message, hint)
    elif shared == ext_bbox:
        message = "the face box contains ext_bbox; in every answer it lies inside: swapped?"
        problems.error("face_bbox", message, hint)
    elif shared != face_bbox:
        problems.warn("face_bbox", "the face box sticks out of ext_bbox", hint)
    return face_bbox, ext_bbox


# Links: `image_url` and `audio_url`, which the service downloads from the public internet.


def check_link(field: str, text: str | None, now: float, problems: Problems) -> str | None:
    """Return the normalized link, or None when something is wrong with it.

    `now` is in seconds since 1970. Path and query of a plain ASCII link stay byte for byte, since
    a signature covers them.
    """
    before = len(problems.errors)
    text = problems.check(check_given, field, text, f"{option(field)} URL, a public link")
    link = problems.check(split_link, field, text) if text else None
    if not text or not link:
        return None
    scheme, userinfo, host, port, path, query, fragment = link
    found = re.search(NOT_IN_A_LINK, text)
    if found:
        control = "a backslash" if found[0] == "\\" else "a control character"
        name = "white space" if found[0].isspace() else control
        message = f"{shown(text)} has {name}, U+{ord(found[0]):04X}, in it"
        problems.error(field, message, "Copy the link anew; a space of a file's name is %20.")
    if userinfo:
        message = f"{shown(text)} has a user name or password before the host"
        problems.error(field, message, "Give a link that works without, for example a signed one.")
    public_host = problems.check(check_host, field, host)
    if port and not (re.fullmatch(":[0-9]{1,5}", port) and 0 < int(port[1:]) < 65536):
        message = "the port is not a number from 1 to 65535"
        problems.error(field, message, "Correct it, or leave it out with its colon.")
    bad_escape = re.search("%(?![0-9A-Fa-f]{2}).{0,2}", path) if "%" in path else None
    if bad_escape:
        message = f"the path has a bad percent escape, {shown(bad_escape[0])}"
        problems.error(field, message, "Write a percent sign of a file's name as %25.")
    problems.check(check_format, field, path)
    expiry = expiry_of(query) if query else None
    if expiry is not None and expiry <= now:
        problems.error(field, f"the link expired at {utc(expiry)}", "Sign it anew.")
    elif expiry is not None and expiry <= now + SOON:
        message = f"the link expires at {utc(expiry)}; the service may fetch it later than that"
        problems.warn(field, message, "Sign it anew, for a day.")
    if fragment:
        message = "the part from # on was dropped: no server ever gets it"
        problems.warn(field, message, "Write a # of a file's name as %23.")
    if len(problems.errors) > before:
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
    too_long = Problem(field, "the host is longer than 253 characters", "Correct the host.")
    if len(host) > 253:
        raise too_long
    name = host.lower() if host.isascii() else idna_form(field, host)
    if len(name) > 253:
        raise too_long
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
    *head, last = numbers or [-1]
    value = last + sum(number << 8 * (3 - place) for place, number in enumerate(head))
    if (
        len(numbers) != len(labels)
        or len(labels) > 4
        or any(number > 255 for number in head)
        or not 0 <= last < 256 ** (4 - len(head))
    ):
        message = f"the host {shown(host)} ends in a number and is no IPv4 address"
        raise Problem(field, message, "Check the link.")
    import ipaddress

    address = ipaddress.IPv4Address(value)
    if any(address in ipaddress.IPv4Network(block) for block in NOT_PUBLIC_IPV4):
        raise not_public(field, host, f"is the address {address}, which is not public")
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
    if address not in ipaddress.IPv6Network(PUBLIC_IPV6) or any(
        address in ipaddress.IPv6Network(block) for block in NOT_PUBLIC_IPV6
    ):
        raise not_public(field, host, f"is the address {address}, which is not public")
    return host.lower()


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

    values: dict[str, str] = {}
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
    time_of_day = r"T(\d\d):?(\d\d)(?::?(\d\d)(?:\.\d+)?)?Z?"
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


def escaped(text: str) -> str:
    """Return `text` with UTF-8 percent escapes for what is not ASCII, and the rest as it is."""
    if text.isascii():
        return text
    from urllib.parse import quote

    return quote(text, safe="".join(map(chr, range(128))))


# Detection answers, saved as the service gave them or with their request


def check_detection(
    saved: dict[str, Any], image_url: str | None, problems: Problems
) -> tuple[list[int], list[int]] | None:
    """Return `face_bbox` and `ext_bbox` from `saved`, or None when something is wrong with them.

    `saved` is the service's answer, or {"request": ..., "response": the answer}; then the picture
    of that request must be `image_url`, which is None when that is wrong itself.
    """
    if image_url and saved.get("request") is not None and "response" in saved:
        problems.check(check_same_image, saved["request"], image_url, problems)
    output = problems.check(passed_output, saved.get("response", saved))
    if not output:
        return None
    found = Problems()
    boxes = check_boxes(box_text(output, "face_bbox"), box_text(output, "ext_bbox"), found)
    hint = "Detect again, and keep the answer as it comes."
    for mine, its in (problems.errors, found.errors), (problems.warnings, found.warnings):
        mine += [Problem("detection", f"{p.field}: {p.message}", hint) for p in its]
    return boxes


def passed_output(answer: object) -> dict[str, Any]:
    """Return `output` of a detection answer that passed; raises `Problem`."""
    hint = "Give the answer of the detection, whole and unchanged."
    if not isinstance(answer, dict):
        raise Problem("detection", "the answer is not a JSON object", hint)
    output = answer.get("output")
    if not isinstance(output, dict):
        if "code" not in answer:
            raise Problem("detection", "the file is no detection answer: it has no output", hint)
        raise refusal("the detection failed", answer)
    if output.get("check_pass") is True:
        return output
    if output.get("check_pass") is False:
        raise refusal("the picture did not pass the detection", output)
    message = "the file is no detection answer: output.check_pass is neither true nor false"
    raise Problem("detection", message, hint)


def refusal(what: str, said: dict[str, Any]) -> Problem:
    """Return the `Problem` for the `code` and `message` with which the service said no."""
    code, message = said.get("code") or "no code", said.get("message") or "no message"
    remedy = REMEDIES.get(code, PORTRAIT_REMEDY) if isinstance(code, str) else PORTRAIT_REMEDY
    return Problem("detection", f"{what}: {service_text(code)}: {service_text(message)}", remedy)


def box_text(output: dict[str, Any], name: str) -> str | None:
    """Return the box `name` of `output` in the form of the option, so that one rule serves both."""
    box = output.get(name)
    if box is None:
        return None
    numbers = box if isinstance(box, list) else [box]
    return f"[{','.join('...' if isinstance(n, (list, dict)) else json.dumps(n) for n in numbers)}]"


def check_same_image(request: object, image_url: str, problems: Problems) -> None:
    """Raise `Problem` unless the detection's `request` has the picture of this call."""
    body = request.get("input") if isinstance(request, dict) else None
    detected = body.get("image_url") if isinstance(body, dict) else None
    if not isinstance(detected, str):
        message = "its request has no input.image_url"
        raise Problem("detection", message, "Give the file as it was saved, or the answer alone.")
    # Then as now: normalized alike, and whether that link still works does not matter any more.
    before = Problems()
    then = check_link("image_url", detected, float("-inf"), before)
    if not then or then.partition("?")[0] != image_url.partition("?")[0]:
        message = f"it is of another picture: {shown(then or 'no link')}, not {shown(image_url)}"
        raise Problem("detection", message, "Detect this picture, or give the link detected.")
    if then != image_url:
        message = "the picture's link was signed anew since: is it the same picture?"
        problems.warn("detection", message, "Detect it again if not.")


# --- 4. Requests: from values to the JSON that is sent -------------------------------------------


def detection_request(
    values: dict[str, str], now: float, problems: Problems
) -> dict[str, Any] | None:
    """Return the body of a detection (contract, section 1), or None when a value is wrong."""
    image_url = check_link("image_url", values.get("image_url"), now, problems)
    ratio = values.get("ratio", DEFAULT_RATIO)
    problems.check(check_choice, "ratio", ratio, list(VIDEO_SIZES))
    model = values.get("model", DETECTION_MODEL)
    problems.check(check_model, model, "a detection", [GENERATION_MODEL])
    if problems.errors:
        return None
    return {"model": model, "input": {"image_url": image_url}, "parameters": {"ratio": ratio}}


def generation_request(
    values: dict[str, str], saved: dict[str, Any] | None, now: float, problems: Problems
) -> dict[str, Any] | None:
    """Return the body of a generation (contract, section 2), or None when a value is wrong.

    The boxes come from `values`, or from `saved`, a detection answer, when `values` has
    `detection`; `saved` is then None if it could not be read.
    """
    image_url = check_link("image_url", values.get("image_url"), now, problems)
    audio_url = check_link("audio_url", values.get("audio_url"), now, problems)
    boxes = None
    if saved is not None:
        boxes = check_detection(saved, image_url, problems)
    elif "detection" not in values:
        boxes = check_boxes(values.get("face_bbox"), values.get("ext_bbox"), problems)
    style_level = values.get("style_level", DEFAULT_STYLE_LEVEL)
    problems.check(check_choice, "style_level", style_level, STYLE_LEVELS)
    model = values.get("model", GENERATION_MODEL)
    others = [DETECTION_MODEL, DETECTION_MODEL_ON_WIRE]
    problems.check(check_model, model, "a generation", others)
    if problems.errors or not boxes:
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


# --- 5. Files: where evidence lives, and how it is read and written ------------------------------


def evidence_path(name: str) -> str:
    """Return the path of the file `name` among the evidence."""
    return os.path.join(os.environ.get("OUTPUT_DIR") or "output", "aliyun-emo", name)


def read_json(field: str, path: str) -> dict[str, Any]:
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem`.

    UTF-8, UTF-16 or UTF-32, with or without a byte-order mark: shells write them all.
    """
    path = check_given(field, path, f"{option(field)} FILE, or - for stdin")
    name = "stdin" if path == "-" else shown(path)
    hint = "Give the file in which the service's answer was saved, or - for stdin."
    try:
        data = read_bytes(path, MAX_JSON + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or printable(str(error), 200)
        message = f"{name} cannot be read: {reason}"
        raise Problem(field, message, hint) from None
    if len(data) > MAX_JSON:
        raise Problem(field, f"{name} is larger than 1 MiB", hint)
    if not data.strip():
        raise Problem(field, f"{name} is empty", hint)
    try:
        document = json.loads(data)
    except RecursionError:
        raise Problem(field, f"{name} is nested too deep", hint) from None
    except ValueError as error:  # no JSON, no text, or a number of thousands of digits
        message = f"{name} is not JSON: {printable(str(error), 200)}"
        raise Problem(field, message, hint) from None
    if not isinstance(document, dict):
        raise Problem(field, f"{name} holds no JSON object", hint)
    return document


def read_bytes(path: str, limit: int) -> bytes:
    """Return at most `limit` bytes of the file `path`, "-" for stdin; raises `OSError`."""
    given = path != "-"
    with open(path if given else 0, "rb", closefd=given, opener=open_at_once) as file:
        if file.isatty():
            raise OSError("it is a terminal, and nothing here asks questions")
        return file.read(limit)


def open_at_once(path: str, flags: int) -> int:
    """Open as `os.open` does, without waiting for a named pipe that nobody writes to."""
    if not hasattr(os, "O_NONBLOCK"):
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def check_writable(path: str) -> str:
    """Return the real file behind `path`; raises `OSError` if it cannot be written.

    Replacing a file asks the folder alone for permission, so what `open` would respect is looked
    at here: a folder, a device (a link to /dev/null, say) and a file that is read-only.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target) or not os.path.basename(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise OSError(errno.EINVAL, "Not a regular file")
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    folder = os.path.dirname(target)
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return target


def write_json(path: str, document: object) -> None:
    """Replace the file `path` whole by `document`, making its folder; raises `OSError`.

    Whoever reads it sees the old file or the new one, whatever happens to this process.
    """
    target = check_writable(path)
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".emo-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(json.dumps(document, indent=2).encode() + b"\n")
        if os.path.exists(target):
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


# --- 7. Commands: one function each --------------------------------------------------------------


def prepare(values: dict[str, str], now: float, problems: Problems) -> dict[str, Any] | None:
    """Check everything a generation needs and write its request; return the line for stdout."""
    answer = None
    if "detection" in values:
        if "face_bbox" in values or "ext_bbox" in values:
            message = "it gives both boxes, and a box option is there as well"
            hint = "Leave out --face-bbox and --ext-bbox."
            problems.error("detection", message, hint)
        answer = problems.check(read_json, "detection", values["detection"])
    request = generation_request(values, answer, now, problems)
    path = problems.check(output_path, values, "request.json")
    if problems.errors or not request or not path:
        return None
    ratio = ratio_of(request["input"]["ext_bbox"]) or ""
    return {
        **keep(path, request, values),
        "model": request["model"],
        "ratio": ratio,
        "video_size": VIDEO_SIZES[ratio],
        "style_level": request["parameters"]["style_level"],
        "face_bbox": request["input"]["face_bbox"],
        "ext_bbox": request["input"]["ext_bbox"],
    }


def detect(values: dict[str, str], now: float, problems: Problems) -> dict[str, Any] | None:
    """Check everything a detection needs and write its request; return the line for stdout."""
    request = detection_request(values, now, problems)
    path = problems.check(output_path, values, "detect_request.json")
    if not request or not path:
        return None
    ratio = request["parameters"]["ratio"]
    return {
        **keep(path, request, values),
        "model": request["model"],
        "ratio": ratio,
        "video_size": VIDEO_SIZES[ratio],
    }


def output_path(values: dict[str, str], name: str) -> str:
    """Return the file to write, by default `name` among the evidence; raises `Problem`."""
    path = values.get("output", evidence_path(name))
    if path == "-":
        raise Problem("output", "'-' is not a file", "--dry-run prints the request on stdout.")
    return check_given("output", path, "the file to write, or leave --output out")


def keep(path: str, request: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """Write `request`, or only make sure of the path for --dry-run; raises `OSError`."""
    try:
        if "dry_run" in values:
            check_writable(path)
            return {"request_path": None, "request": request}
        write_json(path, request)
    except OSError as error:
        error.filename = path  # what was asked for, not the folder or temporary file on the way
        raise
    return {"request_path": path}


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
}
OPTIONS = {  # field: commands, metavar, help
    "image_url": ("prepare detect", "URL", "the portrait: jpg, jpeg, png, bmp or webp"),
    "audio_url": ("prepare", "URL", "the speech: wav or mp3, < 15 MB, < 60 s"),
    "face_bbox": ("prepare", "X1,Y1,X2,Y2", "the face, from the detection answer"),
    "ext_bbox": ("prepare", "X1,Y1,X2,Y2", "the region that moves, from the same answer"),
    "detection": ("prepare", "FILE", "take both boxes from a saved detection answer; - is stdin"),
    "style_level": ("prepare", "LEVEL", "normal (the default), calm or active"),
    "ratio": ("detect", "RATIO", "1:1 for a head shot (the default), 3:4 for half body"),
    "model": ("prepare detect", "NAME", "the model of a dedicated deployment"),
    "output": ("prepare detect", "FILE", "write this file, not one in $OUTPUT_DIR/aliyun-emo"),
}
EXIT_CODES = """exit codes:
  0  written (with --dry-run: would be)
  1  the file system refused: no permission, disk full, the path is a folder
  2  the input is wrong; nothing was written"""


class Parser(argparse.ArgumentParser):
    """argparse, but what it finds wrong is a `Problem` like any other."""

    def error(self, message: str) -> NoReturn:
        raise Problem("arguments", printable(message, 200), f"See {self.prog} --help.")


def build_parser(command: str, fields: Sequence[str]) -> Parser:
    """Return the parser of `command`, whose options give `fields`."""
    commands = "\n".join(f"  {name:9}{what}" for name, (_, what, _) in COMMANDS.items())
    sizes = ", ".join(f"{ratio} gives {size}" for ratio, size in VIDEO_SIZES.items())
    _, what, example = COMMANDS[command]
    parser = Parser(
        usage=f"%(prog)s {'[prepare]' if command == 'prepare' else command} [options]",
        description=f"{what[0].upper()}{what[1:]}.\n\ncommands:\n{commands}",
        epilog=f"video size by ratio: {sizes}\n\nexample:\n  %(prog)s {example}\n\n{EXIT_CODES}",
        # Without a width argparse asks shutil for it, at every option, and that imports a lot.
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, width=96),
        allow_abbrev=False,
    )
    for field in fields:
        _, metavar, text = OPTIONS[field]
        parser.add_argument(option(field), metavar=metavar, help=text)
    parser.add_argument("--dry-run", action="store_true", default=None, help="only check")
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    return parser


def parse(arguments: Sequence[str], problems: Problems) -> tuple[str, dict[str, str]]:
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
    names = [option(field) for field in fields]
    words = attached(arguments, names, problems)
    parsed, unknown = build_parser(command, fields).parse_known_args(words)
    report_unknown(unknown, [*names, "--dry-run"], problems)
    values = {
        field: str(value).strip() for field, value in vars(parsed).items() if value is not None
    }
    return command, values


def attached(arguments: Sequence[str], names: Sequence[str], problems: Problems) -> list[str]:
    """Return `arguments` with the options `names` and their values as one word, "--name=value".

    So a value may begin with a minus sign, and one that is missing is empty: both are for the
    field's own check, and argparse, which stops at the first thing it finds wrong, finds nothing.
    """
    words: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word in names:
            after = waiting[0] if waiting else "-h"
            is_option = after == "-h" or (after.startswith("--") and after[2:3].isalpha())
            word += "=" + ("" if is_option else waiting.pop(0))
        elif word.startswith("--dry-run="):
            problems.error("dry_run", "takes no value", "Write --dry-run alone.")
            continue
        words.append(word)
    return words


def report_unknown(words: Sequence[str], names: Sequence[str], problems: Problems) -> None:
    """Report the `words` that no option takes: options, or else what belongs to none.

    What follows an unknown option may be its value, and a secret, so it is not shown.
    """
    for word in [word for word in words if word.startswith("-")] or words:
        import difflib

        name = word.partition("=")[0]
        close = difflib.get_close_matches(name.lower().replace("_", "-"), names, 1)
        hint = f"Did you mean {close[0]}?" if close else f"The options are {', '.join(names)}."
        problems.error("arguments", f"{shown(name)} is not an option here", hint)


def run(arguments: Sequence[str], problems: Problems) -> tuple[int, dict[str, Any]]:
    """Carry out a command line; return the exit code and the line for stdout."""
    result, code = None, 2
    try:
        command, values = parse(arguments, problems)
        result = COMMANDS[command][0](values, time.time(), problems)
    except Problem as problem:
        problems.errors.append(problem)
    except OSError as error:
        message = f"{shown(str(error.filename))} cannot be written: {error.strerror}"
        hint = "Make room or ask for permission, or name another file with --output."
        problems.error("output", message, hint)
        code = 1
    except KeyboardInterrupt:
        problems.error("arguments", "interrupted", "Run the command again.")
        code = 130
    if problems.errors or result is None:
        return code, {"ok": False, "errors": as_json(problems.errors)}
    return 0, {"ok": True, **result, "warnings": as_json(problems.warnings)}


def as_json(found: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"field": p.field, "message": p.message, "hint": p.hint} for p in found]


def tell(kind: str, found: Sequence[Problem]) -> None:
    """Write what was found to stderr, a line each, for people."""
    for p in found:
        label = p.field if p.field == "arguments" else option(p.field)
        stop = "" if p.message.endswith(("?", ".")) else "."
        print(f"{kind}: {label}: {p.message}{stop} {p.hint}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, by default this process's; return the exit code."""
    problems = Problems()
    try:
        try:
            code, line = run(sys.argv[1:] if argv is None else argv, problems)
            print(json.dumps(line))
        except SystemExit as done:  # argparse has printed --help or --version
            code = int(done.code or 0)
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        message = f"stdout cannot be written: {error.strerror}"
        problems.error("arguments", message, "Give it a reader, or room.")
        code = 1
    if sys.stderr:  # without one, print() would take stdout
        try:
            tell("error" if problems.errors else "warning", problems.errors or problems.warnings)
        except OSError:
            return code  # nobody reads stderr, but stdout has said it all
    return code


def script() -> NoReturn:
    """Run this process's command line and end the process."""
    code = main()
    os._exit(code)  # all is written by now, and Python's clean-up takes longer than the work did


if __name__ == "__main__":
    script()
