"""Links: which are refused, with which message, and what is written for the others."""

import time
import unittest

from support import IMAGE_URL, Case, arguments, emo

NOW = 1767225600  # 2026-01-01T00:00:00Z


def check(text, field="image_url", now=NOW):
    """Return the normalized link, its errors and its warnings."""
    report = emo.Report()
    link = emo.check_link(field, text, now, report)
    return link, report.errors, report.warnings


PUBLIC = {  # a link: as it is written
    IMAGE_URL: IMAGE_URL,
    "http://example.com": "http://example.com",
    "https://example.com?x=1": "https://example.com?x=1",
    "HTTPS://Example.COM/A.PNG": "https://example.com/A.PNG",
    "https://example.com/a.png?": "https://example.com/a.png?",
    "https://example.com:8443/a.png": "https://example.com:8443/a.png",
    "https://example.com:443/a.png": "https://example.com:443/a.png",
    "https://example.com./a.png": "https://example.com./a.png",
    "https://my_bucket.oss-cn-beijing.aliyuncs.com/a": "https://my_bucket.oss-cn-beijing.aliyuncs.com/a",
    "https://xn--fsq.com/a.png": "https://xn--fsq.com/a.png",
    "https://locals.com/a.png": "https://locals.com/a.png",
    "https://my.localx/a.png": "https://my.localx/a.png",
    "https://a.test.com/a.png": "https://a.test.com/a.png",
    # A signature covers every byte of path and query.
    "https://example.com/%7Ea/%e5%A4%b4!$&'()*+,;=:@\"<>^`{|}.png?S=a%2fB+c/?%zz": (
        "https://example.com/%7Ea/%e5%A4%b4!$&'()*+,;=:@\"<>^`{|}.png?S=a%2fB+c/?%zz"
    ),
    "https://example.com/a//b/../c.png": "https://example.com/a//b/../c.png",
    "https://example.com/a@b.png": "https://example.com/a@b.png",
    # Not ASCII
    "https://例子.测试网.cn/头像.png?名=值": (
        "https://xn--fsqu00a.xn--0zwm89av8i.cn/%E5%A4%B4%E5%83%8F.png?%E5%90%8D=%E5%80%BC"
    ),
    "https://MÜNCHEN.de/ü%20x.png": "https://xn--mnchen-3ya.de/%C3%BC%20x.png",
    "https://二〇二六.com/": "https://xn--w6jt23gba260a.com/",
    "https://ｅｘａｍｐｌｅ。com/a.png": "https://example.com/a.png",
    "https://example.com/\u202e.png": "https://example.com/%E2%80%AE.png",
    # Addresses
    "https://8.8.8.8/a.png": "https://8.8.8.8/a.png",
    "https://0x08.010.2056/a.png": "https://8.8.8.8/a.png",
    "https://134744072./a.png": "https://8.8.8.8/a.png",
    "https://172.32.0.1/": "https://172.32.0.1/",
    "https://100.128.0.1/": "https://100.128.0.1/",
    "https://223.255.255.255/": "https://223.255.255.255/",
    "https://[2400:3200::1]/a.png": "https://[2400:3200::1]/a.png",
    "https://[2400:3200::BABA]:8443/a.png": "https://[2400:3200::baba]:8443/a.png",
    # Extensions that say nothing
    "https://example.com/picture": "https://example.com/picture",
    "https://example.com/picture.php?f=a.gif": "https://example.com/picture.php?f=a.gif",
    "https://example.com/v1.2/picture": "https://example.com/v1.2/picture",
    "https://example.com/a.gif/": "https://example.com/a.gif/",
    "https://example.com/a.JPeG": "https://example.com/a.JPeG",
    "https://example.com/a%2Ewebp": "https://example.com/a%2Ewebp",
    "https://example.com/gif": "https://example.com/gif",
}

