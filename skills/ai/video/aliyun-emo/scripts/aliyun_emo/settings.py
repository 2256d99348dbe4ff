"""What a run goes by: its options, key, base URL and deadline, read once and then never changed."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.connections import Times, is_loopback
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.progress import Progress

BASE_URL = "https://dashscope.aliyuncs.com/api/v1"
CREDENTIALS = os.path.join("~", ".alibabacloud", "credentials")
SHORTEST_INTERVAL = 0.05  # seconds: 20 queries a second for the whole account
DAY = 24 * 3600  # seconds, after which a task is gone
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 30  # seconds
INTERVAL, TIMEOUT = "5", "1800"  # seconds, as an option gives them


class Settings(NamedTuple):
    """What a run was asked for, and how it goes on."""

    values: emo.Values  # what was given, by option
    base: str  # the service's URL
    interval: float  # seconds between two polls
    deadline: float  # the moment of the monotonic clock at which it gives up
    asks_once: bool  # instead of until then
    attempt: int | None  # the number of the task that is wanted
    progress: Progress
    interrupts: Interrupts
    key: str = ""  # there from with_key() on

    def has(self, field: str) -> bool:
        """Whether the option of `field` was given."""
        return field in self.values

    def with_key(self) -> Settings:
        """Return the same with the API key; raises `Problem`."""
        return self if self.key else self._replace(key=find_key())

    def patience(self) -> float:
        """Show that it goes on; return the moment until which an answer is waited for."""
        self.progress.beat()
        return self.interrupts.patience()

    def pause(self, seconds: float) -> bool:
        """Wait so long; return False where a signal came that is held until something is kept."""
        try:
            with self.interrupts.released():
                self.progress.wait(seconds)
        except KeyboardInterrupt:
            if not self.interrupts.is_held:
                raise
            return False
        return True

    def check_time(self) -> None:
        """Raise `Problem` when --timeout is over before anything was sent."""
        if clock.monotonic() >= self.deadline:
            hint = "Run the same command again, with more time: nothing was paid."
            raise emo.Problem("service", "--timeout is over before anything was sent", hint, 4)


def times_until(deadline: float) -> Times:
    """Return the times of a request that ends by `deadline`, and has a moment in any case."""
    left = max(deadline - clock.monotonic(), SHORTEST_INTERVAL)
    until = clock.monotonic() + left
    return Times(min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left), until)


def settings_of(
    values: emo.Values, progress: Progress, interrupts: Interrupts, report: emo.Report
) -> Settings:
    """Return the settings of a command line; what is wrong with them is reported."""
    pause = values.get("interval", INTERVAL)
    interval = report.check(check_seconds, "interval", pause, SHORTEST_INTERVAL) or 0.0
    timeout = report.check(check_seconds, "timeout", values.get("timeout", TIMEOUT), 0)
    attempt = report.check(check_attempt, values["attempt"]) if "attempt" in values else None
    url = os.environ.get("DASHSCOPE_BASE_URL", "").strip() or BASE_URL
    base = report.check(check_base_url, url) or ""
    end = clock.monotonic() + timeout if timeout else float("inf")
    return Settings(values, base, interval, end, not timeout, attempt, progress, interrupts)


def check_seconds(field: str, text: str, least: float) -> float:
    """Return `text` as seconds, from `least` to a day; raises `Problem`."""
    number = text.replace(".", "", 1)
    seconds_given = float(text) if emo.is_number(number) else -1
    if least <= seconds_given <= DAY:
        return seconds_given
    wanted = f"a number of seconds from {least:g} to {DAY}"
    raise emo.Problem(field, f"{emo.shown_link(text)} is not {wanted}", f"Give {wanted}.")


def check_attempt(text: str) -> int:
    """Return `text` as the number of an attempt, 1 for the first; raises `Problem`."""
    if re.fullmatch("[1-9][0-9]{0,5}", text, re.ASCII):
        return int(text)
    hint = "Give 1 for the first task of the request, 2 for another one."
    raise emo.Problem("attempt", f"{emo.shown_link(text)} is not the number of an attempt", hint)


def check_base_url(text: str) -> str:
    """Return the service's base URL without a slash at its end; raises `Problem`.

    The key goes there, so only https, and plain http where it does not leave this machine.
    """
    parts = plain_url(text)
    if parts and is_safe(parts):
        return text.rstrip("/")
    fault = "would send the API key unprotected" if parts else "is not the base of a service"
    hint = f"Set DASHSCOPE_BASE_URL to an https URL, or unset it for {BASE_URL}."
    raise emo.Problem("base_url", f"{emo.shown_link(text)} {fault}", hint)


def plain_url(text: str) -> SplitResult | None:
    """Return the parts of a URL that is a host and perhaps a path, and nothing else, or None."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and emo.is_visible_ascii(text)
    except ValueError:
        return None
    return parts if usable and not set("@?#") & set(text) else None


def is_safe(parts: SplitResult) -> bool:
    """Whether what is sent to a URL is protected, or does not leave this machine."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts))


def find_key() -> str:
    """Return the API key; raises `Problem`."""
    return check_key(os.environ.get("DASHSCOPE_API_KEY", "").strip() or key_in_file())


def check_key(text: str) -> str:
    """Return the API key; raises `Problem`, which never shows it."""
    both = f"DASHSCOPE_API_KEY, or dashscope_api_key in {CREDENTIALS}"
    if not text:
        raise emo.Problem("api_key", "there is no API key", f"Put a Beijing key into {both}.")
    if text[0] in "'\"\u2018\u201c" or text[-1] in "'\"\u2019\u201d":
        message = "the API key still has its quotes"
        raise emo.Problem("api_key", message, f"Take the quotes out of {both}.")
    if not emo.is_visible_ascii(text):
        message = "the API key has more than visible ASCII characters"
        raise emo.Problem("api_key", message, f"Correct it in {both}.")
    return text


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
        raise emo.Problem("api_key", f"{CREDENTIALS} cannot be read", hint) from None
    profile = os.environ.get("ALIBABA_CLOUD_PROFILE") or "default"
    return parser.get(profile, "dashscope_api_key", fallback="").strip()
