"""Links: which are refused, with which message, and what is written for the others."""

import re
import sys
import time
import unicodedata

from support import IMAGE_URL, Case, arguments, emo
from support.links import check

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
    # Not ASCII, but for the host
    "https://example.cn/头像.png?名=值": (
        "https://example.cn/%E5%A4%B4%E5%83%8F.png?%E5%90%8D=%E5%80%BC"
    ),
    "https://EXAMPLE.de/ü%20x.png": "https://example.de/%C3%BC%20x.png",
    # Addresses
    "https://8.8.8.8/a.png": "https://8.8.8.8/a.png",
    "https://8.8.8.8./a.png": "https://8.8.8.8/a.png",
    "https://0.com/a.png": "https://0.com/a.png",
    "https://0x7f.1.xfg/a.png": "https://0x7f.1.xfg/a.png",
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
    "is not an http or https link": """
        oss://bucket/portrait.png ftp://example.com/portrait.png
        data:image/png;base64,iVBORw0KGgo= s3://bucket/portrait.png javascript:alert(1)
        blob:https://example.com/5f3c file:///home/me/portrait.png FILE:///C:/portrait.png
        httpss://example.com/a.png
    """.split(),
    "is a local path": [
        *"""
        portrait.png ./portrait.png /home/me/portrait.png ~/portrait.png C:/Users/me/portrait.png
        //example.com/portrait.png example.com/portrait.png example.com:8443/portrait.png ? -
        {image_url}
        """.split(),
        *("C:\\Users\\me\\portrait.png", "\\\\server\\share\\portrait.png", "my portrait.png"),
    ],
    "has no host": """
        https: https:example.com/a.png https:/example.com/a.png https:///a.png https://?a
        https://#a https://:80/a.png https:////example.com/a.png
    """.split(),
    "a user name or password": """
        https://me@example.com/a.png https://me:s3cret@example.com/a.png
        https://:@example.com/a.png https://@example.com/a.png https://example.com@evil.com/a.png
    """.split(),
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
    "an invisible character, U+200B": ["https://exam\u200bple.com/a.png", "\u200bhttps://a.cn/b"],
    "an invisible character, U+202E": ["https://\u202eexample.com/a.png", IMAGE_URL + "#\u202e"],
    "an invisible character, U+E007F": [IMAGE_URL + "?a=1\U000e007f"],
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
    "the port is not a number": """
        https://example.com:/a.png https://example.com:0/a.png https://example.com:65536/a.png
        https://example.com:8o/a.png https://example.com:-1/a.png https://example.com:+80/a.png
        https://example.com:８０/a.png https://example.com:80:80/a.png
        https://[2400:3200::1]:x/a.png https://[2400:3200::1]:/a.png
    """.split(),
    "a bad percent escape": """
        https://example.com/100%.png https://example.com/%zz.png https://example.com/%2.png
        https://example.com/% https://example.com/%２０.png
    """.split(),
    "longer than 253": ["https://" + "a." * 126 + "com/a.png", "https://" + "ü." * 127 + "com/"],
    "one has 1 to 63 letters": f"""
        https://.example.com/a.png https://example..com/a.png https://example.com../a.png
        https://./a.png https://{"a" * 64}.com/a.png
        https://-a.com/a.png https://a-.com/a.png https://a.com-/a.png https://a$b.com/a.png
        https://a%2eb.com/a.png https://${{HOST}}.com/a.png https://<host>.com/a.png
        https://example.com,example.org/a.png
    """.split(),
    "has no dot": """
        http://localhost/a.png http://LOCALHOST:8000/a.png http://localhost./a.png
        http://portraits/a.png http://local/a.png
    """.split(),
    "is private": """
        http://a.localhost/a.png http://nas.local/a.png http://NAS.LOCAL./a.png
        http://metadata.google.internal/a.png http://box.lan/a.png http://printer.home.arpa/a.png
        http://home.arpa/a.png http://a.test/a.png http://a.invalid/a.png
        http://localhost.localdomain/a.png http://nas.corp/a.png http://NAS.Home/a.png
        http://a.example/a.png http://abcdefghij234567.onion/a.png http://a.b.alt/
    """.split(),
    "which is not public": """
        http://127.0.0.1/ http://127.0.0.1./ http://127.255.255.255:8000/ http://0.0.0.0/
        http://10.1.2.3/ http://172.16.0.1/ http://172.31.255.255/ http://192.168.1.1:8080/
        http://169.254.169.254/ http://100.64.0.1/ http://100.100.100.200/ http://100.127.255.255/
        http://192.0.0.8/ http://192.0.2.1/ http://198.51.100.1/ http://203.0.113.1/
        http://198.18.0.1/ http://198.19.255.255/ http://192.88.99.1/ http://224.0.0.1/
        http://239.1.1.1/ http://240.0.0.1/ http://255.255.255.255/ http://[::1]/ http://[::]/
        http://[fe80::1]/ http://[fc00::1]/ http://[fd00:ec2::254]/ http://[ff02::1]/
        http://[::ffff:8.8.8.8]/ http://[::ffff:127.0.0.1]/ http://[::8.8.8.8]/
        http://[64:ff9b::8.8.8.8]/ http://[64:ff9b:1::1]/ http://[2002:808:808::1]/
        http://[2001::1]/ http://[2001:0:4136:e378::1]/ http://[2001:db8::1]/ http://[2001:20::1]/
        http://[2001:2::1]/ http://[3fff::1]/ http://[100::1]/ http://[5f00::1]/ http://[4000::1]/
        http://[1fff::1]/ http://[0:0:0:0:0:0:0:1]:80/
    """.split(),
    "is no IPv4 address": """
        http://256.1.1.1/ http://1.2.3.4.5/ http://8.8.8.8.0/ http://8.8.8.8.0.0/
        http://1.2.3.256/ http://8.8.8.08/ http://4294967296/ http://0x100000000/
        http://example.1/ http://1..2/ http://example.0x1f/ http://1.2.65536/ http://8_0.8.8.8/
        http://0o17.8.8.8/ http://-1.8.8.8/ http://.1/ http://1e3.8.8.8/ http://example.com.8./
        http://127.1/ http://2130706433/ http://0x7f.1/ http://0177.0.0.1/ http://0x7F000001/
        http://017700000001/ http://0/ http://0x/ http://4294967295/ http://127.0.0.01/
        http://127.0.0.0x1/ http://10.1/ http://0x08.010.2056/ http://134744072./ http://8.8.2056/
        http://0x08080808/ http://8.8.8.0x8/ http://010.8.8.8/ http://0X08.8.8.8/
    """.split(),
    "is no IPv6 address": """
        http://[::g]/ http://[::1/ http://[127.0.0.1]/ http://[v1.a]/ http://[]/
        http://[2400:3200::1%25eth0]/ http://[2400:3200::1%eth0]/ http://[a]b]/
    """.split(),
}