REFUSED = {  # words of the message: links
    "is not an http or https link": [
        "oss://bucket/portrait.png",
        "ftp://example.com/portrait.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "s3://bucket/portrait.png",
        "javascript:alert(1)",
        "blob:https://example.com/5f3c",
        "file:///home/me/portrait.png",
        "FILE:///C:/portrait.png",
        "httpss://example.com/a.png",
    ],
    "is a local path": [
        "portrait.png",
        "./portrait.png",
        "/home/me/portrait.png",
        "~/portrait.png",
        "C:\\Users\\me\\portrait.png",
        "C:/Users/me/portrait.png",
        "\\\\server\\share\\portrait.png",
        "//example.com/portrait.png",
        "example.com/portrait.png",
        "example.com:8443/portrait.png",
        "my portrait.png",
        "?",
        "-",
        "{image_url}",
        "[portrait](https://example.com/portrait.png)",
        "'https://example.com/portrait.png'",
        "<https://example.com/portrait.png>",
    ],
    "has no host": [
        "https:",
        "https:example.com/a.png",
        "https:/example.com/a.png",
        "https:///a.png",
        "https://?a",
        "https://#a",
        "https://:80/a.png",
        "https:////example.com/a.png",
    ],
    "a user name or password": [
        "https://me@example.com/a.png",
        "https://me:s3cret@example.com/a.png",
        "https://:@example.com/a.png",
        "https://@example.com/a.png",
        "https://example.com@evil.com/a.png",
    ],
    "white space": [
        "https://example.com/a b.png",
        "https://exam ple.com/a.png",
        "https://example.com/a.png?x=1 2",
        "https://example.com/a\n.png",
        "https://example.com/a\t.png",
        "ht\ntps://example.com/a.png",
        "https://example.com/a\u00a0b.png",
        "https://example.com/a\u3000b.png",
        "https://example.com/a\u2028b.png",
        "https://example.com/a\u0085b.png",
        "https://example.com/a.png#a b",
    ],
    "a control character": [
        "https://example.com/a\0b.png",
        "https://example.com/a\x1b[2Jb.png",
        "https://example.com/a\x7fb.png",
        "https://example.com/a\x9bb.png",
        "https://exam\x00ple.com/a.png",
        "\x01https://example.com/a.png",
    ],
    "a backslash": [
        "https://example.com\\a.png",
        "https:\\\\example.com\\a.png",
        "https://example.com/a\\b.png",
    ],
    "the port is not a number": [
        "https://example.com:/a.png",
        "https://example.com:0/a.png",
        "https://example.com:65536/a.png",
        "https://example.com:8o/a.png",
        "https://example.com:-1/a.png",
        "https://example.com:+80/a.png",
        "https://example.com:８０/a.png",
        "https://example.com:80:80/a.png",
        "https://[2400:3200::1]:x/a.png",
        "https://[2400:3200::1]:/a.png",
    ],
    "a bad percent escape": [
        "https://example.com/100%.png",
        "https://example.com/%zz.png",
        "https://example.com/%2.png",
        "https://example.com/%",
        "https://example.com/%２０.png",
    ],
    "is empty": [
        "https://.example.com/a.png",
        "https://example..com/a.png",
        "https://example.com../a.png",
        "https://./a.png",
    ],
    "longer than 63": ["https://" + "a" * 64 + ".com/a.png"],
    "longer than 253": [
        "https://" + "a." * 126 + "com/a.png",
        "https://" + "ü." * 40 + "com/a.png",
        "https://" + "ü" * 100_000 + ".com/a.png",
    ],
    "more than letters, digits and _": [
        "https://-a.com/a.png",
        "https://a-.com/a.png",
        "https://a.com-/a.png",
        "https://a$b.com/a.png",
        "https://a%2eb.com/a.png",
        "https://${HOST}.com/a.png",
        "https://<host>.com/a.png",
        "https://example.com,example.org/a.png",
        "https://℀.com/a.png",
    ],
    "has no dot": [
        "http://localhost/a.png",
        "http://LOCALHOST:8000/a.png",
        "http://localhost./a.png",
        "http://ⓛocalhost/a.png",
        "http://portraits/a.png",
        "http://local/a.png",
    ],
    "is private": [
        "http://a.localhost/a.png",
        "http://nas.local/a.png",
        "http://NAS.LOCAL./a.png",
        "http://metadata.google.internal/a.png",
        "http://box.lan/a.png",
        "http://printer.home.arpa/a.png",
        "http://home.arpa/a.png",
        "http://a.test/a.png",
        "http://a.invalid/a.png",
        "http://a.b.ｔｅｓｔ/a.png",
    ],
    "which is not public": [
        *("http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f.1/"),
        *("http://0177.0.0.1/", "http://0x7F000001/", "http://017700000001/", "http://127.0.0.1./"),
        *(
            "http://１２７.０.０.１/",
            "http://127。0。0。1/",
            "http://①②⑦.1/",
            "http://0/",
            "http://0x/",
        ),
        *("http://0.0.0.0/", "http://10.1.2.3/", "http://172.16.0.1/", "http://172.31.255.255/"),
        *("http://192.168.1.1:8080/", "http://169.254.169.254/", "http://100.64.0.1/"),
        *("http://100.100.100.200/", "http://100.127.255.255/", "http://192.0.0.8/"),
        *("http://192.0.2.1/", "http://198.51.100.1/", "http://203.0.113.1/", "http://198.18.0.1/"),
        *(
            "http://198.19.255.255/",
            "http://192.88.99.1/",
            "http://224.0.0.1/",
            "http://239.1.1.1/",
        ),
        *("http://240.0.0.1/", "http://255.255.255.255/", "http://4294967295/"),
        *("http://[::1]/", "http://[::]/", "http://[fe80::1]/", "http://[fc00::1]/"),
        *("http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[::ffff:8.8.8.8]/"),
        *("http://[::ffff:127.0.0.1]/", "http://[::8.8.8.8]/", "http://[64:ff9b::8.8.8.8]/"),
        *("http://[64:ff9b:1::1]/", "http://[2002:808:808::1]/", "http://[2001::1]/"),
        *("http://[2001:0:4136:e378::1]/", "http://[2001:db8::1]/", "http://[2001:20::1]/"),
        *("http://[2001:2::1]/", "http://[3fff::1]/", "http://[100::1]/", "http://[5f00::1]/"),
        *("http://[4000::1]/", "http://[1fff::1]/", "http://[0:0:0:0:0:0:0:1]:80/"),
    ],
    "is no IPv4 address": [
        *(
            "http://256.1.1.1/",
            "http://1.2.3.4.5/",
            "http://8.8.8.8.0/",
            "http://8.8.8.8.0.0/",
            "http://1.2.3.256/",
            "http://8.8.8.08/",
        ),
        *("http://4294967296/", "http://0x100000000/", "http://example.1/", "http://1..2/"),
        *("http://example.0x1f/", "http://1.2.65536/", "http://8_0.8.8.8/", "http://0o17.8.8.8/"),
        *("http://-1.8.8.8/", "http://.1/", "http://1e3.8.8.8/", "http://example.com.8./"),
    ],
    "is no IPv6 address": [
        *("http://[::g]/", "http://[::1/", "http://[127.0.0.1]/", "http://[v1.a]/", "http://[]/"),
        *("http://[2400:3200::1%25eth0]/", "http://[2400:3200::1%eth0]/", "http://[a]b]/"),
    ],
    "IDNA versions differ": [
        *("https://straße.de/", "https://STRAẞE.de/", "https://βόλος.com/", "https://☃.com/"),
        *(
            "https://i❤.ws/",
            "https://a\u200db.com/",
            "https://a\u200cb.com/",
            "https://a\u00adb.com/",
        ),
        *("https://exam\u200bple.com/", "https://\U0001f600.com/", "https://\u0640\u0628.com/"),
        *("https://℻.com/", "https://a\U000e0101.com/", "https://a⒈com/", "https://a․com/"),
    ],
    "has no IDNA form": [
        "https://\u202eexample.com/",
        "https://xn--ü.com/",
        "https://" + "ü" * 64 + ".com/",
        "https://ü..com/",
    ],
}


