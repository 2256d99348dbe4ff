"""The API key: where it is from, and what is none; it is never shown."""

import os
import unittest
from pathlib import Path

from support import NAME, as_given, emo
from support.service_case import GenerationCase

from aliyun_emo import keys


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
                *(f"sk-{secret}.", f"sk-{secret})", f"sk-{secret}*"),
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
                    "sk-XXXXXXXX",
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
                        keys.find_key()
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

    def test_the_place_that_is_named_is_the_one_that_was_looked_at(self):
        del os.environ["DASHSCOPE_API_KEY"]
        for profile, place in ((None, "[default]"), ("", "[default]"), ("work", "[work]")):
            with self.subTest(profile):
                os.environ.pop("ALIBABA_CLOUD_PROFILE", None)
                if profile is not None:
                    os.environ["ALIBABA_CLOUD_PROFILE"] = profile
                with self.assertRaises(emo.Problem) as caught:
                    keys.find_key()
                self.assertIn(f"below {place} in", caught.exception.hint)

    @unittest.skipUnless(hasattr(os, "mkfifo"), "pipes of POSIX")
    def test_a_pipe_that_nobody_writes_into_is_not_waited_for(self):
        del os.environ["DASHSCOPE_API_KEY"]
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        Path(self.folder, ".alibabacloud").mkdir()
        os.mkfifo(Path(self.folder, ".alibabacloud", "credentials"))
        with self.assertRaises(emo.Problem) as caught:
            keys.find_key()
        self.assertEqual(caught.exception.message, "there is no API key")

    def test_what_looks_like_one_is_taken(self):
        for text in (
            *("sk-0123456789abcdef0123456789abcdef", "sk-aVeryLongOneWithXXandYourandMy0123456789"),
            *(
                "sk-of-no-account",
                "sk-work%20x",
                "sk-ws-0a1b.c2d3_e4-f5=",
                "eyJhbGciOiJI.eyJzd.SflK-xw",
            ),
        ):
            with self.subTest(text):
                os.environ["DASHSCOPE_API_KEY"] = text
                self.assertEqual(keys.find_key(), text)

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
