"""What is taken of pictures and recordings: the rules, their words, the commands that convert."""

import json
import os
import re
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from support import POSIX
from support.local_case import (
    GB,
    HEIC,
    M4A,
    MIB,
    PORTRAIT,
    SMALL_BOXES,
    TOOL,
    LocalCase,
    local,
    sound_of,
    text,
    write,
    write_sound,
)
from support.media import (
    FRAME,
    OTHER_PICTURES,
    OTHER_RECORDINGS,
    OTHERS,
    PICTURES,
    RECORDINGS,
    SECOND,
    VIDEOS,
    app1,
    chunk,
    exif,
    fmt,
    jpeg,
    png,
    segment,
    vp8,
    vp8x,
    wav,
    webp,
)
from support.service import mp3 as speech

import prepare_emo_request as emo
from aliyun_emo import media
from aliyun_emo.recordings import Recording


class Pictures(LocalCase):
    def test_sides_are_400_to_7000_pixels(self):
        for size, is_taken in (
            ((400, 400), True),
            ((7000, 7000), True),
            ((400, 7000), True),
            ((7000, 400), True),
            ((399, 400), False),
            ((400, 399), False),
            ((399, 7000), False),
            ((7001, 7000), False),
            ((7000, 7001), False),
            ((7001, 400), False),
            ((399, 7001), False),
            ((320, 320), False),
            ((65_535, 500), False),
        ):
            with self.subTest(size):
                write("a.png", png(width=size[0], height=size[1]))
                for result in (self.prepare(image="a.png", **SMALL_BOXES), self.detect("a.png")):
                    if is_taken:
                        self.assertEqual(self.take(result).line["image"]["width"], size[0])
                    else:
                        said = self.refuse(result, "image")
                        self.assert_words([f"{size[0]}x{size[1]}", "400", "7000"], said)

    def test_a_picture_has_at_most_100_mb(self):
        head = jpeg(width=900, height=800)
        for size, is_taken in ((100_000_000, True), (100_000_001, False), (3 * GB, False)):
            with self.subTest(size):
                write("a.jpg", head, size)
                result = self.detect("a.jpg")
                if is_taken:
                    self.take(result)
                else:
                    self.assert_words([f"{size:,}", "100,000,000"], self.refuse(result, "image"))

    def test_a_large_picture_with_a_long_head_is_told_to_be_large(self):
        profile = segment(0xE2, bytes(65_000))
        write("a.jpg", jpeg(*[profile] * 40, width=900, height=800), 100_000_001)  # 2.6 MB first
        said = self.refuse(self.detect("a.jpg"), "image")
        self.assert_words(["100,000,001", "100,000,000"], said)

    def test_both_boxes_lie_inside(self):
        for (width, height), face, ext, is_taken in (
            ((900, 800), "302,286,610,593", "71,9,840,778", True),
            ((840, 778), "302,286,610,593", "71,9,840,778", True),  # at the edge
            ((839, 778), "302,286,610,593", "71,9,840,778", False),
            ((840, 777), "302,286,610,593", "71,9,840,778", False),
            ((420, 400), "302,286,610,593", "71,9,840,778", False),
            ((500, 500), "10,10,500,500", "0,0,500,500", True),
            ((500, 500), "10,10,501,500", "0,0,500,500", False),  # the face alone
            ((500, 500), "10,10,500,501", "0,0,500,500", False),
            ((7000, 7000), "10,10,500,500", "0,0,7000,7000", True),
        ):
            with self.subTest(f"{width}x{height} {face} {ext}"):
                write("a.png", png(width=width, height=height))
                result = self.prepare(image="a.png", face_bbox=face, ext_bbox=ext)
                answer = {
                    name: [int(number) for number in box.split(",")]
                    for name, box in (("face_bbox", face), ("ext_bbox", ext))
                }
                write(
                    "answer.json", json.dumps({"output": {"check_pass": True, **answer}}).encode()
                )
                from_answer = self.prepare(
                    image="a.png", face_bbox=None, ext_bbox=None, detection="answer.json"
                )
                if is_taken:
                    self.take(result)
                    self.take(from_answer)
                else:
                    for said in (self.refuse(result, "image"), self.refuse(from_answer, "image")):
                        self.assert_words([f"{width}x{height}"], said)
                        self.assertRegex(said, "[Dd]etect")

    STORED, TURNED = "300,0,900,600", "0,300,600,900"
    BOTH, NEITHER = "0,0,600,600", "300,300,900,900"
    FACE = "400,400,500,500"

    def test_a_turned_picture_is_warned_of_or_refused_where_only_its_turned_size_fits(self):
        for orientation in range(1, 9):
            write("a.jpg", jpeg(app1(exif(orientation)), width=900, height=600))
            warned = ["image"] if orientation != 1 else []
            said = self.take(self.detect("a.jpg"), *warned)
            if warned:
                self.assert_words(["upright", "turned", "boxes"], str(said.line["warnings"]))
            for box in (self.STORED, self.BOTH, self.TURNED, self.NEITHER):
                with self.subTest(orientation=orientation, box=box):
                    result = self.prepare(image="a.jpg", face_bbox=self.FACE, ext_bbox=box)
                    if box in (self.STORED, self.BOTH):
                        line = self.take(result, *warned).line
                        told = {"format": "jpeg", "width": 900, "height": 600}
                        self.assertEqual(line["image"], told)
                        if warned:
                            self.assert_words(["upright", "turned"], str(line["warnings"]))
                            self.assertIn("warning: --image: ", result.stderr)
                    elif box == self.TURNED and orientation >= 5:
                        words = ["upright", "turned", "600x900"]
                        self.assert_words(words, self.refuse(result, "image"))
                    else:
                        said = self.refuse(result, "image")
                        self.assertIn("900x600", said)
                        self.assertNotIn("upright", said)

    def test_orientation_counts_in_every_format_that_has_it(self):
        for name, data in (
            ("a.png", png(chunk(b"eXIf", exif(6)), width=900, height=600)),
            ("a.webp", webp(vp8x(900, 600), vp8(900, 600), (b"EXIF", exif(8, ">")))),
        ):
            with self.subTest(name):
                write(name, data)
                boxes = {"image": name, "face_bbox": self.FACE}
                self.take(self.prepare(ext_bbox=self.BOTH, **boxes), "image")
                self.refuse(self.prepare(ext_bbox=self.TURNED, **boxes), "image")

    def test_no_orientation_or_a_broken_one_is_no_warning(self):
        for value in (0, 1, 9):
            with self.subTest(value):
                write("a.jpg", jpeg(app1(exif(value)), width=900, height=800))
                self.take(self.prepare(image="a.jpg"))


