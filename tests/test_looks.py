"""A look at the links before a video is paid for: what it refuses, and what it only warns of."""

import contextlib
import gzip
import json
import os
import signal
import socket
import sys
import threading
import time
import unittest
import zlib
from unittest import mock

from support import arguments
from support.media import NOISE, OTHER_PICTURES, OTHER_RECORDINGS, app1, exif, fmt, jpeg, segment
from support.media import png as head_of_png
from support.media import wav as wav_of
from support.service import (
    KEY,
    PORTRAIT,
    SPEECH,
    Proxy,
    chunked,
    created,
    drip,
    fails,
    link,
    mp3,
    png,
    raw,
    reset,
    stall,
    status_of,
    store_fails,
    wav,
)
from support.service import after as later
from support.service_case import DAY, DETECTION, FILE, KEYS, POSIX, GenerationCase, other

from aliyun_emo import looks

IMAGE_URL = "https://example.com/portrait.png?Expires=9999999999&Signature=s3cret"
AUDIO_URL = "https://example.com/speech.mp3?Expires=9999999999&Signature=s3cret"
LINKS = {"image_url": IMAGE_URL, "audio_url": AUDIO_URL}
NAMES = {"image_url": "portrait.png", "audio_url": "speech.mp3"}
PRICE = {"seconds": 12.38, "cny": 0.99, "prices_of": "2026-05-30"}
MIB = 1024 * 1024
HTML = b"<!DOCTYPE html>\n<html><title>Log in</title></html>"


def body(content, status=200, kind="application/octet-stream", **headers):
    return raw(status, content, Content_Type=kind, **headers)


def without_length(content):
    return body(content, Content_Length=None, Connection="close")


def zipped(content, **headers):
    return body(gzip.compress(content), **{"Content_Encoding": "gzip", **headers})


def to(place, status=302):
    return body(b"", status, Location=place)


def endless(start, more, length=None):
    """Answer with `start`, and then with `more` for ever, or until nobody listens."""

    def answer(handler):
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", str(length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(start)
            while not handler.server.ended.is_set():
                handler.wfile.write(more)

    return answer


def sound_of(size):
    """Return a WAV recording of `size` bytes and less than 21 seconds."""
    layout = fmt(channels=2, rate=192_000)
    return wav_of(layout, (b"data", bytes(size - len(wav_of(layout, (b"data", b""))))))


def bomb(start):
    """Return gzip of `start` and 100 MiB more, whose end nobody waits for."""
    packer = zlib.compressobj(1, wbits=31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)) * 100


class LookCase(GenerationCase):
    def setUp(self):
        super().setUp()
        self.write("request.json", other(**LINKS))
        self.service = self.serve()

    def look(self, *words, **answers):
        """Return the `Result` of a run where links answer so, by the field of the link."""
        self.clear()
        self.service.looks.clear()
        self.service.seen.clear()
        self.service.links = {NAMES[field]: answer for field, answer in answers.items()}
        return self.go(*words)

    def refused(self, result, field, *words):
        """Assert that a run was refused for the link `field` with `words`, and nothing paid."""
        self.ends(result, 2, field)
        (error,) = result.line["errors"]
        self.assertIn("--no-look", error["hint"])
        for word in words:
            self.assertIn(word.lower(), error["message"].lower())
        self.paid_nothing(result)

    def warned(self, result, field, *words):
        """Assert that a run was warned of the link `field` with `words`, and paid all the same."""
        self.ends(result, 0)
        self.assertEqual([w["field"] for w in result.line["warnings"]], [field], result)
        (warning,) = result.line["warnings"]
        self.assertIn(f"warning: {field}:", result.stderr)
        for word in words:
            self.assertIn(word.lower(), warning["message"].lower())
        self.paid_once(result)

    def paid_nothing(self, result):
        self.assertEqual((self.service.seen, self.folders()), ([], []))
        self.assert_no_temporary_files()
        self.assertNotIn("s3cret", str(result))

    def paid_once(self, result):
        self.assertEqual(len(self.service.posts), 1)
        self.assertEqual(self.states(), ["made"])
        self.assertNotIn("s3cret", result.stderr)
        self.assertNotIn("s3cret", json.dumps(result.line["warnings"]))

    def fine(self, **answers):
        """Assert that nothing is wrong with links that answer so; return the line."""
        result = self.ends(self.look("--no-wait", **answers), 0)
        self.assertEqual(result.line["warnings"], [])
        self.paid_once(result)
        return result.line


