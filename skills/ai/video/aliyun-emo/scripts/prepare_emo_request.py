#!/usr/bin/env python3
"""Check what EMO of Alibaba Cloud Model Studio needs for a video, and write its request.

    $ python3 prepare_emo_request.py \\
        --image-url https://example.com/portrait.png \\
        --audio-url https://example.com/speech.mp3 \\
        --face-bbox 302,286,610,593 --ext-bbox 71,9,840,778 --style-level active
    {"ok": true, "request_path": "output/aliyun-emo/request.json", "model": "emo-v1", ...}

What the service would refuse is refused here, all of it at once, and nothing is written:

    $ python3 prepare_emo_request.py --image-url oss://bucket/portrait.png ...
    error: --image-url: 'oss://bucket/portrait.png' is not an http or https link but oss:. ...
    {"ok": false, "errors": [{"field": "image_url", "message": "...", "hint": "..."}]}

The boxes come from a detection, whose request is checked and written in the same way. Instead of
links there may be local files, which are looked at by emo_media.py, beside this file:

    $ python3 prepare_emo_request.py detect --image portrait.png

Nothing here opens a socket: run_emo_request.py, beside this file, runs what was prepared. Stdout is
one line of JSON, stderr the same for people; --help lists the exit codes.
"""

import argparse
import errno
import functools
import json
import os
import re
import sys
from time import gmtime, sleep, strftime, time

# Only a type checker needs these, and typing is slow to import. What names them stands in quotes:
# `from __future__ import annotations` is a module to load, and writes out every annotation.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from io import FileIO
    from typing import Any, NoReturn, TypeVar

    from emo_media import NotTaken, Picture, Recording

    Value = TypeVar("Value")
    Json = dict[str, Any]  # a JSON object
    Box = list[int]  # [x1, y1, x2, y2], whole pixels of the original image
    Values = dict[str, str]  # what was given, by field
    Command = tuple[Callable[[Values, "Report"], None], str, str]
    Options = dict[str, tuple[str, str, str]]
    Program = tuple[dict[str, Command], Options, dict[int, str]]
    Files = dict[str, "LocalFile"]  # by the field of the link in whose place they are

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
MIN_SIDE, MAX_SIDE = 400, 7000  # pixels of the original image
MAX_PICTURE = 100_000_000  # bytes
# The service says "15M" and "< 60 s": between these nobody knows, and encoders pad.
BIG_RECORDING, MAX_RECORDING = 15_000_000, 15 * 1024 * 1024  # bytes
LONG_RECORDING, MAX_SECONDS = 59.9, 60.1
SHORT_RECORDING = 1  # seconds
PRICES = {"1:1": 0.08, "3:4": 0.16}  # CNY a second of video
PRICES_OF = "2026-05-30"  # when they were read

FORMATS = {"image_url": "jpg jpeg png bmp webp".split(), "audio_url": "wav mp3".split()}
# Extensions that name a medium the service does not take, by the field they were meant for.
OTHER_FORMATS = {
    "image_url": "gif tif tiff svg heic heif avif jfif jxl ico psd eps".split(),
    "audio_url": "m4a flac ogg oga opus aac wma amr aif aiff mid midi caf".split(),
    "": "mp4 m4v mov avi mkv webm wmv flv mpg mpeg 3gp ogv pdf".split(),
}
ALL_FORMATS = (*FORMATS.values(), *OTHER_FORMATS.values())
KINDS = {"image_url": "picture", "audio_url": "recording"}
LOCAL = {"image_url": "image", "audio_url": "audio"}  # the field of a local file in a link's place

# What makes a picture of another format, or of a film, one that is taken, while it is fetched:
# Alibaba OSS and Volcano TOS; Qiniu and Tencent COS.
CONVERSION = (
    "(^|[&|])(x-(oss|tos|image)-process=(image/([^&]*/)?format,|video/snapshot,([^&]*,)?f_)"
    "|image(Mogr2|View2)/([^&]*/)?format/)(jpg|jpeg|png|bmp|webp)(?![a-z0-9])"
)
# Pages that show a file to people, by host: the path, what in a query gives the file itself.
FORGE = ("/[^/]+/[^/]+/blob/", "raw=true", "Give the raw link, behind Raw or Download there.")
DRIVE = ("/", "", "Upload the file, for example to OSS, and give its public link.")
PAGES = {
    **dict.fromkeys(("github.com", "gitee.com", "huggingface.co"), FORGE),
    **dict.fromkeys(("pan.baidu.com", "www.alipan.com", "www.aliyundrive.com", "1drv.ms"), DRIVE),
    "drive.google.com": ("/(u/[0-9]+/)?file/", *DRIVE[1:]),
    "onedrive.live.com": ("/(?!download)", *DRIVE[1:]),
    "www.dropbox.com": ("/", "dl=1|raw=1", "End the link with dl=1."),
}

SOON = 3600  # seconds: a link that expires within these may not outlive the queue
LONGEST = 7 * 86400  # seconds for which a link can be signed with a date and a length
# How a signed link shows, a row a signer: its own names; the signature and what stands beside it;
# where its end stands. "a|b" is one of two, in "a=b" the value begins as the pattern b says, x-
# names are in any case.
V4 = "x-{0}-algorithm x-{0}-credential x-{0}-date x-{0}-expires", "x-{0}-signature"
SIGNERS = (
    ("OSSAccessKeyId", "Signature Expires", "Expires"),  # Alibaba OSS: V1, V2, V4
    (
        "x-oss-signature-version=OSS2 x-oss-access-key-id",
        "x-oss-signature x-oss-expires",
        "x-oss-expires",
    ),
    (
        "x-oss-signature-version=OSS4- x-oss-credential x-oss-date",
        "x-oss-signature x-oss-expires",
        "x-oss-date x-oss-expires",
    ),
    ("AWSAccessKeyId", "Signature Expires", "Expires"),  # AWS V2
    ("Key-Pair-Id", "Signature Expires|Policy", "Expires"),  # CloudFront
    ("GoogleAccessId", "Signature Expires", "Expires"),  # Google Cloud Storage V2
    *(
        (V4[0].format(v), V4[1].format(v), f"x-{v}-date x-{v}-expires")
        for v in ("amz", "goog", "tos")
    ),
    ("q-sign-algorithm q-ak q-sign-time", "q-signature", "q-sign-time"),  # Tencent COS
    (r"sv=\d{4}-\d\d-\d\d$", "sig se|si", "se"),  # Azure SAS
    ("", "token=.*: e", "e"),  # Qiniu
)
# What else belongs to a signature, on a link that is signed, and what to Azure's alone.
BESIDE_A_SIGNATURE = frozenset(
    "security-token x-oss-security-token x-amz-security-token x-tos-security-token"
    " x-cos-security-token x-amz-signedheaders x-goog-signedheaders x-tos-signedheaders"
    " x-oss-signedheaders x-oss-additional-headers q-key-time q-header-list"
    " q-url-param-list".split()
)
BESIDE_AZURE = frozenset("sp sr ss srt st sip spr skoid sktid skt ske sks skv".split())

# Names that mean nothing on the public internet (RFC 2606, 6761, 6762, 7686, 8375, 9476 and usage).
PRIVATE_NAMES = (
    "localhost local localdomain internal lan corp home home.arpa test invalid example onion alt"
).split()
# Names that a cloud has for itself alone: their end, what shows them, what stands there outside.
# The first of several labels is the bucket's, which may be called anything.
INTERNAL_NAMES = (
    (".aliyuncs.com", r"(\.[^.]+|^[^.]+(?=-internal\.aliyuncs))-internal(?=\.)", r"\1"),
    (".tencentcos.cn", r"(^|\.)cos-internal(?=\.)", r"\1cos"),
    (".myqcloud.com", r"(^|\.)cos-internal(?=\.)", r"\1cos"),
    ("ivolces.com", r"(^|\.)ivolces(?=\.com$)", r"\1volces"),
)
# What is not global unicast (IANA IPv4 and IPv6 special-purpose address registries). The standard
# library's is_global has changed between Python versions, and counts multicast as global.
NOT_PUBLIC = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24"
    " 224.0.0.0/4 240.0.0.0/4"
    # All but 2000::/3, and the special blocks within it.
    " ::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20"
).split()
LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
QUOTES = "'\"`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u201f\u2039\u00b4\u300c\u300e\uff02\uff07"
CUT_HINT = "Put the link in quotes: without them a shell ends it at the first &."
NOT_IN_A_LINK = r"[\s\x00-\x1f\x7f-\x9f\\]"