class Recordings(LocalCase):
    def test_size(self):
        for size, outcome in (
            (14_999_999, "taken"),
            (15_000_000, "warned"),
            (15_000_001, "warned"),
            (15 * MIB, "warned"),
            (15 * MIB + 1, "refused"),
            (20_000_000, "refused"),
        ):
            with self.subTest(size):
                result = self.prepare(audio=write_sound("a.wav", size=size))
                self.judge(result, outcome, [f"{size:,}", "15 M"])
                if outcome != "refused":
                    self.assertEqual(result.line["audio"]["bytes"], size)

    def test_length(self):
        for seconds, outcome in (
            (0.01, "warned"),
            (0.5, "warned"),
            (0.99, "warned"),
            (1, "taken"),
            (59.8, "taken"),
            (59.89, "taken"),
            (59.9, "warned"),
            (60, "warned"),
            (60.1, "warned"),
            (60.11, "refused"),
            (75.3, "refused"),
            (3600, "refused"),
        ):
            with self.subTest(seconds):
                result = self.prepare(audio=write_sound("a.wav", seconds))
                limit = ["60 s"] if seconds > 1 else []
                self.judge(result, outcome, [f"{seconds:.2f}", *limit])
                if outcome != "refused":
                    self.assertEqual(result.line["audio"]["seconds"], seconds)

    def judge(self, result, outcome, words):
        if outcome == "refused":
            for error in result.line["errors"]:
                self.assertEqual(error["field"], "audio")
            said = "\n".join(error["message"] for error in result.line["errors"])
            self.assertEqual(result.code, 2, result)
        else:
            warned = ["audio"] if outcome == "warned" else []
            warnings = self.take(result, *warned).line["warnings"]
            said = "".join(warning["message"] for warning in warnings)
        if outcome != "taken":
            self.assert_words(words, said)

    def test_too_long_and_too_large_are_told_together(self):
        write("a.wav", sound_of(16 * MIB, rate=8000), 44 + 16 * MIB)
        said = self.refuse(self.prepare(audio="a.wav"), "audio", "audio")
        self.assert_words(["16,777,260", "1048.58"], said)
        length = 15_000_000 - 44
        write("b.wav", sound_of(length, rate=125_000), 15_000_000)  # 59.9998 s
        self.take(self.prepare(audio="b.wav"), "audio", "audio")

    def test_a_large_recording_whose_sound_stands_far_behind_is_told_to_be_large(self):
        tag = b"ID3\4\0\0\1\0\0\0"  # 2 MiB: a cover, say
        for name, head in (
            ("mp3", tag + bytes(2 * MIB) + FRAME * 100),
            ("wav", wav(fmt(), (b"LIST", bytes(2 * MIB)), (b"data", bytes(32_000)))),
            ("far.mp3", b"ID3\4\0\0\x08\x40\0\0" + bytes(17 * MIB) + FRAME * 100),
        ):
            with self.subTest(name):
                write(f"a.{name}", head, 20_000_000)
                result = self.prepare(audio=f"a.{name}")
                self.assertEqual((result.code, set(result.fields)), (2, {"audio"}), result)
                self.assertIn("20,000,000", str(result.line["errors"]))

    def test_an_mp3_is_held_to_the_same(self):
        for count, outcome in ((59, "taken"), (60, "warned"), (61, "refused")):
            with self.subTest(count):
                write("a.mp3", FRAME * round(count * SECOND))
                self.judge(self.prepare(audio="a.mp3"), outcome, ["60 s"])