class Links(Case):
    def test_a_public_link_is_normalized_and_nothing_more(self):
        for text, written in PUBLIC.items():
            with self.subTest(text):
                self.assertEqual(check(text), (written, [], []))
                self.assertEqual(check(written), (written, [], []), "normalized twice")

    def test_each_fault_is_refused_with_a_message_of_its_own(self):
        for words, texts in REFUSED.items():
            for text in texts:
                with self.subTest(text[:80]):
                    link, errors, _ = check(text)
                    self.assertIsNone(link)
                    self.assertEqual({error.field for error in errors}, {"image_url"})
                    self.assertTrue(
                        any(words in error.message for error in errors),
                        [error.message for error in errors],
                    )

    def test_a_local_path_is_told_to_be_uploaded_first(self):
        for text in REFUSED["is a local path"]:
            with self.subTest(text):
                _, (error,), _ = check(text)
                self.assertIn("Upload", error.hint)

    def test_all_faults_of_one_link_are_told_at_once(self):
        _, errors, _ = check("http://me:pw@localhost:99999/a b%zz.gif?Expires=1")
        for words in (
            "white space",
            "user name",
            "no dot",
            "port",
            "percent",
            ".gif is",
            "expired",
        ):
            with self.subTest(words):
                self.assertEqual(len([e for e in errors if words in e.message]), 1)
        self.assertEqual(len(errors), 7)

    def test_a_fragment_is_dropped_with_a_warning(self):
        for text in (IMAGE_URL + "#face", IMAGE_URL + "#", IMAGE_URL + "#?Expires=1"):
            with self.subTest(text):
                link, errors, warnings = check(text)
                self.assertEqual((link, errors), (IMAGE_URL, []))
                self.assertIn("#", warnings[0].message)

    def test_white_space_around_a_link_is_stripped(self):
        result = self.call(*arguments(image_url=f" \n{IMAGE_URL}\r\n\t"), "--dry-run")
        self.assertEqual(result.line["request"]["input"]["image_url"], IMAGE_URL)