DETECTION_FIELDS = ("model", "image_url", "ratio")
BOX_FIELDS = ("face_bbox", "ext_bbox")
GENERATION_FIELDS = ("model", "image_url", "audio_url", *BOX_FIELDS, "style_level")
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
    "InvalidFile.AudioLengthError": "The recording is too short or too long: under 60 seconds.",
    "InvalidFile.Duration": "The recording is too short or too long: under 60 seconds.",
    "InvalidFile.Size": "The file is too large: a recording is under 15 MB.",
    "InvalidFile.Format": "Save the file anew, as jpg, png, wav or mp3.",
    "InvalidFile.Openerror": "The file is broken, or of another format: save it anew.",
    "InvalidURL.ConnectionRefused": "The link's host did not answer the service: try another host.",
    "InvalidURL.Timeout": "The link's host did not answer the service: try another host.",
    "InvalidParameter.DataInspection": "A file could not be downloaded or read: try its link from "
    "another network.",
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
        self.done = ""  # what a run without errors did, for people
        self.next: Sequence[str] = ()  # the words of the command that comes next
        self.way_on = "Everything so far is on disk: run the same command again to go on."

    def error(self, field: str, message: str, hint: str) -> None:
        self.errors.append(Problem(field, message, hint))

    def warn(self, field: str, message: str, hint: str) -> None:
        self.warnings.append(Problem(field, message, hint))

    def check(self, rule: "Callable[..., Value]", *arguments: "Any") -> "Value | None":
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
    start = value[:1000]  # more is never shown, and may be a megabyte
    head = re.split(r"[?#]|%3f|&\w+=", start, maxsplit=1, flags=re.IGNORECASE)[0]
    cut = "?..." if head != start else ""
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


def for_the_shell(words: "Sequence[str]") -> str:
    """Return a command of `words`, quoted for this system's shell."""
    if os.name == "nt":
        from subprocess import list2cmdline

        # It knows the rules of programs; to cmd.exe itself more characters mean something.
        plain = [list2cmdline([word]) for word in words]
        quote = [not word.startswith('"') and bool(set("&|<>^") & set(word)) for word in plain]
        return " ".join(f'"{word}"' if needs else word for word, needs in zip(plain, quote))
    import shlex

    return " ".join(map(shlex.quote, words))


def service_text(text: object) -> str:
    """Return words of the service as a message may show them: links in it lose their query."""
    words = str(text)
    if len(words) > 500:  # cut first, since the pattern takes a time that grows with the square
        words = re.sub(r"\S*//\S*$", "", words[:500]) + "..."  # half a link may hide its "@"
    words = re.sub(r"\S*//\S*", lambda link: shown(link[0]), words)
    secret = r"(\w*(?:signature|token|credential|accesskeyid)(?:=|%3d))[^\s&\"'<>]+"
    return printable(re.sub(secret, r"\1...", words, flags=re.IGNORECASE), 800)


# --- 3. Validation: text in, value or problems out ----------------------------------------------


