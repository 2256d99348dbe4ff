"""A made task: polls until its end is known, and its video, which is brought here."""

from __future__ import annotations

import re
from urllib.parse import quote

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.answers import member, text_in, understood
from aliyun_emo.attempts import AT_WORK
from aliyun_emo.download import TRIES, video_pieces
from aliyun_emo.refusals import refusal_problem, shown_words
from aliyun_emo.service import PAUSES, TASK_PATH, TRANSIENT, answer_problem, ask
from aliyun_emo.settings import Settings
from aliyun_emo.store import with_store_hint
from aliyun_emo.tasks import ENDS, FAILED, GONE, SUCCEEDED, UNFINISHED, Task
from aliyun_emo.transport import NoAnswer

INTERVAL = 5  # seconds between two polls, where none are given
LONGEST_PAUSE = 60  # seconds between two polls when the service does not answer them


def follow(settings: Settings, task: Task, further: int, report: emo.Report) -> None:
    """Go on with `task` until its end is known and its video is here; raises `Problem`."""
    # `further` is the number of the attempt that comes next, 0 where no request is known.
    report.facts.update(task.facts())
    if settings.has("dry_run"):
        report.facts["would_send"] = False
    if task.state != "made":
        raise may_exist_problem(task, further)
    is_gone = False
    if not is_complete(settings, task):
        report.done = "the task is made; the next command fetches its video"
        if settings.has("no_wait"):
            return
        settings = settings.with_key()
        if settings.has("dry_run"):
            return
        is_gone = poll_to_the_end(settings, task, report) == GONE
    conclude(settings, task, is_gone, further, report)


def is_complete(settings: Settings, task: Task) -> bool:
    is_enough = task.status == SUCCEEDED and task.video_url and settings.has("no_download")
    return bool(task.status in FAILED or task.video_path or is_enough)


def conclude(settings: Settings, task: Task, gone: bool, further: int, report: emo.Report) -> None:
    if task.status in FAILED:
        problem = refusal_problem("service", f"the task ended as {task.status}", task.answer, 3)
        problem = with_store_hint(problem, task.answer, task.record.get("sent"))
        problem.hint += f" --attempt {further} pays for another task." if further else ""
        raise problem
    if gone and not task.video_url:
        raise gone_problem("the service knows no such task", further)
    if not is_complete(settings, task):
        try:
            download(settings, task, 1 if gone else TRIES)
        except NoAnswer as error:
            what = f"could not be downloaded: {error}"
            if gone and not error.again:
                what = f"the service knows no such task, and its video {what}"
                raise gone_problem(what, further) from None
            hint = "Run again; until then response.json has the link, for 24 hours."
            raise emo.Problem("service", f"the video {what}", hint, 4) from None
        report.facts.update(task.facts())
    if task.video_path and not settings.has("dry_run"):
        place = task.copy_video(settings.values.get("output", task.video_path))
        report.done, report.next = f"the video is {emo.printable(place, 200)}", []
    else:
        report.done = "the video is made; its link is good for 24 hours"


def poll_to_the_end(settings: Settings, task: Task, report: emo.Report) -> str:
    """Ask for `task` until it has ended, keeping all on the way; return the status then."""
    # Polls that fail are waited out with growing pauses, but where a video's link is known.
    interval = settings.interval or INTERVAL
    answered, pause = False, interval
    word, trouble, wanted = poll(settings, task, report)
    while word not in ENDS:
        if trouble and task.video_url:
            return task.status
        answered = answered or not trouble
        longer = min(pause * 2, LONGEST_PAUSE) if wanted is None else wanted
        pause = max(interval, longer) if trouble else interval
        if settings.asks_once or clock.monotonic() + pause >= settings.deadline:
            raise out_of_time_problem(answered, trouble)
        settings.pause(pause)
        word, trouble, wanted = poll(settings, task, report)
    return word


def poll(settings: Settings, task: Task, report: emo.Report) -> tuple[str, str, float | None]:
    """Ask once for `task`; return its status, or "" and what is wrong, and the pause asked for."""
    answer = ask(settings, TASK_PATH + quote(task.task_id, safe=""))
    if answer.document is not None:
        task.append_snapshot(answer.document)
    if 300 <= answer.status < 500 and answer.status not in TRANSIENT:
        raise answer_problem(answer)
    said = understood(answer.document)
    said = said if isinstance(said, dict) else {}
    output, trouble = member(said, "output"), ""
    word = text_in(output, "task_status")
    if not answer.status:
        trouble = answer.reason
    elif answer.status >= 300 or not word:
        trouble = f"HTTP {answer.status}, not to be read as a status"
    elif output.get("task_id", task.task_id) != task.task_id:
        trouble = f"HTTP {answer.status}, about another task"
    if trouble:
        settings.progress.show(trouble)
        return "", trouble, answer.retry_after
    settings.progress.show(emo.printable(word, 40))
    return record_status(task, task_answer(task.task_id, said), report), "", None


