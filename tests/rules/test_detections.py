"""Detections: the boxes of a saved answer, from a file or from stdin."""

import json
import os
import subprocess
import sys
import time
import unittest

from support import (
    AUDIO_URL,
    EXT_BBOX,
    FACE_BBOX,
    FIXTURES,
    IMAGE_URL,
    POSIX,
    REQUEST,
    SCRIPT,
    Case,
    arguments,
)
from support.links import signed
from support.service import PORTRAIT, fixture

from aliyun_emo.refusals import REMEDIES

PASSED = fixture("detection-pass")
FAILED = fixture("detection-fail")


class Detections(Case):
    """`--detection`: the boxes from a saved answer."""

    def prepare(self, content, *words, **changes):
        """Return the result with `content` as the detection file; bytes stand as they are."""
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        path = self.folder / "detection.json"
        path.write_bytes(content)
        changes = {"face_bbox": None, "ext_bbox": None, "detection": str(path), **changes}
        return self.call(*arguments(**changes), *words)

    def saved(self, image_url=IMAGE_URL, answer=PASSED, **more):
        return {"request": {"input": {"image_url": image_url}}, "response": answer, **more}

    def boxes(self, **output):
        """Return the answer that passed with parts of its output replaced, None for left out."""
        merged = {**PASSED["output"], **output}
        kept = {name: value for name, value in merged.items() if value is not None}
        return {**PASSED, "output": kept}

    def test_the_boxes_come_from_the_answer_in_each_form_and_encoding(self):
        text = json.dumps(PASSED, ensure_ascii=False)
        for name, content in {
            "as it came": (FIXTURES / "detection-pass.json").read_bytes(),
            "with its request": self.saved(),
            "and other keys": self.saved(saved_at="2026-01-01T00:00:00Z", note=[None]),
            "without its request": {"response": PASSED},
            "without a request": {"request": None, "response": PASSED},
            "its output alone": PASSED["output"],
            "its output alone, UTF-16": json.dumps(PASSED["output"]).encode("utf-16"),
            "its output in the kept file": self.saved(answer=PASSED["output"]),
            "UTF-8 with a mark": text.encode("utf-8-sig"),
            "UTF-16 as PowerShell writes it": text.encode("utf-16"),
            "UTF-16, big end first": b"\xfe\xff" + text.encode("utf-16-be"),
            "UTF-16 without a mark": text.encode("utf-16-le"),
            "CRLF": json.dumps(PASSED, indent=2).replace("\n", "\r\n").encode(),
            "with words of other languages": {**PASSED, "message": "通过"},
        }.items():
            with self.subTest(name):
                result = self.prepare(content, "--dry-run")
                self.assertEqual(result.code, 0, result)
                self.assertEqual(result.line["request"], REQUEST)
                self.assertEqual(result.line["warnings"], [])

    def test_a_file_that_is_no_detection_answer_is_a_problem_that_says_which(self):
        deep = b'{"output": ' + b"[" * 200_000
        for content, words in (
            (b"", "is empty"),
            (b" \n", "is empty"),
            (b"{", "is not JSON"),
            (b"boxes: 1,2,3,4", "is not JSON"),
            (b'{"output": {}} trailing', "is not JSON"),
            (b"\xff\xfe\x00", "is not JSON"),
            (b'{"message": "\xe9"}', "is not JSON"),
            (
                b'{"n": ' + b"9" * 10_000 + b"}",
                "is not JSON" if emo_limits_digits() else "no output",
            ),
            (deep, "recursion"),
            (PORTRAIT, "it is no text"),
            (b" " * (1024 * 1024) + b"{}", "larger than 1 MiB"),
            (b"[]", "holds no JSON object"),
            (b"null", "holds no JSON object"),
            (b"302", "holds no JSON object"),
            ({}, "no output.check_pass"),
            ({"output": None}, "no output.check_pass"),
            ({"output": []}, "no output.check_pass"),
            ({"response": None}, "no output.check_pass"),
            ({"response": [PASSED]}, "no output.check_pass"),
            ({"response": {"response": PASSED}}, "no output.check_pass"),
            (REQUEST, "no output.check_pass"),
            (fixture("task-failed"), "check_pass"),
            (self.boxes(check_pass="true"), "check_pass"),
            (self.boxes(check_pass=1), "check_pass"),
            (self.boxes(check_pass=None), "check_pass"),
            (self.boxes(face_bbox=None), "face_bbox: is missing"),
            (self.boxes(ext_bbox=None), "ext_bbox: is missing"),
            (self.boxes(ext_bbox="71,9,840,778"), "ext_bbox: "),
            (self.boxes(ext_bbox={}), "ext_bbox: "),
            (self.boxes(ext_bbox=[]), "ext_bbox: "),
            (self.boxes(ext_bbox=[[71, 9, 840, 778]]), "ext_bbox: "),
            (self.boxes(ext_bbox=[71, 9, 840]), "ext_bbox: "),
            (self.boxes(ext_bbox=[71, 9, 840, 778, 1]), "ext_bbox: "),
            (self.boxes(ext_bbox=[71.0, 9, 840, 778]), "'71.0'"),
            (self.boxes(ext_bbox=[True, 9, 840, 778]), "'true'"),
            (self.boxes(ext_bbox=["71", 9, 840, 778]), "ext_bbox: "),
            (self.boxes(ext_bbox=[-71, 9, 840, 778]), "'-71'"),
            (self.boxes(ext_bbox=[None, 9, 840, 778]), "'null'"),
            (self.boxes(ext_bbox=[10**400, 9, 840, 778]), "ext_bbox: "),
            (self.boxes(ext_bbox=[71, 9, 840, 578]), "769x569"),
            (self.boxes(face_bbox=EXT_BBOX, ext_bbox=FACE_BBOX), "swapped?"),
            ({"request": {}, "response": PASSED}, "no link"),
            ({"request": [1], "response": PASSED}, "no link"),
            (FAILED["output"], "did not pass"),
            ({**PASSED["output"], "check_pass": "true"}, "check_pass"),
            ({**PASSED["output"], "ext_bbox": None}, "ext_bbox: is missing"),
            ({"request": {"input": {"image_url": 1}}, "response": PASSED}, "no link"),
        ):
            with self.subTest(str(content)[:60]):
                result = self.prepare(content)
                self.refuse(result, "detection")
                self.assertIn(words, result.line["errors"][0]["message"])

    def test_a_request_is_no_answer_and_nobody_is_told_to_run_one_that_costs_a_video(self):
        (error,) = self.prepare(REQUEST).line["errors"]
        self.assertIn("It is a request: run one of a detection first", error["hint"])

    def test_boxes_in_an_answer_may_be_wrong_in_two_ways_at_once(self):
        result = self.prepare(self.boxes(face_bbox=[1], ext_bbox=[0, 0, 4, 300]))
        self.refuse(result, "detection", "detection")

    def test_nesting_up_to_the_limit_of_the_parser_ends_in_a_message(self):
        for depth in range(900, 1010, 3):
            for content in (
                b'{"output": {"check_pass": true, "ext_bbox": '
                + b"[" * depth
                + b"]" * depth
                + b"}}",
                b'{"output": {"check_pass": false, "code": ' + b"[" * depth + b"]" * depth + b"}}",
            ):
                with self.subTest(depth):
                    self.assertEqual(set(self.prepare(content).fields), {"detection"})

    def test_an_answer_that_did_not_pass_shows_code_message_and_remedy(self):
        error = fixture("error-401")
        secret = "cannot fetch https://me:s3cret@example.com/a.png?Signature=s3cret now \x1b[2J"
        long = 240 * "x\n" + "https://me:s3crets3crets3cret@example.com/a.png"
        for answer, words, hint in (
            (FAILED, "InvalidFile.FacePose: The pose of the detected face", "from the front"),
            (error, "InvalidApiKey: No API-key provided", "Beijing"),
            (self.boxes(check_pass=False), "no code", "one person"),
            (
                self.boxes(check_pass=False, code="", message=""),
                "no code: no message",
                "one person",
            ),
            (
                self.boxes(check_pass=False, code="New.Code", message="m"),
                "New.Code: m",
                "one person",
            ),
            (self.boxes(check_pass=False, code=["x"], message={"a": 1}), "['x']", "one person"),
            (self.boxes(check_pass=False, code="c", message=secret), "now \\x1b[2J", "one person"),
            (self.boxes(check_pass=False, code="c", message="\ud800"), "\\ud800", "one person"),
            (self.boxes(check_pass=False, code="c", message=long), "c: x\\nx", "one person"),
        ):
            for content in (answer, self.saved(answer=answer)):
                with self.subTest(words):
                    result = self.prepare(content)
                    self.refuse(result, "detection")
                    self.assertIn(words, result.line["errors"][0]["message"])
                    self.assertIn(hint, result.line["errors"][0]["hint"])
                    self.assertNotIn("s3cret", str(result))

    def test_every_code_of_the_contract_has_its_remedy(self):
        for code in REMEDIES:
            with self.subTest(code):
                result = self.prepare(self.boxes(check_pass=False, code=code))
                self.assertEqual(result.line["errors"][0]["hint"], REMEDIES[code])

    def test_the_picture_must_be_the_one_that_was_detected(self):
        sas = IMAGE_URL + "?sv=2022-11-02&sp=r&st=2020-01-01&se={}-01-01&sr=b&sig={}"
        cos = "q-sign-algorithm=sha1&q-ak=a&q-sign-time=1;{0}&q-key-time=1;{0}&q-signature=s{0}"
        oss = IMAGE_URL + "?OSSAccessKeyId=k&Expires={}&Signature=s3cret"
        v4 = "X-Amz-Algorithm=A&X-Amz-Credential=c&X-Amz-Date=20{}0101T000000Z&X-Amz-Expires=60"
        v4 = f"{IMAGE_URL}?x-id=GetObject&{v4}&X-Amz-SignedHeaders=host&X-Amz-Signature=s3cret"
        later = 9999999999
        for detected, given, outcome in (
            (IMAGE_URL, IMAGE_URL, None),
            ("HTTPS://EXAMPLE.com/portrait.png#x", IMAGE_URL, None),
            ("https://example.com/ü.png", "https://example.com/%C3%BC.png", None),
            (IMAGE_URL + "?v=1", IMAGE_URL + "?v=1", None),
            ("https://example.com:443/portrait.png", IMAGE_URL, None),
            (IMAGE_URL, "https://example.com:443/portrait.png", None),
            ("http://example.com:80/a.png", "http://example.com/a.png", None),
            ("https://example.com/%70ortrait%2Epng", IMAGE_URL, None),
            (IMAGE_URL, "https://example.com/portr%61it.png", None),
            ("https://example.com/a%7Eb%2Dc%5Fd%39.png", "https://example.com/a~b-c_d9.png", None),
            (IMAGE_URL + "?n=%41", IMAGE_URL + "?n=A", None),
            (oss.format(later), oss.format(later), None),
            (oss.format(1), oss.format(later), "signed anew"),
            (oss.format(1), IMAGE_URL, "signed anew"),
            (IMAGE_URL, oss.format(later), "signed anew"),
            (oss.format(1) + "&v=1", oss.format(later).replace("?", "?v=1&"), "signed anew"),
            (oss.format(1) + "&security-token=a", oss.format(later), "signed anew"),
            (oss.format(1), IMAGE_URL + "?Policy=p&Signature=s&Key-Pair-Id=k", "signed anew"),
            (v4.format(20) + "&X-Amz-Security-Token=a", v4.format(98), "signed anew"),
            (v4.format(20).lower(), v4.lower().format(98), "signed anew"),
            (f"{IMAGE_URL}?{cos.format(2)}", f"{IMAGE_URL}?{cos.format(later)}", "signed anew"),
            (sas.format(2021, "a"), sas.format(2999, "b"), "signed anew"),
            (
                sas.format(2021, "a") + "&spr=https&sip=1.2.3.4",
                sas.format(2999, "b"),
                "signed anew",
            ),
            (IMAGE_URL + "?e=1&token=a:b", f"{IMAGE_URL}?e={later}&token=a:c", "signed anew"),
            (oss.format(1) + "&v=1", oss.format(later), "another picture"),
            (v4.format(20), v4.format(98).replace("GetObject", "Other"), "another picture"),
            (oss.format(1) + "&sp=r", oss.format(later) + "&sp=w", "another picture"),
            (IMAGE_URL + "?v=1", IMAGE_URL + "?v=2", "another picture"),
            (IMAGE_URL + "?v=1", IMAGE_URL, "another picture"),
            (IMAGE_URL + "?sp=r", IMAGE_URL + "?sp=w", "another picture"),
            (IMAGE_URL + "?security-token=1", IMAGE_URL, "another picture"),
            (IMAGE_URL + "?token=1", IMAGE_URL + "?token=2", "another picture"),
            (IMAGE_URL + "?a=1&b=2", IMAGE_URL + "?b=2&a=1", "another picture"),
            (IMAGE_URL + "?n=%2F", IMAGE_URL + "?n=/", "another picture"),
            ("https://example.com/a%2Fb.png", "https://example.com/a/b.png", "another picture"),
            ("https://example.com/a%2Bb.png", "https://example.com/a+b.png", "another picture"),
            ("https://example.com/a%2541.png", "https://example.com/a%41.png", "another picture"),
            ("http://example.com/portrait.png", IMAGE_URL, "another picture"),
            ("http://example.com:443/portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com:80/portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com:4443/portrait.png", IMAGE_URL, "another picture"),
            ("https://www.example.com/portrait.png", IMAGE_URL, "another picture"),
            ("https://example.org/portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com:444/portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com/Portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com//portrait.png", IMAGE_URL, "another picture"),
            ("https://example.com/portrait.png/", IMAGE_URL, "another picture"),
            ("portrait.png", IMAGE_URL, "another picture"),
            ("", IMAGE_URL, "another picture"),
            ("\ud800", IMAGE_URL, "another picture"),
        ):
            with self.subTest(f"{detected!r} {given}"):
                result = self.prepare(self.saved(detected), "--dry-run", image_url=given)
                self.assertNotIn("s3cret", result.stderr)
                if outcome == "another picture":
                    self.refuse(result, "detection")
                    self.assertIn(outcome, result.line["errors"][0]["message"])
                    continue
                self.assertEqual(result.code, 0, result)
                warnings = [warning["message"] for warning in result.line["warnings"]]
                self.assertEqual(
                    [outcome in message for message in warnings], [True] * bool(outcome)
                )

    def test_what_a_signature_brings_along_belongs_to_it_on_a_signed_link_alone(self):
        for signer, names in {
            "Alibaba OSS V1": "security-token",
            "Alibaba OSS V2": "x-oss-additional-headers",
            "Alibaba OSS V4": "x-oss-security-token x-oss-additional-headers",
            "AWS V4": "X-Amz-Security-Token X-Amz-SignedHeaders",
            "Google Cloud Storage V4": "X-Goog-SignedHeaders",
            "Volcano TOS": "X-Tos-Security-Token X-Tos-SignedHeaders",
            "Tencent COS": "x-cos-security-token q-key-time q-header-list q-url-param-list",
            "Azure SAS": "sp sr ss srt st sip spr skoid sktid skt ske sks skv",
        }.items():
            for name in names.split():
                query = signed(signer, 10**9).split("&")
                base = "&".join(pair for pair in query if not pair.startswith(f"{name}="))
                for start, outcome in ((f"?{base}&", "signed anew"), ("?", "another picture")):
                    with self.subTest(f"{signer} {name} {outcome}"):
                        links = [f"{IMAGE_URL}{start}{name}={value}" for value in "12"]
                        kept = self.saved(links[0])
                        result = self.prepare(kept, "--dry-run", image_url=links[1])
                        said = result.line.get("errors") or result.line["warnings"]
                        self.assertEqual([outcome in p["message"] for p in said], [True])
                        self.assertEqual(result.code, 2 * (outcome == "another picture"))

    def test_the_ratio_that_was_asked_for_is_that_of_the_boxes(self):
        tall = self.boxes(face_bbox=[100, 100, 200, 200], ext_bbox=[0, 0, 300, 400])
        for ratio, answer, agrees in (
            ("1:1", PASSED, True),
            ("3:4", tall, True),
            ("3:4", self.boxes(face_bbox=[1, 1, 2, 2], ext_bbox=[0, 0, 3, 4]), True),
            ("1:1", self.boxes(face_bbox=[1, 1, 2, 2], ext_bbox=[0, 0, 3, 4]), True),
            ("3:4", PASSED, False),
            ("1:1", tall, False),
            ("4:3", PASSED, False),
            ("11", PASSED, False),
            (1, PASSED, False),
            (["1:1"], PASSED, False),
            ({"1:1": 1}, PASSED, False),
            (None, PASSED, True),
        ):
            for given in (IMAGE_URL, "nonsense"):
                with self.subTest(f"{ratio} {given}"):
                    kept = self.saved(answer=answer)
                    kept["request"]["parameters"] = {"ratio": ratio}
                    result = self.prepare(kept, "--dry-run", image_url=given)
                    wrong = ["image_url"] * (given != IMAGE_URL) + ["detection"] * (not agrees)
                    if not wrong:
                        self.assertEqual((result.code, result.line["warnings"]), (0, []), result)
                        continue
                    self.refuse(result, *wrong)
                    if not agrees:
                        self.assertIn("ext_bbox", result.line["errors"][-1]["message"])
        for parameters in (None, {}, [], "1:1", {"style_level": "calm"}):
            with self.subTest(parameters):
                kept = self.saved()
                kept["request"]["parameters"] = parameters
                self.assertEqual(self.prepare(kept, "--dry-run").code, 0)

    def test_a_megabyte_of_text_in_an_answer_takes_no_time_and_is_not_shown(self):
        for unit in ("x", "a/", "//", "https://a@b?", " ", "\n", "é", "&a=", "%41", "\x1b"):
            long = unit * (1_000_000 // len(json.dumps(unit)[1:-1]))
            failed = {"check_pass": False, "code": "c", "message": "m"}
            for name, content in {
                "code": {"output": {**failed, "code": long}},
                "message": {"output": {**failed, "message": long}},
                "code of an error": {"code": long, "message": "m"},
                "request_id": {"code": "c", "message": "m", "request_id": long},
                "a box": self.boxes(ext_bbox=long),
                "a corner": self.boxes(ext_bbox=[long, 9, 840, 778]),
                "check_pass": self.boxes(check_pass=long),
                "a key": {long: 1},
                "a key of the output": {"output": {long: 1}},
                "a list": {"output": {**failed, "code": [long], "message": {long: long}}},
                "the link": self.saved(long),
                "the ratio": {
                    "request": {"input": {"image_url": IMAGE_URL}, "parameters": {"ratio": long}},
                    "response": PASSED,
                },
            }.items():
                with self.subTest(f"{name} {unit!r}"):
                    start = time.process_time()
                    result = self.prepare(content)
                    self.assertLess(time.process_time() - start, 2)
                    self.refuse(result, "detection")
                    self.assertLess(len(str(result)), 5000)

    def test_a_wrong_picture_and_a_wrong_answer_are_both_told(self):
        result = self.prepare(self.saved(answer=FAILED), image_url="https://example.com/other.png")
        self.refuse(result, "detection", "detection")
        result = self.prepare(self.saved(answer=FAILED), image_url="nonsense")
        self.refuse(result, "image_url", "detection")

    def test_a_face_that_sticks_out_in_an_answer_is_a_warning(self):
        result = self.prepare(self.boxes(face_bbox=[60, 286, 610, 593]), "--dry-run")
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["detection"])

    def test_boxes_beside_the_file_are_a_problem(self):
        for box in ("face_bbox", "ext_bbox"):
            with self.subTest(box):
                result = self.prepare(PASSED, **{box: "71,9,840,778"})
                self.refuse(result, "detection")
        self.refuse(self.prepare(FAILED, ext_bbox="1,2,3,4"), "detection", "detection")

    def test_a_file_that_cannot_be_read_is_a_problem(self):
        (self.folder / "a folder").mkdir()
        for path in (
            "missing.json",
            "a folder",
            "",
            "x" * 5000,
            "\udcff",
            "https://example.com/d?k=s3cret",
        ):
            with self.subTest(path[:40]):
                result = self.prepare(PASSED, detection=path)
                self.refuse(result, "detection")
                self.assertNotIn("s3cret", str(result))

    def test_it_stands_in_for_boxes_and_audio_is_still_checked(self):
        result = self.prepare(PASSED, audio_url=None)
        self.refuse(result, "audio_url")
        self.assertEqual(self.prepare(PASSED, audio_url=AUDIO_URL).code, 0)


