"""The page in Chromium: what is seen, measured, warned of and fetched.

Playwright drives the Chromium of the system; none is downloaded. Without one of the two nothing
here runs, and a line on stderr says so.
"""

import base64
import itertools
import os
import shutil
import sys
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

from support.page import (
    COLOURS,
    DETECT,
    DETECTION,
    PAGE_SCRIPT,
    TASK,
    PreviewCase,
    four_colours,
    request_with,
)
from support.service import wav

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    " --disable-background-networking --disable-component-update --force-color-profile=srgb"
).split()
SIZES = ((360, 740), (680, 600), (1600, 1000))  # CSS pixels of the window: narrow, one column, two
PICTURE, SPEECH = "http://example.com/portrait.png", "http://example.com/speech.wav"
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => violations.push(e.violatedDirective));
"""


browser = host = blank = None  # while the tests of this module run


def setUpModule():
    global browser, host, blank
    missing = "Playwright for Python" if not sync_playwright else f"a browser, {CHROMIUM}"
    if not sync_playwright or not os.path.exists(CHROMIUM):
        print(f"skipped: the tests in a browser need {missing}", file=sys.stderr)
        raise unittest.SkipTest(f"there is no {missing}")
    host = Host()
    unittest.addModuleCleanup(host.server_close)
    unittest.addModuleCleanup(host.shutdown)
    driver = sync_playwright().start()
    unittest.addModuleCleanup(driver.stop)
    rules = f"--host-resolver-rules=MAP * 127.0.0.1:{host.server_port}"
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, rules])
    unittest.addModuleCleanup(browser.close)
    blank = browser.new_page()


class Host(ThreadingHTTPServer):
    """Every host on the network that the browser sees: it has `files` by path, and notes who asks.

    A file is its content, or a status, or a function that returns one of them.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.seen, self.referrers = {}, [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        host = self.headers.get("Host", "")
        self.server.seen.append(f"http://{host}{self.path}")
        self.server.referrers.append(self.headers.get("Referer"))
        file = self.server.files.get(self.path.partition("?")[0], 404)
        file = file() if callable(file) else file
        status, body = (200, file) if isinstance(file, bytes) else (file, b"")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if body.startswith(b"<"):
            self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# Of a PNG in base64 its width, its height and its RGBA bytes.
DECODE = """async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const bytes = pen.getImageData(0, 0, image.width, image.height).data;
    let text = "";
    for (let i = 0; i < bytes.length; i += 30000) {
        text += String.fromCharCode(...bytes.subarray(i, i + 30000));
    }
    return [image.width, image.height, btoa(text)];
}"""


class BrowserCase(PreviewCase):
    def setUp(self):
        super().setUp()
        host.files = {"/portrait.png": four_colours(900, 1100), "/speech.wav": wav(12.4)}
        host.seen.clear()
        host.referrers.clear()
        self.asked, self.said = [], []

    def open(self, document, name="request.json", settled=True, **context):
        """Return the page of `document` in a window of its own, opened from disk as people do."""
        return self.open_page(self.path_of(document, name).as_uri(), settled, **context)

    def path_of(self, document, name="request.json"):
        """Return the absolute path of the page of `document`."""
        result = self.show(self.write(document, name))
        self.assertEqual(result.code, 0, result)
        return Path(result.line["preview_path"]).resolve()

    def open_page(self, url, settled=True, script="", **context):
        window = browser.new_context(**context)
        self.addCleanup(window.close)
        window.add_init_script(WATCH + script)
        page = window.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(url, wait_until="load" if settled else "domcontentloaded")
        if settled:
            self.settle(page)
        return page

    def until(self, page, expression):
        """Wait until an `expression` is true on `page`.

        Not wait_for_function(), which needs what the page's policy forbids.
        """
        for _ in range(1000):
            if page.evaluate(f"!!({expression})"):
                return
            page.wait_for_timeout(10)
        self.fail(expression)

    def settle(self, page):
        """Wait until each medium of the page is there or lost, and that is told."""
        media = "[...document.querySelectorAll('img, audio, video')]"
        self.until(page, f"{media}.every((m) => m.complete || m.readyState > 0 || m.error)")
        page.wait_for_timeout(50)

    def problems(self, page):
        """Return the warnings that the page shows, each in its line."""
        box = page.locator("#problems")
        lines = page.locator("#problems li").all_inner_texts()
        self.assertEqual(box.is_visible(), bool(lines))
        return lines

    def request(self, **given):
        return request_with(**{"image_url": PICTURE, "audio_url": SPEECH, **given})

    def image(self, locator):
        """Return width, height and the rows of RGB pixels of what is seen of an element."""
        png = base64.b64encode(locator.screenshot(type="png")).decode()
        width, height, data = blank.evaluate(DECODE, png)
        data = base64.b64decode(data)
        seen = [tuple(data[i : i + 3]) for i in range(0, len(data), 4)]
        return width, height, [seen[i : i + width] for i in range(0, len(seen), width)]

    def assert_near(self, seen, wanted, within, message=None):
        for one, other in itertools.zip_longest(seen, wanted):
            self.assertAlmostEqual(one, other, delta=within, msg=message)


class Geometry(BrowserCase):
    BOXES = """() => {
        const image = document.getElementById("portrait"), at = image.getBoundingClientRect();
        const scale = image.naturalWidth / at.width;
        const edges = (selector) => {
            const box = document.querySelector(selector).getBoundingClientRect();
            return [box.left - at.left, box.top - at.top, box.right - at.left, box.bottom - at.top]
                .map((edge) => edge * scale);
        };
        return { scale, face: edges(".line.face"), ext: edges(".line.ext"),
            sides: [image.naturalWidth, image.naturalHeight], shown: [at.width, at.height] };
    }"""

    def measured(self, page, face_bbox, ext_bbox):
        """Assert that both boxes lie where they should, within two CSS pixels."""
        seen = page.evaluate(self.BOXES)
        self.assert_near(seen["face"], face_bbox, 2 * seen["scale"], seen)
        self.assert_near(seen["ext"], ext_bbox, 2 * seen["scale"], seen)
        width, height = seen["shown"]
        self.assertAlmostEqual(width / height, seen["sides"][0] / seen["sides"][1], delta=0.01)
        self.assertGreater(width, 200)
        return seen

    def test_the_boxes_lie_over_the_picture_at_any_width(self):
        local = self.prepare_files("--face-bbox", "0,1,300,410", "--ext-bbox", "0,0,900,900")
        link = self.request(face_bbox=[300, 290, 640, 700], ext_bbox=[90, 40, 855, 1060])
        for name, document in (("local", local), ("link", link)):
            page = self.open(document, f"{name}.json")
            boxes = document["input"]["face_bbox"], document["input"]["ext_bbox"]
            for width, height in SIZES:
                with self.subTest(f"{name} {width}"):
                    page.set_viewport_size({"width": width, "height": height})
                    self.measured(page, *boxes)
            self.assertEqual(self.problems(page), [])

    def test_the_contours_are_seen_where_the_edges_are_and_the_rest_is_dimmed(self):
        x1, y1, x2, y2 = ext_bbox = [90, 60, 850, 820]
        page = self.open(self.request(ext_bbox=ext_bbox, face_bbox=[304, 282, 636, 700]))
        for size in SIZES:
            with self.subTest(size):
                page.set_viewport_size({"width": size[0], "height": size[1]})
                width, _, rows = self.image(page.locator("#frame"))
                scale = 900 / width
                yellow = [i for i, p in enumerate(rows[int(760 / scale)]) if is_yellow(p)]
                self.assert_near([min(yellow), max(yellow) + 1], [x1 / scale, x2 / scale], 2.5)
                column = [row[int(150 / scale)] for row in rows]
                yellow = [i for i, p in enumerate(column) if is_yellow(p)]
                self.assert_near([min(yellow), max(yellow) + 1], [y1 / scale, y2 / scale], 2.5)
                dimmed = rows[int(30 / scale)][int(30 / scale)]
                self.assert_near(dimmed, [0.4 * value for value in COLOURS[0]], 3)
                bright = rows[int(120 / scale)][int(150 / scale)]
                self.assert_near(bright, COLOURS[0], 3)
                below = rows[int(1000 / scale)][int(800 / scale)]
                self.assert_near(below, [0.4 * value for value in COLOURS[3]], 3)

    def test_a_picture_that_exif_turns_has_its_boxes_as_it_is_shown(self):
        host.files["/portrait.png"] = four_colours(1100, 900, orientation=6)
        boxes = {"face_bbox": [300, 290, 640, 700], "ext_bbox": [90, 250, 850, 1010]}
        page = self.open(self.request(**boxes))
        seen = self.measured(page, *boxes.values())
        self.assertEqual(seen["sides"], [900, 1100])
        self.assertEqual(self.problems(page), [])
        _, _, rows = self.image(page.locator("#crop"))
        self.assert_near(rows[5][5], COLOURS[2], 3)  # turned right, the lower left one is first

    def test_the_labels_are_in_the_picture(self):
        for boxes in (
            {"face_bbox": [300, 290, 640, 700], "ext_bbox": [90, 60, 850, 820]},
            {"face_bbox": [0, 700, 200, 1100], "ext_bbox": [0, 200, 900, 1100]},
            {"face_bbox": [800, 0, 900, 100], "ext_bbox": [700, 0, 900, 200]},
            {"face_bbox": [840, 900, 1000, 1200], "ext_bbox": [800, 850, 1300, 1350]},
        ):
            page = self.open(self.request(**boxes))
            for width, height in SIZES:
                with self.subTest(f"{boxes} {width}"):
                    page.set_viewport_size({"width": width, "height": height})
                    frame = page.locator("#frame").bounding_box()
                    for name in ("ext", "face"):
                        label = page.locator(f".label.{name}")
                        self.assertTrue(label.is_visible())
                        self.assertEqual(label.inner_text(), f"{name}_bbox")
                        at = label.bounding_box()
                        self.assertGreaterEqual(at["x"], frame["x"] - 1)
                        self.assertGreaterEqual(at["y"], frame["y"] - 1)
                        self.assertLessEqual(at["x"] + at["width"], frame["x"] + frame["width"] + 1)
                        self.assertLessEqual(
                            at["y"] + at["height"], frame["y"] + frame["height"] + 1
                        )


def is_yellow(pixel):
    """Whether a `pixel` is of the contour of ext_bbox, and not of the picture."""
    red, green, blue = pixel
    return red > 240 and green > 195 and 60 < blue < 110


class Crop(BrowserCase):
    def test_it_shows_the_part_in_ext_bbox_and_nothing_else(self):
        for ext_bbox, corners in (
            ([50, 150, 850, 950], (0, 1, 2, 3)),
            ([0, 0, 450, 450], (0, 0, 0, 0)),
            ([450, 0, 862, 550], (1, 1, 1, 1)),
            ([0, 550, 412, 1100], (2, 2, 2, 2)),
            ([300, 560, 600, 960], (2, 3, 2, 3)),
            ([100, 300, 445, 760], (0, 0, 2, 2)),
        ):
            x1, y1, x2, y2 = ext_bbox
            face_bbox = [x1, y1, x1 + 90, y1 + 90]
            page = self.open(self.request(ext_bbox=ext_bbox, face_bbox=face_bbox))
            for size in SIZES:
                with self.subTest(f"{ext_bbox} {size}"):
                    page.set_viewport_size({"width": size[0], "height": size[1]})
                    width, height, rows = self.image(page.locator("#crop"))
                    self.assertLessEqual(page.locator("#crop").bounding_box()["width"], 512)
                    self.assertAlmostEqual(width / height, (x2 - x1) / (y2 - y1), delta=0.015)
                    spots = itertools.product((3, height - 4), (3, width - 4))
                    for (y, x), colour in zip(spots, corners):
                        self.assert_near(rows[y][x], COLOURS[colour], 3)
                    if corners == (0, 1, 2, 3):  # the colours meet where they do in the picture
                        row = rows[3]
                        border = next(i for i, p in enumerate(row) if p[1] > 100)
                        self.assertAlmostEqual(border, width * (450 - x1) / (x2 - x1), delta=1.5)


def slow_loss():
    """Return a status of a host that takes its time."""
    time.sleep(0.3)
    return 404


class Problems(BrowserCase):
    def test_where_all_is_well_nothing_is_red(self):
        for document in (self.request(), self.prepare_files()):
            page = self.open(document)
            self.assertEqual((self.problems(page), self.said), ([], []))

    def test_what_a_player_corrects_is_told_no_more(self):
        page = self.open(self.request())
        for seconds, count in ((197.8, 1), (70, 1), (45, 0)):
            page.evaluate(
                "(seconds) => Object.defineProperty(find('recording'), 'duration',"
                " { value: seconds, configurable: true })",
                seconds,
            )
            page.locator("#recording").dispatch_event("durationchange")
            self.assertEqual(len(self.problems(page)), count, seconds)

    def test_a_local_recording_of_60_seconds_is_red_too(self):
        page = self.open(self.prepare_files(seconds=60.05), settled=False)
        self.settle(page)
        (words,) = self.problems(page)
        self.assertIn("is 60.05 s long", words)

    def test_each_bad_case_is_told_in_words(self):
        for what, files, words in (
            ("no picture", {"/portrait.png": 404}, "picture does not load"),
            ("a private one", {"/portrait.png": 403}, "private"),
            ("a slow loss", {"/portrait.png": slow_loss}, "picture does not load"),
            ("a page", {"/portrait.png": b"<html>log in</html>"}, "picture does not load"),
            ("small", {"/portrait.png": four_colours(399, 900)}, "399x900 pixels: the service"),
            ("large", {"/portrait.png": four_colours(7001, 840)}, "7001x840 pixels: the service"),
            ("narrow", {"/portrait.png": four_colours(839, 900)}, "ext_bbox reaches to 840,778"),
            ("low", {"/portrait.png": four_colours(900, 592)}, "face_bbox reaches to 610,593"),
            ("no recording", {"/speech.wav": 404}, "recording does not load"),
            ("a page again", {"/speech.wav": b"<html>log in</html>"}, "recording does not load"),
            ("a slow one", {"/speech.wav": slow_loss}, "recording does not load"),
            ("60 s", {"/speech.wav": wav(60)}, "about 60.0 s in this browser"),
            ("61 s", {"/speech.wav": wav(61)}, "about 61.0 s in this browser"),
        ):
            with self.subTest(what):
                host.files = {
                    "/portrait.png": four_colours(900, 1100),
                    "/speech.wav": wav(12.4),
                    **files,
                }
                page = self.open(self.request(), settled=False)
                page.wait_for_selector("#problems li")
                self.settle(page)
                # A player corrects itself as it goes on: what was told is not told again.
                page.locator("#recording").dispatch_event("durationchange")
                self.assertIn(words, "\n".join(self.problems(page)))
                if what not in ("small", "low"):
                    self.assertEqual(len(self.problems(page)), 1)
                red, green, blue = colour_of(page, "#problems li")
                self.assertGreater(red, 2 * max(green, blue))
                top = page.locator("#problems").bounding_box()
                self.assertLess(top["y"], page.locator("main").bounding_box()["y"])

    def test_at_the_limits_nothing_is_told(self):
        host.files["/portrait.png"] = four_colours(840, 778)
        host.files["/speech.wav"] = wav(59.9)
        self.assertEqual(self.problems(self.open(self.request())), [])
        host.files["/portrait.png"] = four_colours(7000, 400)
        boxes = {"face_bbox": [10, 10, 60, 60], "ext_bbox": [0, 0, 400, 400]}
        self.assertEqual(self.problems(self.open(self.request(**boxes))), [])

    def open_without_script(self):
        """Return the page of the request before its script runs."""
        path = self.path_of(self.request())
        script = f"<script>{PAGE_SCRIPT}</script>"
        path.write_text(path.read_text("utf-8").replace(script, ""), "utf-8")
        return self.open_page(path.as_uri())

    def test_what_failed_before_the_script_ran_counts_alike(self):
        host.files = {}
        page = self.open_without_script()
        self.until(page, "document.getElementById('recording').error")
        self.assertEqual(self.problems(page), [])
        page.evaluate(f"() => {{ {PAGE_SCRIPT} }}")
        lost = [line.partition(" does")[0] for line in self.problems(page)]
        self.assertEqual(lost, ["The picture", "The recording"])

    def test_what_came_before_the_script_ran_counts_alike(self):
        page = self.open_without_script()
        page.evaluate(f"() => {{ {PAGE_SCRIPT} }}")
        self.assertEqual(page.locator("#length").inner_text(), "about 12.4 s")
        self.assertEqual(page.locator("#crop img").count(), 1)

    def test_files_that_are_gone_are_told_of_a_task(self):
        request = self.prepare_files()
        os.unlink("portrait.png")
        os.unlink("hello.wav")
        page = self.open({**TASK, "request": request}, self.task(video=b"no video"))
        self.until(page, "document.querySelectorAll('#problems li').length === 3")
        self.assertTrue(all("opened from disk" in line for line in self.problems(page)))
        self.assertIn("portrait.png", page.locator(".caution").inner_text())


def colour_of(page, selector):
    colour = page.locator(selector).first.evaluate("(e) => getComputedStyle(e).color")
    return [int(part) for part in colour[4:-1].split(",")]


class Media(BrowserCase):
    def test_length_and_price(self):
        def shown(page):
            return [page.locator(name).inner_text() for name in ("#length", "#price")]

        boxes = {"face_bbox": [300, 290, 640, 700], "ext_bbox": [90, 40, 855, 1060]}
        page = self.open(self.request(**boxes))
        self.assertEqual(shown(page), ["about 12.4 s", "about CNY 1.98"])
        host.files["/speech.wav"] = 404
        page = self.open(self.request(**boxes))
        self.assertIn("not known", shown(page)[0])
        self.assertEqual(shown(page)[1], "CNY 0.16 a second at 3:4")
        page = self.open(self.prepare_files(seconds=12.4))
        self.assertEqual(shown(page), ["12.4 s", "CNY 0.99"])

    def test_pictures_and_recordings_of_this_disk_load(self):
        page = self.open(self.prepare_files())
        self.assertEqual(page.evaluate("document.getElementById('portrait').naturalWidth"), 900)
        self.assertAlmostEqual(
            page.evaluate("document.getElementById('recording').duration"), 12.4, delta=0.05
        )
        self.assertGreater(page.locator("#recording").bounding_box()["height"], 30)

    def test_the_video_of_a_task_plays(self):
        video = bytes(blank.evaluate(FILM))
        page = self.open({**TASK, "request": self.request()}, self.task(video=video))
        self.assertEqual(self.problems(page), [])
        self.assertEqual(page.evaluate("document.getElementById('video').videoWidth"), 512)
        portrait, film = (page.locator(s).bounding_box() for s in ("#portrait", "#video"))
        self.assertGreater(film["x"], portrait["x"] + portrait["width"])
        self.assertAlmostEqual(film["y"], portrait["y"], delta=2)

    def test_no_other_request_leaves_and_none_tells_where_from(self):
        self.open(self.request())
        self.assertEqual(set(host.seen), {PICTURE, SPEECH})
        self.assertEqual(host.seen.count(PICTURE), 1)
        pages = [url for url in self.asked if url.startswith("file:")]
        self.assertEqual(len(pages), 1)
        self.assertEqual(set(self.asked) - set(pages), {PICTURE, SPEECH})
        host.seen.clear()
        host.files["/preview.html"] = Path(self.path_of(self.request())).read_bytes()
        self.open_page("http://example.org/preview.html")
        self.assertIn(PICTURE, host.seen)
        self.assertEqual(set(host.referrers), {None})


# A film of a third of a second, as a browser makes it.
FILM = """async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 512;
    const pen = canvas.getContext("2d"), pieces = [];
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: "video/webm" });
    recorder.ondataavailable = (event) => pieces.push(event.data);
    const ended = new Promise((resolve) => { recorder.onstop = resolve; });
    recorder.start();
    for (let i = 0; i < 10; i++) {
        pen.fillStyle = `rgb(${25 * i}, 80, 80)`;
        pen.fillRect(0, 0, 512, 512);
        await new Promise((resolve) => setTimeout(resolve, 33));
    }
    recorder.stop();
    await ended;
    return [...new Uint8Array(await new Blob(pieces).arrayBuffer())];
}"""


class Safety(BrowserCase):
    def test_a_hostile_name_stays_text(self):
        name = "%3Cimg%20src%3Dx%20onerror%3D%22window.taken%3D1%22%3E%E2%80%AEgnp.png"
        host.files["/" + name] = four_colours(900, 1100)
        link = f"http://example.com/{name}"
        said = {"code": "</h1><script>window.taken=1</script>", "message": "\u202eflow"}
        request = self.request(image_url=link)
        page = self.open({**TASK, "request": request, "response": said}, self.task())
        heading = page.locator("h1").inner_text()
        self.assertIn('<img src=x onerror="window.taken=1">\\u202egnp.png', heading)
        self.assertIn(
            "<script>window.taken=1</script>, \\u202eflow", page.locator("header").inner_text()
        )
        self.assertIsNone(page.evaluate("window.taken ?? null"))
        self.assertEqual(page.locator("img").count(), 2)
        self.assertEqual(
            (self.said, page.evaluate("violations"), self.problems(page)), ([], [], [])
        )
        self.assertEqual(page.get_by_role("img", name="The portrait <img src=x").count(), 1)

    def test_a_name_of_another_direction_moves_nothing_beside_it(self):
        name = "%D7%90%D7%91%D7%92.png"
        host.files["/" + name] = four_colours(900, 1100)
        page = self.open(self.request(image_url=f"http://example.com/{name}"))
        order = [name.bounding_box()["x"] for name in page.locator("h1 bdi").all()]
        self.assertEqual(order, sorted(order))
        self.assertEqual(len(order), 2)

    def test_the_policy_is_kept_and_in_force(self):
        detection = {**DETECTION, "request": {**DETECT, "input": {"image_url": PICTURE}}}
        task = {**TASK, "request": self.request()}
        for document, name in (
            (self.request(), "request.json"),
            (detection, "detection.json"),
            (task, self.task()),
        ):
            with self.subTest(name):
                self.said.clear()
                page = self.open(document, name)
                self.assertEqual((page.evaluate("violations"), self.said), ([], []))
                page.evaluate(
                    """() => {
                        const script = document.createElement("script");
                        script.textContent = "window.taken = 1";
                        const style = document.createElement("style");
                        const image = new Image();
                        image.src = "data:image/png;base64,x";
                        document.body.append(script, style, image);
                        document.body.setAttribute("style", "color: red");
                        fetch("http://example.com/").catch(() => {});
                    }"""
                )
                page.wait_for_timeout(100)
                self.assertIsNone(page.evaluate("window.taken ?? null"))
                broken = {word.rpartition("-src")[0] for word in page.evaluate("violations")}
                self.assertLessEqual({"img", "connect"}, broken)
                self.assertTrue(
                    any(word.startswith("script") for word in page.evaluate("violations"))
                )
                self.assertTrue(
                    any(word.startswith("style") for word in page.evaluate("violations"))
                )


class Readers(BrowserCase):
    CONTRAST = """() => {
        const light = (text) => {
            const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((value) => {
                const part = value / 255;
                return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const behind = (element) => {
            for (; element; element = element.parentElement) {
                const colour = getComputedStyle(element).backgroundColor;
                if (!colour.endsWith(", 0)")) return colour;
            }
            return "rgb(255, 255, 255)";
        };
        const found = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
            const both = [getComputedStyle(element).color, behind(element)].map(light);
            const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
            found.push([contrast, walker.currentNode.data.trim().slice(0, 40)]);
        }
        return found;
    }"""

    def test_text_has_contrast_in_light_and_dark_and_on_paper(self):
        host.files["/speech.wav"] = 404
        soon = f"?Expires={int(time.time()) + 60}&OSSAccessKeyId=k&Signature=s"
        document = self.request(image_url=PICTURE + soon)
        backgrounds = set()
        for scheme, media in (("light", "screen"), ("dark", "screen"), ("dark", "print")):
            with self.subTest(f"{scheme} {media}"):
                page = self.open(document, color_scheme=scheme)
                page.wait_for_selector("#problems li")
                page.emulate_media(media=media, color_scheme=scheme)
                found = page.evaluate(self.CONTRAST)
                self.assertGreater(len(found), 30)
                self.assertEqual([row for row in found if row[0] < 4.5], [])
                backgrounds.add(
                    page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
                )
        self.assertEqual(len(backgrounds), 3)

    def test_nothing_sticks_out_of_a_narrow_window(self):
        name = "a" * 200
        host.files[f"/{name}.png"] = four_colours(900, 1100)
        page = self.open(self.request(image_url=f"http://example.com/{name}.png"))
        for width in (320, 360, 700, 1000):
            page.set_viewport_size({"width": width, "height": 700})
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), width)

    def test_price_and_command_are_on_the_first_screen_of_a_laptop(self):
        soon = f"?Expires={int(time.time()) + 60}&OSSAccessKeyId=k&Signature=s"
        detection = {**DETECTION, "request": {**DETECT, "input": {"image_url": PICTURE}}}
        long = self.folder / "Documents and Settings/somebody/projects/talking portraits of 2026"
        for what, document, folder in (
            ("a request", self.request(), self.folder),
            ("a warning", self.request(image_url=PICTURE + soon), self.folder),
            ("a long path", self.request(), long),
            ("a detection", detection, self.folder),
        ):
            with self.subTest(what), mock.patch.dict(os.environ, OUTPUT_DIR=str(folder)):
                page = self.open(document)
                page.set_viewport_size({"width": 1280, "height": 760})
                for name in ("#price", "#command", "#copy"):
                    at = page.locator(name).bounding_box()
                    self.assertLessEqual(at["y"] + at["height"], 760, name)
                portrait = page.locator("#portrait").bounding_box()
                self.assertLess(portrait["y"] + portrait["height"] / 2, 760)

    def test_price_and_command_are_before_the_pictures_on_a_phone(self):
        page = self.open(self.request())
        page.set_viewport_size({"width": 390, "height": 844})
        places = [page.locator(f"#{n}").bounding_box() for n in ("price", "copy", "portrait")]
        for upper, lower in zip(places, places[1:]):
            self.assertLessEqual(upper["y"] + upper["height"], lower["y"])
        self.assertLessEqual(places[1]["y"] + places[1]["height"], 844)

    def test_on_paper_the_dimming_stays_and_players_go(self):
        page = self.open(self.request())
        page.emulate_media(media="print")
        for selector in (".dim", ".label", "#problems"):
            how = page.locator(selector).first.evaluate(
                "(e) => getComputedStyle(e).printColorAdjust"
            )
            self.assertEqual(how, "exact", selector)
        self.assertFalse(page.locator("audio").is_visible())
        self.assertFalse(page.locator("button").is_visible())
        self.assertTrue(page.locator("#frame").is_visible())
        self.assertTrue(page.pdf().startswith(b"%PDF"))

    def test_everything_has_a_name_and_the_boxes_are_described(self):
        page = self.open(self.request())
        for role, name in (
            ("img", "The portrait portrait.png"),
            ("img", "The part of the portrait in ext_bbox"),
            ("button", "Copy the command"),
            ("heading", "portrait.png, speech.wav"),
        ):
            self.assertEqual(page.get_by_role(role, name=name).count(), 1, name)
        self.assertEqual(page.get_by_label("The recording speech.wav").count(), 1)
        described = page.locator("#portrait").get_attribute("aria-describedby")
        words = page.locator(f"#{described}").inner_text()
        for text in ("ext_bbox, from 71,9,840,778", "face_bbox, from 302,286,610,593", "EXIF"):
            self.assertIn(text, words)

    def test_the_command_is_copied_also_by_keyboard_and_without_a_clipboard(self):
        page = self.open(self.request())
        command = page.locator("#command").inner_text()
        for clipboard in (True, False):
            with self.subTest(clipboard):
                script = "" if clipboard else 'Object.defineProperty(navigator, "clipboard", {});'
                path = self.path_of(self.request()).as_uri()
                permissions = ["clipboard-read", "clipboard-write"] if clipboard else []
                page = self.open_page(path, script=script, permissions=permissions)
                for _ in range(12):
                    page.keyboard.press("Tab")
                    if page.evaluate("document.activeElement.id") == "copy":
                        break
                page.keyboard.press("Enter")
                self.until(page, "document.getElementById('copied').textContent")
                self.assertEqual(page.locator("#copied").inner_text(), "Copied.")
                if clipboard:
                    self.assertEqual(page.evaluate("navigator.clipboard.readText()"), command)
                else:
                    self.assertEqual(page.evaluate("String(getSelection())"), command)
                self.assertEqual(page.evaluate("violations"), [])

    def test_without_a_script_it_says_so(self):
        page = self.open(self.request(), settled=False, java_script_enabled=False)
        self.assertIn("JavaScript is off", page.inner_text("body"))


if __name__ == "__main__":
    unittest.main()