def record_status(task: Task, answer: emo.Json, report: emo.Report) -> str:
    """Keep the normalized `answer` about `task`; return its status, or that it is gone."""
    # An end that was heard of sooner stays, whatever else but an end is said later.
    word = str(answer["task_status"])
    earlier = Task(task.folder).answer
    has_ended = earlier.get("task_status") in (SUCCEEDED, *FAILED)
    if has_ended and word not in (SUCCEEDED, *FAILED):
        answer = earlier
    elif word == SUCCEEDED and "video_url" in earlier:  # an answer without a link takes none away
        answer = {"video_url": earlier["video_url"], **answer}
    elif word == GONE:
        answer = {**earlier, "task_id": task.task_id, "task_status": GONE}
    task.write_answer(answer)
    report.facts.update(task.facts())
    fault = "is a status that is not known; taken as not finished"
    is_told = any(warning.message.endswith(fault) for warning in report.warnings)
    if word not in (*UNFINISHED, *ENDS) and not is_told:
        report.warn("service", f"{emo.shown_link(word)} {fault}", "Look at references/api.md.")
    return GONE if word == GONE else task.status


def task_answer(task_id: str, answer: emo.Json) -> emo.Json:
    """Return the normalized form of the service's `answer` about a task, for response.json."""
    output = answer["output"]
    links = [text_in(place, "video_url") for place in (member(output, "results"), output)]
    video_url = next(filter(is_link, links), None)  # what is none stays in polls.jsonl
    values = {"task_id": task_id, "task_status": output["task_status"], "video_url": video_url}
    told = ("code", "message", "submit_time", "scheduled_time", "end_time")
    values.update({name: output.get(name) for name in told})
    values.update({name: answer.get(name) for name in ("usage", "request_id")})
    return {name: value for name, value in values.items() if value is not None}


def is_link(text: str) -> bool:
    """Whether `text` is an http or https link; half a surrogate pair, for one, does not print."""
    return bool(re.match(r"https?://[^/?#\s]", text, re.IGNORECASE)) and text.isprintable()


def download(settings: Settings, task: Task, tries: int) -> None:
    """Save the video of `task` in its folder, whole or not at all; raises `NoAnswer`."""
    if not is_link(task.video_url):
        message = "the task has finished, and the answer has no video_url that is a link"
        raise emo.Problem("service", message, "Run again; the answer is in polls.jsonl.", 4)
    for pause in (*PAUSES[: tries - 1], None):
        try:
            settings.interrupts.check()
            task.save_video(video_pieces(task.video_url, settings))
            break
        except NoAnswer as error:
            if pause is None or not error.again:
                raise
            settings.pause(pause)
    task.write_answer(task.answer)


def look_first(further: int) -> str:
    """Return what to do where it is not known whether there is a task."""
    look = "Look at the account's tasks in the console: --task ID goes on with one that is there"
    return look + (f", --attempt {further} pays for one." if further else ".")


def may_exist_problem(task: Task, further: int) -> emo.Problem:
    sent = emo.printable(str(task.record.get("saved_at", "an unknown time")), 40)
    words, hint = shown_words(task.record.get("response")), look_first(further)
    message = f"a request was sent at {sent} and no task is known of it; what came: {words}"
    if task.state != "unclear":
        message = f"a request was sent at {sent} and its answer is not known: a task may exist"
        if abs(task.age) < AT_WORK:
            hint = "Another run may be at it just now: run the same command again in two minutes."
    return emo.Problem("service", message, hint, 4)


def gone_problem(what: str, further: int) -> emo.Problem:
    hint = "Check the key and the id: it may be another account's; after 24 hours it is forgotten."
    hint += f" --attempt {further} pays for another." if further else ""
    return emo.Problem("service", f"the task is gone: {what}", hint, 3)


def out_of_time_problem(answered: bool, trouble: str) -> emo.Problem:
    hint = "Run the same command again: it goes on where it was."
    if answered:
        return emo.Problem("service", "the task has not ended within --timeout", hint, 5)
    return emo.Problem("service", trouble, f"{hint} Check the network and the proxy variables.", 4)
