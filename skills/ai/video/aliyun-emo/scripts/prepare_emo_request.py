#!/usr/bin/env python3
"""Check what EMO of Alibaba Cloud Model Studio needs for a video, and write its request.

What the service would refuse is refused here, all of it at once, and nothing is written.

The boxes come from a detection, which "detect" prepares in the same way. --image, --audio and
--detection need the package aliyun_emo, beside this file. Nothing here opens a socket:
run_emo_request.py runs what was prepared. Stdout is one line of JSON, stderr the same for people.
"""

if __name__ == "__main__":
    import gc

    gc.disable()  # a run this short leaves nothing to collect; those who import this run long

import argparse
import errno
import functools
import json
import os
import re
import sys
from time import gmtime, strftime, time

# Started as a script, this is the module that the parts import as well, not a second one.
sys.modules.setdefault("prepare_emo_request", sys.modules[__name__])

# For a type checker alone, and in quotes below: typing and __future__ are slow to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any, NoReturn, Optional, TypeVar

    from aliyun_emo.local_files import LocalFile

    Value = TypeVar("Value")
    Json = dict[str, Any]  # a JSON object
    Request = Optional[Json]  # None where something is wrong with it
    Rule = Callable[..., Request]
    Text = Optional[str]  # None where it was not given, or is wrong
    Box = list[int]  # [x1, y1, x2, y2], its top-left and bottom-right corner in whole pixels
    Values = dict[str, str]  # what was given, by field
    Words = Sequence[str]  # of a command line
    Parser = argparse.ArgumentParser
    Boxes = Optional[tuple[Box, Box]]  # face_bbox and ext_bbox, or None where they are wrong
    Options = dict[str, tuple[str, str, str]]
    Program = tuple[Mapping[str, tuple[Callable[..., None], str, str]], Options, dict[int, str]]
    Files = dict[str, "LocalFile | None"]  # by the link's field; None for one that is wrong
    Place = Callable[[str, str], object]  # puts a temporary file in the place of its target

# --- 1. Contract: the facts of the service ------------------------------------------------------

VERSION = "1.0.0"

GENERATION_MODEL = "emo-v1"
DETECTION_MODEL = "emo-v1-detect"  # the skill's normalized name
DETECTION_MODEL_ON_WIRE = "emo-detect-v1"

MODEL_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:")
VIDEO_SIZES = {"1:1": "512x512", "3:4": "512x704"}  # ratio of ext_bbox: width x height in pixels
STYLE_LEVELS = ("normal", "calm", "active")  # the first is the default, as it is of the ratios
MIN_SIDE, MAX_SIDE = 400, 7000  # pixels of the original image
PRICES, PRICES_OF = {"1:1": 0.08, "3:4": 0.16}, "2026-05-30"  # CNY a second of video, read then

FORMATS = {"image_url": "jpg jpeg png bmp webp".split(), "audio_url": "wav mp3".split()}
# Extensions that name a medium the service does not take, by the field they were meant for.
OTHER_FORMATS = {
    "image_url": "gif tif tiff svg heic heif avif jfif jxl ico psd eps".split(),
    "audio_url": "m4a flac ogg oga opus aac wma amr aif aiff mid midi caf".split(),
    "": "mp4 m4v mov avi mkv webm wmv flv mpg mpeg 3gp ogv pdf".split(),
}
KINDS = {"image_url": "picture", "audio_url": "recording"}
LOCAL = {"image_url": "image", "audio_url": "audio"}  # the field of a local file in a link's place

# What converts a picture or a film on the way: Alibaba OSS, Volcano TOS; Qiniu, Tencent COS.
CONVERSION = r"(^|[&|])(x-(oss|tos|image)-process=(image/([^&]*/)?format,|video/snapshot,([^&]*,)?"
CONVERSION += r"f_)|image(Mogr2|View2)/([^&]*/)?format/|vframe/|fm=|output=)(jpe?g|png|bmp|webp)\b"
# Pages that show a file, by host: their path, what of a query gives the file itself, the hint.
RAW = "Give the raw link, behind Raw or Download there."
FORGE = (r"(/datasets|/spaces)?/[^/]+/[^/]+/(([^/]+/)*-/)?blob/", "raw=true|raw=1", RAW)
DRIVE = ("/", "", "Upload the file, for example to OSS, and give its public link.")
DRIVES = """pan.baidu.com www.alipan.com www.aliyundrive.com 1drv.ms pan.quark.cn www.123pan.com
    www.123865.com www.123684.com www.123912.com docs.qq.com .weiyun.com cloud.189.cn caiyun.139.com
    pan.xunlei.com mega.nz we.tl .wetransfer.com www.icloud.com.cn www.icloud.com share.icloud.com
    photos.google.com photos.app.goo.gl www.youtube.com m.youtube.com music.youtube.com youtu.be
    .bilibili.com b23.tv .douyin.com v.kuaishou.com xhslink.com www.xiaohongshu.com y.music.163.com
    i.y.qq.com c6.y.qq.com open.spotify.com mp.weixin.qq.com x.com twitter.com www.instagram.com
    .lanzoup.com .lanzoui.com m.weibo.cn yun.baidu.com drive.uc.cn www.wenshushu.cn ibb.co
    postimg.cc www.pinterest.com .soundcloud.com suno.com vocaroo.com voca.ro oss.console.aliyun.com
    gofile.io mobile.twitter.com pin.it 115.com kuaishou.com""".split()
# Drives where files themselves are below a path: host and path by turns.
FILES = r""".feishu.cn (space/api|static-resource|aily/api)/ .larkoffice.com space/api/
    .larksuite.com (space/api|static-resource)/ y.qq.com music/(photo|common) tmpfiles.org dl/
    imgur.com download/|\w+\.\w+$ onedrive.live.com download music.163.com song/media/outer/
    alidocs.dingtalk.com core/api/ www.kdocs.cn api/ image.baidu.com search/down
    www.pexels.com (photo/.*)?download www.jianguoyun.com c/ weibo.com ajax/""".split()
PAGES = {  # www. counts as if it were not there; a dot and two labels for all hosts below them
    **dict.fromkeys(("github.com", "gitee.com", "gitlab.com", "huggingface.co"), FORGE),
    **dict.fromkeys(DRIVES, DRIVE),
    **{host: (f"/(?!{path})", *DRIVE[1:]) for host, path in zip(FILES[::2], FILES[1::2])},
    **dict.fromkeys(("download.wetransfer.com", "feeds.soundcloud.com"), ("$.", "", "")),  # files
    "drive.google.com": ("/(u/[0-9]+/|a/[^/]+/)?(file/|drive/|open|folderview)", *DRIVE[1:]),
    ".sharepoint.com": ("/:[a-z]:/", "download=1", DRIVE[2]),
    "www.google.com": ("/(imgres|search|url)", *DRIVE[1:]),
    **dict.fromkeys((".wikimedia.org", ".wikipedia.org"), ("/wiki/(?!Special:)", *DRIVE[1:])),
    "www.dropbox.com": ("/(?!s/(raw|dl)/)", "dl=1|raw=1", "End the link with dl=1."),
}

SOON = 3600  # seconds: a link that expires within these may not outlive the queue
LONGEST = 7 * 86400  # seconds for which a link can be signed with a date and a length


