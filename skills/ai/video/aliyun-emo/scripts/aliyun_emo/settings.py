"""The settings of a run: options, base URL, key, time-outs; `_replace` gives what comes later."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.clock import Times
from aliyun_emo.files import open_at_once
from aliyun_emo.interrupts import Interrupts
from aliyun_emo.links import BASE_HOST, BASE_PATH, BASE_URL, is_safe, is_vendor, plain_url
from aliyun_emo.progress import Progress

BASE_VARIABLES = ("DASHSCOPE_HTTP_BASE_URL", "DASHSCOPE_BASE_URL")  # the first that is set counts
BEIJING = rf"^{BASE_HOST}$|^(?!token-).*(?<!s-)cn-beijing\."  # hosts; a plan's has others' keys
SHORTEST_INTERVAL = 0.05  # seconds: 20 queries a second for the whole account
DAY = 24 * 3600  # seconds, after which a task is gone
CONNECT_TIMEOUT, READ_TIMEOUT, TIMEOUT, INTERVAL = 10, 30, 1800, 5  # seconds; two of options
WHERE = " https://help.aliyun.com/zh/model-studio/get-api-key says where to get one."
CREDENTIALS = os.path.join("~", ".alibabacloud", "credentials")
OWN_KEY = "Put a Beijing key into"
EXAMPLE = "(?i)(sk-)?((none|null|undefined|empty|(change|replace).?me|placeholder|todo|redacted)?|"
EXAMPLE += r"(\W|(ws-|h\.)*(your|my[-_]|(?-i:xxx)|xxx+\b)).*)|.*(\*\*|\.\.|api[-_]?key|your[-_]).*"
MORE = r".*([,;\\]|=.|://).*|(?!sk-ws-).+sk-.*|.+sk-ws-.*|.*\w\w[.)*%|:/]"
NO_KEYS = (  # what is given for a key: how it looks, what is told of it, and what to do
    (f"[{emo.QUOTES}].*|.*[{emo.QUOTES}]", "still has its quotes", "Take the quotes out of"),
    (r"[$%{<].*|.*\u2026.*", "is a placeholder", OWN_KEY),
    (r".*\s.*", "has a space in it", "Put it alone, without Bearer, into"),
    (".*[^!-~].*", "has more than visible ASCII characters", "Correct it in"),
    (MORE, "has more in it than one key", "Put one alone into"),
    (r"(?i)LTAI.*|STS\..*", "is an AccessKey ID, another kind of credential", OWN_KEY),
    ("(?i)sk-sp-.*", "is that of a Coding or Token Plan, not of this service", OWN_KEY),
    (EXAMPLE, "is a placeholder", OWN_KEY),  # a workspace's key may begin with XXX in capitals
)


class Settings(NamedTuple):
    """What a run was asked for, and how it goes on."""

    values: emo.Values  # what was given, by option
    base: str  # the service's URL
    base_variable: str  # that it is from, or that sets another one
    interval: float  # seconds between two polls
    timeout: float  # seconds until it gives up; 0 asks once
    deadline: float  # the moment of the monotonic clock at which it does
    attempt: int | None  # the number of the task that is wanted
    progress: Progress
    interrupts: Interrupts
    files: dict[str, Any]  # local ones of a request, where they were looked at
    # Asks (making) or compares (looks.as_shown); returns the settings to pay with, None for no.
    before_pay: Callable[[Settings, dict[str, Any]], Settings | None] = lambda settings, _: settings
    key: str = ""  # there from with_key() on

    def has(self, field: str) -> bool:
        return field in self.values

    def started_anew(self) -> Settings:
        """Return the same with all of --timeout from now on."""
        return self._replace(deadline=clock.monotonic() + (self.timeout or clock.FOREVER))

    def with_key(self) -> Settings:
        """Return the same with the API key; raises `Problem`."""
        return self if self.key else self._replace(key=find_key())

    def patience(self) -> float:
        """Show that it goes on; return the moment until which an answer is waited for."""
        self.progress.beat()
        if self.interrupts.came:
            self.progress.show("waiting for an answer on its way: another interrupt would lose it")
        return self.interrupts.patience()

    def pause(self, seconds: float) -> bool:
        """Wait so long; return False where a signal came that is held until something is kept."""
        return self.interrupts.lets_end(self.progress.wait, seconds)

    def tell_warnings(self, report: emo.Report) -> None:
        """Tell the warnings that were not told yet, before something is paid for."""
        for problem in report.new_warnings():
            self.progress.say(emo.told("warning", problem, report))


def times_until(deadline: float) -> Times:
    """Return the times of a request that ends by `deadline`, and has a moment in any case."""
    left = max(deadline - clock.monotonic(), SHORTEST_INTERVAL)
    return Times(min(CONNECT_TIMEOUT, left), min(READ_TIMEOUT, left), clock.monotonic() + left)


def settings_of(values: emo.Values, interrupts: Interrupts, report: emo.Report) -> Settings:
    """Return the settings of a command line; what is wrong with them is reported."""
    times = {"interval": str(INTERVAL), "timeout": str(TIMEOUT), **values}
    interval = report.check(check_seconds, "interval", times["interval"], SHORTEST_INTERVAL) or 0
    timeout = report.check(check_seconds, "timeout", times["timeout"], 0) or 0
    attempt = report.check(check_attempt, values["attempt"]) if "attempt" in values else None
    url, name = base_given()
    base = report.check(check_base_url, url, name, report) or ""
    given = (values, base, name, interval, timeout, 0.0, attempt)
    return Settings(*given, Progress(), interrupts, {}).started_anew()


def check_seconds(field: str, text: str, least: float) -> float:
    seconds_given = float(text) if emo.is_number(text.replace(".", "", 1)) else -1
    if least <= seconds_given <= DAY:
        return seconds_given
    wanted = f"a number of seconds from {least:g} to {DAY}"
    raise emo.Problem(field, f"{emo.shown_link(text)} is not {wanted}", f"Give {wanted}.")


def check_attempt(text: str) -> int:
    if re.fullmatch("[1-9][0-9]{0,5}", text, re.ASCII):
        return int(text)
    hint = "Give 1 for the first task of the request, 2 for another one."
    raise emo.Problem("attempt", f"{emo.shown_link(text)} is not the number of an attempt", hint)


def base_given() -> tuple[str, str]:
    """Return the base URL that the environment gives, else the service's own, and its variable."""
    given = [name for name in BASE_VARIABLES if os.environ.get(name, "").strip()]
    variable = (*given, BASE_VARIABLES[-1])[0]
    return os.environ.get(variable, "").strip() or BASE_URL, variable


