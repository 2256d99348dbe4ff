"""The key, the base URL and the proxies: the key goes to the service alone, and only protected."""

import json
import os
import time
from pathlib import Path
from unittest import mock

from support import NAME
from support.service import KEY, Proxy
from support.service_case import FILE, GenerationCase

from aliyun_emo import settings

REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


def as_given(text):
    """Return `text` as a variable has it, also in a locale that has not all its characters."""
    return os.fsdecode(text.encode())


class BaseUrl(GenerationCase):
    def test_the_base_url_keeps_the_key_safe(self):
        for url, usable in (
            ("https://dashscope.aliyuncs.com/api/v1", True),
            ("https://ws.cn-beijing.maas.aliyuncs.com/api/v1/", True),
            ("http://127.0.0.1:8000", True),
            ("http://localhost/x", True),
            ("http://[::1]:1/", True),
            ("http://dashscope.aliyuncs.com/api/v1", False),
            ("http://127.0.0.1.example.com", False),
            ("http://10.0.0.1/", False),
            ("ftp://127.0.0.1/", False),
            ("file:///etc/passwd", False),
            ("https://", False),
            ("dashscope.aliyuncs.com", False),
            ("https://me:s3cret@example.com/", False),
            ("https://example.com/?k=s3cret", False),
            ("https://example.com/#s3cret", False),
            ("https://example.com:x/", False),
            ("https://exa mple.com/", False),
            ("https://exämple.com/", False),
            ("https://[::1/", False),
        ):
            with self.subTest(url):
                os.environ["DASHSCOPE_BASE_URL"] = as_given(url)
                result = self.go("--dry-run")
                self.ends(result, 0 if usable else 2, *([] if usable else ["base_url"]))
                self.assertNotIn("s3cret", str(result))

    def test_a_slash_at_its_end_changes_nothing(self):
        service = self.serve()
        os.environ["DASHSCOPE_BASE_URL"] = f" {service.base_url}/ "
        self.ends(self.go("--no-wait"), 0)
        self.assertTrue(service.posts[0].path.startswith("/api/v1/services"))


class Key(GenerationCase):
    def test_it_comes_from_the_environment_or_the_credentials_file(self):
        service = self.serve()
        home = self.folder / "home/.alibabacloud"
        home.mkdir(parents=True)
        file = home / "credentials"
        two = "[default]\ndashscope_api_key = sk-file\n[work]\nDashScope_API_Key=sk-work%20x\n"
        for content, environment, profile, sent in (
            (two, "sk-env", None, "sk-env"),
            (two, " sk-env\n", None, "sk-env"),
            (two, "", None, "sk-file"),
            (two, None, None, "sk-file"),
            (two, None, "", "sk-file"),
            (two, None, "work", "sk-work%20x"),
            (two.replace("\n", "\r\n"), None, "work", "sk-work%20x"),
            ("\ufeff" + two, None, None, "sk-file"),
            (two, None, "elsewhere", None),
            ("[default]\n", None, None, None),
            ("[default]\ndashscope_api_key =\n", None, None, None),
            ("", None, None, None),
            ("sk-broken", None, None, None),
            ("[default]\nsk-broken\n[", None, None, None),
            ("[default]\ndashscope_api_key = sk-bröken\n", None, None, None),
            ("[default]\ndashscope_api_key = 'sk-quoted'\n", None, None, None),
            (None, None, None, None),
            (None, "sk-brö", None, None),
            (None, "sk-bro ken", None, None),
            (None, "sk-bro\nken", None, None),
        ):
            with self.subTest(f"{content!r} {environment!r} {profile!r}"):
                self.clear()
                file.unlink(missing_ok=True)
                if content is not None:
                    file.write_bytes(content.encode())
                for name, value in (
                    ("DASHSCOPE_API_KEY", environment),
                    ("ALIBABA_CLOUD_PROFILE", profile),
                ):
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = as_given(value)
                service.seen.clear()
                result = self.go("--no-wait")
                if sent:
                    self.assertEqual(service.posts[0].headers["Authorization"], f"Bearer {sent}")
                    continue
                self.ends(result, 2, "api_key")
                self.assertEqual((service.seen, self.folders()), ([], []))
                self.assertNotIn("sk-", str(result).replace("ask-", ""))
                error = result.line["errors"][0]
                self.assertIn("DASHSCOPE_API_KEY", error["message"] + error["hint"])
                self.assertIn("credentials", error["message"] + error["hint"])

    def test_one_in_quotes_is_refused_with_that_hint(self):
        service = self.serve()
        for quoted in (
            '"sk-x"',
            "'sk-x'",
            '"sk-x',
            "sk-x'",
            "\u201csk-x\u201d",
            "\u2018sk-x\u2019",
        ):
            if NAME == "u" and not quoted.isascii():
                continue  # in an ASCII locale they are bytes that mean nothing
            with self.subTest(quoted):
                os.environ["DASHSCOPE_API_KEY"] = as_given(quoted)
                result = self.ends(self.go(), 2, "api_key")
                self.assertIn("quotes", result.line["errors"][0]["hint"])
                self.assertNotIn("sk-x", str(result))
        self.assertEqual((service.seen, self.folders()), ([], []))
