"""What makes links lead to the same file, and what hosts and URLs are (signers: prepare, 1)."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

import prepare_emo_request as emo

BASE_HOST, BASE_PATH = "dashscope.aliyuncs.com", "/api/v1"
BASE_URL = f"https://{BASE_HOST}{BASE_PATH}"


def link_identity(link: str) -> tuple[str, str]:
    """Return what makes a normalized `link` lead to its file, and apart from it the signature."""
    # The scheme's port, and escapes of characters that need none, do not count (RFC 3986, 6.2).
    link = re.sub("%([0-9A-Fa-f]{2})", plain_escape, link)
    head, question, query = link.partition("?")
    scheme, _, rest = head.partition("://")
    host, _, path = rest.partition("/")
    host = re.sub(":0*443$" if scheme == "https" else ":0*80$", "", host)
    names = emo.signing_names(emo.query_values(query))
    pairs: tuple[list[str], list[str]] = ([], [])
    for pair in query.split("&"):
        pairs[emo.parameter_name(pair.partition("=")[0]) in names].append(pair)
    asked, signature = map("&".join, pairs)
    question = question if asked or not signature else ""
    return f"{scheme}://{host}/{path}{question}{asked}", signature


def plain_url(text: str) -> SplitResult | None:
    """Return the parts of a URL that is a host and perhaps a path, and nothing else, or None."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and emo.is_visible_ascii(text)
    except ValueError:
        return None
    return parts if usable and not set("@?#<>{}$") & set(text) else None


def is_safe(parts: SplitResult) -> bool:
    """Whether what is sent to a URL is protected, or does not leave this machine."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts))


def is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127\.[0-9.]+", host))


def is_vendor(host: str) -> bool:
    return f".{host}".endswith(".aliyuncs.com")


def plain_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if re.match("[A-Za-z0-9._~-]", character) else escape[0].upper()
