#!/usr/bin/env python3
"""Show a prepared EMO request before it is paid for: a page with the boxes over the portrait.

    $ python3 preview_emo_request.py output/aliyun-emo/request.json
    {"ok": true, "preview_path": "output/aliyun-emo/preview.html", "warnings": []}

FILE may be a request.json (that of output/aliyun-emo is the default), a detection.json, or the
task.json of a task. A request is held to all of prepare's rules, and nothing is written when it
is wrong. Of what was made already only the form counts:

    $ python3 preview_emo_request.py output/aliyun-emo/tasks/3f9a12c07b1e/task.json --open

The page is one file without a server: pictures and recordings stay where they are, and the browser
fetches them. Nothing here opens a socket.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import sys
from html import escape
from time import time

try:
    import aliyun_emo
    from prepare_emo_request import (
        BOX_FIELDS,
        EXIT_CODES,
        KINDS,
        MAX_SIDE,
        MIN_SIDE,
        PRICES,
        PRICES_OF,
        VIDEO_SIZES,
        Problem,
        Report,
        check_detection,
        estimate,
        evidence_path,
        expiry_of,
        file_name,
        file_url,
        for_the_shell,
        is_visible_ascii,
        local_path,
        look_again,
        member,
        neighbour,
        output_path,
        printable,
        ratio_of,
        read_json,
        replace_file,
        request_name,
        request_of,
        run_command_line,
        service_text,
        shown,
        size_of,
        utc,
    )
except ImportError:
    message = "prepare_emo_request.py of the same version is not beside this program"
    hint = "Copy the whole folder scripts, and start the program without -I."
    error = {"field": "arguments", "message": message, "hint": hint}
    print(json.dumps({"ok": False, "errors": [error]}))
    if sys.stderr:
        print(f"error: arguments: {message}. {hint}", file=sys.stderr)
    sys.exit(2)

TYPE_CHECKING = False  # typing is slow to import, and only a type checker needs it
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from prepare_emo_request import Box, Files, Json, Program, Values

# --- 1. Contract: what the page is made of --------------------------------------------------------

PATIENCE = 15_000  # milliseconds until the page says that something has not loaded yet
TOO_LONG = 60  # seconds of a recording behind a link; prepare judges a local file
ANY_TIME = float("-inf")  # a moment at which no link has expired
BROWSER_START = 3  # seconds within which it is known that no browser was found
# Characters that act, on a terminal or on the text around them, where others are only seen:
# controls, those that direct, halves of a pair.
ACTING = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
MAX_PAGE = 64 * 1024  # bytes


def part(name: str) -> str:
    """Return what stands in the file `name` of the page's parts."""
    with open(os.path.join(os.path.dirname(aliyun_emo.__file__), name), encoding="utf-8") as file:
        return file.read()


POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; img-src https: http: file:;"
    " media-src https: http: file:; base-uri 'none'; form-action 'none'"
)
TITLES = {  # of the page, of the part of the picture in ext_bbox, of the recording
    "request": ("A request, before it is paid for", "What the video will show", "What it will say"),
    "detection": ("A detection that passed", "What a video will show", ""),
    "task": ("A task", "What the video shows", "What it says"),
}

ADVICE = {  # what comes after a task without an id, by its state
    "refused": "There is no task to go on with: mend the request, and run that.",
    "": "Whether there is a task is not known: look at the account's tasks in the console."
    " <code>run_emo_request.py --task ID</code> goes on with one that is there.",
}
RECORDINGS = ("AUDIO_FILE", "AUDIO_URL")  # what stands for the recording in a command
WHICH_FILE = "Give request.json, a detection.json, or a task's task.json."

PAGE = part("page.html")
STYLE, SCRIPT = "\n" + part("page.css"), "\n" + part("page.js")
PAGE_BEGINS = PAGE.partition("<meta http-equiv")[0].encode()

VIDEO = """<figure>
<h2>The video</h2>
<video id="video" controls preload="metadata" src="{url}" aria-label="The video"></video>
<figcaption>It is on disk, beside the task.</figcaption>
</figure>
"""

