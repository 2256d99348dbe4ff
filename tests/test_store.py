"""The temporary store: local files go there first, and only then is anything paid."""

import contextlib
import json
import os
import re
import socket
import time
import unittest
from functools import partial
from itertools import product
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs, quote, urlsplit

from support import AUDIO_URL, IMAGE_URL, NAME, REQUEST, RUN, emo
from support.service import (
    KEY,
    PORTRAIT,
    SPEECH,
    Proxy,
    drip,
    fails,
    fixture,
    policy,
    policy_with,
    raw,
    refuses,
    reset,
    says,
    stall,
    store_fails,
    stored,
)
from support.service_case import DETECTION, FILE, KEYS, POSIX, TASKS
from support.upload_case import DETECT, KEPT, MIB, PRICE, UploadCase, digest_of

from aliyun_emo import settings
from aliyun_emo import store as room

RESOLVE = "X-DashScope-OssResourceResolve"
FIELDS = [
    *("policy", "signature", "upload_dir", "upload_host", "max_file_size_mb"),
    *("oss_access_key_id", "x_oss_object_acl", "x_oss_forbid_overwrite"),
]
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>"
OLD = b"<Message>Invalid according to Policy: Policy expired.</Message></Error>"
EXPIRED = store_fails(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
BUSY = store_fails(503, "ServiceUnavailable", "Please reduce your request rate.")


def send_as(handler, status, *_):
    """Send the first line of an answer with another `status`."""
    type(handler).send_response_only(handler, status)


class SlowStore(Proxy):
    """A store, while it is used as a context, that reads at leisure, and answers 200 at the end.

    It rests before each of the bytes numbered in `rests`, by default for ever.
    """

    def __init__(self, *rests, rest=None):
        super().__init__(b"")
        self.rests, self.rest = rests, rest or self.ended.wait
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    def speak(self, line):
        with line, line.makefile("rb") as file, contextlib.suppress(OSError):
            head = b"".join(iter(file.readline, b"\r\n")).decode().lower()
            left, at = int(re.search(r"content-length: (\d+)", head)[1]), 0
            for stop in (*self.rests, left):
                file.read(stop - at)
                at = stop
                if stop != left:
                    self.rest()
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Uploading(UploadCase):
    def test_both_files_go_up_and_the_request_leaves_with_their_links_in_the_store(self):
        service = self.serve()
        result = self.go()
        line = self.ends_with_video(result)
        self.assertEqual(list(line), ["ok", *KEYS, "warnings"])
        self.assertEqual((line["estimate"], line["warnings"]), (PRICE, []))
        self.saw(service, policies=2, uploads=2, generations=1)
        *before, post = service.seen[:5]
        self.assertEqual([handler.command for handler in before], ["GET", "POST"] * 2)
        self.assertIn("video-synthesis", post.path)
        self.assertEqual(post.headers[RESOLVE], "enable")
        links = {content: f"oss://{key}" for key, (_, content) in service.store.items()}
        self.assertEqual(set(links), {PORTRAIT, SPEECH})
        names = {"image_url": links[PORTRAIT], "audio_url": links[SPEECH]}
        sent = {**REQUEST, "input": {**REQUEST["input"], **names}}
        self.assertEqual(json.loads(post.body), sent)
        self.assertEqual({model for model, _ in service.store.values()}, {"emo-v1"})
        record = self.kept()
        self.assertEqual(record["request"], json.loads(Path(FILE).read_text("utf-8")))
        digests = {"image_url": digest_of(PORTRAIT), "audio_url": digest_of(SPEECH)}
        self.assertEqual(record["request"]["files"], digests)
        self.assertEqual(record["sent"], sent)
        self.assert_no_rights(service, result)

    def test_a_detection_uploads_its_picture_and_keeps_what_was_asked_and_what_was_sent(self):
        service = self.serve()
        result = self.ends(self.call_run(DETECT), 0)
        self.assertEqual(result.line["detection_path"], KEPT)
        self.saw(service, policies=1, uploads=1, detections=1)
        ((key, (model, content)),) = service.store.items()
        self.assertEqual((model, content), ("emo-detect-v1", PORTRAIT))
        post = service.posts[-1]
        self.assertEqual(post.headers[RESOLVE], "enable")
        sent = {**DETECTION, "model": "emo-detect-v1", "input": {"image_url": f"oss://{key}"}}
        self.assertEqual(json.loads(post.body), sent)
        record = json.loads(Path(KEPT).read_text("utf-8"))
        self.assertEqual(list(record), ["saved_at", "request", "sent", "response"])
        self.assertEqual(record["request"], json.loads(Path(DETECT).read_text("utf-8")))
        self.assertEqual(record["request"]["files"], {"image_url": digest_of(PORTRAIT)})
        self.assertEqual((record["sent"], record["response"]), (sent, fixture("detection-pass")))
        self.assert_no_rights(service, result)

    def test_the_picture_goes_up_once_for_each_of_the_two_models(self):
        service = self.serve()
        self.ends(self.call_run(DETECT), 0)
        self.prepare(face_bbox=None, ext_bbox=None, detection=KEPT)
        self.ends_with_video(self.go())
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)
        self.assertEqual(
            [(model, content == PORTRAIT) for model, content in service.store.values()],
            [("emo-detect-v1", True), ("emo-v1", True), ("emo-v1", False)],
        )
        self.assertEqual(len({data["policy"] for _, data in service.policies.values()}), 3)

    def test_a_policy_is_for_the_model_of_the_body(self):
        service = self.serve()
        self.prepare(model="ann/emo:v1")
        self.ends_with_video(self.go())
        self.detect(model="ann/detect:v1")
        self.ends(self.call_run(DETECT), 0)
        queries = [parse_qs(urlsplit(h.path).query) for h in service.of(path="/uploads?")]
        models = ["ann/emo:v1", "ann/emo:v1", "ann/detect:v1"]
        self.assertEqual([query["model"] for query in queries], [[model] for model in models])

    def test_a_file_and_a_link_go_together(self):
        service = self.serve()
        for options, field, link in (
            ({"image": None, "image_url": IMAGE_URL}, "image_url", IMAGE_URL),
            ({"audio": None, "audio_url": AUDIO_URL}, "audio_url", AUDIO_URL),
        ):
            with self.subTest(field):
                service = self.serve()
                self.clear()
                self.prepare(**options)
                self.assertEqual(self.ends_with_video(self.go())["estimate"], PRICE)
                self.saw(service, policies=1, uploads=1, generations=1, looks=1)
                sent = json.loads(service.posts[-1].body)["input"]
                others = [name for name in ("image_url", "audio_url") if name != field]
                self.assertEqual(sent[field], link)
                self.assertEqual([sent[name][:6] for name in others], ["oss://"])
                self.assertEqual(service.posts[-1].headers[RESOLVE], "enable")

    def test_without_local_files_nothing_is_uploaded_or_to_be_resolved(self):
        service = self.serve()
        self.write("request.json", REQUEST)
        self.write("detect_request.json", DETECTION)
        self.ends_with_video(self.go())
        self.ends(self.call_run(DETECT), 0)
        self.saw(service, detections=1, generations=1, looks=2)
        for post in service.posts:
            self.assertNotIn(RESOLVE, post.headers)

    def test_tasks_is_empty_until_the_uploads_are_done(self):
        found = []

        def look(answer):
            def looking(handler):
                found.append(list(TASKS.iterdir()) if TASKS.exists() else [])
                answer(handler)

            return looking

        service = self.serve(uploads=[look(policy)], store=[look(stored)])
        self.ends_with_video(self.go())
        self.assertEqual(found, [[]] * 4)
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_the_key_and_the_folder_of_a_file_never_go_to_the_store(self):
        service = self.serve()
        self.ends_with_video(self.go())
        for upload in service.uploads:
            told = f"{upload.path} {upload.headers}".encode() + upload.body
            self.assertNotIn("Authorization", upload.headers)
            for words in (KEY, "album", self.folder.name, "file:"):
                self.assertNotIn(words.encode(), told)
        for handler in service.of(path="/uploads?"):
            self.assertEqual(handler.headers["Authorization"], f"Bearer {KEY}")
            self.assertNotIn("portrait", handler.path)

    def test_an_https_store_is_reached_by_way_of_the_proxy_and_without_the_key(self):
        service = self.serve(
            uploads=[policy_with(upload_host="https://a.oss-cn-beijing.aliyuncs.com")]
        )
        result = self.ends(self.go(), 3, "service")  # the scripted one takes no POST there
        (upload,) = service.looks
        self.assertEqual((upload.command, upload.path), ("POST", "/"))
        self.assertEqual(upload.url, "https://a.oss-cn-beijing.aliyuncs.com/")
        self.assertIn(PORTRAIT, upload.body)
        self.assertNotIn("Authorization", upload.headers)
        self.assertNotIn(KEY.encode(), upload.body)
        self.paid_nothing(service, result)

    def test_a_file_is_named_for_its_content_and_with_what_is_safe_of_its_own_name(self):
        names = ["hello world.png", "a+b%2e%2E.png", "-rf.png", ".hidden.png", "x" * 200 + ".png"]
        names += ["$(id)`'!.png", "a..b~.PNG", "100%.png", "png"]
        if NAME == "\u00fc":
            names += ["\u80d6\u50cf \u00fc.png", "\u80d6\u50cf", "\u202egnp.png", "e\u0301.png"]
        if POSIX:
            names += ['a"b\r\nX: y\\z.png', "\x1b[2J?*<>|:.png"]
        service = self.serve()
        for name in names:
            with self.subTest(name):
                self.image = self.save(name, PORTRAIT + name.encode())
                self.detect()
                self.ends(self.call_run(DETECT), 0)
                *_, (key, (_, content)) = service.store.items()
                self.assertEqual(content, PORTRAIT + name.encode())
                start, _, rest = key.rpartition("/")[2].partition("-")
                self.assertEqual(start, digest_of(content)[:12])
                self.assertRegex(rest, r"^[A-Za-z0-9._-]{1,200}$")
                if name.endswith(".png"):
                    self.assertTrue(rest.endswith(".png"), rest)
        for name in ("portrait.png", "me_2.v1-x.png"):
            self.image = self.save(name, PORTRAIT)
            self.detect()
            self.ends(self.call_run(DETECT), 0)
            self.assertEqual(list(service.store)[-1].rpartition("/")[2][12:], f"-{name}")

    def test_stderr_tells_each_upload_with_sizes_and_then_what_is_paid_for(self):
        service = self.serve()
        result = self.ends(self.go(), 0)
        image, audio, paying, *_ = lines = result.stderr.splitlines()
        for line, name, size in ((image, "portrait.png", "4"), (audio, "speech.mp3", "12")):
            self.assertRegex(line, rf"{re.escape(name)}.*\b{size}\b.*(kB|KB|KiB)", lines)
            self.assertNotIn("album", line)
        self.assertIn("about CNY 0.99 for 12.38 s", paying)
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_a_dry_run_uploads_nothing(self):
        service = self.serve()
        before = self.files()
        result = self.ends(self.go("--dry-run", terminal=True), 0)
        self.assertIs(result.line["would_send"], True)
        self.assertEqual(result.line["estimate"], PRICE)
        self.assertIn("CNY 0.99", result.stderr)
        self.assertNotIn("files", result.line["request"])
        self.ends(self.call_run(DETECT, "--dry-run"), 0)
        self.assertEqual((self.files(), service.seen, service.looks), (before, [], []))

    def test_another_attempt_uploads_anew(self):
        service = self.serve()
        self.ends_with_video(self.go())
        self.ends_with_video(self.go("--attempt", "2"))
        self.saw(service, policies=4, uploads=4, generations=2)
        first, second = (self.kept(folder=folder) for folder in self.folders())
        self.assertEqual(first["request"], second["request"])
        self.assertNotEqual(first["sent"], second["sent"])
        self.assert_all_videos_are_their_own()

    def test_no_wait_and_timeout_0_upload_as_well(self):
        for words, code in ((["--no-wait"], 0), (["--timeout", "0"], 5)):
            with self.subTest(words):
                service = self.serve()
                self.clear()
                self.ends(self.go(*words), code)
                self.saw(service, policies=2, uploads=2, generations=1)

    def test_the_whole_way_as_processes(self):
        service = self.serve()
        self.ends(self.run_script(DETECT, script=RUN), 0)
        result = self.run_script(FILE, "--interval", "0.05", script=RUN)
        self.ends_with_video(result)
        self.saw(service, policies=3, uploads=3, detections=1, generations=1)
        self.assert_no_rights(service, result)


