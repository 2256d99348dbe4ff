"""What is behind the links of a generation, looked at before it is paid for."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import prepare_emo_request as emo
from aliyun_emo import answers, clock, download, kinds, media
from aliyun_emo.settings import Settings
from aliyun_emo.transport import PIECE, NoAnswer, Reply

LOOK_TIME = 20  # seconds for a look at one link
NOT_FOR_ALL = (401, 403, 404, 410)  # HTTP: not for the service either
AGAIN = "Run make_emo_video.py (same --attempt, if any): it shows this one, or how it is detected."


def look(settings: Settings, request: emo.Json, report: emo.Report) -> dict[str, Any]:
    """Return the media of a `request` that were seen, by field; report what is wrong with them."""
    given = request["input"]
    boxes = [given[name] for name in emo.BOX_FIELDS]
    found = {field: file.found for field, file in settings.files.items()}
    links = [f for f in emo.FORMATS if f not in found and not settings.has("no_look")]
    if links:
        settings.progress.show("looking at the links")
    earlier = len(report.errors)
    for field in links:
        try:
            found[field], size = look_at_link(field, given[field], settings)
            media.check_medium(field, found[field], size, boxes, report)
        except emo.Problem as problem:
            report.errors.append(problem)
        except NoAnswer as error:
            message = f"{emo.shown_link(given[field])} could not be looked at from here: {error}"
            hint = "The service is elsewhere: make sure that it opens in a browser, not logged in."
            report.warn(field, message, hint)
    for fault in report.errors[earlier:]:
        fault.hint = f"{emo.stopped(fault.hint)} --no-look would pay for it unseen."
    return found


def look_at_link(field: str, url: str, settings: Settings) -> tuple[Any, int]:
    """Return what medium is behind `url`, and its bytes; raises `Problem`, `NoAnswer`."""

    def check(place: str) -> None:
        try:
            emo.check_host(field, emo.split_link(field, place, clock.time())[2])
        except emo.Problem:
            raise NoAnswer("it redirects to what is no public link") from None

    settings = settings._replace(deadline=min(clock.monotonic() + LOOK_TIME, settings.deadline))
    with closing(download.follow_redirects(url, settings, check)) as reply:
        if reply.status in NOT_FOR_ALL:
            message = f"{emo.shown_link(url)} is not there for everybody: HTTP {reply.status}"
            hint = "Check it, make it public, or sign it anew: the service does not log in."
            raise emo.Problem(field, message, hint)
        if reply.status not in (200, 206):
            raise NoAnswer(f"HTTP {reply.status}")
        if reply.coding:
            raise NoAnswer(f"it comes packed, as {emo.shown_link(reply.coding)}")
        return look_at_body(field, reply)


def look_at_body(field: str, reply: Reply) -> tuple[Any, int]:
    """Return what is in a body, and its size: a picture by its head, a recording as a whole."""
    data, size = bytearray(), reply.file_length
    is_picture = field == "image_url"
    wanted = PIECE if is_picture or (size or 0) > media.MAX_RECORDING else media.MAX_RECORDING + 1
    while True:
        while len(data) < wanted and (piece := reply.read()):
            data += piece
        is_whole = len(data) < wanted
        if is_whole and (reply.is_cut or len(data) < (size or 0)):
            raise NoAnswer(f"what came is cut short, {len(data)} bytes of {size or 'more'}")
        try:
            whole_size = len(data) if is_whole else size or media.MAX_PICTURE
            found = media.look_at(field, bytes(data), whole_size)
            break
        except kinds.NotTaken as fault:
            if not fault.needs_more:
                raise media.not_taken_problem(field, fault) from None
            if wanted > media.MAX_RECORDING:
                raise NoAnswer(str(fault)) from None
        wanted *= 4
    if not (is_picture or is_whole or size):
        message = f"it has more than {media.MAX_RECORDING:,} bytes; the service takes under 15 MB"
        raise emo.Problem(field, message, "Save it as mp3, and upload it anew.")
    return found, size or len(data)


def as_shown(shown: object, hint: str, settings: Settings, found: dict[str, Any]) -> Settings:
    """Return the settings; raises `Problem` where a medium that was `found` is not as `shown`."""
    for field, medium in found.items():
        then, now = answers.member(shown, emo.LOCAL[field]), media.medium_facts(medium)
        if then and {**then, **now} != then:
            its, was = (", ".join(f"{n} {f}" for n, f in facts.items()) for facts in (now, then))
            raise emo.Problem(field, f"it is another one than before: {its}, not {was}", hint)
    return settings
