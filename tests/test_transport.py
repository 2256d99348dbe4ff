"""One exchange: whether its request left, what comes back, and that all of it ends in its time."""

import contextlib
import gzip
import json
import os
import socket
import ssl
import struct
import threading
import time
import unittest
import zlib
from functools import partial
from pathlib import Path
from unittest import mock

from support import Case
from support.service import KEY, PORTRAIT, Proxy, Server, Service
from support.service_case import FILE, GenerationCase

from aliyun_emo import clock, settings, transport
from aliyun_emo.transport import NoAnswer, Times, exchange

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TIMES = Times(20, 20)
SHORT = Times(20, 0.1)


def read_request(line):
    """Return the head of a request, and what has come of its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(65536)
        if not piece:
            break
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body


def head_of(status=200, **headers):
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Whatever\r\n{fields}\r\n".encode("latin-1")


def answers(answer):
    """Return a talk that reads a request and gives `answer`, bytes."""

    def talk(server, line):
        server.asked.append(read_request(line))
        line.sendall(answer)

    return talk


def closing(talk):
    """Return a talk that ends its side of the connection after another."""

    def closed(server, line):
        talk(server, line)
        line.shutdown(socket.SHUT_WR)

    return closed


def silent(server, line):
    server.asked.append(read_request(line))
    server.ended.wait(20)


def dripping(start):
    """Return a talk that answers with `start`, and then a byte now and then, for ever."""

    def talk(server, line):
        server.asked.append(read_request(line))
        line.sendall(start)
        while not server.ended.wait(0.02):
            line.sendall(b"x")

    return talk


class TransportCase(Case):
    def server(self, talk):
        servers = contextlib.ExitStack()
        self.addCleanup(servers.close)
        return servers.enter_context(Server(talk))

    def fails(self, *arguments, **options):
        """Return the `NoAnswer` of an exchange."""
        with self.assertRaises(NoAnswer) as caught:
            exchange(*arguments, **options).close()
        return caught.exception

    def body_of(self, reply):
        self.addCleanup(reply.close)
        return b"".join(iter(reply.read, b""))


class Phases(TransportCase):
    """Connected, sent, received: what goes wrong in the first never left."""

    def closed_port(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{closed.getsockname()[1]}"

    def test_what_goes_wrong_while_it_is_connected_never_left(self):
        plain = self.server(lambda server, line: line.sendall(OK))
        refusing = self.server(answers(REFUSED))
        through = self.server(closing(answers(TUNNEL + b"this is no TLS\r\n" * 9)))
        closed = self.closed_port()
        real = socket.getaddrinfo

        def lookup(host, *rest, **more):
            if host == "emo.invalid":
                raise socket.gaierror(-2, "not known")
            return real(host, *rest, **more)

        for name, url, proxy, momentary, words in (
            ("refused", f"http://{closed}/", "", True, "refused"),
            ("refused, TLS", f"https://{closed}/", "", True, "refused"),
            ("no such name", "https://emo.invalid/", "", True, "did not resolve"),
            ("no TLS there", f"https://{plain.place}/", "", False, ""),
            ("another scheme", "ftp://127.0.0.1/x", "", False, "no http or https URL"),
            ("a file", "file:///etc/passwd", "", False, "no http or https URL"),
            ("no scheme", "127.0.0.1/x", "", False, "no http or https URL"),
            ("no host", "http:///x", "", False, "no http or https URL with a host"),
            ("no port", "http://127.0.0.1:x/", "", False, "no URL"),
            ("half a host", "http://[", "", False, "no URL"),
            ("a proxy says no", "https://emo.invalid/", refusing.place, False, "https_proxy"),
            ("a proxy to nowhere", "https://emo.invalid/", through.place, False, "https_proxy"),
            ("a proxy that is not there", "https://emo.invalid/", closed, True, "https_proxy"),
            ("no proxy for http", "http://emo.invalid/", closed, True, "http_proxy"),
            (
                "TLS to a proxy",
                "https://emo.invalid/",
                "https://127.0.0.1:1",
                False,
                "only http pro",
            ),
            ("SOCKS", "https://emo.invalid/", "socks5://127.0.0.1:1", False, "only http proxies"),
            ("a proxy of no URL", "https://emo.invalid/", "http://[", False, "no URL"),
        ):
            for data in (None, b"{}"):
                with self.subTest(name, data=data), mock.patch("socket.getaddrinfo", lookup):
                    os.environ["http_proxy"] = os.environ["https_proxy"] = proxy
                    error = self.fails(url, data, {}, TIMES)
                    self.assertIs(error.left, False)
                    self.assertIs(error.again, data is None or momentary)
                    self.assertIn(words, str(error))
        self.assertEqual((len(refusing.asked), len(through.asked)), (2, 2))
        for head, body in (*refusing.asked, *through.asked):
            self.assertTrue(head.startswith("CONNECT emo.invalid:443 "), head)
            self.assertNotIn(b"{}", body)

    def test_a_proxy_of_the_system_s_settings_is_named_so(self):
        found = {"https": f"http://{self.closed_port()}"}
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
            os.environ.pop(name, None)
        os.environ.pop("no_proxy", None)
        settings = {"getproxies": lambda: found, "getproxies_environment": dict}
        with mock.patch.multiple("aliyun_emo.transport", **settings):
            error = self.fails("https://emo.invalid/", None, {}, TIMES)
        self.assertIn("by way of the proxy that the system has", str(error))

    def test_who_was_stopped_while_it_connected_sends_nothing_any_more(self):
        server, real, late = self.server(answers(OK)), clock.monotonic, []
        connect = socket.create_connection

        def stopped(*words):
            late.append(21)
            return connect(*words)

        later = mock.patch.object(clock, "monotonic", lambda: real() + sum(late))
        with later, mock.patch("socket.create_connection", stopped):
            error = self.fails(server.url, b"{}", {}, TIMES)
        self.assertEqual((str(error), error.left), ("it took too long", False))
        self.assertEqual("".join(head for head, _ in server.asked), "")

    def test_what_goes_wrong_later_may_have_left(self):
        def reset(server, line):
            server.asked.append(read_request(line))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

        for name, talk, words in (
            ("closed", answers(b""), ""),
            ("reset", reset, "reset"),
            ("silent", silent, "too long"),
            ("nonsense", answers(b"hello\r\n\r\n"), "not HTTP"),
            ("half a line", answers(b"HTTP/1.1 2"), ""),
            ("no number", answers(b"HTTP/1.1 abc OK\r\n\r\n"), "not HTTP"),
            ("an endless line", answers(b"HTTP/1.1 200 " + b"x" * 100_000), "not HTTP"),
            ("1xx and no end", answers(head_of(103)), ""),
        ):
            for data in (None, b"{}"):
                with self.subTest(name, data=data):
                    server = self.server(talk if talk in (silent, reset) else closing(talk))
                    error = self.fails(server.url, data, {}, SHORT if talk is silent else TIMES)
                    self.assertIs(error.left, True)
                    self.assertIs(error.again, data is None)
                    self.assertIn(words, str(error))
                    self.until(lambda server=server: server.asked)
                    self.assertEqual(len(server.asked), 1)

    def test_whatever_else_is_raised_says_whether_it_left(self):
        server = self.server(answers(OK))
        for kind in (MemoryError(), KeyboardInterrupt(130), KeyError("x")):
            for place, left in (
                ("http.client.HTTPConnection.connect", False),
                ("ssl.create_default_context", False),
                ("http.client.HTTPConnection.request", True),
                ("http.client.HTTPConnection.getresponse", True),
            ):
                with self.subTest(f"{kind!r} {place}"), mock.patch(place, side_effect=kind):
                    url = server.url
                    if "ssl" in place:
                        url = url.replace("http:", "https:")
                    with self.assertRaises(type(kind)) as caught:
                        exchange(url, b"{}", {}, TIMES)
                    self.assertIs(caught.exception.left, left)

    def test_whatever_goes_wrong_the_connection_is_closed(self):
        for name, talk in (
            ("answered and closed here", answers(OK)),
            ("nonsense", answers(b"hello\r\n\r\n")),
            ("silent", None),
        ):
            with self.subTest(name):
                server = self.server(talk or answers(b""))
                with contextlib.suppress(NoAnswer):
                    exchange(server.url, None, {}, SHORT).close()
                self.until(lambda server=server: server.ends)


class Requests(TransportCase):
    """What goes over the wire."""

    def asked(self, url, data=None, headers=None, server=None):
        server = server or self.server(answers(OK))
        self.assertEqual(
            self.body_of(exchange(url or server.url, data, headers or {}, TIMES)), b"ok"
        )
        head, body = server.asked[-1]
        first, *rest = head.split("\r\n")
        return first, dict(line.split(": ", 1) for line in rest), body

    def test_the_host_header_and_the_first_line(self):
        for url, host, target in (
            ("http://{}", "{}", "/"),
            ("http://{}/", "{}", "/"),
            ("http://{}/a/b.png?x=1&y=%20", "{}", "/a/b.png?x=1&y=%20"),
            ("http://{}?x=1", "{}", "/?x=1"),
            ("http://{}/a#b", "{}", "/a"),
            ("http://{}//a//b", "{}", "//a//b"),
            ("HTTP://{}/a", "{}", "/a"),
            ("http://me:s3cret@{}/a", "{}", "/a"),
        ):
            with self.subTest(url):
                server = self.server(answers(OK))
                url = url.format(server.place)
                first, headers, _ = self.asked(url, server=server)
                self.assertEqual(first, f"GET {target} HTTP/1.1")
                self.assertEqual(headers["Host"], host.format(server.place))
                self.assertEqual(headers["Connection"], "close")

    def test_a_proxy_is_asked_for_plain_http_with_the_whole_link(self):
        server = self.server(answers(OK))
        signed_in = f"http://me:p%40ss@{server.place}"
        basic = "Basic bWU6cEBzcw=="
        for proxy, url, first, host, rights in (
            (server.place, "http://emo.invalid/a?b", "http://emo.invalid/a?b", "emo.invalid", None),
            (
                f"http://{server.place}/",
                "http://emo.invalid",
                "http://emo.invalid/",
                "emo.invalid",
                None,
            ),
            (
                server.place,
                "http://emo.invalid:81/",
                "http://emo.invalid:81/",
                "emo.invalid:81",
                None,
            ),
            (
                server.place,
                "http://[2001:db8::1]/a",
                "http://[2001:db8::1]/a",
                "[2001:db8::1]",
                None,
            ),
            (server.place, "http://a%25b/", "http://a%25b/", "a%25b", None),
            (signed_in, "http://emo.invalid/", "http://emo.invalid/", "emo.invalid", basic),
        ):
            with self.subTest(f"{proxy} {url}"):
                os.environ["http_proxy"] = proxy
                line, headers, _ = self.asked(url, server=server)
                self.assertEqual(line, f"GET {first} HTTP/1.1")
                self.assertEqual(headers["Host"], host)
                self.assertEqual(headers.get("Proxy-Authorization"), rights)

    def test_no_proxy_is_asked_for_plain_http_to_this_machine_or_where_none_is_wanted(self):
        proxy = self.server(answers(REFUSED))
        server = self.server(answers(OK))
        os.environ["http_proxy"] = os.environ["HTTP_PROXY"] = proxy.place
        for url in (server.url, server.url.replace("127.0.0.1", "localhost")):
            with self.subTest(url):
                self.asked(url, server=server)
        os.environ["no_proxy"] = "emo.invalid"
        real = socket.getaddrinfo

        def lookup(host, *rest, **more):
            return real("127.0.0.1" if host == "emo.invalid" else host, *rest, **more)

        with mock.patch("socket.getaddrinfo", lookup):
            self.asked(server.url.replace("127.0.0.1", "emo.invalid"), server=server)
        self.assertEqual(proxy.asked, [])

    def test_an_https_link_goes_through_a_tunnel_that_alone_has_the_rights_of_the_proxy(self):
        with Service() as service:
            os.environ.update(service.environment)
            os.environ["https_proxy"] = service.root.replace("//", "//me:s3cret@")
            connects = []
            real = service.RequestHandlerClass.do_CONNECT

            def connect(handler):
                connects.append((handler.path, dict(handler.headers)))
                real(handler)

            with mock.patch.object(service.RequestHandlerClass, "do_CONNECT", connect):
                reply = exchange("https://example.com/portrait.png?x", None, {"X-Own": "1"}, TIMES)
                self.assertEqual((reply.status, self.body_of(reply)), (200, PORTRAIT))
            ((place, rights),) = connects
            self.assertEqual(place, "example.com:443")
            self.assertEqual(rights["Proxy-Authorization"], "Basic bWU6czNjcmV0")
            self.assertNotIn("X-Own", rights)
            (look,) = service.looks
            self.assertEqual((look.path, look.headers["Host"]), ("/portrait.png?x", "example.com"))
            self.assertEqual(look.headers["X-Own"], "1")
            self.assertNotIn("Proxy-Authorization", look.headers)

    def test_a_certificate_of_another_host_or_authority_ends_it_before_anything_left(self):
        with Service() as service:
            os.environ.update(service.environment)
            trusted = os.environ["SSL_CERT_FILE"]
            for host, authority in (("example.net", trusted), ("example.com", "")):
                with self.subTest(host):
                    os.environ["SSL_CERT_FILE"] = authority
                    error = self.fails(f"https://{host}/portrait.png", b"{}", {}, TIMES)
                    self.assertIs(error.left, False)
                    self.assertIn("certificate", str(error))
                    self.assertEqual("set SSL_CERT_FILE" in str(error), host == "example.com")
            self.assertEqual(service.looks, [])

    def test_a_body_goes_whole_or_in_pieces_with_its_length(self):
        taken = []

        def talk(server, line):
            head, body = read_request(line)
            while len(body) < 9:
                body += line.recv(65536)
            taken.append((head, body))
            line.sendall(OK)

        server = self.server(talk)
        length = {"Content-Length": "9", "Content-Type": "text/plain"}
        for data in (b"some body", [b"some", b" ", b"body"], iter([b"some body"])):
            with self.subTest(repr(data)):
                reply = exchange(server.url, data, length, TIMES)
                self.assertEqual(self.body_of(reply), b"ok")
                head, body = taken[-1]
                self.assertEqual(body, b"some body")
                self.assertTrue(head.startswith("POST /x HTTP/1.1"))
                self.assertEqual(head.count("Content-Length: 9"), 1)
                self.assertNotIn("Transfer-Encoding", head)

    def test_the_answer_of_a_server_that_refuses_before_it_has_read_all_is_read(self):
        refused = threading.Event()

        def talk(server, line):
            server.asked.append(read_request(line))
            line.sendall(head_of(413, Content_Length=3) + b"big")
            line.close()  # with bytes that were not read: what comes further is reset
            refused.set()

        sent = []

        def pieces():
            for number in range(500):
                sent.append(number)
                yield bytes(65536)
                refused.wait(20)

        server = self.server(talk)
        length = {"Content-Length": str(500 * 65536)}
        reply = exchange(server.url, pieces(), length, TIMES)
        self.assertEqual((reply.status, self.body_of(reply)), (413, b"big"))
        self.assertLess(len(sent), 500)

    def test_also_where_tls_has_an_error_of_its_own_for_that(self):
        # Which of the two errors comes is a matter of moments, so this one is raised here.
        real = transport.Connection.request

        def cut(connection, *words):
            real(connection, *words)
            raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")

        server = self.server(answers(head_of(403, Content_Length=2) + b"no"))
        with mock.patch.object(transport.Connection, "request", cut):
            reply = exchange(server.url, b"{}", {}, TIMES)
        self.assertEqual((reply.status, self.body_of(reply)), (403, b"no"))

    def test_a_server_that_hangs_up_before_it_has_read_all_may_have_taken_it(self):
        def talk(server, line):
            read_request(line)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()

        server = self.server(talk)
        error = self.fails(server.url, bytes(2**25), {}, TIMES)
        self.assertEqual((error.left, error.again), (True, False))

    def test_what_a_body_raises_is_raised_and_the_connection_closed(self):
        class Odd(Exception):
            pass

        def pieces():
            yield b"x"
            raise Odd

        server = self.server(answers(b""))
        with self.assertRaises(Odd) as caught:
            exchange(server.url, pieces(), {"Content-Length": "2"}, TIMES)
        self.assertIs(caught.exception.left, True)
        self.until(lambda: server.ends)


class Replies(TransportCase):
    def test_answers_that_only_announce_one_are_skipped(self):
        for statuses in ((), (100,), (102,), (103,), (100, 103, 103), (102,) * 30):
            with self.subTest(statuses):
                hints = b"".join(head_of(status, Link="</a>", X=1) for status in statuses)
                answer = hints + head_of(404, Content_Length=2) + b"no"
                reply = exchange(self.server(answers(answer)).url, b"{}", {}, TIMES)
                self.assertEqual((reply.status, self.body_of(reply)), (404, b"no"))
                self.assertNotIn("Link", reply.headers)
                self.assertNotIn("X", reply.headers)

    def test_redirects_are_not_followed(self):
        elsewhere = self.server(answers(OK))
        for status in (301, 302, 303, 307, 308):
            for data in (None, b"{}"):
                with self.subTest(status, data=data):
                    headers = {"Content_Length": 0, "Location": elsewhere.url}
                    server = self.server(answers(head_of(status, **headers)))
                    reply = exchange(server.url, data, {"Authorization": f"Bearer {KEY}"}, TIMES)
                    self.assertEqual((reply.status, self.body_of(reply)), (status, b""))
                    self.assertEqual(reply.headers["Location"], elsewhere.url)
                    self.assertEqual(len(server.asked), 1)
        self.assertEqual(elsewhere.asked, [])

    def test_a_body_is_unpacked(self):
        text = b"some words, and some words again" * 9000
        packed, deflated = gzip.compress(text), zlib.compress(text)
        for name, coding, body, expected, left in (
            ("gzip", "gzip", packed, text, ""),
            ("in capitals", " GZIP ", packed, text, ""),
            ("x-gzip", "x-gzip", packed, text, ""),
            ("and zeros behind it", "gzip", packed + bytes(9), text, ""),
            ("of nothing", "gzip", gzip.compress(b""), b"", ""),
            ("nothing at all", "gzip", b"", b"", ""),
            ("a part", "gzip", packed[:-20], ..., ""),
            ("none", "", text, text, ""),
            ("identity", "identity", text, text, ""),
            ("deflate", "deflate", deflated, deflated, "deflate"),
            ("br", "br", b"\x8b\0", b"\x8b\0", "br"),
            ("two", "deflate, gzip", packed, packed, "deflate, gzip"),
        ):
            with self.subTest(name):
                headers = {"Content_Encoding": coding} if coding else {}
                answer = head_of(200, Content_Length=len(body), **headers) + body
                reply = exchange(self.server(answers(answer)).url, None, {}, TIMES)
                came = self.body_of(reply)
                self.assertEqual(reply.coding, left)
                if expected is ...:
                    self.assertTrue(text.startswith(came))
                    self.assertIs(reply.is_cut, True)
                else:
                    self.assertEqual(came, expected)
                    self.assertIs(reply.is_cut, name in ("nothing at all", "and zeros behind it"))

    def test_what_says_it_is_packed_and_is_not_is_no_answer_but_there_as_it_came(self):
        for name, body in (
            ("a page", b"<html>"),
            ("broken", gzip.compress(b"x")[:10] + b"\x07" * 9),
        ):
            with self.subTest(name):
                head = head_of(200, Content_Length=len(body), Content_Encoding="gzip")
                reply = exchange(self.server(answers(head + body)).url, None, {}, TIMES)
                self.addCleanup(reply.close)
                with self.assertRaisesRegex(NoAnswer, "cannot be unpacked"):
                    while reply.read():
                        pass
                self.assertEqual(reply.packed, body)

    def test_a_little_that_unpacks_to_much_comes_in_pieces(self):
        body = gzip.compress(bytes(2**24))
        head = head_of(200, Content_Length=len(body), Content_Encoding="gzip")
        reply = exchange(self.server(answers(head + body)).url, None, {}, TIMES)
        self.addCleanup(reply.close)
        sizes = [len(piece) for piece in iter(reply.read, b"")]
        self.assertEqual(sum(sizes), 2**24)
        self.assertLessEqual(max(sizes), transport.PIECE)

    def test_a_length_is_known_where_it_was_announced_plainly(self):
        for name, status, headers, length, whole in (
            ("plain", 200, {"Content_Length": 2}, 2, 2),
            ("none", 200, {}, None, None),
            ("a sign", 200, {"Content_Length": "+2"}, None, None),
            ("2 and 2", 200, {"Content_Length": "2, 2"}, None, None),
            ("letters", 200, {"Content_Length": "two"}, None, None),
            ("\u00b2", 200, {"Content_Length": "\u00b2"}, None, None),
            ("9s", 200, {"Content_Length": "9" * 5000}, None, None),
            ("packed", 200, {"Content_Length": 2, "Content_Encoding": "gzip"}, None, None),
            ("packed otherwise", 200, {"Content_Length": 2, "Content_Encoding": "br"}, 2, 2),
            ("chunks", 200, {"Content_Length": 2, "Transfer_Encoding": "chunked"}, None, None),
            ("a part", 206, {"Content_Length": 2, "Content_Range": "bytes 0-1/500"}, 2, 500),
            ("a part of *", 206, {"Content_Length": 2, "Content_Range": "bytes 0-1/*"}, 2, None),
            ("a part of nothing", 206, {"Content_Length": 2}, 2, None),
            *(
                (
                    name,
                    206,
                    {"Content_Length": 2, "Content_Range": "bytes 0-1/500", **how},
                    None,
                    None,
                )
                for name, how in (
                    ("a packed part", {"Content_Encoding": "gzip"}),
                    ("a part in chunks", {"Transfer_Encoding": "chunked"}),
                )
            ),
            ("no part", 200, {"Content_Length": 2, "Content_Range": "bytes 0-1/500"}, 2, 2),
        ):
            with self.subTest(name):
                server = self.server(answers(head_of(status, **headers) + b"ok"))
                reply = exchange(server.url, None, {}, TIMES)
                self.addCleanup(reply.close)
                self.assertEqual((reply.length, reply.file_length), (length, whole))

    def test_what_is_cut_is_known_to_be_as_far_as_it_was_announced(self):
        chunked = {"Transfer_Encoding": "chunked"}
        for name, headers, body, is_cut in (
            ("whole", {"Content_Length": 2}, b"ok", False),
            ("cut", {"Content_Length": 3}, b"ok", True),
            ("no length", {}, b"ok", False),
            ("chunks", chunked, b"2\r\nok\r\n0\r\n\r\n", False),
            ("no last chunk", chunked, b"2\r\nok\r\n", ...),
            ("half a chunk", chunked, b"9\r\nok", ...),
        ):
            with self.subTest(name):
                talk = closing(answers(head_of(200, **headers) + body))
                reply = exchange(self.server(talk).url, None, {}, TIMES)
                self.addCleanup(reply.close)
                came = b""
                try:
                    while piece := reply.read():
                        came += piece
                except NoAnswer as error:
                    self.assertIs(is_cut, ...)
                    self.assertEqual((error.left, error.again), (True, True))
                else:
                    self.assertIs(reply.is_cut or came != b"ok", is_cut is not False)
                self.assertEqual(came, b"ok")


class Time(TransportCase):
    """No exchange lasts longer than it may, however its waits are cut."""

    def lasts(self, call, most=10):
        """Assert that `call` ends for want of time, long before what is waited for came."""
        start = time.monotonic()
        with self.assertRaisesRegex(NoAnswer, "too long"):
            call()
        self.assertLess(time.monotonic() - start, most)

    def test_all_waits_together_end_by_the_deadline(self):
        for name, start in (
            ("nothing", None),
            ("the first line", b""),
            ("the head", b"HTTP/1.1 200 OK\r\n"),
            ("an interim head", head_of(103) + b"HTTP/1.1 2"),
        ):
            for is_end in (False, True):
                with self.subTest(name, is_end=is_end):
                    server = self.server(silent if start is None else dripping(start))
                    times = Times(20, 60, time.monotonic() + 0.1) if is_end else Times(20, 0.1)
                    self.lasts(partial(exchange, server.url, None, {}, times))

    def test_so_do_those_of_a_body(self):
        late = ("it took too long",)
        nonsense = ("what came back is cut short, or is not HTTP", "what came cannot be unpacked")
        for name, start, ends in (
            ("plain", head_of(200, Content_Length=10**6), late),
            ("to the end", head_of(200), late),
            ("a chunk", head_of(200, Transfer_Encoding="chunked") + b"fffff\r\n", late),
            ("a chunk's length", head_of(200, Transfer_Encoding="chunked"), late + nonsense),
            (
                "gzip",
                head_of(200, Content_Encoding="gzip") + gzip.compress(b"")[:10],
                late + nonsense,
            ),
        ):
            with self.subTest(name):
                server = self.server(dripping(start))
                reply = exchange(server.url, None, {}, TIMES)
                self.addCleanup(reply.close)
                reply.connection.limit(0.1)
                start_time = time.monotonic()
                with self.assertRaises(NoAnswer) as caught:
                    list(iter(reply.read, b""))
                self.assertLess(time.monotonic() - start_time, 10)
                self.assertIn(str(caught.exception), ends)

    def test_so_do_those_of_a_connection(self):
        for name, start in (
            ("a tunnel", b""),
            ("its head", b"HTTP/1.1 200 OK\r\n"),
            ("TLS", TUNNEL),
        ):
            with self.subTest(name), Proxy(start, drips=True) as proxy:
                os.environ["https_proxy"] = proxy.url
                start_time = time.monotonic()
                error = self.fails("https://emo.invalid/", b"{}", {}, Times(0.1, 60))
                self.assertIs(error.left, False)
                self.assertLess(time.monotonic() - start_time, 10)

    def test_a_limit_counts_from_when_it_is_set(self):
        go_on = threading.Event()

        def talk(server, line):
            read_request(line)
            line.sendall(head_of(200, Content_Length=2) + b"o")
            go_on.wait(20)
            line.sendall(b"k")

        reply = exchange(self.server(talk).url, None, {}, TIMES)
        self.addCleanup(reply.close)
        self.assertEqual(reply.read(), b"o")
        reply.connection.limit(0.05)
        self.lasts(reply.read)
        go_on.set()

    def test_each_piece_that_is_sent_has_its_time_but_none_goes_on_after_the_end(self):
        now = [1000.0]

        def pieces():
            for _ in range(9):
                now[0] += 20  # as long as it takes to make one, or the line to take it
                yield b"x" * 1000

        def talk(server, line):
            body = read_request(line)[1]
            while len(body) < 9000:
                body += line.recv(65536)
            line.sendall(OK)

        length, real, left = {"Content-Length": "9000"}, transport.Timed.sendall, []

        def sendall(line, data):
            left.append(line.left())
            real(line, data)

        with mock.patch.object(clock, "monotonic", lambda: now[0]):
            with mock.patch.object(transport.Timed, "sendall", sendall):
                reply = exchange(self.server(talk).url, pieces(), length, Times(10, 30))
            self.assertEqual(self.body_of(reply), b"ok")
            self.assertEqual(left, [30.0] * 10)  # the head, and each piece
            server = self.server(silent)
            error = self.fails(server.url, pieces(), length, Times(10, 30, now[0] + 100))
        self.assertEqual((str(error), error.left), ("it took too long", True))

    def test_patience_is_asked_anew_all_the_time_and_cuts_a_wait(self):
        for name, talk in (("silent", silent), ("dripping", dripping(b"HTTP/1.1 200 OK\r\n"))):
            with self.subTest(name), mock.patch.object(transport, "SLICE", 0.005):
                asked = []

                def patience(asked=asked):
                    asked.append(1)
                    return transport.FOREVER if len(asked) < 20 else clock.monotonic() - 1

                server = self.server(talk)
                call = partial(exchange, server.url, b"{}", {}, Times(20, 60), patience)
                self.lasts(call)
                self.assertGreaterEqual(len(asked), 20)
                self.until(lambda server=server: server.asked)
                self.assertEqual(len(server.asked), 1)

    def test_an_answer_that_is_there_is_taken_also_when_the_patience_is_over(self):
        def talk(server, line):
            read_request(line)
            line.sendall(OK)
            server.asked.append(1)

        server = self.server(talk)

        def patience():
            if server.asked:
                return clock.monotonic() - 1
            return transport.FOREVER

        real = transport.send

        def send(*arguments):
            real(*arguments)
            self.until(lambda: server.asked)

        with mock.patch.object(transport, "send", send):
            reply = exchange(server.url, b"{}", {}, TIMES, patience)
        self.assertEqual(self.body_of(reply), b"ok")

    def test_a_moment_of_the_end_bounds_each_time(self):
        with mock.patch.object(clock, "monotonic", return_value=1000.0):
            for times, seconds, end in (
                (Times(10, 30), 30, 1030.0),
                (Times(10, 30, 1020.0), 30, 1020.0),
                (Times(10, 30, 1020.0), 10, 1010.0),
                (Times(10, 30, 900.0), 10, 900.0),
            ):
                self.assertEqual(times.end_of(seconds), end)

    def test_nothing_is_sent_for_who_does_not_wait_any_more(self):
        with Service() as service:
            with self.assertRaises(NoAnswer) as caught:
                exchange(f"{service.root}/x", b"{}", {}, Times(5, 5), lambda: time.monotonic() + 5)
            self.assertEqual((caught.exception.left, caught.exception.again), (False, False))
            self.assertEqual(service.posts, [])

    def test_all_addresses_of_a_host_share_the_time(self):
        dead = [(2, 1, 6, "", (f"127.0.0.{n}", 9)) for n in range(2, 8)]
        spent = []

        def connect(address, seconds):
            spent.append(seconds)
            raise OSError("dead")

        names = mock.patch("socket.getaddrinfo", lambda *_: dead)
        connecting = mock.patch("socket.create_connection", connect)
        with names, connecting, self.assertRaises(NoAnswer):
            exchange("http://example.com/", None, {}, Times(6, 5))
        self.assertEqual(spent, [1])

    def test_who_always_has_a_byte_comes_to_an_end(self):
        def flood(handler):
            with contextlib.suppress(OSError):
                while not handler.server.ended.is_set():
                    handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)

        with Service(x=[flood]) as service:
            start = time.monotonic()
            with self.assertRaises(NoAnswer) as caught:
                exchange(f"{service.root}/x", None, {}, Times(5, 0.1))
            self.assertEqual(str(caught.exception), "it took too long")
            self.assertLess(time.monotonic() - start, 5)


class Proxies(GenerationCase):
    """Runs by way of a proxy, or past it."""

    def test_plain_http_to_this_machine_takes_no_proxy(self):
        service = self.serve()
        with Proxy(REFUSED) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                os.environ[name] = proxy.url
            os.environ["no_proxy"] = ""
            for base in (service.base_url, service.base_url.replace("127.0.0.1", "localhost")):
                self.clear()
                os.environ["DASHSCOPE_BASE_URL"] = base
                self.ends_with_video(self.go())
            self.assertEqual(proxy.asked, [])
        os.environ["http_proxy"] = "http://["
        self.clear()
        self.ends_with_video(self.go())

    def through(self, url, **constants):
        """Return the `Result` of a run that should use the proxy `url`."""
        os.environ["DASHSCOPE_BASE_URL"] = "https://emo.invalid/api/v1"
        os.environ["https_proxy"] = url
        with mock.patch.multiple(settings, **{"CONNECT_TIMEOUT": 10, **constants}):
            result = self.go("--no-wait", "--no-look")
        self.ends(result, 4, "service")
        self.assertIn("https_proxy", result.line["errors"][0]["message"].lower())
        self.assertEqual(self.folders(), [])
        self.assertNotIn("state", result.line)
        return result

    def test_a_proxy_that_does_not_connect_means_that_nothing_was_sent(self):
        for name, answer in (
            ("407", REFUSED),
            ("403", b"HTTP/1.1 403 Forbidden\r\n\r\n<html>no"),
            ("502", b"HTTP/1.0 502 Bad Gateway\r\n\r\n"),
            ("nonsense", b"hello\r\n"),
            ("more nonsense", b"\0\xff" * 50_000),
            ("half a line", b"HTTP/1.1 2"),
            ("half a head", b"HTTP/1.1 200 OK\r\nX: y"),
            ("no number", b"HTTP/1.1 abc OK\r\n\r\n"),
            ("an endless line", b"HTTP/1.1 200 " + b"x" * 100_000),
            ("nothing", b""),
            ("a tunnel that ends", TUNNEL),
            ("a tunnel to nonsense", TUNNEL + b"hello, this is no TLS\r\n" * 9),
        ):
            with self.subTest(name), Proxy(answer) as proxy:
                self.through(proxy.url)
                self.assertTrue(all(line.startswith(b"CONNECT emo") for line in proxy.asked))
                self.assertNotIn(KEY.encode(), b"".join(proxy.asked))

    def test_a_proxy_that_drips_or_stalls_comes_to_an_end(self):
        for name, answer in (
            ("in the first line", b""),
            ("in the head", b"HTTP/1.1 200 OK\r\n"),
            ("behind the tunnel", TUNNEL),
        ):
            with self.subTest(name), Proxy(answer, drips=True) as proxy:
                start = time.monotonic()
                self.through(proxy.url, CONNECT_TIMEOUT=0.1)
                self.assertLess(time.monotonic() - start, 10)

    def test_a_proxy_variable_of_another_kind_means_that_nothing_was_sent(self):
        for url in (
            *("socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1", "socks4://127.0.0.1:1"),
            *("ftp://127.0.0.1:1", "http://[", "http://127.0.0.1:x/", "file:///etc/passwd"),
        ):
            with self.subTest(url):
                self.through(url)

    def test_a_proxy_that_is_not_there_means_that_nothing_was_sent(self):
        self.refuse_connections()
        url = os.environ["DASHSCOPE_BASE_URL"]
        self.through(url)
        self.assertEqual(len(self.clock.slept), 4)

    def test_its_password_is_not_shown(self):
        for url in (
            "http://me:s3cret@127.0.0.1:1",
            "http://me:s3cret@[",
            "https://me:s3cret@127.0.0.1:1",
        ):
            with self.subTest(url):
                self.assertNotIn("s3cret", str(self.through(url)))

    def test_a_poll_by_way_of_a_proxy_that_says_no_is_waited_out(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        (folder,) = self.folders()
        os.environ["DASHSCOPE_BASE_URL"] = "https://emo.invalid/api/v1"
        with Proxy(REFUSED) as proxy:
            os.environ["https_proxy"] = proxy.url
            line = self.kept(folder=folder)
            task_id = line["response"]["output"]["task_id"]
            result = self.ends(self.call_run("--task", task_id, "--timeout", "60"), 4, "service")
        self.assertIn("prox", str(result.line["errors"]).lower())
        self.assertEqual(len(service.posts), 1)
        self.assertEqual(json.loads(Path(result.line["task_path"]).read_text())["state"], "made")
        self.assertTrue(Path(FILE).exists())


if __name__ == "__main__":
    unittest.main()