def check_given(field: str, text: "str | None", wanted: str) -> str:
    """Return `text`; raises `Problem` where it is missing, empty, or not valid Unicode."""
    if not text:
        message = "is missing" if text is None else "has no value"
        raise Problem(field, message, f"Give {wanted}.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem(field, f"{shown(text)} is not valid UTF-8", f"Give {wanted}.") from None
    return text


def check_choice(field: str, text: "str | None", choices: "Sequence[str]") -> str:
    """Return `text`, one of `choices`; raises `Problem`."""
    wanted = f"one of {', '.join(choices)}"
    text = check_given(field, text, wanted)
    if text in choices:
        return text
    raise Problem(field, f"{shown(text)} is not known", f"Give {wanted}.")


def check_model(text: "str | None", stage: str, others: "Sequence[str]") -> str:
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


def parse_box(field: str, text: "str | None") -> "Box":
    """Return the box in `text`, four numbers, with or without brackets around; raises `Problem`."""
    hint = f"Copy {field} from the detection answer unchanged: x1,y1,x2,y2."
    text = check_given(field, text, f"{option(field)} x1,y1,x2,y2, or --detection FILE")
    inner = text[1:-1] if text[0] + text[-1] in ("[]", "()") else text
    for space in "\t\r\n":
        inner = inner.replace(space, " ")
    parts = [[word for word in part.split(" ") if word] for part in inner.split(",")]
    numbers = [number for part in parts for number in part or [""]]
    if len(numbers) != 4:
        raise Problem(field, f"{shown(text)} is not four numbers with commas between", hint)
    bad = [number for number in numbers if not is_pixel(number)]
    if bad:
        given = ", ".join(map(shown, bad))
        raise Problem(field, f"{given}: not a whole number from 0 to {MAX_SIDE}", hint)
    x1, y1, x2, y2 = box = [int(number) for number in numbers]
    if x1 >= x2 or y1 >= y2:
        message = f"{box} has no area: x1 must be less than x2, and y1 less than y2"
        raise Problem(field, message, hint)
    return box


def is_pixel(text: str) -> bool:
    """Whether `text` is a plain whole number up to `MAX_SIDE`; int() also takes 1_0, +3 and 03."""
    digits = is_number(text) and len(text) < 5 and (text[0] != "0" or text == "0")
    return digits and int(text) <= MAX_SIDE


def size_of(box: "Sequence[int]") -> "tuple[int, int]":
    """Return width and height of `box` in pixels."""
    return box[2] - box[0], box[3] - box[1]


def has_ratio(box: "Sequence[int]", ratio: str) -> bool:
    """Whether `box` has the `ratio`, "p:q", but for the rounding of its corners.

    They are whole pixels, so either side may be one pixel off the exact ratio, which moves
    w*q - h*p by at most p + q. The service's own 546x545 is 1:1.
    """
    width, height = size_of(box)
    p, q = map(int, ratio.split(":"))
    return abs(width * q - height * p) <= p + q


def ratio_of(box: "Sequence[int]") -> "str | None":
    """Return the service's ratio, "1:1" or "3:4", that `box` has, or None."""
    return next((ratio for ratio in VIDEO_SIZES if has_ratio(box, ratio)), None)


def check_boxes(
    face_text: "str | None", ext_text: "str | None", report: Report
) -> "tuple[Box, Box] | None":
    """Return `face_bbox` and `ext_bbox`, or None when something is wrong with them."""
    before = len(report.errors)
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
    return (face_bbox, ext_bbox) if len(report.errors) == before else None


# Links: `image_url` and `audio_url`, which the service downloads from the public internet.


def check_link(field: str, text: "str | None", now: float, report: Report) -> "str | None":
    """Return the normalized link, or None when something is wrong with it but for its age.

    `now` is in seconds since 1970. Path and query of a plain ASCII link stay byte for byte, since
    a signature covers them.
    """
    before = len(report.errors)
    wanted = f"{option(field)} URL, a public link, or {option(LOCAL[field])} FILE"
    text = report.check(check_given, field, text, wanted)
    link = report.check(split_link, field, text) if text else None
    if not text or not link:
        return None
    scheme, userinfo, host, port, path, query, fragment = link
    found = None if is_plain(text) else re.search(NOT_IN_A_LINK, text)
    if found:
        control = "a backslash" if found[0] == "\\" else "a control character"
        name = "white space" if found[0].isspace() else control
        message = f"{shown(text)} has {name}, U+{ord(found[0]):04X}, in it"
        report.error(field, message, "Copy the link anew; a space of a file's name is %20.")
    if userinfo:
        message = f"{shown(text)} has a user name or password before the host"
        report.error(field, message, "Give a link that works without, for example a signed one.")
    public_host = report.check(check_host, field, host)
    if port and not (is_number(port[1:]) and len(port) < 7 and 0 < int(port[1:]) < 65536):
        message = "the port is not a number from 1 to 65535"
        report.error(field, message, "Correct it, or leave it out with its colon.")
    bad_escape = re.search("%(?![0-9A-Fa-f]{2}).{0,2}", path) if "%" in path else None
    if bad_escape:
        message = f"the path has a bad percent escape, {shown(bad_escape[0])}"
        report.error(field, message, "Write a percent sign of a file's name as %25.")
    report.check(check_page, field, host.lower(), path, query)
    report.check(check_format, field, path, query)
    if query and not found:  # a backslash before each & is one mistake, not two
        report.check(check_signature, field, query)
    sound = len(report.errors) == before
    if query:
        check_age(field, query, now, report)
    if fragment:
        message = "the part from # on was dropped: no server ever gets it"
        report.warn(field, message, "Write a # of a file's name as %23.")
    return f"{scheme}://{public_host}{port}{escaped(path + query)}" if sound else None


def split_link(field: str, text: str) -> "tuple[str, ...]":
    """Return scheme, user info, host, port, path, query and fragment (RFC 3986, appendix B).

    The optional ones are empty or have their punctuation. What no link may hold is left out, so
    that the rest can be checked as well. Raises `Problem` for what is no http(s) link at all.
    """
    link = text if is_plain(text) else re.sub(NOT_IN_A_LINK, "", text.replace("\\", "/"))
    given, _, rest = link.partition(":")
    scheme = given.lower()
    upload = f"Upload the {KINDS[field]} first, for example to OSS, and give its public https link."
    local = f"Give a local file to {option(LOCAL[field])}, or upload it and give its public link."
    if text[0] in QUOTES:
        message = f"{shown(text.strip(QUOTES))} still has the quotes around it"
        raise Problem(field, message, 'Take them off; in cmd.exe only " quotes.')
    if given == link or scheme not in ("http", "https"):
        if given == link or not re.fullmatch("[A-Za-z][A-Za-z0-9+-]+", given):
            message = f"{shown(text)} is a local path, or lacks https:// in front"
            raise Problem(field, message, local)
        message = f"{shown(text)} is not an http or https link but {scheme}:"
        raise Problem(field, message, local if scheme == "file" else upload)
    if not rest.startswith("//") or rest.startswith("///"):
        raise Problem(field, f"{shown(text)} has no host", "Write https://, the host, the path.")
    rest, mark, fragment = rest[2:].partition("#")
    rest, question, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    userinfo, at, host = authority.rpartition("@")
    end = host.find(":", host.find("]") + 1)
    host, port = (host[:end], host[end:]) if end >= 0 else (host, "")
    return scheme, userinfo + at, host, port, slash + path, question + query, mark + fragment


def is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def is_plain(text: str) -> bool:
    """Whether `text` is visible ASCII without a backslash."""
    return is_visible_ascii(text) and "\\" not in text


def check_host(field: str, host: str) -> str:
    """Return the public `host` in lower case; raises `Problem`.

    An IPv4 address is read as browsers read it, in every spelling, and written as four decimals.
    """
    if not host:
        raise Problem(field, "the link has no host", "Write https://, the host, the path.")
    if host.startswith("["):
        return check_address(field, host, [])
    if not host.isascii():
        message = f"the host {shown(host)} is not ASCII"
        raise Problem(field, message, ascii_hint(host))
    name = host.lower()
    if len(name) > 253:
        raise Problem(field, "the host is longer than 253 characters", "Correct the host.")
    labels = name.split(".")
    if labels[-1] == "" and len(labels) > 1:
        labels.pop()  # the root's own label, as in "example.com."
    last = labels[-1]
    if last.isdigit() or (last.startswith("0x") and set(last[2:]) <= set("0123456789abcdef")):
        return check_address(field, host, labels)
    check_name(field, host, labels)
    return name


def check_name(field: str, host: str, labels: "Sequence[str]") -> None:
    """Raise `Problem` for a `host` of `labels` that has no name of the public internet."""
    for label in labels:
        check_label(field, host, label)
    if len(labels) == 1:
        raise not_public_problem(field, host, "has no dot: a name of this machine or network")
    dotted = "." + ".".join(labels)
    for suffix in PRIVATE_NAMES:
        if dotted.endswith("." + suffix):
            raise not_public_problem(field, host, f"is private: .{suffix} is not on the internet")
    for end, inside, outside in INTERNAL_NAMES:
        public = re.sub(inside, outside, dotted[1:]) if dotted.endswith(end) else dotted[1:]
        if public != dotted[1:]:
            message = (
                f"the host {shown(host)} is an internal endpoint: only its own cloud reaches it"
            )
            raise Problem(field, message, f"Give the link with {public} for the host.")


def check_label(field: str, host: str, label: str) -> None:
    """Raise `Problem` for a `label` that no name of a host can have."""
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


def not_public_problem(field: str, host: str, why: str) -> Problem:
    hint = "Give a link that works from the public internet: the service downloads it from there."
    return Problem(field, f"the host {shown(host)} {why}", hint)


def ascii_hint(host: str) -> str:
    """Return what to do about a host that is not ASCII, with its form in ASCII where it has one."""
    try:  # what is too long is not converted: the codec takes a time that grows with the square
        form = host.encode("idna").decode().lower() if len(host) <= 253 else ""
    except UnicodeError:
        form = ""
    if form and len(form) <= 253 and set(form) <= LABEL_CHARACTERS | {"."}:
        return f"Write it as {form}, if that is the host you mean."
    return "Give the host in its xn-- form."


def ipv4_number(labels: "Sequence[str]") -> int:
    """Return the number of the IPv4 address that `labels` spell; raises `ValueError`."""
    numbers = []
    for label in labels:
        base = 16 if label.startswith("0x") else 8 if label.startswith("0") else 10
        digits = label[2:] if base == 16 else label
        if not label or not set(digits) <= set("0123456789abcdef"[:base]):
            raise ValueError("not a number")
        numbers.append(int(digits or "0", base))
    *front, last = numbers  # all but the last are bytes; the last fills the bytes that are left
    if len(front) > 3 or max([0, *front]) > 255 or last >= 256 ** (4 - len(front)):
        raise ValueError("too large")
    return last + sum(number << 24 - 8 * place for place, number in enumerate(front))


def check_address(field: str, host: str, labels: "Sequence[str]") -> str:
    """Return the `host`, an address of IPv6 in brackets or of IPv4; raises `Problem`."""
    from ipaddress import IPv4Address, IPv6Address, ip_network

    version = "6" if host.startswith("[") else "4"
    address: IPv4Address | IPv6Address
    try:
        if version == "4":
            address = IPv4Address(ipv4_number(labels))
        elif "%" in host or not host.endswith("]"):
            raise ValueError("a zone, or no closing bracket")
        else:
            address = IPv6Address(host[1:-1])
    except ValueError:
        message = f"the host {shown(host)} is no IPv{version} address"
        raise Problem(field, message, "Correct the host.") from None
    if any(address in ip_network(block) for block in NOT_PUBLIC):
        raise not_public_problem(field, host, f"is the address {address}, which is not public")
    return str(address) if version == "4" else host.lower()


def check_page(field: str, host: str, path: str, query: str) -> None:
    """Raise `Problem` for a link of a page that shows the file to people."""
    pattern, file_itself, hint = PAGES.get(host, ("", "", "Give the link of the file itself."))
    shows = pattern and re.match(pattern, path or "/")
    if shows and file_itself and re.search(f"[?&]({file_itself})(&|$)", query):
        return
    if shows or path.lower().endswith((".html", ".htm")):
        message = f"{shown(f'https://{host}{path}')} is a page, not the {KINDS[field]} itself"
        raise Problem(field, message, hint)


def check_format(field: str, path: str, query: str) -> None:
    """Raise `Problem` for an extension that names a format the service does not take.

    No extension, or one that names no medium (".php"), says nothing: many links have none. Nor
    does one say anything of a picture that is converted on the way.
    """
    name = unescaped(path.rpartition("/")[2])
    extension = name.rpartition(".")[2].strip().lower() if "." in name else ""
    if extension in FORMATS[field]:
        return
    if field == "image_url" and query and re.search(CONVERSION, unescaped(query[1:]), re.I):
        return
    for other, kind in KINDS.items():
        if other != field and extension in FORMATS[other] + OTHER_FORMATS[other]:
            message = f"the link is of a {kind} (.{extension}), not of a {KINDS[field]}: swapped?"
            hint = "Give the picture to --image-url and the recording to --audio-url."
            raise Problem(field, message, hint)
    if extension in OTHER_FORMATS[field] + OTHER_FORMATS[""]:
        message = f".{extension} is not taken; the service takes {', '.join(FORMATS[field])}"
        raise Problem(field, message, f"Convert the {KINDS[field]} and upload it anew.")


def unescaped(text: str) -> str:
    """Return `text` with the characters that its percent escapes stand for."""
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


# Signatures: what a link's query says of its signer (contract, "Signed links and when they expire")


def query_values(query: str) -> "Values":
    """Return the first value of each name in `query`; names that begin with x- in lower case."""
    values: Values = {}
    for pair in query.lstrip("?").split("&") if query else []:
        name, _, value = pair.partition("=")
        values.setdefault(parameter_name(name), unescaped(value))
    return values


def parameter_name(text: str) -> str:
    name = unescaped(text)
    return name.lower() if name[:2] in ("x-", "X-") else name


def is_given(word: str, values: "Values") -> bool:
    """Whether a `word` of `SIGNERS` stands in the `values` of a query."""
    names, _, pattern = word.partition("=")
    found = [values[name] for name in names.split("|") if values.get(name)]
    return any(re.match(pattern, value) for value in found)


def missing_words(row: "Sequence[str]", values: "Values") -> "list[str]":
    """Return the words of a signer's `row` that do not stand in the `values` of a query."""
    return [word for word in f"{row[0]} {row[1]}".split() if not is_given(word, values)]


def check_signature(field: str, query: str) -> None:
    """Raise `Problem` for a `query` whose signature can never work."""
    if "&amp;" in query and re.search(r"&amp;[\w.-]+=", query):
        message = "the link has &amp; in it, which is how a web page writes &"
        raise Problem(field, message, "Copy the link itself, or write & for each &amp;.")
    values = query_values(query)
    for row in SIGNERS:
        own, _, end = row
        missing = [word.partition("=")[0] for word in missing_words(row, values)]
        if missing and any(word in values or is_given(word, values) for word in own.split()):
            message = f"the link has lost its end: its query has no {' and no '.join(missing)}"
            raise Problem(field, message, CUT_HINT)
        length = seconds(values.get(end.partition(" ")[2], "")) if " " in end else None
        if not missing and length is not None and length > LONGEST:
            message = f"the link was signed for {length} seconds; its host allows {LONGEST} at most"
            raise Problem(field, message, "Sign it anew, for a day.")


def check_age(field: str, query: str, now: float, report: Report) -> None:
    """Report a signed link that has expired, or soon will."""
    expiry = expiry_of(query)
    if expiry is not None and expiry <= now:
        report.error(field, f"the link expired at {utc(expiry)}", "Sign it anew.")
    elif expiry is not None and expiry <= now + SOON:
        message = f"the link expires at {utc(expiry)}; the service may fetch it later than that"
        report.warn(field, message, "Sign it anew, for a day.")
    if query.startswith("?Expires=") and is_number(query[9:]) and len(query) == 19:
        report.warn(field, "the link may have lost its end: its query is Expires alone", CUT_HINT)


def expiry_of(query: str) -> "int | None":
    """Return the second since 1970 at which a signed link with `query` stops working, or None."""
    values = query_values(query)
    ends = [end for *row, end in SIGNERS if not missing_words(row, values)]
    if values.get("Signature"):  # whoever signs so, Expires beside it is a Unix time
        ends.append("Expires")
    moments = []
    for end in ends:
        name, _, length_name = end.partition(" ")
        text = values.get(name, "")
        if length_name or name == "se":
            moment, length = instant(text), seconds(values.get(length_name, "0"))
        else:
            moment, length = seconds(text.rpartition(";")[2]), 0
        if moment is not None and length is not None:
            moments.append(moment + length)
    return min(moments, default=None)


def link_identity(link: str) -> "tuple[str, str]":
    """Return what makes a normalized `link` lead to its file, and apart from it the signature.

    Left out are the scheme's default port, and how the escapes of characters that need none are
    spelled (RFC 3986, 6.2.2 and 6.2.3).
    """
    link = re.sub("%([0-9A-Fa-f]{2})", plain_escape, link)
    head, question, query = link.partition("?")
    scheme, _, rest = head.partition("://")
    host, _, path = rest.partition("/")
    host = re.sub(":0*443$" if scheme == "https" else ":0*80$", "", host)
    names: set[str] = set()
    values = query_values(query)
    for row in SIGNERS:
        if not missing_words(row, values):
            words = f"{row[0]} {row[1]}".split()
            names |= {name for word in words for name in word.partition("=")[0].split("|")}
            names |= BESIDE_AZURE if "sig" in names else BESIDE_A_SIGNATURE
    pairs: tuple[list[str], list[str]] = ([], [])
    for pair in query.split("&"):
        pairs[parameter_name(pair.partition("=")[0]) in names].append(pair)
    asked, signature = map("&".join, pairs)
    question = question if asked or not signature else ""
    return f"{scheme}://{host}/{path}{question}{asked}", signature


def plain_escape(escape: "re.Match[str]") -> str:
    """Return the character of a percent `escape` that needs none, else the escape in capitals."""
    character = chr(int(escape[1], 16))
    return character if re.match("[A-Za-z0-9._~-]", character) else escape[0].upper()


def is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def seconds(text: str) -> "int | None":
    return int(text[:18]) if is_number(text) else None  # more of them is for ever in any case


def instant(text: str) -> "int | None":
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
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(max(moment, 0)))  # Windows has no time before


