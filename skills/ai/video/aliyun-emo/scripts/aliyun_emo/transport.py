"""One HTTP exchange within its time, by way of a proxy if there is one; whether it left."""
# What goes wrong while it is being connected never left; whatever goes wrong later may have.

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, InvalidURL
from typing import Any, Union
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, getproxies_environment, proxy_bypass

import prepare_emo_request as emo
from aliyun_emo import clock
from aliyun_emo.clock import FOREVER, Times

SLICE = 0.25  # seconds after which one who waits looks up: an interrupt may have cut the time
LEAST = 0.001  # seconds, when time is over: a time-out of 0 would mean "do not wait"
Patience = Callable[[], float]  # the moment until which an answer is waited for, asked all the time
PIECE = 64 * 1024  # bytes that come down at once
Body = Union[bytes, Iterable[bytes], None]  # what is sent, whole or in pieces, or nothing


class NoAnswer(Exception):
    """There is no answer: why, whether the request `left`, and if asking `again` does no harm."""

    def __init__(self, reason: str, again: bool = False, left: bool = True) -> None:
        super().__init__(reason)
        self.again, self.left = again, left


def exchange(
    url: str, data: Body, headers: emo.Values, times: Times, patience: Patience = lambda: FOREVER
) -> Reply:
    """Return the reply of `url` to a POST of `data`, or to a GET; raises `NoAnswer`."""
    # `data` in pieces needs a Content-Length among the `headers`. By `patience` it ends as well.
    is_get = data is None  # which may be asked again, whatever went wrong
    with no_answer(is_get, left=False):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OSError("it is no http or https URL with a host")
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
        undone.pop_all()  # from now on the reply closes the connection
        return reply


def send(connection: Connection, data: Body, headers: emo.Values) -> None:
    """Send a request; a server that refuses it before all is written has answered, all the same."""

    def pieces(whole: Iterable[bytes]) -> Iterator[bytes]:
        for piece in whole:
            connection.limit(connection.times.answer)
            yield piece

    connection.limit(connection.times.answer)
    scheme, netloc, path, query, _ = connection.parts
    target = (path or "/") + (f"?{query}" if query else "")
    host = netloc.rpartition("@")[2]
    headers = {"Host": host, "User-Agent": "aliyun-emo/1.0", "Connection": "close", **headers}
    if connection.proxy_fetches:
        target = f"{scheme}://{host}{target}"
        headers.update(connection.proxy_headers)
    body = data if data is None or isinstance(data, bytes) else pieces(data)
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
        connection.request("GET" if data is None else "POST", target, body, headers)


