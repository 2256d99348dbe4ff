"""Boxes as shells pass them: in one word or in several."""

import unittest
from unittest import mock

from support import EXT_BBOX, FACE_BBOX, IMAGE_URL, REQUEST, Case, arguments, emo

# A box as it is written: the words that bash, PowerShell and cmd.exe make of it.
PASSED = {
    "quoted": ["{},{},{},{}"],
    "quoted, with blanks": ["{}, {}, {}, {}"],
    "quoted, with brackets": ["[{}, {}, {}, {}]"],
    "quoted, with brackets and no blanks": ["[{},{},{},{}]"],
    "quoted, with parentheses": ["({}, {}, {}, {})"],
    "quoted, as jq prints it": ["[\n  {},\n  {},\n  {},\n  {}\n]"],
    "quoted, with blanks alone": ["{} {} {} {}"],
    "quoted, with tabs": ["{}\t{}\t{}\t{}"],
    "unquoted, with commas": ["{},", "{},", "{},", "{}"],
    "unquoted, commas in front": ["{}", ",{}", ",{}", ",{}"],
    "unquoted, commas apart": ["{}", ",", "{}", ",", "{}", ",", "{}"],
    "unquoted, some commas": ["{},{},", "{},{}"],
    "unquoted, some without commas": ["{},{}", "{},{}"],
    "an array variable": ["{}", "{}", "{}", "{}"],
    "unquoted, with brackets": ["[{},", "{},", "{},", "{}]"],
    "unquoted, with brackets apart": ["[", "{},", "{},", "{},", "{}", "]"],
    "unquoted, with brackets and no commas": ["[{}", "{}", "{}", "{}]"],
    "unquoted, with parentheses": ["({},", "{},", "{},", "{})"],
    "unquoted, with parentheses and no commas": ["({}", "{}", "{}", "{})"],
    "unquoted, as jq prints it": ["[", "{},", "{},", "{},", "{}", "]"],
    "quoted numbers of an array": ["{}", " {}", "{} ", "{}"],
}

NO_BOX = {  # words: words of the only message
    ("302,", "286,", "610"): "not four numbers",
    ("302", "286", "610"): "not four numbers",
    ("302,", "286,", "610,", "593,", "7"): "not four numbers",
    ("302", "286", "610", "593", "7", "8", "9"): "not four numbers",
    ("302,286,610,593", "302,286,610,593"): "not four numbers",
    ("302,286,610,593", "active"): "not four numbers",
    ("302,286,610,593", "and", "some", "more", "words"): "not four numbers",
    ("[302,", "286]", "[610,", "593]"): "not a whole number",
    ("[302,", "286,", "610,", "593"): "not a whole number",
    ("[302,", "286,", "610,", "593)"): "not a whole number",
    ("[[302,", "286,", "610,", "593]]"): "not a whole number",
    ("'302,286,610,593'",): "not a whole number",
    ("'302,", "286,", "610,", "593'"): "not a whole number",
    ("“302", "286", "610", "593”"): "not a whole number",
    ("x1", "y1", "x2", "y2"): "not a whole number",
    ("302.0", "286", "610", "593"): "not a whole number",
    ("302", "286", "610", "+593"): "not a whole number",
    ("302", "286", "610", "7001"): "not a whole number",
    ("302", "0286", "610", "593"): "not a whole number",
    ("-302", "286", "610", "593"): "'-302'",
    ("-302,", "286,", "610,", "593"): "'-302'",
    ("302", "-286", "610", "593"): "'-286'",
    ("302,", "-286,", "-610,", "593"): "'-286'",
    ("[-302,", "286,", "610,", "593]"): "'-302'",
    ("-1", "-2", "-3", "-4"): "'-4'",
    ("-1",): "not four numbers",
    ("System.Object[]",): "not four numbers",
    ("@(302,", "286,", "610,", "593)"): "not a whole number",
    ("302", "286", "610", "https://example.com/a.png"): "not a whole number",
    ("610", "593", "302", "286"): "no area",
    ("",): "has no value",
    (" ", ""): "has no value",
}
BOXES = (("--face-bbox", FACE_BBOX), ("--ext-bbox", EXT_BBOX))


