"""Signed links: which have lost their end, which have expired, and which only look signed."""

import re
import time

from support import IMAGE_URL, Case, arguments
from support.links import NOW, SIGNERS, check, signed

WEEK = 604800
# Links of services that sign in other ways, or not at all; their secrets are invented.
REAL = """
https://firebasestorage.googleapis.com/v0/b/app.appspot.com/o/img%2Fa.jpg?alt=media&token=5b1a2c3d-0e4f
https://abc.supabase.co/storage/v1/object/sign/img/a.png?token=eyJhbGciOiJIUzI1NiJ9.eyJ1cmwiOiJhIn0.sIg
https://abc.supabase.co/storage/v1/object/public/img/a.png
https://zone.b-cdn.net/a.png?token=WrC5kR6QW5L9&expires=1609459200
https://zone.b-cdn.net/bcdn_token=WrC5kR6QW5L9&expires=1609459200&token_path=%2F/a.png
https://media.licdn.com/dms/image/v2/D5603AQ/0/1700000000?e=1704067200&v=beta&t=7Y-s3c
https://imagedelivery.net/ZWd9g1K7eljCn_KDTu_MWA/083eb7b2/public?exp=1631289275&sig=6293f9
https://videodelivery.net/eyJhbGciOi/thumbnails/thumbnail.jpg?time=1s
https://b.obs.cn-north-4.myhuaweicloud.com/a.jpg?AccessKeyId=OBSEX&Expires=1893456000&Signature=BPVe%2B
https://b.obs.cn-north-4.myhuaweicloud.com/a.gif?x-image-process=image/format,jpg
https://b.ks3-cn-beijing.ksyuncs.com/a.jpg?KSSAccessKeyId=AKLTex&Expires=1893456000&Signature=qy0%3D
https://cdn.example.com/a.png?Expires=1893456000&KeyName=my-key&Signature=7jBkA6l-WQ_xYg==
https://cdn.example.com/a.png?URLPrefix=aHR0cHM6Ly8&Expires=1893456000&KeyName=k&Signature=7jBkA6l
https://cdn.example.com/a.png?Expires=1893456000;KeyName=k;Signature=7jBkA6l
https://b.nos-eastchina1.126.net/a.jpg?Signature=NyIP%3D&Expires=1893456000&NOSAccessKeyId=1a2b
https://b.cn-bj.ufileos.com/a.jpg?UCloudPublicKey=TOKEN_x&Expires=1893456000&Signature=Hm0%3D
https://bj.bcebos.com/b/a.jpg?authorization=bce-auth-v1%2Fak%2F2020-01-01T00%3A00%3A00Z%2F60%2F%2Fsig
https://b.pek3a.qingstor.com/a.jpg?access_key_id=QYAC&expires=1577836800&signature=SgX%3D
https://cdn.example.com/a.png?auth_key=1577836800-0-0-23bf85053008f5c0e791667a313e28ce
https://cdn.example.com/20200101/23bf85053008f5c0e791667a313e28ce/a.png
https://cdn.example.com/a.png?wsSecret=23bf8505&wsTime=5e0be100
https://cdn.example.com/a.png?txSecret=23bf8505&txTime=5E0BE100
https://cdn.example.com/a.png?sign=23bf8505&t=5e0be100 https://cdn.example.com/a.png?_upt=abcd1577836800
https://cdn.example.com/a.png?hdnts=exp=1577836800~acl=/*~hmac=23bf8505
https://cdn.example.com/a.png?__token__=st=1577836000~exp=1577836800~hmac=23bf8505
https://raw.githubusercontent.com/o/private/main/a.png?token=GHSAT0AAAAAACINVENTED
https://private-user-images.githubusercontent.com/1/2-a.png?jwt=eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.s
https://avatars.githubusercontent.com/u/583231?v=4 https://objects.example.com/a.png?se=2020-01-01&sp=r
https://cdn.discordapp.com/attachments/11/22/a.png?ex=5e0be100&is=5e0a8f80&hm=23bf8505&
https://media.discordapp.net/attachments/11/22/a.png?ex=5e0be100&is=5e0a&hm=23bf&=&format=webp&width=550
https://mmbiz.qpic.cn/mmbiz_png/aBcD/640?wx_fmt=png&from=appmsg&tp=webp&wxfrom=5&wx_lazy=1
https://wx.qlogo.cn/mmopen/vi_32/aBcD/132 https://thirdwx.qlogo.cn/mmopen/aBcD/0
https://pbs.twimg.com/media/FaBcDeFXkAA1bcd?format=jpg&name=large
https://pbs.twimg.com/media/FaBcDeFXkAA1bcd.jpg:large
https://scontent.xx.fbcdn.net/v/t1.6435-9/1_2_n.jpg?_nc_cat=1&ccb=1-7&_nc_sid=09&oh=00_AfB&oe=5E0BE100
https://instagram.fxyz1-1.fna.fbcdn.net/v/a.jpg?stp=dst-jpg&_nc_ht=x&oh=00&oe=5E0BE100&ig_cache_key=a%3D
https://i.imgur.com/aBcDeFg.png https://i.redd.it/abc123.jpg
https://preview.redd.it/abc123.jpg?width=640&crop=smart&auto=webp&s=23bf8505
https://images.unsplash.com/photo-1?ixlib=rb-4.0.3&ixid=M3w&auto=format&fit=crop&w=800&q=80
https://images.pexels.com/photos/1/pexels-photo-1.jpeg?auto=compress&cs=tinysrgb&w=600
https://upload.wikimedia.org/wikipedia/commons/thumb/a/a1/A.jpg/800px-A.jpg
https://upload.wikimedia.org/wikipedia/commons/thumb/a/a1/A.svg/800px-A.svg.png
https://commons.wikimedia.org/wiki/Special:FilePath/A.jpg https://lh3.googleusercontent.com/a/AcHTx=s96-c
https://res.cloudinary.com/demo/image/upload/s--aBcDeF--/f_jpg,w_800/v1/a.jpg
https://demo.imgix.net/a.png?w=800&fm=jpg&expires=1577836800&s=23bf8505
https://ik.imagekit.io/demo/a.jpg?ik-t=1577836800&ik-s=23bf8505 https://picsum.photos/id/1/800
https://img.alicdn.com/imgextra/i1/O1CN01_!!0-tps-800-800.jpg_q90.jpg
https://gw.alicdn.com/tfs/TB1.jpg_.webp https://i0.hdslb.com/bfs/face/a.jpg@240w_240h_1c.webp
https://sns-webpic-qc.xhscdn.com/202001010000/23bf/abc!nd_dft_wlteh_jpg_3
https://p3-sign.douyinpic.com/tos-cn-i-0813/a~tplv-dy.webp?x-expires=1577836800&x-signature=abc%3D&from=1
https://p16-sign.tiktokcdn.com/tos/a~c5_720x720.jpeg?x-expires=1577836800&x-signature=abc%3D
https://wx1.sinaimg.cn/large/a.jpg https://wx1.sinaimg.cn/mw690/a.jpg?KID=imgbed,tva&Expires=1893456000&ssig=aB
https://s3.bmp.ovh/imgs/2022/a.png https://s2.loli.net/2022/01/01/a.png https://cdn.jsdelivr.net/gh/o/r@main/a.png
https://static-cdn.example.com/a.png?v=20240101&sv=3 https://minio.example.com:9000/b/a.png
https://f005.backblazeb2.com/file/b/a.png?Authorization=3_20200101_abc
https://pub-0123456789abcdef.r2.dev/a.png https://b.sgp1.cdn.digitaloceanspaces.com/a.png
https://storage.googleapis.com/b/a.png https://storage.cloud.google.com/b/a.png
https://acct.blob.core.windows.net/c/a.png https://ns.servicebus.windows.net/q?sr=h&sig=s&se=1577836800&skn=p
https://b.oss-cn-beijing.aliyuncs.com/a.png?x-oss-process=image/resize,w_800
https://b.oss-cn-beijing.aliyuncs.com/a.png?versionId=CAEQ&response-content-type=image%2Fpng
https://b-125.cos.ap-beijing.myqcloud.com/a.png?sign=q-sign-algorithm%3Dsha1%26q-ak%3DA%26q-sign-time%3D1;2
https://b-125.cos.ap-beijing.myqcloud.com/a.png?imageMogr2/thumbnail/800x
https://b.tos-cn-beijing.volces.com/a.png?x-tos-process=image/resize,w_800
https://qny.example.com/a.png?imageView2/2/w/800 https://qny.example.com/a.png?e=1577836800
https://qny.example.com/a.png?attname=a.png&e=1893456000&token=ak:s3c
https://example.com/download?file=a.png&token=user:pass https://example.com/a.png?token=a%3Ab&exp=1
https://example.com/p?Policy=a&Expires=1577836800 https://example.com/api?Signature=s&t=1
https://www.notion.so/image/https%3A%2F%2Fprod-files-secure.s3.us-west-2.amazonaws.com%2Fa.png?table=block&id=1
https://internal-api-drive-stream.feishu.cn/space/api/box/stream/download/asynccode/?code=YmY
https://cdn.nlark.com/yuque/0/2020/png/1/a.png?x-oss-process=image%2Fresize%2Cw_800
https://static.dingtalk.com/media/lADPx_800_800.jpg https://files.slack.com/files-pri/T1-F1/a.png?pub_secret=1a
https://oaidalleapiprodscus.blob.core.windows.net/private/org-a/img-a.png?st=2025-12-31T22%3A00%3A00Z&\
se=2026-01-01T02%3A00%3A00Z&sp=r&sv=2024-08-04&sr=b&rscd=inline&rsct=image/png&skoid=5c&sktid=1a&\
skt=2025-12-31T22%3A00%3A00Z&ske=2026-01-02T22%3A00%3A00Z&sks=b&skv=2024-08-04&sig=rtH7%2B
https://prod-files-secure.s3.us-west-2.amazonaws.com/1a/2b/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&\
X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Credential=ASIAEXAMPLE%2F20251231%2Fus-west-2%2Fs3%2F\
aws4_request&X-Amz-Date=20251231T235959Z&X-Amz-Expires=86400&X-Amz-Security-Token=IQoJ&\
X-Amz-Signature=fdbf&X-Amz-SignedHeaders=host&x-amz-checksum-mode=ENABLED&x-id=GetObject
https://acct.r2.cloudflarestorage.com/b/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2Fb&\
X-Amz-Date=20251231T000000Z&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=fdbf
https://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/1d/2e/a.png?Expires=1767312000&\
OSSAccessKeyId=LTAIexample&Signature=xd%2F1%3D&response-content-disposition=attachment
https://bj29.cn-beijing.data.alicloudccp.com/a?callback=eyJ&response-content-disposition=attachment&\
x-oss-access-key-id=LTAIexample&x-oss-expires=1767312000&x-oss-signature=abc%3D&x-oss-signature-version=OSS2
""".replace("\\\n", "").split()
IN_ANY_CASE = [
    name for name in SIGNERS if "V4" in name or name in ("Alibaba OSS V2", "Volcano TOS")
]
WITH_A_LENGTH = [name for name in SIGNERS if "V4" in name or name == "Volcano TOS"]


