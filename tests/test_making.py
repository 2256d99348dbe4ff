"""From a picture and a recording to the video: what is sent, shown, paid for, and when."""

import contextlib
import html
import io
import json
import os
import re
import shlex
import shutil
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, MAKE, make, preview
from support import service as scripted
from support.making_case import MakingCase
from support.service import (
    KEY,
    created,
    detected,
    fails,
    mp3,
    png,
    raw,
    status_of,
    succeeded,
    video_of,
)
from support.service_case import EVIDENCE, POSIX, utc
from support.upload_case import PRICE

from aliyun_emo import clock
from aliyun_emo.making import KEYS

LINKS = ("image_url", "audio_url")
SIGNED = "?Expires=9999999999&OSSAccessKeyId=k&Signature="


class Check(MakingCase):
    def test_a_dry_run_is_offline_and_tells_what_is_known(self):
        service = self.serve()
        result = self.make("--dry-run", terminal=True)
        line = result.line
        self.assertRegex(
            result.stderr,
            rf"price: about CNY {PRICE['cny']:.2f} .*\nall that shows offline is well; nothing was",
        )
        self.assertEqual(line["image"], {"format": "png", "width": 1000, "height": 1000})
        self.assertEqual((line["estimate"], line["would_send"]), (PRICE, True))
        self.assertEqual(line["uploads"], ["portrait.png", "speech.mp3"])
        self.assertEqual((line["ratio"], line["video_size"]), ("1:1", "512x512"))
        self.assertEqual((line["face_bbox"], line["state"], line["request_path"]), (None,) * 3)
        result = self.make("--dry-run", media=(IMAGE_URL, AUDIO_URL), terminal=True)
        line = result.line
        self.assertIn("CNY 0.08 a second", result.stderr)
        self.assertEqual((line["uploads"], line["estimate"], line["image"]), ([], None, None))
        self.assertEqual((service.seen, EVIDENCE.exists()), ([], False))

    def test_a_dry_run_ends_as_the_run_would_where_nothing_can_be_kept(self):
        self.serve()
        Path("file.txt").write_text("")
        os.environ["OUTPUT_DIR"] = "file.txt"
        for words in ((), ("--dry-run",)):
            self.make(*words, code=1, fields=["output"])

    def test_a_dry_run_warns_of_other_tasks_of_the_same_media(self):
        self.serve(tasks=[status_of("RUNNING")])
        self.make("--pay", "--no-wait")
        (warning,) = self.make("--dry-run", "--style-level", "calm").line["warnings"]
        self.assertIn("there is a task of this picture and recording", warning["message"])

    def test_a_flag_with_a_value_is_not_led_to_paying(self):
        for word in ("--pay=no", "--dry-run=false"):
            (error,) = self.make(
                word, code=2, fields=[word.partition("=")[0][2:].replace("-", "_")]
            ).line["errors"]
            self.assertIn("or leave it out", error["hint"])
        for word in ("--no-pay", "--pays"):
            (error,) = self.make(word, code=2, fields=["arguments"]).line["errors"]
            self.assertNotIn("mean --no-wait", error["hint"])
            self.assertNotIn("mean --pay", error["hint"])

    def test_no_signature_in_the_name_of_a_file_is_told(self):
        self.serve()
        for name in (
            *("p.png?Signature=s3cret", "p&Signature=s3cret.png", "p.png?X-Amz-Signature=s3cret"),
            *(
                "p.png?x-oss-signature=s3cret",
                "p.png?sv=1&sig=s3cret",
                "p.png?security-token=s3cret",
            ),
        ):
            shutil.copy("portrait.png", name)
            result = self.make("--dry-run", media=(name, "speech.mp3"))
            self.assertNotIn("s3cret", str(result))

    def test_nor_in_a_hint_about_such_a_file(self):
        self.serve()
        for content in (mp3(75), b"OggS".ljust(28, b"\0") + b"OpusHead", b"text"):
            name = "speech.mp3?Expires=9999999999&Signature=s3cret"
            Path(name).write_bytes(content)
            result = self.make("--dry-run", media=("portrait.png", name), code=2, fields=["audio"])
            self.assertNotIn("s3cret", str(result))
        Path(name).write_bytes(Path("speech.mp3").read_bytes())
        for words in (("-o", name), ("--pay", "--no-wait")):
            result = self.call_make("portrait.png", name, *words)
            self.assertNotIn("s3cret", str(result))
        Path(name).write_bytes(mp3(20))
        request = result.line["request_path"]
        self.assertNotIn("s3cret", str(self.call_run(request, "--attempt", "2")))
        name = "portrait.png?Expires=9999999999&Signature=s3cret"
        shutil.copy("portrait.png", name)
        self.ends(self.call("detect", "--image", name), 0)
        for file in ("detect_request.json", "detection.json"):
            result = self.call_run(f"output/aliyun-emo/{file}", terminal=True)
            self.assertIn("--image IMAGE_FILE --audio AUDIO_FILE", result.stderr)
            self.assertNotIn("s3cret", str(result))

    def test_the_price_is_of_the_ratio_that_is_wanted_also_where_a_file_is_missing(self):
        for media in (("portrait.png",), ("portrait.png", "none.mp3"), ("none.png", AUDIO_URL)):
            words = ("--ratio", "3:4", "--dry-run")
            self.assertIn("price: CNY 0.16 a second", self.call_make(*media, *words).stderr)

    def test_no_price_is_told_of_a_ratio_that_is_none(self):
        result = self.make("--dry-run", "--ratio", "9:16", code=2, fields=["ratio"])
        self.assertNotIn("price:", result.stderr)
        for key in ("estimate", "ratio", "video_size"):
            self.assertIsNone(result.line[key])
        self.assertEqual(result.line["audio"]["format"], "mp3")

    def test_a_run_that_loses_its_answer_says_the_command_that_the_next_one_says(self):
        self.serve(video_synthesis=[raw(500, b"")])
        words = ("--pay", "--no-look", "-o", "x.mp4")
        hints = []
        for _ in range(2):
            (error,) = self.make(*words, code=4, fields=["service"]).line["errors"]
            hints.append(error["hint"].partition("or it is FAILED or CANCELED, ")[2])
        self.assertIn(".json --output x.mp4 --no-look --attempt 2 pays for one.", hints[0])
        self.assertEqual(hints[0], hints[1])

    def test_where_a_copy_cannot_go_no_other_store_is_offered(self):
        self.serve()
        Path("videos").mkdir()
        (error,) = self.make("-o", "videos", code=1, fields=["output"]).line["errors"]
        self.assertNotIn("OUTPUT_DIR", error["hint"])

    def test_a_request_takes_no_place_of_a_video(self):
        self.serve()
        Path("hello.mp4").write_bytes(b"old")
        self.ends(self.call("detect", "--image", "portrait.png", "-o", "hello.mp4"), 2, "output")
        self.ends(self.call("detect", "--image", "portrait.png"), 0)
        file = "output/aliyun-emo/detect_request.json"
        self.ends(self.call_run(file, "-o", "hello.mp4"), 2, "output")
        self.assertEqual(Path("hello.mp4").read_bytes(), b"old")

    def test_all_that_is_wrong_is_told_at_once_and_nothing_is_sent(self):
        service = self.serve()
        Path("long.mp3").write_bytes(mp3(75))
        Path("folder").mkdir()
        old = IMAGE_URL + "?Expires=1735689600&OSSAccessKeyId=k&Signature=s3cret"
        for media, words, fields in (
            ((), (), {"image", "audio"}),
            (("portrait.png",), (), {"audio"}),
            (("portrait.png", "long.mp3"), ("--ratio", "2:1"), {"audio", "ratio"}),
            (
                ("none.png", "none.mp3"),
                ("--style-level", "loud"),
                {"image", "audio", "style_level"},
            ),
            ((old, "long.mp3"), ("--timeout", "x"), {"image_url", "audio", "timeout"}),
            (("oss://b/p.png", "speech.mp3"), (), {"image"}),
            (("http://10.0.0.1/p.png", AUDIO_URL), ("--model", "a b"), {"image_url", "model"}),
            (("https：//example.com/p.png", AUDIO_URL), (), {"image_url"}),
            (("hxxps://example.com/p.png", "https%3A%2F%2Fb.cn%2Fa.mp3"), (), set(LINKS)),
            (("https:/example.com/p.png", AUDIO_URL), (), {"image_url"}),
            (("portrait.png", "speech.mp3"), ("-o", "~/a.mp4"), {"output"}),
            (("none.png", "speech.mp3"), ("-o", "a.json"), {"image", "output"}),
            (("portrait.png", "long.mp3"), ("-o", "folder"), {"audio", "output"}),
            ((AUDIO_URL, IMAGE_URL), (), {"image_url", "audio_url"}),
            (("speech.mp3", "portrait.png"), (), {"image", "audio"}),
            (("portrait.png", "speech.mp3"), ("-o", "portrait.png"), {"output"}),
            *(
                (("portrait.png", "speech.mp3"), ("-o", name), {"output"})
                for name in ("other.mp3", "other.WAV", "new.jpg", "voice.m4a", "")
            ),
            (("portrait.png", "speech.mp3"), ("--pya",), {"arguments"}),
            (("portrait.png", "speech.mp3", "x"), (), {"arguments"}),
        ):
            for key in (KEY, ""):
                with self.subTest(media=media, words=words, key=key):
                    os.environ["DASHSCOPE_API_KEY"] = key
                    result = self.make(*words, "--pay", code=2, media=media)
                    self.assertEqual(set(result.fields) - {"api_key"}, fields, result)
                    self.assertEqual("api_key" in result.fields, not key)
                    self.assertNotIn("s3cret", str(result))
        self.assertEqual((service.seen, EVIDENCE.exists()), ([], False))

    def test_a_wrong_output_dir_hides_nothing(self):
        self.serve()
        del os.environ["DASHSCOPE_API_KEY"]
        for words in ((), ("-o", "a.mp4"), ("--dry-run",)):
            with self.subTest(words), mock.patch.dict(os.environ, OUTPUT_DIR="~/x"):
                result = self.make(*words, code=2, media=("none.png", "speech.mp3"))
                self.assertEqual(sorted(result.fields), ["api_key", "image", "output"])

    def test_no_hint_names_an_option_that_is_not_here(self):
        self.serve()
        for media in (
            (AUDIO_URL, IMAGE_URL),
            ("oss://b/p.png", "ftp://x/a.mp3"),
            ("file:///x", ""),
        ):
            with self.subTest(media):
                result = self.make(code=2, media=media)
                for error in result.line["errors"]:
                    for name in ("--image", "--audio"):
                        self.assertNotIn(name, error["message"] + error["hint"])

    def test_a_picture_that_is_too_small_is_told_of_no_boxes_that_nobody_gave(self):
        self.serve()
        Path("portrait.png").write_bytes(png(20, 16))
        (error,) = self.make("--dry-run", code=2, fields=["image"]).line["errors"]
        self.assertIn("it is 20x16", error["message"])

    def test_a_missing_key_hides_no_warning_about_the_media(self):
        self.serve()
        Path("speech.mp3").write_bytes(mp3(0.5))
        del os.environ["DASHSCOPE_API_KEY"]
        for words in ([], ["--dry-run"], ["--dry-run", "-o", "speech.mp3"]):
            with self.subTest(words):
                line = self.make(*words, code=2).line
                self.assertEqual([w["field"] for w in line["warnings"]], ["audio"])
                self.assertIsNone(line["would_send"])

    def test_a_link_without_its_beginning_is_no_file_that_is_not_there(self):
        for image in ("cdn.example.com/a.png", "//cdn.example.com/a.png", "www.example.com/a"):
            result = self.make("--dry-run", media=(image, "speech.mp3"), code=2, fields=["image"])
            self.assertIn("A link begins with https://", result.stderr)
        result = self.make("--dry-run", media=("pictures/a.png", "speech.mp3"), code=2)
        self.assertNotIn("https://", result.stderr)

    def test_a_refusal_tells_the_facts_and_the_price(self):
        self.serve()
        line = self.make("--style-level", "loud", code=2).line
        self.assertEqual((line["audio"]["seconds"], line["estimate"]), (12.38, PRICE))
        line = self.make("--style-level", "loud", "--ratio", "3:4", code=2).line
        self.assertEqual(line["estimate"]["cny"], 1.98)


