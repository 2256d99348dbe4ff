"""A prepared request that is read again: what is refused, its name, where its evidence lies."""

import copy
import json
import os
import shutil
import unittest
from pathlib import Path

from support import AUDIO_URL, IMAGE_URL, REQUEST, RUN, Case, arguments, emo, preview, run
from support.service import PORTRAIT, SPEECH, fixture
from support.service_case import DETECTION, EVIDENCE, FILE, POSIX, TASKS, GenerationCase, other
from support.upload_case import UploadCase, digest_of

from aliyun_emo import links, requests

NOW = 1_767_225_600  # seconds since 1970: the first of January 2026
HOUR = 3600
ABSENT = object()
PLAIN_DETECTION = {"input": {"image_url": IMAGE_URL}, "parameters": {"ratio": "1:1"}}


def changed(request, path, value):
    """Return the `request` with another `value` at "input.image_url", or with none."""
    request = copy.deepcopy(request)
    *places, name = path.split(".")
    place = request
    for step in places:
        place = place.setdefault(step, {})
    if value is ABSENT:
        del place[name]
    else:
        place[name] = value
    return request


class Names(Case):
    """Evidence goes by them: what has a name keeps it."""

    A, B = "a" * 64, "b" * 64
    SIGNED = "OSSAccessKeyId=k&Expires=9999999999&Signature"

    def test_each_has_the_name_that_it_always_had(self):
        files = {"image_url": "file:///home/ann/portrait.png"}
        both = {**files, "audio_url": "file:///home/ann/speech.mp3"}
        signed = (
            "https://b.oss-cn-beijing.aliyuncs.com/speech.mp3?x-oss-signature-version=OSS4-HMAC-"
            "SHA256&x-oss-date=20260101T000000Z&x-oss-expires=86400&x-oss-credential=c"
            "&x-oss-signature=a&x-oss-security-token=t"
        )
        for name, request, digits in (
            ("the quick start", REQUEST, "6872062bccf0"),
            ("another style", other(style_level="calm"), "cdac85429ef6"),
            ("another model", {**REQUEST, "model": "ann/emo:v1"}, "3c5af0a9bec2"),
            ("another ratio", other(ext_bbox=[71, 9, 648, 778]), "5146c3a54ee7"),
            ("another face", other(face_bbox=[302, 286, 610, 594]), "04f6ca86b63c"),
            ("a query", other(image_url=f"{IMAGE_URL}?v=1"), "02aa0f546fa7"),
            ("signed", other(image_url=f"{IMAGE_URL}?v=1&{self.SIGNED}=a"), "02aa0f546fa7"),
            ("signed anew", other(image_url=f"{IMAGE_URL}?v=1&{self.SIGNED}=b"), "02aa0f546fa7"),
            ("signed with a token", other(audio_url=signed), "ba754b8ef7f2"),
            (
                "the default port",
                other(image_url="https://example.com:443/portrait.png"),
                "6872062bccf0",
            ),
            (
                "escapes",
                other(image_url="https://example.com/%70ortrait%2dx%e4.png"),
                "fbf48c69e51c",
            ),
            ("not ASCII", other(image_url="https://example.com/%E7%85%A7.png"), "1f69ccdb40c0"),
            ("http", other(image_url="http://example.com:80/portrait.png"), "f17e4bbf282d"),
            ("a file", {**other(**files), "files": {"image_url": self.A}}, "edd8e26137dc"),
            (
                "two files",
                {**other(**both), "files": {"image_url": self.A, "audio_url": self.B}},
                "30d7b6648c05",
            ),
        ):
            with self.subTest(name):
                self.assertEqual(requests.request_name(request, links.BASE_URL), digits)

    def test_the_vendor_s_hosts_are_one_and_any_other_counts_for_itself(self):
        for base, digits in (
            ("", "6872062bccf0"),
            ("https://aliyuncs.com/api/v1", "6872062bccf0"),
            ("https://ws.cn-beijing.maas.aliyuncs.com/api/v1", "6872062bccf0"),
            ("http://127.0.0.1:8080/api/v1", "7acf65d2c97a"),
            ("http://127.0.0.1:9090/elsewhere", "7acf65d2c97a"),
            ("http://LOCALHOST:1/api/v1", "d6e4c429fcf8"),
        ):
            with self.subTest(base):
                self.assertEqual(requests.request_name(REQUEST, base), digits)

    def test_neither_the_order_of_keys_nor_where_a_file_lies_is_in_it(self):
        def reverse(value):
            if not isinstance(value, dict):
                return value
            return {name: reverse(value[name]) for name in reversed(value)}

        there = other(image_url="file:///a/portrait.png")
        elsewhere = other(image_url="file:///b%20c/face.png")
        for name, one, two in (
            ("order", REQUEST, reverse(REQUEST)),
            ("place", there, elsewhere),
        ):
            with self.subTest(name):
                digests = {"files": {"image_url": self.A}} if name == "place" else {}
                names = {
                    requests.request_name({**request, **digests}, "") for request in (one, two)
                }
                self.assertEqual(len(names), 1)