class Formats(Case):
    TAKEN = {"image_url": "jpg jpeg png bmp webp JPG Png", "audio_url": "wav mp3 WAV"}
    REFUSED = {
        "image_url": "gif tiff tif svg heic heif avif mp4 mov pdf webm GIF psd mp4%20",
        "audio_url": "m4a flac ogg aac mp4 mov wma opus pdf OGG aiff",
    }
    SWAPPED = {"image_url": "mp3 wav m4a MP3", "audio_url": "png jpg jpeg webp bmp gif PNG"}

    def messages(self, field, extension):
        _, errors, _ = check(f"https://example.com/a/b.{extension}?c=d.txt", field)
        return [error.message for error in errors]

    def test_what_the_service_takes_is_taken(self):
        for field, extensions in self.TAKEN.items():
            for extension in [*extensions.split(), "php", "html", "7", "x" * 300, "", "mp", "%2F"]:
                with self.subTest(f"{field} {extension}"):
                    self.assertEqual(self.messages(field, extension), [])

    def test_another_medium_is_refused(self):
        for field, extensions in self.REFUSED.items():
            for extension in extensions.split():
                with self.subTest(f"{field} {extension}"):
                    (message,) = self.messages(field, extension)
                    self.assertIn("is not taken", message)

    def test_a_picture_for_the_audio_and_the_reverse_ask_whether_they_are_swapped(self):
        for field, extensions in self.SWAPPED.items():
            for extension in extensions.split():
                with self.subTest(f"{field} {extension}"):
                    (message,) = self.messages(field, extension)
                    self.assertIn("swapped?", message)