class Reply:
    """An answer: its `status`, `headers`, and of its body what comes with each `read`, unpacked."""

    def __init__(self, response: HTTPResponse, connection: Connection) -> None:
        self.response, self.connection = response, connection
        self.status, self.headers = response.status, response.headers
        self.packed = b""  # what came last, as it came
        coding = self.headers.get("Content-Encoding", "").strip().lower()
        self.unpacker = zlib.decompressobj(31) if coding in ("gzip", "x-gzip") else None
        self.coding = "" if self.unpacker or coding == "identity" else coding
        # In bytes, if it was announced plainly: of the body, and of the file that it is part of.
        is_plain = not (self.unpacker or response.chunked)
        lengths = ", ".join(self.headers.get_all("Content-Length", []))
        self.length = self.file_length = length_in(lengths) if is_plain else None
        if self.status == 206 and is_plain:  # "bytes 0-999/5000"
            self.file_length = length_in(self.headers.get("Content-Range", "").rpartition("/")[2])

    @property
    def is_cut(self) -> bool:
        """Whether it ended before it was whole, as far as that was announced."""
        unpacked = not self.unpacker or (self.unpacker.eof and not self.unpacker.unused_data)
        return bool(self.response.length) or not unpacked  # http.client counts `length` down

    def read(self) -> bytes:
        """Return the next bytes of the body, none at its end; raises `NoAnswer`."""
        if not self.unpacker:
            return self.received()
        data, packed = b"", b"..."  # anything but empty
        while packed and not (data or self.unpacker.eof):
            packed = self.unpacker.unconsumed_tail or self.received()
            try:  # so much at once: a thousand bytes may unpack to a megabyte
                data = self.unpacker.decompress(packed, PIECE)
            except zlib.error:
                raise NoAnswer("what came cannot be unpacked", again=True) from None
        return data

    def received(self) -> bytes:
        with no_answer(True, left=True):
            self.packed = self.response.read1(PIECE)
        return self.packed

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def length_in(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else None


@contextlib.contextmanager
def no_answer(again: bool, left: bool, variable: str = "") -> Iterator[None]:
    """Raise `NoAnswer` for what goes wrong within; all else that is raised says if it `left`."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        reason = reason_of(error)
        names = f"{variable} names" if getproxies_environment() else "the system has"
        reason += f", by way of the proxy that {names}" if variable else ""
        may_pass = isinstance(error, (ConnectionRefusedError, socket.gaierror)) and not left
        raise NoAnswer(reason, again or may_pass, left) from None
    except BaseException as error:
        error.left = left  # type: ignore[attr-defined]  # generation.send_once asks for it
        raise


def reason_of(error: BaseException) -> str:
    for kind, words in (  # the first that fits
        (socket.timeout, "it took too long"),
        (ConnectionRefusedError, "the connection was refused"),
        (ConnectionResetError, "the connection was reset"),
        (socket.gaierror, "the name of the host did not resolve"),
        # What a proxy says of its rights is not shown, only its status.
        (OSError, re.sub(r"(failed: \d+) .*", r"\1", str(getattr(error, "strerror", "") or error))),
        ((InvalidURL, ValueError), "the URL, or the proxy, is no URL"),
    ):
        if isinstance(error, kind):
            words = re.sub(r"(issuer cert\w+|self.sign[^(]*\w)", r"\1 (set SSL_CERT_FILE)", words)
            return emo.printable(words, 200)
    return "what came back is cut short, or is not HTTP"


class Timed(socket.socket):
    """A socket whose waits all end at the `deadline`: a byte now and then makes nothing longer."""

    deadline, took_last = FOREVER, False  # moved by `Connection.keep`, `limit`; one try after that
    patience: Patience

    def left(self) -> float:
        return max(min(self.deadline, self.patience()) - clock.monotonic(), LEAST)

    def recv_into(self, *arguments: Any) -> int:
        """Wait in slices; once time is over, take what is there, one time."""
        while (left := self.left()) > LEAST:
            self.took_last = False
            self.settimeout(min(left, SLICE))
            with contextlib.suppress(socket.timeout):
                return super().recv_into(*arguments)
        if self.took_last:
            raise socket.timeout
        self.took_last = True
        self.settimeout(LEAST)
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        self.settimeout(self.left())
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self.settimeout(self.left())
        super().sendall(*arguments)


class TimedTls(Timed, ssl.SSLSocket): ...


class Response(HTTPResponse):
    def begin(self) -> None:
        """Read the head of the answer; interim ones, 1xx, only announce it (RFC 9110, 15.2)."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class Connection(HTTPConnection):
    response_class = Response

    def __init__(self, parts: SplitResult, proxy: str, times: Times, patience: Patience) -> None:
        self.parts, self.times, self.patience = parts, times, patience
        self.is_tls, self.proxy_headers = parts.scheme == "https", dict[str, str]()
        self.proxy_fetches = bool(proxy) and not self.is_tls  # by the proxy, not by way of it
        self.host_name = parts.hostname or ""
        place = self.host_name, parts.port or (443 if self.is_tls else 80)
        if not proxy:
            super().__init__(*place)
        else:
            via, self.proxy_headers = proxy_parts(proxy)
            super().__init__(via.hostname or "", via.port or 80)
            if self.is_tls:
                self.set_tunnel(*place, headers=self.proxy_headers)
        self._create_connection = self.timed_socket  # what connect() calls before the tunnel

    def timed_socket(self, address: tuple[str, int], *_: object) -> Any:
        places = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)  # each gets a share of time
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
            context.sslsocket_class = TimedTls  # what wrap_socket makes
            self.line.settimeout(self.line.left())
            self.sock = self.keep(context.wrap_socket(self.line, server_hostname=self.host_name))
        if clock.monotonic() > self.end:  # who was stopped meanwhile sends nothing any more
            raise socket.timeout

    def limit(self, seconds: float) -> None:
        """Let what comes take so many `seconds` from now."""
        self.line.deadline = self.times.end_of(seconds)


def proxy_for(parts: SplitResult) -> str:
    """Return the proxy that the environment has for a URL, "" for none."""
    # Plain http to this machine takes no proxy: a key would leave it unprotected.
    is_here = parts.scheme == "http" and re.fullmatch(emo.LOOPBACK, parts.hostname or "")
    return "" if is_here or proxy_bypass(parts.netloc) else getproxies().get(parts.scheme, "")


def proxy_parts(proxy: str) -> tuple[SplitResult, emo.Values]:
    """Return the parts of a proxy's URL, and the header with its name and password."""
    if "://" in proxy and not proxy.lower().startswith("http:"):
        raise OSError("only http proxies are supported")
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return parts, {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return parts, {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