class Signer:
    """How the links of one signer show; names that begin with x- count in capitals, too."""

    # Where one of `own` stands, all of `own` and `beside` must, of "a|b" one; the first of them
    # begins as `begins` says. `end` names what tells the link's end, or its start and its length.

    def __init__(self, own: str, beside: str, end: str, begins: str = "") -> None:
        self.own, self.beside = own.split(), beside.split()
        self.end, _, self.length = end.partition(" ")
        self.begins = {(self.own + self.beside)[0]: begins}

    def has(self, name: str, values: "Values") -> bool:
        found = [values[one] for one in name.split("|") if values.get(one)]
        return bool(found and re.match(self.begins.get(name, ""), found[0]))

    def missing_in(self, values: "Values") -> "list[str] | None":
        """Return what the query of these `values` lacks, [] for nothing, None for another's."""
        missing = [name for name in self.own + self.beside if not self.has(name, values)]
        shows = any(n in values and (n not in missing or not self.begins.get(n)) for n in self.own)
        cut = self.own and len(values) == 1 and "" in map(values.get, "|".join(missing).split("|"))
        return missing if shows or cut or not missing else None


OSS, OSS_SIGNS = "x-oss-signature-version", "x-oss-signature x-oss-expires"
V4 = ("v-algorithm v-credential v-date v-expires", "v-signature", "v-date v-expires")
OLD = "OSSAccessKeyId AWSAccessKeyId GoogleAccessId".split()  # OSS V1, AWS V2, Google V2
SIGNERS = (
    *(Signer(own, "Signature Expires", "Expires") for own in OLD),
    Signer(OSS + " x-oss-access-key-id", OSS_SIGNS, "x-oss-expires", "OSS2"),  # Alibaba: V2, V4
    Signer(OSS + " x-oss-credential x-oss-date", OSS_SIGNS, "x-oss-date x-oss-expires", "OSS4-"),
    Signer("Key-Pair-Id", "Signature Expires|Policy", "Expires"),  # CloudFront
    *(Signer(*(words.replace("v-", v) for words in V4)) for v in ("x-amz-", "x-goog-", "x-tos-")),
    Signer("q-sign-algorithm q-ak q-sign-time", "q-signature", "q-sign-time"),  # Tencent COS
    Signer("sv", "sig se|si", "se", r"\d{4}-\d\d-\d\d$"),  # Azure SAS
    Signer("", "token e", "e", ".*:"),  # Qiniu
)
ANYBODY = Signer("Signature", "Expires", "Expires")  # whoever signs so, that is a Unix time
# What else belongs to a signature, on a link that is signed, and what to Azure's alone.
BESIDE_A_SIGNATURE = """security-token x-oss-security-token x-amz-security-token q-key-time
    x-tos-security-token x-cos-security-token x-amz-signedheaders x-goog-signedheaders q-header-list
    x-tos-signedheaders x-oss-signedheaders x-oss-additional-headers q-url-param-list""".split()
BESIDE_AZURE = "sp sr ss srt st sip spr skoid sktid skt ske sks skv".split()
# Names that mean nothing on the public internet (RFC 2606, 6761, 6762, 7686, 8375, 9476 and usage).
PRIVATE_NAMES = """localhost local localdomain internal lan corp home home.arpa
    test invalid example onion alt""".split()
LOOPBACK = r"localhost|::1|127\.[0-9.]+"  # this machine itself
# A cloud's own names, and groups for what of them stands in the public ones (see check_host).
INTERNAL = r"(\.[^.]+|^[^.]+(?=-internal\.aliyuncs))-internal(?=\.(?:[^.]+\.)*aliyuncs\.com$)|"
INTERNAL += r"((?:^|\.)cos)-internal(?=\.(?:[^.]+\.)*(?:tencentcos\.cn|myqcloud\.com)$)|"
INTERNAL += r"(^|\.)i(?=volces\.com$)"
# All but global unicast (IANA registries); is_global of the library differs between its versions.
NOT_PUBLIC = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 ::/3 4000::/2 8000::/1
    2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20""".split()
LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
QUOTES = "'\"`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u201f\u2039\u00b4\u300c\u300e\uff02\uff07"
CUT_HINT = "Put the link in quotes: without them a shell ends it at the first &."
SPANS = (*range(0x200B, 0x2010), *range(0x2014, 0x2070), *range(0x3001, 0x3020))
WIDE = "\u060c\u061f\xab\xbb\ufeff" + "".join(c for c in map(chr, SPANS) if not c.isalnum())
WIDE += "\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1e\uff1f\uff3b\uff3d\uff5d\uff5e\uff61\uff64"
MARKS = ".,;:!)]}<>\"'`*|~" + WIDE  # that end a sentence; check_link says when they count
BRACKETS = dict(zip(")]}>\uff09\u3011\u300b", "([{<\uff08\u3010\u300a"))  # opening, by closing one
MEDIA = "|".join(map("|".join, [*FORMATS.values(), *OTHER_FORMATS.values()]))
# What an API key or an AccessKey ID looks like; task-0123456789abcdef and sk-SK-Name.wav are none.
KEY = "((?<![a-z0-9])(?:sk[-\u2010-\u2015\u2212\uff0d](?!sk-|[a-z_-]+\\.(?:" + MEDIA + ")\\b)|LTAI)"
KEY += "|(?<!ta|ma|di|ri|de|du)sk-(?=[0-9a-f]{16}|\\.{3}))(?:[^\\s/'\"]|\\s+[0-9a-f]{8,})+"
KEY_HINT = "An API key goes into the variable DASHSCOPE_API_KEY, never into a command."
BEHIND_MEDIUM = rf"\.(?:{MEDIA})([{re.escape(MARKS)}\s_$\\-]+n?$|(?:&(?!amp;)\w\w+;|[])][({{]|"
BEHIND_MEDIUM += r"\[([/\d^]|ci)|\(htt).*|[?&;].{,99}(sig|xpir|token|usg)\w*=.*|(?!\uff08\d+\uff09)"
BEHIND_MEDIUM += rf"[([?{re.escape(MARKS)}]*([\"<>|`]|[^\x00-\x7f](?!.*\.(?:{MEDIA})$)).*)"
AS_A_SIGNATURE = r"[?&;](?=[\w.-]*(?:sig|token|credential|key|expires)[\w.-]*=|(?:ex|is|hm)=)"
ESCAPED_QUERY = r"^\?[\w-]*(sig|expires|token|keyid)[\w-]*%3D|%26\w*keyid(=|%3D)"
BEHIND_A_QUERY = r"</?[a-z].*|&(?!amp;)\w\w+;.*|(?<=\w)\[\d+]$|(?<![])}>\"'`.,;])[])}>\"'`.,;]+$"
# What a page or a shell makes of an & before a name and of a quote; how a second link begins.
ESCAPED = r"((?<!/)u0026|&(?:amp(?:;|%3[Bb]))+|&#(?:0*38|x0*26);|[\^`]&|"
ESCAPED += r"[\u00d7\u00ac\u00ae\u00a7\u00b6\u00a4\u00a9])[\w.-]+=|(&#x?[0-9A-Fa-f]{2,4};)"
SECOND = r"(?<=[^/=(:?@#])https?://|[,;][\w ]+:https?://|\]\(https?:|^https?://https?(?::|//)"

BOX_FIELDS = ("face_bbox", "ext_bbox")

# --- 2. Problems: what can be wrong, in the user's words ----------------------------------------


class Problem(Exception):
    """One thing that is wrong: its `field`, what it is, what to do, and the exit code."""

    def __init__(self, field: str, message: str, hint: str, code: int = 2) -> None:
        super().__init__(message)
        hint = without_keys(hint)
        if "..." in message and field != "service" and re.search(KEY, message, re.IGNORECASE):
            hint = (hint.replace(KEY_HINT, "") + " " + KEY_HINT).strip()
        self.field, self.message, self.hint, self.code = field, message, hint, code


class Report:
    """All that a run has to say: `errors` forbid to go on, `warnings` do not, `facts` are told."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.facts: Json = {}
        self.options: list[str] = []  # the fields that have an option in this run
        self.done = ""  # what a run without errors did, for people
        self.next: Sequence[Sequence[str]] = ()  # commands that come next: a program, its words
        self.told_so_far = 0  # how many of the warnings

    def error(self, field: str, message: str, hint: str, code: int = 2) -> None:
        self.errors.append(Problem(field, message, hint, code))

    def warn(self, field: str, message: str, hint: str) -> None:
        self.warnings.append(Problem(field, message, hint))

    def new_warnings(self) -> "list[Problem]":
        """Return the warnings that were not told yet; now they are."""
        new, self.told_so_far = self.warnings[self.told_so_far :], len(self.warnings)
        return new

    def check(self, rule: "Callable[..., Value]", *arguments: "Any") -> "Value | None":
        """Return what `rule` does, or None; its `Problem` or `OSError` is kept by this report."""
        try:
            return rule(*arguments)
        except Problem as problem:
            self.errors.append(problem)
        except (OSError, UnicodeEncodeError) as error:  # PyPy has no way to name some files
            place, fault = getattr(error, "filename", 0) or ".", getattr(error, "strerror", 0)
            hint = "Make room, ask for permission, or name a file with --output."
            if "aliyun-emo" in str(place):  # where no task can be read none is known
                hint = "Make room, or get access. In another OUTPUT_DIR nothing paid here counts."
            if self.facts.get("state"):  # there is a task
                hint = str(explained("follow", "kept_hint", self.facts))
            message = shown_link(str(place)) + " cannot be written: " + str(fault or error)
            self.error("output", message, hint, 1)
        return None


