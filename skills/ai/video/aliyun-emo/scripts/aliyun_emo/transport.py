"""One HTTP exchange within its time, and whether the request left this machine.

It is connected, sent and received, one after the other. What goes wrong while it is connected never
left; whatever goes wrong later may have. Redirects are not followed here.
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, InvalidURL
from typing import Any, NamedTuple, Union
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import prepare_emo_request as emo
from aliyun_emo import clock

PIECE = 64 * 1024  # bytes that go up or come down at once
SLICE = 0.25  # seconds after which one who waits looks up: an interrupt may have cut the time
LEAST = 0.001  # seconds: a time-out of 0 would mean "do not wait", and what is there is taken
FOREVER = float("inf")
Body = Union[bytes, Iterable[bytes], None]  # what is sent, whole or in pieces, or nothing
Patience = Callable[[], float]  # the moment until which an answer is waited for, asked all the time


def forever() -> float:
    return FOREVER


class NoAnswer(Exception):
    """There is no answer: why, whether the request `left`, and if asking `again` does no harm."""

    def __init__(self, reason: str, again: bool = False, left: bool = True) -> None:
        super().__init__(reason)
        self.again, self.left = again, left


class Times(NamedTuple):
    """Seconds to `connect`, for the `answer` or a piece of a body; none goes on after `until`."""

    connect: float
    answer: float
    until: float = FOREVER  # a moment of the monotonic clock

    def end_of(self, seconds: float) -> float:
        """Return the moment at which what may take so many `seconds` ends."""
        return min(clock.monotonic() + seconds, self.until)


# --- 1. Sockets that wait no longer than they may -------------------------------------------------


class Timed(socket.socket):
    """A socket all of whose waits together end at the `deadline`, or by its `patience`: a time-out
    alone is for one read, and a byte now and then would never end.
    """

    deadline, is_over = FOREVER, False
    patience = staticmethod(forever)

    def left(self) -> float:
        return max(min(self.deadline, self.patience()) - clock.monotonic(), LEAST)

    def recv_into(self, *arguments: Any) -> int:
        while True:
            was_over, left = self.is_over, self.left()
            self.is_over = left == LEAST
            self.settimeout(min(left, SLICE))
            try:
                if was_over and self.is_over:  # else what always has a byte never ends
                    raise socket.timeout
                return super().recv_into(*arguments)
            except socket.timeout:
                if self.is_over:
                    raise

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.left())
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.left())
        super().sendall(*arguments)


class TimedTls(Timed, ssl.SSLSocket):
    pass


# --- 2. Connections -------------------------------------------------------------------------------


class Response(HTTPResponse):
    def begin(self) -> None:
        """Read the head of the answer; interim ones, 1xx, only announce it (RFC 9110, 15.2)."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class Connection(HTTPConnection):
    """A connection to the host of a URL, by way of its proxy where there is one."""

    response_class = Response

    def __init__(self, parts: SplitResult, proxy: str, times: Times, patience: Patience) -> None:
        self.parts, self.times, self.patience = parts, times, patience
        self.is_tls, self.to_proxy = parts.scheme == "https", dict[str, str]()
        self.is_fetched = bool(proxy) and not self.is_tls  # by the proxy, not by way of it
        self.host_name = parts.hostname or ""
        place = self.host_name, parts.port or (443 if self.is_tls else 80)
        if not proxy:
            super().__init__(*place)
        else:
            via, self.to_proxy = proxy_parts(proxy)
            super().__init__(via.hostname or "", via.port or 80)
            if self.is_tls:
                self.set_tunnel(*place, headers=self.to_proxy)
        self._create_connection = self.timed_socket  # what connect() calls before the tunnel

    @property
    def target(self) -> str:
        """What the request line names: for a proxy that is to fetch it, the whole URL."""
        query = f"?{self.parts.query}" if self.parts.query else ""
        whole = f"http://{self.parts.netloc}" if self.is_fetched else ""
        return f"{whole}{self.parts.path or '/'}{query}"

    def timed_socket(self, address: tuple[str, int], *_: object) -> Any:
        places = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)  # all share the time
        plain = socket.create_connection(address, self.times.connect / max(len(places), 1))
        return self.keep(Timed(plain.family, plain.type, plain.proto, plain.detach()))

    def keep(self, line: Any) -> Any:
        """Keep the socket, which http.client drops before the body is read."""
        line.deadline, line.patience = self.end, self.patience
        self.line: Timed = line
        return line

    def connect(self) -> None:
        self.end = self.times.end_of(self.times.connect)
        super().connect()
        if self.is_tls:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            context.sslsocket_class = TimedTls
            self.line.settimeout(self.line.left())
            self.sock = self.keep(context.wrap_socket(self.line, server_hostname=self.host_name))

    def limit(self, seconds: float) -> None:
        """Let what comes take so many `seconds` from now."""
        self.line.deadline = self.times.end_of(seconds)


def proxy_for(parts: SplitResult) -> str:
    """Return the proxy that the environment has for a URL, "" for none."""
    # Plain http to this machine takes no proxy: a key would leave it unprotected.
    if (parts.scheme == "http" and is_loopback(parts)) or proxy_bypass(parts.netloc):
        return ""
    return getproxies().get(parts.scheme, "")