def pairs(signer):
    """Return the names and values of a query of `signer` that is good for a day, in order."""
    return dict(pair.partition("=")[::2] for pair in signed(signer, 86400).split("&"))


def query_of(values):
    return "&".join(f"{name}={value}" for name, value in values.items())


class Signed(Case):
    def accept(self, query, warned=None):
        link = f"{IMAGE_URL}?{query}"
        written, errors, warnings = check(link)
        self.assertEqual([error.message for error in errors], [])
        self.assertEqual(written, link)
        self.assertEqual([warned in w.message for w in warnings], [True] * bool(warned), warnings)

    def refuse_cut(self, query, missing=""):
        link, (error,), warnings = check(f"{IMAGE_URL}?{query}")
        self.assertIsNone(link)
        self.assertIn("lost its end", error.message)
        self.assertIn(missing.lower(), error.message.lower())
        self.assertIn("quotes", error.hint)
        self.assertEqual(warnings, [])

    def test_an_expired_link_is_refused_and_one_that_expires_within_an_hour_warned_of(self):
        for signer in SIGNERS:
            for seconds, refused, warned in (
                (-86400, True, False),
                (0, True, False),
                (1, False, True),
                (3600, False, True),
                (3601, False, False),
                (10**8, False, False),
            ):
                with self.subTest(f"{signer} {seconds}"):
                    text = f"{IMAGE_URL}?{signed(signer, seconds)}"
                    link, errors, warnings = check(text)
                    self.assertEqual(link, text, "its age alone does not hide a link")
                    self.assertEqual((len(errors), len(warnings)), (refused, warned))
                    for problem in errors + warnings:
                        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW + seconds))
                        self.assertIn(at, problem.message)
                        self.assertIn("Sign it anew", problem.hint)

    def test_an_own_name_alone_is_a_link_that_lost_its_end(self):
        for signer, (own, others, _) in SIGNERS.items():
            for name in own.split():
                with self.subTest(f"{signer} {name}"):
                    value = pairs(signer)[name]
                    self.refuse_cut(f"{name}={value}", others.split()[0].partition("|")[0])
                    self.refuse_cut(f"v=1&{name}={value}&w=2")

    def test_a_link_that_lacks_one_part_has_lost_its_end(self):
        for signer, (own, others, _) in SIGNERS.items():
            required = [*own.split(), *others.replace("|si", "").replace("|Policy", "").split()]
            for name in required:
                with self.subTest(f"{signer} {name}"):
                    values = pairs(signer)
                    gone = values.pop(name)
                    if own == name:  # without it, nothing says who signed
                        self.accept(query_of(values))
                        continue
                    self.refuse_cut(query_of(values), name)
                    self.refuse_cut(query_of({**values, name: ""}), name)
                    self.accept(query_of({**values, name: gone}))

    def test_a_link_cut_at_an_ampersand_has_lost_its_end_once_its_signer_shows(self):
        for signer, (own, others, _) in SIGNERS.items():
            required = {*own.split(), *others.replace("|si", "").replace("|Policy", "").split()}
            names = list(pairs(signer))
            for count in range(1, len(names)):
                start = names[:count]
                query = query_of({name: pairs(signer)[name] for name in start})
                with self.subTest(query):
                    if required <= set(start) or not set(start) & set(own.split()):
                        alone = start == ["Expires"]
                        self.accept(query, "lost its end" if alone else None)
                    else:
                        self.refuse_cut(query)

    def test_expires_alone_is_warned_of_as_a_link_that_lost_its_end(self):
        for at in (NOW - 86400, NOW + 60, NOW + 86400):
            with self.subTest(at):
                _, errors, (warning,) = check(f"{IMAGE_URL}?Expires={at}")
                self.assertEqual(errors, [])
                self.assertIn("lost its end", warning.message)
                self.assertIn("quotes", warning.hint)
        long = "CAIS%2F" * 10
        for query in ("sp=r", "sp=rw", f"security-token={long}", f"X-Amz-Security-Token={long}"):
            with self.subTest(query):
                self.accept(query, f"its query is {query.partition('=')[0]} alone")
        for query in (
            "sp=3",
            "security-token=x",
            "Expires=0",
            "Expires=176722560",
            "Expires=17672256000",
            "expires=1767225600",
        ):
            with self.subTest(query):
                self.accept(query)
                self.accept(f"{query}&v=1")

    def test_a_policy_or_a_stored_one_stands_in_for_the_time_and_tells_none(self):
        for query in (
            "Policy=eyJTdGF0ZW1lbnQiOlt7fV19&Signature=nitfHRC~&Key-Pair-Id=APKAEXAMPLE",
            "sv=2022-11-02&si=readers&sr=c&sig=rtH7%2B",
        ):
            with self.subTest(query):
                self.accept(query)

    def test_names_are_taken_in_any_case_where_the_contract_says_so(self):
        for signer, (own, _, _) in SIGNERS.items():
            for change in (str.lower, str.upper, str.title):
                values = {change(name): value for name, value in pairs(signer).items()}
                first = own.split()[0] if own else "token"
                with self.subTest(f"{signer} {change(first)}"):
                    alone = f"{change(first)}={pairs(signer)[first]}"
                    if signer in IN_ANY_CASE:
                        self.accept(query_of(values))
                        self.refuse_cut(alone)
                    elif change(first) != first:
                        self.accept(alone)

    def test_a_week_is_the_most_that_a_date_and_a_length_can_ask_for(self):
        for signer in WITH_A_LENGTH:
            for change in (str, str.lower):
                for length in (WEEK + 1, 864000, 31536000, 10**15):
                    with self.subTest(f"{signer} {length}"):
                        query = signed(signer, 86400).replace("=600&", f"={length}&")
                        names = [change(p.partition("=")[0]) for p in query.split("&")]
                        query = query_of(dict(zip(names, pairs_of(query))))
                        link, (error,), _ = check(f"{IMAGE_URL}?{query}")
                        self.assertIsNone(link)
                        self.assertIn(str(length), error.message)
                        self.assertIn(str(WEEK), error.message)
                        self.assertIn("anew", error.hint)
            with self.subTest(signer):
                self.accept(signed(signer, 86400, WEEK))
        for signer in sorted(set(SIGNERS) - set(WITH_A_LENGTH)):
            with self.subTest(signer):
                self.accept(signed(signer, 10**8))

    def test_of_two_signers_the_earlier_end_counts(self):
        for first, second in (("AWS V2", "Azure SAS"), ("Tencent COS", "AWS V4")):
            for one, other in ((-5, 86400), (86400, -5)):
                with self.subTest(f"{first} {one}"):
                    _, errors, _ = check(
                        f"{IMAGE_URL}?{signed(first, one)}&{signed(second, other)}"
                    )
                    self.assertEqual(["expired" in e.message for e in errors], [True])

    def test_it_is_told_at_once_where_a_page_or_json_has_written_the_and_of_a_query(self):
        for escaped in ("&amp;", "\\u0026", "u0026"):
            for seconds in (-5, 86400):
                with self.subTest(f"{escaped} {seconds}"):
                    query = f"OSSAccessKeyId=k&Expires={NOW + seconds}&Signature=s"
                    _, (first, *more), _ = check(f"{IMAGE_URL}?{query.replace('&', escaped)}")
                    self.assertNotIn("expired", first.message)
                    self.assertEqual(["expired" in e.message for e in more], [True] * (seconds < 0))

    def test_expires_beside_any_signature_is_a_time(self):
        for query in (
            "AccessKeyId=OBSEXAMPLE&Expires={}&Signature=BPVe%2B",
            "KSSAccessKeyId=AKLTexample&Expires={}&Signature=BPVe",
            "Expires={}&KeyName=my-key&Signature=7jBkA6l-",
            "NOSAccessKeyId=1a&Expires={}&Signature=BPVe",
            "Signature=s&Expires={}",
        ):
            for seconds, outcome in ((-1, "expired"), (60, "expires"), (86400, None)):
                with self.subTest(f"{query} {seconds}"):
                    _, errors, warnings = check(f"{IMAGE_URL}?{query.format(NOW + seconds)}")
                    messages = [problem.message for problem in errors + warnings]
                    self.assertEqual([outcome in m for m in messages], [True] * bool(outcome))
                    self.assertEqual(len(errors), outcome == "expired")

    def test_azure_dates_come_in_several_lengths(self):
        for se in (
            "2025-12-31",
            "2025-12-31T23:59Z",
            "2025-12-31T23:59:59.9999999Z",
            "2025-12-31T23:59:59%2B00:00",
        ):
            with self.subTest(se):
                _, (error,), _ = check(f"{IMAGE_URL}?sv=2022-11-02&se={se}&sig=s")
                self.assertIn("expired", error.message)

    def test_what_tells_no_time_is_let_through(self):
        whole = {name: pairs(name) for name in SIGNERS}
        for query in (
            *("Expires=0", "Expires=never", "expires=60", "se=1", "se=20240101"),
            *(
                "se=2024-01-01",
                "se=2024-01-01T00:00:00Z&sig=s",
                "e=1&token=abc",
                "e=1",
                "token=a:b",
            ),
            *("Signature=s", "Policy=p&Signature=s", "sig=s", "sv=2", "sv=20221102", "sv=en"),
            *("sv=2022-11", "x-oss-expires=600", "x-oss-signature=s", "X-Amz-Signature=s"),
            *("x-oss-signature-version=OSS1", "q-signature=s", "q-key-time=1;2", "X-Amz-Foo=1"),
            *(
                "ossaccesskeyid=x",
                "awsaccesskeyid=x",
                "key-pair-id=x",
                "googleaccessid=x",
                "Q-AK=x",
            ),
            *("AccessKeyId=x", "my-OSSAccessKeyId=x", "v=OSSAccessKeyId=x", "SV=2022-11-02"),
            "Expires=-1&Signature=s",
            "Expires=1e3&Signature=s",
            "Expires=" + "9" * 5000 + "&Signature=s",
            "Expires=Thu,%2001%20Jan%201970&Signature=s",
            "Expires=1&Signature=",
            *(
                query_of({**whole["Azure SAS"], "se": se})
                for se in ("1", "2025-13-01T00:00:00Z", "0000-01-01")
            ),
            query_of({**whole["AWS V4"], "X-Amz-Date": "now"}),
            query_of({**whole["AWS V4"], "X-Amz-Expires": "soon"}),
            query_of({**whole["Alibaba OSS V4"], "x-oss-date": "２０２００１０１T000000Z"}),
            query_of({**whole["Tencent COS"], "q-sign-time": "never"}),
            "&&=&",
        ):
            with self.subTest(query[:40]):
                _, errors, warnings = check(f"{IMAGE_URL}?{query}")
                self.assertEqual((errors, warnings), ([], []))

    def test_the_process_knows_what_time_it_is(self):
        for at, code in ((time.time() - 60, 2), (time.time() + 86400, 0)):
            with self.subTest(code):
                link = f"{IMAGE_URL}?Expires={int(at)}&Signature=s3cret"
                self.assertEqual(self.call(*arguments(image_url=link), "--dry-run").code, code)

    def test_a_mark_of_a_sentence_behind_what_belongs_to_a_signature_is_refused(self):
        for signer in SIGNERS:
            for end in [
                *".,;!?)]}>\"'，、；！）】》”’…。",
                *("...", "[1]", "[/img]", "(portrait)", "{a}", "）。"),
                "。谢谢",
                "的",
                "%E3%80%82",
                "</a>",
            ]:
                with self.subTest(signer + end):
                    link, errors, _ = check(f"{IMAGE_URL}?{signed(signer, 86400)}{end}")
                    self.assertIsNone(link)
                    error = errors[0]
                    self.assertEqual(len(errors), 2 if end == "..." else 1)
                    mark = "。" if end[0] == "%" else end[0]
                    self.assertIn(f"?...' ends with the {mark} of a sentence", error.message)
                    cut = end in ("…", "...")  # what is left would be no whole signature
                    taken = "Copy it whole: it may be cut there."
                    taken = taken if cut else f"Take its end away, from that {mark} on."
                    self.assertEqual(error.hint, taken)

    def test_words_behind_the_last_and_are_of_a_sentence(self):
        _, (error,), _ = check(f"{IMAGE_URL}?{signed('Alibaba OSS V1', 86400)}&谢谢")
        self.assertIn("ends with the 谢 of a sentence", error.message)

    def test_a_query_as_messages_show_it_is_refused(self):
        whole = signed("Alibaba OSS V1", 86400)
        for query in (
            *("...", f"{whole}...", "OSSAccessKeyId=LTAI...&Expires=1&Signature=a", "X-Amz-Alg..."),
            *(
                f"{whole[:-8]}...{whole[-4:]}",
                "Expires=1896035646&...",
                "Expires=1896035646&OSSAcc...4",
            ),
        ):
            with self.subTest(query):
                link, errors, _ = check(f"{IMAGE_URL}?{query}")
                self.assertIsNone(link)
                self.assertIn("the query of the link is cut", str([e.message for e in errors]))

    def test_a_link_that_was_cut_at_its_first_equals_sign_has_lost_its_end(self):
        self.assertEqual(check(f"{IMAGE_URL}?token=")[1:], ([], []))  # of a public file
        for query in ("Expires", "Expires=", "sv", "Signature", "X-Amz-Signature"):
            with self.subTest(query):
                link, (error,), _ = check(f"{IMAGE_URL}?{query}")
                self.assertIsNone(link)
                self.assertIn("has lost its end", error.message)

    def test_a_query_that_was_escaped_as_a_whole_is_refused(self):
        for query in (
            "Expires%3D1%26OSSAccessKeyId%3Dk%26Signature%3Dab%252Bc%253D",
            "Expires=1896035646%26OSSAccessKeyId=k%26Signature=ab",
        ):
            with self.subTest(query):
                link, errors, _ = check(f"{IMAGE_URL}?{query}")
                self.assertIsNone(link)
                self.assertIn("escaped once too often", errors[0].message)
        for query in (
            "https%3A%2F%2Fb.cn%2Fp%3FSignature%3Da",
            "url=https%3A%2F%2Fx%3Fa%3D1%26OSSAccessKeyId%3Db",
        ):
            self.assertEqual(check(f"{IMAGE_URL}?{query}")[1:], ([], []))

    def test_a_signature_that_was_shortened_by_one_character_is_cut(self):
        for query in ("ex=6956…&is=6955…&hm=abc1…", "OSSAccessKeyId=LTAI…&Expires=1&Signature=a"):
            _, errors, _ = check(f"{IMAGE_URL}?{query}")
            self.assertIn("the query of the link is cut", str([e.message for e in errors]))

    def test_what_is_not_of_its_alphabet_ends_a_signature(self):
        for end in (
            "?x-oss-process=image/resize",
            "?utm_source=x",
            "~",
            "|portrait",
            "'s",
            "!large",
            "^",
            "$",
            *(",portrait.png", ";portrait.png", ",512", "|portrait.png"),
        ):
            _, (error,), _ = check(f"{IMAGE_URL}?{signed('Alibaba OSS V1', 86400)}{end}")
            self.assertIn(f"ends with the {end[0]} of a sentence", error.message)
        for instead in ("[REDACTED]", "<redacted>", "${SIG}", "{sig}", "略"):
            query = f"Expires=1996058663&OSSAccessKeyId=k&Signature={instead}"
            _, (error,), _ = check(f"{IMAGE_URL}?{query}")
            self.assertEqual(error.hint, "Copy it whole: it may be cut there.")
        _, (error,), _ = check(f"{IMAGE_URL}?{signed('Alibaba OSS V1', 86400)}%2")
        self.assertEqual(error.hint, "Copy it whole: it may be cut there.")

    def test_what_was_escaped_once_too_often_is_no_end_of_a_sentence(self):
        for name in SIGNERS:
            query = signed(name, 86400, WEEK)
            if "%" in query:
                with self.subTest(name):
                    _, (error,), _ = check(f"{IMAGE_URL}?{query.replace('%', '%25')}")
                    self.assertIn("escaped once too often", error.message)

    def test_an_operator_of_a_signed_link_is_its_own(self):
        for end in ("800x800!", "800x800>"):
            query = signed("Tencent COS", 86400) + "&imageMogr2/thumbnail/" + end
            link = f"{IMAGE_URL}?{query}"
            self.assertEqual(check(link), (link, [], []))

    def test_a_list_that_its_signer_escapes_twice_is_taken(self):
        query = signed("Tencent COS", 86400)
        query += "&q-url-param-list=imagemogr2%252fthumbnail&imageMogr2%2Fthumbnail="
        self.assertEqual(check(f"{IMAGE_URL}?{query}")[1:], ([], []))

    def test_a_long_text_takes_no_time(self):
        for piece in ("?", "sig=", "?sig", "&", "%25", "a@", "</", "x1!", "@", ".", "'", ")", "z]"):
            began = time.monotonic()
            check(f"{IMAGE_URL}?{piece * (120_000 // len(piece))}")
            self.assertLess(time.monotonic() - began, 10, piece)

    def test_dots_in_a_name_or_a_text_are_their_own(self):
        name = "response-content-disposition=inline%3B%20filename%3D%22Wait...%20what.mp3%22"
        self.accept(f"{name}&{signed('Alibaba OSS V1', 86400)}")
        signature = signed("Alibaba OSS V1", 86400)
        for query in (
            f"{signature}&filename=张三（1）.jpg",
            "url=x.com%2FWait...what.png&w=800",
            "text=Hello...&voice=a",
        ):
            self.assertEqual(check(f"{IMAGE_URL}?{query}")[1:], ([], []))

    def test_what_moves_a_cursor_is_told_as_an_escape(self):
        for end, mark in (("%3D%1B[2J", "\\x1b"), ("%C2%9B2J", "\\x9b"), ("%0Ax", "\\n")):
            with self.subTest(end):
                _, (error,), _ = check(f"{IMAGE_URL}?{signed('Alibaba OSS V1', 86400)}{end}")
                self.assertIn(f"ends with the {mark} of a sentence", error.message)
                self.assertTrue((error.message + error.hint).isprintable())

    def test_so_it_is_behind_the_last_value_whatever_that_is_called(self):
        for name in ("x-id=GetObject", "x-oss-process=image/resize,w_100", "v=1", "v=a%29"):
            for end in [*".,;!)]}>\"'`*，、；！）】》”’…。", "。谢谢", ").", "**"]:
                with self.subTest(name + end):
                    query = f"{signed('Alibaba OSS V1', 86400)}&{name}{end}"
                    link, (error,), _ = check(f"{IMAGE_URL}?{query}")
                    self.assertIsNone(link)
                    self.assertIn(f"ends with the {end[0]} of a sentence", error.message)

    def test_a_mark_in_a_signed_link_that_belongs_to_no_signature_is_taken(self):
        for end in ("&v=hi%21", "&filename=%22a%22", "&x=(a)", "&v=hi!&x=1", "&v=a?"):
            self.accept(signed("Alibaba OSS V1", 86400) + end)
        self.accept("sv=2022-11-02&sr=c&sig=rtH7%2B&si=readers!")

    def test_no_signature_shows_in_what_is_said(self):
        for signer in SIGNERS:
            for seconds in (-5, 5):
                query = signed(signer, seconds)
                query = re.sub("(signature=|sig=|token=)[^&]+", r"\1a:s3cret", query, flags=re.I)
                for end in ("", "&amp;a=b", "&X-Amz-Date=1"):
                    with self.subTest(query + end):
                        _, errors, warnings = check(f"{IMAGE_URL}?{query}{end}")
                        self.assertTrue(errors + warnings)
                        for problem in errors + warnings:
                            self.assertNotIn("s3cret", problem.message + problem.hint)

    def test_links_as_they_are_pasted_are_taken_without_a_word(self):
        for link in REAL:
            with self.subTest(link[:80]):
                written, errors, warnings = check(link)
                messages = [problem.message for problem in errors + warnings]
                self.assertEqual((written, messages), (link, []))


def pairs_of(query):
    """Return the values of a `query`, in order."""
    return [pair.partition("=")[2] for pair in query.split("&")]