NOT_ASCII = {  # a host: the form that the hint has, "" for none
    "例子.测试网.cn": "xn--fsqu00a.xn--0zwm89av8i.cn",
    "MÜNCHEN.de": "xn--mnchen-3ya.de",
    "二〇二六.com": "xn--w6jt23gba260a.com",
    "ｅｘａｍｐｌｅ。com": "example.com",
    "a․com": "a.com",
    "оss.example.com": "xn--ss-emc.example.com",
    "straße.de": "strasse.de",
    "βόλος.com": "xn--nxasmq6b.com",
    "☃.com": "xn--n3h.com",
    "i❤.ws": "xn--i-7iq.ws",
    "\U0001f600.com": "xn--e28h.com",
    "８.８.８.８": "8.8.8.8",
    "ⓛocalhost": "",
    "a.b.ｔｅｓｔ": "",
    "１２７.０.０.１": "",
    "a\U000e0101.com": "xn--a-hg21m.com",
    "℀.com": "",
    "xn--ü.com": "",
    "ü..com": "",
    "ü" * 64 + ".com": "",
    "ü." * 40 + "com": "",
}

INTERNAL = {  # a host: the one that the hint gives
    "b.oss-cn-beijing-internal.aliyuncs.com": "b.oss-cn-beijing.aliyuncs.com",
    "B.OSS-CN-Beijing-Internal.Aliyuncs.com.": "b.oss-cn-beijing.aliyuncs.com",
    "oss-cn-shanghai-internal.aliyuncs.com": "oss-cn-shanghai.aliyuncs.com",
    "my-internal.oss-cn-beijing-internal.aliyuncs.com": ("my-internal.oss-cn-beijing.aliyuncs.com"),
    "b.s3.oss-cn-hangzhou-internal.aliyuncs.com": "b.s3.oss-cn-hangzhou.aliyuncs.com",
    "b-125.cos-internal.ap-beijing.tencentcos.cn": "b-125.cos.ap-beijing.tencentcos.cn",
    "b-125.cos-internal.accelerate.tencentcos.cn": "b-125.cos.accelerate.tencentcos.cn",
    "cos-internal.ap-beijing.tencentcos.cn": "cos.ap-beijing.tencentcos.cn",
    "b-125.cos-internal.ap-beijing.myqcloud.com": "b-125.cos.ap-beijing.myqcloud.com",
    "cos-internal.ap-beijing.myqcloud.com": "cos.ap-beijing.myqcloud.com",
    "b.tos-cn-beijing.ivolces.com": "b.tos-cn-beijing.volces.com",
    "tos-s3-cn-beijing.ivolces.com": "tos-s3-cn-beijing.volces.com",
}

OUTSIDE = """
example.com a.example.com example.net corp.com home.com corp.example.com onion.ly alt.com
localdomain.com my.homes mycorp.homely.com internal.com
b.oss-cn-beijing.aliyuncs.com my-internal.oss-cn-beijing.aliyuncs.com
internal.oss-cn-beijing.aliyuncs.com b.oss-internals.aliyuncs.com
b.internal-oss.aliyuncs.com b.oss-accelerate.aliyuncs.com
b.oss-cn-beijing-internal.example.com b.oss-cn-beijing-internal.notaliyuncs.com
b.oss-cn-beijing-internal.aliyuncs.com.cn b.oss-cn-beijing-internal.aliyuncs.example.com
cos-internal-125.cos.ap-beijing.myqcloud.com b-125.cos.ap-beijing.tencentcos.cn
b-125.my-cos-internal.tencentcos.cn cos-internal.example.com
b.tos-cn-beijing.volces.com b.notivolces.com ivolces.com.cn
""".split()

