"""A connection to a URL's host, by way of a proxy if there is one (time-outs: settings)."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import prepare_emo_request as emo
from aliyun_emo import clock, links
from aliyun_emo.clock import FOREVER, Times

SLICE = 0.25  # seconds after which one who waits looks up: an interrupt may have cut the time
LEAST = 0.001  # seconds, when time is over: a time-out of 0 would mean "do not wait"
Patience = Callable[[], float]  # the moment until which an answer is waited for, asked all the time


def forever() -> float:
    return FOREVER


class Timed(socket.socket):
    """A socket whose waits all end at the `deadline`: a byte now and then makes nothing longer."""

    deadline, took_last = FOREVER, False  # moved by `Connection.keep`, `limit`; one try after that
    patience = staticmethod(forever)

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


class TimedTls(Timed, ssl.SSLSocket):
    pass


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
    if (parts.scheme == "http" and links.is_loopback(parts)) or proxy_bypass(parts.netloc):
        return ""
    return getproxies().get(parts.scheme, "")


def proxy_parts(proxy: str) -> tuple[SplitResult, emo.Values]:
    """Return the parts of a proxy's URL, and the header with its name and password."""
    if "://" in proxy and not proxy.lower().startswith("http:"):
        raise OSError("only http proxies are supported")
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return parts, {}
    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return parts, {"Proxy-Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}
