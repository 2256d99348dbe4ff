"""What the tests of links build with: a moment, signed links and links with a secret, a check."""

import time

from support import emo

NOW = 1767225600  # 2026-01-01T00:00:00Z
# A signer: its own names; what else must stand, "a|b" for one of two; a whole query.
SIGNERS = {
    "Alibaba OSS V1": (
        "OSSAccessKeyId",
        "Expires Signature",
        "Expires={end}&OSSAccessKeyId=TMP.3KdExample&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D"
        "&security-token=CAIS",
    ),
    "Alibaba OSS V2": (
        "x-oss-signature-version x-oss-access-key-id",
        "x-oss-expires x-oss-signature",
        "x-oss-signature-version=OSS2&x-oss-expires={end}&x-oss-access-key-id=LTAIexample"
        "&x-oss-additional-headers=host&x-oss-signature=6a6d%2B",
    ),
    "Alibaba OSS V4": (
        "x-oss-signature-version x-oss-credential x-oss-date",
        "x-oss-expires x-oss-signature",
        "x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=LTAIexample%2F20241114%2F"
        "cn-beijing%2Foss%2Faliyun_v4_request&x-oss-date={date}&x-oss-expires={length}"
        "&x-oss-additional-headers=host&x-oss-signature=a6e2&x-oss-security-token=CAIS",
    ),
    "AWS V2": (
        "AWSAccessKeyId",
        "Signature Expires",
        "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=vjbyPxybdZaNmGa%2ByT27=&Expires={end}",
    ),
    "AWS V4": (
        "X-Amz-Algorithm X-Amz-Credential X-Amz-Date X-Amz-Expires",
        "X-Amz-Signature",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date={date}&X-Amz-Expires={length}"
        "&X-Amz-SignedHeaders=host&X-Amz-Security-Token=IQoJ&X-Amz-Signature=aeeed9bbccd4",
    ),
    "CloudFront": (
        "Key-Pair-Id",
        "Signature Expires|Policy",
        "Expires={end}&Signature=nitfHRCrtziwO2HwPfWw~yYDhUF5EwRunQA-&Key-Pair-Id=APKAEXAMPLE",
    ),
    "Google Cloud Storage V2": (
        "GoogleAccessId",
        "Expires Signature",
        "GoogleAccessId=me%40p.iam.gserviceaccount.com&Expires={end}&Signature=ABEL%2F%2B%3D%3D",
    ),
    "Google Cloud Storage V4": (
        "X-Goog-Algorithm X-Goog-Credential X-Goog-Date X-Goog-Expires",
        "X-Goog-Signature",
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=me%40p.iam.gserviceaccount.com%2F"
        "20181026%2Fus%2Fstorage%2Fgoog4_request&X-Goog-Date={date}&X-Goog-Expires={length}"
        "&X-Goog-SignedHeaders=host&X-Goog-Signature=247a2aa45f16",
    ),
    "Volcano TOS": (
        "X-Tos-Algorithm X-Tos-Credential X-Tos-Date X-Tos-Expires",
        "X-Tos-Signature",
        "X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Credential=AKTPexample%2F20231018%2Fcn-beijing%2F"
        "tos%2Frequest&X-Tos-Date={date}&X-Tos-Expires={length}&X-Tos-Signature=8f3e"
        "&X-Tos-SignedHeaders=host&X-Tos-Security-Token=STSeyJ",
    ),
    "Tencent COS": (
        "q-sign-algorithm q-ak q-sign-time",
        "q-signature",
        "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time={start};{end}&q-key-time={start};{end}"
        "&q-header-list=host&q-url-param-list=&q-signature=2ad4e0&x-cos-security-token=s7V",
    ),
    "Tencent COS, escaped": (
        "q-sign-algorithm q-ak q-sign-time",
        "q-signature",
        "q-sign-algorithm=sha1&q-ak=AKIDexample&q-sign-time={start}%3B{end}&q-header-list="
        "&q-url-param-list=&q-signature=2ad4e0",
    ),
    "Azure SAS": (
        "sv",
        "sig se|si",
        "sv=2022-11-02&st=2025-01-01T00%3A00%3A00Z&se={iso}&sr=b&sp=r&spr=https&sig=rtH7%2Bxl4%3D",
    ),
    "Azure SAS of an account": (
        "sv",
        "sig se|si",
        "sv=2021-06-08&ss=bfqt&srt=co&sp=rl&se={iso}&sip=1.2.3.4&sig=rtH7%2B",
    ),
    "Azure SAS, user delegation": (
        "sv",
        "sig se|si",
        "skoid=5c&sktid=1a&skt=2025-01-01T00%3A00%3A00Z&ske=2027-01-01T00%3A00%3A00Z&sks=b"
        "&skv=2022-11-02&sv=2022-11-02&se={iso}&sr=b&sp=r&sig=rtH7",
    ),
    "Qiniu": ("", "", "e={end}&token=MY_ACCESS_KEY:yN9WtB0lQheegAwva64yBuH3ZgU="),
    "Qiniu, escaped": ("", "", "attname=a.png&e={end}&token=MY_ACCESS_KEY%3AyN9Wt%3D"),
}
WITH_A_SECRET = (  # in a query, a password or a fragment, whole or mangled
    "https://example.com/a.gif?Signature=s3cret",
    "https://example.com？Signature=s3cret",
    "https://example.com/a b?Signature=s3cret",
    "https://example.com/a.gif?x=a@b&Signature=s3cret",
    "https://example.com/a.gif#access_token=s3cret",
    "https://example.com/a.gif%3FSignature=s3cret",
    "https://example.com/a.gif&Signature=s3cret",
    "example.com/a.gif?Signature=s3cret",
    "oss://bucket/a.gif?Signature=s3cret",
    "https%253A%252F%252Fexample.com%252Fa.png%253FSignature%253Ds3cret",
    "https://example.com/a.png\\u003fSignature=s3cret",
    "https://example.com/a.png\\x3fSignature=s3cret",
    "a.png Signature=s3cret",
    "https://example.com/p.png X-Amz-Signature=s3cret",
    "https://github.com/me/p/blob/main/p.png&X-Amz-Signature=s3cret",
    "https://example.com/p.gif%26x-oss-signature=s3cret",
    "https://example.com/portrait.png\uff06Signature=s3cret",
    "https://me:s3cret@example.com/a.png",
    "https://me:s3cret@@example.com/a.png",
    "https://s3cret@example.com/a.png",
    "https://me:s3cret/x@example.com/a.png",
    "https://me:s3cret?x@example.com/a.png",
    "https://me:s3cret#x@example.com/a.png",
    "https://me:s3cret\\x@example.com/a.png",
    "https:me:s3cret@example.com/a.png",
    "me:s3cret@example.com/a.png",
    "ftp://me:s3cret@example.com/a.png",
    "https://me:s3cret @example.com/a.png",
    "https://example.com:s3cret@/a.png",
    "https://[::1?s3cret",
    "https://example.com/a.png?se=2020-01-01&sig=s3cret",
)


def check(text, field="image_url", now=NOW):
    """Return the normalized link, its errors and its warnings."""
    report = emo.Report()
    link = emo.check_link(field, text, now, report)
    return link, report.errors, report.warnings


def signed(signer, seconds, length=600):
    """Return the query with which `signer` signs a link until `seconds` from now."""
    end = NOW + seconds
    return SIGNERS[signer][2].format(
        start=end - length,
        end=end,
        length=length,
        date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(end - length)),
        iso=time.strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ", time.gmtime(end)),
    )