def proxy_parts(proxy: str) -> tuple[SplitResult, emo.Values]:
    """Return the parts of a proxy's URL, and the header with its name and password."""
    if "://" in proxy and not proxy.lower().startswith("http"):
        raise OSError("only http proxies are supported")
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return parts, {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return parts, {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127\.[0-9.]+", host))


# --- 3. The exchange ------------------------------------------------------------------------------


def exchange(
    url: str, data: Body, headers: emo.Values, times: Times, patience: Patience = forever
) -> Reply:
    """Return the reply of `url` to a POST of `data`, or to a GET; raises `NoAnswer`.

    `data` in pieces needs a Content-Length among the `headers`. By `patience` it ends as well.
    """
    is_get = data is None
    with no_answer(is_get, left=False):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise OSError(f"unknown url type: {parts.scheme}")
        if not parts.hostname:
            raise OSError("no host given")
        proxy = proxy_for(parts)
    with contextlib.ExitStack() as undone:
        with no_answer(is_get, left=False, variable=f"{parts.scheme}_proxy" if proxy else ""):
            connection = Connection(parts, proxy, times, patience)
            undone.callback(connection.close)
            connection.connect()
            if patience() < FOREVER:  # a signal has come, and nothing has left yet
                raise OSError("it was interrupted")
        with no_answer(is_get, left=True):
            send(connection, data, headers)
            connection.limit(times.answer)
            reply = Reply(connection.getresponse(), connection)
        undone.pop_all()
        return reply


def send(connection: Connection, data: Body, headers: emo.Values) -> None:
    """Send a request; a server that refuses it before all is written has answered, all the same."""

    def pieces(whole: Iterable[bytes]) -> Iterator[bytes]:
        for piece in whole:
            connection.limit(connection.times.answer)
            yield piece

    connection.limit(connection.times.answer)
    host = connection.parts.netloc.rpartition("@")[2]
    headers = {"Host": host, "User-Agent": "Python", "Connection": "close", **headers}
    if connection.is_fetched:
        headers.update(connection.to_proxy)
    body = data if data is None or isinstance(data, bytes) else pieces(data)
    with contextlib.suppress(ConnectionError):
        connection.request("GET" if data is None else "POST", connection.target, body, headers)


class Reply:
    """An answer: its `status` and `headers`, and of its body what comes with each `read`, unpacked.

    `length` is what the body has in bytes, where that was announced plainly, or None, and
    `whole_length` the same of the file where this is a part of it; `coding` is what it is packed
    with, beyond gzip, which is unpacked; `packed` is what came last, as it came.
    """

    def __init__(self, response: HTTPResponse, connection: Connection) -> None:
        self.response, self.connection = response, connection
        self.status, self.headers, self.packed = response.status, response.headers, b""
        coding = self.headers.get("Content-Encoding", "").strip().lower()
        self.unpacker = zlib.decompressobj(31) if coding in ("gzip", "x-gzip") else None
        self.coding = "" if self.unpacker or coding == "identity" else coding
        is_plain = not (self.unpacker or response.chunked)
        announced = self.headers.get_all("Content-Length", []) if is_plain else []
        self.length = length_in(announced[0]) if len(announced) == 1 else None
        self.whole_length = self.length
        if self.status == 206 and is_plain:  # "bytes 0-999/5000"
            content_range = self.headers.get("Content-Range", "")
            self.whole_length = length_in(content_range.rpartition("/")[2])

    @property
    def is_cut(self) -> bool:
        """Whether what ended before it was whole, as far as it was announced."""
        return bool(self.response.length or (self.unpacker and not self.unpacker.eof))

    def limit(self, seconds: float) -> None:
        """Let what comes take so many `seconds` from now."""
        self.connection.limit(seconds)

    def read(self) -> bytes:
        """Return the next bytes of the body, none at its end; raises `NoAnswer`."""
        while True:
            packed = self.unpacker.unconsumed_tail if self.unpacker else b""
            if self.unpacker and self.unpacker.unused_data:
                if self.unpacker.unused_data[:2] != b"\x1f\x8b":  # not another part
                    return b""
                packed, self.unpacker = self.unpacker.unused_data, zlib.decompressobj(31)
            if not packed:
                with no_answer(True, left=True):
                    packed = self.packed = self.response.read1(PIECE)
            if not self.unpacker:
                return packed
            try:  # so much at once: a thousand bytes may unpack to a megabyte
                data = self.unpacker.decompress(packed, PIECE)
            except zlib.error:
                raise NoAnswer("what came cannot be unpacked") from None
            if data or not packed:
                return data

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def length_in(text: str) -> int | None:
    """Return the number of bytes in `text`, or None; int() refuses too many digits."""
    return int(text) if emo.is_number(text) and len(text) < 20 else None


@contextlib.contextmanager
def no_answer(is_get: bool, left: bool, variable: str = "") -> Iterator[None]:
    """Raise `NoAnswer` for what goes wrong within; all else that is raised says if it `left`."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        reason = reason_of(error)
        if variable:
            reason += f", by way of the proxy that {variable} names"
        momentary = isinstance(error, (ConnectionRefusedError, socket.gaierror))
        raise NoAnswer(reason, is_get or (momentary and not left), left) from None
    except BaseException as error:
        error.left = left  # type: ignore[attr-defined]
        raise


def reason_of(error: BaseException) -> str:
    """Return what `error` of a connection means, for people."""
    for kind, words in (
        (socket.timeout, "it took too long"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (socket.gaierror, "the name of the host did not resolve"),
        # What a proxy says of its rights is not shown, only its status.
        (OSError, re.sub(r"(failed: \d+) .*", r"\1", str(getattr(error, "strerror", "") or error))),
        ((InvalidURL, ValueError), "the URL, or the proxy, is no URL"),
    ):
        if isinstance(error, kind):
            return emo.printable(words, 200)
    return "what came back is cut short, or is not HTTP"