class Detecting(MakingCase):
    def test_a_picture_is_detected_once_for_each_ratio(self):
        service = self.serve()
        for words, count in (((), 1), ((), 1), (("--ratio", "3:4"), 2), (("--pay",), 2)):
            with self.subTest(words):
                self.make(*words)
                self.assertEqual(len(service.of("POST", "face-detect")), count)
        names = self.kept_in("detections")
        self.assertEqual([name[12:] for name in names], ["-1x1.json", "-3x4.json"])
        self.assertEqual(names[0][:12], names[1][:12])
        Path("copy.png").write_bytes(self.image.read_bytes())
        result = self.make(media=("copy.png", "speech.mp3"))
        self.assertIn("this picture was detected on 20", result.stderr)
        self.assertEqual(len(service.of("POST", "face-detect")), 2)
        (EVIDENCE / "detections" / names[0]).unlink()
        self.assertIn("CNY 0.004", self.make().stderr)
        self.assertEqual(len(service.of("POST", "face-detect")), 3)

    def test_a_link_that_was_signed_anew_is_the_same_picture(self):
        service = self.serve()
        for signature in ("a", "b"):
            self.make(media=(IMAGE_URL + SIGNED + signature, "speech.mp3"))
        self.make(media=(IMAGE_URL + "?v=2", "speech.mp3"))
        self.assertEqual(len(service.of("POST", "face-detect")), 2)

    def test_a_no_that_is_not_about_the_picture_is_asked_again(self):
        for code in ("InvalidURL", "InternalError", "Throttling"):
            shutil.rmtree(EVIDENCE, ignore_errors=True)
            output = {"check_pass": False, "code": code, "message": "x"}
            posts = self.serve(face_detect=[scripted.says({"output": output}), detected])
            result = self.make(code=3, fields=["service"])
            self.assertIn("came to no result, and another one is billed", result.stderr)
            self.make()
            self.assertEqual(len(posts.of("POST", "face-detect")), 2)

    def test_one_that_did_not_pass_is_told_from_disk_without_a_key(self):
        service = self.serve(face_detect=[fails("detection-fail", 200)])
        first = self.make("--pay", code=3, fields=["service"])
        self.assertTrue(Path(first.line["detection_path"]).exists())
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        again = self.make("--pay", code=3, fields=["service"])
        self.assertEqual(again.line["errors"], first.line["errors"])
        self.assertIn("InvalidFile.FacePose", again.stderr)
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_an_answer_of_another_picture_or_ratio_is_not_used(self):
        service = self.serve()
        path = Path(self.make().line["detection_path"])
        whole = json.loads(path.read_text())
        of_another = json.loads(json.dumps(whole))
        of_another["request"]["files"]["image_url"] = "0" * 64
        taller = json.loads(json.dumps(whole))
        del taller["request"]["parameters"]
        taller["response"]["output"]["ext_bbox"] = [302, 286, 602, 686]
        taller["response"]["output"]["face_bbox"] = [400, 300, 500, 400]
        for record in (of_another, taller):
            path.write_text(json.dumps(record))
            for words in (["--pay"], ["--dry-run"]):
                result = self.make(*words, code=3, fields=["detection"])
                self.assertIn("another picture, or of another ratio", str(result.line["errors"]))
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_what_is_no_answer_is_detected_anew(self):
        service = self.serve()
        path = Path(self.make().line["detection_path"])
        whole = path.read_text()
        for content in (
            "",
            "{",
            "[]",
            '{"response": {"output": {}}}',
            whole.replace("true", '"x"'),
            json.dumps({**json.loads(whole), "request": 7}),
            json.dumps({**json.loads(whole), "response": 7}),
        ):
            with self.subTest(content[:20]):
                path.write_text(content)
                service.seen.clear()
                self.make()
                self.assertEqual(len(service.of("POST", "face-detect")), 1)

    def test_where_a_file_system_has_no_links_the_boxes_are_kept_all_the_same(self):
        service = self.serve()
        with mock.patch("os.link", side_effect=PermissionError(1, "no links")):
            self.make()
        self.make()
        self.assertEqual(len(service.of("POST", "face-detect")), 1)

    def test_boxes_that_were_edited_are_refused(self):
        service = self.serve()
        path = Path(self.make().line["detection_path"])
        record = json.loads(path.read_text())
        record["response"]["output"]["ext_bbox"] = [0, 0, 400, 700]
        path.write_text(json.dumps(record))
        result = self.make("--pay", code=3, fields=["detection"])
        self.assertIn(f"to detect it, and pay for that, again, remove {path}", result.stderr)
        self.assertEqual(len(service.of("POST", "/image2video/")), 1)

    def test_a_way_through_a_folder_that_is_not_there_leads_to_the_same_one(self):
        service = self.serve()
        os.environ["OUTPUT_DIR"] = os.path.join("nowhere", os.pardir, "out")
        for _ in range(2):
            result = self.make()
        self.ends(self.run_next(result, "--no-wait"), 0)
        self.assertEqual(len(service.of("POST", "face-detect")), 1)