def shown_link(value: str, limit: int = 120) -> str:
    """Return `value` in quotes as a message may show it: of a link no signature, no password."""
    start = value[:1000]  # more is never shown, and may be a megabyte
    query = r"[?#\uff1f\uff03\uff06]|%(?:25)*(?:3f|26)|\\\w*3f|[&;]([\w.-]+=|amp;)|\s(-\S|[\w.-]+=)"
    head = re.split(query, start, maxsplit=1, flags=re.IGNORECASE)[0]
    cut = "" if head == start else "?..." if head else start[:1] + "..."
    named = r"^[^@]*https?://[\w.-]+(:\d+)?/[^:@]*@[^@]*$|^[^:@/]*@[^@]*$"  # before it, no user's
    if "@" in value and not re.search(named, start, re.IGNORECASE):
        host = head.rpartition("@")[2] if "@" in head else ""
        head = re.findall("^[a-z]*://|^", head, re.IGNORECASE)[0] + "...@" + host
    return "'" + printable(head, limit) + cut + "'"


def shown_path(path: str) -> str:
    """Return a `path` of this machine in quotes as a message may show it, without a signature."""
    start = re.split(AS_A_SIGNATURE, path, maxsplit=1, flags=re.IGNORECASE)[0]
    return "'" + printable(start, 200) + ("" if start == path else "?...") + "'"


def printable(text: str, limit: int) -> str:
    """Return at most `limit` characters of `text`, no key, what would move a cursor as escapes."""
    cut = without_keys(text if len(text) <= limit else text[:limit] + "...")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def without_keys(text: str) -> str:
    """Return `text`, of what looks like a key only its beginning."""
    found = "sk" in (lower := text.lower()) or "ltai" in lower
    return re.sub(KEY, r"\1...", text, flags=re.IGNORECASE) if found else text


def option(field: str) -> str:
    """Return the option that gives `field`: "--ext-bbox" for "ext_bbox"."""
    return "--" + field.replace("_", "-")


# --- 3. Choices and boxes: text in, value or problems out -----------------------------------------


def check_given(field: str, text: "Text", hint: str) -> str:
    """Return `text`; raises `Problem` where it is missing, empty, or not valid Unicode."""
    if not text:
        raise Problem(field, "is missing" if text is None else "has no value", hint)
    if any("\ud800" <= character <= "\udfff" for character in text):  # what os.fsdecode() makes
        raise text_problem(field, text, "is not valid UTF-8", hint)
    return text


def text_problem(field: str, text: str, fault: str, hint: str) -> Problem:
    """Return the problem that `text`, given for `field`, has a `fault`: "is not known"."""
    return Problem(field, shown_link(text) + " " + fault, hint)


def check_choice(field: str, values: "Values", choices: "Collection[str]") -> str:
    """Return the `field` of `values`, by default the first of `choices`; raises `Problem`."""
    hint = "Give one of " + ", ".join(choices) + "."
    text = check_given(field, values.get(field, next(iter(choices))), hint)
    if text in choices:
        return text
    raise text_problem(field, text, "is not known", hint)


def check_model(values: "Values", stage: str, default: str, others: "Sequence[str]") -> str:
    hint = "Give a model for " + stage + ", or leave --model out."
    text = check_given("model", values.get("model", default), hint)
    if text in others:
        raise text_problem("model", text, "is not for " + stage, hint)
    if not MODEL_CHARACTERS.issuperset(text) or without_keys(text) != text:
        fault = "is not a model name: letters, digits and . _ - / :"
        raise text_problem("model", text, fault, hint)
    return text


def parse_box(field: str, text: "Text") -> "Box":
    """Return the box in `text`, four numbers, with or without brackets around; raises `Problem`."""
    hint = "Copy " + field + " from the detection answer unchanged: x1,y1,x2,y2."
    text = check_given(field, text, "Give " + option(field) + " x1,y1,x2,y2, or --detection FILE.")
    inner = text[1:-1] if text[0] + text[-1] in ("[]", "()") else text
    numbers = [n for part in inner.split(",") for n in re.findall("[^ \t\r\n]+", part) or [""]]
    if len(numbers) != 4:
        raise text_problem(field, text, "is not four numbers with commas between", hint)
    if bad := ", ".join(shown_link(number) for number in numbers if not is_pixel(number)):
        raise Problem(field, bad + ": not a whole number from 0 to " + str(MAX_SIDE), hint)
    x1, y1, x2, y2 = box = [int(number) for number in numbers]
    if x1 >= x2 or y1 >= y2:
        fault = "has no area: x1 must be less than x2, and y1 less than y2"
        raise Problem(field, str(box) + " " + fault, hint)
    return box


def is_pixel(text: str) -> bool:
    """Whether `text` is a plain whole number up to `MAX_SIDE`; int() also takes 1_0, +3 and 03."""
    return is_number(text) and len(text) < 9 and text == str(int(text)) and int(text) <= MAX_SIDE


def size_of(box: "Sequence[int]") -> "tuple[int, int]":
    """Return width and height of `box` in pixels."""
    return box[2] - box[0], box[3] - box[1]


def has_ratio(box: "Sequence[int]", ratio: str) -> bool:
    """Whether `box` has the `ratio` "p:q", but for its corners being whole pixels."""
    # A side may be one off, which moves w*q - h*p by p + q at most. The service's 546x545 is 1:1.
    width, height = size_of(box)
    p, q = map(int, ratio.split(":"))
    return abs(width * q - height * p) <= p + q


def ratio_of(box: "Sequence[int]") -> "str | None":
    """Return the service's ratio, "1:1" or "3:4", that `box` has, or None."""
    return next((ratio for ratio in VIDEO_SIZES if has_ratio(box, ratio)), None)


APART = "the face box and ext_bbox are apart; in every answer it lies inside"
AROUND = "the face box contains ext_bbox; in every answer it lies inside: swapped?"