class Places(Case):
    """A key that does not belong where it stands is refused, and nothing is made of it."""

    def check(self, body):
        """Return the request that is read of a `body`, and the errors."""
        report = emo.Report()
        request = requests.request_of(body, NOW, report)
        return request, report.errors

    def refused(self, body, words, *fields):
        request, errors = self.check(body)
        self.assertIsNone(request)
        self.assertEqual(sorted(error.field for error in errors), sorted(["file", *fields]))
        (message,) = [error.message for error in errors if error.field == "file"]
        self.assertIn(words, message)
        self.assertEqual({error.code for error in errors}, {2})

    def test_a_field_in_another_place_than_its_own(self):
        boxes = {name: REQUEST["input"][name] for name in emo.BOX_FIELDS}
        values = {
            "model": "emo-v1",
            "image_url": IMAGE_URL,
            "audio_url": AUDIO_URL,
            **boxes,
            "style_level": "calm",
        }
        homes = {"model": "", "style_level": "parameters"}
        for field, value in values.items():
            home = homes.get(field, "input")
            for place in ("", "input", "parameters"):
                if place == home:
                    continue
                path = f"{place}.{field}".strip(".")
                with self.subTest(path):
                    self.refused(changed(REQUEST, path, value), f"{path!r} does not belong")

    def test_a_field_in_another_place_does_not_stand_in_for_its_own(self):
        for home, path, missing in (
            ("input.audio_url", "audio_url", ["audio_url"]),
            ("input.audio_url", "parameters.audio_url", ["audio_url"]),
            ("input.image_url", "image_url", ["image_url"]),
            ("input.image_url", "parameters.image_url", ["image_url"]),
            ("input.face_bbox", "face_bbox", ["face_bbox"]),
            ("input.ext_bbox", "parameters.ext_bbox", ["ext_bbox"]),
            ("parameters.style_level", "input.style_level", []),
            ("parameters.style_level", "style_level", []),
            ("model", "input.model", []),
            ("model", "parameters.model", []),
        ):
            with self.subTest(path):
                value = REQUEST
                for step in home.split("."):
                    value = value[step]
                body = changed(changed(REQUEST, home, ABSENT), path, value)
                self.refused(body, path, *missing)

    def test_of_a_detection_too(self):
        for path, value in (
            ("ratio", "1:1"),
            ("input.ratio", "1:1"),
            ("image_url", IMAGE_URL),
            ("parameters.image_url", IMAGE_URL),
            ("input.model", "emo-v1-detect"),
            ("parameters.model", "emo-v1-detect"),
            ("parameters.style_level", "calm"),
            ("input.face_bbox", [302, 286, 610, 593]),
        ):
            with self.subTest(path):
                words = "does not belong to a detection (it has no audio_url)"
                self.refused(changed(DETECTION, path, value), words)

    def test_whatever_has_another_name_is_foreign(self):
        for path in ("seed", "input.seed", "parameters.seed", "input.audio", "parameters.ratio"):
            with self.subTest(path):
                name = path.rpartition(".")[2]
                body = changed(REQUEST, path, 7)
                self.refused(body, f"{name!r} does not belong to a generation")

    def test_all_that_is_foreign_is_told_beside_all_that_is_wrong(self):
        body = {
            **other(style_level="loud", audio_url="speech.mp3"),
            "seed": 7,
            "ratio": "1:1",
        }
        body = changed(body, "input.model", "emo-v1")
        request, errors = self.check(body)
        self.assertIsNone(request)
        fields = sorted(error.field for error in errors)
        self.assertEqual(fields, ["audio_url", "file", "file", "file", "style_level"])

    def test_what_is_in_its_place_is_taken(self):
        self.assertEqual(self.check(REQUEST), (REQUEST, []))
        self.assertEqual(self.check(DETECTION), (DETECTION, []))
        least = {"input": REQUEST["input"]}
        normal = {**REQUEST, "parameters": {"style_level": "normal"}}
        self.assertEqual(self.check(least), (normal, []))