ONE_MISTAKE = {  # words of the message, words of the hint: links
    ("lost its end", "quotes"): """
        https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=x
        https://b.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256
        https://acct.blob.core.windows.net/c/a.png?sv=2022-11-02
    """.split(),
    ("has its query in the path", "Copy it anew"): """
        https://example.com/a.png%3FExpires%3D1%26OSSAccessKeyId%3Dx%26Signature%3Ds
        https://example.com/a.png&sa=D&source=editors&ust=1&usg=AOv
        https://example.com/a.png%3FX-Amz-Expires%3D1%26X-Amz-Signature%3D0123456789abcdef
        https://example.com/a.png%3fX-Amz-Signature=s https://example.com/a.mp3&Expires=1&Signature=s
    """.split(),
    ("&amp;", "&"): """
        https://b.s3.amazonaws.com/a.png?X-Amz-Algorithm=AWS4-HMAC-SHA256&amp;X-Amz-Date=1
        https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k&amp;Expires=1893456000&amp;Signature=s
        https://example.com/render?w=1&amp;h=2
        https://example.com/render?w=1&h=2&amp;x-oss-process=style/a
        https://example.com/render?w=1&amp;amp;h=2
    """.split(),
    ("how a web page or a shell writes &", "write & for it"): """
        https://example.com/render?w=1&#38;h=2 https://example.com/render?w=1&#x26;h=2
        https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k&#038;Expires=1&#038;Signature=s
        https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k^&Expires=1^&Signature=s
        https://example.com/render?w=1`&h=2 https://example.com/a.png?sign=23bf×tamp=1
        https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k&amp%3BExpires=1&amp%3BSignature=s
        https://example.com/a.png?a=1¬ify=2 https://example.com/a.png?a=1®ion=cn
        https://b.oss-cn-beijing.aliyuncs.com/a.png?Expires=1893456000u0026OSSAccessKeyId=ku0026Signature=s
        https://b.tos-cn-beijing.volces.com/a.png?X-Tos-Algorithm=TOS4u0026X-Tos-Date=1u0026X-Tos-Signature=s
    """.split(),
    ("how a web page or a shell writes another character", "Copy the link itself"): [
        *(
            IMAGE_URL + end
            for end in (
                "&#39;",
                "&#34;",
                "&#x27;)",
                "?v=1&#39;",
                "&#34;&gt;",
                "?a&#x3D;1&amp;b&#x3D;2",
            )
        ),
    ],
    ("escaped once too often", "where it was signed"): """
        https://example.com/a.png?Expires=1893456000&Signature=a%252Bb%253D&response-content-disposition=inline
        https://example.com/a.png?UCloudPublicKey=k&Signature=%252Fa%253D&Expires=1893456000
        https://example.com/a.png?token=a%252Fb
    """.split(),
    ("a backslash", ""): [
        "https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k\\u0026Expires=1893456000\\u0026Signature=s",
        "https://b.oss-cn-beijing.aliyuncs.com/a.png?OSSAccessKeyId=k\\&Expires=1\\&Signature=s",
    ],
    ("604800", "anew"): [
        "https://b.s3.amazonaws.com/a.png?X-Amz-Algorithm=A&X-Amz-Credential=c"
        "&X-Amz-Date=20251231T000000Z&X-Amz-Expires=604801&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=s"
    ],
    ("quotes", ""): [
        *"""
        'https://example.com/a.png' 'https://example.com/a “https://example.com/a.png”
        ‘https://example.com/a’ 'https://example.com/a?OSSAccessKeyId=k
        'https://github.com/a/b/blob/c.png „https://example.com/a.png“ ”https://example.com/a.png”
        'https://example.com/a?b=1 'oss://bucket/a.png' “portrait.png” '
        """.split(),
        *('"https://example.com/a.png"', '"https://example.com/a.png', '"/home/me/a.png"', '"'),
    ],
    ("page", "raw"): """
        https://github.com/octocat/portraits/blob/main/a.png
        https://github.com/octocat/portraits/blob/main/img/a%20b.png?raw=false
        https://GitHub.com/octocat/portraits/blob/main/a.png?plain=1
        https://github.com/octocat/portraits/blob/main/a.png#L1
        https://gitee.com/someone/repo/blob/master/a.png
        https://huggingface.co/someone/model/blob/main/a.png
        https://huggingface.co/datasets/someone/data/blob/main/a.png
        https://gitlab.com/someone/repo/-/blob/main/a.png
        https://gitlab.com/group/sub/repo/-/blob/main/a.png
    """.split(),
    ("page", "dl=1"): """
        https://www.dropbox.com/s/abc123/a.png https://www.dropbox.com/s/abc123/a.png?dl=0
        https://dropbox.com/s/abc123/a.png?dl=0
        https://www.dropbox.com/scl/fi/abc123/a.png?rlkey=xyz&st=k1&dl=0
        https://www.dropbox.com/scl/fi/abc123/a.png?rlkey=xyz&dl=10
    """.split(),
    ("page", ""): """
        https://example.com/a.html https://example.com/a/index.htm?x=1
        https://example.com/INDEX.HTML https://example.com/portrait.png.html
        https://drive.google.com/file/d/1AbCdEfGhIjKlMnOp/view?usp=sharing
        https://drive.google.com/file/d/1AbCdEfGhIjKlMnOp/preview
        https://drive.google.com/u/0/file/d/1AbCdEfGhIjKlMnOp/view
        https://drive.google.com/u/12/file/d/1AbCdEfGhIjKlMnOp/view
        https://youtube.com/watch?v=a https://alipan.com/s/a https://kdocs.cn/l/a
        https://pan.baidu.com/s/1aBcDeFg?pwd=abcd https://pan.baidu.com/share/init?surl=aBcDeFg
        https://www.alipan.com/s/aBcDeFg https://www.aliyundrive.com/s/aBcDeFg/folder/61
        https://1drv.ms/i/s!AaBbCc https://1drv.ms/u/c/abc/EaBc?e=xyz
        https://onedrive.live.com/?cid=4B1&id=4B1%21105
        https://onedrive.live.com?cid=4B1&id=4B1%21105
        https://onedrive.live.com/redir?resid=4B1!105
        https://onedrive.live.com/embed?resid=4B1%21105&authkey=!A
        https://commons.wikimedia.org/wiki/File:Portrait.jpg https://zh.wikipedia.org/wiki/A.png
        https://me-my.sharepoint.com/:i:/g/personal/a/Eabc?e=1 https://www.google.com/imgres?imgurl=x
        https://drive.uc.cn/s/a https://yun.baidu.com/s/a https://www.wenshushu.cn/f/a
        https://ibb.co/abc https://postimg.cc/abc https://www.pinterest.com/pin/1
        https://pexels.com/photo/a-1 https://soundcloud.com/a/b https://suno.com/song/a
        https://voca.ro/abc https://on.soundcloud.com/a https://image.baidu.com/search/detail?a=b
        https://m.weibo.cn/status/1 https://gofile.io/d/a
        https://pan.baidu.com/download/a https://mega.nz/a.png https://docs.qq.com/dl/a
        https://www.twitter.com/a/status/1 https://www.mega.nz/file/a https://www.youtu.be/a
        https://imgur.com/dl/a https://y.qq.com/song/media/outer/a
        https://tmpfiles.org/123/a.png https://y.music.163.com/m/song?id=1
        https://c6.y.qq.com/base/fcgi-bin/u?__=a https://m.bilibili.com/video/BV1
        https://music.youtube.com/watch?v=a https://www.123865.com/s/abc
        https://x.larkoffice.com/file/a https://drive.google.com/folderview?id=1
        https://drive.google.com/a/x.com/file/d/1/view https://pan.xunlei.com/s/a
        https://www.jianguoyun.com/p/a https://caiyun.139.com/m/i?a https://v.kuaishou.com/a
        https://vocaroo.com/abc https://oss.console.aliyun.com/bucket/oss-cn-beijing/a
    """.split(),
    ("page", "Upload the file"): """
        https://mp.weixin.qq.com/s/x https://x.com/a/status/1 https://wwi.lanzoup.com/x
        https://me.feishu.cn/file/abc https://feishu.cn/docx/a https://a.sg.larksuite.com/wiki/a
        https://docs.qq.com/doc/a https://share.weiyun.com/a https://pan.quark.cn/s/a
        https://www.123pan.com/s/a-b https://photos.google.com/share/a https://we.tl/t-a
        https://www.icloud.com/iclouddrive/a#portrait https://wetransfer.com/downloads/a/b
        https://a.wetransfer.com/downloads/a https://www.youtube.com/watch?v=a https://youtu.be/a
        https://www.bilibili.com/video/BV1 https://music.163.com/song?id=1 https://imgur.com/a/b
        https://y.qq.com/n/ryqq/songDetail/a https://v.douyin.com/a/ https://imgur.com/aBc
        https://drive.google.com/open?id=a https://drive.google.com/drive/folders/a
        """.split(),
}