def check_boxes(face: "Text", ext: "Text", report: Report) -> "Boxes":
    """Return `face_bbox` and `ext_bbox`, or None when something is wrong with them."""
    before = len(report.errors)
    face_bbox = report.check(parse_box, "face_bbox", face)
    ext_bbox = report.check(parse_box, "ext_bbox", ext)
    if ext_bbox and not ratio_of(ext_bbox):
        from math import gcd

        width, height = size_of(ext_bbox)
        its = f"{width // gcd(width, height)}:{height // gcd(width, height)}"
        message = f"{width}x{height} is {its}; the service takes {' or '.join(VIDEO_SIZES)}"
        report.error("ext_bbox", message, "Copy ext_bbox from the detection answer unchanged.")
    if not face_bbox or not ext_bbox:
        return None
    hint = "Copy both boxes from one detection answer unchanged."
    shared = [*map(max, face_bbox[:2], ext_bbox[:2]), *map(min, face_bbox[2:], ext_bbox[2:])]
    if shared[0] >= shared[2] or shared[1] >= shared[3]:
        report.error("face_bbox", APART, hint)
    elif shared == ext_bbox:
        report.error("face_bbox", AROUND, hint)
    elif shared != face_bbox:
        report.warn("face_bbox", "the face box sticks out of ext_bbox", hint)
    return (face_bbox, ext_bbox) if len(report.errors) == before else None


# --- 4. Signatures: what a link's query says of its signer ----------------------------------------


def unescaped(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


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


def signing_names(values: "Values") -> "set[str]":
    """Return the names that belong to the signatures of a query of these `values`, if any."""
    names: set[str] = set()
    for signer in SIGNERS:
        if signer.missing_in(values) == []:
            names.update("|".join(signer.own + signer.beside).split("|"))
            names.update(BESIDE_AZURE if "sig" in names else BESIDE_A_SIGNATURE)
    return names


def check_signature(field: str, query: str) -> None:
    cut = rf"[?&]([\w-]*(\.\.\.|=\.\.\.(&|$))|\w*(id|v)=[^&]*\.\.\.)|{AS_A_SIGNATURE}[^&]*\.\.\."
    if re.search(cut, query.rstrip("\u2026").replace("\u2026", "..."), re.I):
        raise Problem(field, "the query of the link is cut: it has ... in it", "Copy it whole.")
    values = query_values(query)
    own = signing_names(values).union(n for n in values if re.search("(?i)sig|credential|token", n))
    told = [values.get(name, "") for name in own - {"si", "q-url-param-list"}]  # but free texts
    is_twice = "://" not in unescaped(query) and re.search(ESCAPED_QUERY, query, re.I)
    if is_twice or any(re.search("%[0-9A-Fa-f]{2}", v) and v[:6] != "q-sign" for v in told):
        hint = "Take the link from where it was signed, as it is there."
        raise Problem(field, "the query of the link was escaped once too often", hint)
    for signer in SIGNERS:
        if missing := signer.missing_in(values):
            message = "the link has lost its end: its query has no " + " and no ".join(missing)
            raise Problem(field, message, CUT_HINT)
        length = seconds(values.get(signer.length, "")) if missing == [] else None
        if signer.length and length and length > LONGEST:
            message = f"the link was signed for {length} seconds; its host allows {LONGEST} at most"
            raise Problem(field, message, "Sign it anew, for a day.")


def check_age(field: str, query: str, now: float, report: Report) -> None:
    expiry = expiry_of(query)
    if expiry is not None and expiry <= now:
        report.error(field, "the link expired at " + utc(expiry), "Sign it anew, or get a new one.")
    elif expiry is not None and expiry <= now + SOON:
        message = f"the link expires at {utc(expiry)}; the service may fetch it later than that"
        report.warn(field, message, "Sign it anew, for a day.")
    if cut := re.match(r"\?(Expires|sp|[\w-]*ecurity-[Tt]oken)=(\d{10}|r\w?|[^&=]{40,}=*)$", query):
        report.warn(field, f"the link may have lost its end: its query is {cut[1]} alone", CUT_HINT)


def expiry_of(query: str) -> "int | None":
    """Return the second since 1970 at which a signed link with `query` stops working, or None."""
    values = {**query_values(query), "": "0"}  # 0 s where a signer names no length
    moments = []
    for signer in [s for s in (*SIGNERS, ANYBODY) if s.missing_in(values) == []]:
        read = instant if signer.length or signer.end == "se" else seconds  # se: Azure's date
        moment = read(values.get(signer.end, "").rpartition(";")[2])  # COS: start;end
        length = seconds(values[signer.length])
        if moment is not None and length is not None:
            moments.append(moment + length)
    return min(moments, default=None)


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

    year, month, day, hour, minute, second = map(int, found.groups("0"))
    try:
        return int(datetime(year, month, day, hour, minute, second, 0, timezone.utc).timestamp())
    except ValueError:  # the thirteenth month: not a time, so nothing is known of the expiry
        return None


def utc(moment: int) -> str:
    """Return the second since 1970 as "2026-01-01T00:00:00Z"."""
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(max(moment, 0)))  # Windows has no time before


# --- 5. Hosts: which are on the public internet ---------------------------------------------------


def check_host(field: str, host: str) -> str:
    """Return the public `host` in lower case; raises `Problem`."""
    if not host or "..." in host.replace("\u2026", "..."):
        fault = "the link is cut: it has ... in it" if host else "the link has no host"
        raise Problem(field, fault, "Copy it whole: https://, the host, the path.")
    if len(host) > 253:
        raise Problem(field, "the host is longer than 253 characters", "Correct the host.")
    if not host.isascii():
        hint = explained("links", "ascii_hint", field, host) or "Give the host in its xn-- form."
        raise host_problem(field, host, "is not ASCII", hint)
    name = host.lower().removesuffix(".")  # the dot of the root, as in "example.com."
    labels = name.split(".")
    if host[0] == "[" or labels[-1][:1].isdigit():
        return check_address(field, name)
    for label in labels:
        inner = label.strip("-") == label and LABEL_CHARACTERS.issuperset(label)
        if not inner or not 0 < len(label) < 64:
            fault = f"has the label {shown_link(label)}; one has 1 to 63 letters, digits, _ and -"
            raise host_problem(field, host, fault, "Correct the host.")
    if len(labels) == 1:
        raise host_problem(field, host, "has no dot: a name of this machine or network")
    if suffix := next((s for s in PRIVATE_NAMES if ("." + name).endswith("." + s)), ""):
        raise host_problem(field, host, "is private: ." + suffix + " is not on the internet")
    public = re.sub(INTERNAL, r"\1\2\3", name) if "internal" in name or "ivolces" in name else name
    if public != name:
        fault = "is an internal endpoint: only its own cloud reaches it"
        raise host_problem(field, host, fault, "Give the link with " + public + " for the host.")
    return host.lower()


def host_problem(field: str, host: str, fault: str, hint: str = "") -> Problem:
    """Return the problem that a `host` has a `fault`: without a `hint`, that it is not public."""
    public = "Give a link that works from the public internet: the service downloads it from there."
    return Problem(field, "the host " + shown_link(host) + " " + fault, hint or public)


def check_address(field: str, host: str) -> str:
    """Return `host`, an address of IPv6 in brackets or of IPv4 in decimals; raises `Problem`."""
    from ipaddress import IPv4Address, IPv6Address, ip_network

    version = 6 if host[0] == "[" else 4
    try:
        address = IPv6Address(host[1:-1].replace("%", "-")) if version == 6 else IPv4Address(host)
    except ValueError:
        fault = "is no IPv" + str(version) + " address"
        raise host_problem(field, host, fault, "Correct the host.") from None
    if any(address in ip_network(block) for block in NOT_PUBLIC):
        raise host_problem(field, host, f"is the address {address}, which is not public")
    return host


