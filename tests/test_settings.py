"""What a run goes by: the base URL, which keeps the key safe, the key, and how long it waits."""

import os
import signal
import unittest
from pathlib import Path
from unittest import mock

from support import NAME, as_given, emo
from support.service_case import GenerationCase

from aliyun_emo import links, settings


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

    def base_of(self, text, variable="DASHSCOPE_BASE_URL"):
        """Return the base that is made of `text`, or its problem, and the warnings."""
        report = emo.Report()
        found = report.check(settings.check_base_url, text, variable, report)
        return found or report.errors[0], report.warnings

    def test_on_the_vendor_s_hosts_this_service_is_below_one_path(self):
        hosts = (
            *("dashscope.aliyuncs.com", "ws-1.cn-beijing.maas.aliyuncs.com"),
            *("trial.cn-beijing.maas.aliyuncs.com", "vpc-cn-beijing.dashscope.aliyuncs.com"),
        )
        for host in hosts:
            for path in (
                *("", "/", "/api/v1", "/api/v1/", "/api/v1//", "/API/V1", "/api", "/api/v2", "/v1"),
                *("/compatible-mode/v1", "/compatible-mode/v1/", "/compatible-mode/v1/embeddings"),
                *(
                    "/apps/anthropic",
                    "/compatible-mode/v1/chat/completions",
                    "/api-ws/v1/inference",
                ),
                *("/api/v1/services/aigc/image2video/face-detect", "/api/v1/tasks/", "/../x"),
            ):
                with self.subTest(host + path):
                    found = self.base_of(f"https://{host}{path}")
                    self.assertEqual(found, (f"https://{host}/api/v1", []))
        for text, base in (
            ("HTTPS://DashScope.AliyunCS.com/Compatible-Mode/v1", links.BASE_URL),
            ("https://dashscope.aliyuncs.com:443/v1", "https://dashscope.aliyuncs.com:443/api/v1"),
        ):
            self.assertEqual(self.base_of(text), (base, []))

    def test_the_vendor_s_hosts_of_other_regions_have_no_emo(self):
        for host in (
            *(
                "dashscope-intl.aliyuncs.com",
                "dashscope-us.aliyuncs.com",
                "DASHSCOPE-INTL.aliyuncs.com",
            ),
            *("cn-hongkong.dashscope.aliyuncs.com", "ws.ap-southeast-1.maas.aliyuncs.com"),
            *(
                "ws.eu-central-1.maas.aliyuncs.com",
                "dashscope-finance.aliyuncs.com",
                "aliyuncs.com",
            ),
            *("cn-beijing-ws.ap-southeast-1.maas.aliyuncs.com", "ws.us-1.maas.aliyuncs.com"),
            *("ws.cn-shanghai.maas.aliyuncs.com", "dashscope.aliyuncs.com.aliyuncs.com"),
            *("token-plan.cn-beijing.maas.aliyuncs.com", "coding.dashscope.aliyuncs.com"),
        ):
            for path in ("", "/api/v1", "/compatible-mode/v1"):
                with self.subTest(host + path):
                    problem, warnings = self.base_of(f"https://{host}{path}", "VARIABLE")
                    self.assertEqual((problem.field, problem.code, warnings), ("base_url", 2, []))
                    self.assertIn("EMO is in Beijing only", problem.message)
                    self.assertIn("VARIABLE", problem.hint)
                    both = "without DASHSCOPE_HTTP_BASE_URL or DASHSCOPE_BASE_URL it is https://"
                    self.assertIn(both, problem.hint)
        service = self.serve()
        os.environ["DASHSCOPE_BASE_URL"] = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
        for words in ([], ["--dry-run"]):
            self.ends(self.go(*words), 2, "base_url")
        self.assertEqual((service.seen, service.looks, self.folders()), ([], [], []))

    def test_elsewhere_another_path_than_the_expected_one_is_a_warning(self):
        for text, base, is_expected in (
            ("https://proxy.example.com/qwen/api/v1", ..., True),
            ("https://proxy.example.com/api/v1/", "https://proxy.example.com/api/v1", True),
            ("http://127.0.0.1:8000/api/v1", ..., True),
            ("https://proxy.example.com", ..., False),
            ("https://proxy.example.com/", "https://proxy.example.com", False),
            ("https://proxy.example.com/compatible-mode/v1", ..., False),
            ("https://proxy.example.com/API/V1", ..., False),
            ("https://proxy.example.com/api/v1/services/aigc/x", ..., False),
            ("https://proxy.example.com/api/v1x", ..., False),
            ("https://dashscope.aliyuncs.com.example.com/v1", ..., False),
            ("https://notaliyuncs.com/v1", ..., False),
            ("https://dashscope.aliyun.com/v1", ..., False),
        ):
            with self.subTest(text):
                found, warnings = self.base_of(text, "VARIABLE")
                self.assertEqual(found, text if base is ... else base)
                self.assertEqual([w.field for w in warnings], [] if is_expected else ["base_url"])
                for warning in warnings:
                    self.assertIn("/api/v1", warning.message)
                    self.assertIn("VARIABLE", warning.hint)
        self.serve()
        os.environ["DASHSCOPE_BASE_URL"] = os.environ["DASHSCOPE_BASE_URL"].replace(
            "/api/v1", "/v1"
        )
        line = self.ends(self.go("--dry-run"), 0).line
        self.assertEqual([w["field"] for w in line["warnings"]], ["base_url"])

    def test_what_is_pasted_for_a_base_and_is_none_names_its_variable(self):
        full = "https://dashscope.aliyuncs.com/api/v1"
        for text in (
            *(
                f'"{full}"',
                f"'{full}'",
                f"\u201c{full}\u201d",
                f"{full} # Beijing",
                f"{full},{full}?",
            ),
            *(
                "dashscope.aliyuncs.com/api/v1",
                "//dashscope.aliyuncs.com/api/v1",
                "https:/x/api/v1",
            ),
            *("wss://dashscope.aliyuncs.com/api-ws/v1/inference", "http://dashscope.aliyuncs.com"),
            *(f"https://{full}", "https://bucket.oss-cn-beijing.aliyuncs.com/api/v1"),
            *(
                f"{full}?model=emo-v1",
                "https://me:pw@dashscope.aliyuncs.com/",
                "https://h:99999/api/v1",
            ),
            *("${DASHSCOPE_BASE_URL}", "<base>", "sk-of-no-account", f"DASHSCOPE_BASE_URL={full}"),
            *(f"{full}\nx", f"{full}\x00", "https://[fe80::1%25eth0/api/v1", "https://", "\udc80"),
        ):
            for variable in settings.BASE_VARIABLES:
                with self.subTest(text.encode("ascii", "backslashreplace"), variable=variable):
                    problem, warnings = self.base_of(text, variable)
                    self.assertEqual((problem.field, problem.code, warnings), ("base_url", 2, []))
                    self.assertIn(variable, problem.hint)
                    self.assertTrue((problem.message + problem.hint).isprintable())

    def test_the_variable_of_the_vendor_s_sdk_comes_first(self):
        first, second = "https://a.example.com/api/v1", "https://b.example.com/api/v1"
        for http_base, base, expected in (
            (None, None, (links.BASE_URL, "DASHSCOPE_BASE_URL")),
            ("", " ", (links.BASE_URL, "DASHSCOPE_BASE_URL")),
            (None, second, (second, "DASHSCOPE_BASE_URL")),
            (" \n", second, (second, "DASHSCOPE_BASE_URL")),
            (first, None, (first, "DASHSCOPE_HTTP_BASE_URL")),
            (f" {first}\n", second, (first, "DASHSCOPE_HTTP_BASE_URL")),
        ):
            with self.subTest(f"{http_base!r} {base!r}"):
                for name, value in zip(settings.BASE_VARIABLES, (http_base, base)):
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = value
                self.assertEqual(settings.base_given(), expected)
                self.assertEqual(self.settings().base, expected[0])
                self.assertEqual(self.settings().base_variable, expected[1])
        os.environ.update(DASHSCOPE_HTTP_BASE_URL="nonsense", DASHSCOPE_BASE_URL=second)
        for result in (self.go("--dry-run"), self.call_run("--task", "a")):
            (error,) = self.ends(result, 2, "base_url").line["errors"]
            self.assertIn("DASHSCOPE_HTTP_BASE_URL", error["hint"])

    def test_a_slash_at_its_end_changes_nothing(self):
        service = self.serve()
        os.environ["DASHSCOPE_BASE_URL"] = f" {service.base_url}/ "
        self.ends(self.go("--no-wait"), 0)
        self.assertTrue(service.posts[0].path.startswith("/api/v1/services"))


