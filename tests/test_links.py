"""What makes a link lead to its file: which requests are the same, and are paid for once."""

import time
import unittest

from support import AUDIO_URL, IMAGE_URL, REQUEST
from support.service_case import DAY, GenerationCase, other


class Same(GenerationCase):
    def test_which_links_are_the_same_request(self):
        now = time.gmtime()
        day = time.strftime("%Y%m%d", now)
        date = time.strftime("%Y%m%dT%H%M%SZ", now)
        sas = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * DAY))
        ends = int(time.time()) + 2 * DAY

        def v4(x, signature, **more):
            values = {
                "Algorithm": "A-HMAC-SHA256",
                "Credential": f"AK{signature}/{day}/r/s",
                "Date": date,
                "Expires": str(80_000 + len(signature)),
                "SignedHeaders": "host",
                "Signature": signature,
                **more,
            }
            return "&".join(f"X-{x}-{name}={value}" for name, value in values.items())

        def cos(signature):
            times = f"{ends - 2 * DAY}%3B{ends + len(signature)}"
            return (
                f"q-sign-algorithm=sha1&q-ak=AK{signature}&q-sign-time={times}&q-key-time={times}"
                f"&q-header-list=h{signature}&q-url-param-list=&q-signature={signature}"
                f"&x-cos-security-token=t{signature}"
            )

        oss = f"OSSAccessKeyId=k&Expires={ends}&Signature"
        oss2 = f"x-oss-signature-version=OSS2&x-oss-access-key-id=k&x-oss-expires={ends}"
        oss4 = (
            f"x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date={date}&x-oss-expires=86400"
            "&x-oss-credential"
        )
        azure = f"sv=2022-11-02&se={sas}&sr=b"
        gcs = f"GoogleAccessId=g&Expires={ends}&Signature"
        for name, one, two, same in (
            # name, the end of a link, that of another, whether they are the same request
            ("OSS V1", f"?{oss}=a", f"?{oss}=bb", True),
            ("OSS V1, other key", f"?{oss}=a", f"?{oss}=b".replace("=k", "=other"), True),
            ("OSS V1 with a token", f"?{oss}=a&security-token=x", f"?{oss}=b", True),
            ("OSS V2", f"?{oss2}&x-oss-signature=a", f"?{oss2}&x-oss-signature=b", True),
            ("OSS V4", f"?{oss4}=a&x-oss-signature=a", f"?{oss4}=b&x-oss-signature=b", True),
            (
                "OSS V4 with more",
                f"?{oss4}=a&x-oss-signature=a&x-oss-additional-headers=host",
                f"?{oss4}=b&x-oss-signature=b&x-oss-security-token=t",
                True,
            ),
            ("AWS V2", f"?AWSAccess{oss[9:]}=a", f"?AWSAccess{oss[9:]}=b", True),
            ("AWS V4", f"?{v4('Amz', 'a')}", f"?{v4('Amz', 'bb')}", True),
            ("AWS V4, token", f"?{v4('Amz', 'a')}&X-Amz-Security-Token=t", f"?{v4('Amz', 'b')}", 1),
            ("AWS V4, in any case", f"?{v4('Amz', 'a')}", f"?{v4('amz', 'bb')}", True),
            ("CloudFront", f"?Key-Pair-Id=k&Expires={ends}&Signature=a", "?", True),
            ("a policy", "?Key-Pair-Id=k&Policy=a&Signature=a", "?Key-Pair-Id=k&Policy=b", None),
            (
                "CloudFront by policy",
                "?Key-Pair-Id=k&Policy=a&Signature=a",
                "?Key-Pair-Id=l&Policy=b&Signature=b",
                True,
            ),
            ("GCS V2", f"?{gcs}=a", f"?{gcs}=b", True),
            ("GCS V4", f"?{v4('Goog', 'a')}", f"?{v4('Goog', 'bb')}", True),
            ("TOS", f"?{v4('Tos', 'a')}", f"?{v4('Tos', 'bb')}", True),
            ("COS", f"?{cos('a')}", f"?{cos('bb')}", True),
            ("Azure", f"?{azure}&sig=a", f"?{azure}&sig=b&sp=r&spr=https&st=2022-01-01", True),
            ("Azure by policy", "?sv=2022-11-02&si=p&sig=a", "?sv=2022-11-02&si=q&sig=b", True),
            ("Qiniu", f"?e={ends}&token=k:a", f"?e={ends + 9}&token=k:b", True),
            ("signed or not", f"?{oss}=a", "", True),
            ("beside a version", f"?v=1&{oss}=a", f"?{oss}=b&v=1", True),
            ("another version", f"?v=1&{oss}=a", f"?v=2&{oss}=a", False),
            ("another version alone", "?v=1", "?v=2", False),
            ("another order", "?v=1&w=2", "?w=2&v=1", False),
            ("a version or none", "?v=1", "", False),
            ("another process", f"?x-oss-process=a&{oss}=a", f"?{oss}=a", False),
            ("a token alone", "?alt=media&token=a", "?alt=media&token=b", False),
            ("a signature alone", "?Signature=a", "?Signature=b", False),
            ("an end alone", f"?Expires={ends}", f"?Expires={ends + 9}", False),
            (
                "Huawei",
                f"?AccessKeyId=k&Expires={ends}&Signature=a",
                f"?AccessKeyId=k&Expires={ends}&Signature=b",
                False,
            ),
            ("Cloudflare", f"?exp={ends}&sig=a", f"?exp={ends}&sig=b", False),
            ("sv that is no date", "?sv=3&se=x&sig=a", "?sv=3&se=x&sig=b", False),
            ("a token without a signature", "?security-token=a", "?security-token=b", False),
            ("Azure's letters elsewhere", f"?sp=1&{oss}=a", f"?sp=2&{oss}=a", False),
            ("another path", "", "?", None),
        ):
            if same is None:
                continue
            with self.subTest(name):
                self.clear()
                service = self.serve()
                self.write("request.json", other(image_url=IMAGE_URL + one, audio_url=AUDIO_URL))
                result = self.ends(self.go("--no-wait"), 0)
                if two == "?":
                    two = one.replace("Signature=a", "Signature=b")
                self.write("request.json", other(image_url=IMAGE_URL + two, audio_url=AUDIO_URL))
                again = self.ends(self.go("--no-wait"), 0)
                self.assertEqual(len(service.posts), 1 if same else 2)
                self.assertEqual(again.line["already_submitted"], bool(same))
                if same:
                    self.assertEqual(again.line["task_id"], result.line["task_id"])
                    fields = [w["field"] for w in again.line["warnings"]]
                    self.assertEqual(fields, ["image_url"])

    def test_which_spellings_of_a_request_are_the_same(self):
        image = IMAGE_URL.replace("example.com", "%s")
        for name, request, same in (
            ("the default port", other(image_url=image % "example.com:443"), True),
            ("another port", other(image_url=image % "example.com:8443"), False),
            ("another host", other(image_url=image % "www.example.com"), False),
            ("another name", other(image_url=IMAGE_URL.replace("portrait", "Portrait")), False),
            ("capitals in the host", other(image_url=image % "EXAMPLE.com"), True),
            ("a fragment", other(image_url=f"{IMAGE_URL}#x"), True),
            ("other keys first", dict(reversed(list(REQUEST.items()))), True),
            ("another recording", other(audio_url=AUDIO_URL.replace("speech", "song")), False),
            ("another face", other(face_bbox=[302, 286, 610, 594]), False),
            ("another region", other(ext_bbox=[71, 9, 841, 778]), False),
            ("another style", other(style_level="calm"), False),
            ("another model", {**other(), "model": "my-deployment"}, False),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve()
                self.write("request.json", REQUEST)
                self.ends(self.go("--no-wait"), 0)
                self.write("request.json", request)
                self.ends(self.go("--no-wait"), 0)
                self.assertEqual(len(service.posts), 1 if same else 2)


if __name__ == "__main__":
    unittest.main()
