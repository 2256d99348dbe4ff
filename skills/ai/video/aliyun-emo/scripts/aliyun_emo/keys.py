"""The API key: where it is from, and what is no key, in words that never show it."""

import os
import re

import prepare_emo_request as emo
from aliyun_emo.files import open_at_once

KEY_PAGE = "https://help.aliyun.com/zh/model-studio/get-api-key"
CREDENTIALS = os.path.join("~", ".alibabacloud", "credentials")
OWN_KEY = "Put a Beijing key into"
EXAMPLE = r"(?i)(sk-)?(\W|your|my[-_]|xxx).*|.*(\*\*|\.\.|api[-_]?key|your[-_]).*"
EXAMPLE += "|(sk-)?(none|null|undefined|empty|change.?me|replace.?me|placeholder|todo|redacted)?"
NO_KEYS = (  # what is given for a key: how it looks, what is told of it, and what to do
    (f"[{emo.QUOTES}].*|.*[{emo.QUOTES}]", "still has its quotes", "Take the quotes out of"),
    (r"[$%{<].*", "is a placeholder", OWN_KEY),
    (r".*\s.*", "has a space in it", "Put it alone, without Bearer, into"),
    (".*[^!-~].*", "has more than visible ASCII characters", "Correct it in"),
    (r".*([,;\\]|=.|://|.sk-).*|.*\w\w[.)*]", "has more in it than one key", "Put one alone into"),
    (r"(?i)LTAI.*|STS\..*", "is an AccessKey ID, another kind of credential", OWN_KEY),
    ("(?i)sk-sp-.*", "is that of a Coding or Token Plan, not of this service", OWN_KEY),
    (EXAMPLE, "is a placeholder", OWN_KEY),
)


def find_key() -> str:
    """Return the API key; raises `Problem`, which never shows it."""
    profile = os.environ.get("ALIBABA_CLOUD_PROFILE") or "default"
    text = os.environ.get("DASHSCOPE_API_KEY", "").strip() or key_in_file(profile)
    place = f"[{emo.printable(profile, 40)}] in {CREDENTIALS}"
    both = f"DASHSCOPE_API_KEY (export it), or dashscope_api_key below {place}"
    where = f" {KEY_PAGE} says where to get one."
    if not text:
        raise emo.Problem("api_key", "there is no API key", f"{OWN_KEY} {both}.{where}")
    for look, fault, advice in NO_KEYS:
        if re.fullmatch(look, text, re.DOTALL):
            hint = f"{advice} {both}.{where if advice == OWN_KEY else ''}"
            raise emo.Problem("api_key", f"the API key {fault}", hint)
    return text


def key_in_file(profile: str) -> str:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        path = os.path.expanduser(CREDENTIALS)
        with open(path, encoding="utf-8-sig", opener=open_at_once) as file:
            parser.read_file(file)
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, configparser.Error):  # its message may show the key
        hint = "It is UTF-8, begins with [default], has each name once; or set DASHSCOPE_API_KEY."
        raise emo.Problem("api_key", f"{CREDENTIALS} cannot be read", hint) from None
    return parser.get(profile, "dashscope_api_key", fallback="").strip()