RECORDING = """<section>
<h2>{says}</h2>
<audio id="recording" controls preload="metadata" src="{url}" aria-label="{name}"{known}></audio>
<dl>
<dt>Length</dt><dd id="length">{length}</dd>
<dt>Estimated price</dt><dd id="price">{price}</dd>
</dl>
<p class="soft">By the list prices of {prices_of}, {rate}; the video is as long as the
recording.</p>
</section>
"""

COMMAND = """<p>{what}</p>
<pre dir="ltr"><code id="command">{command}</code></pre>
<button id="copy" hidden>Copy the command</button><span id="copied" role="status"></span>"""

# --- 2. Validation: what a file shows, or what is wrong with it -----------------------------------


class Subject:
    """What a page shows: its `kind`, the prepared `request` with both boxes, the local `files`.

    Of a task also its `state`, what the service `said` of it, and its `task_id`, "" for none.
    """

    def __init__(self, kind: str, request: Json, files: Files) -> None:
        self.kind, self.request, self.files = kind, request, files
        self.given = request["input"]
        self.names = {f: file_name(self.given[f]) for f in KINDS if f in self.given}
        self.ratio = ratio_of(self.given["ext_bbox"]) or ""
        self.state = self.said = self.task_id = ""


def subject_of(path: str, report: Report) -> Subject | None:
    """Return what the file `path` shows, or None when something is wrong with it."""
    if path == "-":
        message = "stdin has no place beside it, where the page could go"
        raise Problem("file", message, "Give the path of the file.")
    if path and not os.path.exists(path):
        hint = "Run prepare_emo_request.py first, or go to the folder where that was done."
        raise Problem("file", f"there is no {shown(path)}", hint)
    try:
        document = read_json("file", path)
    except Problem as problem:
        problem.hint = WHICH_FILE
        raise
    if "input" in document:
        return request_subject(document, report)
    if "state" in document and "response" in document:
        return task_subject(document, os.path.dirname(path), report)
    if isinstance(document.get("request"), dict) and "response" in document:
        return detection_subject(document, report)
    message, hint = "there is no picture in it", WHICH_FILE
    if "output" in document or "check_pass" in document:
        message = "it is an answer alone, and the picture that it is about is not in it"
        hint = "Give detection.json, or a task's task.json, as run_emo_request.py wrote it."
    elif "task_status" in document:
        hint = "It is the answer about a task: give the task.json beside it."
    raise Problem("file", message, hint)


def request_subject(body: Json, report: Report) -> Subject | None:
    """Return what a prepared request shows, which is held to all of prepare's rules."""
    request = request_of(body, time(), report)
    if not request or report.errors:
        return None
    if "audio_url" not in request["input"]:
        message = "it is the request of a detection, which has no boxes yet"
        raise Problem("file", message, "Run it, and give its detection.json.")
    return Subject("request", request, look_again(request, report))


def detection_subject(record: Json, report: Report) -> Subject | None:
    """Return what a detection shows, however old its link is."""
    if "audio_url" in member(record["request"], "input"):
        raise Problem("file", "its request is that of a video, not of a detection", WHICH_FILE)
    found = Report()
    boxes = check_detection(record, None, None, found)
    for problem in found.errors:
        problem.hint += " Then give the detection.json of that."
    request = request_of(record["request"], ANY_TIME, found) if boxes else None
    report.errors += found.errors
    report.warnings += found.warnings
    if not boxes or not request:
        return None
    given = {**request["input"], "face_bbox": boxes[0], "ext_bbox": boxes[1]}
    request = {**request, "input": given}
    return Subject("detection", request, files_since(request, report))


def task_subject(record: Json, folder: str, report: Report) -> Subject | None:
    """Return what a task shows, `folder` being its own: its request as prepared, and its end."""
    body = record["request"] if isinstance(record.get("request"), dict) else {}
    if "audio_url" not in member(body, "input"):
        message = "the task was waited for by its id alone: there is no picture in it"
        raise Problem("file", message, "Give the request.json that the task was made of.")
    request = request_of(body, ANY_TIME, report)
    if not request:
        return None
    subject = Subject("task", request, files_since(request, report))
    answer = Report().check(read_json, "file", os.path.join(folder, "response.json")) or {}
    response = member(record, "response")
    output = member(response, "output")
    words = [answer.get("task_status") or output.get("task_status")]
    words += [said.get(name) for said in (answer, response) for name in ("code", "message")]
    subject.state = service_text(record["state"] or "")
    subject.said = ", ".join(service_text(word) for word in words if word)
    task_id = answer.get("task_id") or output.get("task_id")
    subject.task_id = task_id if isinstance(task_id, str) and is_visible_ascii(task_id) else ""
    return subject


