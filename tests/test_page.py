"""The page, without a browser: where it goes, what stands on it, and what never does."""

import base64
import hashlib
import time
import unittest

from support import AUDIO_URL, IMAGE_URL, REQUEST, emo
from support.page import (
    DESK,
    DETECT,
    DETECTION,
    ID,
    SHOWN,
    TASK,
    PreviewCase,
    request_with,
)

from aliyun_emo import requests


class WhatStandsOnIt(PreviewCase):
    def test_facts_of_a_request(self):
        later = int(time.time()) + 90 * 60
        link = "https://example.com/my%20portr%C3%A4t.png"
        link += f"?Expires={later}&OSSAccessKeyId=k&Signature=s"
        boxes = {"face_bbox": [200, 100, 500, 500], "ext_bbox": [100, 0, 700, 800]}
        request = request_with(image_url=link, **boxes)
        page = self.page_of(request)
        digits = requests.request_name(request, "")
        for text in (
            *("3:4", "512x704", "512x704 pixels, not quite 3:4", "active", "emo-v1"),
            *("my porträt.png", "speech.mp3", f"expires at {emo.utc(later)}", digits),
            *("does not tell when it expires", "CNY 0.16 a second", emo.PRICES_OF, "EXIF"),
            *("200, 100, 500, 500: 300x400 pixels", "100, 0, 700, 800: 600x800 pixels"),
            "Do not publish",
        ):
            self.assertIn(text, page.text)
        self.assertRegex(
            page.text, r"Page made at 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ for the request"
        )
        self.assertEqual(page.of("portrait")["src"], link)
        self.assertEqual(page.of("recording")["src"], AUDIO_URL)

    def test_1_1_is_exact(self):
        text = self.page_of(REQUEST).text
        self.assertIn("512x512 pixels.", text)
        self.assertNotIn("not quite", text)

    def test_the_length_of_a_local_file_is_what_prepare_found(self):
        request = self.prepare_files(seconds=12.4)
        page = self.page_of(request)
        self.assertIn("12.4 s", page.text)
        self.assertIn("CNY 0.99", page.text)
        self.assertNotIn("about", page.text)
        self.assertEqual(page.of("recording")["data-seconds"], "12.4")
        self.assertEqual(page.of("portrait")["src"], (self.folder / "portrait.png").as_uri())
        self.assertNotIn("12.4 s", self.page_of(REQUEST).text)
        boxes = ("--face-bbox", "300,290,640,700", "--ext-bbox", "90,40,855,1060")
        self.assertIn("CNY 1.98", self.page_of(self.prepare_files(*boxes)).text)

    def test_a_warning_of_prepare_is_on_the_page_too(self):
        soon = int(time.time()) + 60
        link = f"{IMAGE_URL}?Expires={soon}&OSSAccessKeyId=k&Signature=s"
        page = self.page_of(request_with(image_url=link), warnings=1)
        self.assertIn("the service may fetch it later than that", page.text)

    def test_a_detection_has_no_recording_and_no_digits(self):
        page = self.page_of(DETECTION, "detection.json")
        self.assertEqual(page.all("audio"), [])
        self.assertIn("CNY 0.08 a second", page.text)
        self.assertNotIn("for the request", page.text)
        self.assertEqual(page.of("preview")["data-ext"], "71,9,840,778")

    def test_a_task_has_its_state_and_its_video(self):
        self.task(answer={"task_id": ID, "task_status": "SUCCEEDED"}, video=b"video")
        page = self.page_of(TASK, "tasks/3f9a12c07b1e/task.json")
        self.assertIn("A task: made, SUCCEEDED", page.text)
        self.assertNotIn("Until when", page.text)
        uri = (self.folder / DESK / "tasks/3f9a12c07b1e/video.mp4").as_uri()
        self.assertEqual(page.of("video")["src"], uri)
        failed = {
            "task_id": ID,
            "task_status": "FAILED",
            "code": "InvalidFile.Size",
            "message": "big",
        }
        name = self.task("000000000000", answer=failed)
        page = self.page_of(TASK, name)
        self.assertIn("made, FAILED, InvalidFile.Size, big", page.text)
        self.assertEqual(page.all("video"), [])
        refused = {"state": "refused", "response": {"code": "Arrearage", "message": "unpaid"}}
        page = self.page_of({**TASK, **refused}, self.task("000000000001"))
        self.assertIn("refused, Arrearage, unpaid", page.text)

    def test_a_request_whose_video_was_made_has_it(self):
        made, sent = None, "FAILED"  # of the last attempt, with which its command goes on
        for attempt, (name, video) in enumerate(
            (
                ("6872062bccf0", b""),
                ("6872062bccf0-2", b"second"),
                ("6872062bccf0-3", b""),
                ("6872062bccf0-10", b"last"),
                ("000000000000", b"of another"),
            ),
            1,
        ):
            answer = {"task_id": ID, "task_status": "SUCCEEDED" if video else "FAILED"}
            self.task(name, answer, video, attempt=attempt)
            if name.startswith("6872"):
                made, sent = (name if video else None), answer["task_status"]
            for file in ("request.json", "requests/6872062bccf0.json"):
                with self.subTest(f"{name} {file}"):
                    page = self.page_of(REQUEST, file)
                    path = self.folder / DESK / "tasks" / str(made) / "video.mp4"
                    shown = [element["src"] for element in page.all("video")]
                    self.assertEqual(shown, [path.as_uri()] if made else [])
                    self.assertIn("costs nothing", page.text)
                    for text in ("whose video was made", "was made already"):
                        self.assertEqual(text in page.text, bool(made), text)
                    for text in ("request that was sent: made, FAILED", "was sent already"):
                        self.assertEqual(text in page.text, not made, text)
                    for text in ("Until when", "How long"):
                        self.assertEqual(text in page.text, not made, text)
                    self.assertIn(f"made, {sent}", page.text)
                    self.assertNotIn("costs money", page.text)
                    self.assertEqual(self.command(page)[-1], str(self.folder / SHOWN))

    def test_what_is_asked_next_is_answered(self):
        boxes = {"face_bbox": [200, 100, 500, 500], "ext_bbox": [100, 0, 700, 800]}
        for document, name, ratio in (
            (REQUEST, "request.json", "1:1"),
            (request_with(**boxes), "request.json", "3:4"),
            (DETECTION, "detection.json", "1:1"),
            (TASK, self.task(), "1:1"),
        ):
            with self.subTest(f"{name} {ratio}"):
                page = self.page_of(document, name)
                for text in (
                    *("Do not change them by hand", "another picture", "or with the other ratio"),
                    *(f"These boxes have the ratio {ratio}", "--ratio 1:1", "--ratio 3:4"),
                    "13.93 seconds took two minutes",
                    *("15 seconds in the queue", "One task runs at a time", "24 hours after"),
                ):
                    self.assertIn(text, page.text)

    def test_price_and_command_stand_before_the_pictures(self):
        for document, name in ((REQUEST, "r.json"), (DETECTION, "d.json"), (TASK, self.task())):
            ids = [a["id"] for _, a in self.page_of(document, name).elements if "id" in a]
            places = [ids.index(name) for name in ("price", "command", "portrait")]
            self.assertEqual(places, sorted(places), name)


