"""A prepared request that is read again: what is refused in it, and its name."""

import copy
import json
import os
import shutil
import unittest
from pathlib import Path

from support import AUDIO_URL, IMAGE_URL, REQUEST, Case, arguments, emo, preview, run
from support.service import PORTRAIT, SPEECH, fixture
from support.service_case import DETECTION, EVIDENCE, FILE, TASKS, GenerationCase, other
from support.upload_case import UploadCase, digest_of

from aliyun_emo import links, requests

NOW = 1_767_225_600  # seconds since 1970: the first of January 2026
HOUR = 3600
ABSENT = object()


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


if __name__ == "__main__":
    unittest.main()