class Showing(MakingCase):
    def test_without_a_terminal_it_is_ready_and_the_next_command_pays(self):
        service = self.serve()
        result = self.make("--style-level", "calm", "-o", "a b/hello.mp4", "--attempt", "1")
        line = result.line
        self.assertEqual((line["state"], line["would_send"]), ("ready", True))
        self.assertEqual((line["task_path"], line["style_level"]), (None, "calm"))
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        lines = result.stderr.splitlines()
        self.assertIn("portrait.png, 1000x1000 pixels; speech.mp3, 12.38 s", result.stderr)
        self.assertIn(line["preview_path"], result.stderr)
        self.assertIn("about CNY 0.99 for 12.38 s", result.stderr)
        self.assertEqual(lines[-1].partition(" ")[0], "next:")
        name = Path(line["request_path"]).stem
        self.assertEqual(self.kept_in("requests"), [f"{name}.json"])
        self.assertEqual(self.kept_in("previews"), [f"{name}.html"])
        paid = self.ends_with_video(self.run_next(result))
        self.assertEqual(Path("a b/hello.mp4").read_bytes(), video_of(paid["task_id"]))
        self.assertEqual(Path(paid["task_path"]).parent.name, name)
        again = self.make("--style-level", "calm").line
        self.assertEqual((again["video_path"], again["would_send"]), (paid["video_path"], False))
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)

    def test_the_page_has_the_command_with_the_words_of_the_next_one(self):
        self.serve()
        for words in ((), ("-o", "a b.mp4"), ("--no-look",), ("-o", "x.mp4", "--no-look")):
            result = self.make(*words)
            page = Path(result.line["preview_path"]).read_text("utf-8")
            shown = shlex.split(html.unescape(page.partition('id="command">')[2].partition("<")[0]))
            wanted = self.next_of(result)[2:]
            if "-o" in words:
                wanted[-1] = os.path.abspath(wanted[-1])
            self.assertEqual(shown[3:], wanted[1:])

    def test_three_recordings_have_three_pages_and_each_command_pays_for_its_own(self):
        service = self.serve()
        shown = {}
        for seconds in (3, 5, 9):
            Path(f"{seconds}.mp3").write_bytes(mp3(seconds))
            shown[seconds] = self.make(media=("portrait.png", f"{seconds}.mp3"))
        self.assertEqual(len(self.kept_in("previews")), 3)
        for seconds in (5, 3, 9):
            result = shown[seconds]
            line = self.ends_with_video(self.run_next(result))
            sent = json.loads(Path(line["task_path"]).read_text())["request"]
            self.assertIn(f"{seconds}.mp3", sent["input"]["audio_url"])
            page = Path(result.line["preview_path"]).read_text("utf-8")
            self.assertIn(f"{seconds}.mp3", page)
            self.assertIn(os.path.abspath(result.line["request_path"]), page)
        self.saw(service, policies=7, uploads=7, detections=1, generations=3)

    def test_the_next_command_pays_for_nothing_but_what_was_shown(self):
        service = self.serve()
        result = self.make()
        path = Path(result.line["request_path"])
        shown = json.loads(path.read_text())
        for what, change in (
            ("the style", {"parameters": {"style_level": "active"}}),
            ("a box", {"input": {**shown["input"], "face_bbox": [303, 286, 610, 593]}}),
            ("the model", {"model": "mine"}),
        ):
            with self.subTest(what):
                path.write_text(json.dumps({**shown, **change}))
                self.ends(self.run_next(result), 2, "file")
        path.write_text(json.dumps(shown))
        for name in ("portrait.png", "speech.mp3"):
            with self.subTest(name):
                content = Path(name).read_bytes()
                Path(name).write_bytes(content + b"x")
                self.ends(self.run_next(result), 2)
                Path(name).write_bytes(content)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        self.ends_with_video(self.run_next(result))

    def test_a_link_behind_which_the_recording_is_another_one_is_not_paid_for(self):
        service = self.serve()
        media = ("portrait.png", AUDIO_URL)
        result = self.make(media=media)
        for seconds in (59, 5):
            for words in ((), ("--dry-run",)):
                with self.subTest(seconds=seconds, words=words):
                    service.links[AUDIO_URL] = raw(200, mp3(seconds))
                    refused = self.ends(self.run_next(result, *words), 2, "audio_url")
                    self.assertIn(f"seconds {seconds - 1}.97, not format mp3", refused.stderr)
                    self.assertIn("not format mp3, seconds 12.38", refused.stderr)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        again = self.make(media=media)
        self.assertEqual(again.line["estimate"]["cny"], 0.4)
        self.ends_with_video(self.run_next(again))
        service.links[AUDIO_URL] = raw(200, mp3(59))
        self.ends_with_video(self.run_next(result))  # what is paid for is told
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)

    def test_a_link_behind_which_the_picture_has_another_size_is_not_paid_for(self):
        service = self.serve()
        media = (IMAGE_URL, "speech.mp3")
        result = self.make(media=media)
        service.links[IMAGE_URL] = raw(200, png(3000, 3000))
        refused = self.ends(self.run_next(result), 2, "image_url")
        self.assertIn("width 3000, height 3000, not format png, width 1000", refused.stderr)
        self.assertEqual(len(service.tasks), 0)

    def test_what_was_shown_of_a_link_stays_until_it_is_shown_anew(self):
        service = self.serve()
        media = ("portrait.png", AUDIO_URL)
        for what in ("a page", "a look that fails", "a task that is there"):
            with self.subTest(what):
                service.links.clear()
                shutil.rmtree(EVIDENCE, ignore_errors=True)
                words = ("--attempt", "2") if what.startswith("a task") else ()
                if words:
                    self.make("--pay", media=media)
                result, paid = self.make(*words, media=media), len(service.tasks)
                if words:
                    self.make(media=media)
                elif what == "a page":
                    self.ends(self.call(result.line["request_path"], main=preview.main), 0)
                else:
                    service.links[AUDIO_URL] = raw(503, b"")
                    self.make(media=media)
                service.links[AUDIO_URL] = raw(200, mp3(59))
                self.ends(self.run_next(result), 2, "audio_url")
                self.assertEqual(len(service.tasks), paid)

    def test_links_are_looked_at_before_anybody_is_asked(self):
        links = {"image_url": IMAGE_URL, "audio_url": AUDIO_URL}
        media = tuple(links.values())
        service = self.serve()
        result = self.make(media=media)
        self.assertEqual(len(service.looks), 2)
        self.assertEqual(result.line["audio"], {"format": "mp3", "seconds": 12.38})
        self.assertEqual(result.line["estimate"], PRICE)
        result = self.make("--no-look", media=media)
        self.assertEqual((len(service.looks), result.line["estimate"]), (2, None))
        self.assertIn("CNY 0.08 a second", result.stderr)
        self.assertIn("--no-look", self.next_of(result))
        service = self.serve(links={AUDIO_URL: raw(200, b"<html>log in")})
        result = self.make("--pay", says="y\n", media=media, code=2, fields=["audio_url"])
        self.assertNotIn("Pay", result.stderr)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_where_another_picture_is_behind_the_link_it_is_told_how_to_detect_that(self):
        self.serve()
        media = (IMAGE_URL, "speech.mp3")
        self.make(media=media)
        service = self.serve(links={IMAGE_URL: raw(200, png(600, 600))})
        result = self.make("--pay", media=media, code=2, fields=["image_url"])
        hint = result.line["errors"][0]["hint"]
        (path,) = (EVIDENCE / "detections").iterdir()
        self.assertIn("make_emo_video.py does it when its detection_path is removed", hint)
        self.assertEqual(result.line["detection_path"], str(path))
        path.unlink()
        self.make("--pay", media=media, code=2, fields=["image_url"])
        self.assertEqual(len(service.of("POST", "face-detect")), 1)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_a_picture_that_is_another_one_by_now_is_not_paid_for_with_the_boxes_of_the_old(self):
        service = self.serve()
        media = (IMAGE_URL, "speech.mp3")
        shown = self.make(media=media)
        service.links[IMAGE_URL] = raw(200, png(2000, 3000))
        self.ends(self.run_next(shown), 2, "image_url")
        (error,) = self.make("--pay", media=media, code=2, fields=["image_url"]).line["errors"]
        self.assertRegex(error["message"], "another one than before: .*width 2000.*, not .*1000")
        path = shown.line["detection_path"]
        self.assertIn(f"Remove {path}, and run the same again", error["hint"])
        other = ("--pay", "--style-level", "calm")  # which was never shown
        self.make(*other, media=media, code=2, fields=["image_url"])
        Path(path).unlink()
        self.ends_with_video(self.make("--pay", media=media))
        self.assertEqual(len(service.of("POST", "face-detect")), 2)
        self.assertEqual(len(service.tasks), 1)

    def test_one_behind_a_link_that_did_not_pass_says_how_another_one_there_is_detected(self):
        service = self.serve(face_detect=[fails("detection-fail", 200), detected])
        media = (IMAGE_URL, "speech.mp3")
        for _ in range(2):
            (error,) = self.make(media=media, code=3, fields=["service"]).line["errors"]
        path = error["hint"].partition("Another picture behind the link? Remove ")[2][:-1]
        Path(path).unlink()
        self.make(media=media)
        self.assertEqual(len(service.of("POST", "face-detect")), 2)
        self.serve(face_detect=[fails("detection-fail", 200)])
        (error,) = self.make(code=3, fields=["service"]).line["errors"]
        self.assertNotIn("Remove", error["hint"])  # of a file the content counts

    def test_a_video_that_was_here_before_is_said_to_be_of_before(self):
        self.serve()
        of_before = "; it was made before, and nothing was paid"
        words = ("--pay", "-o", "a.mp4")
        self.assertNotIn(of_before, self.make(*words, terminal=True).stderr)
        self.assertIn(f"the video is a.mp4{of_before}", self.make(*words, terminal=True).stderr)

    def test_a_name_that_begins_with_a_dash_and_the_place_of_the_video_are_told(self):
        Path("-voice.mp3").write_bytes(mp3(3))
        for words, hint in (
            (("portrait.png", "-voice.mp3"), f"is given as {os.path.join('.', '-voice.mp3')}."),
            (
                ("portrait.png", "speech.mp3", "hello.mp4"),
                "is given as -o FILE, in quotes if it has spaces.",
            ),
            (("my", "portrait.png", f"{IMAGE_URL}{SIGNED}LTAI5tabc"), "Quote a name with spaces"),
        ):
            with self.subTest(words):
                self.assertIn(hint, self.call_make(*words, "--dry-run").stderr)

    def test_what_a_link_is_worth_counts_only_where_something_is_sent(self):
        service = self.serve()
        media = (IMAGE_URL + SIGNED + "a", "speech.mp3")
        line = self.make("--pay", media=media).line
        late = (IMAGE_URL + SIGNED.replace("9999999999", "1735689600") + "a", "speech.mp3")
        again = self.make("--pay", media=late).line
        self.assertEqual(again["video_path"], line["video_path"])
        self.make("--pay", "--style-level", "calm", media=late, code=2, fields=["image_url"])
        self.make("--dry-run", "--style-level", "calm", media=late, code=2, fields=["image_url"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)

    def test_a_picture_that_the_boxes_do_not_fit_is_told_once(self):
        service = self.serve()
        Path("small.png").write_bytes(png(640, 640))
        self.make("--pay", media=("small.png", "speech.mp3"), code=2, fields=["image"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_warnings_stand_before_anything_is_paid(self):
        self.serve()
        Path("short.mp3").write_bytes(mp3(0.6))
        result = self.make("--pay", media=("portrait.png", "short.mp3"))
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["audio"])
        lines = result.stderr.splitlines()
        (at,) = [n for n, line in enumerate(lines) if line.startswith("warning: audio:")]
        (paid,) = [n for n, line in enumerate(lines) if line.startswith("paying")]
        self.assertLess(at, paid)

    def test_the_page_of_what_was_made_has_the_video(self):
        self.serve()
        self.make("--pay")
        line = self.make().line
        page = Path(line["preview_path"]).read_text("utf-8")
        self.assertIn("was made", page)
        self.assertIn("video.mp4", page)


class Interrupted(MakingCase):
    def test_one_that_comes_before_anything_has_all_keys_in_its_line(self):
        stdout, stderr = io.StringIO(), io.StringIO()
        streams = contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr)
        with streams[0], streams[1], mock.patch("signal.signal"):
            code = make.main(["portrait.png", "speech.mp3"], came=[2])
        line = json.loads(stdout.getvalue())
        self.assertEqual((code, list(line)), (130, ["ok", "errors", *KEYS, "warnings"]))


class Running(MakingCase):
    def test_what_a_killed_run_left_goes_after_a_day(self):
        self.serve()
        old = EVIDENCE / "requests/.emo-1-0a.tmp"
        old.parent.mkdir(parents=True)
        old.touch()
        os.utime(old, (time.time() - 25 * 3600,) * 2)
        self.make("--pay")
        self.assertFalse(old.exists())

    def test_with_a_part_of_the_page_missing_it_says_so_in_one_line(self):
        for name in ("page.css", "page.py"):
            with self.subTest(name):
                shutil.rmtree("copy", ignore_errors=True)
                shutil.copytree(MAKE.parent, "copy", ignore=shutil.ignore_patterns("__pycache__"))
                Path("copy/aliyun_emo", name).unlink()
                words = ["portrait.png", "speech.mp3"]
                result = self.run_script(*words, script=Path("copy", MAKE.name))
                self.assertEqual((result.code, result.fields), (2, ["arguments"]), result)
                self.assertEqual(len(result.stderr.splitlines()), 1, result)

    def test_one_command_with_pay_ends_with_the_video_and_again_tells_it(self):
        service = self.serve()
        first = self.ends_with_video(self.make("--pay", "-o", "deep/er/hello.mp4"))
        self.assertEqual(Path("deep/er/hello.mp4").read_bytes(), video_of(first["task_id"]))
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        Path("other.mp4").write_bytes(b"old")
        self.ends_with_video(self.make("--pay", "-o", "other.mp4"))
        self.assertEqual(Path("other.mp4").read_bytes(), video_of(first["task_id"]))
        self.assertEqual(service.seen, [])

    def test_the_page_of_a_video_that_was_just_made_has_it(self):
        self.serve()
        line = self.ends_with_video(self.make("--pay", "--timeout", "60"))
        page = Path(line["preview_path"]).read_text("utf-8")
        self.assertIn("A request whose video was made", page)
        self.assertIn(Path(line["video_path"]).absolute().as_uri(), page)

    def test_a_page_that_cannot_be_written_keeps_no_task_from_its_end(self):
        self.serve(tasks=[status_of("RUNNING"), succeeded()])
        task = self.make("--pay", "--timeout", "0", code=5).line["task_id"]
        for folder in ("previews", "requests"):
            shutil.rmtree(EVIDENCE / folder)
            (EVIDENCE / folder).write_text("no folder")
        result = self.make()
        self.assertEqual(self.ends_with_video(result)["task_id"], task)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["output"] * 2)
        self.make("--attempt", "2", "--pay", code=1, fields=["output"])
        self.assertEqual(len(self.folders()), 1)

    def test_after_a_refusal_it_is_not_said_that_nothing_would_be_sent(self):
        service = self.serve(video_synthesis=[fails("error-401", 401), created])
        line = self.make("--pay", code=3).line
        self.assertEqual((line["state"], line["would_send"]), ("refused", None))
        self.make("--pay", "--no-wait")
        self.assertEqual(len(service.of("POST", "video-synthesis")), 2)

    def test_a_dry_run_copies_no_video(self):
        self.serve()
        self.make("--pay")
        self.make("--dry-run", "-o", "x.mp4")
        self.assertFalse(Path("x.mp4").exists())

    def test_a_copy_replaces_no_medium_that_has_moved(self):
        service = self.serve()
        Path("old").mkdir()
        for name in ("portrait.png", "speech.mp3"):
            shutil.move(name, "old")
        media = ("old/portrait.png", "old/speech.mp3")
        shown = self.make(media=media)
        for name in ("portrait.png", "speech.mp3"):
            shutil.move(f"old/{name}", name)
        self.ends(self.run_next(shown, "-o", "speech.mp3"), 2, "output")
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        paid = self.ends_with_video(self.run_next(shown))
        task = Path(paid["task_path"]).parent.name
        shutil.copytree(".", "old", dirs_exist_ok=True)
        before = Path("old/portrait.png").read_bytes()
        self.ends(self.call_run("--task", task, "-o", "old/portrait.png"), 2, "output")
        self.assertEqual(Path("old/portrait.png").read_bytes(), before)

    def test_no_wait_ends_with_the_task_and_all_fetches_what_was_sent(self):
        service = self.serve()
        names = []
        for seconds in (3, 5, 9):
            Path(f"{seconds}.mp3").write_bytes(mp3(seconds))
            media = ("portrait.png", f"{seconds}.mp3")
            line = self.make("--pay", "--no-wait", media=media).line
            self.assertEqual((line["state"], line["video_path"]), ("made", None))
            names.append(Path(line["task_path"]).parent.name)
        result = self.ends(self.call_run("--all"), 0)
        self.assertEqual(sorted(self.folders()), sorted(names))
        for row in result.line["tasks"]:
            self.assertEqual(Path(row["video_path"]).read_bytes(), video_of(row["task_id"]))
        self.saw(service, policies=7, uploads=7, detections=1, generations=3)

    def test_the_command_that_fetches_it_later_has_the_words_that_were_given(self):
        self.serve()
        result = self.make("--pay", "--no-wait", "-o", "y.mp4", terminal=True)
        paid = self.ends_with_video(self.run_next(result))
        self.assertEqual(Path("y.mp4").read_bytes(), video_of(paid["task_id"]))
        result = self.make("--attempt", "1", "--no-wait", "-o", "z.mp4")
        self.assertEqual(result.line["task_id"], paid["task_id"])

    def test_the_page_of_what_nobody_knows_says_so(self):
        self.serve(video_synthesis=[fails("error-429", 500)])
        path = Path(self.make("--pay", code=4).line["request_path"])
        self.make(code=4)
        page = (EVIDENCE / "previews" / f"{path.stem}.html").read_text("utf-8")
        self.assertIn("A request that was sent: <bdi>unclear", page)
        self.assertIn("Look in the console", page)
        self.assertNotIn('id="command"', page)

    def test_the_page_tells_what_became_of_the_attempt_that_is_wanted(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        path = Path(self.make("--pay", "--timeout", "0", code=5).line["request_path"])
        page = EVIDENCE / "previews" / f"{path.stem}.html"
        self.make("--timeout", "0", code=5)
        self.assertIn("A request that was sent: <bdi>made, RUNNING", page.read_text("utf-8"))
        self.assertNotIn("costs money", page.read_text("utf-8"))
        service.script["tasks"] = [succeeded()]
        first = self.make()
        service.script["tasks"] = [status_of("FAILED", code="c", message="m")]
        self.make("--attempt", "2", "--pay", code=3)
        self.make("--attempt", "2", code=3)
        self.assertIn("A request that was sent: <bdi>made, FAILED", page.read_text("utf-8"))
        self.make("--attempt", "1")
        self.assertIn(Path(first.line["video_path"]).absolute().as_uri(), page.read_text("utf-8"))

    def test_attempt_pays_for_another_one_once(self):
        service = self.serve()
        self.make("--pay")
        for _ in range(2):
            self.make("--pay", "--attempt", "2")
        self.make("--pay", "--attempt", "4", code=2, fields=["attempt"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 2)

    def test_what_failed_for_a_file_behind_a_link_is_made_of_another_as_its_hints_say(self):
        media = (IMAGE_URL, AUDIO_URL)
        self.serve(tasks=[status_of("FAILED", code="InvalidFile.AudioLengthError", message="m")])
        (error,) = self.make("--pay", media=media, code=3, fields=["service"]).line["errors"]
        (words,) = re.findall("run_emo_request.py (.*) pays for another file", error["hint"])
        service = self.serve(links={AUDIO_URL: raw(200, mp3(40))})
        (error,) = self.ends(self.call_run(*shlex.split(words)), 2).line["errors"]  # not as shown
        self.assertIn("make_emo_video.py (same --attempt, if any): it shows", error["hint"])
        self.ends_with_video(self.make("--attempt", "2", "--pay", media=media))
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)

    def test_so_it_is_beside_tasks_of_another_picture(self):
        service = self.serve()
        self.make("--pay", "--no-wait")
        service.seen.clear()
        shutil.copy("portrait.png", "other.png")
        Path("other.png").write_bytes(png(900, 900))
        media = ("other.png", "speech.mp3")
        self.make("--attempt", "2", media=media, code=2, fields=["attempt"])
        self.assertEqual(service.seen, [])

    def test_an_attempt_that_cannot_be_is_refused_before_anything_is_detected(self):
        service = self.serve()
        self.make("--attempt", "2", code=2, fields=["attempt"])
        self.assertEqual(service.seen, [])

    def test_the_page_of_what_was_sent_says_so_however_its_run_has_ended(self):
        for name, script, words, code in (
            ("--no-wait", {}, ["--no-wait"], 0),
            ("--timeout", {"tasks": [status_of("RUNNING")]}, ["--timeout", "0"], 5),
            ("failed", {"tasks": [status_of("FAILED")]}, [], 3),
            ("unclear", {"video_synthesis": [raw(500, b"")]}, [], 4),
        ):
            with self.subTest(name):
                self.clear()
                self.serve(**script)
                result = self.make("--pay", *words, code=code, fields=["service"] if code else [])
                page = Path(result.line["preview_path"]).read_text("utf-8")
                self.assertIn("A request that was sent", page)
                self.assertNotIn("which costs money", page)

    def test_the_page_of_an_attempt_has_its_command(self):
        self.serve()
        self.make("--pay")
        result = self.make("--attempt", "2")
        page = Path(result.line["preview_path"]).read_text("utf-8")
        self.assertIn(f"{Path(result.line['request_path']).name} --attempt 2<", page)
        self.assertIn("which costs money", page)
        line = self.ends_with_video(self.run_next(result))
        self.assertTrue(Path(line["task_path"]).parent.name.endswith("-2"))

    def test_a_place_for_the_video_that_cannot_be_is_found_before_it_is_paid(self):
        service = self.serve()
        Path("folder").mkdir()
        tasks = "output/aliyun-emo/tasks"
        kept = "output/aliyun-emo/requests/x.json"
        for place, code in (
            (kept, 2),
            *(("folder", 1), ("portrait.png/x.mp4", 1), ("-", 2), ("", 2)),
            *((tasks, 2), (f"{tasks}/x", 2), (f"{tasks}/0123456789ab/task.json", 2)),
            *((f"{'x' * 300}.mp4", 1), (f"new/{'x' * 300}/x.mp4", 1)),
            *(("output", 2), ("output/aliyun-emo", 2), ("a.json", 2)),
            *((f"output/aliyun-emo/{name}.json", 2) for name in ("request", "detection")),
        ):
            with self.subTest(place):
                self.make("--pay", "-o", place, code=code, fields=["output"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    @unittest.skipUnless(POSIX, "a pseudo-terminal")
    def test_at_a_pseudo_terminal_a_y_is_enough(self):
        import pty
        import subprocess
        import sys

        self.serve()
        leader, follower = pty.openpty()
        words = [sys.executable, str(MAKE), "portrait.png", "speech.mp3", "--interval", "0.1"]
        pipes = {"stdin": follower, "stderr": follower, "stdout": subprocess.PIPE}
        process = subprocess.Popen(words, **pipes)
        os.close(follower)
        os.write(leader, b"y\n")  # before the question: it is no answer
        seen = b""
        while b"[y/N] " not in seen:
            seen += os.read(leader, 1024)
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        os.write(leader, b"y\n")
        stdout = process.communicate(timeout=60)[0]
        os.close(leader)
        line = json.loads(stdout)
        self.assertEqual((process.returncode, line["state"]), (0, "made"), line)
        self.assertEqual(Path(line["video_path"]).read_bytes(), video_of(line["task_id"]))


class Asking(MakingCase):
    def test_yes_pays_and_anything_else_is_no(self):
        for said, pays in (
            *(("y\n", True), ("yes\n", True), ("Y\n", True), (" YES \n", True)),
            *(("\n", False), ("", False), ("n\n", False), ("yep\n", False), ("yy\n", False)),
            *(("ja\n", False), ("1\n", False), ("y y\n", False), ("--pay\n", False)),
        ):
            with self.subTest(said):
                shutil.rmtree(EVIDENCE, ignore_errors=True)
                service = self.serve()
                result = self.make(says=said)
                self.assertIn("Pay about CNY 0.99? [y/N] ", result.stderr)
                self.assertEqual(len(service.of("POST", "video-synthesis")), int(pays))
                self.assertEqual(result.line["state"], "made" if pays else "ready")
                if not pays:
                    self.ends_with_video(self.run_next(result))

    def test_nobody_is_asked_about_what_was_paid_for(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.make("--pay", "--no-wait")
        result = self.make("--timeout", "0", says="", code=5)
        self.assertNotIn("Pay", result.stderr)
        self.assertIs(result.line["would_send"], False)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 1)

    def test_where_no_length_is_known_the_question_has_the_price_of_a_second(self):
        self.serve()
        result = self.make("--no-look", says="n\n", media=("portrait.png", AUDIO_URL))
        self.assertIn("Pay about CNY 0.08 a second? [y/N] ", result.stderr)

    def test_the_time_of_the_answer_does_not_count(self):
        self.serve()

        class Slow(str):
            pass

        def pondered():
            clock.sleep(3600)
            return "y\n"

        with mock.patch("support.Terminal.readline", lambda _: pondered()):
            self.ends_with_video(self.make("--timeout", "60", says=""))

    def test_a_file_that_is_changed_while_the_question_stands_is_not_paid_for(self):
        service = self.serve()

        def changed(_):
            Path("speech.mp3").write_bytes(mp3(5))
            return "y\n"

        with mock.patch("support.Terminal.readline", changed):
            self.make(says="", code=2, fields=["audio_url"])
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)

    def test_a_link_that_leads_elsewhere_while_the_question_stands_is_not_paid_for(self):
        service = self.serve()
        media = (IMAGE_URL, AUDIO_URL)
        first = self.make(media=media)
        looks = iter((mp3(12.4), mp3(59)))
        service.links[AUDIO_URL] = lambda handler: raw(200, next(looks))(handler)
        refused = self.make(says="y\n", media=media, code=2, fields=["audio_url"])
        self.assertIn("not format mp3, seconds 12.38", refused.stderr)
        self.assertEqual((len(service.tasks), first.line["estimate"]), (0, PRICE))

    def test_what_another_run_has_sent_meanwhile_is_not_asked_about_and_never_ready(self):
        service = self.serve()
        media = ("portrait.png", AUDIO_URL)
        digits = Path(self.make(media=media).line["request_path"]).stem
        record = {"saved_at": utc(time.time()), "attempt": 1}
        record["response"] = {"output": {"task_id": "a-task"}}
        state = "made"

        def another_run(_=None):
            self.write(f"tasks/{digits}/task.json", {**record, "state": state})
            return "n\n"

        def seen(handler):
            another_run()
            raw(200, mp3(12.4))(handler)

        for state in ("made", "sending", "unclear"):
            for name, words, says, link in (
                ("while it looks", [], None, seen),
                ("while it looks, at a terminal", [], "y\n", seen),
                ("while the question stands", [], "", raw(200, mp3(12.4))),
                ("while it looks, and may pay", ["--pay"], None, seen),
            ):
                asks = mock.patch("support.Terminal.readline", another_run)
                with self.subTest(name, state=state), asks:
                    self.clear()
                    service.links[AUDIO_URL] = link
                    code = 4 if "--pay" in words and state != "made" else 0
                    options = {"says": says, "media": media, "code": code}
                    before = len(service.uploads)
                    result = self.make(*words, "--no-wait", **options)
                    self.assertEqual(len(service.uploads) - before, "--pay" in words)
                    told = [result.line[key] for key in ("state", "task_id", "would_send")]
                    self.assertEqual(told, [state, "a-task", False])
                    self.assertNotIn("not paid for", result.stderr)
                    page = Path(result.line["preview_path"]).read_text("utf-8")
                    self.assertIn("A request that was sent", page)
                    self.assertEqual("[y/N]" in result.stderr, says == "")
                    if state != "made" and not words:
                        self.assertIn("--task", self.next_of(result))
        self.assertEqual(service.of("POST", "video-synthesis"), [])

    def test_no_command_that_follows_a_no_pays_for_what_another_run_could_not_send(self):
        service = self.serve()
        digits = Path(self.make().line["request_path"]).stem

        def sending(_):
            self.write(f"tasks/{digits}/task.json", {"state": "sending"})
            return "n\n"

        with mock.patch("support.Terminal.readline", sending):
            result = self.make(says="")
        self.clear()  # the other run's request was not taken: its folder goes
        self.assertNotEqual(self.run_next(result).code, 0)
        self.assertEqual(service.of("POST", "video-synthesis"), [])

    def test_after_a_yes_what_could_not_be_looked_at_again_is_told_before_it_is_paid_for(self):
        service = self.serve()

        def lost(_):
            service.links[AUDIO_URL] = raw(500, b"")
            return "y\n"

        with mock.patch("support.Terminal.readline", lost):
            result = self.make(says="", media=("portrait.png", AUDIO_URL))
        self.assertIn("could not be looked at", result.line["warnings"][0]["message"])
        told, paid = (result.stderr.index(w) for w in ("could not be looked at", "paying for"))
        self.assertLess(told, paid)

    def test_after_a_yes_no_warning_is_told_twice(self):
        self.serve()
        Path("speech.mp3").write_bytes(mp3(0.5))
        result = self.make(says="y\n")
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["audio"])

    @unittest.skipUnless(POSIX, "terminals of POSIX")
    def test_a_terminal_that_takes_no_orders_any_more_says_no(self):
        import termios

        self.serve()
        gone = mock.patch("termios.tcflush", side_effect=termios.error(5, "Input/output error"))
        with gone, mock.patch("support.Terminal.fileno", lambda _: 0, create=True):
            self.assertEqual(self.make(says="n\n").line["state"], "ready")

    def test_what_comes_after_the_question_begins_a_line_of_its_own(self):
        self.serve()
        for says, between in (("n\n", ""), ("", "\n"), ("n", "\n")):
            with self.subTest(repr(says)):
                self.assertIn(f"[y/N] {between}not paid", self.make(says=says).stderr)

    def test_a_terminal_that_is_gone_says_no(self):
        self.serve()
        with mock.patch("support.Terminal.readline", side_effect=OSError(5, "gone")):
            self.assertEqual(self.make(says="").line["state"], "ready")

    def test_an_interrupt_at_the_question_pays_for_nothing(self):
        service = self.serve()

        def interrupted(_):
            raise KeyboardInterrupt(130)

        with mock.patch("support.Terminal.readline", interrupted):
            result = self.make(says="", code=130)
        self.assertIn("[y/N] \nerror: ", result.stderr)
        self.assertEqual(len(service.of("POST", "video-synthesis")), 0)
        self.make("--pay")
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)

    def test_what_is_no_text_is_no_yes(self):
        self.serve()

        def garbled(_):
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")

        with mock.patch("support.Terminal.readline", garbled):
            self.assertEqual(self.make(says="").line["state"], "ready")


if __name__ == "__main__":
    unittest.main()