def escaped(text: str) -> str:
    """Return `text` with UTF-8 percent escapes for what is not ASCII, and the rest as it is."""
    if text.isascii():
        return text
    from urllib.parse import quote

    return quote(text, safe="".join(map(chr, range(128))))


# Media: what emo_media finds in a local file, or behind a link


class LocalFile:
    """A local file: its `url`, and the SHA-256 of its content, `digest`, in hexadecimal digits.

    Where it was looked at, `found` is what emo_media says of it, `size` its bytes, and `content`
    they themselves.
    """

    def __init__(self, url: str = "", digest: str = "") -> None:
        self.url, self.digest = url, digest
        self.found: Any = None  # a Picture or a Recording
        self.size, self.content = 0, b""


def check_medium(
    field: str, found: "Picture | Recording", size: int, boxes: "Iterable[Box]", report: Report
) -> None:
    """Report what is wrong with what was `found`, a picture or a recording of `size` bytes."""
    if field.startswith("image"):
        check_picture(field, found, size, boxes, report)  # type: ignore[arg-type]
    else:
        check_recording(field, found, size, report)  # type: ignore[arg-type]


def check_picture(
    field: str, picture: "Picture", size: int, boxes: "Iterable[Box]", report: Report
) -> None:
    """Report what is wrong with a `picture` of `size` bytes, in which all `boxes` must lie.

    Nothing says in which picture boxes are counted where EXIF has it turned (contract, "Limits").
    """
    width, height, orientation = picture.width, picture.height, picture.orientation
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        message = f"it is {width}x{height}; each side must have {MIN_SIDE} to {MAX_SIDE} pixels"
        report.error(field, message, "Use the picture in another size, and detect that.")
    if size > MAX_PICTURE:
        message = f"it has {size:,} bytes, more than {MAX_PICTURE:,}"
        report.error(field, message, "Save it smaller, for example as jpg, and detect that.")
    right = max((box[2] for box in boxes), default=0)
    bottom = max((box[3] for box in boxes), default=0)
    upright = "Save it upright, and detect that: the boxes may be counted in the turned picture."
    if right <= width and bottom <= height:
        if orientation != 1:
            message = f"it is stored turned (EXIF orientation {orientation})"
            report.warn(field, message, upright)
    elif orientation >= 5 and right <= height and bottom <= width:
        message = f"the boxes fit only the picture turned as EXIF says, {height}x{width}"
        report.error(field, message, upright)
    else:
        message = f"it is {width}x{height}, and the boxes reach to {right},{bottom}"
        hint = "They are of another picture, or of another size of it: detect this one."
        report.error(field, message, hint)


def check_recording(field: str, recording: "Recording", size: int, report: Report) -> None:
    """Report what is wrong with a `recording` of `size` bytes."""
    length = f"it is {recording.seconds:.2f} s long"
    if size >= BIG_RECORDING:
        tell = report.error if size > MAX_RECORDING else report.warn
        message = f"it has {size:,} bytes; the service takes less than 15 MB"
        tell(field, message, "Save it as mp3, or as a smaller one.")
    if recording.seconds >= LONG_RECORDING:
        tell = report.error if recording.seconds > MAX_SECONDS else report.warn
        hint = "Cut it, to 59 s for example, or make two videos of it."
        tell(field, f"{length}; the service takes less than 60 s", hint)
    if recording.seconds < SHORT_RECORDING:
        report.warn(field, f"{length}, which may be too short", "Is it the whole recording?")


def estimate(seconds: float, ratio: str) -> "Json":
    """Return what a video of so many `seconds` costs, in CNY: the video is as long as the audio."""
    price = round(seconds * PRICES[ratio], 2)
    return {"seconds": round(seconds, 2), "cny": price, "prices_of": PRICES_OF}


