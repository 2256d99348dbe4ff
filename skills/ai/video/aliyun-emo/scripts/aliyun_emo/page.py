"""The page of a request, a detection or a task (colours: page.css); what is not ours is escaped."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from html import escape

import prepare_emo_request as emo
from aliyun_emo import media
from aliyun_emo.commands import for_the_shell
from aliyun_emo.local_files import file_url
from aliyun_emo.subjects import Subject


def part(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()


FOUND = re.split(r"<!-- part: (\w+) -->\n", part("page.html"))  # names and parts by turns
HTML = dict(zip(FOUND[1::2], FOUND[2::2]))
PAGE_BEGINS = HTML["page"].partition("<meta http-equiv")[0].encode()  # by which a page is known
STYLE, SCRIPT = "\n" + part("page.css"), "\n" + part("page.js")

Step = tuple[str, list[str]]  # what comes next, and the words of its command, none for no command
POLICY = "default-src 'none'; script-src {script}; style-src {style}; img-src https: http: file:;"
POLICY += " media-src https: http: file:; base-uri 'none'; form-action 'none'"
TITLES = {  # of the page, of the part of the picture in ext_bbox, of the recording
    "request": ("A request, before it is paid for", "What the video will show", "What it will say"),
    "detection": ("A detection that passed", "What a video will show", ""),
    "task": ("A task", "What the video shows", "What it says"),
    "sent": ("A request that was sent", "What the video will show", "What it will say"),
    "made": ("A request whose video was made", "What the video shows", "What it says"),
}


def page_of(subject: Subject, step: Step, warnings: Sequence[emo.Problem], now: float) -> str:
    """Return the page of a subject, with the next `step`; `now` is in seconds since 1970."""
    known = ("made" if subject.video else "sent") if subject.state else "request"
    kind, shows, says = TITLES[known if subject.kind == "request" else subject.kind]
    state = ", ".join(filter(None, (subject.state, subject.said)))
    details = details_of(subject, now)
    names = subject.names.values()
    costs = costs_of(subject)
    return HTML["page"].format(
        policy=POLICY.format(script=hash_of(SCRIPT), style=hash_of(STYLE)),
        title=escape(f"EMO preview: {', '.join(names)}"),
        style=STYLE,
        kind=kind + (f": {bdi(state)}" if state else ""),
        names=", ".join(map(bdi, names)),
        made_at=emo.utc(int(now)),
        for_request=f" for the request {details['Request']}" if "Request" in details else "",
        warnings=warnings_section(warnings),
        **{name: ",".join(map(str, subject.given[name])) for name in emo.BOX_FIELDS},
        price=emo.PRICES[subject.ratio],
        least=emo.MIN_SIDE,
        most=emo.MAX_SIDE,
        too_long=round(media.LONG_RECORDING),
        image_url=escape(subject.given["image_url"]),
        image_name=escape(subject.names["image_url"]),
        video=HTML["video"].format(url=escape(file_url(subject.video))) if subject.video else "",
        shows=shows,
        size=size_in_words(subject.ratio),
        recording=HTML["recording"].format(says=says, **costs) if says else "",
        waiting="" if subject.video else HTML["waiting"],
        ratio=subject.ratio,
        **costs,
        details="\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in details.items()),
        next=next_section(*step),
        script=SCRIPT,
    )


def hash_of(code: str) -> str:
    """Return the source expression that allows `code` alone (CSP level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def bdi(text: str) -> str:
    """Return `text` as markup beyond which its direction does not reach."""
    return f"<bdi>{escape(emo.printable(text, 1000))}</bdi>"


def warnings_section(warnings: Sequence[emo.Problem]) -> str:
    told = [emo.told("warning", problem, emo.Report()) for problem in warnings]
    items = "".join(f"<li>{bdi(line.removeprefix('warning: '))}</li>" for line in told)
    return HTML["warnings"].format(items=items) if items else ""


def details_of(subject: Subject, now: float) -> emo.Values:
    details = {"Ratio": subject.ratio, "Video size": emo.VIDEO_SIZES[subject.ratio]}
    details["Model"] = escape(subject.request["model"])
    if "audio_url" in subject.names:
        details["Style"] = escape(subject.request["parameters"]["style_level"])
        details["Request"] = f"<code>{subject.name}</code>"
    for name in emo.BOX_FIELDS:
        box = subject.given[name]
        details[name] = f"{', '.join(map(str, box))}: {'x'.join(map(str, emo.size_of(box)))} pixels"
    for field, name in subject.names.items():
        end = end_in_words(subject.given[field], now)
        details[emo.KINDS[field].capitalize()] = f"{bdi(name)}, {end}"
    return details


def end_in_words(link: str, now: float) -> str:
    if link.startswith("file:"):
        return "a file of this computer"
    expiry = emo.expiry_of(link.partition("?")[2])
    if expiry is None:
        return "its link does not tell when it expires"
    return f"its link {'expires' if expiry > now else 'expired'} at <time>{emo.utc(expiry)}</time>"


def size_in_words(ratio: str) -> str:
    size = emo.VIDEO_SIZES[ratio]
    is_exact = emo.has_ratio([0, 0, *map(int, size.split("x"))], ratio)
    return f"The video is {size} pixels{'' if is_exact else f', not quite {ratio}'}."


def costs_of(subject: Subject) -> emo.Values:
    rate = f"CNY {emo.PRICES[subject.ratio]:.2f} a second at {subject.ratio}"
    costs = {"known": "", "length": "not known: the player has not told it", "cost": rate}
    if "audio_url" in subject.files:
        its = media.estimate(subject.files["audio_url"].found.seconds, subject.ratio)
        costs = {"known": f' data-seconds="{its["seconds"]}"', "length": f"{its['seconds']} s"}
        costs["cost"] = f"CNY {its['cny']:.2f}"
    url, name = (of.get("audio_url", "") for of in (subject.given, subject.names))
    costs.update(url=escape(url), name=escape(f"The recording {name}"))
    return {**costs, "rate": rate, "prices_of": emo.PRICES_OF}


def next_section(what: str, words: list[str]) -> str:
    if not words:
        return f"<p>{escape(what)}</p>"
    pasteable = [word if word.isprintable() else "PATH" for word in words]
    if pasteable != words:
        what += " Put the path in the place of PATH: characters in it do not print."
    return HTML["command"].format(what=what, command=escape(for_the_shell(pasteable), quote=False))
