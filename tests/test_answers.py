"""What the service said: kept as it came, without the API key, and understood all the same."""

import json
import unittest

from support.service import KEY, created, fixture, polled, raw, says
from support.service_case import GenerationCase

from aliyun_emo.answers import DEEPEST, document_of, member, text_in, understood

DEEP = "[" * 5000 + "]" * 5000


def nested(levels):
    return json.loads("[" * levels + "]" * levels)


class Documents(unittest.TestCase):
    """What is kept of an answer's bytes, and what is understood of what was kept."""

    def test_what_could_not_be_written_again_as_it_came_stays_a_text(self):
        for name, text, document in (
            (
                "an object",
                '{"a": [1, 2.5, null, true, "\\u00e9"]}',
                {"a": [1, 2.5, None, True, "é"]},
            ),
            ("a list", " [1]\n", [1]),
            ("a text", '"a"', "a"),
            ("a number", "1e3", 1000.0),
            ("a large integer", "9" * 400, int("9" * 400)),
            ("null", "null", None),
            ("nothing", "", None),
            ("a space", " ", " "),
            ("half a surrogate", '"\\ud800"', "\ud800"),
            ("a name twice", '{"a": 1, "a": 2}', ...),
            ("a name twice with one value", '{"a": 1, "a": 1}', ...),
            ("a name twice, further down", '{"a": [{"b": {}, "b": {}}]}', ...),
            ("a name twice, spelled otherwise", '{"a": 1, "\\u0061": 2}', ...),
            ("1e999", '{"a": 1e999}', ...),
            ("-1e999", '{"a": [-1e999]}', ...),
            ("1e400 in digits", '{"a": ' + "9" * 400 + ".0}", ...),
            ("NaN", '{"a": NaN}', ...),
            ("Infinity", "[Infinity, -Infinity]", ...),
            ("deep", DEEP, ...),
            ("deeper than is written", json.dumps(nested(DEEPEST + 2)), ...),
            ("cut", '{"a": 1', ...),
            ("two values", '{"a": 1} {"a": 1}', ...),
            ("HTML", "<html>\u00e9", ...),
        ):
            with self.subTest(name):
                found = document_of(text.encode(), KEY)
                self.assertEqual(found, text if document is ... else document)
                written = json.dumps(found, allow_nan=False)
                self.assertEqual(json.loads(written), found)

    def test_as_deep_as_can_be_written_it_is_json(self):
        deepest = nested(DEEPEST + 1)  # the outermost is at level 0
        self.assertEqual(document_of(json.dumps(deepest).encode(), KEY), deepest)

    def test_an_answer_in_another_encoding_than_utf_8(self):
        for name, data, document in (
            ("a mark", b"\xef\xbb\xbf{}", {}),
            ("UTF-16", '{"a": "é"}'.encode("utf-16"), {"a": "é"}),
            ("UTF-32", '{"a": "é"}'.encode("utf-32"), {"a": "é"}),
            ("no UTF-8", b"<html>\xff", "<html>\ufffd"),
            ("no UTF-8 in JSON", b'{"a": "\xff"}', '{"a": "\ufffd"}'),
        ):
            with self.subTest(name):
                self.assertEqual(document_of(data, KEY), document)

    def test_the_key_is_masked_wherever_it_is(self):
        escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
        for name, text, document in (
            ("a value", f'{{"a": "{KEY}"}}', {"a": "***"}),
            ("a name", f'{{"{KEY}": 1}}', {"***": 1}),
            ("within", f'["Bearer {KEY}, {KEY}"]', ["Bearer ***, ***"]),
            ("deep", f'[[{{"a": ["{KEY}"]}}]]', [[{"a": ["***"]}]]),
            ("all of it", f'"{KEY}"', "***"),
            ("escaped", f'["{escaped}"]', ["***"]),
            ("a text", f"<p>{KEY}</p>", "<p>***</p>"),
            ("a text in capitals", f"<p>{KEY.upper()}</p>", "<p>***</p>"),
            ("escaped in a text", f'{{"a": "{escaped}"', '{"a": "***"'),
            ("escaped in capitals", f'{{"a": "{escaped.upper().replace("U", "u")}"', '{"a": "***"'),
            ("escaped in part", f'{{"a": "{escaped[:12]}{KEY[2:]}"', '{"a": "***"'),
            ("beside a name twice", f'{{"a": "{KEY}", "a": 1}}', '{"a": "***", "a": 1}'),
            ("beside 1e999", f'["{KEY}", 1e999]', '["***", 1e999]'),
            ("cut off in its midst", f"<p>{KEY[:-1]}", "<p>***"),
            ("cut off after four", f"<p>{KEY[:4]}", "<p>***"),
        ):
            with self.subTest(name):
                self.assertEqual(document_of(text.encode(), KEY), document)

    def test_what_was_kept_as_a_text_is_understood(self):
        made = {"output": {"task_id": "a"}}
        for name, said, expected in (
            ("JSON", made, made),
            ("JSON in a text", json.dumps(made), made),
            ("a list", [1], [1]),
            ("no JSON", "<html>", None),
            ("cut", '{"output": {"task_id": "a"}', None),
            ("nothing", None, None),
            ("an empty text", "", None),
            ("1e999", '{"output": {"task_id": "a"}, "x": 1e999}', {**made, "x": None}),
            ("NaN", '{"output": {"task_id": "a"}, "x": NaN}', {**made, "x": None}),
            ("-Infinity", '{"x": [-Infinity]}', {"x": [None]}),
            (
                "output twice, alike",
                '{"output": {"task_id": "a"}, "output": {"task_id": "a"}}',
                made,
            ),
            ("the first has it", '{"output": {"task_id": "a"}, "output": {}}', made),
            ("the second has it", '{"output": {}, "output": {"task_id": "a"}}', made),
            ("null, then it", '{"output": null, "output": {"task_id": "a"}}', made),
            ("it, then null", '{"output": {"task_id": "a"}, "output": null}', made),
            ("two ids", '{"output": {"task_id": "a"}, "output": {"task_id": "b"}}', made),
            ("an id twice", '{"output": {"task_id": "a", "task_id": "b"}}', made),
            ("no id, then one", '{"output": {"task_id": "", "task_id": "a"}}', made),
            (
                "apart",
                '{"output": {"task_id": "a"}, "output": {"task_status": "PENDING"}}',
                {"output": {"task_id": "a", "task_status": "PENDING"}},
            ),
            (
                "apart, further down",
                '{"a": {"b": {"c": 1}}, "a": {"b": {"d": 2}}}',
                {"a": {"b": {"c": 1, "d": 2}}},
            ),
        ):
            with self.subTest(name):
                self.assertEqual(understood(said), expected)

    def test_what_is_nested_too_deep_for_this_python_says_nothing(self):
        self.assertEqual(member(understood(DEEP), "output"), {})
        self.assertEqual(member(understood("[" * 100_000), "output"), {})

    def test_members_are_objects_and_texts_are_texts(self):
        for document, expected in (
            ({"a": {"b": 1}}, {"b": 1}),
            *(({"a": value}, {}) for value in (None, [], "x", 7, True)),
            *((value, {}) for value in ({}, None, [], "a", 7)),
        ):
            self.assertEqual(member(document, "a"), expected)
        for value, text in (("x", "x"), ("", ""), (None, ""), (7, ""), (["x"], ""), ({}, "")):
            self.assertEqual(text_in({"a": value}, "a"), text)
        self.assertEqual(text_in({}, "a"), "")


