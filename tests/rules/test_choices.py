"""Style, ratio and model: what is taken, what is written, and what is refused."""

from support import IMAGE_URL, Case, arguments


class Choices(Case):
    def test_what_is_none_of_the_choices_is_refused(self):
        for field, texts in {
            "style_level": [
                "Active",
                "ACTIVE",
                "lively",
                "normal,calm",
                "",
                "0",
                "--calm",
                "\x1b[2J",
            ],
            "model": ["", "a b", "é", "emo-v1;", "模型", "a\nb", "emo-v1-detect", "emo-detect-v1"],
        }.items():
            for text in texts:
                with self.subTest(f"{field} {text!r}"):
                    result = self.call(
                        *arguments(**{field: None}), f"--{field.replace('_', '-')}={text}"
                    )
                    self.refuse(result, field)

    def test_detect_refuses_likewise(self):
        for option, texts in {
            "ratio": ["", "1：1", "4:3", "1/1", "16:9", "1:1:1", "3"],
            "model": ["emo-v1", "", "a b"],
        }.items():
            for text in texts:
                with self.subTest(f"{option} {text!r}"):
                    result = self.call("detect", "--image-url", IMAGE_URL, f"--{option}", text)
                    self.refuse(result, option)

    def test_the_choices_are_written_as_given(self):
        for field, texts in {
            "style_level": ["normal", "calm", "active"],
            "model": ["emo-v1", "emo-v1-2026", "ep_1/my.model:v2", "EMO"],
        }.items():
            for text in texts:
                with self.subTest(text):
                    result = self.call(*arguments(**{field: f" {text} "}), "--dry-run")
                    self.assertEqual(result.code, 0, result)
                    self.assertEqual(result.line[field], text)
                    body = result.line["request"]
                    self.assertEqual({**body, **body["parameters"]}[field], text)
        for ratio, size in (("1:1", "512x512"), ("3:4", "512x704")):
            with self.subTest(ratio):
                result = self.call("detect", "--image-url", IMAGE_URL, "--ratio", ratio)
                self.assertEqual((result.line["ratio"], result.line["video_size"]), (ratio, size))

    def test_the_default_style_is_written_too(self):
        result = self.call(*arguments(style_level=None), "--dry-run")
        self.assertEqual(result.line["request"]["parameters"], {"style_level": "normal"})

    def test_a_deployment_of_its_own_may_detect_and_generate(self):
        for model in ("my-emo", "emo-detect-v1", "emo-v1-detect"):
            with self.subTest(model):
                result = self.call(
                    "detect", "--image-url", IMAGE_URL, "--model", model, "--dry-run"
                )
                self.assertEqual(result.line["model"], model)