class Expiry(Case):
    """Signed links, as in the contract's table, around 2026-01-01T00:00:00Z."""

    def query(self, signer, at):
        """Return the query with which `signer` signs a link until the second `at`."""
        start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at - 600))
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        return {
            "OSS V1": f"OSSAccessKeyId=k&Expires={at}&Signature=a%2Bb%3D",
            "CloudFront": f"Key-Pair-Id=k&Signature=s&Expires={at}",
            "OSS V4": f"x-oss-date={start}&x-oss-expires=600&x-oss-signature=s",
            "AWS V4": f"X-Amz-Expires=600&X-Amz-Date={start}&X-Amz-Signature=s",
            "GCS V4": f"X-Goog-Date={start}&X-Goog-Expires=600&X-Goog-Signature=s",
            "COS": f"q-sign-algorithm=sha1&q-sign-time={at - 600};{at}&q-signature=s",
            "COS, escaped": f"q-sign-time={at - 600}%3B{at}&q-signature=s",
            "Azure": f"sv=2022-11-02&se={end}&sig=s",
            "Azure, escaped": f"sv=2022-11-02&se={end.replace(':', '%3A')}&sig=s",
            "two, of which the earlier counts": f"Expires={at + 10**6}&se={end}",
        }[signer]

    SIGNERS = (
        "OSS V1",
        "CloudFront",
        "OSS V4",
        "AWS V4",
        "GCS V4",
        "COS",
        "COS, escaped",
        "Azure",
        "Azure, escaped",
        "two, of which the earlier counts",
    )

    def test_an_expired_link_is_refused_and_one_that_expires_within_an_hour_warned_of(self):
        for signer in self.SIGNERS:
            for seconds, refused, warned in (
                (-86400, True, False),
                (0, True, False),
                (1, False, True),
                (3600, False, True),
                (3601, False, False),
                (10**8, False, False),
            ):
                with self.subTest(f"{signer} {seconds}"):
                    text = f"{IMAGE_URL}?{self.query(signer, NOW + seconds)}"
                    link, errors, warnings = check(text)
                    self.assertEqual(link, None if refused else text)
                    self.assertEqual(len(errors), refused)
                    self.assertEqual(len(warnings), warned)
                    for problem in errors + warnings:
                        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + seconds))
                        self.assertIn(at, problem.message)

    def test_azure_dates_come_in_several_lengths(self):
        for se in (
            "2025-12-31",
            "2025-12-31T23:59Z",
            "2025-12-31T23:59:59.9999999Z",
            "2025-12-31T23:59:59%2B00:00",
        ):
            with self.subTest(se):
                self.assertEqual(len(check(f"{IMAGE_URL}?se={se}&sig=s")[1]), 1)

    def test_what_tells_no_time_is_let_through(self):
        for query in (
            "Expires=",
            "Expires=never",
            "Expires=-1",
            "Expires=1e3",
            "Expires=" + "9" * 5000,
            "Expires=Thu, 01 Jan 1970".replace(" ", "%20"),
            "expires=60",
            "se=1",
            "se=2025-13-01T00:00:00Z",
            "se=0000-01-01",
            "X-Amz-Date=20200101T000000Z",
            "X-Amz-Date=now&X-Amz-Expires=1",
            "X-Amz-Date=20200101T000000Z&X-Amz-Expires=",
            "q-sign-time=1",
            "x-oss-date=２０２００１０１T000000Z&x-oss-expires=1",
            "&&=&%",
        ):
            with self.subTest(query[:40]):
                _, errors, warnings = check(f"{IMAGE_URL}?{query}")
                self.assertEqual((errors, warnings), ([], []))

    def test_the_process_knows_what_time_it_is(self):
        for at, code in ((time.time() - 60, 2), (time.time() + 86400, 0)):
            with self.subTest(code):
                link = f"{IMAGE_URL}?Expires={int(at)}&Signature=s3cret"
                self.assertEqual(self.call(*arguments(image_url=link), "--dry-run").code, code)


if __name__ == "__main__":
    unittest.main()