def file_name(link: str) -> str:
    """Return the name of the file behind `link`, or its host, as a message may show it."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(link)
    return printable(unquote(parts.path.rpartition("/")[2]) or parts.netloc, 80)


# Detection answers, saved as the service gave them or with their request


def check_detection(
    saved: "Json", image_url: "str | None", digest: "str | None", report: Report
) -> "tuple[Box, Box] | None":
    """Return `face_bbox` and `ext_bbox` from `saved`, or None when something is wrong with them.

    `saved` is the service's answer, its `output`, or {"request": ..., "response": the answer}; then
    the picture of that request must be `image_url`, which is None when that is wrong itself, and
    of a local file the content with that `digest`.
    """
    request = saved.get("request") if "response" in saved else None
    if image_url and request is not None:
        report.check(check_same_image, request, image_url, digest, report)
    output = report.check(passed_output, saved.get("response", saved))
    if not output:
        return None
    found = Report()
    boxes = check_boxes(box_text(output, "face_bbox"), box_text(output, "ext_bbox"), found)
    hint = "Detect again, and keep the answer as it comes."
    for mine, its in (report.errors, found.errors), (report.warnings, found.warnings):
        mine += [Problem("detection", f"{p.field}: {p.message}", hint) for p in its]
    ratio = member(request, "parameters").get("ratio")
    if boxes and ratio and not any(r == ratio and has_ratio(boxes[1], r) for r in VIDEO_SIZES):
        message = f"it asked for {shown(str(ratio))}, and ext_bbox is {ratio_of(boxes[1])}"
        report.error("detection", message, "These boxes are not of this answer: detect again.")
        return None
    return boxes


def member(document: object, name: str) -> "Json":
    """Return the object that `document` has by this name, {} where there is none."""
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def passed_output(answer: object) -> "Json":
    """Return `output` of a detection answer that passed; raises `Problem`."""
    hint = "Give the answer of the detection, whole and unchanged."
    if not isinstance(answer, dict):
        raise Problem("detection", "the answer is not a JSON object", hint)
    output = answer if "check_pass" in answer else answer.get("output")
    if not isinstance(output, dict):
        if "code" not in answer:
            raise Problem("detection", "the file is no detection answer: it has no output", hint)
        raise refusal_problem("detection", "the detection failed", answer)
    if output.get("check_pass") is True:
        return output
    if output.get("check_pass") is False:
        what = "the picture did not pass the detection"
        raise refusal_problem("detection", what, output, remedy=PORTRAIT_REMEDY)
    message = "the file is no detection answer: output.check_pass is neither true nor false"
    raise Problem("detection", message, hint)


def refusal_problem(
    field: str, what: str, said: "Json", code: int = 2, remedy: str = UNKNOWN_REMEDY
) -> Problem:
    """Return the `Problem` for the `code` and `message` with which the service said no.

    `remedy` is for a code that is not in the contract's table.
    """
    name, message = said.get("code") or "no code", said.get("message") or "no message"
    request_id = f" (request_id {service_text(said['request_id'])})" if "request_id" in said else ""
    words = f"{what}: {service_text(name)}: {service_text(message)}{request_id}"
    return Problem(field, words, REMEDIES.get(str(name), remedy), code)


def box_text(output: "Json", name: str) -> "str | None":
    """Return the box `name` of `output` in the form of the option, so that one rule serves both."""
    box = output.get(name)
    if box is None:
        return None
    numbers = box if isinstance(box, list) else [box]
    texts = [n[:200] if isinstance(n, str) else n for n in numbers[:5]]
    return f"[{','.join('...' if isinstance(n, (list, dict)) else json.dumps(n) for n in texts)}]"


def check_same_image(request: object, image_url: str, digest: "str | None", report: Report) -> None:
    """Raise `Problem` unless the picture of this call is that of a detection's `request`."""
    detected = member(request, "input").get("image_url")
    if not isinstance(detected, str):
        message = "its request has no input.image_url"
        raise Problem("detection", message, "Give the file as it was saved, or the answer alone.")
    was_file = detected.lower().startswith("file:")
    if digest or was_file:
        message = "the file was changed or saved anew since, or it is another picture"
        if not (digest and was_file):
            then, now = ("a file", "a link") if was_file else ("a link", "a file")
            message = f"it is of {then}, and this is {now}: they cannot be compared"
        elif digest == member(request, "files").get("image_url"):
            return
        raise Problem("detection", message, "Detect again, with the picture given here.")
    # Then as now: normalized alike, and whether that link still works does not matter any more.
    then = check_link("image_url", detected, float("-inf"), Report()) or ""
    its, mine = link_identity(then), link_identity(image_url)
    if its[0] != mine[0]:
        message = f"it is of another picture: {shown(then or 'no link')}, not {shown(image_url)}"
        raise Problem("detection", message, "Detect this picture, or give the link detected.")
    if its[1] != mine[1]:
        message = "the picture's link was signed anew since: is it the same picture?"
        report.warn("detection", message, "Detect it again if not.")


# --- 4. Requests: from values to the JSON that is sent -------------------------------------------


def detection_request(
    values: "Values", files: "Files", now: float, report: Report
) -> "Json | None":
    """Return the request of a detection (contract, section 1), or None when a value is wrong.

    A link that is wrong for its age alone, and thus an error, is in it all the same. `files` has
    the local file in the place of the link, if there is one, and its digest goes into the request
    beside what is sent.
    """
    image_url = link_of("image_url", values, files, now, report)
    ratio, model = values.get("ratio", DEFAULT_RATIO), values.get("model", DETECTION_MODEL)
    known = report.check(check_choice, "ratio", ratio, list(VIDEO_SIZES))
    fits = report.check(check_model, model, "a detection", [GENERATION_MODEL])
    check_files(files, (), report)
    if not (image_url and known and fits):
        return None
    return request_with(model, {"image_url": image_url}, files, {"ratio": ratio})


def generation_request(
    values: "Values", files: "Files", saved: "Json | None", now: float, report: Report
) -> "Json | None":
    """Return the request of a generation (contract, section 2), or None when a value is wrong.

    Links and `files` are as those of a detection. The boxes come from `values`, or from `saved`, a
    detection answer, when `values` has `detection`; `saved` is then None if it could not be read.
    """
    image_url = link_of("image_url", values, files, now, report)
    audio_url = link_of("audio_url", values, files, now, report)
    boxes = None
    if saved is not None:
        digest = files["image_url"].digest if "image_url" in files else None
        boxes = check_detection(saved, image_url, digest, report)
    elif "detection" not in values:
        boxes = check_boxes(values.get("face_bbox"), values.get("ext_bbox"), report)
    style_level = values.get("style_level", DEFAULT_STYLE_LEVEL)
    known = report.check(check_choice, "style_level", style_level, STYLE_LEVELS)
    model = values.get("model", GENERATION_MODEL)
    others = [DETECTION_MODEL, DETECTION_MODEL_ON_WIRE]
    fits = report.check(check_model, model, "a generation", others)
    check_files(files, boxes or readable_boxes(values), report)
    if not (image_url and audio_url and boxes and known and fits):
        return None
    links = {"image_url": image_url, "audio_url": audio_url}
    given = {**links, "face_bbox": boxes[0], "ext_bbox": boxes[1]}
    return request_with(model, given, files, {"style_level": style_level})


def link_of(
    field: str, values: "Values", files: "Files", now: float, report: Report
) -> "str | None":
    """Return the link of a `field`, or that of the local file in its place; None if it is wrong."""
    if field in files:
        return files[field].url
    return check_link(field, values.get(field), now, report)


def readable_boxes(values: "Values") -> "list[Box]":
    """Return those boxes in `values` that can be read, whatever else is wrong with them."""
    boxes = [Report().check(parse_box, name, values.get(name)) for name in BOX_FIELDS]
    return [box for box in boxes if box]


def check_files(files: "Files", boxes: "Iterable[Box]", report: Report) -> None:
    """Report what is wrong with local `files`, as far as they were looked at."""
    for field, file in files.items():
        if file.found:
            check_medium(LOCAL[field], file.found, file.size, boxes, report)


def request_with(model: str, given: "Json", files: "Files", parameters: "Json") -> "Json":
    digests = {field: file.digest for field, file in files.items()}
    beside = {"files": digests} if digests else {}
    return {"model": model, "input": given, **beside, "parameters": parameters}


def request_of(body: "Json", now: float, report: Report) -> "Json | None":
    """Return a prepared `body` checked anew, since people edit files, or None when it is wrong.

    With an `audio_url` it is a generation, else a detection. What is wrong with the age of a link
    is an error, and does not hide the request.
    """
    inner, parameters = body.get("input"), body.get("parameters", {})
    if not isinstance(inner, dict) or not isinstance(parameters, dict):
        message = "it is no prepared request: input or parameters is missing or no object"
        report.error("file", message, "Give the file that prepare or detect wrote.")
        return None
    given = {**body, **inner, **parameters}
    for name in ("input", "files", "parameters"):
        given.pop(name, None)
    generation = "audio_url" in given
    what = "generation" if generation else "detection (it has no audio_url)"
    fields = GENERATION_FIELDS if generation else DETECTION_FIELDS
    foreign = [name for name in given if name not in fields]
    for name in foreign:
        message = f"{shown(name)} does not belong to a {what}"
        report.error("file", message, "Take it out, or prepare the request again.")
    values = {}
    for name, value in given.items():
        if name in BOX_FIELDS:
            values[name] = box_text(given, name) or ""
        else:
            values[name] = value.strip() if isinstance(value, str) else ""
    digests, files = member(body, "files"), {}
    for field in FORMATS:
        if values.get(field, "").lower().startswith("file:"):
            file = report.check(prepared_file, field, values[field], digests.get(field))
            files[field] = file or LocalFile()
    if generation:
        request = generation_request(values, files, None, now, report)
    else:
        request = detection_request(values, files, now, report)
    return None if foreign else request