class Reading(GenerationCase):
    def test_a_path_that_no_shell_has_read_is_guessed(self):
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        for main, words in ((run.main, ()), (preview.main, ()), (emo.main, ("--detection",))):
            for given in (f"~/{FILE}", f"$HOME/{FILE}", f"'{FILE}'"):
                with self.subTest(f"{main.__module__} {given}"):
                    result = self.call(*words, given, main=main)
                    self.assertIn("Did you mean '", result.stderr)
                    self.assertIn(f"{FILE}'?", result.stderr)

    def test_what_a_dry_run_of_prepare_has_printed_is_a_request(self):
        self.serve()
        for words in (arguments(), ["detect", "--image-url", IMAGE_URL]):
            with self.subTest(words[0]):
                printed = self.ends(self.call(*words, "--dry-run"), 0)
                path = self.write("printed.json", printed.line)
                self.ends(self.call_run(path, "--dry-run"), 0)

    def test_a_line_without_a_request_is_none(self):
        service = self.serve()
        for line in ({}, {"ok": True}, {"ok": False, "errors": []}, {"ok": True, "request": 1}):
            for words in ((), ("--dry-run",), ("-o", "v.mp4", "--attempt", "2")):
                with self.subTest(line, words=words):
                    self.ends(self.call_run(self.write("line.json", line), *words), 2)
        self.assertEqual(service.seen, [])

    def test_a_path_that_no_file_can_have_is_refused_with_a_copy_wanted_too(self):
        self.serve()
        body = {**REQUEST, "input": {**REQUEST["input"], "audio_url": "file:///tmp/a%00b.mp3"}}
        path = self.write("request.json", {**body, "files": {"audio_url": "0" * 64}})
        for words in ((), ("-o", "v.mp4")):
            self.ends(self.call_run(path, *words), 2)

    def test_what_names_a_task_in_the_place_of_a_file_has_the_command_of_that_task(self):
        self.serve()
        self.ends(self.go("--no-wait"), 0)
        (name,) = self.folders()
        task_id = self.kept()["response"]["output"]["task_id"]
        folder = str(TASKS / name)
        for word in (task_id, name, f"{name}-2", folder, os.path.join(folder, "task.json")):
            with self.subTest(word):
                (error,) = self.ends(self.call_run(word), 2, "file").line["errors"]
                self.assertRegex(error["hint"], rf"^Go on with that task: .* --task {word}")

    def test_a_key_in_the_wrong_place_ends_a_run_and_a_dry_run_with_2(self):
        service = self.serve()
        for path in ("input.style_level", "input.model", "audio_url"):
            for words in ([], ["--dry-run"]):
                with self.subTest(path, words=words):
                    self.write("request.json", changed(REQUEST, path, "calm"))
                    result = self.ends(self.go(*words), 2, "file")
                    (error,) = result.line["errors"]
                    self.assertIn(path, error["message"])
                    self.assertIn("prepare", error["hint"])
        self.write("detect_request.json", changed(DETECTION, "input.ratio", "3:4"))
        detection = os.path.join("output", "aliyun-emo", "detect_request.json")
        self.ends(self.call_run(detection), 2, "file")
        self.assertEqual((service.seen, service.looks, self.folders()), ([], [], []))

    def test_a_file_is_checked_like_options(self):
        service = self.serve()
        good = REQUEST["input"]
        for name, document, fields in (
            ("no input", {"model": "emo-v1"}, ["file"]),
            ("a saved answer", fixture("detection-pass"), ["file"]),
            ("a record", {"saved_at": "x", "request": REQUEST, "response": None}, ["file"]),
            ("local", {"input": {**good, "image_url": "portrait.png"}}, ["image_url"]),
            (
                "two dashes",
                {"input": {**good, "image_url": "https://a.cn/my--a.png。"}},
                ["image_url"],
            ),
            ("number", {"input": {**good, "audio_url": 7}}, ["audio_url"]),
            ("null", {"input": {**good, "audio_url": None}}, ["audio_url"]),
            ("misfit", {"input": {**good, "ext_bbox": [0, 0, 4, 300]}}, ["ext_bbox", "face_bbox"]),
            ("no parameters", {"input": good, "parameters": []}, ["file"]),
            ("null parameters", {"input": good, "parameters": None}, ["file"]),
            ("no box", {"input": {**good, "face_bbox": None}}, ["face_bbox"]),
            ("text box", {"input": {**good, "face_bbox": "1,2,3,4"}}, ["face_bbox"]),
            ("style", {"input": good, "parameters": {"style_level": "loud"}}, ["style_level"]),
            ("misspelt", {"input": good, "parameters": {"stile_level": "calm"}}, ["file"]),
            ("ratio", {"input": good, "parameters": {"ratio": "1:1"}}, ["file"]),
            ("model", {"model": "emo-v1-detect", "input": good}, ["model"]),
            ("no audio", {"input": {k: v for k, v in good.items() if k != "audio_url"}}, None),
            (
                "detection of emo-v1",
                {"model": "emo-v1", "input": {"image_url": IMAGE_URL}},
                ["model"],
            ),
        ):
            with self.subTest(name):
                self.write("request.json", document)
                result = self.ends(self.go(), 2)
                if fields:
                    self.assertEqual(result.fields, fields, result)
                if name == "two dashes":
                    self.assertIn("Give 'https://a.cn/my--a.png'", str(result.line["errors"]))
                for error in result.line["errors"]:  # a file has no options
                    self.assertNotRegex(error["hint"], "^Give (a [^']*)?--")
        for content in (b"", b"{", b"[]", b"\xff", b"[" * 2**18):
            with self.subTest(content[:5]):
                (EVIDENCE / "request.json").write_bytes(content)
                self.ends(self.go(), 2, "file")
        (EVIDENCE / "request.json").unlink()
        for path in (FILE, "nowhere/request.json", ""):
            with self.subTest(path):
                result = self.ends(self.go(file=path), 2, "file")
                if path:
                    self.assertIn("prepare", result.line["errors"][0]["hint"])
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_a_file_is_read_leniently_and_sent_normalized(self):
        service = self.serve()
        body = {"input": {**REQUEST["input"], "image_url": " HTTPS://Example.com/portrait.png#x "}}
        path = self.folder / "mine.json"
        path.write_bytes(json.dumps(body).encode("utf-16"))
        result = self.ends(self.go(file=str(path)), 0)
        sent = {**REQUEST, "parameters": {"style_level": "normal"}}
        self.assertEqual(json.loads(service.posts[0].body), sent)
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url"])
        self.assertIn("warning: image_url:", result.stderr)

    def test_an_expired_link_hides_no_request(self):
        link = f"{IMAGE_URL}?OSSAccessKeyId=k&Expires={NOW - HOUR}&Signature=s"
        report = emo.Report()
        request = requests.request_of(other(image_url=link), NOW, report)
        self.assertEqual(request, other(image_url=link))
        self.assertEqual([error.field for error in report.errors], ["image_url"])


