"""The scripted service itself: what it takes, and that it takes nothing else."""

import contextlib
import json
import os
import ssl
import unittest
import urllib.error
import urllib.request

from support import REQUEST, Case
from support.service import (
    FORM,
    KEY,
    PORTRAIT,
    SPEECH,
    SPEECH_WAV,
    Service,
    policy_with,
    store_fails,
)

MODEL = "emo-v1"
POLICY = f"/api/v1/uploads?action=getPolicy&model={MODEL}"
CALLS = [f"/api/v1/services/aigc/image2video/{name}" for name in ("face-detect", "video-synthesis")]
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
RESOLVES = {"X-DashScope-OssResourceResolve": "enable"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=limit"}


class ScriptedService(Case):
    def setUp(self):
        super().setUp()
        services = contextlib.ExitStack()
        self.addCleanup(services.close)
        lost = store_fails(404, "NoSuchKey", "The <key> does not exist.")
        self.service = services.enter_context(Service(links={"lost.png": lost}))
        os.environ.update(self.service.environment)

    def ask(self, link, data=None, headers=None):
        """Return status and body of what a path here answers, or by way of the proxy a link."""
        proxies = {} if link.startswith("/") else None
        url = self.service.root + link if link.startswith("/") else link
        opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
        try:
            with opener.open(urllib.request.Request(url, data, headers or {}), timeout=20) as came:
                return came.status, came.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def form(self, model=MODEL):
        """Return the fields of an upload with a new policy."""
        data = json.loads(self.ask(POLICY.replace(MODEL, model), None, AUTHORIZED)[1])["data"]
        fields = {field: data.get(member, "").encode() for field, member in FORM.items()}
        key = f"{data['upload_dir']}/portrait.png".encode()
        return {**fields, "key": key, "success_action_status": b"200", "file": PORTRAIT}

    def upload(self, fields, end=b"", **headers):
        """Return status and body of what the store answers to `fields`, pairs of name and value."""
        body = b""
        for name, value in fields:
            filename = '; filename="portrait.png"' if name == "file" else ""
            head = f'--limit\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
            body += head.encode() + value + b"\r\n"
        return self.ask("/", body + b"--limit--\r\n" + end, {**MULTIPART, **headers})

    def test_policies(self):
        for name, path, headers, data, expected in (
            ("no key", POLICY, {}, None, (401, "InvalidApiKey")),
            ("another key", POLICY, {"Authorization": "Bearer x"}, None, (401, "InvalidApiKey")),
            ("POST", POLICY, AUTHORIZED, b"{}", (400, "InvalidParameter")),
            ("no model", POLICY[: -len(MODEL)], AUTHORIZED, None, (400, "InvalidParameter")),
            ("two models", f"{POLICY}&model=x", AUTHORIZED, None, (400, "InvalidParameter")),
            ("action", POLICY.replace("P", "p"), AUTHORIZED, None, (400, "InvalidParameter")),
        ):
            with self.subTest(name):
                status, body = self.ask(path, data, headers)
                self.assertEqual((status, json.loads(body)["code"]), expected)
        self.assertEqual(self.service.policies, {})
        first, second = self.form(), self.form("emo-detect-v1")
        for field in ("policy", "Signature", "key"):
            self.assertNotEqual(first[field], second[field])
        models = [model for model, _ in self.service.policies.values()]
        self.assertEqual(models, [MODEL, "emo-detect-v1"])

    def test_an_upload_that_is_not_as_documented_is_refused(self):
        good, foreign = self.form(), self.form()
        pairs = list(good.items())
        rows = [
            ("an unknown field", [("x", b"1"), *pairs], 400),
            ("another status", {**good, "success_action_status": b"204"}.items(), 400),
            ("another key id", {**good, "OSSAccessKeyId": b"LTAI"}.items(), 403),
            ("public", {**good, "x-oss-object-acl": b"public-read"}.items(), 403),
            ("a folder more", {**good, "key": good["key"] + b"/a"}.items(), 403),
        ]
        for name in FORM:
            others = [pair for pair in pairs if pair[0] != name]
            rows += [
                (f"no {name}", others, 400),
                (f"an empty {name}", {**good, name: b""}.items(), 400),
                (f"two {name}", [(name, good[name]), *pairs], 400),
            ]
            if name != "file":
                rows.append((f"{name} after file", [*others, (name, good[name])], 400))
            if name in ("Signature", "policy", "key"):
                rows.append((f"another {name}", {**good, name: foreign[name]}.items(), 403))
        for name, fields, status in rows:
            with self.subTest(name):
                came, body = self.upload(fields)
                self.assertEqual(came, status, body)
                self.assertRegex(body, rb"^<\?xml .*\n<Error>\n  <Code>[A-Z]")
        for options in (
            AUTHORIZED,
            {"Content-Type": "application/x-www-form-urlencoded"},
            {"Content-Type": "multipart/form-data; boundary=x"},
            {"end": b"x"},
        ):
            with self.subTest(options):
                self.assertEqual(self.upload(pairs, **options)[0], 400)
        self.assertEqual(self.service.store, {})

    def test_an_upload(self):
        good = {"x-oss-content-type": b"image/png", **self.form()}
        self.assertEqual(self.upload(good.items()), (200, b""))
        self.assertEqual(self.service.store, {good["key"].decode(): (MODEL, PORTRAIT)})
        self.assertIn(b"FileAlreadyExists", self.upload(good.items())[1])
        self.service.script["uploads"] = [policy_with(max_file_size_mb="1", signature=None)]
        self.assertEqual(self.form()["Signature"], b"")
        self.service.script["uploads"] = [policy_with(max_file_size_mb="1")]
        for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 400)):
            self.assertEqual(self.upload({**self.form(), "file": bytes(size)}.items())[0], status)
        self.assertEqual(len(self.service.uploads), 4)

    def test_links_of_a_body(self):
        for model in (MODEL, "emo-detect-v1"):
            self.upload(self.form(model).items())
        key, other = self.service.store
        for name, headers, link, more, expected in (
            ("uploaded", RESOLVES, f"oss://{key}", {}, None),
            ("public", {}, "HTTPS://example.com/portrait.png", {}, None),
            ("not to be resolved", {}, f"oss://{key}", {}, "invalid_parameter_error"),
            ("of another model", RESOLVES, f"oss://{other}", {}, "invalid_parameter_error"),
            ("of nobody", RESOLVES, "oss://x/y.png", {}, "invalid_parameter_error"),
            ("oss in capitals", RESOLVES, f"OSS://{key}", {}, "InvalidParameter"),
            ("a local file", {}, "file:///x.png", {}, "InvalidParameter"),
            ("a path", {}, "x.png", {}, "InvalidParameter"),
            ("a member more", {}, "https://example.com/x", {"file": ""}, "InvalidParameter"),
        ):
            for path in CALLS:
                with self.subTest(name, path=path):
                    body = {**REQUEST, "input": {"image_url": link}, **more}
                    body["parameters"] = {"ratio": "1:1"}
                    status, answer = self.ask(path, json.dumps(body).encode(), headers)
                    self.assertEqual(status, 400 if expected else 200)
                    self.assertEqual(json.loads(answer).get("code"), expected)
        self.assertEqual(len(self.service.tasks), 2)

    def test_the_public_internet(self):
        for host in ("https://example.com", "https://b.example.com", "http://emo.invalid"):
            for path, expected in (
                ("/portrait.png?x=1", (200, PORTRAIT)),
                ("/a/portrait", (200, PORTRAIT)),
                ("/speech.mp3", (200, SPEECH)),
                ("/speech.wav?Expires=1", (200, SPEECH_WAV)),
            ):
                with self.subTest(host + path):
                    self.assertEqual(self.ask(host + path), expected)
                    self.assertEqual(self.service.looks[-1].url, host + path)
            self.assertEqual(self.ask(f"{host}/x.zip")[0], 404)
            self.assertIn(b"&lt;key&gt;", self.ask(f"{host}/lost.png?x")[1])
            self.assertEqual(self.ask(f"{host}/x.png", b"x")[0], 405)
        self.assertEqual(self.service.seen, [])

    def test_the_certificate_is_of_some_hosts_and_of_no_public_authority(self):
        for host, authority in (("example.net", os.environ["SSL_CERT_FILE"]), ("example.com", "")):
            os.environ["SSL_CERT_FILE"] = authority
            with self.subTest(host), self.assertRaises(urllib.error.URLError) as caught:
                self.ask(f"https://{host}/portrait.png")
            self.assertIsInstance(caught.exception.reason, ssl.SSLCertVerificationError)


if __name__ == "__main__":
    unittest.main()