def prepared_file(field: str, url: str, digest: object) -> LocalFile:
    """Return the local file of a prepared request; raises `Problem`."""
    hint = f"Prepare the request again, with {option(LOCAL[field])} FILE."
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise Problem(field, f"{shown(url)} is a local file without its SHA-256 in files", hint)
    if not is_file_url(url):
        raise Problem(field, f"{shown(url)} is not the URL of a file on this machine", hint)
    return LocalFile(url, digest)


def is_file_url(url: str) -> bool:
    """Whether `url` is spelled as `file_url` does, so that all read the same path in it."""
    from pathlib import Path

    path = os.path.normpath(local_path(url)) if url.startswith("file://") else ""
    return os.path.isabs(path) and Path(path).as_uri() == url


def file_url(path: str) -> str:
    """Return the `file:` URL that leads to the file `path`, wherever it is used.

    Symbolic links are followed, since ".." behind one leads elsewhere. All that needs it is
    escaped, "+" too: the vendor's SDK reads such URLs with unquote_plus().
    """
    from pathlib import Path

    return Path(os.path.realpath(path)).as_uri()


def local_path(url: str) -> str:
    """Return the path of the file behind a `file:` URL."""
    from urllib.parse import unquote_to_bytes

    path = os.fsdecode(unquote_to_bytes(url[len("file://") :]))
    if os.name == "nt":  # "/C:/..." has a slash too many, and a name of a host none
        return path[1:] if path.startswith("/") else f"//{path}"
    return path


def request_name(request: "Json", base_url: str) -> str:
    """Return the twelve hexadecimal digits that stand for what a generation's `request` asks for.

    The same picture, recording, boxes, style and model have the same name, however their links are
    signed, and wherever a local file with this content lies. So has the same at another host of the
    vendor's as `base_url`, but not elsewhere: what was tried against another service counts for
    itself.
    """
    import hashlib
    from urllib.parse import urlsplit

    asked = {"model": request["model"], **request["input"], **request["parameters"]}
    files = request.get("files", {})
    for field in FORMATS:
        asked[field] = files.get(field) or link_identity(asked[field])[0]
    host = urlsplit(base_url).hostname or ""
    if host and not f".{host}".endswith(".aliyuncs.com"):
        asked["host"] = host
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


# --- 5. Files: where evidence lives, and how it is read and written ------------------------------


def evidence_path(name: str) -> str:
    """Return the path of the file `name` among the evidence."""
    return os.path.join(os.environ.get("OUTPUT_DIR") or "output", "aliyun-emo", name)