GIVE = f"Give '{IMAGE_URL}'."
NAMELESS = "https://example.com/assets/0f6d0c3a-1111-2222-3333-444455556666"
SENTENCES = {  # a link: the first mark of its end, words of the hint
    **{IMAGE_URL + c: (c, GIVE) for c in ".,;!)]}>\"'`*，、；！）】》”’…。：」』"},
    **{
        IMAGE_URL + t: (t[0], GIVE)
        for t in (
            ").",
            *(mark + "谢谢" for mark in ",.;:!)]'`*~"),
            *(")?", '"?', "!?", ".)?", "）?"),
            *("(见附件)", "[图片]", ")后文", "[1]", "[^1]", "&apos;"),
            "。谢谢",
            "谢谢",
            "です",
            "입니다",
            "“头像”",
            "「头像」",
            "&quot;",
            "，声音",
            "</a>",
            '">x</a>',
            "！！",
            "——",
            "（图片）",
            "【头像】",
            "『x』",
            "👍",
            "→",
            "~~",
            *("){width=300}", "](x)", "|portrait", "[/img]", "&gt;", "&lt;/a"),
            *(
                '">portrait.png</a>',
                '","name":"portrait.png"}',
                "|portrait.png",
                "（portrait.png）",
            ),
            *('">portrait.png', "|portrait.png>", '","name":"portrait.png'),
            *("&rdquo;", "&hellip;x", "[1].", "[^1^]", "[1][2]", ":-)", "_", "$", "......"),
            *("[citation:1]", "[cite:1]"),
            f"({IMAGE_URL})",
        )
    },
    **{
        NAMELESS + end: (end[0], f"Give '{NAMELESS}'.")
        for end in (")", '",', '"/>', '"', ">", "]", "}", '")', '"},', "</a>", '">', "`", "'", "؟")
    },
    f"{NAMELESS})。": ("。", f"Give '{NAMELESS}'."),
    **{NAMELESS + end: (end[0], f"Give '{NAMELESS}'.") for end in (".", ",", "!", ";)")},
    "https://example.com/a.png?hm=0123456789abcdef0a.": (".", "from that . on"),
    "https://example.com/get?file=头像.png。": ("。", "from that 。 on"),
    "https://example.com/a.heic!/format/jpg。": ("。", "/a.heic!/format/jpg'."),
    "https://example.com/a.png!large。": ("。", "/a.png!large'."),
    f"{IMAGE_URL}%E3%80%82": ("。", GIVE),
    f"{IMAGE_URL}?v=1，谢谢": ("，", "from that ， on"),
    f"{IMAGE_URL}?v=1（图）": ("（", "from that （ on"),
    f"{IMAGE_URL}?v=1。": ("。", "from that 。 on"),
    f"{IMAGE_URL}%20": ("%20", GIVE),
    f"{IMAGE_URL}%5Cn": ("\\", GIVE),
    **{
        IMAGE_URL + end: (mark, GIVE)
        for end, mark in (("%22%7D", '"'), ("%29", ")"), ("%e3%80%82", "。"))
    },
    **{
        f"https://example.com/My%20%E5%A4%B4.png{end}": (
            mark,
            "Give 'https://example.com/My%20%E5%A4%B4.png'.",
        )
        for end, mark in (
            ("[1]", "["),
            ("%20", "%20"),
            ("%EF%BC%89", "）"),
            ("[/img]", "["),
            ("（图）", "（"),
        )
    },
    'https://example.com/d/17a."': ('"', "/d/17a'."),
    "https://example.com/d/17a[1]": ("[", "/d/17a'."),
    f"{NAMELESS}[12]": ("[", f"Give '{NAMELESS}'."),
    f"{IMAGE_URL}?v=1[1]": ("[", "from that [ on"),
    "https://p3.byteimg.com/a~tplv-x.image?lk3s=1&x-signature=ab%3D，请生成视频": (
        "，",
        "from that ， on",
    ),
    'https://www.dropbox.com/scl/fi/a/p.png?rlkey=abc&dl=1"': ('"', 'from that " on'),
    "https://github.com/u/r/blob/main/portrait.png?raw=true)": (")", "from that ) on"),
    'https://example.com/d/17a","name":"portrait.png"}': ('"', "/d/17a'."),
    f"{IMAGE_URL}%E2%80%8B": ("\\u200b", GIVE),
    **{
        f"{IMAGE_URL}?{query}{end}": (end[0], f"from that {end[0]} on")
        for query in ("auth_key=1-2-ce", "token=ey.ab", "hm=2f&", "x-oss-process=style/a", "v=1")
        for end in (")", ").", '"', '">', '",', '"}', "'", "]", "`", "</a>", "<br>", "“谢谢”")
        if end[0] != "“" or query.endswith("1")
    },
    f"{IMAGE_URL}?wx_fmt=png，声音在下面": ("，", "from that ， on"),
    f"{IMAGE_URL}?v=2。": ("。", "from that 。 on"),
    "https://example.com/a_(1).png)": (")", "/a_(1).png'."),
    "https://example.com/头像.PNG。": ("。", "/头像.PNG'."),
    "https://example.com/a.gif；": ("；", "/a.gif'."),
    "https://example.com/a.midi；": ("；", "/a.midi'."),
    "https://example.com/picture。": ("。", "/picture'."),
    "https://www.icoach.com/picture。": ("。", "/picture'."),
}
NO_SENTENCES = """
portrait_(1).png a(b) a.png(1) a.png-副本.png a.png&w=300 a.png%3Fw=300 (a.png)
a.jpg!small a.jpg,w_100 a.jpg:large a.b. a, a。b a%29.png a.png[c1].png a.jpg(HD).png
头像，新.png 你好，世界 头像.png（1） 图《一》
get?name=（张三）.png get?name=《封面》.png&w=800 p.png?name=Tom（1）.png&w=800 p.png?text=A—B&v=x
speech?text=OK，我们开始吧。&format=mp3 speech?text=AI、机器人
p.png?t=10～20 p.png?c=1：1 p.png?c=“hi”&w=8
a(123456789) a.png?hm=(123456789) 123456789说 a.png&amp;w=1 p.png?t=OK.
speech?text=我的电话是13800138000。 speech?text=Call%20me%20at%2013800138000.
speech?text=QQ“1234567890”
say/什么……？！ speech?text=R&D;x say/R&D;x.png
get?f=100％ say/C＃ say/Top10–最佳 2024／新年 tts?t=a&author=Wait...&v=1
p.png?Policy=eyJTdGF0_&Key-Pair-Id=K2JC&Signature=abc-def_ghi~
a.png?t=你好，世界 a，b.png?v=1 a.png?q="a" a.png?t=hi! a.jpg;v=1 https://b.cn/a.png
""".split()
GOOD = """
p/https%3A%2F%2Fb.cn%2Fa.png%3Ftoken%3Dabc p/https%3A%2F%2Fb.cn%2Fa.png%3FX-Amz-Signature%3Da@jpg
a.jpg?imageMogr2/thumbnail/1000x1000> portrait@2x.png p?SGVsbG8%3D
p?sign=q-sign-algorithm%3Dsha1%2526 ?https%3A%2F%2Fb.cn%2Fp%3Fauto%3Dformat%26w%3D1000
?https://b.cn/p.png?Expires=1893456000&OSSAccessKeyId=k&Signature=a%2Fb%3D
a.png?q='a' a.png?l=[1] p?q=a_(b) unsafe/filters:watermark(https://b.cn/a.png,0,0)/c.png
fetch/https://b.cn/a.png ?https://b.cn/a.png p?url=https://b.cn/a.png wait...what.png
my.gifs/portrait my.jpgk my.pdfI/b a...b/c.png p?t=hi... p.png?t=3×4
""".split()
BOTH = f"has more than one link in it. Give '{IMAGE_URL}'."
TWO = [
    *(IMAGE_URL + mark + IMAGE_URL for mark in ("", ",", ";", "|", '","', "，", "和", "%0A", "](")),
    *(f"{IMAGE_URL}{mark}{IMAGE_URL}" for mark in (")![](", " ", "\n", "<", "、", '"},{"url":"')),
    f"{IMAGE_URL}，{IMAGE_URL}?v=1",
    f"{IMAGE_URL},https://example.com/speech.mp3",
    f"https://example.com/speech.mp3,{IMAGE_URL}",
]
WORDS = {  # a text: the link that the hint has
    "图片：https://example.com/正面：张三.png": "https://example.com/正面：张三.png",
    "（https://example.com/张三、李四.png）": "https://example.com/张三、李四.png",
    "图片：https://example.com/张三——正面.png，谢谢": "https://example.com/张三——正面.png",
    "图片：https://example.com/「张三」.png": "https://example.com/「张三」.png",
    "[p](https://example.com/portrait@2x.png)": "https://example.com/portrait@2x.png",
    "https://urldefense.com/v3/__https://b.cn/a/p.png__;!!AbC!xyz$": "https://b.cn/a/p.png",
    "![p](https://example.com/a.png){width=300px .center}": "https://example.com/a.png",
    "_Image: https://example.com/portrait.png_": "https://example.com/portrait.png",
    'data: {"url":"https://example.com/a.png"}': "https://example.com/a.png",
    "图片：https://example.com/张三（正面）.png。": "https://example.com/张三（正面）.png",
    "图：https://example.com/【正面】头像.png": "https://example.com/【正面】头像.png",
    "see https://example.com/o'brien.png, please": "https://example.com/o'brien.png",
    "Voici : https://example.com/photo-d’identité.png": "https://example.com/photo-d’identité.png",
    "声音:https://example.com/b.mp3 图片:https://example.com/a.png": "https://example.com/a.png",
    "图https://example.com/a.png,音https://example.com/b.mp3": "https://example.com/a.png",
    '{"url":"https:\\/\\/example.com\\/a.png"}': "https://example.com/a.png",
    f"声音：https://example.com/speech.mp3 图片：{NAMELESS}": NAMELESS,
    "图：https://example.com/a.png，文件名：a.png。": "https://example.com/a.png",
    "图片：https://example.com/a.png（a.png）": "https://example.com/a.png",
    "[https://a.cn/a.png](https://a.cn/a.png?Signature=s)": "https://a.cn/a.png?...",
    f"Bearer xoxb-1234567890-abcdef {IMAGE_URL}": IMAGE_URL,
    "![p](https://a.cn/WhatsApp Image at 12.00.jpeg)": "https://a.cn/WhatsApp%20Image%20at%2012.00.jpeg",
    '{"image_url": "https://a.cn/My Photo.png"}': "https://a.cn/My%20Photo.png",
    "(https://a.cn/x see below)": "https://a.cn/x",
    "(https://a.cn/a.png and https://a.cn/b.mp3)": "https://a.cn/a.png",
    "(https://a.cn/a.png and b.mp3)": "https://a.cn/a.png",
    "<https://a.cn/a.png a.png>": "https://a.cn/a.png",
    'srcset="https://a.cn/a.png 1x, https://a.cn/b.png"': "https://a.cn/a.png",
    "图片：https://a.cn/a.jpeg，音频：b.mp3": "https://a.cn/a.jpeg",
    "图片 https://a.cn/a.webp（原名IMG_1.jpg）": "https://a.cn/a.webp",
    '{"image_url": "https://example.com/\\u56fe\\u7247.png"}': "https://example.com/图片.png",
    "图片：https://example.com/my\\_portrait.png": "https://example.com/my_portrait.png",
    "[p](https://example\\.com/my\\-a.png)": "https://example.com/my-a.png",
    "请用https://example.com/头像（正面）.png做视频": "https://example.com/头像（正面）.png",
    f"图片{NAMELESS}谢谢大家": NAMELESS,
    **{
        text.replace("~", "https://a.cn/"): f"https://a.cn/{meant}.png"
        for meant, text in (
            ("a", "{image_url:~a.png,audio_url:~b.mp3}"),
            ("b", "{audio:~a.mp3,image:~b.png}"),
            ("b", "~a.mp3,image:~b.png"),
            ("a", "portrait,~a.png,12345"),
            ("b", "1,portrait;~b.png;image/png;2026-11-29"),
            ("a", "portrait: ~a.png;speech: ~b.mp3"),
            ("a", "图片：~a.png/音频：~b.mp3"),
            ("a", "图片：~a.png+音频：~b.mp3"),
            ("a", '"~a.png" "~b.mp3"'),
            ("a", "~a.png:1 GET ~a.png 403"),
            ("b", "内网 https://b.oss-cn-beijing-internal.aliyuncs.com/a.png 外网 ~b.png"),
            ("b", '{"html_url":"https://github.com/o/r/blob/main/b.png","download_url":"~b.png"}'),
            ("b", '{"thumb":"http://10.0.0.5/a.png","url":"~b.png"}'),
        )
    },
    "https://a.cn/a.mp3?v=1&token=k:a= https://a.cn/a.png?v=1&token=k:b=": "https://a.cn/a.png?...",
    "https://https://https://a.cn/a.png": "https://a.cn/a.png",
    "https://www.https://www.a.cn/a.png": "https://www.a.cn/a.png",
    "https: https://a.cn/a.png": "https://a.cn/a.png",
    "HTTP: http://a.cn/a.png 好的": "http://a.cn/a.png",
    '<img src="https://a.cn/a.png?OSSAccessKeyId=k&#38;Expires=1">': "https://a.cn/a.png?...",
    "Https://a.cn/a.png HTTPS://a.cn/b.mp3": "Https://a.cn/a.png",
    "图片：https://a.cn/2024/portr…全文": "https://a.cn/2024/portr...",
    # One that is cut stays so, and is refused: nobody is led to half a link.
    '{"url":"https://a.cn/2024/portr...","n":1}': "https://a.cn/2024/portr...",
    "图片：https://a.cn/2024/portr…": "https://a.cn/2024/portr...",
    "│ portrait │ https://a.cn/2024/portr… │": "https://a.cn/2024/portr...",
    "0  https://dashscope-result-bj.oss-cn-bei...": "https://dashscope-result-bj.oss-cn-bei...",
    "[https://a.cn/2024/por...](https://a.cn/2024/portrait)": "https://a.cn/2024/portrait",
    "图：https://a.cn/wait...what.png。": "https://a.cn/wait...what.png",
    "图：https://a.cn/a.png…": "https://a.cn/a.png",
    "[下图](https://a.cn/a.jpg)是过去20年": "https://a.cn/a.jpg",
    "（[点击查看](https://a.cn/a.jpg)详细的课程大纲）": "https://a.cn/a.jpg",
    "https://a.cn/a.png https://<your-host>/b.mp3": "https://a.cn/a.png",
    "图：https://a.cn/A－B.png 谢谢": "https://a.cn/A－B.png",
    "图：https://a.cn/歌〜.png 谢谢": "https://a.cn/歌〜.png",
    "图片https://example.com/语音/你好": "https://example.com/语音/你好",
    "[图](https://example.com/大家好！.png)": "https://example.com/大家好！.png",
}
CUT = """
images/portra… images/portra... images/portrait.p... .../portrait.png …/portrait.png a/.../b/c.png
images/por...?v=1 a/ibABC.../640?wx_fmt=jpeg images/por...) images/por..."
""".split()
AROUND = """
<{}> [portrait]({}) ![]({}) 图片：{} 图片:{} URL:{} "see~{}~" （{}） 【{}】
《{}》 |{}| **{}** ({}). @{} 1.~{} >~{} >>{} image_url={} <img~src="{}">
<{}|portrait>
<a~href='{}'>x</a> curl~-O~{} view-source:{} &lt;{}&gt; [{}](x) [img]{}[/img] ＜{}＞
[url={}]portrait[/url] see~{}[1](x)
复制打开抖音，看看【作品】~{}~01/08 _{} [[{}][a]] \\href{{{}}}{{a}}
""".split()
ALMOST = {
    "https：//example.com/a.png": "https://example.com/a.png",
    "HTTPS：／／example.com/a.png": "https://example.com/a.png",
    "http%3A%2F%2Fexample.com%2Fa%20b.png%3FS%3Ds3cret": "http://example.com/a b.png?...",
    # A bucket in front of an endpoint that has its own scheme.
    "https://my-b1.https://oss-cn-beijing.aliyuncs.com/a.png": (
        "https://my-b1.oss-cn-beijing.aliyuncs.com/a.png"
    ),
    "http://b.http://s3.amazonaws.com/a.png?S=s3cret": "http://b.s3.amazonaws.com/a.png?...",
    "https://https:example.com/a.png": "https://example.com/a.png",
    "https%3a%2f%2fme%3As3cret%40example.com%2Fa.png": "https://...@example.com/a.png",
    "hxxps://example[.]com/a.png": "https://example.com/a.png",
    **dict.fromkeys(
        """https//example.com/a.png https;//example.com/a.png ttps://example.com/a.png
        htps://example.com/a.png https:／／example.com/a.png http://https://example.com/a.png
        https://https//example.com/a.png""".split(),
        "https://example.com/a.png",
    ),
}

