"""A made task: asked for until its end is known, all answers kept; its video, brought here."""

from __future__ import annotations

import json
import os
import re
from urllib.parse import quote

import prepare_emo_request as emo
from aliyun_emo import clock, files, service, tasks, transport
from aliyun_emo.answers import TRANSIENT, as_object, member, text_in, understood
from aliyun_emo.commands import RUN, command, look_first, option_words
from aliyun_emo.download import TRIES, video_pieces
from aliyun_emo.refusals import answer_problem, refusal_problem, shown_words, with_store_hint
from aliyun_emo.requests import DIGITS, REQUESTS, kept_path
from aliyun_emo.settings import Settings
from aliyun_emo.tasks import ENDS, FAILED, GONE, SUCCEEDED, UNFINISHED, Task, all_tasks, timestamp

LONGEST_PAUSE = 60  # seconds between two polls, where they fail


def follow(settings: Settings, task: Task, report: emo.Report) -> None:
    """Go on with `task` until its end is known and its video is here; raises `Problem`."""
    report.facts.update(task.facts())
    if settings.has("dry_run"):
        report.facts["would_send"] = False
    if task.state != "made":
        raise lost_problem(task, settings.values)
    status = ""
    if not is_complete(settings, task):
        report.done = "the task is made: without --dry-run and --no-wait its video is fetched"
        if settings.has("no_wait") and task.status != GONE:
            if settings.has("output"):
                report.warn("output", "is written without --no-wait", "--all copies no video.")
            return
        settings = settings.with_key()
        if settings.has("dry_run"):
            return
        status = poll_to_the_end(settings, task, report)
        if settings.has("no_wait") and status not in ENDS:  # it was forgotten, and is known again
            return
    conclude(settings, task, status == GONE, report)


def is_complete(settings: Settings, task: Task) -> bool:
    is_enough = task.status == SUCCEEDED and task.video_url and settings.has("no_download")
    return bool(task.status in FAILED or task.video_path or is_enough)


def conclude(settings: Settings, task: Task, gone: bool, report: emo.Report) -> None:
    if task.status in FAILED:
        said = {**task.first_answer, **member(task.first_answer, "output"), **task.answer}
        problem = refusal_problem("service", f"the task ended as {task.status}", said, 3)
        problem = with_store_hint(problem, said, task.record.get("sent"))
        is_bad = re.match("InvalidFile|DataInspection", str(said.get("code")))
        once = "for another file behind its link" if is_bad else "for the same once more"
        may_help = not is_bad or "files" not in member(task.record, "request")
        if may_help and (again := paying_again(task, settings.values)):
            problem.hint += f" {again} pays {once}."
        raise problem
    if gone and not task.video_url:
        raise gone_problem(task, settings.values, "the service knows no such task")
    if not is_complete(settings, task):
        try:
            download(settings, task, 1 if gone else TRIES)
        except transport.NoAnswer as error:
            what = f"could not be downloaded: {error}"
            if gone and not error.again:
                what = f"the service knows no such task, and its video {what}"
                raise gone_problem(task, settings.values, what) from None
            hint = "Run again; until then response.json has the link, for 24 hours."
            raise emo.Problem("service", f"the video {what}", hint, 4) from None
    report.facts.update(task.facts())  # another run may have saved it
    place = task.video_path or "made; its link ends 24 hours after the request was sent"
    if task.video_path and not settings.has("dry_run"):
        place, report.next = task.copy_video(settings.values.get("output", place)), []
    before = "" if report.done else "; it was made before, and nothing was paid"
    report.done = f"the video is {emo.printable(place, 200)}{before}"


def download(settings: Settings, task: Task, tries: int) -> None:
    """Save the video of `task`, whole or not at all; raises `NoAnswer`, `Problem` for no link."""
    if not is_link(task.video_url):
        message = "the task has finished, but has no video_url that is a link: is it one of EMO?"
        raise emo.Problem("service", message, "Run again; the answer is in polls.jsonl.", 4)
    for pause in (*service.PAUSES[: tries - 1], None):
        try:
            settings.interrupts.check()
            task.save_video(video_pieces(task.video_url, settings))
            break
        except transport.NoAnswer as error:
            if pause is None or not error.again:
                raise
            settings.pause(pause)
    task.write_answer(task.answer)


def lost_problem(task: Task, values: emo.Values | None) -> emo.Problem:
    hint = look_first("" if values is None else paying_again(task, values))  # None: of another run
    sent, words = task.saved_at, shown_words(task.record.get("response"))
    message = f"a request was sent at {sent} and no task is known of it; what came: {words}"
    if task.state != "unclear":
        message = f"a request was sent, or about to be, at {sent}, and its answer is not known"
        if task.at_work and values is not None:
            hint = f"Another run may be at it: run the same command again in {task.at_work} s."
    by_id = [t for t in all_tasks(os.path.dirname(task.folder)) if t.name.startswith("id-")]
    since = [t for t in by_id if t.task_id and t.age <= task.age]
    if its := ", ".join(f"{t.task_id} ({t.status or 'not asked yet'})" for t in since):
        paid = "Then it is paid, if it is not FAILED or CANCELED."
        hint = f"Is it one that was gone on with by its id since, {its}? {paid} {hint}"
    return emo.Problem("service", message, hint, 4)


def paying_again(task: Task, values: emo.Values) -> str:
    """Return the words that pay for the attempt after `task`, "" where that stands, or of an id."""
    folder, name = os.path.split(task.folder)
    numbers = {of.folder: n for n, of in tasks.numbered(tasks.folders_of(folder, name[:12]))}
    further = max(numbers.values(), default=0) + 1
    if numbers.get(task.folder) != further - 1 or not re.fullmatch(DIGITS, name):
        return ""
    kept = kept_path(os.path.dirname(folder), REQUESTS, name[:12])
    words = (RUN, kept, *option_words(values, ("output", "no_look")))  # as in the run that asks
    return (f"{command(*words)} " if os.path.isfile(kept) else "") + f"--attempt {further}"


