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


class Proxies(GenerationCase):
    def test_plain_http_to_this_machine_takes_no_proxy(self):
        service = self.serve()
        with Proxy(REFUSED) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                os.environ[name] = proxy.url
            os.environ["no_proxy"] = ""
            for base in (service.base_url, service.base_url.replace("127.0.0.1", "localhost")):
                self.clear()
                os.environ["DASHSCOPE_BASE_URL"] = base
                self.ends_with_video(self.go())
            self.assertEqual(proxy.asked, [])
        os.environ["http_proxy"] = "http://["
        self.clear()
        self.ends_with_video(self.go())

    def through(self, url, **constants):
        """Return the `Result` of a run that should use the proxy `url`."""
        os.environ["DASHSCOPE_BASE_URL"] = "https://emo.invalid/api/v1"
        os.environ["https_proxy"] = url
        with mock.patch.multiple(settings, **{"CONNECT_TIMEOUT": 10, **constants}):
            result = self.go("--no-wait", "--no-look")
        self.ends(result, 4, "service")
        self.assertIn("https_proxy", result.line["errors"][0]["message"].lower())
        self.assertEqual(self.folders(), [])
        self.assertNotIn("state", result.line)
        return result

    def test_a_proxy_that_does_not_connect_means_that_nothing_was_sent(self):
        for name, answer in (
            ("407", REFUSED),
            ("403", b"HTTP/1.1 403 Forbidden\r\n\r\n<html>no"),
            ("502", b"HTTP/1.0 502 Bad Gateway\r\n\r\n"),
            ("nonsense", b"hello\r\n"),
            ("more nonsense", b"\0\xff" * 50_000),
            ("half a line", b"HTTP/1.1 2"),
            ("half a head", b"HTTP/1.1 200 OK\r\nX: y"),
            ("no number", b"HTTP/1.1 abc OK\r\n\r\n"),
            ("an endless line", b"HTTP/1.1 200 " + b"x" * 100_000),
            ("nothing", b""),
            ("a tunnel that ends", TUNNEL),
            ("a tunnel to nonsense", TUNNEL + b"hello, this is no TLS\r\n" * 9),
        ):
            with self.subTest(name), Proxy(answer) as proxy:
                self.through(proxy.url)
                self.assertTrue(all(line.startswith(b"CONNECT emo") for line in proxy.asked))
                self.assertNotIn(KEY.encode(), b"".join(proxy.asked))

    def test_a_proxy_that_drips_or_stalls_comes_to_an_end(self):
        for name, answer in (
            ("in the first line", b""),
            ("in the head", b"HTTP/1.1 200 OK\r\n"),
            ("behind the tunnel", TUNNEL),
        ):
            with self.subTest(name), Proxy(answer, drips=True) as proxy:
                start = time.monotonic()
                self.through(proxy.url, CONNECT_TIMEOUT=0.5)
                self.assertLess(time.monotonic() - start, 10)

    def test_a_proxy_variable_of_another_kind_means_that_nothing_was_sent(self):
        for url in (
            *("socks5://127.0.0.1:1080", "socks5h://127.0.0.1:1", "socks4://127.0.0.1:1"),
            *("ftp://127.0.0.1:1", "http://[", "http://127.0.0.1:x/", "file:///etc/passwd"),
        ):
            with self.subTest(url):
                self.through(url)

    def test_a_proxy_that_is_not_there_means_that_nothing_was_sent(self):
        self.refuse_connections()
        url = os.environ["DASHSCOPE_BASE_URL"]
        self.through(url)
        self.assertEqual(len(self.clock.slept), 4)

    def test_its_password_is_not_shown(self):
        for url in ("http://me:s3cret@127.0.0.1:1", "http://me:s3cret@[", "socks5://me:s3cret@h:1"):
            with self.subTest(url):
                self.assertNotIn("s3cret", str(self.through(url)))

    def test_a_poll_by_way_of_a_proxy_that_says_no_is_waited_out(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        (folder,) = self.folders()
        os.environ["DASHSCOPE_BASE_URL"] = "https://emo.invalid/api/v1"
        with Proxy(REFUSED) as proxy:
            os.environ["https_proxy"] = proxy.url
            line = self.kept(folder=folder)
            task_id = line["response"]["output"]["task_id"]
            result = self.ends(self.call_run("--task", task_id, "--timeout", "60"), 4, "service")
        self.assertIn("prox", str(result.line["errors"]).lower())
        self.assertEqual(len(service.posts), 1)
        self.assertEqual(json.loads(Path(result.line["task_path"]).read_text())["state"], "made")
        self.assertTrue(Path(FILE).exists())