SAME = "-define png:exclude-chunks=date,time"


class NotTaken(LocalCase):
    def setUp(self):
        super().setUp()
        self.stubs = self.folder / "stubs"
        self.stubs.mkdir()
        for tool in ("ffmpeg", "magick", "convert"):
            path = self.stubs / tool
            path.write_text('#!/bin/sh\nprintf \'%s\\0\' "${0##*/}" "$@" > "$ARGV"\n')
            path.chmod(0o755)
        os.environ["PATH"] = f"{self.stubs}{os.pathsep}{os.environ.get('PATH', '')}"

    def test_a_hint_names_a_program_that_is_here_or_what_to_install(self):
        for here, picture, voice in (
            ("ffmpeg magick", f"magick 'a b.gif[0]' {SAME} 'a b.png'", "ffmpeg -i x.m4a x.mp3"),
            ("ffmpeg convert", f"convert 'a b.gif[0]' {SAME} 'a b.png'", "ffmpeg -i x.m4a x.mp3"),
            (
                "sips",
                "sips -s format png 'a b.gif' --out 'a b.png'",
                "install ffmpeg, then: ffmpeg -i x.m4a x.mp3",
            ),
            (
                "ffmpeg",
                "ffmpeg -i 'a b.gif' -frames:v 1 -update 1 'a b.png'",
                "ffmpeg -i x.m4a x.mp3",
            ),
            (
                "",
                f"install ImageMagick, then: convert 'a b.gif[0]' {SAME} 'a b.png'",
                "install ffmpeg, then: ffmpeg -i x.m4a x.mp3",
            ),
        ):
            found = mock.patch("shutil.which", lambda name, here=here: name in here.split())
            with self.subTest(here), found:
                self.assertIn(picture, media.conversion("a b.gif", "picture"))
                self.assertIn(voice, media.conversion("x.m4a", "recording"))
        only = mock.patch("shutil.which", lambda name: name == "ffmpeg")
        for fault in ("it is a HEIC picture, not JPEG", "it is an SVG picture", "camera raw"):
            with self.subTest(fault), only:  # of which ffmpeg reads nothing, or a part
                self.assertIn("then: convert", media.conversion("a.heic", "picture", fault))
        with mock.patch.object(media.os, "name", "nt"):
            is_convert = mock.patch("shutil.which", lambda name: name == "convert")
            with is_convert, mock.patch.object(media, "for_the_shell", " ".join):
                self.assertNotIn("convert", media.conversion("a.gif", "picture"))

    def test_what_is_too_long_has_the_command_that_cuts_it(self):
        write("my speech.mp3", speech(75))
        result = self.prepare(audio="my speech.mp3")
        hint = result.line["errors"][0]["hint"]
        cut = ["ffmpeg", "-i", "my speech.mp3", "-t", "59", "my speech-59s.mp3"]
        self.assertEqual(self.arguments_of(hint.partition(": ")[2]), cut)
        with mock.patch("shutil.which", lambda name: None):
            hint = self.prepare(audio="my speech.mp3").line["errors"][0]["hint"]
        self.assertIn("Cut it: install ffmpeg, then: ffmpeg -i", hint)

    def test_what_lies_where_nothing_can_be_written_is_converted_into_the_working_folder(self):
        write("my.png", b"")
        access = {(".", os.W_OK): True, ("kept", os.R_OK): True, (os.getcwd(), os.R_OK): True}
        with mock.patch.object(media.os, "access", lambda *asked: access.get(asked, False)):
            for path in (os.path.join("kept", "my.heic"), os.path.abspath("my.heic")):
                target = os.path.join(os.curdir, "my-2.png")  # or a name like -x or a:b is none
                self.assertEqual(media.command_paths(path, "", "png"), (path, target))
            self.assertEqual(media.command_paths("my.heic", "", "png")[1], "my-2.png")
        path = os.path.abspath("my.heic")
        self.assertEqual(media.command_paths(path, "-3", "png")[1], f"{path[:-5]}-3.png")

    def test_what_is_too_large_as_well_is_cut_into_a_smaller_format(self):
        for size, target in ((14_000_000, "x-59s.wav"), (40_000_000, "x-59s.mp3")):
            report = emo.Report()
            media.check_medium("audio_url", Recording("wav", 70.0), size, [], report, "x.wav")
            self.assertTrue(report.errors[-1].hint.endswith(f" {target}"), report.errors[-1].hint)
            if size > 15_000_000:
                self.assertRegex(
                    report.errors[0].hint, r"^Save it as mp3: .*ffmpeg -i x.wav x.mp3$"
                )

    def test_what_it_is_cut_into_is_named_as_a_recording_that_is_taken(self):
        for name, target in (
            ("y.m4a", "y-59s.mp3"),
            ("x.mp3.1", "x.mp3-59s.mp3"),
            ("x.dat", "x-59s.mp3"),
            ("x.MP3", "x-59s.mp3"),
            ("x", "x-59s.mp3"),
        ):
            with self.subTest(name):
                write(name, speech(75))
                hint = self.prepare(audio=name).line["errors"][0]["hint"]
                self.assertTrue(hint.endswith(f" {target}"), hint)

    def test_a_voice_message_has_no_command_that_cannot_read_it(self):
        write("voice.amr", b"\x02#!SILK_V3" + bytes(99))
        hint = self.prepare(audio="voice.amr").line["errors"][0]["hint"]
        self.assertIn("silk-v3-decoder", hint)

    def test_files_that_were_exchanged_are_asked_about(self):
        write("speech.mp3", speech(5))
        for error in self.prepare(image="speech.mp3", audio="portrait.png").line["errors"]:
            self.assertTrue(error["hint"].startswith("Are the two swapped? "), error)

    def command_of(self, result):
        found = TOOL.search(result.line["errors"][0]["hint"])
        return found[0] if found else None

    def arguments_of(self, command):
        """Return what a `command`, pasted into a shell, starts: the program and its arguments."""
        record = self.stubs / "argv"
        record.unlink(missing_ok=True)
        path = f"{self.stubs}{os.pathsep}/usr/bin{os.pathsep}/bin"
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env={**os.environ, "PATH": path, "ARGV": str(record)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        return [os.fsdecode(word) for word in record.read_bytes().split(b"\0")[:-1]]

    def test_the_file_is_told_by_its_content(self):
        with_hint = {"image": OTHER_PICTURES, "audio": (*OTHER_RECORDINGS, *VIDEOS)}
        for field, kinds in with_hint.items():
            for name, data in kinds:
                with self.subTest(f"{field}: {name}"):
                    write("file", data)
                    result = self.prepare(**{field: "file"})
                    self.assertIn(name, self.refuse(result, field))
                    self.assertIn("'file'", result.line["errors"][0]["message"])
                    self.assertIsNotNone(self.command_of(result), result)
        sorts = {"image": RECORDINGS, "audio": PICTURES}
        for field, others in sorts.items():
            for name, data in (*OTHERS, *others.items()):
                with self.subTest(f"{field}: {name}"):
                    write("file", data)
                    result = self.prepare(**{field: "file"})
                    self.refuse(result, field)
                    self.assertIsNone(self.command_of(result), result)

    def test_a_store_s_error_and_a_cut_file_are_told_in_words(self):
        error = b"<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>"
        for field, data, words in (
            ("image", error, "AccessDenied: Request has expired."),
            ("audio", error, "AccessDenied: Request has expired."),
            ("image", b"<!DOCTYPE html><title>Log in</title>", "a web page"),
            ("image", b"", "empty"),
            ("audio", b"", "empty"),
            ("image", PORTRAIT[:50], "cut short"),
            ("audio", sound_of(32_000) + bytes(9000), "cut short"),
        ):
            with self.subTest(f"{field}: {words}"):
                write("file", data)
                self.assertIn(words, self.refuse(self.prepare(**{field: "file"}), field))

    def test_what_may_be_raw_pcm_has_the_command_that_gives_it_a_header(self):
        sound = bytes(range(256)) * 400
        for name, data in (("x.wav", sound), ("x.PCM", sound), ("x.pcm", bytes(3000) + sound)):
            with self.subTest(name):
                write(name, data)
                command = self.command_of(self.prepare(audio=name))
                target = "x-2.wav" if name == "x.wav" else "x.wav"
                self.assertEqual(command, f"ffmpeg -f s16le -ar 24000 -ac 1 -i {name} {target}")
                os.remove(name)
        for field, name in (("audio", "x.doc"), ("audio", "x.mp3"), ("image", "x.raw")):
            with self.subTest(name):
                write(name, sound)
                self.assertIsNone(self.command_of(self.prepare(**{field: name})))

    def test_the_command_is_to_the_letter(self):
        write("hello.m4a", M4A)
        result = self.prepare(audio="hello.m4a")
        self.assertEqual(self.command_of(result), "ffmpeg -i hello.m4a hello.mp3")
        self.assertTrue(result.stderr.rstrip().endswith("ffmpeg -i hello.m4a hello.mp3"), result)

    def test_of_heic_it_says_before_the_command_what_ubuntu_leaves_out(self):
        ubuntu = "Convert it (on Ubuntu it takes libheif-plugin-libde265): "
        for field, extension, data, is_told in (
            ("image", ".heic", HEIC, True),
            ("image", ".gif", b"GIF89a" + bytes(99), False),
            ("audio", ".m4a", M4A, False),
        ):
            with self.subTest(extension):
                write(f"hello{extension}", data)
                result = self.prepare(**{field: f"hello{extension}"})
                self.assertEqual(ubuntu in result.stderr, is_told)
                self.assertIn(f"hello{extension}", self.command_of(result))

    NAMES = (
        *("hello", "my voice", "a  b", "it's", 'a"b', "a'b\"c", "a\\b", "\\", "a$HOME", "$(id)"),
        *("`touch pwned`", "$(touch pwned)", "a;touch pwned", "a&touch pwned&", "a|touch pwned"),
        *("a&&touch pwned", "a>pwned", "a<pwned", "(a)", "{a,b}", "*", "?", "[a]", "~", "~root"),
        *("!!", "#a", "a#b", "a=b", "%d", "a%03d", "-a", "--help", "-i", "-", "@a", "a,b", "^a"),
        *("a:b", "10:30", "2024-05-01T10:30:00", "concat:a", "http:a", "file:a", "png:a", "C:a"),
        *("照片", "ü é", "x" * 251, "a.b.c", "..a", "a."),
    )

    @unittest.skipUnless(POSIX, "needs sh")
    def test_pasted_into_a_shell_it_converts_this_file_and_writes_onto_none(self):
        os.mkdir("in put")
        for field, extension, data in (("audio", ".m4a", M4A), ("image", ".heic", HEIC)):
            for name in filter(str.isprintable, map(text, self.NAMES)):
                if len(os.fsencode(name)) > 250 and field == "image":
                    continue
                paths = [name + extension]
                if name in ("hello", "my voice", "it's"):
                    paths += [f"in put/{name}{extension}", f"{self.folder}/{name}{extension}"]
                for path in paths:
                    with self.subTest(path):
                        write(path, data)
                        self.paste(field, path)
                        os.remove(path)

    def paste(self, field, path):
        """Assert that the command in the hint makes a new file of `path`."""
        result = self.call(*local(**{field: None}), f"--{field}={path}", "--dry-run")
        self.refuse(result, field)
        command = self.command_of(result)
        before = {name: Path(name).read_bytes() for name in self.files() if "stubs" not in name}
        tool, *words = self.arguments_of(command)
        if tool == "ffmpeg":
            self.assertEqual(words[0], "-i", command)
            words = words[1:]
        if SAME in command:  # each time the same bytes, so the same request
            del words[1:3]
        self.assertEqual(len(words), 2, command)
        source, target = words
        if tool != "ffmpeg" and not os.path.lexists(source):
            source = re.sub(r"\[0\]$", "", source)  # of several pictures the first
        self.assertTrue(os.path.samefile(source, path), command)
        self.assertFalse(os.path.lexists(target), f"{command} writes onto what is there")
        self.assertTrue(os.path.isdir(os.path.dirname(target) or "."), command)
        extensions = (".mp3", ".wav") if field == "audio" else (".png", ".jpg", ".bmp", ".webp")
        self.assertTrue(target.endswith(extensions), command)
        for word in words:
            self.assertFalse(word.startswith("-"), f"{command}: {word!r} is taken for an option")
            # ffmpeg takes what stands before a colon for a protocol, magick for a format.
            self.assertNotIn(":", word.split("/")[0], command)
        after = {name: Path(name).read_bytes() for name in self.files() if "stubs" not in name}
        self.assertEqual(after, before)

    @unittest.skipUnless(POSIX, "needs sh")
    def test_what_is_there_already_is_not_written_onto(self):
        for field, names, data in (
            ("audio", ["voice.mp3"], M4A),  # an M4A that is named .mp3
            ("audio", ["voice.mp3", "voice-2.mp3", "voice-3.mp3"], M4A),
            ("audio", ["voice.m4a", "voice.mp3"], M4A),
            ("audio", ["voice.m4a", "voice.mp3", "voice.wav", "voice-2.mp3"], M4A),
            ("audio", ["voice"], M4A),
            ("audio", [".m4a"], M4A),
            ("audio", ["voice.MP3"], M4A),
            ("audio", ["v.oice", "v.mp3"], M4A),
            ("image", ["photo.png"], HEIC),
            ("image", ["photo.heic", "photo.png", "photo.jpg"], HEIC),
            ("image", ["photo.png", "photo-2.png"], HEIC),
        ):
            with self.subTest(names):
                for name in names:
                    write(name, data if name == names[0] else b"mine")
                self.paste(field, names[0])
                for name in names:
                    os.remove(name)
        for kind, make in (("folder", os.mkdir), ("link", lambda p: os.symlink("nowhere", p))):
            with self.subTest(kind):
                make(f"{kind}.mp3")
                write(f"{kind}.m4a", M4A)
                self.paste("audio", f"{kind}.m4a")

    @unittest.skipUnless(POSIX, "names that Windows does not have")
    def test_a_name_that_cannot_be_printed_gets_no_command_that_leads_elsewhere(self):
        for name in (
            *("a\nb.m4a", "a\n touch pwned\n.m4a", "a\x1b[2Jb.m4a", "a\rb.m4a", "a\x07.m4a"),
            *("a\u202eb.m4a", "a\u2028b.m4a", "a\u009bb.m4a", b"\xff\xfe.m4a"),
        ):
            name = text(name)
            with self.subTest(name):
                try:
                    write(name, M4A)
                except OSError:
                    continue
                result = self.prepare(audio=name)
                self.refuse(result, "audio")
                if self.command_of(result):
                    self.paste("audio", name)
                os.remove(name)


if __name__ == "__main__":
    unittest.main()