def files_since(request: Json, report: Report) -> Files:
    """Return the local files of what was made; what became of them since is only a warning."""
    found = Report()
    files = look_again(request, found)
    report.warnings += found.errors + found.warnings
    return files


# --- 3. The page: from values to markup; what comes from outside passes `escape` -----------------


def page_of(subject: Subject, path: str, warnings: Sequence[Problem], now: float) -> str:
    """Return the page of what the file `path` shows; `now` is in seconds since 1970."""
    kind, shows, _ = TITLES[subject.kind]
    state = ", ".join(filter(None, (subject.state, subject.said)))
    details = details_of(subject, path, now)
    names = subject.names.values()
    return PAGE.format(
        policy=POLICY.format(script=hash_of(SCRIPT), style=hash_of(STYLE)),
        title=escape(f"EMO preview: {', '.join(names)}"),
        style=STYLE,
        kind=kind + (f": {isolated(state)}" if state else ""),
        names=", ".join(map(isolated, names)),
        made_at=utc(int(now)),
        for_request=f" for the request {details['Request']}" if "Request" in details else "",
        warnings=warnings_section(warnings) if warnings else "",
        **{name: ",".join(map(str, subject.given[name])) for name in BOX_FIELDS},
        price=PRICES[subject.ratio],
        least=MIN_SIDE,
        most=MAX_SIDE,
        too_long=TOO_LONG,
        patience=PATIENCE,
        image_url=escape(subject.given["image_url"]),
        image_name=escape(subject.names["image_url"]),
        video=video_figure(path) if subject.kind == "task" else "",
        shows=shows,
        size=size_in_words(subject.ratio),
        recording=recording_section(subject) if "audio_url" in subject.names else "",
        details="\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in details.items()),
        next=next_section(subject, place_of(subject, path)),
        script=SCRIPT,
    )


def place_of(subject: Subject, path: str) -> str:
    """Return the absolute path of FILE as a command needs it: a task's belongs to its folder."""
    place = os.path.abspath(path)
    is_at_home = place.split(os.sep)[-4:-2] == ["aliyun-emo", "tasks"]
    return place if is_at_home or subject.kind != "task" else os.path.realpath(path)


