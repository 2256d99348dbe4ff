"""A video behind a link: in pieces, whole or not at all, and behind its redirects."""

import contextlib
import gzip
import io
import os
import struct
import time
import unittest
from functools import partial
from pathlib import Path
from unittest import mock

from support import RUN
from support.service import (
    KEY,
    Proxy,
    announced,
    chunked,
    created,
    drip,
    raw,
    reset,
    stall,
    succeeded,
    video,
    video_of,
)
from support.service_case import FILE, POSIX, GenerationCase, ServiceCase

from aliyun_emo import download, settings
from aliyun_emo.download import VideoBoxes, follow_redirects, video_pieces
from aliyun_emo.transport import NoAnswer

FTYP = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42"
PLAIN = {"Content_Length": None, "Connection": "close"}  # a body that ends with its connection


def box(name, body, length=None):
    """Return a box, of another `length` than it has where one is given."""
    return struct.pack(">I4s", 8 + len(body) if length is None else length, name) + body


def large_box(name, body, length=None):
    """Return a box whose length has 64 bits."""
    return struct.pack(">I4sQ", 1, name, 16 + len(body) if length is None else length) + body


def lengths(body, *announced):
    """Answer with `body` and a Content-Length for each of `announced`, then hang up."""

    def answer(handler):
        handler.send_response(200)
        for length in announced:
            handler.send_header("Content-Length", str(length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class TopLevelBoxes(unittest.TestCase):
    """Where the boxes of a video end (ISO/IEC 14496-12, 4.2), however its bytes come."""

    def test_a_video_is_whole_when_its_boxes_end_where_it_ends(self):
        pictures = box(b"mdat", bytes(range(200)))
        vast = large_box(b"mdat", bytes(99))
        for name, data, is_whole in (
            ("one box", FTYP, True),
            ("two", FTYP + pictures, True),
            ("an empty one", FTYP + box(b"free", b""), True),
            ("three", FTYP + pictures + box(b"moov", b"xyz"), True),
            ("a byte is missing", FTYP + pictures[:-1], False),
            ("half is missing", FTYP + pictures[:100], False),
            ("cut in a length", FTYP + pictures[:3], False),
            ("cut in a name", FTYP + pictures[:7], False),
            ("cut behind a name", FTYP + pictures[:8], False),
            ("cut in the first box", FTYP[:20], False),
            ("a byte more", FTYP + pictures + b"\0", False),
            ("64 bits", FTYP + vast, True),
            ("64 bits, empty", FTYP + large_box(b"mdat", b""), True),
            ("64 bits, and another", FTYP + vast + pictures, True),
            ("64 bits, a byte is missing", FTYP + vast[:-1], False),
            ("64 bits, cut in its length", FTYP + vast[:12], False),
            ("64 bits, cut behind its length", FTYP + vast[:16], False),
            ("64 bits, 8 GiB", FTYP + large_box(b"mdat", bytes(99), 2**33), False),
            ("64 bits, all of them", FTYP + large_box(b"mdat", b"x", 2**64 - 1), False),
            ("a first box of 64 bits", large_box(b"ftyp", b"mp42\0\0\0\0"), True),
            ("size 0, so up to the end, wherever that is", FTYP + box(b"mdat", b"xyz", 0), False),
            ("size 0 of the first", box(b"ftyp", b"mp42\0\0\0\0", 0), False),
            ("size 2", FTYP + box(b"mdat", b"", 2), False),
            ("size 7", FTYP + box(b"mdat", b"", 7) + pictures, False),
            ("size 8 of 64 bits", FTYP + large_box(b"mdat", b"", 8), False),
        ):
            for step in (1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 25, 100, len(data)):
                with self.subTest(f"{name}, by {step}"):
                    boxes = VideoBoxes()
                    for place in range(0, len(data), step):
                        boxes.add(data[place : place + step])
                    self.assertEqual(boxes.size, len(data))
                    self.assertIs(boxes.are_whole, is_whole)

    def test_each_split_of_a_head_is_the_same_video(self):
        data = FTYP + large_box(b"mdat", b"xyz") + box(b"moov", b"")
        for first in range(len(data)):
            for second in range(first, len(data)):
                boxes = VideoBoxes()
                for piece in (data[:first], data[first:second], b"", data[second:]):
                    boxes.add(piece)
                self.assertTrue(boxes.are_whole, (first, second))

    def test_many_small_boxes_take_no_time(self):
        data = FTYP + box(b"free", b"") * 100_000
        boxes, start = VideoBoxes(), time.process_time()
        boxes.add(data)
        self.assertTrue(boxes.are_whole)
        self.assertLess(time.process_time() - start, 5)


class Bodies(ServiceCase):
    """A video by what was announced of it, a row a body."""

    def pieces(self, answer):
        """Return the bytes of a video that is answered so, or what was wrong, as `NoAnswer`."""
        service = self.serve(videos=[answer])
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                return b"".join(video_pieces(f"{service.root}/videos/x.mp4", self.settings()))
        except NoAnswer as error:
            return error

    def test_what_is_whole_comes_and_what_is_not_does_not(self):
        whole = video_of("x")
        last = FTYP + box(b"mdat", b"xyz" * 50)  # a body of one read
        endless = FTYP + box(b"mdat", b"xyz", 0)
        packed = gzip.compress(whole)
        unpacked = {"Content_Encoding": "gzip"}
        for name, answer, body in (
            ("a length", raw(200, whole), whole),
            ("a length, and boxes that end nowhere", raw(200, whole[:-9]), whole[:-9]),
            ("a length, and a box of size 0", raw(200, endless), endless),
            ("a length, cut", raw(200, whole[:-9], Content_Length=str(len(whole))), ...),
            ("a length of 0", raw(200, whole, Content_Length="0"), None),
            ("a length, cut before the first byte", raw(200, b"", Content_Length="99"), ...),
            ("a length, cut behind the first byte", raw(200, b"\0", Content_Length="99"), ...),
            ("a length, cut in the first name", raw(200, FTYP[:7], Content_Length="24"), ...),
            (
                "a length, and seven bytes of a page",
                raw(200, b"<!DOCTY", Content_Length="99"),
                None,
            ),
            ("no length, nothing", raw(200, b"", **PLAIN), ...),
            ("no length, seven bytes", raw(200, FTYP[:7], **PLAIN), ...),
            (
                "chunks, none came",
                raw(200, b"", Content_Length=None, Transfer_Encoding="chunked"),
                ...,
            ),
            ("chunks, none but the last", chunked(b""), ...),
            ("gzip, nothing", raw(200, b"", **unpacked, **PLAIN), ...),
            ("no length", raw(200, whole, **PLAIN), whole),
            ("no length, in one piece", raw(200, last, **PLAIN), last),
            ("no length, cut", raw(200, whole[:-9], **PLAIN), ...),
            ("no length, cut in a head", raw(200, FTYP + b"\0\0", **PLAIN), ...),
            ("no length, a byte more", raw(200, whole + b"x", **PLAIN), ...),
            ("no length, and a box of size 0", raw(200, endless, **PLAIN), ...),
            ("no length, the first box", raw(200, FTYP, **PLAIN), FTYP),
            ("chunks", chunked(whole), whole),
            ("small chunks", chunked(last, 1), last),
            ("chunks, the last is missing", chunked(whole, end=b""), ...),
            ("chunks, one is cut", chunked(whole, end=b"ff\r\nx"), ...),
            ("chunks that end, of what is cut", chunked(whole[:-9]), ...),
            ("chunks, and a trailer", chunked(whole, end=b"0\r\nX: y\r\n\r\n"), whole),
            ("gzip", raw(200, packed, **unpacked), whole),
            ("x-gzip", raw(200, packed, Content_Encoding="X-GZip"), whole),
            (
                "gzip in parts",
                raw(200, gzip.compress(FTYP) + gzip.compress(whole[24:]), **unpacked),
                ...,
            ),
            ("gzip, no length", raw(200, packed, **unpacked, **PLAIN), whole),
            ("gzip, cut", raw(200, packed[:-20], **unpacked, **PLAIN), ...),
            ("gzip, its end is missing", raw(200, packed[:-4], **unpacked, **PLAIN), ...),
            ("gzip of what is cut", raw(200, gzip.compress(whole[:-9]), **unpacked), ...),
            ("no gzip", raw(200, whole, **unpacked), ...),
            ("two lengths, alike", lengths(whole, len(whole), len(whole)), whole),
            ("two lengths", lengths(whole[:1000], 1000, len(whole)), ...),
            ("two lengths in one", lengths(whole, f"{len(whole)}, {len(whole)}"), whole),
            ("two lengths in one, cut", lengths(whole[:1000], f"1000, {len(whole)}"), ...),
            ("a length with a sign", lengths(whole, f"+{len(whole)}"), whole),
            ("a length with a sign, cut", lengths(whole[:1000], "+1000"), ...),
        ):
            with self.subTest(name):
                found = self.pieces(answer)
                if isinstance(body, bytes):
                    self.assertEqual(found, body)
                    continue
                self.assertIsInstance(found, NoAnswer)
                self.assertIs(found.again, body is ...)

    def test_the_first_box_is_ftyp_as_far_as_it_is_known(self):
        for data, may_be in (
            (b"", True),
            (b"\0\0\0\x18", True),
            (b"\0\0\0\x18ft", True),
            (FTYP, True),
            (b"<htm", True),
            (b"<html", False),
            (b"\0\0\0\x18fu", False),
            (b"\0\0\0\x08moov", False),
            (b"ftypmp42", False),
            (b"ftyp" + FTYP, False),
        ):
            for answer in (raw(200, data, **PLAIN), chunked(data, 1) if data else chunked(data)):
                with self.subTest(data):
                    self.assertIs("no video" not in str(self.pieces(answer)), may_be)

    def test_what_is_no_video_is_told_by_its_beginning(self):
        for body, words in ((b"<html>please", "<html>pl"), (b"", "no video: "), (FTYP[:7], "fty")):
            with self.subTest(body):
                found = self.pieces(raw(200, body))
                self.assertIsInstance(found, NoAnswer)
                self.assertIn("what came is no video", str(found))
                self.assertIn(words, str(found))
                self.assertIs(found.again, False)

    def test_a_status_other_than_200_is_no_video(self):
        for status, again in (
            *((204, False), (206, False), (304, False), (400, False), (403, False), (404, False)),
            *((408, True), (425, True), (429, True), (500, True), (503, True)),
        ):
            with self.subTest(status):
                found = self.pieces(raw(status, b"" if status in (204, 304) else video_of("x")))
                self.assertEqual((str(found), found.again), (f"HTTP {status}", again))

    def test_so_many_redirects_are_followed_and_each_place_is_seen(self):
        for steps in (0, 1, 5, 6):
            with self.subTest(steps):
                service = self.serve(videos=[raw(200, b"x")])
                places = [f"{service.root}/{step}" for step in range(steps)]
                places.append(f"{service.root}/videos/x.mp4")
                for step in range(steps):
                    answer = raw(
                        (301, 302, 303, 307, 308)[step % 5], b"", Location=places[step + 1]
                    )
                    service.script[str(step)] = [answer]
                seen = []
                if steps > download.REDIRECTS:
                    with self.assertRaisesRegex(NoAnswer, "redirects too often"):
                        follow_redirects(places[0], self.settings(), seen.append)
                    continue
                reply = follow_redirects(places[0], self.settings(), seen.append)
                self.addCleanup(reply.close)
                self.assertEqual((reply.status, seen), (200, places[1:]))


class Videos(GenerationCase):
    def test_a_download_that_fails_is_tried_three_times_and_leaves_nothing_broken(self):
        body = video_of("x")
        cut = raw(200, body[:1000], Content_Length=str(len(body)))
        nothing = raw(200, b"", Content_Length=str(len(body)))
        chunks = raw(200, b"5\r\nhello\r\n", Content_Length=None, Transfer_Encoding="chunked")
        start = b"%x\r\n%s\r\n" % (len(body), body)
        chunk_missing = raw(200, start, Content_Length=None, Transfer_Encoding="chunked")
        for name, script, tries, code in (
            ("cut twice", [cut, cut, video], 3, 0),
            ("cut for ever", [cut], 3, 4),
            ("cut before the first byte", [nothing, nothing, video], 3, 0),
            ("cut before the first byte, for ever", [nothing], 3, 4),
            ("a chunk is missing", [chunk_missing], 3, 4),
            ("no video in chunks", [chunks], 1, 4),
            ("reset, then well", [reset, video], 2, 0),
            ("500, then well", [raw(500, b""), video], 2, 0),
            ("429, then well", [raw(429, b""), video], 2, 0),
            ("403", [raw(403, b"<Error>"), video], 1, 4),
            ("404", [raw(404, b"<Error>"), video], 1, 4),
            ("stall", [stall], 3, 4),
            ("103 before it", [announced(video, 103)], 1, 0),
            ("206", [raw(206, body), video], 1, 4),
            ("204", [raw(204, b""), video], 1, 4),
            ("a page", [raw(200, b"<html>please log in"), video], 1, 4),
            ("JSON", [raw(200, b'{"code": "x"}'), video], 1, 4),
            ("nothing", [raw(200, b""), video], 1, 4),
            ("seven bytes of it", [raw(200, body[:7]), video], 1, 4),
            ("ftyp at the wrong place", [raw(200, b"ftyp" + body), video], 1, 4),
            (
                "longer than announced",
                [raw(200, body + b"xx", Content_Length=str(len(body)))],
                1,
                0,
            ),
            ("no length", [raw(200, body, Content_Length=None, Connection="close")], 1, 0),
            ("² bytes", [raw(200, body, Content_Length="²", Connection="close")], 1, 0),
            ("9s bytes", [raw(200, body, Content_Length="9" * 5000, Connection="close")], 1, 0),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(
                    tasks=[succeeded()], video_synthesis=[partial(created, task_id="x")]
                )
                service.script["videos"] = list(script)
                with self.patience():
                    result = self.ends(self.go(), code, *(["service"] if code else []))
                if tries:
                    self.assertEqual(len(service.downloads), tries)
                self.assert_no_temporary_files()
                self.assertEqual(self.kept("response.json")["video_url"], result.line["video_url"])
                if code == 0:
                    self.ends_with_video(result)
                    continue
                self.assertFalse((self.place() / "video.mp4").exists())
                self.assertNotIn("video_path", self.kept("response.json"))
                self.assertIsNone(result.line["video_path"])
                service.script["videos"] = [video]
                self.ends_with_video(self.go())
                self.assertEqual(len(service.posts), 1)

    def test_a_video_is_at_most_so_large(self):
        big = raw(200, video_of("x") * 2)
        endless = raw(200, video_of("x") * 2, Content_Length=None, Connection="close")
        for name, answer in (("announced", big), ("not announced", endless)):
            with self.subTest(name), mock.patch.object(download, "MAX_VIDEO", 300_000):
                self.clear()
                service = self.serve(tasks=[succeeded()], videos=[answer])
                self.ends(self.go(), 4, "service")
                self.assertEqual(self.folders() and os.listdir(self.place()).count("video.mp4"), 0)
                self.assert_no_temporary_files()
                self.assertEqual(len(service.downloads), 1)
        self.assertEqual(download.MAX_VIDEO, 512 * 2**20)

    def test_a_download_ends_when_it_is_too_slow_or_nothing_comes(self):
        dripping = partial(drip, start=video_of("x")[:1000])

        def halting(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", "100000")
            handler.end_headers()
            handler.wfile.write(video_of("x")[:1000])
            stall(handler)

        self.assertEqual(
            (settings.READ_TIMEOUT, download.SLOWEST, download.SLOW_TIME), (30, 1024, 60)
        )
        for name, answer, constants in (
            ("slow", dripping, (download, {"SLOW_TIME": 0.1})),
            ("halting", halting, (download, {"SLOW_TIME": 0.1})),
            ("silent", stall, (settings, {"READ_TIMEOUT": 0.1})),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(tasks=[succeeded()])
                self.ends(self.go("--no-download"), 0)
                service.script["videos"] = [answer]
                start = time.monotonic()
                with mock.patch.multiple(constants[0], **constants[1]):
                    self.ends(self.go(), 4, "service")
                self.assertLess(time.monotonic() - start, 10)
                self.assertLessEqual(len(service.downloads), 3)
                self.assertFalse((self.place() / "video.mp4").exists())
                self.assert_no_temporary_files()

    def test_a_redirect_is_followed_to_http_only_and_without_the_key(self):
        service = self.serve(tasks=[succeeded("/moved")])
        self.go("--no-wait")
        (task_id,) = service.tasks
        service.script["moved"] = [raw(302, b"", Location=f"/videos/{task_id}.mp4")]
        self.ends_with_video(self.go())
        for handler in service.seen:
            if "/tasks/" not in handler.path and handler.command == "GET":
                self.assertNotIn("Authorization", handler.headers)
        secret = self.folder / "secret.mp4"
        secret.write_bytes(video_of("secret"))
        for location in (
            *(secret.as_uri(), "ftp://127.0.0.1/x", "data:,x", "/moved", "", "http://["),
            *("http://127.0.0.1:0/", "http://127.0.0.1:x/", "javascript:x", "//", "http:///x"),
        ):
            with self.subTest(location):
                self.clear()
                self.serve(moved=[raw(302, b"", Location=location)], tasks=[succeeded("/moved")])
                self.ends(self.go(), 4, "service")
                self.assertFalse((self.place() / "video.mp4").exists())
        for link in (secret.as_uri(), "data://,x", "http://127.0.0.1:1/ x", "http://é/"):
            with self.subTest(link):
                self.clear()
                self.serve(tasks=[succeeded(link)])
                self.ends(self.go(), 4, "service")
                self.assertFalse((self.place() / "video.mp4").exists())

    def test_a_redirect_may_have_spaces_and_letters_of_any_script(self):
        for name, location in (
            ("a space", "/my folder/videos/x.mp4?a=b c"),
            ("UTF-8", "/é/视频/videos/x.mp4?a=ü".encode().decode("latin-1")),
            ("Latin-1", "/\xe9/videos/x.mp4"),
            ("escapes", "/%C3%A9%20/videos/x.mp4?a=%2B+"),
            ("a fragment", "/videos/x.mp4#t=1"),
            ("brackets", "/[a]/{b}/videos/x.mp4?a[]=|"),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(
                    video_synthesis=[partial(created, task_id="x")],
                    tasks=[succeeded("/moved")],
                    moved=[raw(302, b"", Location=location)],
                )
                self.ends_with_video(self.go())
                (download,) = service.downloads
                self.assertTrue(download.path.isascii())
                self.assertNotIn("#", download.path)
                if "%C3" in location:
                    self.assertEqual(download.path, location)

    def test_a_kill_during_the_download_leaves_no_video(self):
        dripping = partial(drip, start=video_of("x")[:5000])
        service = self.serve(tasks=[succeeded()], videos=[dripping])
        process = self.start(FILE)
        self.until(lambda: service.downloads)
        process.kill()
        self.end_of(process)
        self.assertFalse((self.place() / "video.mp4").exists())
        service.script["videos"] = [video]
        self.ends_with_video(self.go())

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_disk_that_fills_during_the_download(self):
        self.serve(tasks=[succeeded()])
        result = self.ends(self.run_with_room(90_000, FILE, script=RUN), 1, "output")
        self.assertTrue(result.line["video_url"])
        self.assertIn("video.mp4", result.line["errors"][0]["message"])
        names = sorted(os.listdir(self.place()))
        self.assertEqual(names, ["polls.jsonl", "response.json", "task.json"])
        self.ends_with_video(self.go())

    def test_a_proxy_that_is_named_is_used_for_a_video_elsewhere(self):
        self.serve(tasks=[succeeded("http://emo.invalid/videos/x.mp4")])
        with Proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n\0\0\0\x0cftypmp42") as proxy:
            os.environ["http_proxy"] = proxy.url
            line = self.ends(self.go(), 0).line
            self.assertEqual(Path(line["video_path"]).read_bytes(), b"\0\0\0\x0cftypmp42")
            (asked,) = proxy.asked
        self.assertIn(b"GET http://emo.invalid/videos/x.mp4", asked)
        self.assertNotIn(KEY.encode(), asked)


if __name__ == "__main__":
    unittest.main()
