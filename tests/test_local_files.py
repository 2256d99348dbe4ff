"""Local files, `--image FILE` and `--audio FILE`: looked at, named by URL, told in numbers."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import unittest
from functools import partial
from pathlib import Path

from support import (
    AUDIO_URL,
    EXT_BBOX,
    FACE_BBOX,
    IMAGE_URL,
    POSIX,
    REQUEST,
    SCRIPT,
    SCRIPTS,
    arguments,
    emo,
    without_root,
)
from support.links import WITH_A_SECRET
from support.local_case import (
    GB,
    HEIC,
    IN_ASCII,
    M4A,
    MIB,
    PASSED,
    PORTRAIT,
    LocalCase,
    bytes_read,
    local,
    path_behind,
    sha256,
    sound_of,
    text,
    write,
    write_sound,
)
from support.media import (
    FRAME,
    SECOND,
    SHORTCUTS,
    app1,
    bmp,
    chunk,
    exif,
    id3,
    jpeg,
    png,
    vp8,
    vp8x,
    webp,
)
from support.service import PORTRAIT as PICTURE
from support.service import SPEECH, fixture, policy
from support.service_case import FILE
from support.upload_case import DETECT, UploadCase, digest_of

from aliyun_emo import local_files, subjects


class Output(LocalCase):
    QUICK_START = (
        '{"ok": true, "request_path": "output/aliyun-emo/request.json", "model": "emo-v1",'
        ' "ratio": "1:1", "video_size": "512x512", "style_level": "active",'
        ' "face_bbox": [302, 286, 610, 593], "ext_bbox": [71, 9, 840, 778], "warnings": []}\n'
    )

    @unittest.skipUnless(POSIX, "its path is written with slashes")
    def test_the_line_of_the_quick_start_stays_to_the_letter(self):
        result = self.run_script(*arguments())
        self.assertEqual((result.code, result.stderr), (0, ""))
        self.assertEqual(result.stdout, self.QUICK_START)
        request = Path("output/aliyun-emo/request.json").read_bytes()
        self.assertEqual(request, json.dumps(REQUEST, indent=2).encode() + b"\n")

    def test_prepare_prints_and_writes_this(self):
        result = self.run_script(*local())
        self.assertEqual((result.code, result.stderr), (0, ""), result)
        path = os.path.join("output", "aliyun-emo", "request.json")
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("request_path", path),
                ("model", "emo-v1"),
                ("ratio", "1:1"),
                ("video_size", "512x512"),
                ("style_level", "active"),
                ("face_bbox", FACE_BBOX),
                ("ext_bbox", EXT_BBOX),
                ("image", {"format": "png", "width": 900, "height": 800}),
                ("audio", {"format": "wav", "seconds": 12.4, "bytes": 198_444}),
                ("estimate", {"seconds": 12.4, "cny": 0.99, "prices_of": "2026-05-30"}),
                ("warnings", []),
            ],
        )
        self.assertEqual(list(result.line["image"]), ["format", "width", "height"])
        self.assertEqual(list(result.line["audio"]), ["format", "seconds", "bytes"])
        self.assertEqual(list(result.line["estimate"]), ["seconds", "cny", "prices_of"])
        folder = self.folder.as_uri()
        request = {
            "model": "emo-v1",
            "input": {
                "image_url": f"{folder}/portrait.png",
                "audio_url": f"{folder}/speech.wav",
                "face_bbox": FACE_BBOX,
                "ext_bbox": EXT_BBOX,
            },
            "files": {
                "image_url": sha256(PORTRAIT),
                "audio_url": sha256(Path("speech.wav").read_bytes()),
            },
            "parameters": {"style_level": "active"},
        }
        self.assertEqual(Path(path).read_bytes(), json.dumps(request, indent=2).encode() + b"\n")
        self.assertEqual(self.call("prepare", *local()).stdout, result.stdout)

    def test_detect_prints_and_writes_this(self):
        result = self.run_script("detect", "--image", "portrait.png", "--ratio", "3:4")
        self.assertEqual((result.code, result.stderr), (0, ""), result)
        path = os.path.join("output", "aliyun-emo", "detect_request.json")
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("request_path", path),
                ("model", "emo-v1-detect"),
                ("ratio", "3:4"),
                ("video_size", "512x704"),
                ("image", {"format": "png", "width": 900, "height": 800}),
                ("warnings", []),
            ],
        )
        request = {
            "model": "emo-v1-detect",
            "input": {"image_url": f"{self.folder.as_uri()}/portrait.png"},
            "files": {"image_url": sha256(PORTRAIT)},
            "parameters": {"ratio": "3:4"},
        }
        self.assertEqual(Path(path).read_bytes(), json.dumps(request, indent=2).encode() + b"\n")

    def test_facts_and_digests_are_of_the_local_files_only(self):
        for changes, facts, digests in (
            ({}, ["image", "audio", "estimate"], ["image_url", "audio_url"]),
            ({"audio": None, "audio_url": AUDIO_URL}, ["image"], ["image_url"]),
            ({"image": None, "image_url": IMAGE_URL}, ["audio", "estimate"], ["audio_url"]),
            ({"image": None, "image_url": IMAGE_URL, "audio": None, "audio_url": AUDIO_URL},
             [], None),
        ):  # fmt: skip
            with self.subTest(changes):
                line = self.take(self.prepare(**changes)).line
                self.assertEqual(list(line)[9:-1], facts)
                request = line["request"]
                if digests is None:
                    self.assertEqual(request, REQUEST)
                    continue
                self.assertEqual(list(request), ["model", "input", "files", "parameters"])
                self.assertEqual(list(request["files"]), digests)
                for field in ("image_url", "audio_url"):
                    is_file = request["input"][field].startswith("file:///")
                    self.assertEqual(is_file, field in digests)

    def test_every_format_is_told_by_its_content(self):
        tables = (b"EXIF", exif(1))
        for name, data, fact in (
            ("a.png", png(width=900, height=800), ("png", 900, 800)),
            ("a.jpg", jpeg(width=901, height=802), ("jpeg", 901, 802)),
            ("a.bmp", bmp(900, -800), ("bmp", 900, 800)),
            ("a.webp", webp(vp8(900, 800)), ("webp", 900, 800)),
            ("b.webp", webp(vp8x(900, 800), vp8(900, 800), tables), ("webp", 900, 800)),
        ):
            with self.subTest(name):
                write(name, data)
                for result in (self.prepare(image=name), self.detect(name)):
                    fact_told = tuple(self.take(result).line["image"].values())
                    self.assertEqual(fact_told, fact)
                    self.assertEqual(
                        result.line["request"]["files"]["image_url"], sha256(data), result
                    )
        for name, data, seconds in (
            ("a.wav", sound_of(32_000) + bytes(32_000), 2),
            ("a.mp3", FRAME * round(5 * SECOND), 5),
        ):
            with self.subTest(name):
                write(name, data)
                line = self.take(self.prepare(audio=name)).line
                self.assertEqual(line["audio"]["format"], name[2:])
                self.assertEqual(line["audio"]["bytes"], len(data))
                self.assertAlmostEqual(line["audio"]["seconds"], seconds, delta=0.1)
                self.assertEqual(line["estimate"]["seconds"], line["audio"]["seconds"])
                self.assertEqual(line["request"]["files"]["audio_url"], sha256(data))

    def test_the_estimate_is_the_list_price_of_the_ratio(self):
        tall = {"face_bbox": "10,10,200,200", "ext_bbox": "0,0,300,400"}
        for seconds, square, high in (
            (1, 0.08, 0.16),
            (12.4, 0.99, 1.98),
            (13.93, 1.11, 2.23),
            (59, 4.72, 9.44),
        ):
            with self.subTest(seconds):
                write_sound("a.wav", seconds)
                for boxes, cny in (({}, square), (tall, high)):
                    line = self.take(self.prepare(audio="a.wav", **boxes)).line
                    estimate = {"seconds": seconds, "cny": cny, "prices_of": "2026-05-30"}
                    self.assertEqual(line["estimate"], estimate)

    def test_a_dry_run_shows_the_request_and_writes_nothing(self):
        for words in (local(), ["detect", "--image", "portrait.png"]):
            with self.subTest(words[0]):
                before = self.files()
                shown = self.call(*words, "--dry-run").line
                self.assertEqual(self.files(), before)
                self.assertIsNone(shown["request_path"])
                told = self.call(*words, "--output", "written.txt").line
                self.assertEqual(shown["request"], json.loads(Path("written.txt").read_bytes()))
                for line in (shown, told):
                    line.pop("request_path")
                    line.pop("request", None)
                self.assertEqual(shown, told)
                os.remove("written.txt")

    def test_the_files_stay_as_they_are(self):
        before = {name: (Path(name).read_bytes(), os.stat(name)) for name in self.files()}
        self.assertEqual(self.call(*local()).code, 0)
        for name, (data, status) in before.items():
            self.assertEqual(Path(name).read_bytes(), data)
            self.assertEqual(os.stat(name).st_mtime_ns, status.st_mtime_ns)
        self.assertEqual(len(self.files()), len(before) + 1)

    def test_the_request_is_not_written_onto_what_was_given(self):
        os.mkdir("sub")
        for name in ("portrait.png", "speech.wav"):
            before = Path(name).read_bytes()
            for output in (name, f"sub/../{name}", str(self.folder / name)):
                with self.subTest(output):
                    result = self.call(*local(output=output))
                    self.assertEqual(Path(name).read_bytes(), before)
                    self.refuse(result, "output")
                    if name == "portrait.png":
                        self.refuse(
                            self.call("detect", "--image", name, "--output", output), "output"
                        )
                write(name, before)

    def test_help_names_the_options_of_its_command(self):
        self.assert_words(["--image FILE", "--audio FILE"], self.call("--help").stdout)
        self.assertIn("--image FILE", self.call("detect", "--help").stdout)
        self.assertNotIn("--audio", self.call("detect", "--help").stdout)
        self.refuse(self.detect("portrait.png", "--audio", "speech.wav"), "arguments")


class Urls(LocalCase):
    NAMES = (
        *("a.png", "portrait", "my portrait.png", "a b  c.png", "a\u00a0b.png".encode()),
        *("a+b.png", "+", "100%.png", "%", "a%20b.png", "a%2Fb.png", "a%2bb.png", "%2e%2e.png"),
        *("a#b.png", "a?b.png", "a?x=1&y=2.png", "a&b.png", "a;b.png", "a;type=i.png", "a=b.png"),
        *("a@b.png", "me:pw@host.png", "a,b.png", "a:b.png", "file:", "file:a.png", "http:a.png"),
        *("C:a.png", "C:\\a.png", "a\\b.png", "a|b.png", "a^b.png", "a<b>.png", "<a.png>"),
        *("it's.png", "'a.png'", '"a.png"', '"', "a`id`.png", "$(id).png", "$HOME.png", "!a.png"),
        *("*.png", "a*", "[a].png", "[0]", "{a,b}.png", "~", "~.png", "~root", "(a).png"),
        *("-", "-a.png", "-h", "-1", "--image", "--image=a.png", "--dry-run"),
        *(".png", "..png", "...", "a.png.", "a\nb.png", "a\rb.png", "a\tb.png", "a\x7fb"),
        *("a\x1b[2Jb.png", "a\x01b.png", "null", "None", "nul.png", "con", "x" * 255),
        *("\u00fc.png", "u\u0308.png", "照片 é.png", "\U0001f600.png", "a\u202egnp.exe"),
        *("＋.png", "﹖.png", "\ufeff.png", "a\u200bb", "照" * 85),
        *(b"\xff\xfe.png", b"\xfcber.png", b"a\xe2\x80.png", b"+\xff%+.png"),
    )

    @unittest.skipUnless(POSIX, "names that Windows does not have")
    def test_whatever_a_file_is_called_the_url_leads_to_it(self):
        os.mkdir("in")
        for number, name in enumerate(map(text, self.NAMES)):
            with self.subTest(name):
                path, data = os.path.join("in", name), png(width=900, height=800 + number)
                if name.startswith(".."):
                    path = os.path.join("in", ".", name)
                try:
                    write(path, data)
                except OSError:
                    continue  # a file system that has names in UTF-8 only, or none so long
                for given in (name, os.path.join("..", path), str(self.folder / path)):
                    os.chdir("in")
                    result = self.detect(given)
                    os.chdir("..")
                    self.assertEqual(result.code, 0, result)
                    request = result.line["request"]
                    self.assert_leads_to(request["input"]["image_url"], path)
                    self.assertEqual(request["files"]["image_url"], sha256(data))
                os.remove(path)

    @unittest.skipUnless(POSIX, "names that Windows does not have")
    def test_a_name_with_white_space_at_its_ends_is_that_of_another_file(self):
        for name in (" a.png", "a.png ", "a.png\n", "\ta.png", text("a.png\u3000")):
            with self.subTest(repr(name)):
                write("a.png", png(width=800, height=800))
                data = png(width=900, height=900)
                write(name, data)
                result = self.detect(name)
                self.assertEqual(result.code, 0, result)
                self.assert_leads_to(result.line["request"]["input"]["image_url"], name)
                self.assertEqual(result.line["request"]["files"]["image_url"], sha256(data))
                os.remove(name)

    @unittest.skipUnless(POSIX, "names that Windows does not have")
    def test_a_letter_and_a_colon_in_front_are_a_drive_and_no_scheme(self):
        os.makedirs("C:")
        write("C:/a.png", PORTRAIT)
        for given in ("C:/a.png", "C://a.png"):
            with self.subTest(given):
                url = self.take(self.detect(given)).line["request"]["input"]["image_url"]
                self.assert_leads_to(url, given)

    def test_an_option_may_have_a_value_that_begins_with_a_minus(self):
        for name in ("-a.png", "-1.png"):
            with self.subTest(name):
                write(name, PORTRAIT)
                result = self.call("detect", "--image", name, "--dry-run")
                self.assert_leads_to(self.take(result).line["request"]["input"]["image_url"], name)

    def test_every_way_to_the_file_gives_one_url_from_any_folder(self):
        os.makedirs("sub/deep")
        whole = str(self.folder / "portrait.png")
        for folder, paths in (
            (".", ["portrait.png", "./portrait.png", "sub/../portrait.png", ".//portrait.png"]),
            ("sub", ["../portrait.png", "../sub/../portrait.png", "deep/../../portrait.png"]),
            (self.folder.anchor, [whole, whole[len(self.folder.anchor) :]]),
            ("sub", [whole, f"{self.folder}/sub/../portrait.png", f"{self.folder}//portrait.png"]),
            *([("sub", [f"/{whole}", f"//{whole}"])] if POSIX else ()),
        ):  # fmt: skip
            for path in paths:
                with self.subTest(path, folder=folder):
                    os.chdir(self.folder / folder)
                    result = self.detect(path, "--output", str(self.folder / "request"))
                    os.chdir(self.folder)
                    request = self.take(result).line["request"]
                    url = request["input"]["image_url"]
                    self.assertEqual(url, f"{self.folder.as_uri()}/portrait.png")

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_links_are_followed_as_the_system_does(self):
        os.makedirs("other/dir")
        os.makedirs("x/y")
        write("other/a.png", png(width=900, height=900))
        write("a.png", png(width=800, height=800))
        os.symlink("other/dir", "link")
        os.symlink("portrait.png", "face.png")
        os.symlink(str(self.folder / "other/a.png"), "x/y/far.png")
        os.symlink("x", "chain")
        for path, target in (
            ("link/../a.png", "other/a.png"),
            ("./link/.././a.png", "other/a.png"),
            (str(self.folder / "link/../a.png"), "other/a.png"),
            ("link/../../a.png", "a.png"),
            ("face.png", "portrait.png"),
            ("chain/y/far.png", "other/a.png"),
            ("chain/../face.png", "portrait.png"),
        ):
            with self.subTest(path):
                request = self.take(self.detect(path)).line["request"]
                url = request["input"]["image_url"]
                self.assert_leads_to(url, target)
                # Whoever tidies the URL up before use comes to the same file.
                tidy = os.path.normpath(os.fsdecode(path_behind(url)))
                self.assertTrue(os.path.samefile(tidy, target), url)
                self.assertEqual(request["files"]["image_url"], sha256(Path(target).read_bytes()))

    @unittest.skipUnless(os.path.exists("/dev/stdin"), "needs /dev/stdin")
    def test_what_only_this_process_can_open_gets_no_url_that_leads_nowhere(self):
        for path in ("/dev/stdin", "/proc/self/fd/0"):
            if not os.path.exists(path):
                continue
            with self.subTest(path), open("portrait.png", "rb") as stdin:
                words = ("detect", "--image", path, "--dry-run")
                result = self.run_script(*words, stdin=stdin)
                if result.code:
                    self.refuse(result, "image")
                else:
                    url = result.line["request"]["input"]["image_url"]
                    self.assertTrue(os.path.exists(path_behind(url)), url)
                    self.assert_leads_to(url, "portrait.png")

    def test_a_deep_path_is_no_trouble(self):
        folder = self.folder.joinpath(*["d" * 200] * (4 if POSIX else 0))
        folder.mkdir(parents=True, exist_ok=True)
        path = write(folder / "a b.png", PORTRAIT)
        url = self.take(self.detect(path)).line["request"]["input"]["image_url"]
        self.assert_leads_to(url, path)

    @unittest.skipUnless(POSIX, "locales of POSIX")
    def test_the_locale_does_not_matter(self):
        for name in (text("ü 照片.png"), text(b"a+\xff.png")):
            try:
                write(name, PORTRAIT)
            except OSError:
                continue
            with self.subTest(name):
                lines = {
                    self.run_script("detect", "--image", name, "--dry-run", **environment).stdout
                    for environment in ({}, IN_ASCII, {"PYTHONUTF8": "1"})
                }
                self.assertEqual(len(lines), 1, lines)
                url = json.loads(lines.pop())["request"]["input"]["image_url"]
                self.assert_leads_to(url, name)

    def test_file_url_and_local_path_are_each_others_reverse(self):
        for name in ("a.png", "a b+c%20.png", text("ü?#;@.png"), "~"):
            with self.subTest(name):
                path = str(self.folder / name)
                url = local_files.file_url(path)
                self.assertEqual(local_files.local_path(url), path)
                self.assertNotIn("+", url)
        self.assertEqual(
            local_files.local_path("file:///home/ann/a+b%2Bc.png"), "/home/ann/a+b+c.png"
        )


class Pasted(LocalCase):
    """What people, programs and language models write where a path should stand."""

    LINKS = (
        *("https://example.com/portrait.png", "http://example.com/a.png", "HTTPS://example.com/a"),
        "https://example.com/a.png?Expires=1&Signature=s3cret",
    )
    NO_PATHS = (
        *("file:///home/ann/portrait.png", "FILE:///C:/a.png", "file://portrait.png"),
        *("oss://bucket/portrait.png", "s3://bucket/portrait.png", "ftp://example.com/a.png"),
        *("file:/home/ann/portrait.png", "file:portrait.png", "https:/example.com/a.png"),
        *("example.com/portrait.png", "//example.com/portrait.png", "www.example.com"),
        *("'portrait.png'", '"portrait.png"', "`portrait.png`", "\\portrait.png"),
        *("~/portrait.png", "~ann/portrait.png", "$HOME/portrait.png", "${HOME}/portrait.png"),
        *("%USERPROFILE%\\portrait.png", "C:\\Users\\ann\\portrait.png", "/c/Users/ann/a.png"),
        *("*.png", "portrait.*", "portrait", "port", "{portrait,face}.png", "portrait.pn[g]"),
        *("portrait.png portrait.png", "portrait.png,speech.wav", "portrait.png speech.wav"),
        *("portrait.png?x=1", "portrait.png#face", "portrait.png;type=image/png", "portrait.png/"),
        *("<portrait.png>", "@portrait.png", "[portrait](portrait.png)", "!portrait.png", "[FILE]"),
        *("data:image/png;base64,iVBORw0KGgo=", "iVBORw0KGgoAAAANSUhEUgAA", '{"path": "a.png"}'),
        *("-", "null", "None", "undefined", "FILE", "path/to/portrait.png", "0", "1"),
        *("a\0b", "portrait.png\0", "portrait.png\nspeech.wav", "\x1b[2Jportrait.png", "a\u202eb"),
        *("x" * 300, "x/" * 5000, "x" * 100_000, "\x1b]0;owned\x07" * 5000, "ü" * 1000),
    )

    def test_a_link_under_image_or_audio_is_told_where_to_go(self):
        for field in ("image", "audio"):
            for link in self.LINKS:
                with self.subTest(f"{field} {link}"):
                    said = self.refuse(self.prepare(**{field: link}), field)
                    self.assertIn(f"--{field}-url", said)
                    self.assertNotIn("s3cret", said)
        self.assertIn("--image-url", self.refuse(self.detect(self.LINKS[0]), "image"))

    def test_what_is_no_path_of_a_file_is_refused_and_shown(self):
        for field in ("image", "audio"):
            for given in self.NO_PATHS:
                given = text(given)
                with self.subTest(f"{field} {given[:50]}"):
                    result = self.prepare(**{field: given})
                    said = self.refuse(result, field)
                    self.assertNotIn("Traceback", str(result))
                    start = re.split(r"[?#&@;\0-\x1f]|[^\0-~]", given)[0][:100]
                    if "\\" not in start:
                        self.assertIn(start, said)
        for given in self.NO_PATHS:
            self.refuse(self.detect(text(given)), "image")

    def test_no_value_is_told_as_such(self):
        for field in ("image", "audio"):
            for given in ("", " ", "\n"):
                with self.subTest(f"{field} {given!r}"):
                    self.assertIn(f"--{field}", self.refuse(self.prepare(**{field: given}), field))
        self.refuse(self.call("detect", "--image"), "image")
        self.refuse(self.call("--image", *local(image=None), "--image"), "image")

    def test_a_path_or_a_file_url_under_a_link_is_refused_with_the_option_for_it(self):
        for field in ("image", "audio"):
            link = f"{field}_url"
            for given in (
                *("portrait.png", "./portrait.png", str(self.folder / "portrait.png")),
                *("~/portrait.png", "C:\\Users\\ann\\portrait.png", "../speech.wav"),
                *("file:///home/ann/portrait.png", "file:portrait.png", "FILE:///C:/a.png"),
                (self.folder / "portrait.png").as_uri(),
            ):
                with self.subTest(f"{field} {given}"):
                    result = self.prepare(**{field: None, link: given})
                    self.refuse(result, link)
                    self.assertRegex(result.line["errors"][0]["hint"], f"--{field}(?!-)")
        result = self.call("detect", "--image-url", "portrait.png")
        self.refuse(result, "image_url")
        self.assertRegex(result.line["errors"][0]["hint"], "--image(?!-)")

    def test_of_a_link_and_a_file_one_is_given(self):
        for field, link in (("image", IMAGE_URL), ("audio", AUDIO_URL)):
            for changes in ({}, {field: "missing"}):
                with self.subTest(f"{field} {changes}"):
                    result = self.prepare(**{f"{field}_url": link, **changes})
                    self.assertEqual(result.code, 2, result)
                    self.assertLessEqual(set(result.fields), {field, f"{field}_url"})
                    said = "".join(e["message"] + e["hint"] for e in result.line["errors"])
                    self.assertRegex(said, f"--{field}(?!-)")
        result = self.detect("portrait.png", "--image-url", IMAGE_URL)
        self.assertEqual((result.code, len(result.fields)), (2, 1), result)

    def test_without_either_the_hint_names_both(self):
        result = self.prepare(image=None, audio=None)
        self.refuse(result, "image_url", "audio_url")
        for field, error in zip(("image", "audio"), result.line["errors"]):
            self.assert_words([f"--{field}-url", f"--{field} "], error["hint"])

    def test_swapped_files_are_told_what_they_are(self):
        said = self.refuse(self.prepare(image="speech.wav", audio="portrait.png"), "image", "audio")
        self.assert_words(["a WAV recording, not a picture", "a PNG picture, not a record"], said)
        write("a.mp3", FRAME * 100)
        self.assertIn("MP3 recording", self.refuse(self.detect("a.mp3"), "image"))

    def test_a_path_in_quotes_or_with_backslashes_is_guessed(self):
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        write("my portrait.png", PORTRAIT)
        home = os.path.join("~", "my portrait.png")
        for given, meant in (
            ("'my portrait.png'", "my portrait.png"),
            ('"my portrait.png"', "my portrait.png"),
            ("my portrait.png ", "my portrait.png"),
            ("my\\ portrait.png", "my portrait.png"),
            (home, os.path.join(str(self.folder), "my portrait.png")),
            (f"'{home}'", os.path.join(str(self.folder), "my portrait.png")),
            ("$HOME/my portrait.png", f"{self.folder}/my portrait.png"),
            ('"${HOME}/my portrait.png"', f"{self.folder}/my portrait.png"),
            ("$env:USERPROFILE/my portrait.png", f"{self.folder}/my portrait.png"),
            ("%USERPROFILE%/my portrait.png", f"{self.folder}/my portrait.png"),
            ("%USERPROFILE%\\my portrait.png", f"{self.folder}/my portrait.png"),
            ("$env:USERPROFILE\\my portrait.png", f"{self.folder}/my portrait.png"),
            ("~\\my portrait.png", f"{self.folder}/my portrait.png"),
            (".\\my portrait.png", "./my portrait.png"),
            ("my%20portrait.png", "my portrait.png"),
            ("\u202amy portrait.png", "my portrait.png"),
            ("\ufeffmy portrait.png", "my portrait.png"),
            *(
                (around.format("my portrait.png"), "my portrait.png")
                for around in ("{},", "{}。", "({})", "<{}>", "[me]({})", "{}\u200b", "（{}）。")
            ),
            (f"FILE://{self.folder}/my portrait.png", f"{self.folder}/my portrait.png"),
            (f"file://{self.folder}/my%20portrait.png", f"{self.folder}/my portrait.png"),
            (f"file://localhost{self.folder}/my portrait.png", f"{self.folder}/my portrait.png"),
        ):
            with self.subTest(given):
                result = self.call("detect", "--image", given)
                self.refuse(result, "image")
                hint = result.line["errors"][0]["hint"]
                meant = (meant, meant.replace("/", os.sep))
                self.assertIn(hint, [f"Did you mean '{path}'?" for path in meant])
        for given in ("~/x.png", "$HOME/x.png", "%USERPROFILE%\\x.png", "$NOBODY/a", "%NOBODY%/a"):
            with self.subTest(given):
                self.assertNotIn("mean", self.refuse(self.detect(given), "image"))

    def test_no_message_shows_a_query_or_a_password(self):
        for link in (*WITH_A_SECRET, '"https://example.com/a?Signature=s3cret"'):
            for field in ("image", "audio"):
                with self.subTest(f"{field} {link}"):
                    result = self.prepare(**{field: link})
                    self.refuse(result, field)
                    self.assertNotIn("s3cret", str(result))

    @unittest.skipUnless(POSIX, "names that Windows does not have")
    def test_the_name_of_a_file_that_is_there_is_shown_whole(self):
        for name in ("photo #1.png", "who? me.png", "a&b=c.png", "me@home.png"):
            with self.subTest(name):
                write(name, b"<html>")
                self.assertIn(f"'{name}'", self.refuse(self.detect(name), "image"))


class Extensions(LocalCase):
    def test_an_extension_of_another_format_is_a_warning(self):
        picture = jpeg(width=900, height=800)
        mp3 = FRAME * 100
        speech = Path("speech.wav").read_bytes()
        for field, name, data, warned in (
            ("image", "a.jpg", picture, False),
            ("image", "a.jpeg", picture, False),
            ("image", "a.JPG", picture, False),
            ("image", "a.JpEg", picture, False),
            ("image", "a.PNG", PORTRAIT, False),
            ("image", "a", picture, False),
            ("image", ".png", picture, False),  # a hidden file without an extension
            ("image", "a.", picture, False),
            ("image", "a.2024", picture, False),
            ("image", "a.final", PORTRAIT, False),
            ("image", "jpg", PORTRAIT, False),
            ("image", "a.jpg.png", PORTRAIT, False),
            ("image", "jpg.d/portrait", PORTRAIT, False),
            ("image", "a.jpg/portrait", PORTRAIT, False),
            ("image", "b.png", picture, True),
            ("image", "b.PNG", picture, True),
            ("image", "b.jpg", PORTRAIT, True),
            ("image", "b.jpeg", PORTRAIT, True),
            ("image", "b.webp", PORTRAIT, True),
            ("image", "b.bmp", PORTRAIT, True),
            ("image", "b.gif", PORTRAIT, True),
            ("image", "b.heic", picture, True),
            ("image", "b.mp3", picture, True),
            ("image", "b.pdf", picture, True),
            ("image", "b.png.jpg", PORTRAIT, True),
            ("audio", "a.mp3", mp3, False),
            ("audio", "a.MP3", mp3, False),
            ("audio", "a.Wav", speech, False),
            ("audio", "a", mp3, False),
            ("audio", "a.take2", speech, False),
            ("audio", "b.wav", mp3, True),
            ("audio", "b.mp3", speech, True),
            ("audio", "b.M4A", mp3, True),
            ("audio", "b.ogg", speech, True),
            ("audio", "b.mp4", mp3, True),
        ):
            with self.subTest(f"{field} {name}"):
                path = self.folder / "names" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, data)
                result = self.prepare(**{field: str(path)})
                self.take(result, *([field] if warned else []))
                if warned:
                    message = result.line["warnings"][0]["message"].lower()
                    found = result.line[field]["format"]
                    self.assert_words([path.suffix[1:].lower(), found], message)
                os.remove(path)
                if path.parent.name != "names":
                    path.parent.rmdir()


class Detected(LocalCase):
    """With `--detection` the picture is the one that was detected, by its content."""

    def record(self, given="portrait.png", **changes):
        """Write what `run` keeps of a detection of `given`, a path or a link."""
        option = "--image-url" if "://" in given else "--image"
        request = self.call("detect", option, given, "--dry-run").line["request"]
        sent = {
            "model": "emo-detect-v1",
            "input": {"image_url": "oss://dashscope-instant/4f2a/0c1d2e3f4a5b-portrait.png"},
            "parameters": {"ratio": "1:1"},
        }
        record = {"saved_at": "2026-01-01T00:00:00Z", "request": request, "sent": sent}
        record = {**record, "response": PASSED, **changes}
        write("detection.json", json.dumps(record, indent=2).encode())
        return record

    def with_detection(self, **changes):
        boxes = {"face_bbox": None, "ext_bbox": None, "detection": "detection.json"}
        return self.prepare(**{**boxes, **changes})

    def test_the_same_content_is_the_same_picture_wherever_it_lies(self):
        self.record()
        os.mkdir("elsewhere")
        shutil.copy("portrait.png", "elsewhere/another name.png")
        shutil.copy("portrait.png", "copy")
        os.utime("portrait.png", (1, 1))
        for path in ("portrait.png", "elsewhere/another name.png", "copy"):
            with self.subTest(path):
                line = self.take(self.with_detection(image=path)).line
                self.assertEqual((line["face_bbox"], line["ext_bbox"]), (FACE_BBOX, EXT_BBOX))
        os.remove("portrait.png")
        self.take(self.with_detection(image="copy"))

    def test_what_was_changed_or_saved_anew_is_caught(self):
        self.record()
        for name, data in (
            ("saved anew", png(chunk(b"tEXt", b"Software\0x"), width=900, height=800)),
            ("as another format", jpeg(width=900, height=800)),
            ("another size", png(width=1800, height=1600)),
            ("one byte more", PORTRAIT + b"\0"),
        ):
            for path in ("portrait.png", "other"):
                with self.subTest(f"{name} {path}"):
                    write(path, data)
                    write("portrait.png" if path == "other" else "other", PORTRAIT)
                    said = self.refuse(self.with_detection(image=path), "detection")
                    self.assertRegex(said, "[Dd]etect again")
                    self.assertRegex(said, "changed|saved anew")

    def test_a_file_and_a_link_cannot_be_compared(self):
        with_link = {"image": None, "image_url": IMAGE_URL}
        for then, now in (("portrait.png", with_link), (IMAGE_URL, {})):
            with self.subTest(then):
                self.record(then)
                said = self.refuse(self.with_detection(**now), "detection")
                self.assertRegex(said, "[Dd]etect again")
                self.assert_words(["file", "link"], said)

    def test_a_link_then_and_now_is_compared_as_ever(self):
        self.record(IMAGE_URL)
        link = {"image": None, "image_url": IMAGE_URL}
        self.take(self.with_detection(**link))
        link["image_url"] = f"{IMAGE_URL}?OSSAccessKeyId=a&Expires=99999999999&Signature=b"
        self.take(self.with_detection(**link), "detection")  # signed anew: is it the same?
        link["image_url"] = "https://example.com/another.png"
        self.refuse(self.with_detection(**link), "detection")

    def test_a_bare_answer_has_no_picture_to_compare(self):
        for answer in (PASSED, PASSED["output"]):
            with self.subTest(list(answer)):
                write("detection.json", json.dumps(answer).encode())
                self.take(self.with_detection())
                write("small.png", png(width=500, height=500))
                said = self.refuse(self.with_detection(image="small.png"), "image")
                self.assertIn("500x500", said)

    def test_a_record_that_is_out_of_shape_is_refused(self):
        request = self.record()["request"]
        url = request["input"]["image_url"]
        for name, changed in (
            ("no files", {"files": None}),
            ("no digest", {"files": {}}),
            ("digest of nothing", {"files": {"image_url": ""}}),
            ("digest null", {"files": {"image_url": None}}),
            ("digest a number", {"files": {"image_url": 5}}),
            ("digest a list", {"files": {"image_url": [sha256(PORTRAIT)]}}),
            ("files a list", {"files": [sha256(PORTRAIT)]}),
            ("files a text", {"files": sha256(PORTRAIT)}),
            ("digest of another", {"files": {"audio_url": sha256(PORTRAIT)}}),
        ):
            with self.subTest(name):
                self.record(request={**request, **changed})
                said = self.refuse(self.with_detection(), "detection")
                self.assertNotIn("it is of a link", said)  # it is of a file
                link = {"image": None, "image_url": IMAGE_URL}
                self.refuse(self.with_detection(**link), "detection")
        for name, given in (("no input", None), ("no url", {}), ("a number", {"image_url": 7})):
            with self.subTest(name):
                self.record(request={**request, "input": given})
                self.refuse(self.with_detection(), "detection")
        self.record(sent={"input": {"image_url": url}})
        self.take(self.with_detection())

    def test_a_portrait_that_did_not_pass_and_another_picture_are_told_together(self):
        failed = fixture("detection-fail")
        self.record(response=failed)
        write("other.png", png(width=900, height=801))
        self.refuse(self.with_detection(image="other.png"), "detection", "detection")

    def test_the_way_from_detect_to_prepare(self):
        self.assertEqual(self.call("detect", "--image", "portrait.png").code, 0)
        request = json.loads(Path("output/aliyun-emo/detect_request.json").read_bytes())
        self.record(request=request)
        line = self.take(self.with_detection()).line
        self.assertEqual(line["request"]["input"]["image_url"], request["input"]["image_url"])
        self.assertEqual(line["request"]["files"]["image_url"], request["files"]["image_url"])


class AsPrepared(UploadCase):
    """A file that is not what was prepared: nothing leaves this machine."""

    def refuses(self, field, *words, run=None):
        """Assert that the run is refused for `field` with `words`, and that nothing left."""
        service = self.serve()
        start = time.monotonic()
        result = self.ends((run or self.go)(), 2, field)
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual((service.seen, service.looks), ([], []))
        (error,) = result.line["errors"]
        for word in words:
            self.assertIn(word, f"{error['message']} {error['hint']}".lower())
        self.paid_nothing(service, result)

    def files_as_prepared(self):
        """Yield each file with its field, after both are what they were."""
        for field, name in (("image_url", "image"), ("audio_url", "audio")):
            self.image.write_bytes(PICTURE)
            self.audio.write_bytes(SPEECH)
            yield field, getattr(self, name)

    def test_another_content_is_refused(self):
        for name, image, audio in (
            ("another", PICTURE[:-1] + b"x", SPEECH + SPEECH),
            ("another format", b"GIF89a\1\0\1\0\0\0\0", b"\0\0\0\x20ftypM4A \0\0\2\0"),
            ("a web page", b"<!DOCTYPE html><html></html>", b"<!DOCTYPE html><html></html>"),
            ("cut short", PICTURE[:100], SPEECH[:100]),
            ("0 bytes", b"", b""),
        ):
            for field, path in self.files_as_prepared():
                path.write_bytes(image if field == "image_url" else audio)
                with self.subTest(name, field=field):
                    self.refuses(field, "changed since", "prepare")
                if field == "image_url":
                    with self.subTest(name, detection=True):
                        run = partial(self.call_run, DETECT)
                        self.refuses(field, "changed since", "detect", run=run)

    def test_3_gb_of_nothing_are_refused(self):
        for field, path in self.files_as_prepared():
            os.truncate(path, 3 * 1024 * MIB)
            with self.subTest(field):
                self.refuses(field, "changed since", "prepare")

    def test_what_is_no_file_is_refused_and_does_not_hang(self):
        for name, make in (
            ("nothing", lambda path: None),
            ("a folder", os.mkdir),
            ("a FIFO", getattr(os, "mkfifo", os.mkdir)),
        ):
            for field, path in self.files_as_prepared():
                path.unlink()
                make(path)
                with self.subTest(name, field=field):
                    self.refuses(field, path.name, "prepare")
                if path.is_dir():
                    path.rmdir()
                path.unlink(missing_ok=True)

    @unittest.skipUnless(POSIX and (os.geteuid() or hasattr(os, "setresuid")), "permissions")
    def test_what_must_not_be_read_is_refused(self):
        def run_as_nobody():
            self.audio.chmod(0)
            with without_root():
                result = self.go()
            self.audio.chmod(0o600)
            return result

        for path in (self.folder, self.folder / "output", self.folder / "output/aliyun-emo"):
            path.chmod(0o777)
        self.image.parent.chmod(0o755)
        self.refuses("audio_url", self.audio.name, "denied", "prepare", run=run_as_nobody)

    def test_all_that_is_wrong_is_told_at_once(self):
        self.image.unlink()
        self.audio.write_bytes(SPEECH * 2)
        del os.environ["DASHSCOPE_API_KEY"]
        service = self.serve()
        result = self.ends(self.go(), 2)
        self.assertEqual(sorted(result.fields), ["api_key", "audio_url", "image_url"])
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_boxes_that_were_edited_must_lie_in_the_picture(self):
        request = json.loads(Path(FILE).read_text("utf-8"))
        request["input"]["ext_bbox"] = [300, 280, 1100, 1080]
        self.write("request.json", request)
        self.refuses("image_url", "1000x1000", "1100,1080")

    def test_what_goes_up_is_what_was_prepared_whatever_becomes_of_the_file_meanwhile(self):
        for name, content in (("another", PICTURE[:-1] + b"x"), ("shorter", b""), ("gone", None)):
            with self.subTest(name):
                self.clear()

                def meanwhile(handler, content=content):
                    for path in (self.image, self.audio):
                        path.unlink(missing_ok=True)
                        if content is not None:
                            path.write_bytes(content)
                    policy(handler)

                service = self.serve(uploads=[meanwhile])
                result = self.go()
                prepared = {digest_of(PICTURE), digest_of(SPEECH)}
                self.assertLessEqual(set(self.digests_in(service)), prepared)
                if service.of("POST", "video-synthesis"):
                    self.ends_with_video(result)
                    self.assertEqual(self.digests_in(service), sorted(prepared))
                else:
                    self.assertIn("changed since", str(self.ends(result, 2)))
                    self.paid_nothing(service, result)
                self.image.write_bytes(PICTURE)
                self.audio.write_bytes(SPEECH)

    def test_files_that_moved_with_their_folder_are_found_by_name_and_content(self):
        before = Path(FILE).read_bytes()
        os.mkdir("elsewhere")
        for name, place, moved in (
            ("the working folder", os.curdir, "portrait.png"),
            ("beside the request", os.path.dirname(FILE), "portrait.png"),
            ("both, one of other content", os.curdir, "portrait.png"),
        ):
            with self.subTest(name):
                self.clear()
                self.image.write_bytes(PICTURE)
                self.image.rename(os.path.join(place, moved))
                if name.startswith("both"):
                    Path(os.path.dirname(FILE), moved).write_bytes(PORTRAIT)
                service = self.serve()
                result = self.go()
                self.ends_with_video(result)
                (warning,) = [w for w in result.line["warnings"] if w["field"] == "image_url"]
                path = os.path.realpath(os.path.join(place, moved))
                path = path if place != os.curdir else moved
                self.assertIn(f"it is at '{path}' now", warning["message"])
                self.assertEqual(
                    self.digests_in(service), sorted(map(digest_of, (PICTURE, SPEECH)))
                )
                record = json.loads(next(Path("output").rglob("task.json")).read_bytes())
                self.assertEqual(record["request"], json.loads(before))
                self.assertEqual(Path(FILE).read_bytes(), before)
                report = emo.Report()
                subject = subjects.subject_of(FILE, report)
                self.assertEqual([w.field for w in report.warnings], ["image_url"])
                there = path_behind(subject.given["image_url"])
                self.assertTrue(os.path.samefile(there, path), there)
                self.assertEqual(subject.request, json.loads(before))
                detected = self.ends(self.call_run(DETECT), 0)
                self.assertEqual([w["field"] for w in detected.line["warnings"]], ["image_url"])
                os.remove(os.path.join(place, moved))
                Path(os.path.dirname(FILE), moved).unlink(missing_ok=True)

    def test_what_only_looks_like_the_file_that_moved_is_not_used(self):
        for name, moved, content in (
            ("another content", "portrait.png", PICTURE[:-1] + b"x"),
            ("another name", "me.png", PICTURE),
            ("another folder", "elsewhere/portrait.png", PICTURE),
            ("nothing", "portrait.png", None),
        ):
            for _ in self.files_as_prepared():
                pass
            self.image.unlink()
            os.makedirs("elsewhere", exist_ok=True)
            if content is None:
                os.mkdir(moved)
            else:
                Path(moved).write_bytes(content)
            with self.subTest(name):
                self.refuses("image_url", "cannot be read", str(self.image), "prepare")
            shutil.rmtree(moved) if content is None else os.remove(moved)

    def test_a_file_that_is_there_but_changed_is_not_replaced_by_another_one(self):
        Path("portrait.png").write_bytes(PICTURE)
        self.image.write_bytes(PICTURE[:-1] + b"x")
        self.refuses("image_url", "changed since")

    def test_another_attempt_needs_the_files(self):
        service = self.serve()
        self.ends_with_video(self.go())
        self.image.unlink()
        self.ends(self.go("--attempt", "2"), 2, "image_url")
        self.saw(service, policies=2, uploads=2, generations=1)
        self.assertEqual(len(self.folders()), 1)

    def test_a_request_replaces_no_detection_that_was_given(self):
        self.serve()
        kept = self.ends(self.call_run(DETECT), 0).line["detection_path"]
        before = Path(kept).read_bytes()
        boxes = dict.fromkeys(("face_bbox", "ext_bbox", "image_url", "audio_url"))
        files = {"image": str(self.image), "audio": str(self.audio)}
        words = arguments(**boxes, **files, detection=kept, output=kept)
        self.ends(self.call(*words), 2, "output")
        self.assertEqual(Path(kept).read_bytes(), before)


class Together(LocalCase):
    """Everything that is wrong is told at once."""

    def assert_fields(self, result, *fields):
        self.assertEqual(result.code, 2, result)
        self.assertEqual(sorted(result.fields), sorted(fields), result)
        self.assertNotIn("Traceback", str(result))

    def test_files_and_all_else(self):
        write("small.png", png(width=399, height=300))
        write_sound("long.wav", 75)
        result = self.prepare(
            *("--seed", "7"), image="small.png", audio="long.wav", style_level="loud", model="a b"
        )
        # The picture is too small, and the boxes lie outside of it.
        self.assert_fields(result, "arguments", "image", "image", "audio", "style_level", "model")
        self.assert_fields(
            self.prepare(image="missing.png", audio="portrait.png", face_bbox="1,2,3", output=""),
            *("image", "audio", "face_bbox", "output"),
        )
        self.assert_fields(
            self.prepare(image="missing.png", audio=None, audio_url="oss://bucket/a.mp3"),
            *("image", "audio_url"),
        )
        self.assert_fields(self.detect("small.png", "--ratio", "2:1"), "image", "ratio")
        write("answer.json", json.dumps(PASSED).encode())
        swapped = {"image": "answer.json", "detection": "portrait.png"}
        result = self.prepare(face_bbox=None, ext_bbox=None, **swapped)
        self.assert_fields(result, "detection", "image")

    def test_a_picture_that_is_too_small_and_too_large(self):
        write("a.jpg", jpeg(width=100, height=100), 2 * GB)
        self.assert_fields(self.prepare(image="a.jpg"), "image", "image", "image")

    def test_a_box_outside_the_picture_though_something_is_wrong_with_the_boxes(self):
        for face, ext, wrong in (
            ("1,2,3", "71,9,971,909", "face_bbox"),
            (None, "71,9,971,909", "face_bbox"),
            ("302,286,610,993", "71,9", "ext_bbox"),
            ("302,286,610,593", "71,9,971,709", "ext_bbox"),  # 9:7
        ):
            with self.subTest(f"{face} {ext}"):
                self.assert_fields(self.prepare(face_bbox=face, ext_bbox=ext), wrong, "image")

    def test_warnings_of_both_files_stand_beside_each_other(self):
        write("a.png", jpeg(app1(exif(3)), width=900, height=800))
        write_sound("a.mp3", 0.5)
        result = self.prepare(image="a.png", audio="a.mp3")
        self.assertEqual(result.code, 0, result)
        fields = [warning["field"] for warning in result.line["warnings"]]
        self.assertEqual(sorted(fields), ["audio", "audio", "image", "image"])


class Faults(LocalCase):
    def test_a_folder_an_empty_file_and_a_shortcut_are_told_in_these_words(self):
        os.mkdir("album.png")
        write("empty.png", b"")
        for number, data in enumerate(SHORTCUTS):
            write(f"{number}.png", data)
        for path, words in (
            ("album.png", "it is a folder"),
            (f"album.png{os.sep}", "it is a folder"),
            (".", "it is a folder"),
            ("empty.png", "it is empty"),
            *((f"{n}.png", "it is a shortcut to the file, not the") for n in range(len(SHORTCUTS))),
        ):
            for field in ("image", "audio"):
                with self.subTest(f"{field} {path}"):
                    said = self.refuse(self.prepare(**{field: path}), field)
                    self.assert_words([words, path], said)

    def test_what_is_no_file_is_refused_for_both(self):
        os.mkdir("folder")
        paths = ["vanished.png", "folder", "folder/", ".", "..", "vanished/a.png", "portrait.png/a"]
        if POSIX:
            os.symlink("nowhere", "dangling")
            os.symlink("loop", "loop")
            server = socket.socket(socket.AF_UNIX)
            self.addCleanup(server.close)
            server.bind("socket")
            paths += ["/", "dangling", "loop", "socket", "/dev/null", "/dev/zero"]
        for path in paths:
            for field in ("image", "audio"):
                with self.subTest(f"{field} {path}"):
                    said = self.refuse(self.prepare(**{field: path}), field)
                    self.assertIn(f"'{path}'", said)
            self.refuse(self.detect(path), "image")

    @unittest.skipUnless(POSIX, "needs named pipes")
    def test_a_pipe_does_not_hang(self):
        os.mkfifo("fifo")
        words = local(image="fifo", audio="fifo")
        self.refuse(self.run_script(*words), "image", "audio")  # without a writer
        silent = os.open("fifo", os.O_RDWR)
        self.addCleanup(os.close, silent)
        self.refuse(self.run_script(*words), "image", "audio")
        os.write(silent, PORTRAIT)
        self.refuse(self.run_script("detect", "--image", "fifo"), "image")

    @unittest.skipUnless(
        POSIX and (os.geteuid() or hasattr(os, "setresuid")), "permissions of POSIX"
    )
    def test_what_may_not_be_read_is_told_so(self):
        os.mkdir("closed")
        write("closed/a.png", PORTRAIT)
        write("secret.png", PORTRAIT)
        os.chmod("secret.png", 0)
        os.chmod("closed", 0)
        os.chmod(self.folder, 0o755)
        try:
            for path in ("secret.png", "closed/a.png"):
                for field in ("image", "audio"):
                    with self.subTest(f"{field} {path}"):
                        with without_root():
                            result = self.prepare(**{field: path})
                        self.assertIn("Permission denied", self.refuse(result, field))
        finally:
            os.chmod("closed", 0o755)

    def test_a_file_of_3_gb_is_told_at_once_and_not_read_whole(self):
        tag = id3(300)
        for field, head, words in (
            ("image", b"", ["zeros"]),
            ("image", jpeg(width=900, height=800), ["3,000,000,000"]),
            ("image", bmp(900, 800), ["3,000,000,000"]),
            ("image", webp(vp8(900, 800)), ["3,000,000,000"]),
            ("image", HEIC, ["a HEIC picture"]),
            ("audio", b"", ["zeros"]),
            ("audio", sound_of(3 * GB - 44), ["3,000,000,000"]),
            ("audio", sound_of(0), ["3,000,000,000"]),
            ("audio", sound_of(0xFFFFFFFF - 36), ["3,000,000,000"]),
            ("audio", FRAME * 5000, ["3,000,000,000"]),
            ("audio", tag + FRAME * 5000, ["3,000,000,000"]),
            ("audio", M4A, ["an M4A recording"]),
            ("audio", HEIC, ["a HEIC picture"]),
        ):
            with self.subTest(f"{field} {head[:12]}"):
                write("huge", head, 3 * GB)
                read, start = bytes_read(), time.monotonic()
                result = self.prepare(**{field: "huge"})
                took = time.monotonic() - start
                self.assertEqual((result.code, set(result.fields)), (2, {field}), result)
                self.assert_words(words, str(result.line["errors"]))
                self.assertLess(took, 5)
                if read is not None:
                    self.assertLess(bytes_read() - read, 65 * MIB)


class Alone(LocalCase):
    def test_copied_alone_it_does_all_for_links_and_says_what_is_missing_for_files(self):
        (self.folder / "alone").mkdir()
        copy = shutil.copy(SCRIPT, self.folder / "alone")
        for python in ([], ["-I", "-S"]):
            with self.subTest(python):
                for words in (arguments(), ["detect", "--image-url", IMAGE_URL]):
                    result = self.run_script(*words, "--dry-run", script=copy, python=python)
                    self.assertEqual((result.code, result.stderr), (0, ""), result)
                for words in (
                    ["detect", "--image", "portrait.png"],
                    local(audio=None, audio_url=AUDIO_URL),
                ):
                    result = self.run_script(*words, script=copy, python=python)
                    self.assertIn("aliyun_emo", self.refuse(result, "image"))
        result = self.run_script(*local(style_level="loud"), script=copy)
        self.assertIn("style_level", result.fields)
        self.assertLessEqual({"image"}, set(result.fields))
        self.assertNotIn("Traceback", str(result))

    def test_copied_alone_it_refuses_the_same_in_plainer_words_that_show_no_more(self):
        (self.folder / "alone").mkdir()
        copy = shutil.copy(SCRIPT, self.folder / "alone")
        signed = "https\uff1a//example.com/p.png?Signature=s3cret"
        for words, fields in (
            (arguments(image_url=signed), ["image_url"]),
            (arguments(image_url="https://\u4f8b\u5b50.com/p.png"), ["image_url"]),
            ([*arguments(), "--key=s3cret", "-ks3cret", "s3cret"], ["arguments"]),
            (["s3cret"], ["arguments"]),
        ):
            with self.subTest(words[:2]):
                beside = self.run_script(*words)
                result = self.run_script(*words, script=copy)
                self.assertEqual((beside.code, beside.fields[:1]), (2, fields))
                self.refuse(result, *fields)
                self.assertNotIn("s3cret", str(result).replace("'s3cret' is not a command", ""))
        self.assertIn("usage: ", str(self.run_script("--help", script=copy)))

    def test_started_with_i_it_names_what_to_leave_out(self):
        result = self.run_script("detect", "--image", "portrait.png", python=["-I"])
        self.assert_words(["aliyun_emo", "-I"], self.refuse(result, "image"))
        self.assertEqual(self.run_script(*arguments(), python=["-I"]).code, 0)

    def test_it_works_from_any_folder_and_through_a_link_to_the_program(self):
        (self.folder / "sub").mkdir()
        os.chdir("sub")
        whole = str(self.folder / "portrait.png")
        self.assertEqual(self.run_script("detect", "--image", whole).code, 0)
        if POSIX:
            os.symlink(SCRIPT, "prepare")
            result = self.run_script("detect", "--image", whole, script="prepare")
            self.assertEqual(result.code, 0, result)


class Offline(LocalCase):
    CODE = (
        "import os, sys\n"
        "__file__, _before = sys.argv.pop(1), set(sys.modules)\n"
        "sys.path.insert(0, os.path.dirname(__file__))\n"
        "def _tell(): print(*sorted(set(sys.modules) - _before), file=sys.__stderr__)\n"
        "def _watch(event, _):\n"
        "    if event.startswith(('socket.', 'subprocess.', 'os.exec', 'os.system', 'urllib.')):\n"
        "        print('audit', event, file=sys.__stderr__)\n"
        "sys.addaudithook(_watch)\n"
        "os._exit = lambda _: _tell()\n"
        "_source = open(__file__, encoding='utf-8').read()\n"
        "exec(compile(_source, __file__, 'exec'), globals())  # which is __main__ to it\n"
    )

    def imported(self, *words):
        """Return the exit's line, and the modules that a process with these `words` imports."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", self.CODE, str(SCRIPT), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertNotIn("audit", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        return json.loads(done.stdout), set(done.stderr.splitlines()[-1].split())

    @unittest.skipIf(sys.implementation.name == "pypy", "PyPy's own hashlib imports socket")
    def test_no_socket_is_opened_nor_the_module_of_them_imported(self):
        write("hello.m4a", M4A)
        for words, is_taken in (
            (local(), True),
            (["detect", "--image", "portrait.png"], True),
            (local(audio="hello.m4a", image="missing.png"), False),
        ):
            with self.subTest(words):
                line, modules = self.imported(*words, "--dry-run")
                self.assertIs(line["ok"], is_taken, line)
                self.assertIn("aliyun_emo.local_files", modules)
                network = {"socket", "_socket", "ssl", "http.client", "urllib.request", "asyncio"}
                self.assertEqual(modules & network, set())

    def test_links_alone_import_nothing_that_only_files_need(self):
        for words in (arguments(), ["detect", "--image-url", IMAGE_URL]):
            with self.subTest(words[0]):
                line, modules = self.imported(*words, "--dry-run")
                self.assertIs(line["ok"], True)
                extra = {"aliyun_emo", "hashlib", "_hashlib", "pathlib", "shlex", "struct"}
                self.assertEqual(modules & extra, set())

    def test_the_rooms_of_media_import_none_of_the_others(self):
        media = {"kinds", "mpeg", "pictures", "recordings"}
        for room in sorted(media):
            with self.subTest(room):
                source = (SCRIPTS / "aliyun_emo" / f"{room}.py").read_text("utf-8")
                self.assertNotRegex(source, r"(?m)^\s*(import|from) \w+_emo_request")
                imported = re.findall(r"(?m)^\s*(?:from|import) aliyun_emo\.?(\w*)", source)
                self.assertLessEqual(set(imported), media)


if __name__ == "__main__":
    unittest.main()
