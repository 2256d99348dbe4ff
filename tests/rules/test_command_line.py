"""The command line: one line of JSON whatever happens, everything wrong at once, no secrets."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path

from support import (
    EXT_BBOX,
    FACE_BBOX,
    IMAGE_URL,
    POSIX,
    REQUEST,
    SCRIPT,
    Case,
    arguments,
    emo,
    preview,
    run,
)
from support.links import WITH_A_SECRET

# A box as it is written: the words that bash, PowerShell and cmd.exe make of it.
BOX_WORDS = {
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
    ("System.Object[]",): "not four numbers",
    ("@(302,", "286,", "610,", "593)"): "not a whole number",
    ("302", "286", "610", "https://example.com/a.png"): "not a whole number",
    ("610", "593", "302", "286"): "no area",
    (" ", ""): "has no value",
}
BOXES = (("--face-bbox", FACE_BBOX), ("--ext-bbox", EXT_BBOX))


class Output(Case):
    def test_the_quick_start_prints_and_writes_this(self):
        result = self.run_script(*arguments())
        self.assertEqual((result.code, result.stderr), (0, ""))
        path = os.path.join("output", "aliyun-emo", "request.json")
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("request_path", path),
                ("model", "emo-v1"),
                ("ratio", "1:1"),
                ("video_size", "512x512"),
                ("style_level", "active"),
                ("face_bbox", FACE_BBOX),
                ("ext_bbox", EXT_BBOX),
                ("warnings", []),
            ],
        )
        written = Path(path).read_bytes()
        self.assertEqual(written, json.dumps(REQUEST, indent=2).encode() + b"\n")

    def test_the_command_word_changes_nothing(self):
        plain = self.run_script(*arguments())
        self.assertEqual(self.run_script("prepare", *arguments()).stdout, plain.stdout)

    def test_detect_prints_and_writes_this(self):
        result = self.run_script("detect", "--image-url", IMAGE_URL)
        path = os.path.join("output", "aliyun-emo", "detect_request.json")
        self.assertEqual((result.code, result.stderr), (0, ""))
        self.assertEqual(
            list(result.line.items()),
            [
                ("ok", True),
                ("request_path", path),
                ("model", "emo-v1-detect"),
                ("ratio", "1:1"),
                ("video_size", "512x512"),
                ("warnings", []),
            ],
        )
        body = {
            "model": "emo-v1-detect",
            "input": {"image_url": IMAGE_URL},
            "parameters": {"ratio": "1:1"},
        }
        self.assertEqual(Path(path).read_bytes(), json.dumps(body, indent=2).encode() + b"\n")

    def test_a_dry_run_shows_the_request_and_writes_nothing(self):
        for words, body in (
            (arguments(), REQUEST),
            (["detect", "--image-url", IMAGE_URL, "--ratio", "3:4"], None),
        ):
            result = self.run_script(*words, "--dry-run")
            self.assertEqual(result.code, 0)
            self.assertIsNone(result.line["request_path"])
            self.assertEqual(self.files(), [])
            if body:
                self.assertEqual(result.line["request"], body)
            else:
                self.assertEqual(result.line["request"]["parameters"], {"ratio": "3:4"})

    def test_warnings_have_the_form_of_errors_and_a_line_each_for_people(self):
        link = IMAGE_URL + "#face"
        result = self.run_script(*arguments(image_url=link, face_bbox="60,20,300,300"), "--dry-run")
        self.assertEqual([w["field"] for w in result.line["warnings"]], ["image_url", "face_bbox"])
        for warning, line in zip(result.line["warnings"], result.stderr.splitlines()):
            self.assertEqual(list(warning), ["field", "message", "hint"])
            option = "--" + warning["field"].replace("_", "-")
            self.assertEqual(line, f"warning: {option}: {warning['message']}. {warning['hint']}")

    def test_errors_have_a_line_each_for_people(self):
        result = self.run_script(*arguments(ext_bbox="0,0,400,300", style_level="loud"), "--loud")
        self.assertEqual(result.fields, ["arguments", "ext_bbox", "style_level"])
        lines = result.stderr.splitlines()
        self.assertTrue(lines[0].startswith("error: arguments: '--loud'"), lines)
        self.assertTrue(
            lines[1].startswith("error: --ext-bbox: 400x300 is 4:3; the service"), lines
        )
        self.assertTrue(lines[2].startswith("error: --style-level: 'loud'"), lines)

    def test_without_a_reader_or_room_on_stdout_it_ends_with_1_and_a_message(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, str(SCRIPT), *arguments()],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("stdout cannot be written", done.stderr)

    @unittest.skipUnless(POSIX, "needs sh")
    def test_closed_streams_end_in_no_traceback_and_keep_stdout_to_one_line(self):
        command = f'"{sys.executable}" "{SCRIPT}"'
        for redirection, stdout in (("2>&-", 1), ("2>/dev/full", 1), (">&-", 0), ("<&-", 1)):
            if "full" in redirection and not os.path.exists("/dev/full"):
                continue
            with self.subTest(redirection):
                done = subprocess.run(
                    ["sh", "-c", f"{command} --detection - {redirection}"],
                    capture_output=True,
                    text=True,
                )
                self.assertEqual(done.returncode, 2)
                self.assertEqual(len(done.stdout.splitlines()), stdout, done.stdout)
                self.assertNotIn("Traceback", done.stdout + done.stderr)


class Alone(Case):
    def test_copied_into_an_empty_folder_it_works(self):
        (self.folder / "alone").mkdir()
        copy = shutil.copy(SCRIPT, self.folder / "alone")
        for python in ([], ["-I"], ["-I", "-S"]):
            for words in (arguments(), ["detect", "--image-url", IMAGE_URL]):
                with self.subTest(f"{python} {words[0]}"):
                    result = self.run_script(*words, script=copy, python=python)
                    self.assertEqual((result.code, result.stderr), (0, ""), result)
                    self.assertTrue(Path(result.line["request_path"]).exists())
        result = self.run_script("submit", script=copy)
        self.assertEqual((result.code, result.fields), (2, ["arguments"]))

    def test_it_has_no_word_about_sending(self):
        text = SCRIPT.read_text("utf-8")
        for word in ("DASHSCOPE_BASE", "http.client", "import socket", "urlopen"):
            self.assertNotIn(word, text)
        self.assertEqual(re.findall(r"environ\S*", text), ['environ.get("OUTPUT_DIR",'])


class Help(Case):
    def test_help_at_every_level_has_an_example_that_works_the_sizes_and_the_exit_codes(self):
        for words in (["--help"], ["-h"], ["prepare", "--help"], ["detect", "--help"]):
            with self.subTest(words):
                result = self.run_script(*words)
                self.assertEqual((result.code, result.stderr), (0, ""))
                for text in ("1:1 gives 512x512", "3:4 gives 512x704", "exit codes:", "example:"):
                    self.assertIn(text, result.stdout)
                for code in "012":
                    self.assertIn(f"\n  {code}  ", result.stdout)
                self.assertLess(len(result.stdout.splitlines()), 45)
                example = result.stdout.split("example:\n")[1].split("\n\n")[0]
                words = example.replace("\\\n", " ").split()[1:]
                self.assertEqual(self.run_script(*words).code, 0)

    def test_help_names_the_options_of_its_command_only(self):
        self.assertNotIn("--audio-url", self.call("detect", "--help").stdout)
        self.assertNotIn("--ratio", self.call("prepare", "--help").stdout)

    def test_version_at_every_level(self):
        for words in (["--version"], ["prepare", "--version"], ["detect", "--version"]):
            with self.subTest(words):
                result = self.call(*words)
                self.assertEqual(result.code, 0)
                self.assertIn(emo.VERSION, result.stdout)


class Arguments(Case):
    def test_all_that_is_missing_is_told_at_once(self):
        self.refuse(self.run_script(), "image_url", "audio_url", "face_bbox", "ext_bbox")
        self.refuse(self.run_script("detect"), "image_url")

    def test_all_that_is_wrong_is_told_at_once(self):
        result = self.run_script(
            *("prepare", "--image-url", "portrait.png", "--audio-url", "oss://b/a.mp3"),
            *("--face-bbox", "-5,1,2", "--ext-bbox", "0,0,4,300", "--style-level", "loud"),
            *("--model", "a b", "--output", "", "--seed", "7", "--dry-run=yes"),
        )
        self.refuse(
            result,
            *("dry_run", "arguments", "image_url", "audio_url", "face_bbox", "ext_bbox"),
            *("style_level", "model", "output"),
        )

    def test_an_option_that_is_not_known_is_a_problem_that_guesses_what_was_meant(self):
        for word, hint in (
            ("--face-box", "--face-bbox"),
            ("--image_url=x", "--image-url"),
            ("--imageurl", "--image-url"),
            ("--style", "--style-level"),  # options are not abbreviated
            ("--dry", "--dry-run"),
            ("--DRY-RUN", "--dry-run"),
            ("--seed", "--image, --audio, --image-url"),
            ("--ratio=3:4", "Leave it out: detect has it."),
            ("-x", "The options are"),
            ("prepare", "Put prepare first."),
            ("detect", "Put detect first."),
            ("submit", "run_emo_request.py FILE"),
            *((word, " detect ") for word in ("--detect-only", "--detect", "--detect_only")),
            *((word, "BASE_URL") for word in ("--base-url", "--base_url", "--endpoint")),
            *((f"--{word}", "DASHSCOPE_API_KEY") for word in ("api-key", "apikey", "token", "key")),
            ("--access-key-id=LTAI5tFakeFakeFake12", "DASHSCOPE_API_KEY"),
            ("stray", "run once for each file. The options are"),
            ("-output", "Did you mean --output?"),
            *((f"{dash}dry-run", "Did you mean --dry-run?") for dash in "\u2013\u2014\u2212"),
            ("-dry-run", "Did you mean --dry-run?"),
            ("-ox.json", "The options are"),
            *((f"--{n}-file", f"Did you mean --{n}?") for n in ("audio", "image", "output")),
            *(("--style", "mean --style-level?"), ("--face", "mean --face-bbox?")),
            ("--detection-output", "The options are"),  # it may be either
            *(("--img-url", "--image-url?"), ("--input-image", "--image?"), ("--iamge", "image?")),
            *(("--detection-result", "--detection?"), ("--image_path", "--image?")),
            *((f"--{w}", "The options are") for w in ("estimate", "simulate", "make", "d", "no")),
            ("", "The options are"),
            ("--", None),
        ):
            with self.subTest(word):
                result = self.call(*arguments(), word)
                if hint is None:
                    continue
                self.refuse(result, "arguments")
                self.assertIn(hint, result.line["errors"][0]["hint"])

    def test_of_a_word_with_one_dash_that_may_hold_a_value_two_letters_are_shown(self):
        for word, shown in (("-output", "'-o...'"), ("-pSECRET", "'-p...'"), ("-x", "'-x'")):
            with self.subTest(word):
                (error,) = self.call(*arguments(), word).line["errors"]
                self.assertEqual(error["message"], f"{shown} is not an option here")

    def test_a_command_behind_a_box_is_no_part_of_it(self):
        result = self.call("--ext-bbox", "71,9,840,778", "detect", *arguments(ext_bbox=None))
        self.refuse(result, "arguments")
        self.assertEqual(result.line["errors"][0]["hint"], "Put detect first.")

    def test_a_word_that_is_no_command_is_a_problem(self):
        for words in (["help"], ["submitt"], ["Prepare"], [""], ["prepare "], ["{}"], ["\x1b[2J"]):
            with self.subTest(words):
                self.refuse(self.call(*words, *arguments()), "arguments")

    def test_a_word_of_another_program_or_almost_ours_is_a_problem_that_names_the_one_meant(self):
        for words, hint in (
            (["submit"], "run_emo_request.py FILE"),
            (["wait", "some-id"], "run_emo_request.py FILE"),
            (["run", "x.json", "--again"], "run_emo_request.py FILE"),
            (["list"], "run_emo_request.py without FILE"),
            (["status", "some-id"], "run_emo_request.py without FILE"),
            (["detct", "--image-url", IMAGE_URL], "Did you mean detect?"),
            (["Prepare"], "Did you mean prepare?"),
            (["help"], "The first word is prepare or detect"),
        ):
            with self.subTest(words):
                result = self.call(*words)
                self.refuse(result, "arguments")
                self.assertIn(hint, result.line["errors"][0]["hint"])

    def test_of_thousands_of_words_that_are_not_known_twenty_are_told_as_soon_as_one(self):
        for word in ("--seed", "stray", "-x", "-5", "--"):
            for count, told in ((20, 20), (21, 21), (30_000, 21)):
                with self.subTest(f"{count} {word}"):
                    start = time.process_time()
                    result = self.call(*arguments(), *[word] * count)
                    self.assertLess(time.process_time() - start, 2)
                    count -= word == "--"  # the first of them is what it is
                    self.refuse(result, *["arguments"] * min(told, count))
                    if count > 20:
                        last = result.line["errors"][-1]["message"]
                        self.assertTrue(last.startswith(f"{count - 20} more"), last)

    def test_an_output_dir_that_no_shell_has_read_is_a_problem(self):
        os.environ.update(HOME="/home/ann", USERPROFILE="/home/ann", USER="ann")
        for folder, meant in (
            *(("~/x", "/home/ann/x"), ("~", "/home/ann"), ("~/My Files", "/home/ann/My Files")),
            *(("$HOME/x", "/home/ann/x"), ("out/$USER", "out/ann"), ("$NOT_THERE/x", "")),
            *(("'x'", "x"), ('"/tmp/x y"', "/tmp/x y"), ("“x”", "x"), ("'~/x'", "/home/ann/x")),
            *((r"%NOT_THERE%\x", ""), ("https://example.com/x", "")),
        ):
            os.environ["OUTPUT_DIR"] = folder
            told = "Write the whole path" + (f": OUTPUT_DIR='{meant}'." if meant else ".")
            for main in (emo.main, run.main, preview.main):
                with self.subTest(f"{folder} {main.__module__}"):
                    result = self.call(*(arguments() if main is emo.main else ()), main=main)
                    self.refuse(result, "output")
                    self.assertEqual(result.line["errors"][0]["hint"], told)
                    self.assertEqual(os.listdir(), [])
            self.assertEqual(self.call(*arguments(output="request.json")).code, 0)
            os.unlink("request.json")
            os.environ.pop("OUTPUT_DIR")
            result = self.call(*arguments(output=folder), "--dry-run")
            self.refuse(result, "output")
            told = told.replace("OUTPUT_DIR=", "--output ")
            self.assertEqual(result.line["errors"][0]["hint"], told)

    def test_a_name_that_only_begins_so_is_a_name(self):
        for name in ("「你好」.json", "“新年快乐”.json", "'90s.json", "~final.json", "a%b.json"):
            with self.subTest(name):
                self.assertEqual(self.call(*arguments(output=name)).code, 0)
                self.assertTrue(os.path.isfile(name))

    def test_an_option_without_its_value_is_a_problem_of_its_field(self):
        for field in ("image_url", "face_bbox", "style_level", "model", "output", "detection"):
            option = "--" + field.replace("_", "-")
            rest = arguments(**{field: None})
            if field == "detection":
                rest = arguments(face_bbox=None, ext_bbox=None)
            for words in ([*rest, option], [option, *rest], [*rest, option + "="]):
                with self.subTest(words[-1]):
                    self.refuse(self.call(*words), field)

    def test_a_flag_takes_no_value(self):
        self.refuse(self.call(*arguments(), "--dry-run=false"), "dry_run")
        for word in ("--help=x", "--version=x"):
            with self.subTest(word):
                self.refuse(self.call(*arguments(), word), "arguments")

    def test_the_last_of_an_option_given_twice_counts(self):
        result = self.call(*arguments(), "--style-level", "calm", "--dry-run")
        self.assertEqual(result.line["style_level"], "calm")

    @unittest.skipUnless(POSIX, "arguments are text on Windows")
    def test_arguments_that_are_not_valid_text_get_a_message(self):
        bad = os.fsdecode(b"\xff\xfe")
        options = "image_url audio_url face_bbox ext_bbox style_level model output".split()
        for field in options:
            with self.subTest(field):
                self.refuse(self.run_script(*arguments(**{field: bad})), field)
        self.refuse(self.run_script(*arguments(), bad), "arguments")
        self.refuse(self.run_script(bad), "arguments")
        self.refuse(self.run_script(*arguments(), "--" + bad), "arguments")
        self.refuse(self.run_script(*arguments(), OUTPUT_DIR=bad), "output")
        self.refuse(
            self.run_script(*arguments(face_bbox=None, ext_bbox=None, detection=bad)), "detection"
        )


class Words(Case):
    """Boxes as shells pass them: in one word or in several."""

    def test_a_box_is_the_same_in_one_word_and_in_several(self):
        for name, words in BOX_WORDS.items():
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


class Echo(Case):
    def test_a_key_is_no_scheme(self):
        result = self.call(*arguments(image_url="sk-0123456789abcdef0123:x"))
        self.assertNotIn("0123456789", str(result))

    def test_no_message_shows_a_query_or_a_password_whatever_option_it_was_pasted_to(self):
        fields = "image_url audio_url face_bbox ext_bbox style_level model detection".split()
        for link in WITH_A_SECRET:
            for field in fields:
                with self.subTest(f"{field} {link}"):
                    result = self.call(*arguments(**{field: link}))
                    self.assertNotIn("s3cret", str(result))
            for words in ([*arguments(), link], [link], [*arguments(), f"--url={link}"]):
                with self.subTest(words[-1]):
                    result = self.call(*words)
                    self.assertEqual(result.code, 2)
                    self.assertNotIn("s3cret", str(result))

    def test_the_value_of_an_unknown_option_is_not_shown(self):
        for words in (["--password", "s3cret"], ["--password=s3cret"]):
            with self.subTest(words):
                result = self.call(*arguments(), *words)
                self.refuse(result, "arguments")
                self.assertNotIn("s3cret", str(result))

    def test_a_warning_shows_no_query_either(self):
        link = f"{IMAGE_URL}?Signature=s3cret#s3cret"
        result = self.call(*arguments(image_url=link, output="request.json"))
        self.assertEqual(result.code, 0)
        self.assertNotIn("s3cret", str(result))

    def test_messages_have_no_control_characters_and_are_not_endless(self):
        nasty = "\x1b[2J\x1b]0;owned\x07\r\u009b\u202e\u2028\n" + "x" * 100_000
        fields = "image_url audio_url face_bbox ext_bbox style_level model detection".split()
        for field in fields:
            with self.subTest(field):
                result = self.call(*arguments(**{field: f"a{nasty}b"}))
                self.assertEqual(result.code, 2)
                self.assertLess(len(result.stderr), 3000)
                for error in result.line["errors"]:
                    self.assertTrue((error["message"] + error["hint"]).isprintable(), error)
        for words in ([nasty], [*arguments(), nasty], [*arguments(), "--x" + nasty]):
            result = self.call(*words)
            self.assertEqual(result.code, 2)
            self.assertTrue(result.line["errors"][0]["message"].isprintable())


class Surroundings(Case):
    def test_locale_home_proxies_and_working_directory_do_not_matter(self):
        expected = self.run_script(*arguments(), "--dry-run").stdout
        accented = os.fsdecode("https://é/ü".encode())
        for environment in (
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            {"LANG": "de_DE.UTF-8", "LANGUAGE": "de"},
            {"PYTHONIOENCODING": "ascii:strict"},
            {"http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"},
            {"HOME": str(self.folder / "nowhere"), "COLUMNS": "20"},
        ):
            with self.subTest(environment):
                for words in (arguments(), ["--help"], arguments(image_url=accented), [accented]):
                    result = self.run_script(*words, "--dry-run", **environment)
                    self.assertNotIn("Traceback", result.stderr)
                result = self.run_script(*arguments(), "--dry-run", **environment)
                self.assertEqual(result.stdout, expected)

    def test_no_socket_is_opened_and_nothing_heavy_imported(self):
        code = (
            "import os, sys\n"
            "path, before = sys.argv.pop(1), set(sys.modules)\n"
            "os._exit = lambda _: print(*set(sys.modules) - before, file=sys.stderr)\n"
            "source = compile(open(path, encoding='utf-8').read(), path, 'exec')\n"
            "exec(source, {'__name__': '__main__', '__file__': path})"
        )
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, str(SCRIPT), *arguments()],
            capture_output=True,
            text=True,
        )
        self.assertEqual(json.loads(done.stdout)["ok"], True)
        imported = set(done.stderr.split())
        self.assertIn("json", imported)
        heavy = "socket ssl http.client urllib.parse ipaddress datetime typing tempfile shutil"
        heavy += " difflib unicodedata"
        self.assertEqual(imported & set(heavy.split()), set())

    def test_an_interrupt_ends_with_its_line_and_130(self):
        words = arguments(face_bbox=None, ext_bbox=None, detection="-")
        code = (
            "import builtins, sys\n"
            f"sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
            "import prepare_emo_request as emo\n"
            "def interrupted(*_, **__): raise KeyboardInterrupt\n"
            "builtins.open = interrupted\n"
            f"sys.exit(emo.main({words!r}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual(done.returncode, 130)
        self.assertEqual(json.loads(done.stdout)["ok"], False)
        self.assertNotIn("Traceback", done.stderr)
