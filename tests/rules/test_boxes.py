"""Boxes: what is taken, what is refused, and how the two lie to each other."""

from support import Case, arguments, emo


class Boxes(Case):
    TAKEN = {
        "302,286,610,593": [302, 286, 610, 593],
        "[302, 286, 610, 593]": [302, 286, 610, 593],
        "[302,286,610,593]": [302, 286, 610, 593],
        "[\n  302,\n  286,\n  610,\n  593\n]": [302, 286, 610, 593],
        " \n302,286,610,593\r\n": [302, 286, 610, 593],
        "302, 286, 610, 593": [302, 286, 610, 593],
        "302 286 610 593": [302, 286, 610, 593],
        "302\n286\n610\n593": [302, 286, 610, 593],
        "302 ,\t286 , 610,593": [302, 286, 610, 593],
        "(302, 286, 610, 593)": [302, 286, 610, 593],
        "(302 286 610 593)": [302, 286, 610, 593],
        "[ 302, 286, 610, 593 ]": [302, 286, 610, 593],
        f"302, 286, 610,{186 * ' '}593": [302, 286, 610, 593],
        "0,0,7000,7000": [0, 0, 7000, 7000],
    }
    REFUSED = {  # words of the message: texts
        "has no value": ["", " ", "\n"],
        "is not four numbers": [
            *(
                "1",
                "1,2,3",
                "1,2,3,4,5",
                "1 2 3",
                "1 2 3 4 5",
                *("1\v2\v3\v4", "1\f2\f3\f4"),
                "1;2;3;4",
                "()",
                "[]",
                f"1,2,30,40{300 * ' '}5",
                "[1,2,3]",
                "1x2x3x4",
                "null",
            ),
            *("１，２，３，４", "[[1,2,3,4],[5,6,7,8]]", "x1=1", "{", "-", "-1"),
        ],
        "not a whole number": [
            *("1_0,2,30,40", "+3,2,30,40", "３,2,30,40", "1.0,2,30,40", "1e3,2,30,40", ",2,30,40"),
            *("1,2,30,", "0x1,2,30,40", "01,2,30,40", "-0,2,30,40", "1 -2 30 40", "1 2 30 4.0"),
            *("[-1,2,30,40]", "-5,2,30,40", "1,-2,30,40", "--5,2,30,40", "-x,2,30,40", "-,2,3,4"),
            *("7001,2,7002,40", "1,2,30,99999999999", f"{'9' * 5000},2,30,40", "nan,2,30,40"),
            *(
                "[1,2,30,40",
                "1,2,30,40]",
                "(1,2,30,40]",
                "{1,2,30,40}",
                "[1.0,2,30,40]",
                "[true,2,30,40]",
            ),
            *('["1",2,30,40]', "x1,y1,x2,y2", "1,2,30,40\0", "1,2,30,4\u200b0", "1,2,30,40;"),
            *("[\u00a01,2,30,40]", "1,2,30,٤٠", "1 2 30 ４０", "²,2,30,40"),
        ],
        "has no area": [
            "5,2,5,40",
            "30,2,5,40",
            "1,40,30,40",
            "1,40,30,2",
            "0,0,0,0",
            "[9,\n9,1,1]",
        ],
    }

    def test_a_box_is_four_plain_whole_numbers(self):
        for text, box in self.TAKEN.items():
            with self.subTest(text):
                self.assertEqual(emo.parse_box("face_bbox", text.strip()), box)

    def test_anything_else_gets_the_box_message_however_the_option_is_spelled(self):
        for words, texts in self.REFUSED.items():
            for text in texts:
                for option, field in (("--face-bbox", "face_bbox"), ("--ext-bbox", "ext_bbox")):
                    rest = arguments(**{field: None})
                    for spelled in ([option, text], [f"{option}={text}"]):
                        with self.subTest(" ".join(spelled)[:80]):
                            for line in ([*spelled, *rest], [*rest, *spelled]):
                                result = self.call(*line)
                                self.refuse(result, field)
                                self.assertIn(words, result.line["errors"][0]["message"])

    def test_two_dashes_are_no_value_of_any_option(self):
        for field in ("face_bbox", "ext_bbox", "style_level", "model", "output"):
            for words in ([emo.option(field), "--"], [f"{emo.option(field)}=--"]):
                with self.subTest(words):
                    given = {field: None} if field in emo.BOX_FIELDS else {}
                    result = self.call(*arguments(**given), *words)
                    self.refuse(result, field)
                    self.assertNotIn("[]", result.stderr)

    def test_the_ratio_is_1_1_or_3_4_within_the_rounding_of_the_corners(self):
        for box, ratio in (
            ([71, 9, 840, 778], "1:1"),
            ([225, 0, 931, 706], "1:1"),
            ([242, 68, 617, 443], "1:1"),
            ([63, 30, 609, 575], "1:1"),  # 546x545, from the real service
            ([0, 0, 500, 502], "1:1"),
            ([0, 0, 502, 500], "1:1"),
            ([0, 0, 500, 503], None),
            ([0, 0, 503, 500], None),
            ([0, 0, 300, 400], "3:4"),
            ([0, 0, 301, 399], "3:4"),
            ([0, 0, 299, 401], "3:4"),
            ([0, 0, 301, 401], "3:4"),
            ([0, 0, 302, 400], None),
            ([0, 0, 300, 403], None),
            ([0, 0, 1, 1], "1:1"),
            ([0, 0, 2, 3], "1:1"),
            ([0, 0, 3, 4], "1:1"),  # 1:1 is tried first
            ([0, 0, 7000, 7000], "1:1"),
            ([0, 0, 5250, 7000], "3:4"),
            ([0, 0, 400, 300], None),
            ([0, 0, 1920, 1080], None),
        ):
            with self.subTest(box):
                self.assertEqual(emo.ratio_of(box), ratio)

    def test_a_misfit_tells_its_size_and_its_ratio(self):
        for box, words in (
            ("0,0,400,300", "400x300 is 4:3"),
            ("71,9,840,509", "769x500 is 769:500"),
            ("0,0,1920,1080", "1920x1080 is 16:9"),
        ):
            with self.subTest(box):
                result = self.call(*arguments(ext_bbox=box, face_bbox="80,10,200,200"))
                self.refuse(result, "ext_bbox")
                self.assertIn(words, result.line["errors"][0]["message"])
                self.assertIn("1:1 or 3:4", result.line["errors"][0]["message"])

    def test_the_boxes_lie_as_in_an_answer(self):
        for face, outcome in (
            ("302,286,610,593", None),
            ("71,9,200,200", None),  # in a corner
            ("70,9,200,200", "sticks out"),
            ("600,600,841,778", "sticks out"),
            ("0,0,72,10", "sticks out"),
            ("0,0,71,700", "apart"),  # they touch
            ("100,778,200,900", "apart"),
            ("5000,5000,6000,6000", "apart"),
            ("0,0,6000,6000", "swapped?"),
            ("71,9,840,778", "swapped?"),  # twice the same
            ("71,9,840,779", "swapped?"),
        ):
            with self.subTest(face):
                result = self.call(*arguments(face_bbox=face), "--dry-run")
                if outcome in ("apart", "swapped?"):
                    self.refuse(result, "face_bbox")
                    self.assertIn(outcome, result.line["errors"][0]["message"])
                    continue
                self.assertEqual(result.code, 0)
                warnings = [warning["message"] for warning in result.line["warnings"]]
                self.assertEqual(
                    [outcome in message for message in warnings], [True] * bool(outcome)
                )
                self.assertEqual(len(result.stderr.splitlines()), bool(outcome))