NO_PAGE = """
https://example.com/a.xhtml https://example.com/html https://example.com/a.html/
https://example.com/a.html.png https://example.com/a.png?page=index.html https://example.html/a
https://example.com/blob/main/a.png https://example.com/octocat/portraits/blob/main/a.png
https://github.com/octocat/portraits/blob/main/a.png?raw=true
https://github.com/octocat/portraits/blob/main/a.png?x=1&raw=true
https://github.com/octocat/portraits/raw/main/a.png
https://github.com/octocat/portraits/raw/main/blob/a.png
https://github.com/octocat/blob/raw/main/a.png
https://github.com/octocat/portraits/releases/download/v1/a.png
https://github.com/user-attachments/assets/5b1a2c3d-0000-4000-8000-000000000000
https://raw.githubusercontent.com/octocat/portraits/main/blob/a.png
https://tmpfiles.org/dl/123/a.png https://imgur.com/a.jpeg
https://gitee.com/someone/repo/raw/master/a.png
https://gitee.com/someone/repo/blob/master/a.png?raw=true
https://huggingface.co/someone/model/resolve/main/a.png?download=true
https://huggingface.co/someone/model/blob/main/a.png?raw=true
https://drive.google.com/uc?export=download&id=1AbCdEfGhIjKlMnOp
https://drive.google.com/thumbnail?id=1AbCdEfGhIjKlMnOp&sz=w1000
https://drive.usercontent.google.com/download?id=1AbCdEfGhIjKlMnOp&export=download
https://lh3.googleusercontent.com/d/1AbCdEfGhIjKlMnOp
https://www.dropbox.com/s/abc123/a.png?dl=1 https://www.dropbox.com/s/abc123/a.png?raw=1
https://www.dropbox.com/scl/fi/abc123/a.png?rlkey=xyz&st=k1&dl=1
https://www.dropbox.com/s/raw/abc123/a.png https://www.dropbox.com/s/dl/abc123/a.png
https://internal-api-lark-file.feishu.cn/static-resource/v1/v2_a~?image_size=640x640
https://upload.wikimedia.org/wikipedia/commons/a/a1/Portrait.jpg https://i.ibb.co/abc/a.png
https://commons.wikimedia.org/wiki/Special:FilePath/Portrait.jpg https://i.postimg.cc/a/a.png
https://me-my.sharepoint.com/:i:/g/personal/a/Eabc?download=1 https://images.pexels.com/a/1.jpeg
https://lh3.googleusercontent.com/a https://i.pinimg.com/736x/a/b.jpg
https://dl.dropboxusercontent.com/s/abc123/a.png
https://d.pcs.baidu.com/file/5b1a?fid=1 https://pan.baidu.com.example.com/s/1a
https://onedrive.live.com/download?cid=4B1&resid=4B1%21105
https://onedrive.live.com/download.aspx?cid=4B1&resid=4B1%21105
https://download.wetransfer.com/eu2/a/a.png https://i.imgur.com/a.png https://imgur.com/a.png
https://music.163.com/song/media/outer/url?id=1.mp3 https://feeds.soundcloud.com/stream/1.png https://img.youtube.com/vi/a/0.jpg
https://y.qq.com/music/common/upload/a.jpg https://miaoda.feishu.cn/aily/api/v1/files/static/a_ve
https://alidocs.dingtalk.com/core/api/resources/img/5eec?tmpCode=1 https://weibo.com/ajax/common/download?pid=1
https://www.kdocs.cn/api/v3/office/copy/a/attach/b https://www.jianguoyun.com/c/tblv2/a/b/l
https://image.baidu.com/search/down?url=https://wx2.sinaimg.cn/large/a.jpg
https://www.pexels.com/photo/123/download/ https://www.pexels.com/download/123
https://y.qq.com/music/photo_new/a.jpg https://notfeishu.cn/docx/a https://example.com/feishu.cn/a
""".split()