def hash_of(code: str) -> str:
    """Return the source expression that allows `code` alone (CSP level 3, section 2.3.1)."""
    digest = hashlib.sha256(code.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def isolated(text: str) -> str:
    """Return `text` as markup beyond which its direction does not reach."""
    return f"<bdi>{escape(printable(text, 1000))}</bdi>"


def warnings_section(warnings: Sequence[Problem]) -> str:
    """Return what was found in the file itself, for people."""
    stops = ["" if w.message.endswith(("?", ".")) else "." for w in warnings]
    lines = [f"{w.field}: {w.message}{stop} {w.hint}" for w, stop in zip(warnings, stops)]
    items = "".join(f"<li>{isolated(line)}</li>" for line in lines)
    return f'<section class="caution"><h2>What to look at</h2><ul>{items}</ul></section>\n'


def details_of(subject: Subject, path: str, now: float) -> Values:
    """Return the facts that the page tells, by their name, as markup."""
    request, ratio = subject.request, subject.ratio
    details = {"Ratio": ratio, "Video size": VIDEO_SIZES[ratio], "Model": escape(request["model"])}
    if "audio_url" in subject.names:
        details["Style"] = escape(request["parameters"]["style_level"])
        details["Request"] = f"<code>{name_of(subject, path)}</code>"
    else:
        details["Price of a video"] = f"{rate_in_words(ratio)}, by the list prices of {PRICES_OF}"
    for name in BOX_FIELDS:
        details[name] = box_in_words(subject.given[name])
    for field, name in subject.names.items():
        end = end_in_words(subject.given[field], now)
        details[KINDS[field].capitalize()] = f"{isolated(name)}, {end}"
    return details


def name_of(subject: Subject, path: str) -> str:
    """Return the twelve digits of a request, which a run prints too; raises `Problem`.

    Those of a task are the name of its folder, with the number of the attempt.
    """
    folder = os.path.basename(os.path.dirname(os.path.realpath(path)))
    if subject.kind == "task" and re.fullmatch("[0-9a-f]{12}(-[0-9]{1,9})?", folder):
        return folder
    base_url = os.environ.get("DASHSCOPE_BASE_URL", "").strip()
    try:
        return request_name(subject.request, base_url)
    except ValueError:
        hint = "Set DASHSCOPE_BASE_URL to an https URL, or unset it."
        raise Problem("base_url", f"{shown(base_url)} is no URL", hint) from None


def end_in_words(link: str, now: float) -> str:
    """Return when `link` expires, as prepare prints it, as markup."""
    if link.startswith("file:"):
        return "a file of this computer"
    expiry = expiry_of(link.partition("?")[2])
    if expiry is None:
        return "its link does not tell when it expires"
    return f"its link {'expires' if expiry > now else 'expired'} at <time>{utc(expiry)}</time>"


def rate_in_words(ratio: str) -> str:
    return f"CNY {PRICES[ratio]:.2f} a second at {ratio}"


def size_in_words(ratio: str) -> str:
    """Return the video's size, and whether it has the `ratio` itself."""
    width, height = map(int, VIDEO_SIZES[ratio].split("x"))
    p, q = map(int, ratio.split(":"))
    exact = "" if width * q == height * p else f", not quite {ratio}"
    return f"The video is {VIDEO_SIZES[ratio]} pixels{exact}."


def box_in_words(box: Box) -> str:
    width, height = size_of(box)
    return f"{', '.join(map(str, box))}: {width}x{height} pixels"


def video_figure(path: str) -> str:
    """Return the video that lies beside a task's file `path`, "" where there is none."""
    video = os.path.join(os.path.dirname(os.path.abspath(path)), "video.mp4")
    return VIDEO.format(url=escape(file_url(video))) if os.path.isfile(video) else ""


def recording_section(subject: Subject) -> str:
    """Return the player, and length and price, which the page's script tells of a link."""
    rate = rate_in_words(subject.ratio)
    known, length, price = "", "not known: the player has not told it", rate
    if "audio_url" in subject.files:
        costs = estimate(subject.files["audio_url"].found.seconds, subject.ratio)
        known = f' data-seconds="{costs["seconds"]}"'
        length, price = f"{costs['seconds']} s", f"CNY {costs['cny']:.2f}"
    return RECORDING.format(
        says=TITLES[subject.kind][2],
        url=escape(subject.given["audio_url"]),
        name=escape(f"The recording {subject.names['audio_url']}"),
        known=known,
        length=length,
        price=price,
        prices_of=PRICES_OF,
        rate=rate,
    )


def next_section(subject: Subject, place: str) -> str:
    """Return the command that comes after what the file at the absolute path `place` shows."""
    if subject.kind == "request":
        what = "This sends the request, which costs money, and brings the video home."
        words = [*in_folder_of(place, False), python(), beside("run_emo_request.py"), place]
    elif subject.kind == "detection":
        words = command_of_detection(subject.given["image_url"], place)
        what = (
            "This writes the request of a video, and costs nothing. Put the recording in the place"
            f" of {next(word for word in words if word in RECORDINGS)}."
        )
    elif subject.task_id:
        what = "This tells the task, goes on with it where it has not ended, and pays for nothing."
        words = [*in_folder_of(os.path.dirname(os.path.dirname(place)), True), python()]
        words += [beside("run_emo_request.py"), "--task", subject.task_id]
    else:
        return f"<p>{ADVICE.get(subject.state, ADVICE[''])}</p>"
    acting = f"^(OUTPUT_DIR=|).*{ACTING}.*"
    pasteable = [re.sub(acting, r"\1PATH", word, flags=re.DOTALL) for word in words]
    if pasteable != words:
        what += " Put the path in the place of PATH: characters in it do not print."
    return COMMAND.format(what=what, command=escape(for_the_shell(pasteable), quote=False))


def command_of_detection(image_url: str, place: str) -> list[str]:
    """Return the words that prepare a request with the boxes of the detection in `place`."""
    media = ["--image-url", image_url, "--audio-url", RECORDINGS[1]]
    if image_url.startswith("file:"):
        media = ["--image", local_path(image_url), "--audio", RECORDINGS[0]]
    words = [python(), beside("prepare_emo_request.py"), *media, "--detection", place]
    return [*in_folder_of(place, True), *words]


def in_folder_of(place: str, always: bool) -> list[str]:
    """Return the words before a command that make it know the evidence that `place` belongs to.

    So it may be pasted in any folder. Of a request in a folder named aliyun-emo a run knows it
    itself, so the words are left out unless `always`.
    """
    desk = os.path.dirname(place)
    is_evidence = os.path.basename(desk) == "aliyun-emo"
    output = os.path.dirname(desk) if is_evidence else os.path.abspath(evidence_path(os.pardir))
    is_needed = always or not is_evidence
    return ["env", f"OUTPUT_DIR={output}"] if is_needed and os.name == "posix" else []


def python() -> str:
    return sys.executable or "python3"


def beside(name: str) -> str:
    """Return the absolute path of the program `name` beside this one."""
    return os.path.abspath(neighbour(name))


# --- 4. Commands: one function -------------------------------------------------------------------


def preview(values: Values, report: Report) -> None:
    """Check FILE, and write the page that shows it."""
    path = values.get("file", evidence_path("request.json"))
    subject = report.check(subject_of, path, report)
    page_path = report.check(page_path_of, values, path)
    if report.errors or not subject or not page_path:
        return
    page = page_of(subject, path, report.warnings, time()).encode()
    if len(page) >= MAX_PAGE:
        message = f"its page would have {len(page):,} bytes: a link or a name in it is too long"
        raise Problem("file", message, "Prepare it with shorter ones.")
    replace_file(page_path, [page])
    report.facts.update(preview_path=page_path)
    report.done = f"{printable(page_path, 200)} is written: open it in a browser"
    if "open" in values and not is_opened(page_path):
        hint = f"Open {printable(page_path, 200)} yourself."
        report.warn("open", "no browser was found", hint)


def page_path_of(values: Values, path: str) -> str:
    """Return where the page of the file `path` goes; raises `Problem`."""
    hint = "Give another file for the page, or leave --output out."
    if values.get("output") == "-":
        raise Problem("output", "'-' is not a file", hint)
    page_path = output_path(values, os.path.join(os.path.dirname(path), "preview.html"))
    if os.path.isfile(page_path) and os.path.getsize(page_path):
        with open(page_path, "rb") as file:
            if file.read(len(PAGE_BEGINS)) != PAGE_BEGINS:
                message = f"{shown(page_path)} is there, and it is no page of this program"
                raise Problem("output", message, hint)
    return page_path


def is_opened(path: str) -> bool:
    """Open the page at `path` in the browser; return whether there is one.

    In a process of its own, since browsers, and what starts them, print to our stdout. One that is
    still at it after a while is the browser itself.
    """
    import subprocess

    code = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
    command = [sys.executable, "-I", "-c", code, file_url(path)]
    nothing = subprocess.DEVNULL
    try:
        opener = subprocess.Popen(
            command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )
        return opener.wait(BROWSER_START) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


# --- 5. Command line -----------------------------------------------------------------------------

PREVIEW: Program = (
    {
        "": (
            preview,
            "check a request, a detection or a task, and write a page that shows it",
            "output/aliyun-emo/request.json --open",
        )
    },
    {
        "file": ("", "FILE", "request.json (the default), a detection.json, a task's task.json"),
        "output": ("", "FILE", "write this page, not preview.html beside FILE"),
        "open": ("", "", "open the page in the browser"),
    },
    {**EXIT_CODES, 0: "done"},
)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command_line(PREVIEW, argv)


def script() -> NoReturn:
    """Run this process's command line and end the process."""
    os._exit(main())


if __name__ == "__main__":
    script()