class HalfPairs(Case):
    """Half a surrogate pair, which JSON can have and nothing else, is no fault of this program."""

    def places(self, value, path=()):
        """Yield the paths to all texts and names in a JSON value."""
        if isinstance(value, dict):
            for name, member in value.items():
                yield (*path, name), True
                yield from self.places(member, (*path, name))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.places(item, (*path, index))
        yield path, False

    def with_half(self, request, path, is_name, half):
        request = copy.deepcopy(request)
        place = request
        for step in path[:-1]:
            place = place[step]
        if is_name:
            place[f"{path[-1]}{half}"] = place.pop(path[-1])
        elif path:
            place[path[-1]] = half
        return request if path else half

    def test_each_text_and_each_name_in_a_request(self):
        local = {**REQUEST, "input": {**REQUEST["input"], "image_url": "file:///a.png"}}
        local["files"] = {"image_url": "a" * 64}
        for kind, request in (("links", REQUEST), ("a file", local), ("a detection", DETECTION)):
            for path, is_name in self.places(request):
                for half in (
                    "\ud800",
                    "x\udfff",
                    "\udc80",
                    "https://a.bc/\ud800",
                    "file:///\ud800",
                ):
                    with self.subTest(f"{kind} {path} {is_name} {half!a}"):
                        body = self.with_half(request, path, is_name, half)
                        Path("x.json").write_text(json.dumps(body))
                        for main in (run.main, preview.main):
                            result = self.call("x.json", main=main)
                            self.assertEqual(result.code, 2, result)
                            self.assertNotIn("internal", result.fields)
                            self.assertTrue(result.stderr.replace("\n", "").isprintable())