CONVERTED = """
a.gif?x-oss-process=image/format,jpg a.heic?x-oss-process=image/format,png
a.heic?x-oss-process=image/auto-orient,1/resize,w_800/format,jpg/quality,q_90
a.HEIC?x-oss-process=image%2Fresize%2Cw_800%2Fformat%2Cjpg
a.tiff?x-oss-process=image/format,webp a.avif?v=1&x-oss-process=image/format,bmp
a.svg?x-oss-process=image/format,jpeg&v=1
a.heic?x-tos-process=image/format,jpg a.gif?x-tos-process=image/resize,w_800/format,png
a.gif?x-image-process=image/format,jpg a.heic?x-image-process=image/resize,m_lfit,h_800/format,png
a.heic?imageMogr2/format/png a.gif?imageMogr2/auto-orient/thumbnail/800x/format/jpg/quality/90
a.mp4?vframe/jpg/offset/1/w/480
a.gif?imageMogr2/format/jpg|imageslim a.gif?imageMogr2/thumbnail/!50p/format/webp
a.gif?v=1&imageMogr2/format/png a.gif?imageslim|imageMogr2/format/png
a.gif?imageView2/2/w/800/format/jpg a.heif?imageView2/0/format/png
a.mp4?x-oss-process=video/snapshot,t_1000,f_jpg,w_800,h_0,m_fast
a.mov?x-oss-process=video/snapshot,f_jpg a.mp4?x-oss-process=video/snapshot,t_7000,f_png
a.jpg?x-oss-process=image/resize,w_800 a.png?imageView2/2/w/800
""".split()