class Faults(UploadCase):
    """What goes wrong on the way to the store: nothing is paid for."""

    def check(self, script, policies, uploads, code, words, run=None):
        """Check a row: `words` are in the error's text, and a run later ends well."""
        self.clear()
        Path(KEPT).unlink(missing_ok=True)
        service = self.serve(**{route: list(answers) for route, answers in script.items()})
        with self.patience():
            result = (run or self.go)()
        self.ends(result, code, *(["service"] if code else []))
        self.assertLessEqual(sum(self.clock.slept), 30)
        self.assert_no_rights(service, result)
        paid = {"detections" if run else "generations": 0 if code else 1}
        self.saw(service, policies=policies, uploads=uploads, **paid)
        if not code:
            return result
        self.paid_nothing(service, result)
        (error,) = result.line["errors"]
        self.assertIn(words.lower(), f"{error['message']} {error['hint']}".lower())
        self.assertNotIn("album", str(result))
        if code == 4:
            service.script.update(uploads=[policy], store=[stored])
            again = (run or self.go)()
            self.ends(again, 0)
            self.assertEqual(len(service.of("POST", "/image2video/")), 1)
        return result

    def test_each_answer_in_place_of_a_policy(self):
        late = partial(fails, "error-429", 429)
        expired = refuses(403, "AccessDenied", "Policy expired")
        for name, script, policies, code, words in (
            ("401", [fails("error-401", 401)], 1, 3, "InvalidApiKey"),
            ("403", [refuses(403, "Model.AccessDenied", "no")], 1, 3, "Model.AccessDenied"),
            ("403 expired once", [expired, policy], 3, 0, ""),
            ("403 expired for ever", [expired], 5, 4, "Policy expired"),
            ("404", [refuses(404, "ModelNotFound", "no")], 1, 3, "ModelNotFound"),
            ("404 with no JSON", [raw(404, b"<html>")], 1, 3, "404"),
            ("400", [refuses(400, "InvalidParameter", "no")], 1, 3, "InvalidParameter"),
            ("302", [raw(302, b"", Location="http://example.com/")], 1, 3, "redirects"),
            ("429 once", [late(), policy], 3, 0, ""),
            ("429 for ever", [late()], 5, 4, "Throttling"),
            ("429, 2 s", [late(Retry_After="2"), policy], 3, 0, ""),
            ("429, too long", [late(Retry_After="31"), policy], 1, 4, "Throttling"),
            ("500 once", [raw(500, b""), policy], 3, 0, ""),
            ("503 for ever", [raw(503, b"busy")], 5, 4, "503"),
            ("reset once", [reset, policy], 3, 0, ""),
            ("reset for ever", [reset], 5, 4, "reset"),
            ("stall once", [stall, policy], 3, 0, ""),
            ("stall for ever", [stall], 5, 4, "too long"),
            ("drip", [drip], 5, 4, "cut short"),
            ("no JSON", [raw(200, b"<html>log in")], 1, 4, "policy"),
            ("nothing", [raw(200, b"")], 1, 4, "policy"),
            ("cut", [raw(200, b'{"data": {"pol', Content_Length="500")], 5, 4, "cut short"),
            ("a list", [says(["odd"])], 1, 4, "policy"),
            ("no data", [says({"request_id": "x"})], 1, 4, "policy"),
            ("data null", [says({"data": None})], 1, 4, "policy"),
            ("an error in 200", [says({"code": "Odd", "message": "m"})], 1, 4, "odd: m"),
        ):
            with self.subTest(name):
                self.check({"uploads": script}, policies, 2 if not code else 0, code, words)
                if name == "429, 2 s":
                    self.assertEqual(self.clock.slept[0], 2)

    def test_each_field_that_a_policy_lacks_or_has_as_something_else_is_named(self):
        document = fixture("upload-policy")
        odd = [("max_file_size_mb", word) for word in ("lots", "-1", "1e9", "NaN", "10 MB", -1)]
        rows = [(field, value) for field in FIELDS for value in (None, "", " ", [1], {}, "missing")]
        service = self.serve()
        for count, (field, value) in enumerate(rows + odd, 1):
            with self.subTest(field, value=value):
                data = {**document["data"], field: value}
                if value == "missing":
                    del data[field]
                service.script["uploads"] = [says({**document, "data": data})]
                result = self.ends(self.go(), 4, "service")
                self.saw(service, policies=count)
                self.assertIn(field, result.line["errors"][0]["message"])
                for secret in ("policy", "signature", "oss_access_key_id"):
                    self.assertNotIn(document["data"][secret], str(result))
        self.paid_nothing(service)

    def test_what_is_not_needed_may_be_missing_and_numbers_may_be_text_or_not(self):
        service = self.serve()
        for changes in (
            {"expire_in_seconds": None, "capacity_limit_mb": None, "max_file_size_mb": "1.5"},
            {"expire_in_seconds": 300, "capacity_limit_mb": 999999999, "max_file_size_mb": 100},
            {"expire_in_seconds": "300", "max_file_size_mb": 1.5, "more": {"a": 1}},
        ):
            with self.subTest(changes):
                self.clear()
                service.script["uploads"] = [policy_with(**changes)]
                self.ends_with_video(self.go())

    def test_each_host_to_which_nothing_is_uploaded(self):
        for host in (
            *("http://store.example.com", "HTTP://store.example.com", "http://192.168.1.7"),
            *("http://127.0.0.1.example.com", "http://localhost.example.com", "ftp://127.0.0.1"),
            *("{root}/elsewhere", "{root}/?a=b", "{root}#x", "{root}?"),
            *("http://ann:secret@127.0.0.1:{port}", "https://ann@store.example.com"),
            *("https://", "https://[", "https://store:99999", "//127.0.0.1:{port}", "https:///x"),
            *(
                "127.0.0.1:{port}",
                "not a host",
                "file:///etc/passwd",
                "https://a b",
                "oss://bucket",
            ),
            *("https://store.example.com\\@127.0.0.1", "https://st\u00f6re.example.com"),
        ):
            with self.subTest(host):
                service = self.serve()
                port = service.server_port
                url = host.replace("{root}", service.root).replace("{port}", str(port))
                service.script["uploads"] = [policy_with(upload_host=url)]
                result = self.ends(self.go(), 4, "service")
                self.saw(service, policies=1)
                self.assertNotIn("secret", str(result))
                self.paid_nothing(service, result)

    def test_plain_http_to_this_machine_needs_a_service_on_this_machine(self):
        service = self.serve()
        url = "https://api.example.com/api/v1"
        service.links[f"{url}/uploads"] = policy
        os.environ["DASHSCOPE_BASE_URL"] = url
        result = self.ends(self.go(), 4, "service")
        self.assertEqual([h.command for h in service.looks], ["GET"])
        self.assertEqual(service.seen, [])
        self.paid_nothing(service, result)

    def test_a_slash_behind_the_host_is_no_path(self):
        service = self.serve()
        service.script["uploads"] = [policy_with(upload_host=service.root + "/")]
        self.ends_with_video(self.go())
        self.saw(service, policies=2, uploads=2, generations=1)

    def test_each_answer_of_the_store(self):
        nasty = "no \x1b[2J &lt;b&gt;"
        for name, script, uploads, code, words in (
            # an upload more in each row that ends well: the recording's
            ("reset once", [reset, stored], 3, 0, ""),
            ("reset for ever", [reset], 5, 4, "reset"),
            ("stall once", [stall, stored], 3, 0, ""),
            ("expired once", [EXPIRED, stored], 3, 0, ""),
            ("expired for ever", [EXPIRED], 5, 4, "store: HTTP 403: AccessDenied"),
            ("429 once", [store_fails(429, "Throttling", "slow"), stored], 3, 0, ""),
            ("429 for ever", [store_fails(429, "Throttling", "slow")], 5, 4, ": Throttling"),
            ("429, 3 s", [raw(429, b"", Retry_After="3"), stored], 3, 0, ""),
            ("503, too long", [raw(503, b"", Retry_After="60"), stored], 1, 4, "503"),
            ("500 once", [store_fails(500, "InternalError", "m"), stored], 3, 0, ""),
            ("500 for ever", [store_fails(500, "InternalError", "m")], 5, 4, ": InternalError"),
            ("503 busy", [BUSY], 5, 4, "HTTP 503: ServiceUnavailable"),
            (
                "403",
                [store_fails(403, "AccessDenied", "not yours")],
                1,
                3,
                "store: HTTP 403: AccessDenied",
            ),
            ("400", [store_fails(400, "InvalidArgument", "a < b & c")], 1, 3, ": InvalidArgument"),
            (
                "400, nasty",
                [raw(400, f"<Error><Code>X</Code><Message>{nasty}</Message>".encode())],
                1,
                3,
                "store: HTTP 400: X",
            ),
            ("400, no XML", [raw(400, b"bad gateway")], 1, 3, "expected: ***"),
            ("404", [store_fails(404, "NoSuchBucket", "none")], 1, 3, "NoSuchBucket"),
            ("409", [store_fails(409, "FileAlreadyExists", "is there")], 1, 3, "FileAlreadyExists"),
            ("302", [raw(302, b"", Location="{root}/else")], 1, 3, "302"),
            ("307", [raw(307, b"", Location="https://b.example.com/")], 1, 3, "307"),
            ("200 with a body", [raw(200, b"<html>log in")], 1, 4, "expected: ***"),
            ("204", [raw(204, b"", Content_Type=None)], 1, 4, "204"),
            ("drip", [drip], 5, 4, "cut short"),
            ("403, megabytes", [raw(403, b"x" * 5 * MIB)], 1, 3, "HTTP 403"),
            ("403, code in megabytes", [raw(403, DENIED + b"x" * 5 * MIB)], 1, 3, "AccessDenied"),
            ("403, cut", [raw(403, DENIED, Content_Length="9999")], 1, 3, "403: AccessDenied"),
            ("expired in megabytes", [raw(403, DENIED + OLD + b" " * MIB), stored], 3, 0, ""),
            ("503, megabytes, once", [raw(503, b"x" * MIB), stored], 3, 0, ""),
            ("503, cut, for ever", [raw(503, b"x", Content_Length="9999")], 5, 4, "HTTP 503"),
            ("200, megabytes", [raw(200, b"x" * MIB), stored], 3, 0, ""),
            ("307 of XML", [raw(307, DENIED, Location="/x")], 1, 3, "HTTP 307: AccessDenied"),
            ("no code in XML", [raw(403, b"<Error>no</Error>")], 1, 3, "not as expected: ***"),
            ("a code that is none", [raw(403, b"<Error><Code>a b</Code>")], 1, 3, "expected: ***"),
        ):
            with self.subTest(name):
                policies = uploads
                self.check({"store": script}, policies, uploads, code, words)
                if name == "429, 3 s":
                    self.assertEqual(self.clock.slept[0], 3)

    def test_a_detection_faces_the_same(self):
        go = partial(self.call_run, DETECT)
        for name, script, policies, uploads, code, words in (
            ("401", {"uploads": [fails("error-401", 401)]}, 1, 0, 3, "InvalidApiKey"),
            ("503 for ever", {"uploads": [raw(503, b"busy")]}, 5, 0, 4, "503"),
            ("no JSON", {"uploads": [raw(200, b"<html>")]}, 1, 0, 4, "policy"),
            ("store 500 once", {"store": [raw(500, b""), stored]}, 2, 2, 0, ""),
            ("store 500 for ever", {"store": [raw(500, b"")]}, 5, 5, 4, "500"),
            (
                "store 403",
                {"store": [store_fails(403, "AccessDenied", "no")]},
                1,
                1,
                3,
                "AccessDenied",
            ),
            ("store reset", {"store": [reset, stored]}, 2, 2, 0, ""),
        ):
            with self.subTest(name):
                self.check(script, policies, uploads, code, words, run=go)

    def test_each_try_has_a_policy_and_a_name_of_its_own(self):
        service = self.serve(store=[BUSY, EXPIRED, stored])
        self.ends_with_video(self.go())
        self.saw(service, policies=4, uploads=4, generations=1)
        forms = [upload.body.split(b'name="policy"\r\n\r\n')[1][:64] for upload in service.uploads]
        self.assertEqual(len(set(forms)), 4)
        self.assertEqual(len(service.policies), 4)

    def test_a_store_that_resets_before_it_has_read_all(self):
        service = self.serve()
        service.before_body = True
        result = self.ends(self.go(), 4, "service")
        self.saw(service, policies=5, uploads=5)
        self.paid_nothing(service, result)
        service.before_body = False
        self.ends_with_video(self.go())
        self.saw(service, policies=7, uploads=7, generations=1)

    def test_a_host_that_cannot_be_reached(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        service = self.serve(uploads=[policy_with(upload_host=gone)])
        result = self.ends(self.go(), 4, "service")
        self.assertIn("store", result.line["errors"][0]["message"])
        self.saw(service, policies=5)
        self.paid_nothing(service, result)
        self.refuse_connections()
        self.ends(self.go(), 4, "service")
        self.assertEqual(self.folders(), [])

    def test_a_file_larger_than_the_store_takes_is_refused_with_both_numbers(self):
        large = PORTRAIT + bytes(3 * MIB // 2 - len(PORTRAIT))
        self.image.write_bytes(large)
        self.prepare()
        self.detect()
        for limit in ("1", 1):
            for go in (self.go, partial(self.call_run, DETECT)):
                with self.subTest(limit):
                    service = self.serve(uploads=[policy_with(max_file_size_mb=limit)])
                    result = self.ends(go(), 2, "image_url")
                    (error,) = result.line["errors"]
                    self.assertIn("has 1.50 MiB; the store takes 1 MiB", error["message"])
                    self.saw(service, policies=1)
                    self.paid_nothing(service, result)
        for size, code in ((MIB, 0), (MIB + 1, 2)):
            with self.subTest(size):
                self.clear()
                self.image.write_bytes(PORTRAIT + bytes(size - len(PORTRAIT)))
                self.prepare()
                service = self.serve(uploads=[policy_with(max_file_size_mb="1")])
                self.ends(self.go(), code)
                self.saw(
                    service, policies=2 - code // 2, uploads=2 - code, generations=1 - code // 2
                )

    def test_the_second_file_may_be_the_one_that_fails(self):
        stop = store_fails(403, "AccessDenied", "no")
        for name, script, code in (
            ("its policy", {"uploads": [policy, fails("error-401", 401)]}, 3),
            ("its upload", {"store": [stored, stop]}, 3),
            ("no answer", {"store": [stored, reset]}, 4),
        ):
            with self.subTest(name):
                service = self.serve(**script)
                result = self.ends(self.go(), code, "service")
                self.assertEqual(self.digests_in(service), [digest_of(PORTRAIT)])
                self.paid_nothing(service, result)

    def test_an_upload_whose_answer_is_cut_is_not_done(self):
        for name, answer in (
            ("cut", raw(200, b"", Content_Length="500", Connection="close")),
            (
                "stalled",
                lambda handler: (raw(200, b"", Content_Length="500")(handler), stall(handler)),
            ),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve(store=[answer, stored])
                with self.patience():
                    self.ends_with_video(self.go())
                self.saw(service, policies=3, uploads=3, generations=1)
                service = self.serve(store=[answer])
                self.clear()
                with self.patience():
                    self.ends(self.go(), 4, "service")
                self.saw(service, policies=5, uploads=5)
                self.assertEqual(self.folders(), [])

    def test_a_policy_that_is_cut_is_asked_for_again(self):
        service = self.serve(uploads=[raw(200, b'{"data": {', Content_Length="500"), policy])
        self.ends_with_video(self.go())
        self.assertEqual(len(service.of(path="/uploads?")), 3)

    def test_a_policy_with_characters_that_none_has_is_no_fault_of_this_program(self):
        for changes in (
            {"policy": "\ud800"},
            {"signature": "a\r\nb"},
            {"upload_dir": 'a\r\n"/../\u00fc'},
            {"upload_dir": "/"},
            {"max_file_size_mb": "0." + "0" * 300_000 + "1"},
        ):
            with self.subTest(str(changes)[:40]):
                service = self.serve(uploads=[policy_with(**changes)])
                result = self.ends(self.go(), 4, "service")
                self.assertLess(len(result.stdout), 1000)
                self.saw(service, policies=1)


class Rights(UploadCase):
    """What a policy gives is told in no message."""

    def test_what_the_store_echoes_of_a_policy_is_not_told(self):
        def echo(handler):
            _, data = list(handler.server.policies.values())[-1]
            words = f"<SignatureProvided>{data['signature']}</SignatureProvided>"
            body = f"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>{words}</Error>"
            raw(403, body.encode(), Content_Type="application/xml")(handler)

        service = self.serve(store=[echo])
        result = self.ends(self.go(), 3, "service")
        self.assertIn("SignatureDoesNotMatch", str(result))
        self.paid_nothing(service, result)

    def test_what_the_store_echoes_of_a_policy_is_told_in_no_form(self):
        def echo(handler):
            form = handler.body.decode("latin-1").split('name="')
            values = {part.split('"')[0]: part.split("\r\n")[2] for part in form[1:6]}
            signature, document = values["Signature"], values["policy"]
            for body in bodies:
                text = body.replace("SIGNATURE", signature).replace("POLICY", document)
                raw(403, text.encode())(handler)

        for body in (
            '{"policy": "POLICY", "signature": "SIGNATURE"}',
            "bad policy POLICY with Signature: SIGNATURE",
            "policy=POLICY&Signature=SIGNATURE",
            "<Error><StringToSign>POLICY</StringToSign><SignatureProvided>SIGNATURE</Error>",
        ):
            with self.subTest(body):
                bodies = [body]
                service = self.serve(store=[echo])
                result = self.ends(self.go(), 3, "service")
                self.paid_nothing(service, result)
                self.assertIn("***", result.line["errors"][0]["message"])

    def test_what_the_store_echoes_in_pieces_is_not_told_either(self):
        pieces, lengths, names = [], (6, 19), ("Signature", "policy", "OSSAccessKeyId")
        escapes = (str, str.lower, quote, lambda text: text.replace("=", "&#61;"))
        bodies = (
            "<Error><Code>No</Code><Message>PIECE</Message></Error>",
            "<Error><Message>PIECE</Message></Error>",
            "\ufeff  <?xml version='1.0'?><a>PIECE</a>",
            "no, since PIECE",
            '{"code": "PIECE", "message": "no"}',
            '{"a": ["PIECE"]}',
        )
        service = self.serve(uploads=[policy_with(oss_access_key_id="LTAI5tExampleOfNobody")])
        for length, name, escape, body in product(lengths, names, escapes, bodies):
            with self.subTest(f"{length} of {name} in {body}"):

                def echo(handler, length=length, name=name, escape=escape, body=body):
                    _, data = list(handler.server.policies.values())[-1]
                    pieces.append(escape(data[room.FORM[name]][3 : 3 + length]))
                    raw(403, body.replace("PIECE", pieces[-1]).encode())(handler)

                service.script["store"] = [echo]
                result = self.ends(self.go(), 3, "service")
                words = "No" if "<Code>" in body else "not as expected: ***"
                message = result.line["errors"][0]["message"]
                self.assertEqual(message, f"the temporary store: HTTP 403: {words}")
                self.assertNotIn(pieces[-1], str(result))
        self.paid_nothing(service, result)

    def test_what_the_store_echoes_escaped_is_not_told_either(self):
        for escape in (
            lambda text: text.replace("+", "&#43;").replace("/", "&#47;").replace("=", "&#61;"),
            lambda text: quote(text, safe=" "),
            lambda text: text.lower(),
            lambda text: text[:25],
        ):

            def echo(handler, escape=escape):
                form = handler.body.decode("latin-1").split('name="')
                values = {part.split('"')[0]: part.split("\r\n")[2] for part in form[1:6]}
                secret = escape(values["Signature"] + " " + values["policy"])
                raw(403, f"<Error><Code>No</Code><Message>{secret}</Message></Error>".encode())(
                    handler
                )

            service = self.serve(store=[echo])
            result = self.ends(self.go(), 3, "service")
            self.paid_nothing(service, result)
            message = result.line["errors"][0]["message"]
            self.assertEqual(message, "the temporary store: HTTP 403: No")

    def test_a_policy_is_told_of_no_answer_that_has_one(self):
        for status in (201, 203, 206, 403, 404, 500):
            with self.subTest(status):

                def answer(handler, status=status):
                    handler.send_response_only = partial(send_as, handler, status)
                    policy(handler)

                service = self.serve(uploads=[answer])
                result = self.go()
                self.assertIn(result.code, (3, 4), result)
                self.assertTrue(service.policies)
                self.paid_nothing(service, result)
        for changes in ({"max_file_size_mb": "s3cret"}, {"upload_host": "https://h.cn/s3cret"}):
            self.serve(uploads=[policy_with(**changes)])
            self.assertNotIn("s3cret", str(self.ends(self.go(), 4, "service")))


class Times(UploadCase):
    def test_the_timeout_counts_the_uploads(self):
        for name, script in (
            ("the policy", {"uploads": [stall]}),
            ("the store", {"store": [stall]}),
            ("the second file", {"store": [stored, stall]}),
        ):
            with self.subTest(name):
                service = self.serve(**script)
                with self.patience():
                    result = self.ends(self.go("--timeout", "1"), 4, "service")
                self.assertIn("--timeout is over, give", result.line["errors"][0]["message"])
                self.paid_nothing(service, result)

    def test_a_time_that_is_over_before_anything_was_sent_is_exit_4(self):
        found = self.settings(timeout="100")
        self.assertEqual(room.with_uploads(found, REQUEST), REQUEST)
        self.clock.sleep(100)
        with self.assertRaises(emo.Problem) as caught:
            room.with_uploads(found, REQUEST)
        self.assertEqual((caught.exception.field, caught.exception.code), ("service", 4))
        room.with_uploads(self.settings(timeout="0"), REQUEST)

    def test_where_the_timeout_is_over_with_the_last_upload_nothing_is_paid(self):
        service = self.serve(store=[stored, self.late(stored, 60)])
        result = self.ends(self.go("--timeout", "30"), 4, "service")
        self.paid_nothing(service, result)

    def large_picture(self):
        self.image.write_bytes(PORTRAIT + bytes(12 * MIB))
        self.detect()

    def test_an_upload_that_stalls_ends(self):
        self.large_picture()
        with SlowStore(MIB) as store:
            service = self.serve(uploads=[policy_with(upload_host=store.url)])
            start = time.monotonic()
            with self.patience(0.2), mock.patch("aliyun_emo.service.PAUSES", (1,)):
                result = self.ends(self.call_run(DETECT), 4, "service")
        self.assertLess(time.monotonic() - start, 10)
        self.saw(service, policies=2)
        self.assertIn("too long", result.line["errors"][0]["message"])
        self.paid_nothing(service, result)

    def test_an_upload_that_goes_on_may_take_longer_than_a_stall(self):
        self.large_picture()
        rests = [number * MIB for number in range(1, 12)]
        with SlowStore(*rests, rest=partial(self.clock.slept.append, 5)) as store:
            service = self.serve(uploads=[policy_with(upload_host=store.url)])
            self.call_run(DETECT)
        self.assertGreater(sum(self.clock.slept), settings.READ_TIMEOUT)
        self.saw(service, policies=1, detections=1)


if __name__ == "__main__":
    unittest.main()