class Files(UploadCase):
    def test_only_a_url_of_a_file_leads_to_one(self):
        path = str(self.image)
        self.save("portrait.png", PORTRAIT)
        for url in (f"file:x/{path}", f"file:{path}", f"file://elsewhere{path}"):
            with self.subTest(url):
                self.prepare()
                document = json.loads(Path(FILE).read_text("utf-8"))
                document["input"]["image_url"] = url.replace(" ", "%20")
                self.write("request.json", document)
                self.ends(self.go(), 2, "image_url")

    def test_a_request_whose_digest_is_missing_is_refused(self):
        request = json.loads(Path(FILE).read_text("utf-8"))
        for name, files in (
            ("none", None),
            ("one", {"image_url": digest_of(PORTRAIT)}),
            ("short", {"image_url": digest_of(PORTRAIT), "audio_url": digest_of(SPEECH)[:12]}),
        ):
            with self.subTest(name):
                rest = {key: value for key, value in request.items() if key != "files"}
                self.write("request.json", {**rest, **({"files": files} if files else {})})
                fields = ["image_url", "audio_url"] if not files else ["audio_url"]
                service = self.serve()
                self.ends(self.go(), 2, *fields)
                self.assertEqual((service.seen, self.folders()), ([], []))

    def test_a_recording_in_the_wrong_place_of_the_file_makes_no_detection_of_it(self):
        for place in ("parameters", ""):
            with self.subTest(place):
                self.clear()
                self.prepare()
                document = json.loads(Path(FILE).read_text("utf-8"))
                link = document["input"].pop("audio_url")
                (document[place] if place else document)["audio_url"] = link
                self.write("request.json", document)
                service = self.serve()
                self.ends(self.go(), 2, "file", "audio_url")
                self.ends(self.go("--dry-run"), 2, "file", "audio_url")
                self.saw(service)
                self.assertEqual(self.folders(), [])