def check_base_url(text: str, variable: str, report: emo.Report) -> str:
    """Return the service's base URL without a slash at its end; raises `Problem`, or warns."""
    # The key goes there: by https, or within this machine; not to OSS. Hosts: references/api.md.
    parts, wanted = plain_url(text), "an https URL, which protects the API key"
    fault = "" if parts and is_safe(parts) else "is not the base of a service"
    host = (parts and parts.hostname) or ""
    if not fault and is_vendor(host) and not re.search(BEIJING, host):
        fault = "is of another region, or another service: EMO is in Beijing only"
        wanted = "one of Beijing"
    if not parts or fault:
        hint = f"Set {variable} to {wanted}; without {' or '.join(BASE_VARIABLES)} it is {BASE_URL}"
        raise emo.text_problem("base_url", text, fault, hint)
    if is_vendor(host):
        return f"https://{parts.netloc.lower()}{BASE_PATH}"
    if not parts.path.rstrip("/").endswith(BASE_PATH):
        message = f"{emo.shown_link(text)} does not end in {BASE_PATH}, as the service's base does"
        report.warn("base_url", message, f"Correct {variable} if the answer is HTTP 404.")
    return text.rstrip("/")


def find_key() -> str:
    """Return the API key; raises `Problem`, which never shows it."""
    profile = os.environ.get("ALIBABA_CLOUD_PROFILE", "").strip() or "default"
    given = os.environ.get("DASHSCOPE_API_KEY", "").strip()
    text = given or key_in_file(profile)
    place = f"[{emo.printable(profile, 40)}] in {CREDENTIALS}"
    both = f"DASHSCOPE_API_KEY (export it), or dashscope_api_key below {place}"
    both = f"DASHSCOPE_API_KEY, which goes before {CREDENTIALS}, or unset it" if given else both
    if not text:
        raise emo.Problem("api_key", "there is no API key", f"{OWN_KEY} {both}.{WHERE}")
    for look, fault, advice in NO_KEYS:
        if re.fullmatch(look, text, re.DOTALL):
            hint = f"{advice} {both}.{WHERE if advice == OWN_KEY else ''}"
            raise emo.Problem("api_key", f"the API key {fault}", hint)
    return text


def key_in_file(profile: str) -> str:
    import configparser

    parser = configparser.RawConfigParser(strict=False)  # many tools add to it
    try:
        path = os.path.expanduser(CREDENTIALS)
        with open(path, encoding="utf-8-sig", errors="replace", opener=open_at_once) as file:
            parser.read_file(file)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, configparser.Error) as error:  # its message may show the key
        why = f": {error.strerror}" if isinstance(error, OSError) else ""
        hint = "Below [default] it has one line dashscope_api_key = KEY; or set DASHSCOPE_API_KEY."
        raise emo.Problem("api_key", f"{CREDENTIALS} cannot be read{why}", hint) from None
    return parser.get(profile, "dashscope_api_key", fallback="").strip()