class Words(Case):
    def test_a_box_is_the_same_in_one_word_and_in_several(self):
        for name, words in PASSED.items():
            for option, box in BOXES:
                numbers = iter(box)
                given = [w.format(*(next(numbers) for _ in range(w.count("{}")))) for w in words]
                rest = arguments(**{option[2:].replace("-", "_"): None})
                for line in (
                    [option, *given, *rest, "--dry-run"],
                    [*rest, "--dry-run", option, *given],
                    [*rest, option, *given, "--dry-run"],
                    ["prepare", *rest, f"{option}={given[0]}", *given[1:], "--dry-run"],
                ):
                    with self.subTest(f"{name}: {line}"):
                        result = self.call(*line)
                        self.assertEqual(result.code, 0, result)
                        self.assertEqual(result.line["request"], REQUEST)

    def test_both_boxes_may_be_in_several_words(self):
        words = [w for o, box in BOXES for w in (o, *(f"{n}," for n in box[:3]), str(box[3]))]
        rest = arguments(face_bbox=None, ext_bbox=None)
        for line in ([*words, *rest], [*rest, *words], [*words[5:], *rest, *words[:5]]):
            with self.subTest(line):
                self.assertEqual(self.call(*line, "--dry-run").line.get("request"), REQUEST)

    def test_what_is_no_box_gets_one_message_for_the_option(self):
        for words, message in NO_BOX.items():
            for option, _ in BOXES:
                field = option[2:].replace("-", "_")
                rest = arguments(**{field: None})
                for line in (
                    [option, *words, *rest],
                    [*rest, option, *words],
                    [*rest, f"{option}={words[0]}", *words[1:]],
                ):
                    with self.subTest(str(line)):
                        result = self.call(*line)
                        self.refuse(result, field)
                        self.assertIn(message, result.line["errors"][0]["message"])

    def test_a_box_ends_at_the_next_word_that_begins_with_a_minus_and_no_digit(self):
        rest = arguments(face_bbox=None)
        for words, fields in (
            (["--face-bbox", *rest], ["face_bbox"]),
            (["--face-bbox=", *rest], ["face_bbox"]),
            (["--face-bbox", "302", "286", *rest], ["face_bbox"]),
            (["--face-bbox", "302", "286", "610", "593", "--foo", *rest], ["arguments"]),
            (["--face-bbox", "302", "286", "610", "593", "-x", *rest], ["arguments"]),
            (["--face-bbox", "302", "286", "--foo=1", "610", "593", *rest], None),
            ([*rest, "--face-bbox"], ["face_bbox"]),
        ):
            with self.subTest(words):
                result = self.call(*words)
                self.assertEqual(result.code, 2)
                if fields:
                    self.assertEqual(result.fields, fields, result)
                else:
                    self.assertEqual(result.fields.count("face_bbox"), 1, result)

    def test_words_after_another_option_are_no_part_of_a_box(self):
        for option, value in (("--style-level", "calm"), ("--image-url", IMAGE_URL)):
            with self.subTest(option):
                result = self.call(*arguments(), option, value, "302")
                self.assertEqual(result.fields, ["arguments"], result)

    def test_a_command_for_windows_is_quoted_for_its_shell_too(self):
        for words, command in (
            (["python.exe", "a.py"], "python.exe a.py"),
            (["C:\\My Files\\p.exe", "x"], '"C:\\My Files\\p.exe" x'),
            (["a.py", "https://h.cn/a?b=1&c=2"], 'a.py "https://h.cn/a?b=1&c=2"'),
            (["a.py", "a b&c", "x^y"], 'a.py "a b&c" "x^y"'),
        ):
            with self.subTest(command), mock.patch.object(emo.os, "name", "nt"):
                self.assertEqual(emo.for_the_shell(words), command)


if __name__ == "__main__":
    unittest.main()