# --- 6. Paths and ends of links: pages, media, sentences ------------------------------------------


def check_page(field: str, host: str, path: str, query: str) -> None:
    names = host, "www." + host, host.removeprefix("www."), "." + ".".join(host.split(".")[-2:])
    page = next(filter(None, map(PAGES.get, names)), None)
    pattern, file_itself, hint = page or ("", "", "Give the link of the file itself.")
    shows = pattern and re.match(pattern, path or "/")
    direct = shows and file_itself and re.search("[?&](" + file_itself + ")(\\W|$)", query)
    if not direct and (shows or path.lower().endswith((".html", ".htm"))):
        message = f"{shown_link(f'https://{host}{path}')} is a page, not the {KINDS[field]} itself"
        raise Problem(field, message, hint)


def check_format(field: str, path: str, query: str) -> None:
    """Raise `Problem` for an extension, if it names a medium, that the service does not take."""
    name = unescaped(path.rpartition("/")[2])
    extension = name.rpartition(".")[2].strip().lower() if "." in name else ""
    asked = query[1:] if field == "image_url" else ""  # no query makes a recording of a picture
    if extension in FORMATS[field] or (asked and re.search(CONVERSION, unescaped(asked), re.I)):
        return
    for other, kind in KINDS.items():
        if other != field and extension in FORMATS[other] + OTHER_FORMATS[other]:
            message = f"the link is of a {kind} (.{extension}), not of a {KINDS[field]}: swapped?"
            raise Problem(field, message, "Exchange the two links.")
    if extension in OTHER_FORMATS[field] + OTHER_FORMATS[""]:
        message = "." + extension + " is not taken; the service takes " + ", ".join(FORMATS[field])
        raise Problem(field, message, "Convert the " + KINDS[field] + " and upload it anew.")


def without_marks(text: str) -> str:
    """Return `text` without the marks at its end; a bracket whose other one is in it stays."""
    for _ in range(100):  # nobody writes more of them, and a megabyte takes long
        if (m := text[-1:]) not in MARKS or text.count(m) <= text.count(BRACKETS.get(m, "\n")):
            break
        text = text[:-1]
    return text


def check_end(field: str, text: str, path: str, query: str) -> None:
    """Raise `Problem` where `text` ends with what is not the link's, or is cut by dots."""
    # In turn: wide marks behind ASCII or a medium; a signature; what it covers; a medium; others.
    end = re.search(rf"(?<![{WIDE}])[{WIDE}]+$|(?<=..\d|png|jpg|peg|%3D)[{WIDE}][^!-~]*$", text)
    before = text[: end.start()] if end else "\n"
    tail = end[0] if end and (before.isascii() or re.search(rf"\.({MEDIA})$", before, re.I)) else ""
    pair = query[1:].rpartition("&")[2]
    name, _, value = pair.partition("=")
    name, value, plain_path = parameter_name(name), unescaped(value), unescaped(path)
    signed = set() if name == "si" else signing_names(query_values(query))  # si is free text
    if name in signed:  # the signature's, or beside it: it ends where its alphabet does
        marks = MARKS.replace("~", "") if "Key-Pair-Id=" in query else MARKS  # CloudFront's have it
        lists = ";" if re.search("list|head|time", name) else ""
        whole = re.split(rf"[^\w+/=~.:@{lists}-]", value, flags=re.ASCII)[0].rstrip(marks)
        tail = value[len(whole) :] if not re.match("%[0-9A-Fa-f]{2}", value[len(whole) :]) else ""
    elif signed and not re.search(r"\.(?:" + MEDIA + r")(%22)?$|x\d+[!<>]$", pair, re.I):
        tail = pair[len(without_marks(re.split("[<" + WIDE + "]|^[^!-~]", pair)[0])) :]
    elif (bare := without_marks(text)) != text and re.search("[=/][0-9a-f-]{16,}$", bare, re.I):
        tail = tail or text[len(bare) :]
    elif not query[1:] and (found := re.search(rf'^((?!\.(?:{MEDIA})\b)[^"<`])*(["<`].*)', path)):
        tail = found[2]
    elif not query[1:] and (found := re.search(BEHIND_MEDIUM, plain_path, re.IGNORECASE)):
        before = plain_path[: found.start(1)]  # where a bracket that closes may have its other one
        is_end = found[1][0] not in MARKS or without_marks(before + found[1][0])[-1:] != found[1][0]
        is_end = is_end and not ("://" in before and found[1][0] in "?&;")  # a proxy's
        tail = found[1] if is_end else ""
    elif found := re.search(BEHIND_A_QUERY, re.sub(r"x\d+[!<>]$", "", query[1:] or path), re.I):
        stray = set(")]}>`") | {mark for mark in "\"'" if text.count(mark) % 2}
        tail = found[0] if found[0][0] in "<&[" or stray & set(text[len(bare) :]) else tail
    cut = re.search(rf"(\.(?:{MEDIA}))?(?<!\.)(?:\.{{3,}}|\u2026+)(/|[])}}>\"'`]*$)", path, re.I)
    if cut and not cut[1]:
        raise Problem(field, "the link is cut: it has ... in it", "Copy it whole.")
    if tail and path:
        mark = printable(tail[0], 1).strip() or "%20"
        hint = "Take its end away, from that " + mark + " on."
        ns = range(max(len(text) - 999, 0), len(text))  # where the tail begins, escaped or spaced
        its = next((text[:n] for n in ns if "".join(unescaped(text[n:]).split()) in (tail, "")), "")
        if its and not query[1:] and "\\" not in its:  # else the mark is escaped
            hint = f"Give {shown_link(without_marks(its.strip()), 999)}."
        elif tail.startswith(("...", "\u2026", "%")) or tail == pair.partition("=")[2]:
            hint = "Copy it whole: it may be cut there."
        fault = "ends with the " + mark + " of a sentence"
        if not query and re.match("[?&;][^=]+=", tail):
            fault, hint = "has its query in the path, escaped or without ?", "Copy it anew."
        raise text_problem(field, its + tail[0] if its else text, fault, hint)


def escaped(text: str) -> str:
    """Return `text` with only what is not ASCII escaped: a signature covers the rest as it is."""
    if text.isascii():
        return text
    from urllib.parse import quote

    return quote(text, safe="".join(map(chr, range(128))))


# --- 7. Links: what the service downloads from the public internet --------------------------------