class Kept(GenerationCase):
    """What stands in the record of a task, after its answer came."""

    def test_what_came_back_is_kept_masked_and_at_most_a_mebibyte(self):
        deep = json.loads("[" * 90 + "]" * 90)
        for name, script, expected in (
            ("no id", says({"a": [1, None], "deep": deep}), {"a": [1, None], "deep": deep}),
            ("HTML", raw(200, "<html>\u00e9".encode()), "<html>\u00e9"),
            ("not UTF-8", raw(200, b"<html>\xff"), "<html>\ufffd"),
            ("an error", says({"code": "X"}, 500), {"code": "X"}),
            ("cut short", raw(200, b'{"output', Content_Length="99"), '{"output'),
            ("nothing", raw(200, b""), None),
            ("the key in JSON", says({f"x{KEY}": [KEY]}), {"x***": ["***"]}),
            ("the key in a text", raw(500, f"<p>{KEY}".encode()), "<p>***"),
            (
                "the key escaped",
                raw(200, json.dumps({"k": KEY}).replace("sk-of", "\\u0073\\u006b-of").encode()),
                {"k": "***"},
            ),
            ("refused", says({"code": "InvalidParameter"}, 400), {"code": "InvalidParameter"}),
        ):
            with self.subTest(name):
                self.clear()
                self.serve(video_synthesis=[script])
                self.assertIn(self.ends(self.go(), self.go().code).code, (3, 4))
                self.assertEqual(self.kept(folder=self.folders()[0])["response"], expected)
        for body in (b"x" * 2**21, KEY.encode() * 2**17, b"\xff" * 2**21):
            with self.subTest(body[:20]):
                self.clear()
                self.serve(video_synthesis=[raw(200, body)])
                self.ends(self.go(), 4)
                kept = self.kept()["response"]
                self.assertTrue(kept)
                self.assertLessEqual(len(kept.encode()), 3 * 2**20)
                self.assertLessEqual(len(kept), 2**20)

    def test_an_echo_of_the_key_across_the_limit_is_masked(self):
        for shift in range(0, len(KEY), 5):
            with self.subTest(shift):
                self.clear()
                body = b"x" * (2**20 - shift) + KEY.encode() + b"x" * 100
                self.serve(video_synthesis=[raw(200, body)])
                self.go()
                self.assertNotIn(KEY[: max(shift, 4)], self.kept()["response"])

    def test_an_answer_as_deep_as_can_be_is_kept(self):
        def answer(handler):
            document = fixture("task-created")
            document["x"] = json.loads("[" * 98 + "]" * 98)
            says(document)(handler)

        self.serve(video_synthesis=[answer])
        self.ends(self.go("--no-wait"), 0)
        self.assertEqual(self.kept()["response"]["x"], json.loads("[" * 98 + "]" * 98))

    def test_an_answer_that_is_nested_too_deep_still_gives_its_id_back(self):
        deep = b"[" * 800 + b"]" * 800
        body = b'{"output": {"task_id": "its-own-id"}, "x": ' + deep + b"}"
        self.serve(video_synthesis=[raw(200, body)])
        result = self.go("--no-wait")
        self.assertIn("its-own-id", self.ends(result, 0).stdout)

    def test_an_answer_that_stays_a_text_still_gives_its_id_back(self):
        for name, text in (
            ("a name twice", '{"output": {"task_id": "its-own-id"}, "output": {"x": 1}}'),
            ("an id twice", '{"output": {"task_id": "its-own-id", "task_id": "another"}}'),
            ("1e999", '{"output": {"task_id": "its-own-id"}, "usage": {"x": 1e999}}'),
            ("NaN", '{"output": {"task_id": "its-own-id", "x": NaN}}'),
            ("a number of 5000 digits", '{"output": {"task_id": "its-own-id"}, "x": %s}'),
        ):
            with self.subTest(name):
                self.clear()
                text = text.replace("%s", "9" * 5000)
                service = self.serve(video_synthesis=[raw(200, text.encode())])
                service.tasks["its-own-id"] = 0
                result = self.ends(self.go("--no-wait"), 0)
                self.assertEqual(result.line["task_id"], "its-own-id")
                record = self.kept()
                self.assertEqual(record["state"], "made")
                if name != "a number of 5000 digits":  # which some versions of Python can write
                    self.assertEqual(record["response"], text)
                self.assertEqual(self.ends_with_video(self.go())["task_id"], "its-own-id")
                self.assertEqual(len(service.posts), 1)

    def test_a_poll_that_stays_a_text_is_understood_and_kept_as_it_came(self):
        def odd(handler):
            task_id = handler.path.rpartition("/")[2]
            text = f'{{"output": {{"task_id": "{task_id}", "task_status": "FAILED"}}, "x": 1e999}}'
            raw(200, text.encode())(handler)

        self.serve(tasks=[odd])
        self.ends(self.go(), 3, "service")
        self.assertEqual(self.kept("response.json")["task_status"], "FAILED")
        (snapshot,) = self.snapshots()
        self.assertIn("1e999", snapshot["response"])

    def test_no_file_of_the_evidence_has_what_is_no_json(self):
        def odd(handler):
            task_id = handler.path.rpartition("/")[2]
            text = (
                f'{{"output": {{"task_id": "{task_id}", "task_status": "SUCCEEDED", "results":'
                f' {{"video_url": "{handler.server.root}/videos/{task_id}.mp4"}}}},'
                ' "usage": {"video_duration": 1e999, "x": NaN}}'
            )
            raw(200, text.encode())(handler)

        def refuse(word):
            raise ValueError(word)

        self.serve(video_synthesis=[created], tasks=[polled, odd])
        self.ends_with_video(self.go())
        for name in ("task.json", "response.json", "polls.jsonl"):
            text = (self.place() / name).read_text("utf-8")
            for line in text.splitlines() if name.endswith("l") else [text]:
                json.loads(line, parse_constant=refuse)


if __name__ == "__main__":
    unittest.main()