class Input(Case):
    """`--detection -`, and files that are none of a disk."""

    WITHOUT_BOXES = arguments(face_bbox=None, ext_bbox=None, detection="-")

    def test_the_detection_may_come_on_stdin(self):
        for content in ("utf-8", "utf-8-sig", "utf-16"):
            with self.subTest(content):
                text = (FIXTURES / "detection-pass.json").read_text("utf-8")
                result = self.run_script(
                    *self.WITHOUT_BOXES, "--dry-run", input=text.encode(content)
                )
                self.assertEqual(result.code, 0, result)
                self.assertEqual(result.line["request"], REQUEST)

    def test_nothing_on_stdin_is_a_problem(self):
        self.refuse(self.run_script(*self.WITHOUT_BOXES), "detection")
        self.refuse(self.run_script(*self.WITHOUT_BOXES, input=b"\0" * 2**21), "detection")

    @unittest.skipUnless(POSIX, "needs a pseudo-terminal")
    def test_a_terminal_is_not_asked(self):
        master, slave = os.openpty()
        try:
            for words in (
                self.WITHOUT_BOXES,
                arguments(face_bbox=None, ext_bbox=None, detection=os.ttyname(slave)),
            ):
                result = self.run_script(*words, stdin=slave)
                self.refuse(result, "detection")
                self.assertIn("terminal", result.line["errors"][0]["message"])
        finally:
            os.close(master)
            os.close(slave)

    @unittest.skipUnless(POSIX, "needs named pipes and devices")
    def test_pipes_and_devices_do_not_hang(self):
        fifo = str(self.folder / "fifo")
        os.mkfifo(fifo)
        for path in (fifo, "/dev/null", "/dev/zero", "/dev/tty"):
            with self.subTest(path):
                words = arguments(face_bbox=None, ext_bbox=None, detection=path)
                self.refuse(self.run_script(*words), "detection")

    @unittest.skipUnless(os.path.exists("/bin/bash"), "needs bash")
    def test_a_process_substitution_is_read_to_its_end(self):
        fixture = FIXTURES / "detection-pass.json"
        script = 'exec "$@" --detection <(sleep 0.2; cat "$fixture")'
        words = arguments(face_bbox=None, ext_bbox=None)
        done = subprocess.run(
            ["/bin/bash", "-c", script, "-", sys.executable, str(SCRIPT), *words, "--dry-run"],
            env={**os.environ, "fixture": str(fixture)},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done)


def emo_limits_digits():
    """Tell whether this Python refuses numbers of thousands of digits (since 3.9.14, 3.10.7)."""
    try:
        int("9" * 10_000)
    except ValueError:
        return True
    return False
