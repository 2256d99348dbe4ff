"""The papers: what they show is what the program does."""

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from service import KEY, VIDEO, Service
from support import AUDIO_URL, FIXTURES, IMAGE_URL, REQUEST, ROOT, SCRIPT, Case, arguments, emo

SKILL = ROOT / "skills/ai/video/aliyun-emo"
README = (ROOT / "README.md").read_text("utf-8")
MANUAL = (SKILL / "SKILL.md").read_text("utf-8")
API = (SKILL / "references/api.md").read_text("utf-8")


def commands(text):
    """Return the shell commands in the code blocks of `text`, continued lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line]


class Papers(Case):
    def test_the_quick_start_of_each_paper_writes_the_request(self):
        for name, text in (("README", README), ("SKILL", MANUAL)):
            with self.subTest(name):
                (line,) = (c for c in commands(text) if "--face-bbox 302" in c)
                words = line.split()
                self.assertEqual(words[:2], ["python3", str(SCRIPT.relative_to(ROOT).as_posix())])
                result = self.run_script(*words[2:])
                self.assertEqual(result.code, 0, result)
                path = self.folder / "output/aliyun-emo/request.json"
                self.assertEqual(json.loads(path.read_text("utf-8")), REQUEST)
                path.unlink()

    def test_the_module_docstring_shows_what_the_program_prints(self):
        self.assertIn("--style-level active", emo.__doc__)
        printed = self.call(*arguments()).stdout.split(', "ratio"')[0].replace("\\\\", "/")
        self.assertIn(printed, emo.__doc__)

    def test_the_table_of_options_is_complete(self):
        for field, (names, metavar, _) in emo.OPTIONS.items():
            option = metavar if field in emo.POSITIONALS else emo.option(field)
            with self.subTest(option):
                (row,) = re.findall(rf"^\| `{option}[ `].*$", README, re.M)
                cells = [cell.strip() for cell in row.split("|")]
                taken = [cell == "x" for cell in cells[2:6]]
                self.assertEqual(taken, [command in names for command in emo.COMMANDS])
                self.assertIn(option, MANUAL)

    def test_the_common_mistakes_print_what_the_readme_says(self):
        os.environ["DASHSCOPE_API_KEY"] = KEY
        for words in (
            arguments(image_url="./portrait.png"),
            arguments(image_url="https://192.168.1.5/portrait.png"),
            arguments(audio_url="https://example.com/a.mp3?Expires=1735689600&Signature=x"),
            arguments(image_url="https://example.com/speech.mp3"),
            arguments(face_bbox="71,9,840,778", ext_bbox="302,286,610,593"),
            arguments(ext_bbox="71,9,471,309", face_bbox="80,10,200,200"),
            arguments(
                face_bbox=None, ext_bbox=None, detection=str(FIXTURES / "detection-fail.json")
            ),
            [*arguments(), "--face_box", "1,2,3,4"],
            ["wait"],
        ):
            with self.subTest(words):
                (line,) = self.call(*words).stderr.splitlines()
                self.assertIn(f"`{line}`", README)

    def test_the_mistakes_with_a_service_print_what_the_readme_says(self):
        evidence = self.folder / "output/aliyun-emo"
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        self.call(*arguments())
        (line,) = self.call("submit").stderr.splitlines()
        self.assertIn(f"`{line}`", README)
        record = {"saved_at": "2026-01-01T00:00:00Z", "request": REQUEST, "response": None}
        (evidence / "task.json").write_text(json.dumps(record))
        os.environ["DASHSCOPE_API_KEY"] = KEY
        (line,) = self.call("submit").stderr.splitlines()
        self.assertIn(f"`{line}`", README)

    def test_the_exit_codes_are_told_in_each_paper(self):
        for name, text in (("README", README), ("SKILL", MANUAL), ("--help", emo.EXIT_CODES)):
            for code in (0, 1, 2, 3, 4, 5, 130):
                with self.subTest(f"{name} {code}"):
                    self.assertRegex(text, rf"(?m)^(\| {code} \||  {code}  )")

    def test_every_code_of_the_service_is_in_the_table_of_errors(self):
        for code in emo.REMEDIES:
            with self.subTest(code):
                self.assertRegex(API, rf"(?m)^\| .*`{re.escape(code)}`.* \|")

    def test_the_manual_has_its_front_matter_and_sections(self):
        _, front, body = MANUAL.split("---\n", 2)
        self.assertEqual(
            [line.partition(":")[0] for line in front.splitlines()], ["name", "description"]
        )
        self.assertTrue(front.startswith("name: aliyun-emo\n"))
        self.assertIn("Use when ", front)
        self.assertLess(len(MANUAL.splitlines()), 500)
        sections = re.findall(r"^## (.*)\n+([^#]*)", body, re.M)
        self.assertEqual(
            [title for title, _ in sections],
            [
                *("Validation", "Output And Evidence", "Critical model names"),
                *("Selection guidance", "Prerequisites", "Normalized interface (video.emo)"),
                *("Quick start", "Operational guidance", "Output location", "References"),
            ],
        )
        interface = body.split("## Normalized interface")[1].split("\n## ")[0]
        self.assertEqual(
            re.findall(r"^### (.*)$", interface, re.M),
            ["Detect request", "Generate request", "Response"],
        )

    def test_the_validation_command_leaves_its_file(self):
        lines = commands(MANUAL.split("## Validation")[1].split("\n## ")[0])
        self.assertEqual(
            lines,
            [
                "mkdir -p output/aliyun-emo",
                f"python3 -m py_compile {SCRIPT.relative_to(ROOT).as_posix()} && "
                'echo "py_compile_ok" > output/aliyun-emo/validate.txt',
            ],
        )
        copy = self.folder / SCRIPT.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(SCRIPT.read_bytes())
        subprocess.run([sys.executable, "-m", "py_compile", str(copy)], check=True)

    def test_the_whole_way_of_each_paper_ends_with_the_video(self):
        for name, text in (("README", README), ("SKILL", MANUAL)):
            with self.subTest(name), Service() as service:
                os.environ.update(
                    OUTPUT_DIR=str(self.folder / name),
                    DASHSCOPE_BASE_URL=service.base_url,
                    DASHSCOPE_API_KEY=KEY,
                )
                values = {"$IMAGE_URL": IMAGE_URL, "$AUDIO_URL": AUDIO_URL}
                lines = [line for line in commands(text) if line.startswith("python3 $EMO ")]
                self.assertEqual(len(lines), 5)
                for line in lines:
                    words = line.partition("#")[0].replace('"', "").split()[2:]
                    words = [values.get(word, word) for word in words]
                    words = [word.replace("output/", f"{self.folder / name}/") for word in words]
                    with mock.patch.object(emo, "sleep"):
                        result = self.call(*words)
                    self.assertEqual(result.code, 0, result)
                self.assertEqual(len(service.posts), 2)
                video = self.folder / name / "aliyun-emo/video.mp4"
                self.assertEqual(video.read_bytes(), VIDEO)

    @unittest.skipUnless(os.path.exists("/bin/sh"), "needs a shell")
    def test_the_line_of_the_development_section_starts_the_service(self):
        (line,) = (c for c in commands(README) if "service.py" in c)
        script = f'{line} && echo "$DASHSCOPE_BASE_URL $DASHSCOPE_API_KEY" && kill $EMO_SERVICE'
        script = script.replace("python3", f'"{sys.executable}"').replace('"$(', "$(", 1)
        script = script.replace(')"', ")", 1)
        done = subprocess.run(
            ["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=20
        )
        self.assertRegex(done.stdout, rf"^http://127\.0\.0\.1:\d+/api/v1 {KEY}\n$", done)

    def test_links_between_the_papers_lead_somewhere(self):
        for paper in (ROOT / "README.md", *SKILL.rglob("*.md")):
            text = paper.read_text("utf-8")
            for link in re.findall(r"\]\(([^)#:]+)[)#]", text):
                with self.subTest(f"{paper.name} {link}"):
                    self.assertTrue((paper.parent / link).exists())
            for name in re.findall(r"`(references/[a-z.]+)`", text):
                with self.subTest(f"{paper.name} {name}"):
                    self.assertTrue((SKILL / name).exists())

    def test_the_agents_file_names_the_skill(self):
        text = Path(SKILL / "agents/openai.yaml").read_text("utf-8")
        self.assertTrue(text.startswith("interface:\n"))
        for key in ("display_name", "short_description", "default_prompt"):
            self.assertRegex(text, rf'(?m)^  {key}: ".+"$')
        self.assertIn("$aliyun-emo", text)


if __name__ == "__main__":
    unittest.main()
