"""Links: what makes two the same, what was meant by none; hosts, URLs (rules: prepare, 4 to 7)."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from urllib.parse import SplitResult, urlsplit

import prepare_emo_request as emo

BASE_HOST, BASE_PATH = "dashscope.aliyuncs.com", "/api/v1"
BASE_URL = "https://" + BASE_HOST + BASE_PATH
ANY_TIME = float("-inf")  # a moment at which no link has expired
ALMOST_HTTP = r"(?:https?://((?!www\.)[\w-]+\.)?)*"  # again, or with a bucket before an endpoint
ALMOST_HTTP += r"h?(tt?|xx)p(s?)(([:;\uff1a]|%3A)?([/\uff0f]|%2F){2}|:(/|(?<=//http:|/https:)))"
WITHIN = r"https?://(?:\[[\w:.]+\](?![(\[])|\uff08\d+\uff09|(?!\)!?\[|[)}]\{|&(?!amp;)#?\w+;|"
WITHIN += rf"(?<!\.)[,;.](?=[^!-~])|{emo.SECOND})[^][\s\\|<>^\x1b{emo.QUOTES}{emo.WIDE}]|"
WITHIN += rf"(?:(?<=\w)'|[\u300c{emo.WIDE}][^\s/]{{1,40}}?[{emo.WIDE}]|[{emo.WIDE}]+(?=[\w.]))"
WITHIN += rf"(?=[\w-]{{0,40}}\.(?:{emo.MEDIA})(?![a-z0-9])))+"


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
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0 and emo.is_visible_ascii(text)
        return parts if usable and not re.search(r"[@?#<>{}$,;|\\]|.://.*://|//\.", text) else None
    return None


def is_safe(parts: SplitResult) -> bool:
    """Whether what is sent to a URL is protected, or does not leave this machine."""
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts))


def is_loopback(parts: SplitResult) -> bool:
    return bool(re.fullmatch(emo.LOOPBACK, parts.hostname or ""))


def is_vendor(host: str) -> bool:
    return f".{host}".endswith(".aliyuncs.com")


def plain_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if re.match("[A-Za-z0-9._~-]", character) else escape[0].upper()


def ascii_hint(field: str, host: str) -> str:
    with contextlib.suppress(emo.Problem, UnicodeError):
        form = emo.check_host(field, host.encode("idna").decode())
        return f"Write it as {form}, if that is the host you mean."
    return ""


def rank(field: str, link: str) -> list[bool]:
    """Return what is least of the `link` meant for a `field`: right, of its format, signed."""
    bad = emo.check_link(field, link, ANY_TIME, emo.Report()) is None
    ends = {*re.findall(r"\.([a-z0-9]+)", link.lower())}
    return [bad, ends.isdisjoint(emo.FORMATS[field]), not re.search(emo.AS_A_SIGNATURE, link, re.I)]


def bare_link(found: str) -> str:
    """Return the link with which a text begins, without what stands behind it."""
    behind = rf"(?i)(^[^?]*?\.(?:{emo.MEDIA}))(?:[{emo.WIDE}](?!\d).*|(?:\.\.\.|[,;:]).*|"
    behind += r"[/+)]?[^!-~]+(?:[0-9]+[^!-~]*)?$)|%0[AD].*|\?+$|_+(;!!.*)?$|(?<=[a-z0-9.])[^!-~]+$"
    link = re.sub(behind, r"\1", found)
    return link if "..." in link else emo.without_marks(link)  # one that is cut stays so


def but(field: str, link: str, now: float) -> str:
    emo.check_link(field, link, now, its := emo.Report())
    wrong = [p for p in its.errors if " lost its " not in p.message]  # it may be lost by us
    return "".join(f" But {emo.stopped(p.message)} {p.hint}" for p in wrong)


def no_link(field: str, text: str, link: str, now: float) -> emo.Problem:
    """Return the problem of a `text` that is no http(s) link, as `split_link` has cleaned it."""
    local = f"Give a local file to --{emo.LOCAL[field]}, or upload it and give its public link."
    scheme, colon, _ = link.lower().partition(":")
    plain = re.sub(r"\\u(?!d[89a-f])([0-9a-f]{4})", lambda u: chr(int(u[1], 16)), text, flags=re.I)
    plain = re.sub(r"\\([/_.-])", r"\1", plain).replace("\u2026", "...")  # of JSON, of Markdown
    found = [bare_link(one[0][:4000]) for one in re.finditer(WITHIN, plain, re.IGNORECASE)]
    two = scheme in ("http", "https") or (len(found) > 1 and text[0] in emo.QUOTES)
    if (almost := re.match(ALMOST_HTTP, link, re.I)) and not re.match("(?i)https?://$", almost[0]):
        rest = (almost[1] or "") + link[almost.end() :].replace("[.]", ".")  # a bucket before it
        meant = f"http{almost[3].lower()}://{emo.unescaped(rest) if '%' in almost[0] else rest}"
        fault = f"it begins with {emo.shown_link(almost[0])}, not with https://"
        return emo.Problem(field, fault, f"Give {emo.shown_link(meant, 999)}.")
    if found and (two or not re.match(rf"blob:|data:i|[{emo.QUOTES}]*{re.escape(found[0])}", link)):
        one = min(found, key=partial(rank, field)) if len(found) > 1 else found[0]  # it calls us
        blank = rf"(?<!\.\w{{3}})(?<!\.\w{{4}})((?: [^\s\"')>:]+)+\.(?:{emo.MEDIA}))"  # in a name
        more = re.search(rf"[\"'(<]{re.escape(one)}{blank}[\"')>]", plain, re.I)
        one += more[1].replace(" ", "%20") if more else ""
        fault = f"what was given has more than {'one link in' if two else 'a link around'} it"
        return emo.Problem(field, fault, f"Give {emo.shown_link(one, 999)}.{but(field, one, now)}")
    if text[0] in emo.QUOTES:
        fault, hint = "still has the quotes around it", 'Take them off; if it has &, use plain " ".'
        bare = text.strip(emo.QUOTES + " \n")
        return emo.text_problem(field, bare, fault, hint + (bare and but(field, bare, now)))
    if not colon or not re.fullmatch("[a-z][a-z0-9+-]+", scheme):
        return emo.text_problem(field, text, "is a local path, or lacks https:// in front", local)
    fault = f"is not an http or https link but {emo.printable(scheme, 40)}:"
    return emo.text_problem(field, text, fault, local)