class Known(UploadCase):
    """A task is named from the content of its files."""

    def test_a_known_task_is_told_without_its_files_and_without_the_key(self):
        service = self.serve()
        first = self.ends_with_video(self.go())
        shutil.rmtree(self.image.parent)
        del os.environ["DASHSCOPE_API_KEY"]
        for words in ([], ["--no-wait"], ["--dry-run"]):
            with self.subTest(words):
                line = self.ends_with_video(self.go(*words))
                self.assertIs(line["already_submitted"], True)
                self.assertEqual(line["task_id"], first["task_id"])
                self.assertIsNone(line["estimate"])
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_a_task_that_runs_is_gone_on_with_where_its_files_are_no_more(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        shutil.rmtree(self.image.parent)
        self.assertIs(self.ends_with_video(self.go())["already_submitted"], True)
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_a_copy_under_another_name_is_the_same_task(self):
        service = self.serve()
        self.ends_with_video(self.go())
        self.prepare(image=str(self.save("copy of it.png", PORTRAIT, "elsewhere")))
        self.assertIs(self.ends_with_video(self.go())["already_submitted"], True)
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_another_content_under_the_same_name_is_another_task(self):
        service = self.serve()
        self.ends_with_video(self.go())
        self.audio.write_bytes(SPEECH * 2)
        self.prepare()
        line = self.ends_with_video(self.go())
        self.assertIs(line["already_submitted"], False)
        self.assertEqual(
            line["estimate"], {"seconds": 24.77, "cny": 1.98, "prices_of": "2026-05-30"}
        )
        self.saw(service, policies=4, uploads=4, generations=2)
        self.assertEqual(len({folder[:12] for folder in self.folders()}), 2)


class NoRequest(GenerationCase):
    """What is no prepared request, and what to do with it."""

    def test_the_record_of_a_task_or_a_detection_names_its_command(self):
        record = {"saved_at": "x", "request": DETECTION, "response": {"output": {}}}
        for document, words in (
            ({**record, "state": "made"}, "run_emo_request.py --task "),
            (record, f"prepare_emo_request.py --image-url {IMAGE_URL} --audio-url AUDIO_URL "),
        ):
            with self.subTest(words):
                path = self.write("x.json", document)
                (error,) = self.ends(self.call_run(path), 2, "file").line["errors"]
                self.assertIn(words, error["hint"])
                self.assertIn(path, error["hint"])


class Shown(GenerationCase):
    """A request that was shown is run as it was shown."""

    def test_a_file_of_another_name_in_such_a_folder_is_a_request_like_any(self):
        self.serve()
        for place in ("requests", "output/aliyun-emo/requests"):
            Path(place).mkdir(parents=True, exist_ok=True)
            Path(place, "hello.json").write_text(json.dumps(REQUEST))
            self.ends(self.call_run(f"{place}/hello.json", "--no-wait"), 0)
            Path(place, "0123456789ab.json").write_text(json.dumps(REQUEST))
            self.ends(self.call_run(f"{place}/0123456789ab.json", "--no-wait"), 2, "file")

    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_that_it_is_reached_through_a_link_changes_nothing(self):
        service = self.serve()
        Path("store").mkdir()
        os.symlink(self.folder / "store", "output/aliyun-emo/requests")
        path = Path("output/aliyun-emo/requests/0123456789ab.json")
        path.write_text(json.dumps(REQUEST))
        self.ends(self.call_run(str(path)), 2, "file")
        os.unlink("output/aliyun-emo/requests")
        Path("output/aliyun-emo/requests").mkdir()
        os.symlink(self.folder / "store/0123456789ab.json", path)
        self.ends(self.call_run(str(path)), 2, "file")
        self.assertEqual(service.posts, [])

    def test_a_detection_is_none_that_was_shown(self):
        service = self.serve()
        path = Path("output/aliyun-emo/requests/0123456789ab.json")
        path.parent.mkdir()
        path.write_text(json.dumps({"model": "emo-v1-detect", **PLAIN_DETECTION}))
        self.ends(self.call_run(str(path)), 2, "file")
        self.assertEqual(service.posts, [])


class Kept(GenerationCase):
    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_no_copy_of_a_video_goes_among_tasks_that_lie_behind_a_link(self):
        service = self.serve()
        Path("store").mkdir()
        os.symlink(self.folder / "store", TASKS)
        for place in (TASKS / "0123456789ab/video.mp4", "store/0123456789ab/x.mp4", "page.html"):
            self.ends(self.go("-o", str(place)), 2, "output")
        self.assertEqual((service.posts, os.listdir("store")), ([], []))

    def test_no_copy_of_a_video_goes_where_a_task_lies_whatever_its_folder_is_called(self):
        self.serve()
        task = self.ends_with_video(self.go())["task_path"]
        Path("moved").mkdir()
        shutil.move(str(TASKS), "moved/of-last-week")
        old = next(Path("moved/of-last-week").glob("*/video.mp4"))
        before = old.read_bytes()
        self.write("request.json", other(style_level="calm"))
        self.ends(self.go("-o", str(old)), 2, "output")
        self.assertEqual((old.read_bytes(), Path(task).exists()), (before, False))


class Place(GenerationCase):
    """The folder of evidence that a FILE belongs to is the real one, however it is reached."""

    def setUp(self):
        super().setUp()
        self.real = self.folder / "output/aliyun-emo"
        for name in ("requests", "detections"):
            (self.real / name).mkdir()
            (self.real / name / "3f9a12c07b1e.json").write_text(json.dumps(REQUEST))
        (self.folder / "x/y").mkdir(parents=True)

    def symlink(self, target, place):
        """Make a symbolic link at `place`, both below the test's folder."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(self.folder / target, path)
        return path

    def check(self, path, expected, folder="."):
        """Assert that what is written for the FILE `path` goes where it is `expected`."""
        os.chdir(self.folder / folder)
        try:
            found = requests.evidence_of(path)
            self.assertEqual(os.path.realpath(found), str(self.folder / expected))
        finally:
            os.chdir(self.folder)
        return found

    def test_it_is_the_folder_of_the_file_or_that_around_its_room(self):
        for path in ("request.json", "requests/3f9a12c07b1e.json", "detections/3f9a12c07b1e.json"):
            for given, folder in (
                (f"output/aliyun-emo/{path}", "."),
                (f"./output//aliyun-emo/./{path}", "."),
                (f"output/x/../aliyun-emo/{path}", "."),
                (f"../../output/aliyun-emo/{path}", "x/y"),
                (path, "output/aliyun-emo"),
                (f"./{path}", "output/aliyun-emo"),
                (str(self.real / path), "x/y"),
            ):
                with self.subTest(given, folder=folder):
                    (self.real.parent / "x").mkdir(exist_ok=True)
                    self.check(given, "output/aliyun-emo", folder)
        self.check("3f9a12c07b1e.json", "output/aliyun-emo", "output/aliyun-emo/requests")
        self.check("../request.json", "output/aliyun-emo", "output/aliyun-emo/requests")

    def test_folders_of_a_project_that_are_called_alike_are_no_evidence(self):
        for name in ("tasks", "requests", "tasks/build", "tasks/0123456789ab"):
            (self.folder / name).mkdir(exist_ok=True)
        self.check("request.json", "output/aliyun-emo")
        self.check("requests/x.json", "output/aliyun-emo")

    def test_of_a_copy_a_request_is_paid_for_once(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        shutil.copytree(self.real, self.folder / "output/backup")
        for path in ("output/backup/request.json", "output/backup/requests/x.json"):
            shutil.copy(FILE, path)
            self.ends(self.call_run(path, "--no-wait"), 0)
            self.check(path, "output/aliyun-emo")
        self.assertEqual(len(service.posts), 1)

    def test_a_file_that_lies_elsewhere_belongs_to_the_output_folder(self):
        for path in (
            *("loose.json", "-", "x/requests/a.json", "requests/a.json", "aliyun-emo.json"),
            *("output/aliyun-emo/tasks/request.json", "output/aliyun-emo/requests/deep/a.json"),
            *("output/aliyun-emo/previews/a.json", "output/not-aliyun-emo/request.json"),
        ):
            with self.subTest(path):
                file = self.folder / path
                if path != "-":
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(REQUEST))
                found = self.check(path, "output/aliyun-emo")
                self.assertEqual(found, os.path.join("output", "aliyun-emo", ""))
                os.environ["OUTPUT_DIR"] = "evidence"
                self.check(path, "evidence/aliyun-emo")
                del os.environ["OUTPUT_DIR"]

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_links_on_the_way_do_not_change_it(self):
        os.environ["OUTPUT_DIR"] = "o"
        self.symlink("output/aliyun-emo/request.json", "mine.json")
        self.symlink("output/aliyun-emo/requests/3f9a12c07b1e.json", "x/one.json")
        self.symlink("output/aliyun-emo", "current")
        self.symlink("output", "results")
        self.symlink("output/aliyun-emo/requests", "wanted")
        self.symlink("output/aliyun-emo/request.json", "b/aliyun-emo/request.json")
        self.symlink("mine.json", "chain.json")
        for path in (
            *("mine.json", "x/one.json", "chain.json", "current/request.json"),
            *("results/aliyun-emo/request.json", "wanted/3f9a12c07b1e.json"),
            *("current/requests/3f9a12c07b1e.json", "current/detections/3f9a12c07b1e.json"),
            "b/aliyun-emo/request.json",
        ):
            with self.subTest(path):
                self.check(path, "output/aliyun-emo")
                self.check(str(self.folder / path), "output/aliyun-emo", "x/y")
                self.check(os.path.join("..", "..", path), "output/aliyun-emo", "x/y")

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_a_folder_of_this_name_that_is_itself_a_link_is_what_it_leads_to(self):
        os.environ["OUTPUT_DIR"] = "o"
        for name in ("store/emo", "store/emo/requests", "elsewhere"):
            (self.folder / name).mkdir(parents=True)
        for name in ("store/emo/request.json", "store/emo/requests/a.json", "elsewhere/a.json"):
            (self.folder / name).write_text(json.dumps(REQUEST))
        self.symlink("store/emo", "out/aliyun-emo")
        self.symlink("elsewhere", "output/aliyun-emo/wanted")
        self.symlink("elsewhere/a.json", "output/aliyun-emo/loose.json")
        self.symlink("elsewhere", "kept/aliyun-emo/requests")
        for path, expected in (
            ("out/aliyun-emo/request.json", "store/emo"),
            ("out/aliyun-emo/requests/a.json", "store/emo"),
            ("output/aliyun-emo/loose.json", "output/aliyun-emo"),
            ("kept/aliyun-emo/requests/a.json", "kept/aliyun-emo"),
        ):
            with self.subTest(path):
                self.check(path, expected)
                self.check(str(self.folder / path), expected, "x/y")
                self.check(os.path.join("..", "..", path), expected, "x/y")

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_two_dots_behind_a_link_lead_where_the_system_says(self):
        os.environ["OUTPUT_DIR"] = "o"
        for name in ("far/deep", "far/store", "aliyun-emo"):
            (self.folder / name).mkdir(parents=True)
        for name in ("far/store/request.json", "aliyun-emo/request.json"):
            (self.folder / name).write_text(json.dumps(REQUEST))
        self.symlink("far/deep", "link")
        self.symlink("far/store", "far/aliyun-emo")
        for name in ("a folder", "a link"):
            with self.subTest(f"what stands where the words would lead is {name}"):
                self.check("link/../aliyun-emo/request.json", "far/store")
            if name == "a folder":
                shutil.rmtree("aliyun-emo")
                self.symlink("x", "aliyun-emo")

    def test_paths_on_stdout_are_as_they_were_typed_where_that_leads_there(self):
        real = str(self.real)
        for path, folder, expected in (
            ("output/aliyun-emo/request.json", ".", "output/aliyun-emo"),
            ("./output/aliyun-emo/request.json", ".", "./output/aliyun-emo"),
            ("output/aliyun-emo/requests/3f9a12c07b1e.json", ".", "output/aliyun-emo"),
            ("../../output/aliyun-emo/request.json", "x/y", "../../output/aliyun-emo"),
            (f"{real}/request.json", "x/y", real),
            ("./request.json", "output/aliyun-emo", "."),
            ("request.json", "output/aliyun-emo", ""),
            ("requests/3f9a12c07b1e.json", "output/aliyun-emo", ""),
        ):
            with self.subTest(path, folder=folder):
                self.assertEqual(self.check(path, "output/aliyun-emo", folder), expected)
        if POSIX:
            self.symlink("output/aliyun-emo", "current")
            self.assertEqual(self.check("current/request.json", "output/aliyun-emo"), real)

    def test_a_run_from_within_the_folder_is_like_any_other(self):
        self.serve()
        (self.real / "detect_request.json").write_text(json.dumps(PLAIN_DETECTION))
        os.chdir(self.real)
        self.addCleanup(os.chdir, self.folder)
        left = [Path(emo.temporary_name()), Path("requests", emo.temporary_name())]
        for path in left:
            path.write_text("half")
            os.utime(path, (0, 0))
        line = self.ends_with_video(self.call_run("request.json"))
        self.assertEqual(Path(line["video_path"]).resolve().parents[1], self.real / "tasks")
        line = self.ends(self.call_run("detect_request.json"), 0).line
        self.assertEqual(Path(line["detection_path"]).resolve(), self.real / "detection.json")
        self.assertEqual([path for path in left if path.exists()], [])

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_whatever_way_a_file_is_reached_it_is_paid_for_once(self):
        service = self.serve()
        current = self.symlink("output/aliyun-emo", "current")
        mine = self.symlink("output/aliyun-emo/request.json", "x/mine.json")
        first = self.ends_with_video(self.go())
        (name,) = self.folders()
        self.write(f"requests/{name}.json", REQUEST)
        self.assertEqual(first["video_path"], os.path.join(str(TASKS), name, "video.mp4"))
        os.chdir("x/y")
        try:
            for path in (
                *(str(current / "request.json"), str(mine), "../mine.json"),
                *("../../current/request.json", f"../../current/requests/{name}.json"),
                str(self.real / "detections/3f9a12c07b1e.json"),
            ):
                with self.subTest(path):
                    line = self.ends_with_video(self.go(file=path))
                    self.assertIs(line["already_submitted"], True)
                    self.assertEqual(line["task_id"], first["task_id"])
                    for key in ("task_path", "video_path", "response_path"):
                        self.assertTrue(os.path.samefile(line[key], self.folder / first[key]), key)
            self.assertEqual(os.listdir(), [])
        finally:
            os.chdir(self.folder)
        self.assertEqual((len(service.posts), self.folders()), (1, [name]))

    def test_a_detection_is_kept_beside_its_request(self):
        self.serve()
        (self.real / "detections/3f9a12c07b1e.json").write_text(json.dumps(PLAIN_DETECTION))
        path = os.path.join("output", "aliyun-emo", "detections", "3f9a12c07b1e.json")
        for given, folder in ((path, "."), (str(self.folder / path), "x/y")):
            with self.subTest(given):
                os.chdir(self.folder / folder)
                line = self.ends(self.call_run(given), 0).line
                kept = self.real / "detection.json"
                self.assertTrue(os.path.samefile(line["detection_path"], kept))
                os.chdir(self.folder)
                kept.unlink()

    def test_a_request_on_stdin_belongs_to_the_output_folder(self):
        service = self.serve()
        given = json.dumps(REQUEST).encode()
        for folder, name in ((".", "output"), (".", "evidence"), ("x/y", "output")):
            with self.subTest(folder, name=name):
                os.chdir(self.folder / folder)
                words = ("-", "--no-wait")
                result = self.run_script(*words, script=RUN, input=given, OUTPUT_DIR=name)
                path = self.ends(result, 0).line["task_path"]
                self.assertEqual(Path(path).parts[:3], (name, "aliyun-emo", "tasks"))
                self.assertTrue(os.path.isfile(path))
                os.chdir(self.folder)
        self.assertEqual(len(service.posts), 3)

    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_a_folder_that_was_walked_into_through_a_link_is_the_same(self):
        service = self.serve()
        Path("store").mkdir()
        Path("linked").mkdir()
        os.symlink(self.folder / "store", "linked/aliyun-emo")
        Path("store/request.json").write_text(json.dumps(REQUEST))
        first = self.ends(self.call_run("linked/aliyun-emo/request.json", "--no-wait"), 0).line
        os.chdir("linked/aliyun-emo")
        os.environ["PWD"] = str(self.folder / "linked/aliyun-emo")
        again = self.ends(self.call_run("request.json", "--no-wait"), 0).line
        self.assertEqual(again["task_id"], first["task_id"])
        self.assertEqual(len(service.posts), 1)
        os.chdir(self.folder)  # PWD of another folder counts for nothing
        elsewhere = os.path.join("output", "aliyun-emo", "")
        self.assertEqual(requests.evidence_of("loose.json"), elsewhere)


if __name__ == "__main__":
    unittest.main()