class Safety(PreviewCase):
    HOSTILE = (
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "%22%20onerror%3D%22alert(1)",
        "%3C%2Ftitle%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        "'%3E%3Cb%3E",
        "%7Bstyle%7D%7B0%7D%25s",
        "%3C!--",
        "]]%3E%26lt%3B",
        "%22onerror=%22alert(1)",
        "%3Cimg/src=x/onerror=alert(1)%3E",
        "a%26lt;b&copy=1",
    )

    ATTRIBUTES = set(
        "alt aria-describedby aria-hidden aria-label charset class content controls d data-ext"
        " data-face data-least data-most data-price data-seconds data-too-long dir"
        " hidden http-equiv id lang name preload role src".split()
    )

    def outline(self, page):
        """Return all elements and the names of their attributes."""
        return [(tag, sorted(attributes)) for tag, attributes in page.elements]

    def test_what_comes_from_outside_stays_text(self):
        plain = self.outline(self.page_of(REQUEST))
        said = {"output": {"task_id": ID}, "code": "<script>", "message": "<b onclick=x>&lt;"}
        plain_task = self.outline(self.page_of(TASK, self.task()))
        plain_detection = self.outline(self.page_of(DETECTION, "detection.json"))
        for name in self.HOSTILE:
            with self.subTest(name):
                link = f"https://example.com/{name}.png"
                request = request_with(image_url=link, audio_url=link.replace(".png", ".wav"))
                page = self.page_of(request)
                self.assertEqual(self.outline(page), plain)
                self.assertIn(emo.unescaped(name.rpartition("/")[2]) + ".png", page.text)
                self.assertEqual(page.of("portrait")["src"], request["input"]["image_url"])
                self.assertEqual(page.of("recording")["src"], request["input"]["audio_url"])
                for tag, attributes in page.elements:
                    self.assertLessEqual(set(attributes), self.ATTRIBUTES, tag)
                detect = {**DETECT, "input": {"image_url": link}}
                page = self.page_of({**DETECTION, "request": detect}, "detection.json")
                self.assertEqual(self.outline(page), plain_detection)
                self.assertIn(link, self.command(page))
                task = {**TASK, "request": request, "state": "<script>", "response": said}
                page = self.page_of(task, self.task())
                self.assertEqual(self.outline(page), plain_task)
                self.assertIn("sending, <script>, <b onclick=x>&lt;", page.text)

    def test_a_direction_override_is_shown_and_does_nothing(self):
        for mark in "\u202e\u202b\u2066\u2067\u2068\u200f\u061c\u2028\ufeff\x1b\x9b\x00":
            with self.subTest(f"U+{ord(mark):04X}"):
                name = "".join(f"%{byte:02X}" for byte in f"a{mark}gnp".encode())
                said = {"code": f"a{mark}b", "message": "\u05d0\u05d1"}
                request = request_with(image_url=f"https://example.com/{name}.png")
                task = {**TASK, "request": request, "response": said}
                markup = self.markup_of(task, self.task())
                self.assertNotIn(mark, markup)
                escape = mark.encode("unicode_escape").decode()
                self.assertIn(f"<bdi>a{escape}gnp.png</bdi>", markup)
                self.assertRegex(markup, "<bdi>[^<]*\u05d0\u05d1</bdi>")

    def test_the_policy_allows_the_one_script_and_the_one_style(self):
        page = self.page_of(REQUEST)
        (policy,) = (
            a["content"]
            for a in page.all("meta")
            if a.get("http-equiv") == "Content-Security-Policy"
        )
        hashes = {}
        for tag in ("script", "style"):
            self.assertEqual(len(page.all(tag)), 1)
            digest = hashlib.sha256("".join(page.code[tag]).encode()).digest()
            hashes[tag] = f"'sha256-{base64.b64encode(digest).decode()}'"
        self.assertEqual(
            [words.strip() for words in policy.split(";")],
            [
                "default-src 'none'",
                f"script-src {hashes['script']}",
                f"style-src {hashes['style']}",
                "img-src https: http: file:",
                "media-src https: http: file:",
                "base-uri 'none'",
                "form-action 'none'",
            ],
        )
        tags = [tag for tag, _ in page.elements]
        self.assertLess(tags.index("meta"), tags.index("style"))
        self.assertEqual(page.elements[4][1].get("http-equiv"), "Content-Security-Policy")
        self.assertIn({"name": "referrer", "content": "no-referrer"}, page.all("meta"))

    def test_script_and_style_are_the_same_on_every_page(self):
        codes = []
        for document, name in ((REQUEST, "r.json"), (DETECTION, "d.json"), (TASK, self.task())):
            page = self.page_of(document, name)
            codes.append((page.code["script"], page.code["style"]))
        self.assertEqual(codes[0], codes[1])
        self.assertEqual(codes[0], codes[2])

    def test_the_page_needs_no_other_file_than_the_media(self):
        page = self.page_of(REQUEST)
        links = [
            v for _, a in page.elements for k, v in a.items() if k in ("src", "href", "srcset")
        ]
        self.assertEqual(links, [AUDIO_URL, IMAGE_URL])
        for word in ("url(", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval("):
            self.assertNotIn(word, "".join(page.code["script"] + page.code["style"]))

    def test_the_page_is_small_also_with_the_longest_links(self):
        long = "?x=" + "&'%22%3C" * 1000  # 8,000 characters: more than servers take
        links = {"image_url": IMAGE_URL + long, "audio_url": AUDIO_URL + long}
        self.assertLess(len(self.markup_of(REQUEST)), 20 * 1024)
        detect = {**DETECT, "input": {"image_url": IMAGE_URL + long}}
        for document, name in (
            (request_with(**links), "request.json"),
            ({**DETECTION, "request": detect}, "detection.json"),
            ({**TASK, "request": request_with(**links)}, self.task(video=b"video")),
        ):
            with self.subTest(name):
                self.assertLess(len(self.markup_of(document, name)), 64 * 1024)


if __name__ == "__main__":
    unittest.main()