def kept_hint(facts: emo.Json) -> str:
    """Return what to do where there is a task, and the disk does not take what comes of it."""
    its = f"Its task, from any OUTPUT_DIR: {command(RUN, '--task', facts['task_id'] or 'ID')}"
    if not (facts["task_path"] and os.path.isfile(facts["task_path"])):
        return f"Make room, or put the folder back, first: without it a run pays again. {its}"
    its = f"The video is {emo.printable(facts['video_path'], 200)}." if facts["video_path"] else its
    return f"Make room, get permission, or use another --output; run again: it pays nothing. {its}"


def gone_problem(task: Task, values: emo.Values, what: str = "") -> emo.Problem:
    hint = "Check the key and the id: it may be another account's; after 24 hours it is forgotten. "
    hint += f"A moved video belongs at {task.path('video.mp4')}. " if task.video_url else ""
    hint += f"{again} pays for another task. " if (again := paying_again(task, values)) else ""
    hint += f"To ask again: {command(RUN, '--task', task.folder if task.attempt else task.task_id)}"
    return emo.Problem("service", what, hint, 3)


def poll_to_the_end(settings: Settings, task: Task, report: emo.Report) -> str:
    """Ask for `task` to its end, keeping all on the way; return its status, or that it is gone."""
    # Polls that fail are waited out with growing pauses, except where a video's link is known.
    answered, pause, no_wait = False, settings.interval, settings.has("no_wait")
    while (polled := poll(settings, task, report))[0] not in ENDS:
        _, trouble, asked_for = polled
        if (trouble and task.video_url) or (no_wait and not trouble):
            return task.status
        answered = answered or not trouble
        longer = min(pause * 2, LONGEST_PAUSE) if asked_for is None else asked_for
        pause = max(settings.interval, longer) if trouble else settings.interval
        if not settings.timeout or no_wait or clock.monotonic() + pause >= settings.deadline:
            hint = f"Run the same command again, in {pause:g} s: it goes on where it was."
            if answered:
                raise emo.Problem("service", "the task has not ended within --timeout", hint, 5)
            if not trouble.startswith("HTTP"):
                hint += " Check the network and the proxy variables."
            raise emo.Problem("service", trouble, hint, 4)
        settings.pause(pause)
    return polled[0]


def poll(settings: Settings, task: Task, report: emo.Report) -> tuple[str, str, float | None]:
    """Ask once for `task`; return its status, or "" and what is wrong, and the pause asked for."""
    answer = service.ask(settings, service.TASK_PATH + quote(task.task_id, safe=""))
    if answer.document is not None:
        snapshot = {"polled_at": timestamp(), "response": answer.document}
        files.append_line(task.path("polls.jsonl"), json.dumps(snapshot).encode())
    if 300 <= answer.status < 500 and answer.status not in TRANSIENT:
        raise answer_problem(answer)
    said = as_object(understood(answer.document))
    output, trouble = member(said, "output"), ""
    word = text_in(output, "task_status")
    if answer.status >= 300 or not word:
        trouble = answer_problem(answer).message
    elif output.get("task_id", task.task_id) != task.task_id:
        trouble = f"HTTP {answer.status}, about another task"
    settings.progress.show(trouble or emo.printable(word, 40))
    if trouble:
        return "", trouble, answer.retry_after
    return record_status(task, task_answer(task.task_id, said), report), "", None


def record_status(task: Task, answer: emo.Json, report: emo.Report) -> str:
    """Keep the normalized `answer` about `task`; return its status, or that it is gone."""
    word = str(answer["task_status"])
    task.write_answer(merged(Task(task.folder).answer, answer))  # another run may have written
    report.facts.update(task.facts())
    fault = "is a status that is not known; taken as not finished"
    is_told = any(warning.message.endswith(fault) for warning in report.warnings)
    if word not in (*UNFINISHED, *ENDS) and not is_told:
        report.warn("service", f"{emo.shown_link(word)} {fault}", "Look at references/api.md.")
    return GONE if word == GONE else task.status


def merged(earlier: emo.Json, answer: emo.Json) -> emo.Json:
    """Return what is known of a task by an `earlier` answer, {} for none, and this `answer`."""
    # An end gives way only to another end, and a link stays until a new one comes.
    word = answer["task_status"]
    if word not in (SUCCEEDED, *FAILED) and earlier.get("task_status") in (SUCCEEDED, *FAILED):
        return earlier
    if word == GONE:
        return {**earlier, "task_id": answer["task_id"], "task_status": GONE}
    if word == SUCCEEDED and "video_url" in earlier:
        return {"video_url": earlier["video_url"], **answer}
    return answer


def task_answer(task_id: str, answer: emo.Json) -> emo.Json:
    """Return the normalized form of the service's `answer` about a task, for response.json."""
    output = answer["output"]
    links = [text_in(place, "video_url").strip() for place in (member(output, "results"), output)]
    video_url = next(filter(is_link, links), None)  # what is none stays in polls.jsonl
    values = {"task_id": task_id, "task_status": output["task_status"], "video_url": video_url}
    told = ("code", "message", "submit_time", "scheduled_time", "end_time", "usage", "request_id")
    values.update({name: output.get(name) or answer.get(name) for name in told})
    return {name: value for name, value in values.items() if value is not None}


def is_link(text: str) -> bool:
    """Whether `text` is an http or https link; half a surrogate pair, for one, does not print."""
    return bool(re.match(r"https?://[^/?#\s]", text, re.IGNORECASE)) and text.isprintable()