def check_link(field: str, text: "Text", now: float, report: Report) -> "Text":
    """Return the normalized link, or None when it is wrong, but for its age at Unix time `now`."""
    before = len(report.errors)
    parts = report.check(split_link, field, text, now)
    if not text or not parts:
        return None
    scheme, userinfo, host, port, path, query, fragment = parts
    found = "" if is_plain(text) else next(filter(name_of, text), "")
    if found:
        message = f"{shown_link(text)} has {name_of(found)}, U+{ord(found):04X}, in it"
        hint = "Copy it alone, as one line: no words, JSON or shell. A space in a name is %20."
        report.error(field, message, hint)
    if userinfo:
        message = shown_link(text) + " has a user name or password before the host"
        report.error(field, message, "Give a link that works without, for example a signed one.")
    public_host = report.check(check_host, field, host)
    if port and not (is_number(port[1:]) and len(port) < 7 and 0 < int(port[1:]) < 65536):
        report.error(field, "the port is not a number from 1 to 65535", "Correct it, or drop it.")
    report.check(check_page, field, host.lower(), path, query)
    report.check(check_format, field, path, query)
    ends = path + "\n" + query[-1:]  # zsh marks a line without an end by %
    if "%" in ends and (bad := re.search("%(?![0-9A-Fa-f]{2}).{0,2}", ends)):
        message = "the link has a bad percent escape, " + shown_link(bad[0])
        hint = f"Give {shown_link(text[:-1], 999)}." if text[-1] == "%" else "Write % in it as %25."
        report.error(field, message, hint)
    elif text[-1] in MARKS + "?_$" or not text.isascii() or {*'%](|&<"'} & {*text} or "..." in path:
        report.check(check_end, field, text.rstrip("?"), path, query)
    if (query or fragment) and (mark := re.search(ESCAPED, path[-1:] + query + fragment)):
        its, of = (mark[1], "&") if mark[1] else (mark[2], "another character")
        message = "the link has " + its + " in it, which is how a web page or a shell writes " + of
        hint = "Copy the link itself" + (", or write & for it." if mark[1] else ".")
        report.error(field, message, hint)
    elif query and not found and query[1:5].lower() != "http":  # of a proxy: not its own signature
        report.check(check_signature, field, query)
    sound = len(report.errors) == before
    if query:
        check_age(field, query if sound else re.sub("&amp;|/?u0026", "&", query), now, report)
    if fragment:
        message = "the part from # on was dropped: no server ever gets it"
        report.warn(field, message, "Write a # of a file's name as %23.")
    return scheme + "://" + str(public_host) + port + escaped(path + query) if sound else None


def split_link(field: str, text: "Text", now: float) -> "tuple[str, ...]":
    """Return scheme, user info, host, port, path, query, fragment; raises `Problem` for no link."""
    # RFC 3986, appendix B. Optional ones keep their punctuation; what no link may hold is dropped.
    hint = "Give " + option(field) + " URL, a public link, or " + option(LOCAL[field]) + " FILE."
    text = check_given(field, text, hint)
    slashed = text.replace("\\/", "/").replace("\\", "/")
    link = text if is_plain(text) else "".join(c for c in slashed if not name_of(c))
    given, colon, rest = link.partition(":")
    scheme = given.lower()
    two = "http" in rest.lower() and re.search(SECOND, slashed, re.IGNORECASE)
    if not colon or scheme not in ("http", "https") or rest[:1] == "\uff0f" or two:
        plain = text_problem(field, text, "is no http or https link", hint)
        raise explained("links", "no_link", field, text, link, now) or plain
    rest, mark, fragment = rest.partition("#")
    rest, question, query = rest.partition("?")
    authority, slash, path = rest[2:].partition("/") if rest[:2] == "//" else ("", "", rest)
    userinfo, at, host = authority.rpartition("@")
    end = host.find(":", host.find("]") + 1)
    host, port = (host[:end], host[end:]) if end >= 0 else (host, "")
    return scheme, userinfo + at, host, port, slash + path, question + query, mark + fragment


def name_of(char: str) -> str:
    """Return in words what no link may hold, "" for a `char` that it may."""
    if char == "\\" or char.isspace():
        return "a backslash" if char == "\\" else "white space"
    from unicodedata import category

    return {"Cc": "a control character", "Cf": "an invisible character"}.get(category(char), "")


def is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def is_plain(text: str) -> bool:
    return is_visible_ascii(text) and "\\" not in text


# --- 8. Requests: from values to the JSON that is sent --------------------------------------------


def detection_request(values: "Values", files: "Files", now: float, report: Report) -> "Request":
    """Return the request of a detection, of an expired link too; local `files` stand for links."""
    image_url = link_of("image_url", values, files, now, report)
    ratio = report.check(check_choice, "ratio", values, VIDEO_SIZES)
    model = report.check(check_model, values, "a detection", DETECTION_MODEL, [GENERATION_MODEL])
    check_files(values, files, None, report)
    return request_with(model, {"image_url": image_url}, files, {"ratio": ratio})


def generation_request(values: "Values", files: "Files", now: float, report: Report) -> "Request":
    """Return the request of a generation (references/api.md); links as those of a detection."""
    given: Json = {field: link_of(field, values, files, now, report) for field in KINDS}
    if "detection" in values:
        answers = report.check(part, "detection_answers", "detection")
        boxes = answers and answers.saved_boxes(values, given["image_url"], files, report)
    else:
        boxes = check_boxes(values.get("face_bbox"), values.get("ext_bbox"), report)
    if boxes:
        report.facts["ratio"] = ratio_of(boxes[1])
    given.update(zip(BOX_FIELDS, boxes or (None, None)))
    style_level = report.check(check_choice, "style_level", values, STYLE_LEVELS)
    others = [DETECTION_MODEL, DETECTION_MODEL_ON_WIRE]
    model = report.check(check_model, values, "a generation", GENERATION_MODEL, others)
    check_files(values, files, boxes, report)
    return request_with(model, given, files, {"style_level": style_level})


def link_of(field: str, values: "Values", files: "Files", now: float, report: Report) -> "Text":
    """Return the link of a `field`, or that of the local file in its place; None if it is wrong."""
    if field in files:
        return file.url if (file := files[field]) else None
    return check_link(field, values.get(field), now, report)


def check_files(values: "Values", files: "Files", boxes: "Boxes", report: Report) -> None:
    """Report what is wrong with local `files`, in which all boxes that can be read must lie."""
    read = boxes or [Report().check(parse_box, name, values.get(name)) for name in BOX_FIELDS]
    for field, file in files.items():
        if file:
            file.check(LOCAL[field], [box for box in read if box], report)


def request_with(model: "Text", given: "Json", files: "Files", parameters: "Json") -> "Request":
    """Return the request with these values, or None where one of them is None."""
    if None in (model, *given.values(), *parameters.values()):
        return None
    digests = {field: file.digest for field, file in files.items() if file}
    beside = {"files": digests} if digests else {}
    return {"model": model, "input": given, **beside, "parameters": parameters}


# --- 9. Files: where evidence lives, how it is written; parts: the package beside this file -------


def evidence_path(name: str) -> str:
    """Return the path of the file `name` among the evidence; raises `Problem`."""
    folder = check_path("OUTPUT_DIR=", os.environ.get("OUTPUT_DIR", "").strip() or "output")
    if ".." in folder and not os.path.exists(folder):  # "x/../y" leads nowhere without x
        folder = os.path.realpath(folder)
    return os.path.join(folder, "aliyun-emo", name)


def check_path(name: str, path: str) -> str:
    """Return the `path` that `name` gives; raises `Problem` where a shell should have read it."""
    is_odd = set("~$%:") & set(path) and re.match(r"~[\w-]*([/\\]|$)|.*(://|\$|%.*%)", path)
    if is_odd or (path and path[0] in QUOTES and path[-1] in QUOTES):
        shown = shown_link(path) if "://" in path else shown_path(path)
        meant = os.path.expanduser(os.path.expandvars(path.strip(QUOTES)))
        hint = "Write the whole path" + f": {name}{shown_path(meant)}" * (meant != path) + "."
        raise Problem("output", name + shown + " is no path", hint)
    return path


def part(name: str, field: str) -> "Any":
    """Return the part `name` of the package beside this file, for a `field`; raises `Problem`."""
    from importlib import import_module

    try:
        return import_module("aliyun_emo." + name)
    except ImportError:
        message = "the folder aliyun_emo, which this option needs, is not beside this program"
        hint = "Copy the whole folder scripts, and start the program without -I."
        raise Problem(field, message, hint) from None


