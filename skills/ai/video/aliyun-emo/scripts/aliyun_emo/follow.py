"""A made task: polls until its end is known, and its video, which is brought here."""

from __future__ import annotations

import prepare_emo_request as emo
from aliyun_emo import attempts, polls, service, transport
from aliyun_emo.answers import member
from aliyun_emo.commands import RUN, command, look_first
from aliyun_emo.download import TRIES, video_pieces
from aliyun_emo.refusals import refusal_problem, shown_words, with_store_hint
from aliyun_emo.settings import Settings
from aliyun_emo.tasks import ENDS, FAILED, GONE, SUCCEEDED, Task


def follow(settings: Settings, task: Task, further: int, report: emo.Report) -> None:
    """Go on with `task` until its end is known and its video is here; raises `Problem`."""
    # `further` is the number of the attempt that comes next, 0 where no request is known.
    report.facts.update(task.facts())
    if settings.has("dry_run"):
        report.facts["would_send"] = False
    if task.state != "made":
        raise may_exist_problem(task, further)
    status = ""
    if not is_complete(settings, task):
        report.done = "the task is made: without --dry-run and --no-wait its video is fetched"
        if settings.has("no_wait") and task.status != GONE:
            return
        settings = settings.with_key()
        if settings.has("dry_run"):
            return
        status = polls.poll_to_the_end(settings, task, report)
        if settings.has("no_wait") and status not in ENDS:  # it was forgotten, and is known again
            return
    conclude(settings, task, status == GONE, further, report)


def is_complete(settings: Settings, task: Task) -> bool:
    is_enough = task.status == SUCCEEDED and task.video_url and settings.has("no_download")
    return bool(task.status in FAILED or task.video_path or is_enough)


def conclude(settings: Settings, task: Task, gone: bool, further: int, report: emo.Report) -> None:
    if task.status in FAILED:
        said = {**task.first_answer, **member(task.first_answer, "output"), **task.answer}
        problem = refusal_problem("service", f"the task ended as {task.status}", said, 3)
        problem = with_store_hint(problem, said, task.record.get("sent"))
        problem.hint += f" --attempt {further} pays for the same once more." if further else ""
        raise problem
    if gone and not task.video_url:
        raise gone_problem("the service knows no such task", task, further)
    if not is_complete(settings, task):
        try:
            download(settings, task, 1 if gone else TRIES)
        except transport.NoAnswer as error:
            what = f"could not be downloaded: {error}"
            if gone and not error.again:
                what = f"the service knows no such task, and its video {what}"
                raise gone_problem(what, task, further) from None
            hint = "Run again; until then response.json has the link, for 24 hours."
            raise emo.Problem("service", f"the video {what}", hint, 4) from None
    report.facts.update(task.facts())  # another run may have saved it
    place = task.video_path or "made; its link ends 24 hours after the request was sent"
    if task.video_path and not settings.has("dry_run"):
        place, report.next = task.copy_video(settings.values.get("output", place)), []
    report.done = f"the video is {emo.printable(place, 200)}"


def download(settings: Settings, task: Task, tries: int) -> None:
    """Save the video of `task` in its folder, whole or not at all; raises `NoAnswer`."""
    if not polls.is_link(task.video_url):
        message = "the task has finished, and the answer has no video_url that is a link"
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


def may_exist_problem(task: Task, further: int) -> emo.Problem:
    hint, sent, words = look_first(further), task.saved_at, shown_words(task.record.get("response"))
    message = f"a request was sent at {sent} and no task is known of it; what came: {words}"
    if task.state != "unclear":
        message = f"a request was sent, or about to be, at {sent}, and its answer is not known"
        if abs(task.age) < attempts.AT_WORK:
            hint = f"Another run may be at it: run the same command again in {attempts.AT_WORK} s."
    return emo.Problem("service", message, hint, 4)


def gone_problem(what: str, task: Task, further: int) -> emo.Problem:
    hint = "Check the key and the id: it may be another account's; after 24 hours it is forgotten. "
    hint += f"--attempt {further} pays for another task. " if further else ""
    hint += f"To ask again: {command(RUN, '--task', task.folder if further else task.task_id)}"
    return emo.Problem("service", what, hint, 3)