NOT_CONVERTED = """
a.gif?x-oss-process=image/resize,w_800 a.heic?x-oss-process=image/format,avif
a.heic?x-oss-process=image/format,heic a.gif?x-oss-process=image/format,gif
a.gif?x-oss-process=image/format,jpgx a.gif?format=jpg a.gif?format,jpg a.gif?to=image/format,jpg
a.gif?my-x-oss-process=image/format,jpg a.gif?imageView2/2/w/800 a.gif?imageMogr2/format/gif
a.gif?imageMogr2/thumbnail/800x a.gif?x=imageMogr2/format/png
a.mp4?x-oss-process=video/snapshot,t_1000 a.mp4?x-oss-process=video/info
a.mp4 a.heic?v=1&format/jpg
""".split()


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

    def test_a_local_path_is_told_where_to_go(self):
        for field, name in emo.LOCAL.items():
            for text in (*REFUSED["is a local path"], "file:///home/ann/a.png", "FILE:a.png"):
                with self.subTest(f"{field} {text}"):
                    _, (error,), _ = check(text, field)
                    self.assertIn(f"--{name}, or upload it", error.hint)

    def test_all_faults_of_one_link_are_told_at_once(self):
        _, errors, _ = check("http://me:pw@localhost:99999/a b%zz.gif?Expires=1&Signature=s")
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

    def test_a_link_with_one_mistake_gets_one_message_and_its_hint(self):
        for (words, advice), texts in ONE_MISTAKE.items():
            for text in texts:
                with self.subTest(text):
                    link, (error,), _ = check(text)
                    self.assertIsNone(link)
                    self.assertIn(words, error.message)
                    self.assertNotIn("local path", error.message)
                    self.assertIn(advice, error.hint)

    def test_a_link_copied_out_of_a_sentence_is_refused_and_the_hint_has_it_without_its_mark(self):
        for text, (mark, hint) in SENTENCES.items():
            with self.subTest(text):
                link, (error,), _ = check(text)
                self.assertIsNone(link)
                self.assertIn(f"ends with the {mark} of a sentence", error.message)
                self.assertIn(hint, error.hint)

    def test_the_hint_has_the_link_where_blanks_are_behind_it(self):
        for words in (" 提取码: abcd", " — x", " | 头像", '" />'):
            with self.subTest(words):
                _, errors, _ = check(IMAGE_URL + words)
                self.assertEqual(errors[-1].hint, GIVE)

    def test_marks_of_a_name_or_a_query_are_their_own(self):
        for end in (*NO_SENTENCES, *GOOD):
            with self.subTest(end):
                link, errors, warnings = check(f"https://example.com/{end}")
                self.assertEqual((errors, warnings), ([], []))
                self.assertTrue(link)

    def test_two_links_are_not_one(self):
        for text in TWO:
            with self.subTest(text):
                link, (error,), _ = check(text)
                self.assertIsNone(link)
                self.assertIn(BOTH, f"{error.message}. {error.hint}")
        _, (error,), _ = check(f"{IMAGE_URL}?v=1<{IMAGE_URL}?v=1>")
        self.assertIn("has more than one link in it", error.message)

    def test_the_hint_has_the_link_that_is_meant_among_words(self):
        for text, meant in WORDS.items():
            with self.subTest(text):
                _, (error,), _ = check(text)
                is_cut = meant.endswith("...") and "?" not in meant
                give, _, wrong = error.hint.partition(" But ")
                self.assertEqual(give, f"Give '{meant}'.")
                self.assertEqual(wrong[:15], "the link is cut" if is_cut else "")
                self.assertNotIn("xoxb", error.message)
        for text in ("图片：{}", "[p]({})", "<{}>", '"{}"', "“{}”", '"{}" '):
            for its, told in (
                ("b.cn/a.png?Expires=173296000&OSSAccessKeyId=k&Signature=a", "the link expired"),
                ("pan.baidu.com/s/1abc", "'https://pan.baidu.com/s/1abc' is a page"),
                ("b.cn/a.heic", ".heic is not taken"),
            ):
                with self.subTest(text, its=its):  # all that is wrong is told at once
                    _, (error,), _ = check(text.format(f"https://{its}"))
                    self.assertIn(f" But {told}", error.hint)
        text = "图片:https://example.com/a.png 声音:https://example.com/b.mp3"
        _, (error,), _ = check(text, "audio_url")
        self.assertEqual(error.hint, "Give 'https://example.com/b.mp3'.")
        _, (error,), _ = check(f"图片：{IMAGE_URL} 声音：https://example.com/tts?id=7", "audio_url")
        self.assertEqual(error.hint, "Give 'https://example.com/tts?...'.")

    def test_the_hint_has_a_long_link_whole(self):
        long = f"https://example.com/{'%E4%BA%A7' * 20}.png"
        for text in (
            f"{long}。",
            f"图片：{long}",
            f"[p]({long})",
            f"{long}%",
            long.replace(":", "："),
        ):
            with self.subTest(text[-9:]):
                _, (error,), _ = check(text)
                self.assertEqual(error.hint, f"Give '{long}'.")

    def test_a_percent_sign_that_a_shell_put_at_the_end_is_none_of_a_name(self):
        for text, meant in ((IMAGE_URL, IMAGE_URL), (f"{IMAGE_URL}?id=17&", f"{IMAGE_URL}?...")):
            _, (error,), _ = check(f"{text}%")
            self.assertEqual(error.hint, f"Give '{meant}'.")

    def test_a_link_with_dots_for_a_part_of_it_is_cut(self):
        for path in CUT:
            with self.subTest(path):
                link, (error,), _ = check(f"https://example.com/{path}")
                self.assertIsNone(link)
                self.assertEqual((error.hint, "cut" in error.message), ("Copy it whole.", True))
        for rest, words in (
            ("b.oss-cn-beijing.aliy…/a.png", "the link is cut"),
            ("b.oss-cn-bei...", "the link is cut"),
            ("b.oss-cn-beijing.aliyuncs…", "the link is cut"),
            ("example.com/a.png?ex=...&is=...&hm=...", "the query of the link is cut"),
            ("example.com/a.png?ex=65a1b2c3&is=6593...", "the query of the link is cut"),
            ("example.com/a.png?export=a&id=1AbC...", "the query of the link is cut"),
        ):
            _, (error,), _ = check(f"https://{rest}")
            self.assertIn(words, error.message)

    def test_of_what_is_around_a_link_the_hint_has_none_and_no_query(self):
        for around in AROUND:
            for query, shown in (("", "'"), ("?Signature=s3cret", "?...'")):
                text = around.replace("~", " ").format(IMAGE_URL + query)
                with self.subTest(text):
                    link, (error,), _ = check(text.strip())
                    self.assertIsNone(link)
                    self.assertIn("has more than a link around it", error.message)
                    self.assertEqual(error.hint, f"Give '{IMAGE_URL}{shown}.")
                    self.assertNotIn("s3cret", error.message)

    def test_the_token_of_a_command_around_a_link_is_not_shown(self):
        token = "xoxb-123456789012-abcdefghij"
        for text in (
            f"curl -H 'Authorization: Bearer {token}' {IMAGE_URL}",
            f'{IMAGE_URL} -H "Authorization: Bearer {token}"',
            f"curl -u me:{token} {IMAGE_URL}",
            f'{{"token":"{token}","url":"{IMAGE_URL}"}}',
            f'{IMAGE_URL}","token":"{token}"}}',
        ):
            _, errors, _ = check(text)
            self.assertNotIn("xoxb", str([(e.message, e.hint) for e in errors]))

    def test_what_is_wrong_with_the_link_of_a_hint_is_told_as_well(self):
        for text, wrong in (
            (
                "[录音](https://a.cn/a.m4a)",
                ".m4a is not taken; the service takes wav, mp3. Convert",
            ),
            ("链接: https://pan.baidu.com/s/1abc 提取码: 1234", "is a page, not the recording"),
            ("录音：http://10.0.0.5/a.mp3", "is the address 10.0.0.5, which is not public"),
            ("录音：https://a.cn/a.png", "of a picture (.png), not of a recording: swapped? Exch"),
        ):
            with self.subTest(text):
                _, (error,), _ = check(text, "audio_url")
                self.assertRegex(error.hint, r"^Give 'https?://[^']+'\. But .*" + re.escape(wrong))

    def test_quotes_that_no_shell_knows_are_not_just_taken_off(self):
        for begin, end in ("“”", "‘’", ("“", ""), ('"', "")):  # bash has ended it at its first &
            _, errors, _ = check(f"{begin}{IMAGE_URL}?Expires=1893456000{end}")
            self.assertTrue(any('use plain " "' in e.hint for e in errors), begin)

    def test_whatever_begins_twice_comes_to_an_end(self):
        for text in ("https://http:", "图：https://https:a.cn/a.png", "a,b:https://https:a"):
            with self.subTest(text):
                self.assertIsNone(check(text)[0])
        began = time.monotonic()
        check(f"图：{IMAGE_URL}{chr(0xFF12) * 3900}a")
        self.assertLess(time.monotonic() - began, 5)

    def test_what_json_makes_of_an_and_is_no_lost_end(self):
        for end in ("Expires=1893456000", "security-token=" + "a1" * 30):
            for mark in ("u0026", "\\u0026", "%26"):
                with self.subTest(end, mark=mark):
                    _, errors, warnings = check(f"{IMAGE_URL}?{end}{mark}OSSAccessKeyId=k")
                    self.assertNotIn("lost its end", str([e.message for e in errors + warnings]))

    def test_a_link_that_is_broken_by_a_line_end_is_wanted_in_one_line(self):
        _, (error,), _ = check("https://example.com/uploads/portrait-of-a-\n  woman.png")
        self.assertIn("as one line", error.hint)

    def test_what_is_almost_a_link_is_refused_and_the_hint_has_it(self):
        for text, wanted in ALMOST.items():
            with self.subTest(text):
                link, (error,), _ = check(text)
                self.assertIsNone(link)
                self.assertIn("not with https://", error.message)
                self.assertEqual(error.hint, f"Give '{wanted}'.")
                self.assertNotIn("s3cret", error.message + error.hint)
        for text in ("https//" * 3000, "https：//" * 3000, '"' * 3000 + "https//", '""'):
            _, (error,), _ = check(text)  # whatever is nested in it ends soon
            self.assertLess(len(error.message + error.hint), 3000)

    def test_what_does_not_show_is_in_no_link(self):
        for code in range(sys.maxunicode + 1):
            if unicodedata.category(chr(code)) == "Cf":
                _, (error,), _ = check(f"https://example.com/a{chr(code)}.png")
                self.assertIn(f"an invisible character, U+{code:04X}", error.message)

    def test_an_internal_endpoint_is_refused_and_the_hint_gives_the_public_one(self):
        for host, public in INTERNAL.items():
            with self.subTest(host):
                link, (error,), _ = check(f"https://{host}/a.png")
                self.assertIsNone(link)
                self.assertIn("internal endpoint", error.message)
                self.assertIn(f" {public} ", error.hint)

    def test_a_host_that_only_looks_internal_or_private_is_taken(self):
        for host in OUTSIDE:
            with self.subTest(host):
                link = f"https://{host}/a.png"
                self.assertEqual(check(link), (link, [], []))

    def test_a_host_that_is_not_ascii_is_refused_and_the_hint_has_its_form(self):
        for host, form in NOT_ASCII.items():
            with self.subTest(host[:40]):
                link, (error,), _ = check(f"https://{host}/a.png")
                self.assertIsNone(link)
                self.assertIn("is not ASCII", error.message)
                self.assertEqual("if that is the host you mean" in error.hint, bool(form))
                self.assertIn(f" {form}, " if form else "", error.hint)
                self.assertLess(len(error.hint), 400)

    def test_a_page_that_shows_a_recording_is_refused_too(self):
        for link in ("https://github.com/a/b/blob/main/c.mp3", "https://pan.baidu.com/s/1a"):
            with self.subTest(link):
                _, (error,), _ = check(link, "audio_url")
                self.assertIn("page", error.message)

    def test_what_only_looks_like_a_page_is_taken(self):
        for link in NO_PAGE:
            with self.subTest(link):
                self.assertEqual(check(link), (link, [], []))

    def test_amp_that_is_no_separator_is_taken(self):
        for query in ("q=a&amp;", "q=Tom&amp;Jerry", "q=AT%26amp;T=1", "amp;x=1", "q=&amplitude=1"):
            with self.subTest(query):
                link = f"{IMAGE_URL}?{query}"
                self.assertEqual(check(link), (link, [], []))

    def test_quotes_within_a_link_are_its_own(self):
        for link in ("https://example.com/it's.png", IMAGE_URL + '?q="a"'):
            with self.subTest(link):
                self.assertEqual(check(link), (link, [], []))

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
            for extension in [*extensions.split(), "php", "xhtml", "7", "x" * 300, "", "mp", "%2F"]:
                with self.subTest(f"{field} {extension}"):
                    self.assertEqual(self.messages(field, extension), [])

    def test_another_medium_is_refused(self):
        for field, extensions in self.REFUSED.items():
            for extension in extensions.split():
                with self.subTest(f"{field} {extension}"):
                    (message,) = self.messages(field, extension)
                    self.assertIn("is not taken", message)

    def test_an_extension_is_not_judged_where_the_picture_is_converted(self):
        for end in CONVERTED:
            with self.subTest(end):
                link = f"https://example.com/{end}"
                self.assertEqual(check(link), (link, [], []))

    def test_an_extension_is_judged_where_it_is_not_converted_to_what_is_taken(self):
        for end in NOT_CONVERTED:
            with self.subTest(end):
                link, (error,), _ = check(f"https://example.com/{end}")
                self.assertIsNone(link)
                self.assertIn("is not taken", error.message)

    def test_no_conversion_makes_a_recording_of_a_picture(self):
        link = "https://example.com/a.gif?x-oss-process=image/format,jpg"
        _, (error,), _ = check(link, "audio_url")
        self.assertIn("swapped?", error.message)

    def test_a_picture_for_the_audio_and_the_reverse_ask_whether_they_are_swapped(self):
        for field, extensions in self.SWAPPED.items():
            for extension in extensions.split():
                with self.subTest(f"{field} {extension}"):
                    (message,) = self.messages(field, extension)
                    self.assertIn("swapped?", message)