def explained(name: str, function: str, *arguments: "Any") -> "Any":
    """Return what a `function` of the part `name` says, None where that is not beside this file."""
    found = Report().check(part, name, "")
    return found and getattr(found, function)(*arguments)


def local_files(values: "Values", report: Report) -> "Files":
    """Return the local files of a command line; what is wrong with them is reported."""
    if not (names := {field: name for field, name in LOCAL.items() if name in values}):
        return {}
    found = report.check(part, "local_files", next(iter(names.values())))
    return found.look_at_files(values, report) if found else dict.fromkeys(names)


def check_writable(path: str) -> str:
    """Return the real file behind `path`; raises `OSError` where open() would, or for a device."""
    target = os.path.realpath(path)
    exists = os.path.exists(target)
    folder = os.path.dirname(target)
    while not os.path.exists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    allowed = os.access(folder, os.W_OK | os.X_OK) and (not exists or os.access(target, os.W_OK))
    for code, fault in (
        (errno.EISDIR, os.path.isdir(target) or not os.path.basename(path)),
        (errno.EPERM, exists and not os.path.isfile(target)),
        (errno.ENOTDIR, not os.path.isdir(folder)),
        (errno.EACCES, not allowed),
        (errno.ENAMETOOLONG, max(map(len, os.fsencode(target).split(os.fsencode(os.sep)))) > 255),
    ):
        if fault:
            raise OSError(code, os.strerror(code), path)
    return target


def write_json(path: str, document: object, place: "Place" = os.replace) -> None:
    """Replace the file `path` whole by `document`, making its folder; raises `OSError`."""
    replace_file(path, [json.dumps(document, indent=2).encode(), b"\n"], place)