def read_json(field: str, path: str) -> "Json":
    """Return the JSON object in the file `path`, "-" for stdin; raises `Problem`."""
    path = check_given(field, path, "FILE, or - for stdin")
    name = "stdin" if path == "-" else shown(path)
    hint = "Give a file that was written or saved for this, or - for stdin."
    try:
        data = read_bytes(path, MAX_JSON + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or printable(str(error), 200)
        raise Problem(field, f"{name} cannot be read: {reason}", hint) from None
    try:
        if len(data) > MAX_JSON:
            raise ValueError("it is larger than 1 MiB")
        if not data.strip():
            raise ValueError("it is empty")
        document = json.loads(data)  # in UTF-8, -16 or -32, with a mark or without
    except (ValueError, RecursionError) as error:
        reason = printable(str(error), 200) if isinstance(error, ValueError) else "nested too deep"
        raise Problem(field, f"{name} is not JSON: {reason}", hint) from None
    if not isinstance(document, dict):
        raise Problem(field, f"{name} holds no JSON object", hint)
    return document


def look_at_files(values: "Values", report: Report) -> "Files":
    """Return the local files of a command line; one that is wrong has no `url`."""
    files = {}
    for field, name in LOCAL.items():
        if name in values:
            if field in values:
                message = f"{option(field)} is there as well"
                report.error(name, message, f"Give {option(name)} or {option(field)} alone.")
            file = files[field] = report.check(local_file, name, values[name]) or LocalFile()
            extension = os.path.splitext(values[name])[1][1:].lower()
            is_known = any(extension in words for words in ALL_FORMATS)
            named = "jpeg" if extension == "jpg" else extension
            if file.url and named != file.found.format and is_known:
                message = f"it is named .{extension}, and it is a {file.found.format}"
                report.warn(name, message, "Rename it: whoever goes by names takes it for broken.")
    return files


def look_again(request: "Json", report: Report) -> "Files":
    """Return the local files of a prepared `request`, which must be what they were then.

    They are held to the same rules again, since people edit boxes.
    """
    boxes = [request["input"][name] for name in BOX_FIELDS if name in request["input"]]
    files = {}
    for field, digest in request.get("files", {}).items():
        file = report.check(file_as_prepared, field, local_path(request["input"][field]), digest)
        if file:
            check_medium(field, file.found, file.size, boxes, report)
            files[field] = file
    return files


def file_as_prepared(field: str, path: str, digest: str) -> LocalFile:
    """Return the local file `path` if it still has this `digest`; raises `Problem`."""
    try:
        file = read_file(field, path)
    except Problem as problem:
        problem.hint = "Put it back, or prepare the request again."
        raise
    if file.digest != digest:
        message = f"{quoted(path)} has changed since: prepare again"
        hint = "Boxes that were detected of it are of the old picture: detect the new one first."
        raise Problem(field, message, hint if field == "image_url" else "Its length counts anew.")
    look_at_file(field, path, file)
    return file


def local_file(field: str, path: str) -> LocalFile:
    """Return the local file `path`, looked at; raises `Problem`."""
    if not path.strip():
        raise Problem(field, "has no value", f"Give {option(field)} FILE.")
    scheme, mark, _ = path.partition("://")
    if mark and scheme.isalpha() and len(scheme) > 1:  # of one letter it is a drive of Windows
        message = f"{shown(path)} is not the path of a file"
        hint = f"Give the path alone; a link is for {option(link_field(field))}."
        raise Problem(field, message, hint)
    file = read_file(field, path)
    look_at_file(field, path, file)
    return file


def read_file(field: str, path: str) -> LocalFile:
    """Return the local file `path` with its content, of too large a one the beginning.

    Raises `Problem`. What is judged, hashed and sent is this content, whoever writes to the file.
    """
    import hashlib

    limit = MAX_PICTURE if link_field(field) == "image_url" else MAX_RECORDING
    try:
        with open(path, "rb", opener=open_at_once) as opened:
            if not os.path.isfile(opened.fileno()):
                raise OSError("it is not a regular file")
            size = os.fstat(opened.fileno()).st_size
            content = opened.read(limit if size <= limit else MAX_RECORDING)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        hint = f"Give the path of the {KINDS[link_field(field)]}."
        bare = path.strip(QUOTES + " \t\r\n")
        for guess in (bare, os.path.expanduser(bare), bare.replace("\\", "")):
            if guess != path and guess.isprintable() and os.path.isfile(guess):
                hint = f"Did you mean {quoted(guess)}?"
        name = quoted(path) if os.path.lexists(path) else shown(path)  # which may be a signed link
        reason = getattr(error, "strerror", None) or printable(str(error), 200)
        raise Problem(field, f"{name} cannot be read: {reason}", hint) from None
    file = LocalFile(file_url(path), hashlib.sha256(content).hexdigest())
    file.content, file.size = content, size if size > limit else len(content)
    return file


def look_at_file(field: str, path: str, file: LocalFile) -> None:
    """Find out what a `file` is that lies at `path`; raises `Problem`."""
    import io

    media = media_module(field)
    look = media.picture if link_field(field) == "image_url" else media.recording
    try:
        file.found = look(io.BytesIO(file.content), file.size)
    except media.NotTaken as fault:
        if fault.needs_more:  # only what is too large is not read whole
            message = f"{quoted(path)} has {file.size:,} bytes, which is too large"
            raise Problem(field, message, "Save it smaller.") from None
        raise not_taken_problem(field, fault, path) from None


def media_module(field: str) -> "Any":
    """Return the module emo_media, which tells what a file is; raises `Problem`."""
    try:
        import emo_media
    except ImportError:
        message = "emo_media.py, which looks at pictures and recordings, is not beside this program"
        hint = "Copy the whole folder scripts, and start the program without -I."
        raise Problem(field, message, hint) from None
    return emo_media


def link_field(field: str) -> str:
    """Return the field of the link for `field`, which may be that of the local file."""
    return field if field in LOCAL else f"{field}_url"


def quoted(path: str) -> str:
    """Return a `path` as a message may show it."""
    return f"'{printable(path, 200)}'"


def not_taken_problem(field: str, fault: "NotTaken", path: str = "") -> Problem:
    """Return the `Problem` of what emo_media does not take.

    Of a local file, the `path` of it, the hint has the command that converts it.
    """
    kind, formats = KINDS[link_field(field)], ", ".join(FORMATS[link_field(field)])
    hint = f"Give the {kind} itself: {formats}."
    if fault.convertible:
        hint = "Convert it, and upload it anew."
        if path:
            hint = f"Convert it: {conversion(path, kind)}" if path.isprintable() else "Convert it."
    return Problem(field, f"{quoted(path)}: {fault}" if path else str(fault), hint)


def conversion(path: str, kind: str) -> str:
    """Return the command that makes of the file `path` one that is taken, beside it.

    It is for the shell, and never writes onto a file that is there.
    """
    if path.startswith("-") or (":" in path and not os.path.isabs(path)):
        path = os.path.join(os.curdir, path)  # else it is an option, or the name of a protocol
    stem, extension = os.path.splitext(path)[0], ".mp3" if kind == "recording" else ".png"
    target, number = stem + extension, 2
    while os.path.lexists(target):
        target, number = f"{stem}-{number}{extension}", number + 1
    if kind == "recording":
        return for_the_shell(["ffmpeg", "-i", path, target])
    return for_the_shell(["magick", f"{path}[0]", target])  # [0]: of several pictures the first


def read_bytes(path: str, limit: int) -> bytes:
    """Return at most `limit` bytes of the file `path`, "-" for stdin; raises `OSError`."""
    given = path != "-"
    data = b""
    with open(path if given else 0, "rb", 0, closefd=given, opener=open_at_once) as file:
        if file.isatty():
            raise OSError("it is a terminal, and nothing here asks questions")
        read = file.read if file.seekable() else functools.partial(read_in_time, file)
        while len(data) < limit:
            chunk = read(limit - len(data))
            if not chunk:
                break
            data += chunk
    return data


def open_at_once(path: str, flags: int) -> int:
    """Open as `os.open` does, but do not wait for a pipe's writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if os.name == "posix":
        os.set_blocking(descriptor, True)
    return descriptor


def read_in_time(file: "FileIO", limit: int) -> bytes:
    """Return what `file`, a pipe, has next; raises `OSError` when it is silent for too long."""
    import threading

    came: list[bytes] = []

    def read() -> None:
        came.append(file.read(limit) or b"")

    # A thread, since Windows can wait for sockets only. It is left behind when nothing comes.
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(SILENCE)
    if not came:
        raise OSError(f"nothing has come for {SILENCE} seconds")
    return came[0]


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
    raise OSError(code, os.strerror(code), path)


def write_json(path: str, document: object, sync: bool = False) -> None:
    """Replace the file `path` whole by `document`, making its folder; raises `OSError`."""
    replace_file(path, [json.dumps(document, indent=2).encode(), b"\n"], sync)


def replace_file(path: str, chunks: "Iterable[bytes]", sync: bool = False) -> None:
    """Replace the file `path` whole by `chunks`, making its folder; raises `OSError`.

    Whoever reads it sees the old file or the new one, whatever happens to this process. With
    `sync` it is on the disk on return.
    """
    temporary = ""
    try:
        target = check_writable(path)
        folder = os.path.dirname(target)
        os.makedirs(folder, exist_ok=True)
        temporary = os.path.join(folder, temporary_name())
        with open(temporary, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            if sync:
                file.flush()
                if_offered(os.fsync, file.fileno())
        if os.path.exists(target):
            if_offered(os.chmod, temporary, os.stat(target).st_mode & 0o777)
        move(temporary, target)
        if sync:
            if_offered(sync_folder, folder)
    except BaseException as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = path  # what was asked for, not the temporary file on the way
        raise


TEMPORARY_NAME = r"\.emo-\d+-[0-9a-f]+\.tmp"  # what the next function returns


def temporary_name() -> str:
    """Return a name that no other process uses, and by which what a kill left behind is known."""
    return f".emo-{os.getpid()}-{os.urandom(4).hex()}.tmp"


def move(source: str, target: str) -> None:
    """Rename a file to `target`, in place of what is there; raises `OSError`."""
    for _ in range(20 if os.name == "nt" else 0):
        try:
            return os.replace(source, target)
        except PermissionError:  # on Windows, as long as another process has it open
            sleep(0.05)
    return os.replace(source, target)


NOT_OFFERED = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def if_offered(call: "Callable[..., object]", *arguments: "Any") -> None:
    """Call what some file systems do not offer (CIFS, FUSE) and a file can do without."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise


def sync_folder(folder: str) -> None:
    """Bring a folder's names to the disk; raises `OSError`. Windows cannot open folders."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- 6. Commands: one function each --------------------------------------------------------------


def prepare(values: "Values", report: Report) -> None:
    """Check everything a generation needs and write its request."""
    answer = None
    if "detection" in values:
        if "face_bbox" in values or "ext_bbox" in values:
            message = "it gives both boxes, and a box option is there as well"
            report.error("detection", message, "Leave out --face-bbox and --ext-bbox.")
        answer = report.check(read_json, "detection", values["detection"])
    files = look_at_files(values, report)
    request = generation_request(values, files, answer, time(), report)
    path = report.check(output_path, values, evidence_path("request.json"))
    if report.errors or not request or not path:
        return
    ratio = ratio_of(request["input"]["ext_bbox"]) or ""
    write_request(path, request, values, report)
    report.facts.update(
        model=request["model"],
        ratio=ratio,
        video_size=VIDEO_SIZES[ratio],
        style_level=request["parameters"]["style_level"],
        face_bbox=request["input"]["face_bbox"],
        ext_bbox=request["input"]["ext_bbox"],
        **media_facts(files),
    )
    if "audio_url" in files:
        report.facts["estimate"] = estimate(files["audio_url"].found.seconds, ratio)


def detect(values: "Values", report: Report) -> None:
    """Check everything a detection needs and write its request."""
    files = look_at_files(values, report)
    request = detection_request(values, files, time(), report)
    path = report.check(output_path, values, evidence_path("detect_request.json"))
    if report.errors or not request or not path:
        return
    ratio = request["parameters"]["ratio"]
    write_request(path, request, values, report)
    report.facts.update(model=request["model"], ratio=ratio, video_size=VIDEO_SIZES[ratio])
    report.facts.update(media_facts(files))


def media_facts(files: "Files") -> "Json":
    """Return what is told of local `files`, by the option that gave them."""
    facts = {}
    for field, file in files.items():
        found = file.found._asdict()
        found.pop("orientation", None)
        if "seconds" in found:
            found.update(seconds=round(found["seconds"], 2), bytes=file.size)
        facts[LOCAL[field]] = found
    return facts


def output_path(values: "Values", default: str) -> str:
    """Return the file to write; raises `Problem`."""
    path = values.get("output", default)
    if path == "-":
        raise Problem("output", "'-' is not a file", "--dry-run prints the request on stdout.")
    return check_given("output", path, "the file to write, or leave --output out")


def check_other_file(path: str, given: "Iterable[str]") -> None:
    """Raise `Problem` where `path`, which is to be written, is one of the files `given`."""
    if os.path.realpath(path) in map(os.path.realpath, given):
        message = f"{quoted(path)} is one of the files that are given"
        raise Problem("output", message, "Name another file.")


def write_request(path: str, request: "Json", values: "Values", report: Report) -> None:
    """Write `request`, or only make sure of the path for --dry-run; raises `OSError`, `Problem`."""
    given = [values[name] for name in ("image", "audio", "detection") if name in values]
    check_other_file(path, given)
    if "dry_run" in values:
        check_writable(path)
        report.facts.update(request_path=None, request=request)
        report.done = "all is well; nothing was written"
    else:
        write_json(path, request)
        report.facts.update(request_path=path)
        costs = "; to run it costs money" if "audio_url" in request["input"] else ""
        report.done = f"{printable(path, 200)} is written{costs}"
        report.next = (neighbour("run_emo_request.py"), path)


def neighbour(name: str) -> str:
    """Return the path of the program `name` beside this file."""
    return os.path.join(os.path.dirname(__file__), name)


# --- 7. Command line -----------------------------------------------------------------------------

EXIT_CODES = {
    0: "done (with --dry-run: would be)",
    1: "the file system refused: no permission, disk full, the path is a folder",
    2: "the input is wrong; nothing was written",
    130: "interrupted",
}


# A program is its commands (name, or "" for the only one: function, what it does, an example), its
# options (field, "file" without --: commands, metavar, "" for a flag, help) and its exit codes.
PREPARE: "Program" = (
    {
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
    },
    {
        "image": ("prepare detect", "FILE", "the portrait: jpg, jpeg, png, bmp or webp"),
        "audio": ("prepare", "FILE", "the speech: wav or mp3, < 15 MB, < 60 s"),
        "image_url": ("prepare detect", "URL", "the portrait's public link, instead of --image"),
        "audio_url": ("prepare", "URL", "the speech's public link, instead of --audio"),
        "face_bbox": ("prepare", "X1,Y1,X2,Y2", "the face, from the detection answer"),
        "ext_bbox": ("prepare", "X1,Y1,X2,Y2", "the region that moves, from the same answer"),
        "detection": ("prepare", "FILE", "take both boxes from a saved answer; - is stdin"),
        "style_level": ("prepare", "LEVEL", "normal (the default), calm or active"),
        "ratio": ("detect", "RATIO", "1:1 for a head shot (the default), 3:4 for half body"),
        "model": ("prepare detect", "NAME", "the model of a dedicated deployment"),
        "output": ("prepare detect", "FILE", "write this file, not one in $OUTPUT_DIR/aliyun-emo"),
        "dry_run": ("prepare detect", "", "only check"),
    },
    EXIT_CODES,
)


# Its own words stay English: to look for a translation of them imports locale, at every start.
argparse._ = str  # type: ignore[attr-defined]


class Parser(argparse.ArgumentParser):
    """argparse, but what it finds wrong is a `Problem` like any other."""

    def error(self, message: str) -> "NoReturn":
        raise Problem("arguments", printable(message, 200), f"See {self.prog} --help.")


def build_parser(program: "Program", command: str, fields: "Sequence[str]") -> Parser:
    """Return the parser of a `command` of `program`, whose options give `fields`."""
    all_commands, options, exit_codes = program
    _, what, example = all_commands[command]
    lines = [f"  {name:9}{what}" for name, (_, what, _) in all_commands.items() if name]
    commands = "\n\ncommands:\n" + "\n".join(lines) if lines else ""
    word = "[prepare] " if command == "prepare" else command and command + " "
    sizes = ", ".join(f"{ratio} gives {size}" for ratio, size in VIDEO_SIZES.items())
    codes = "\n".join(f"  {code}  {meaning}" for code, meaning in sorted(exit_codes.items()))
    parser = Parser(
        usage=f"%(prog)s {word}[options]{' [FILE]' if 'file' in fields else ''}",
        description=f"{what[0].upper()}{what[1:]}.{commands}",
        epilog=f"video size by ratio: {sizes}\n\nexample:\n  %(prog)s {example}\n\n"
        f"exit codes:\n{codes}",
        # Without a width argparse asks shutil for it, at every option, and that imports a lot.
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, width=96),
        allow_abbrev=False,
    )
    for field in fields:
        _, metavar, text = options[field]
        if field == "file":
            parser.add_argument(field, metavar=metavar, nargs="?", help=text)
        elif metavar:
            parser.add_argument(option(field), metavar=metavar, help=text)
        else:
            parser.add_argument(option(field), action="store_true", default=None, help=text)
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    return parser


def parse(program: "Program", arguments: "Sequence[str]", report: Report) -> "tuple[str, Values]":
    """Return the command and the values of its options, without white space around them.

    Only the name of a local file may have it there. Raises `Problem` when there is no such
    command, and `SystemExit` after --help and --version.
    """
    commands, options, _ = program
    command = next(iter(commands))
    if command and arguments and not arguments[0].startswith("-"):
        command, *arguments = arguments
    if command not in commands:
        hint = f"The first word is {' or '.join(commands)}, or an option: see --help."
        if command in ("submit", "wait"):
            hint = "Use run_emo_request.py FILE, the program beside this one."
        raise Problem("arguments", f"{shown(command)} is not a command", hint)
    fields = [name for name, (names, _, _) in options.items() if command in names]
    report.options = [field for field in fields if field != "file"]
    words = joined(options, arguments, report)
    parsed_words, unknown = build_parser(program, command, fields).parse_known_args(words)
    report_unknown(unknown, options, report)
    values = {
        field: str(value) if field in LOCAL.values() else str(value).strip()
        for field, value in vars(parsed_words).items()
        if value is not None
    }
    return command, values


def joined(options: "Options", arguments: "Sequence[str]", report: Report) -> "list[str]":
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
        takes_value = name in fields and options[fields[name]][1] != ""
        if takes_value and not equals:
            after = waiting[0] if waiting else "-h"
            is_option = after == "-h" or (after.startswith("--") and after[2:3].isalpha())
            word += "=" + ("" if is_option else waiting.pop(0))
        if fields.get(name) in BOX_FIELDS:
            while waiting and (waiting[0][:1] != "-" or waiting[0][1:2].isdigit()):
                word += " " + waiting.pop(0)
        elif name in fields and equals and not takes_value:
            report.error(fields[name], "takes no value", f"Write {name} alone.")
            continue
        words.append(word)
    return words


def report_unknown(words: "Sequence[str]", options: "Options", report: Report) -> None:
    """Report the `words` that no option takes: options, or else what belongs to none.

    `options` are those of all commands. What follows an unknown option may be its value, and a
    secret, so it is not shown.
    """
    names = [option(field) for field in report.options]
    for word in [word for word in words if word.startswith("-")] or words:
        import difflib

        name = word.partition("=")[0]
        close = difflib.get_close_matches(name.lower().replace("_", "-"), names, 1)
        hint = f"Did you mean {close[0]}?" if close else f"The options are {', '.join(names)}."
        for other, (commands, _, _) in options.items():
            if commands and option(other) == name:  # of another one, since it is unknown here
                hint = f"It is an option of {commands}."
        report.error("arguments", f"{shown(name)} is not an option here", hint)


def run(program: "Program", arguments: "Sequence[str]", report: Report) -> "tuple[int, Json]":
    """Carry out a command line; return the exit code and the line for stdout."""
    try:
        command, values = parse(program, arguments, report)
        program[0][command][0](values, report)
    except Problem as problem:
        report.errors.append(problem)
    except OSError as error:
        place = shown(str(error.filename or os.curdir))
        message = f"{place} cannot be written: {error.strerror or error}"
        hint = "Make room, ask for permission, or choose another place (--output, OUTPUT_DIR)."
        report.errors.append(Problem("output", message, hint, 1))
    except KeyboardInterrupt as interrupt:
        code = interrupt.args[0] if interrupt.args else 130
        report.errors.append(Problem("arguments", "interrupted", report.way_on, code))
    except Exception as error:
        message = f"a fault of this program: {type(error).__name__}"
        hint = "Everything so far is on disk. Tell its makers, with the command that led to it."
        report.errors.append(Problem("internal", message, hint, 1))
    if report.errors:
        line = {"ok": False, "errors": as_json(report.errors), **report.facts}
        if "task_id" in line:
            line["warnings"] = as_json(report.warnings)
        return max(p.code for p in report.errors), line
    return 0, {"ok": True, **report.facts, "warnings": as_json(report.warnings)}


def as_json(found: "Sequence[Problem]") -> "list[Values]":
    return [{"field": p.field, "message": p.message, "hint": p.hint} for p in found]


def tell(report: Report) -> None:
    """Write what was found to stderr, a line each, for people, and at a terminal what was done."""
    for p in report.errors or report.warnings:
        kind = "error" if report.errors else "warning"
        label = option(p.field) if p.field in report.options else p.field
        stop = "" if p.message.endswith(("?", ".")) else "."
        print(f"{kind}: {label}: {p.message}{stop} {p.hint}", file=sys.stderr)
    if report.done and not report.errors and sys.stderr.isatty():
        print(report.done, file=sys.stderr)
        if report.next:
            print(f"next: {for_the_shell([sys.executable, *report.next])}", file=sys.stderr)


def run_command_line(program: "Program", argv: "Sequence[str] | None") -> int:
    """Run the command line `argv`, by default this process's; return the exit code."""
    report = Report()
    try:
        try:
            code, line = run(program, sys.argv[1:] if argv is None else argv, report)
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


def main(argv: "Sequence[str] | None" = None) -> int:
    return run_command_line(PREPARE, argv)


def script() -> "NoReturn":
    """Run this process's command line and end the process."""
    code = main()
    os._exit(code)  # all is written by now, and Python's clean-up takes longer than the work did


if __name__ == "__main__":
    script()