class Numbers(GenerationCase):
    def test_numbers_are_checked(self):
        service = self.serve()
        for option, texts in {
            "interval": ["0", "-1", "0.01", "1e3", "nan", "inf", "", "x", "1.2.3", "５", "9" * 400],
            "timeout": ["-1", "1e3", "nan", "inf", "", "x", "86401", ".", "²"],
        }.items():
            for text in texts:
                with self.subTest(f"{option} {text[:9]}"):
                    self.ends(self.go(f"--{option}", text), 2, option)
        self.assertEqual(service.seen, [])
        self.ends(self.go("--interval", "0.25", "--timeout", "3.5"), 0)
        self.assertEqual(self.clock.slept, [0.25, 0.25])

    def test_a_number_is_taken_to_its_limits(self):
        for field, text, seconds in (
            ("interval", "0.05", 0.05),
            ("interval", "86400", 86400),
            ("interval", "007", 7),
            ("timeout", "0", 0),
            ("timeout", "0.0", 0),
            ("timeout", "86400", 86400),
            ("timeout", "86400.0", 86400),
        ):
            with self.subTest(f"{field} {text}"):
                least = settings.SHORTEST_INTERVAL if field == "interval" else 0
                self.assertEqual(settings.check_seconds(field, text, least), seconds)

    def test_a_timeout_is_a_moment_and_0_is_none(self):
        for timeout, asks_once in (("0", True), ("0.0", True), ("10", False)):
            with self.subTest(timeout):
                found = self.settings(timeout=timeout)
                self.assertIs(not found.timeout, asks_once)
                self.assertEqual(found.deadline == float("inf"), asks_once)
        left = self.settings().deadline - self.clock.monotonic()
        self.assertAlmostEqual(left, 1800, delta=60)

    def test_a_request_has_its_time_but_not_beyond_the_deadline_and_a_moment_in_any_case(self):
        with mock.patch.object(settings.clock, "monotonic", return_value=1000.0):
            for deadline, expected in (
                (float("inf"), (10, 30, float("inf"))),
                (1100.0, (10, 30, 1100.0)),
                (1020.0, (10, 20, 1020.0)),
                (1005.0, (5, 5, 1005.0)),
                (1000.0, (0.05, 0.05, 1000.05)),
                (900.0, (0.05, 0.05, 1000.05)),
            ):
                with self.subTest(deadline):
                    self.assertEqual(tuple(settings.times_until(deadline)), expected)