class Looking(LookCase):
    def test_both_links_are_asked_for_with_a_plain_get_and_without_the_key(self):
        line = self.fine()
        self.assertEqual(line["estimate"], PRICE)
        self.assertEqual(sorted(h.url for h in self.service.looks), sorted(LINKS.values()))
        for look in self.service.looks:
            self.assertEqual((look.command, look.body), ("GET", b""))
            self.assertNotIn(KEY, str(look.headers))
            names = {name.lower() for name in look.headers}
            self.assertLessEqual(
                names, {"host", "user-agent", "accept", "accept-encoding", "connection"}
            )
            self.assertEqual(look.headers["Host"], "example.com")
            self.assertIn("aliyun-emo", look.headers["User-Agent"])  # some refuse Python's names
        (post,) = self.service.posts
        self.assertEqual(json.loads(post.body), other(**LINKS))

    def test_an_http_link_is_looked_at_too(self):
        links = {field: url.replace("https:", "http:") for field, url in LINKS.items()}
        self.write("request.json", other(**links))
        self.assertEqual(self.fine()["estimate"], PRICE)
        self.assertEqual(sorted(look.url for look in self.service.looks), sorted(links.values()))
        for look in self.service.looks:
            self.assertNotIn(KEY, str(look.headers))

    def test_a_known_task_is_told_without_a_look(self):
        for words, code in ((["--no-wait"], 0), ([], 0), ([], 0), (["--dry-run"], 0)):
            with self.subTest(words):
                self.service.looks.clear()
                had = self.folders()
                line = self.ends(self.go(*words), code).line
                self.assertEqual(len(self.service.looks), 0 if had else 2)
                self.assertEqual(line["estimate"], None if had else PRICE)
        for state in ("sending", "unclear"):
            with self.subTest(state):
                path = self.place() / "task.json"
                path.write_text(json.dumps({**self.kept(), "state": state}))
                self.service.looks.clear()
                (self.place() / "video.mp4").unlink(missing_ok=True)
                self.assertIsNone(self.ends(self.go(), 4).line["estimate"])
                self.assertEqual(self.service.looks, [])

    def test_what_pays_again_looks_again(self):
        self.ends(self.go(), 0)
        self.service.looks.clear()
        self.service.links = {"speech.mp3": body(HTML)}
        result = self.ends(self.go("--attempt", "2"), 2, "audio_url")
        self.assertEqual((len(self.service.looks), len(self.service.posts)), (2, 1))
        self.assertEqual(len(self.folders()), 1)
        self.assertIn("--no-look", result.line["errors"][0]["hint"])

    def test_a_detections_picture_is_not_looked_at(self):
        detection = {**DETECTION, "input": {"image_url": IMAGE_URL}}
        file = self.write("detect_request.json", detection)
        self.service.links = {"portrait.png": body(b"", 404)}
        for words in ([], ["--dry-run"], ["--no-look"]):
            with self.subTest(words):
                line = self.ends(self.call_run(file, *words), 0).line
                self.assertNotIn("estimate", line)
        self.assertEqual(self.service.looks, [])

    def test_no_look_skips_it(self):
        result = self.look("--no-look", "--no-wait", image_url=body(HTML), audio_url=stall)
        line = self.ends(result, 0).line
        self.assertEqual((self.service.looks, line["warnings"]), ([], []))
        self.assertIsNone(line["estimate"])
        self.paid_once(result)
        self.assertIn("CNY 0.08 a second", result.stderr)
        self.clear()
        line = self.ends(self.go("--no-look", "--dry-run"), 0).line
        self.assertEqual((self.service.looks, line["estimate"]), ([], None))

    def test_a_dry_run_looks_and_tells_what_it_would_cost(self):
        before = self.files()
        line = self.ends(self.look("--dry-run"), 0).line
        self.assertEqual(
            list(line), ["ok", *KEYS[:-1], "would_send", "request", "estimate", "warnings"]
        )
        self.assertEqual((line["would_send"], line["estimate"]), (True, PRICE))
        self.assertEqual(len(self.service.looks), 2)
        result = self.go("--dry-run", terminal=True)
        self.assertIn("CNY 0.99", self.ends(result, 0).stderr)
        result = self.look("--dry-run", image_url=body(b"", 404))
        self.refused(result, "image_url", "404")
        line = self.ends(self.look("--dry-run", audio_url=body(b"", 500)), 0).line
        self.assertEqual([w["field"] for w in line["warnings"]], ["audio_url"])
        self.assertIsNone(line["estimate"])
        self.assertEqual((self.files(), self.service.seen), (before, []))

    def test_of_a_file_and_a_link_only_the_link_is_looked_at(self):
        for name, content, field in (
            ("portrait.png", PORTRAIT, "audio_url"),
            ("speech.mp3", SPEECH, "image_url"),
        ):
            with self.subTest(field):
                self.clear()
                self.service.looks.clear()
                path = self.folder / name
                path.write_bytes(content)
                option, instead = (
                    ("image", "image_url") if name[0] == "p" else ("audio", "audio_url")
                )
                self.ends(self.call(*arguments(**{**LINKS, instead: None, option: str(path)})), 0)
                line = self.ends(self.go("--no-wait"), 0).line
                self.assertEqual([look.url for look in self.service.looks], [LINKS[field]])
                self.assertEqual(line["estimate"], PRICE)
                self.clear()
                self.service.links = {NAMES[field]: body(HTML)}
                self.service.seen.clear()
                self.refused(self.go(), field, "web page")
                self.service.links = {}

    def test_what_is_wrong_with_both_is_told_at_once(self):
        result = self.look(image_url=body(b"", 404), audio_url=body(HTML))
        self.ends(result, 2, "image_url", "audio_url")
        for error in result.line["errors"]:
            self.assertRegex(error["hint"], r"[^.]\. --no-look would pay for it unseen\.$")
        self.paid_nothing(result)
        result = self.look(image_url=body(b"", 500), audio_url=body(HTML))
        self.refused(result, "audio_url", "web page")

    def test_without_a_key_nothing_is_looked_at(self):
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.look(), 2, "api_key")
        self.assertEqual(self.service.looks, [])

    def test_nothing_is_paid_for_when_the_time_is_over_with_the_look(self):
        for slow in ("portrait.png", "speech.mp3"):
            with self.subTest(slow):
                service = self.serve(links={slow: stall})
                with self.patience():
                    result = self.ends(self.go("--timeout", "1"), 4, "service")
                self.assertIn("--timeout", result.line["errors"][0]["message"])
                self.assertEqual((service.posts, self.folders()), ([], []))

    def test_an_attempt_that_came_during_the_look_is_gone_on_with(self):
        service = self.serve()
        self.ends_with_video(self.go())
        looking, go_on = threading.Event(), threading.Event()

        def slow(handler):
            looking.set()
            go_on.wait(20)
            raw(200, mp3(9))(handler)

        service.links["speech.mp3"] = slow
        process = self.start(FILE, "--attempt", "2", "--interval", "0.05")
        self.assertTrue(looking.wait(20))
        del service.links["speech.mp3"]
        second = self.ends_with_video(self.go("--attempt", "2", "--no-look"))
        go_on.set()
        line = self.ends_with_video(self.end_of(process))
        self.assertEqual(line["task_id"], second["task_id"])
        self.assertIs(line["already_submitted"], True)
        self.assertEqual(len(service.posts), 2)

    @unittest.skipUnless(POSIX, "signals")
    def test_a_signal_during_a_look_ends_it_at_once(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            with self.subTest(code):
                reached = threading.Barrier(2)

                def stalling(handler, reached=reached):
                    reached.wait(20)
                    stall(handler)

                self.service.links = dict.fromkeys(NAMES.values(), stalling)
                process = self.start(FILE)
                reached.wait(20)
                start = time.monotonic()
                process.send_signal(number)
                result = self.ends(self.end_of(process), code)
                self.assertLess(time.monotonic() - start, 10)
                self.assertIsNone(result.line["estimate"])
                self.paid_nothing(result)


class Estimates(LookCase):
    """What a video will cost: a key of the line, always, and before anything is paid."""

    def test_the_recording_and_the_ratio_make_the_price(self):
        for seconds, ext_bbox, expected in (
            (12.4, [71, 9, 840, 778], {"seconds": 12.4, "cny": 0.99}),
            (12.4, [71, 9, 648, 778], {"seconds": 12.4, "cny": 1.98}),
            (13.93, [71, 9, 840, 778], {"seconds": 13.93, "cny": 1.11}),
            (13.93, [71, 9, 648, 778], {"seconds": 13.93, "cny": 2.23}),
            (59.5, [71, 9, 840, 778], {"seconds": 59.5, "cny": 4.76}),
        ):
            with self.subTest(seconds=seconds, ext_bbox=ext_bbox):
                told = []

                def look(handler, told=told):
                    told.append(sys.stderr.getvalue())
                    created(handler)

                self.write("request.json", other(**LINKS, ext_bbox=ext_bbox))
                self.service.script["video-synthesis"] = [look]
                line = self.fine(audio_url=body(wav(seconds)))
                self.assertEqual(line["estimate"], {**expected, "prices_of": "2026-05-30"})
                (paying,) = [row for row in told[0].splitlines() if row.startswith("paying")]
                self.assertIn(f"CNY {expected['cny']:.2f}", paying)
                self.assertIn(f"{expected['seconds']:g} s", paying)
                self.assertIn("2026-05-30", paying)

    def test_every_line_of_a_generation_has_the_key(self):
        late = {"image_url": IMAGE_URL.replace("9999999999", "1000000000"), "audio_url": AUDIO_URL}
        script = self.service.script
        for name, change, words, links, code, expected in (
            ("picture refused", {}, [], {"image_url": body(b"", 404)}, 2, PRICE),
            ("recording refused", {}, [], {"audio_url": body(b"", 404)}, 2, None),
            ("recording too long", {}, [], {"audio_url": body(wav(75))}, 2, ...),
            ("recording not seen", {}, ["--no-wait"], {"audio_url": body(b"", 500)}, 0, None),
            ("picture not seen", {}, ["--no-wait"], {"image_url": body(b"", 500)}, 0, PRICE),
            (
                "the service says no",
                {"video-synthesis": [fails("error-401", 401)]},
                [],
                {},
                3,
                PRICE,
            ),
            ("429", {"video-synthesis": [fails("error-429", 429)]}, [], {}, 4, PRICE),
            ("no answer", {"video-synthesis": [reset]}, [], {}, 4, PRICE),
            ("failed", {"tasks": [status_of("FAILED", code="X")]}, [], {}, 3, PRICE),
            ("not ended", {"tasks": [status_of("RUNNING")]}, ["--timeout", "0"], {}, 5, PRICE),
            ("an option", {}, ["--attempt", "x"], {}, 2, None),
            ("a link that has expired", {"links": late}, [], {}, 2, None),
            ("a wrong box", {"input": {"ext_bbox": [0, 0, 400, 300]}}, [], {}, 2, None),
            ("a wrong style", {"input": {"style_level": "loud"}}, [], {}, 2, None),
        ):
            with self.subTest(name):
                given = {**LINKS, **change.pop("links", {}), **change.pop("input", {})}
                self.write("request.json", other(**given))
                before = dict(script)
                script.update(change)
                line = self.ends(self.look(*words, **links), code).line
                script.clear()
                script.update(before)
                self.assertIn("estimate", line)
                if expected is not ...:
                    self.assertEqual(line["estimate"], expected)

    def test_a_task_by_its_id_has_the_key_as_well(self):
        self.ends(self.go("--no-wait"), 0)
        (task_id,) = self.service.tasks
        for words in (["--task", task_id], ["--task", task_id], ["--task", "unheard-of"]):
            with self.subTest(words):
                line = self.call_run(*words).line
                self.assertIn("estimate", line)
                self.assertIsNone(line["estimate"])
        self.clock.slept.append(2 * DAY)
        self.assertIsNone(self.ends(self.go("--no-look"), 0).line["estimate"])


class Refusals(LookCase):
    """Whatever the service would refuse after a task was made is refused before."""

    def test_each_status(self):
        page = store_fails(403, "AccessDenied", "Request has expired.")
        for status in (401, 403, 404, 410):
            for field in LINKS:
                for content in (b"", HTML, PORTRAIT):
                    with self.subTest(status, field=field, content=content[:5]):
                        result = self.look(**{field: body(content, status)})
                        self.refused(result, field, str(status), NAMES[field])
        self.refused(self.look(image_url=page), "image_url", "403")

    def test_each_content(self):
        pictures, recordings = dict(OTHER_PICTURES), dict(OTHER_RECORDINGS)
        error = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>'
        for field, name, content, words in (
            ("image_url", "a page", HTML, "web page"),
            ("audio_url", "a page", HTML, "web page"),
            ("image_url", "a store's error", error, "NoSuchKey"),
            ("audio_url", "a store's error", error, "gone"),
            ("image_url", "JSON", b'{"code": "NoSuchKey"}', "JSON"),
            ("image_url", "nothing", b"", "empty"),
            ("audio_url", "nothing", b"", "empty"),
            ("image_url", "a recording", SPEECH, "mp3"),
            ("audio_url", "a picture", PORTRAIT, "png"),
            ("image_url", "noise", NOISE, "unknown"),
            ("image_url", "a text", b"https://example.com/portrait.png\n", "text"),
            *(
                ("image_url", name, pictures[name], name)
                for name in ("a GIF picture", "a HEIC picture", "an AVIF picture", "an SVG picture")
            ),
            *(
                ("audio_url", name, recordings[name], name)
                for name in (
                    "an M4A recording",
                    "an AMR recording",
                    "an Opus recording",
                    "a FLAC recording",
                )
            ),
            ("image_url", "cut short", PORTRAIT[:1000], "cut short"),
            ("audio_url", "cut short", wav(12)[:5000], "cut short"),
        ):
            with self.subTest(field, content=name):
                self.refused(self.look(**{field: body(content)}), field, words)

    def test_each_size(self):
        few = {"face_bbox": [50, 50, 200, 200], "ext_bbox": [0, 0, 300, 300]}
        for name, field, content, boxes, words in (
            ("a side of 399", "image_url", png(399, 1000), few, "399x1000"),
            ("a side of 300", "image_url", png(300, 300), few, "300x300"),
            ("a side of 7001", "image_url", head_of_png(width=7001, height=1000), few, "7001x1000"),
            ("boxes too far right", "image_url", png(839, 1000), {}, "839x1000"),
            ("boxes too far down", "image_url", png(1000, 777), {}, "1000x777"),
            (
                "boxes fit the turned one",
                "image_url",
                jpeg(app1(exif(6)), width=780, height=1000),
                {},
                "turned",
            ),
            (
                "boxes fit neither",
                "image_url",
                jpeg(app1(exif(6)), width=700, height=777),
                {},
                "700x777",
            ),
            ("60.2 s", "audio_url", wav(60.2), {}, "60.2"),
            ("75 s", "audio_url", mp3(75), {}, "75"),
        ):
            with self.subTest(name):
                self.write("request.json", other(**LINKS, **boxes))
                self.refused(self.look(**{field: body(content)}), field, words)

    def test_too_many_bytes(self):
        limit = 15 * MIB
        large = sound_of(limit + 1)
        for name, field, answer in (
            ("announced", "audio_url", body(large)),
            ("announced, then it stalls", "audio_url", endless(large[:70_000], b"", limit + 1)),
            ("announced, endless", "audio_url", endless(large, SPEECH * 10, 10**11)),
            ("not announced", "audio_url", without_length(large)),
            ("endless", "audio_url", endless(SPEECH, SPEECH * 10)),
            ("a bomb", "audio_url", body(bomb(large), Content_Encoding="gzip")),
            ("a picture", "image_url", endless(PORTRAIT, bytes(65536), 100_000_001)),
        ):
            with self.subTest(name):
                start = time.monotonic()
                with mock.patch.object(looks, "LOOK_TIME", 10):
                    self.refused(self.look(**{field: answer}), field, "bytes")
                self.assertLess(time.monotonic() - start, 10)

    def test_each_refusal_is_paid_for_with_no_look(self):
        answers = {"image_url": body(b"", 404), "audio_url": body(HTML)}
        self.ends(self.look(**answers), 2, "image_url", "audio_url")
        result = self.look("--no-look", **answers)
        self.ends_with_video(result)
        self.assertEqual(result.line["warnings"], [])
        self.paid_once(result)


class Warnings(LookCase):
    """The service is elsewhere: what only this place may meet does not forbid to go on."""

    def test_each_other_status(self):
        statuses = (204, 300, 304, 400, 402, 405, 406, 418, 429, 451, 500, 502, 503, 999)
        for status, field in zip(statuses, tuple(LINKS) * 7):
            with self.subTest(status, field=field):
                answer = body(b"" if status in (204, 304) else HTML, status)
                self.warned(self.look("--no-wait", **{field: answer}), field, str(status))

    def test_what_is_at_the_limit(self):
        for name, field, content, words in (
            ("59.9 s", "audio_url", wav(59.9), "59.9"),
            ("60.1 s", "audio_url", wav(60.1), "60.1"),
            ("0.5 s", "audio_url", wav(0.5), "0.5"),
            ("15,000,000 bytes", "audio_url", sound_of(15_000_000), "15,000,000"),
            ("15 MiB", "audio_url", sound_of(15 * MIB), "15,728,640"),
            ("turned", "image_url", jpeg(app1(exif(6)), width=1000, height=1000), "orientation 6"),
        ):
            with self.subTest(name):
                self.warned(self.look("--no-wait", **{field: body(content)}), field, words)
        for name, content in (("59.8 s", wav(59.8)), ("bytes", sound_of(14_999_998))):
            with self.subTest(name):
                self.fine(audio_url=body(content))

    def test_what_cannot_be_reached_from_here(self):
        def resolve(host, *rest, **more):
            if host == "127.0.0.1":
                return addresses(host, *rest, **more)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        addresses = socket.getaddrinfo
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        proxies = [
            Proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
            Proxy(b"HTTP/1.1 407 Log in\r\nContent-Length: 0\r\n\r\n"),
            Proxy(b"<html>hello</html>"),
            Proxy(b""),
        ]
        for name, environment, words in (
            ("connection refused", {"https_proxy": nobody}, "refused"),
            ("no such proxy", {"https_proxy": "http://proxy.invalid:3128"}, "resolve"),
            ("no such host", {"https_proxy": ""}, "resolve"),
            ("socks", {"https_proxy": "socks5://127.0.0.1:1080"}, "proxy"),
            ("no URL", {"https_proxy": "http://[::1"}, "proxy"),
            ("a proxy says no", {"https_proxy": proxies[0].url}, "403"),
            ("a proxy wants a password", {"https_proxy": proxies[1].url}, "407"),
            ("no HTTP", {"https_proxy": proxies[2].url}, ""),
            ("a proxy hangs up", {"https_proxy": proxies[3].url}, ""),
            ("an authority that is not known", {"SSL_CERT_FILE": os.devnull}, "certificate"),
        ):
            with self.subTest(name), contextlib.ExitStack() as stack:
                stack.enter_context(mock.patch.dict(os.environ, environment))
                stack.enter_context(mock.patch("socket.getaddrinfo", resolve))
                for proxy in proxies:
                    if proxy.url in environment.values():
                        stack.enter_context(proxy)
                result = self.ends(self.look("--no-wait"), 0)
                fields = [warning["field"] for warning in result.line["warnings"]]
                self.assertEqual(fields, ["image_url", "audio_url"])
                for warning in result.line["warnings"]:
                    self.assertIn(words, warning["message"])
                self.assertIsNone(result.line["estimate"])
                self.assertEqual(self.service.looks, [])
                self.paid_once(result)
                for proxy in proxies:
                    self.assertNotIn(KEY.encode(), b"".join(proxy.asked))
        for proxy in proxies:
            proxy.socket.close()

    def test_a_certificate_of_another_host(self):
        self.write(
            "request.json", other(**{**LINKS, "image_url": "https://example.net/portrait.png"})
        )
        self.warned(self.look("--no-wait"), "image_url", "certificate")

    def test_what_breaks_off_or_never_ends(self):
        for name, field, answer in (
            ("reset", "image_url", reset),
            ("not HTTP", "audio_url", lambda handler: handler.wfile.write(b"hello\r\n\r\n")),
            ("stall", "image_url", stall),
        ):
            with self.subTest(name), mock.patch.object(looks, "LOOK_TIME", 0.5):
                start = time.monotonic()
                self.warned(self.look("--no-wait", **{field: answer}), field)
                self.assertLess(time.monotonic() - start, 10)
        self.fine(image_url=later(0.1, link), audio_url=later(0.1, link))

    def test_who_drips_is_hung_up_on_when_the_look_is_over(self):
        for field, first in (("image_url", b""), ("audio_url", SPEECH[:5000])):
            with self.subTest(field):
                hung_up = threading.Event()

                def dripping(handler, hung_up=hung_up, first=first):
                    drip(handler, first)
                    hung_up.set()

                with mock.patch.object(looks, "LOOK_TIME", 0.5):
                    self.warned(self.look("--no-wait", **{field: dripping}), field)
                self.assertTrue(hung_up.wait(20))

    def test_one_that_does_not_answer_takes_nothing_from_the_other(self):
        with mock.patch.object(looks, "LOOK_TIME", 0.2):
            result = self.ends(self.look("--no-wait", image_url=stall, audio_url=drip), 0)
        fields = [warning["field"] for warning in result.line["warnings"]]
        self.assertEqual(fields, ["image_url", "audio_url"])
        self.paid_once(result)

    def test_a_body_of_another_length_than_announced(self):
        for name, field, answer in (
            ("a picture", "image_url", body(PORTRAIT[:1000], Content_Length=str(len(PORTRAIT)))),
            ("a whole picture", "image_url", body(PORTRAIT, Content_Length="9000")),
            ("a recording", "audio_url", body(SPEECH[:7200], Content_Length=str(len(SPEECH)))),
            ("a whole recording", "audio_url", body(SPEECH, Content_Length="90000")),
            ("nothing", "audio_url", body(b"", Content_Length="90000")),
            ("a page", "image_url", body(b"<ht", Content_Length="5000")),
            (
                "cut chunks",
                "audio_url",
                body(b"1000\r\n" + SPEECH[:100], Content_Length=None, Transfer_Encoding="chunked"),
            ),
        ):
            with self.subTest(name):
                self.warned(self.look("--no-wait", **{field: answer}), field, "short")
        for length in ("abc", "", "-5", "9" * 5000, "1, 1", "\u00b2"):
            with self.subTest(length):
                answer = body(PORTRAIT, Content_Length=length, Connection="close")
                self.fine(image_url=answer, audio_url=body(SPEECH, Content_Length=length))

    def test_a_redirect_is_followed_to_public_links_alone(self):
        cdn = "https://cdn.example.com/a/portrait.jpg"
        for place, status in (
            (cdn, 301),
            (f"{cdn}?X=1#y", 302),
            ("http://cdn.example.com/portrait.png", 303),
            ("/other/portrait.png", 307),
            ("//b.example.com/portrait.png", 308),
            ("https://B.EXAMPLE.COM:443/a b/portrait \u00fc.png", 302),
        ):
            with self.subTest(place, status=status):
                place = place.encode().decode("latin-1")  # as a header is written
                self.fine(image_url=self.once(to(place, status)))
                self.assertEqual(len(self.service.looks), 3)
        self.refused(self.look(image_url=to("/login.html")), "image_url", "404")

        for place in (
            *("{root}/videos/x.mp4", "http://localhost/portrait.png", "http://127.1/portrait.png"),
            *("http://2130706433/portrait.png", "http://[::1]/portrait.png", "http://0x7f000001/x"),
            *("http://192.168.1.7/portrait.png", "http://10.0.0.1/p.png", "http://router/p.png"),
            *("http://169.254.169.254/latest", "http://nas.local/p.png", "file:///etc/passwd"),
            *("ftp://example.com/p.png", "data:image/png;base64,AAAA", "javascript:alert(1)"),
            *("http://", "http:///p.png", "http://[/p.png", "https://a..b/p.png"),
            *("https://ann:s3cret@127.0.0.1/p.png", "FILE:///etc/passwd"),
            "https://bucket.oss-cn-beijing-internal.aliyuncs.com/p.png?Signature=s3cret",
        ):
            with self.subTest(place):
                answer = to(place.replace("{root}", self.service.root))
                result = self.look("--no-wait", image_url=answer)
                self.warned(result, "image_url", "redirect")
                self.assertEqual([h.path for h in self.service.seen if h.command == "GET"], [])
                self.assertEqual(len(self.service.looks), 2)

    def once(self, answer):
        """Return what gives `answer` once, and then the file itself."""
        answers = [answer, link]
        return lambda handler: (answers.pop(0) if len(answers) > 1 else link)(handler)

    def test_chains_of_redirects(self):
        def step(handler):
            number = int(handler.path.rpartition("=")[2]) if "step=" in handler.path else 0
            (link if number >= self.steps else to(f"portrait.png?step={number + 1}"))(handler)

        for self.steps in (2, 5):
            with self.subTest(self.steps):
                self.fine(image_url=step)
        self.steps = 50
        self.warned(self.look("--no-wait", image_url=step), "image_url", "redirects")
        self.assertLess(len(self.service.looks), 20)
        for place in (IMAGE_URL, "", None):
            with self.subTest(place):
                headers = {} if place is None else {"Location": place}
                result = self.look("--no-wait", image_url=body(b"", 302, **headers))
                self.warned(result, "image_url", "redirect")

    def test_a_redirect_to_a_page_to_log_in_is_refused(self):
        self.service.links = {
            "login": body(HTML),
            "portrait.png": to("https://a.example.com/login?a=s3cret"),
        }
        result = self.go()
        self.refused(result, "image_url", "web page")

    def test_what_cannot_be_unpacked(self):
        whole = gzip.compress(SPEECH)
        for name, content in (
            ("not gzip", SPEECH),
            ("cut gzip", whole[: len(whole) // 2]),
            ("cut at its end", whole[:-4]),
            ("a broken checksum", whole[:-8] + bytes(8)),
            ("broken in its midst", whole[:20] + bytes(30) + whole[50:]),
            ("nothing", b""),
        ):
            with self.subTest(name):
                answer = body(content, Content_Encoding="gzip")
                self.warned(self.look("--no-wait", audio_url=answer), "audio_url")

    def test_another_packing_cannot_be_judged(self):
        for packing in ("br", "deflate", "gzip, gzip"):
            with self.subTest(packing):
                answer = body(SPEECH, Content_Encoding=packing)
                self.warned(self.look("--no-wait", audio_url=answer), "audio_url", "packed")

    def test_a_recording_zipped_in_parts_is_not_taken_for_its_first_part(self):
        parts = gzip.compress(SPEECH[:7200]) + gzip.compress(SPEECH[7200:])
        result = self.look("--no-wait", audio_url=body(parts, Content_Encoding="gzip"))
        self.assertIn(self.ends(result, 0).line["estimate"], (PRICE, None))


class Fine(LookCase):
    """What is as good as a plain answer."""

    def test_each_way_to_send_a_file(self):
        total = len(SPEECH)
        ranges = {"Content_Range": f"bytes 0-{total - 1}/{total}"}
        for name, picture, recording in (
            ("206", body(PORTRAIT, 206), body(SPEECH, 206)),
            (
                "206 with a range",
                body(PORTRAIT, 206, Content_Range="bytes 0-3955/3956"),
                body(SPEECH, 206, **ranges),
            ),
            (
                "206, *",
                body(PORTRAIT, 206, Content_Range="bytes 0-3955/*"),
                body(SPEECH, 206, Content_Range="bytes 0-12383/*"),
            ),
            ("gzip", zipped(PORTRAIT), zipped(SPEECH)),
            (
                "GZIP",
                zipped(PORTRAIT, Content_Encoding=" GZIP "),
                zipped(SPEECH, Content_Encoding="x-gzip"),
            ),
            (
                "gzip in chunks",
                zipped(PORTRAIT, Content_Length=None, Connection="close"),
                zipped(SPEECH, Content_Length=None, Connection="close"),
            ),
            (
                "identity",
                body(PORTRAIT, Content_Encoding="identity"),
                body(SPEECH, Content_Encoding="identity"),
            ),
            ("no length", without_length(PORTRAIT), without_length(SPEECH)),
            ("chunks", chunked(PORTRAIT), chunked(SPEECH)),
            ("another type", body(PORTRAIT, kind="text/html"), body(SPEECH, kind="image/png")),
            ("no type", body(PORTRAIT, kind=None), body(SPEECH, kind=None)),
            ("other formats", body(jpeg(width=1000, height=1000)), body(SPEECH)),
        ):
            with self.subTest(name):
                line = self.fine(image_url=picture, audio_url=recording)
                self.assertEqual(line["estimate"], PRICE)

    def test_part_of_a_recording_tells_nothing_of_it(self):
        answer = body(SPEECH[:7200], 206, Content_Range=f"bytes 0-7199/{len(SPEECH)}")
        result = self.look("--no-wait", audio_url=answer)
        self.warned(result, "audio_url", "short")
        self.assertIsNone(result.line["estimate"])

    def test_a_picture_is_read_as_far_as_its_head(self):
        long = [segment(0xE2, NOISE)] * 9
        turned = app1(exif(1))
        for name, answer in (
            ("endless", endless(PORTRAIT[:-12], bytes(65536))),
            ("a long head", body(jpeg(*long, width=1000, height=1000))),
            (
                "a long head, endless",
                endless(jpeg(turned, *long, width=1000, height=1000), bytes(999)),
            ),
            ("a long head, zipped", zipped(jpeg(*long, width=1000, height=1000))),
            ("a long head in chunks", chunked(jpeg(*long, width=1000, height=1000))),
            ("a head of 2 MiB", body(jpeg(*long * 12, width=1000, height=1000))),
            ("a bomb", body(bomb(PORTRAIT), Content_Encoding="gzip")),
            ("99 MB", endless(PORTRAIT, bytes(65536), 99_000_000)),
        ):
            with self.subTest(name):
                start = time.monotonic()
                self.fine(image_url=answer)
                self.assertLess(time.monotonic() - start, 10)

    def test_a_refused_link_does_not_wait_for_the_other_one_to_be_paid(self):
        start = time.monotonic()
        with mock.patch.object(looks, "LOOK_TIME", 0.5):
            result = self.look(image_url=body(b"", 404), audio_url=stall)
        self.refused(result, "image_url", "404")
        self.assertLess(time.monotonic() - start, 10)


if __name__ == "__main__":
    unittest.main()