def replace_file(path: str, chunks: "Iterable[bytes]", place: "Place" = os.replace) -> None:
    """Make the file `path` of `chunks`, whole or not at all, and its folder; raises `OSError`."""
    temporary = ""
    try:
        target = check_writable(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = os.path.join(os.path.dirname(target), temporary_name())
        with open(temporary, "xb") as file:
            file.writelines(chunks)
        if os.path.exists(target) and os.stat(target).st_mode != os.stat(temporary).st_mode:
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
        place(temporary, target)
    except OSError as error:
        error.filename = path  # what was asked for, not the temporary file on the way
        raise
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


TEMPORARY_NAME = r"\.emo-\d+-[0-9a-f]+\.tmp"  # what the next function returns


def temporary_name() -> str:
    """Return a name that no other process uses, and by which what a kill left behind is known."""
    return ".emo-" + str(os.getpid()) + "-" + os.urandom(4).hex() + ".tmp"


# --- 10. Commands: a request is written -----------------------------------------------------------


KEPT = r"[/\\]aliyun-emo[/\\](tasks|requests|detections)([/\\]|$)"


def output_path(values: "Values", default: str, films: str = "") -> str:
    """Return the file to write, which is named as no medium but `films`; raises `Problem`."""
    path = values.get("output", default)
    if path == "-" or path.startswith(("/dev/std", "/dev/fd/", "/proc/")):
        hint = "Name a file; prepare --dry-run shows a request."
        raise Problem("output", shown_path(path) + " is not a file", hint)
    real = os.path.realpath(check_path("--output ", path)) if "output" in values else ""
    if real and re.search(KEPT + rf"|\.(?!({films})$)({MEDIA})$", real, re.I):
        message = shown_path(path) + " is a place of what is kept, or of another medium"
        raise Problem("output", message, "Name another file.")
    return check_given("output", path, "Give the file to write, or leave --output out.")


def check_other_file(path: str, given: "Iterable[str]") -> None:
    """Raise `Problem` where `path`, which is to be written, is one of the files `given`."""
    if os.path.realpath(path) in map(os.path.realpath, given):
        message = shown_path(path) + " is one of the files that are given"
        raise Problem("output", message, "Name another file.")


def write_request(name: str, rule: "Rule", values: "Values", report: Report) -> None:
    """Check everything that a request needs by its `rule`, and write it."""
    files = local_files(values, report)
    request = rule(values, files, time(), report)
    path = report.check(output_path, values, "" if "output" in values else evidence_path(name))
    ratio = report.facts.get("ratio")
    looked = part("local_files", "").facts_of_files(files, ratio) if any(files.values()) else {}
    if report.errors or not request or not path:
        report.facts.update(looked)
        missing = [p for p in report.errors if p.field in BOX_FIELDS and p.message == "is missing"]
        for problem in missing if missing[1:] else []:  # both boxes
            problem.hint = explained("commands", "detect_hint", values) or problem.hint
        if path and os.path.exists(path):
            explained("subjects", "warn_of_earlier", path, report)
        return
    check_other_file(path, [values[n] for n in ("image", "audio", "detection") if n in values])
    is_dry = "dry_run" in values
    place = {"request_path": None, "request": request} if is_dry else {"request_path": path}
    facts = report.facts = {**place, **facts_of(request), **looked}
    if is_dry:
        check_writable(path)
        report.done = "all is well; nothing was written"
        return
    write_json(path, request)
    report.done = printable(path, 200) + " is written"
    report.next = [("run_emo_request", path)]
    if "audio_url" in request["input"]:
        report.done += "; to run it costs " + price_words(facts.get("estimate"), facts["ratio"])
        report.next = [("preview_emo_request", path), *report.next]


prepare = functools.partial(write_request, "request.json", generation_request)
detect = functools.partial(write_request, "detect_request.json", detection_request)


def facts_of(request: "Json") -> "Json":
    """Return what is told of a `request`, by the option's field."""
    given, parameters = request["input"], request["parameters"]
    ratio = parameters.get("ratio") or ratio_of(given["ext_bbox"]) or ""
    facts = {"model": request["model"], "ratio": ratio, "video_size": VIDEO_SIZES[ratio]}
    return {**facts, **parameters, **{box: given[box] for box in BOX_FIELDS if box in given}}


def price_words(price: "Json | None", ratio: str) -> str:
    """Return the `price` that is estimated, or else what a second costs, for people."""
    about = price and f"about CNY {price['cny']:.2f} for {price['seconds']:g} s"
    return f"{about or f'CNY {PRICES[ratio]} a second'} (prices of {PRICES_OF})"


# --- 11. Command line: from words to the values of options ----------------------------------------

EXIT_CODES = {
    0: "done (with --dry-run: would be)",
    1: "the file system refused: no permission, disk full, the path is a folder",
    2: "the input is wrong; nothing was written",
    130: "interrupted",
}


# A program: commands (name, or "" for the only one: function, what it does, an example), options
# (field: commands, metavar, "" for a flag, in brackets where it is a place, help), exit codes.
WHAT = "check links and boxes, write the request of a video (the default command)"
EXAMPLE = r"""--image-url https://example.com/portrait.png \
    --audio-url https://example.com/speech.mp3 \
    --face-bbox 302,286,610,593 --ext-bbox 71,9,840,778 --style-level active"""
DETECT_WHAT = "check the picture's link, write the request of its boxes"
DETECT_EXAMPLE = "detect --image-url https://example.com/portrait.png --ratio 3:4"
COMMANDS = {"prepare": (prepare, WHAT, EXAMPLE), "detect": (detect, DETECT_WHAT, DETECT_EXAMPLE)}
OPTIONS = {
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
}
DASHES = tuple("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")  # a word processor's, too
PLACES = ("[", "<")  # begin the metavar of what is given by its place, not by an option
PREPARE: "Program" = (COMMANDS, OPTIONS, EXIT_CODES)


def parse(program: "Program", arguments: "Words", report: Report) -> "tuple[str, Values]":
    """Return the command and its options' values, stripped but for files; raises `Problem`."""
    commands, options, _ = program
    command = next(iter(commands))
    if command and arguments and not arguments[0].startswith(DASHES):
        command, *arguments = arguments
    if command not in commands:
        hint = explained("commands", "hint_for", command, program, []) or "See --help."
        raise Problem("arguments", shown_link(command) + " is not a command", hint)
    fields = [name for name, (names, _, _) in options.items() if command in names]
    report.options = [field for field in fields if not options[field][1].startswith(PLACES)]
    words, unknown = plain_words(arguments, options, report)
    about = explained("commands", "about", program, command) if "--help" in words else None
    parsed = parser_of(options, command, fields, about or {}).parse_args(words)
    if unknown and not explained("commands", "unknown_words", unknown, program, report):
        report.error("arguments", str(len(unknown)) + " words are not options here", "See --help.")
    given = {f: str(value or "") for f, value in vars(parsed).items() if value is not None}
    return command, {f: v if f in LOCAL.values() else v.strip() for f, v in given.items()}


def plain_words(given: "Words", options: "Options", report: Report) -> "tuple[Words, Words]":
    """Return the words `given` such that argparse finds no fault, and those of no option."""
    # It stops at the first fault, and takes a time that grows with the square of unknown words. An
    # option has its value behind "=", "" where it is missing; places come last, behind "--".
    fields = {"-o": "output", **{option(field): field for field in report.options}}
    count = len([1 for _, metavar, _ in options.values() if metavar.startswith(PLACES)])
    words, places, others = [], [], []  # type: list[str], list[str], list[str]
    waiting = [*reversed(given)]
    while waiting:
        word = waiting.pop()
        name, equals, value = word.partition("=")
        field = fields.get(name, "")
        is_dashed = fields and word.startswith(DASHES) and word[1:2] not in "0123456789"
        if word == "--" and fields:  # all that comes behind it is no option
            fields = {}
        elif word in ("-h", "--help", "--version") and fields:
            words.append("--help" if word == "-h" else word)
        elif not field and (not is_dashed or " " in word) and len(places) < count:
            places.append(word)
        elif not field:
            others.append(word)
        elif options[field][1]:
            if not equals:
                after = waiting[-1] if waiting else "-h"  # nothing left: as if an option came
                is_option = after == "-h" or (after.startswith("--") and after[2:3].isalpha())
                value = "" if is_option else waiting.pop()
            if field in BOX_FIELDS:
                while waiting and is_of_box(waiting[-1]):
                    value += " " + waiting.pop()
            words.append(option(field) + "=" + ("" if value == "--" else value))
        elif equals:
            report.error(field, "takes no value", "Write " + name + " alone, or leave it out.")
        else:
            words.append(name)
    return [*words, *(["--", *places] if places else [])], others


def is_of_box(word: str) -> bool:
    return (word[:1] != "-" or word[1:2].isdigit()) and word not in COMMANDS


# argparse's own words stay English: to look for translations imports locale, at every start.
argparse._ = str  # type: ignore[attr-defined]


def parser_of(options: "Options", command: str, fields: "Words", about: "Json") -> "Parser":
    word = ["[prepare]"] if command == "prepare" else [command] if command else []
    places = [field for field in fields if options[field][1].startswith(PLACES)]
    parser = argparse.ArgumentParser(
        usage=" ".join(["%(prog)s", *word, "[options]", *(options[f][1] for f in places)]),
        **about,
        # Without a width argparse asks shutil for it, at every option, and that imports a lot.
        formatter_class=functools.partial(argparse.RawDescriptionHelpFormatter, width=96),
    )
    for field in fields:
        _, metavar, text = options[field]
        valued = {"metavar": metavar, "nargs": "?" if field in places else None}
        kind: Json = valued if metavar else {"action": "store_const", "const": ""}
        names = [field] if field in places else [option(field), *["-o"] * (field == "output")]
        parser.add_argument(*names, help=text or argparse.SUPPRESS, **kind)
    parser.add_argument("--version", action="version", version="%(prog)s " + VERSION)
    return parser


# --- 12. A run: its exit code, its line of JSON, its lines for people -----------------------------


def run(program: "Program", arguments: "Words", report: Report) -> "tuple[int, str]":
    """Carry out a command line; return the exit code and what goes to stdout."""
    try:
        if given := report.check(parse, program, arguments, report):
            report.check(program[0][given[0]][0], given[1], report)
    except SystemExit:  # argparse has printed --help or --version
        return 0, ""
    except KeyboardInterrupt as interrupt:
        paid = {"made": ", and the task is made", None: ", and this run paid for no video"}
        so_far = paid.get(state := report.facts.get("state"), "")
        hint = "All that came so far is on disk" + so_far + ": run the same command again to go on."
        if state == "unclear":
            hint = "A task may exist, and cost money: the same command again tells where to look."
        report.error("arguments", "interrupted", hint, interrupt.args[0] if interrupt.args else 130)
    except Exception as error:
        message = "a fault of this program: " + type(error).__name__
        hint = "Everything so far is on disk. Tell its makers, with the command that led to it."
        report.error("internal", message, hint, 1)
    errors = {"errors": as_json(report.errors)} if report.errors else {}
    line = {"ok": not errors, **errors, **report.facts, "warnings": as_json(report.warnings)}
    return max([problem.code for problem in report.errors], default=0), json.dumps(line) + "\n"


def as_json(found: "Sequence[Problem]") -> "list[Values]":
    return [{"field": p.field, "message": p.message, "hint": p.hint} for p in found]


def tell(report: Report) -> None:
    """Write what was found to stderr, a line each, for people, and at a terminal what was done."""
    for kind, problems in ("error", report.errors), ("warning", report.new_warnings()):
        for problem in problems:
            print(told(kind, problem, report), file=sys.stderr)
    if report.done and ("tasks" in report.facts or not report.errors) and sys.stderr.isatty():
        print(report.done, file=sys.stderr)
        for word, words in zip(("next", "then"), report.next):
            if command := explained("commands", "command", *words):
                print(word + ": " + command, file=sys.stderr)


def told(kind: str, problem: Problem, report: Report) -> str:
    """Return the line for people of an error or a warning."""
    label = option(problem.field) if problem.field in report.options else problem.field
    return kind + ": " + label + ": " + stopped(problem.message) + " " + problem.hint


def stopped(sentence: str) -> str:
    return sentence if sentence.endswith(("?", ".")) else sentence + "."


def run_command_line(program: "Program", argv: "Words | None") -> int:
    """Run the command line `argv`, by default this process's; return the exit code."""
    report = Report()
    try:
        code, text = run(program, sys.argv[1:] if argv is None else argv, report)
        if hasattr(getattr(sys.stdout, "buffer", None), "readall"):  # unbuffered: writes in part
            sys.stdout = os.fdopen(sys.stdout.fileno(), "w", closefd=False)
        print(text, end="", flush=True)
    except OSError as error:
        message = "stdout cannot be written: " + str(error.strerror)
        report.error("arguments", message, "Give it a reader, or room.")
        code = 1
    if sys.stderr:  # without one, print() would take stdout
        try:
            tell(report)
            sys.stderr.flush()  # os._exit() does not, and PyPy keeps it in a buffer
        except OSError:
            return code  # nobody reads stderr, but stdout has said it all
    return code


def main(argv: "Words | None" = None) -> int:
    return run_command_line(PREPARE, argv)


def script() -> "NoReturn":
    """Run this process's command line and end the process."""
    os._exit(main())  # all is written by now, and Python's clean-up takes longer than the work did


if __name__ == "__main__":
    script()