class Pauses(GenerationCase):
    """A pause ends with a signal; where one is held until an answer is kept, it says so."""

    def test_a_pause_says_whether_it_goes_on(self):
        for name, is_held, comes, ends in (
            ("a pause", False, None, True),
            ("an interrupt in it", False, signal.SIGTERM, 143),
            ("a held one", True, None, True),
            ("an interrupt in a held one", True, signal.SIGTERM, False),
        ):
            with self.subTest(name):
                found = self.settings()

                def wait(seconds, found=found, comes=comes):
                    if comes:
                        found.interrupts.handle(comes, None)

                found.interrupts.is_held = is_held
                with mock.patch.object(settings.clock, "sleep", wait):
                    try:
                        self.assertIs(found.pause(1), ends)
                    except KeyboardInterrupt as interrupt:
                        self.assertEqual(interrupt.args, (ends,))
                self.assertIs(found.interrupts.is_held, is_held)
                self.assertEqual(found.interrupts.came, comes or 0)

    def test_one_that_came_before_it_ends_it_at_once(self):
        for is_held in (False, True):
            with self.subTest(is_held):
                found = self.settings()
                found.interrupts.came, found.interrupts.is_held = signal.SIGINT, is_held
                if is_held:
                    self.assertIs(found.pause(1), False)
                else:
                    self.assertRaises(KeyboardInterrupt, found.pause, 1)
                self.assertEqual(self.clock.slept, [])


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
            (two, None, "work\r", "sk-work%20x"),
            ("[default]\naccess_key_id = x\n" + two, None, None, "sk-file"),  # appended to it
            (two + "# \udcd6\udcd0\n", None, None, "sk-file"),  # GBK
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
                    file.write_bytes(content.encode(errors="surrogateescape"))
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

    def test_what_is_no_key_is_refused_in_words_of_its_own(self):
        service = self.serve()
        secret = "0f3a9c77e1"
        for words, texts in {
            "there is no API key": ("", " "),
            "has a space in it": (
                *(f"Bearer sk-{secret}", f"sk-{secret} # Beijing", f"sk-{secret} sk-{secret}"),
                *(f"sk-\n{secret}", f"sk-\t{secret}", f"export DASHSCOPE_API_KEY=sk-{secret}"),
                "your api key",
            ),
            "has more than visible ASCII characters": (f"\u200bsk-{secret}", f"sk-{secret}\x01"),
            "has more in it than one key": (
                *(f"sk-{secret},sk-{secret}", f"sk-{secret};", f"sk-{secret}\\n"),
                *(f"sk-{secret}.", f"sk-{secret})", f"sk-{secret}*", f"sk-{secret}sk-{secret}"),
                *(f"sk-{secret}%", f"sk-{secret}|", f"sk-{secret}:", f"sk-{secret}/"),
                *(f"sk-sk-{secret}", f"Bearersk-{secret}", f"api_key:sk-{secret}", f"(sk-{secret}"),
                *(f"sk-ws-H.{secret}sk-ws-H.{secret}", f"key:sk-ws-H.{secret}"),
                *(f"DASHSCOPE_API_KEY=sk-{secret}", f"BAILIAN_KEY=sk-{secret}"),
                "https://dashscope.aliyuncs.com/api/v1",
            ),
            "is an AccessKey ID": (f"LTAI5t{secret}", f"ltai5t{secret}", f"STS.NT{secret}"),
            "is that of a Coding or Token Plan": (
                f"sk-sp-{secret}",
                f"SK-SP-{secret}",
                "sk-sp-xxx",
            ),
            "is a placeholder": (
                *(
                    "your-api-key",
                    "YOUR_API_KEY",
                    *("None", "null", "undefined", "EMPTY", "changeme", "sk-change-me", "sk-"),
                    *("REPLACE_ME", "sk-placeholder", "TODO"),
                    "your_dashscope_api_key",
                    "sk-your-key",
                    "yourkey",
                ),
                *(
                    "sk-xxx",
                    *("sk-XXX", "sk-XXXXXXXX", "sk-XXX-XXX", "sk-xxx1234"),
                    *("sk-ws-xxx", "sk-ws-H.xxxxxxxx", "sk-ws-H.XXXXXX.XXXX.XX"),
                    "xxx",
                    "<key>",
                    "${DASHSCOPE_API_KEY}",
                    "$DASHSCOPE_API_KEY",
                ),
                *("<your key>", "${{ secrets.KEY }}", "{{ key }}", "$(cat key.txt)"),
                *("$(cat-key)", "%DASHSCOPE_API_KEY%", "{{api_key}}", "[key]", "sk-****", "sk-..."),
                *(
                    f"sk-{secret[:4]}****{secret[-4:]}",
                    f"sk-{secret[:4]}...{secret[-4:]}",
                    "***",
                    "...",
                ),
                *(
                    "my-api-key",
                    "DASHSCOPE_API_KEY",
                    "sk-{key}",
                    "sk-<key>",
                    "api-key",
                    "sk-api-key",
                    "insert-your-key",
                    "replace-with-your-key",
                    "sk-none",
                    "redacted",
                ),
            ),
        }.items():
            for text in texts:
                if NAME == "u" and not text.isascii():
                    continue
                with self.subTest(text.encode("ascii", "backslashreplace")):
                    os.environ["DASHSCOPE_API_KEY"] = as_given(text)
                    with self.assertRaises(emo.Problem) as caught:
                        settings.find_key()
                    problem = caught.exception
                    self.assertEqual((problem.field, problem.code), ("api_key", 2))
                    self.assertIn(words, problem.message)
                    told = problem.message + problem.hint
                    for shown in (secret, secret[:4], secret[-4:], text.strip() or secret):
                        if shown not in ("api-key", "DASHSCOPE_API_KEY", "..."):
                            self.assertNotIn(shown, told)
                    self.assertIn("DASHSCOPE_API_KEY", problem.hint)
        for text in ("your-api-key", f"Bearer sk-{secret}"):
            os.environ["DASHSCOPE_API_KEY"] = text
            for file in ([], ["--dry-run"]):
                result = self.ends(self.go(*file), 2, "api_key")
                self.assertNotIn(text, str(result))
        del os.environ["DASHSCOPE_API_KEY"]
        (error,) = self.ends(self.go(), 2, "api_key").line["errors"]
        self.assertIn("https://help.aliyun.com/zh/model-studio/get-api-key", error["hint"])
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_a_key_of_a_workspace_may_have_the_beginning_of_another_one_in_its_random_part(self):
        key = "sk-ws-H.HHXDHL.I3FE.MEUCIH78X5IL4fFtsk-NDasCNoeb24_-x"
        for text in (key, key.replace("HHXDHL", "XXXDHL"), key.replace("HHXDHL", "XXXXDXX")):
            with self.subTest(text):
                os.environ["DASHSCOPE_API_KEY"] = text
                self.assertEqual(settings.find_key(), text)

    def test_the_place_that_is_named_is_the_one_that_was_looked_at(self):
        del os.environ["DASHSCOPE_API_KEY"]
        for profile, place in ((None, "[default]"), ("", "[default]"), ("work", "[work]")):
            with self.subTest(profile):
                os.environ.pop("ALIBABA_CLOUD_PROFILE", None)
                if profile is not None:
                    os.environ["ALIBABA_CLOUD_PROFILE"] = profile
                with self.assertRaises(emo.Problem) as caught:
                    settings.find_key()
                self.assertIn(f"below {place} in", caught.exception.hint)

    def test_the_place_that_a_bad_one_is_from_is_the_one_that_is_named(self):
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        file = Path(self.folder, ".alibabacloud", "credentials")
        file.parent.mkdir()
        file.write_text("[default]\ndashscope_api_key = sk-xxx\n")
        for given, place in (("sk-…", "DASHSCOPE_API_KEY, which goes before"), ("", "below [def")):
            os.environ["DASHSCOPE_API_KEY"] = as_given(given)
            with self.assertRaises(emo.Problem) as caught:
                settings.find_key()
            self.assertIn("is a placeholder", caught.exception.message)
            self.assertIn(place, caught.exception.hint)
        file.unlink()
        file.mkdir()
        with self.assertRaises(emo.Problem) as caught:
            settings.find_key()
        self.assertIn("credentials cannot be read: ", caught.exception.message)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "pipes of POSIX")
    def test_a_pipe_that_nobody_writes_into_is_not_waited_for(self):
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        Path(self.folder, ".alibabacloud").mkdir()
        os.mkfifo(Path(self.folder, ".alibabacloud", "credentials"))
        with self.assertRaises(emo.Problem) as caught:
            settings.find_key()
        self.assertEqual(caught.exception.message, "there is no API key")

    def test_what_looks_like_one_is_taken(self):
        for text in (
            *("sk-0123456789abcdef0123456789abcdef", "sk-aVeryLongOneWithXXandYourandMy0123456789"),
            *(
                *("sk-of-no-account", "x-0123456789abcdef", "sk-x-0123456789abcdef"),
                "sk-work%20x",
                "sk-ws-0a1b.c2d3_e4-f5=",
                "eyJhbGciOiJI.eyJzd.SflK-xw",
            ),
        ):
            with self.subTest(text):
                os.environ["DASHSCOPE_API_KEY"] = text
                self.assertEqual(settings.find_key(), text)

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


if __name__ == "__main__":
    unittest.main()
