"""The papers: what they show is what the program does."""

import json
import os
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

from support import (
    FIXTURES,
    IMAGE_URL,
    REQUEST,
    ROOT,
    SCRIPT,
    SCRIPTS,
    Case,
    Terminal,
    arguments,
    emo,
    preview,
    run,
)
from support.service import (
    KEY,
    PORTRAIT,
    SPEECH,
    Service,
    fixture,
    mp3,
    png,
    raw,
    video_of,
)

import make_emo_video as make
from aliyun_emo import refusals, requests, settings
from aliyun_emo.commands import PROGRAMS, command
from aliyun_emo.commands import RUN as RUN_NAME

SKILL = ROOT / "skills/ai/video/aliyun-emo"
README = (ROOT / "README.md").read_text("utf-8")
MANUAL = (SKILL / "SKILL.md").read_text("utf-8")
API = (SKILL / "references/api.md").read_text("utf-8")
ERRORS = (SKILL / "references/errors.md").read_text("utf-8")
ROOMS = (SKILL / "references/rooms.md").read_text("utf-8")


def blocks_of(text):
    """Return the code blocks for a shell in `text`."""
    return re.findall(r"```bash\n(.*?)```", text, re.S)


def commands(text):
    """Return the shell commands in the code blocks of `text`, continued lines joined."""
    blocks = blocks_of(text)
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

    def test_the_picture_of_the_page_is_small_enough(self):
        self.assertLess((SKILL / "references/preview.png").stat().st_size, 150_000)

    def test_the_tables_of_options_are_complete(self):
        table = API.split("| `prepare_emo_request.py` |")[1].split("\n\n")[0]
        for field, (names, _, _) in emo.PREPARE[1].items():
            with self.subTest(field):
                (row,) = re.findall(rf"^\| `{emo.option(field)}[ `].*$", table, re.M)
                taken = [cell.strip() == "x" for cell in row.split("|")[2:4]]
                self.assertEqual(taken, [command in names for command in emo.PREPARE[0]])
        for program in (make, run, preview):
            name = f"{program.__name__}.py"
            table = API.split(f"| `{name}` |")[1].split("\n\n")[0]
            for field, (_, metavar, text) in program.OPTIONS.items():
                with self.subTest(f"{name} {field}"):
                    if not text:  # of earlier versions
                        continue
                    option = f"{emo.option(field)} {metavar}".strip()
                    shown = metavar.strip("[]<>") if metavar[:1] in ("[", "<") else option
                    self.assertIn(f"\n| `{shown}` |", table)

    def test_every_option_that_a_paper_names_is_one(self):
        programs = (make.OPTIONS, run.OPTIONS, preview.OPTIONS, emo.PREPARE[1])
        known = {emo.option(field) for options in programs for field in options}
        for paper in (ROOT / "README.md", *SKILL.rglob("*.md")):
            text = paper.read_text("utf-8").replace("`--face_box`", "")
            names = re.findall(r"(?<![-\w])--[a-z][\w-]*", re.sub(r"'--face_box' is", "", text))
            with self.subTest(paper.name):
                self.assertEqual(set(names) - known - {"--help", "--version", "--strict"}, set())

    MISTAKES = {  # what somebody did: the words of the command
        "a local file as a link": arguments(image_url="./portrait.png"),
        "a recording of another format": arguments(audio_url=None, audio="speech.mp3"),
        "a recording that is too long": arguments(audio_url=None, audio="long.mp3"),
        "a picture that is too small": [*"detect --image small.png".split()],
        "boxes of another size of it": arguments(image_url=None, image="other.png"),
        "a private link": arguments(image_url="https://192.168.1.5/portrait.png"),
        "a link inside a cloud": arguments(
            image_url="https://b.oss-cn-beijing-internal.aliyuncs.com/portrait.png"
        ),
        "an expired link": arguments(
            audio_url="https://example.com/a.mp3?Expires=1735689600&OSSAccessKeyId=x&Signature=x"
        ),
        "a link cut at its `&`": arguments(
            image_url="https://b.oss-cn-beijing.aliyuncs.com/portrait.png?OSSAccessKeyId=x"
        ),
        "perhaps cut at its `&`": arguments(
            image_url="https://b.oss-cn-beijing.aliyuncs.com/portrait.png?Expires=9999999999"
        ),
        "signed for too long": arguments(
            image_url="https://b.example.com/portrait.png?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=x&X-Amz-Date=20260101T000000Z&X-Amz-Expires=31536000"
            "&X-Amz-Signature=x"
        ),
        "copied out of HTML": arguments(image_url="https://example.com/portrait.png?a=1&amp;b=2"),
        "a page instead of the file": arguments(
            image_url="https://github.com/me/pictures/blob/main/portrait.png"
        ),
        "quotes that were kept": arguments(image_url="'https://example.com/portrait.png'"),
        "a host that is not ASCII": arguments(image_url="https://bücher.example.com/portrait.png"),
        "picture and audio mixed up": arguments(image_url="https://example.com/speech.mp3"),
        "boxes mixed up": arguments(face_bbox="71,9,840,778", ext_bbox="302,286,610,593"),
        "a box of another ratio": arguments(ext_bbox="71,9,471,309", face_bbox="80,10,200,200"),
        "no box": arguments(ext_bbox="the whole picture"),
        "the portrait did not pass": arguments(
            face_bbox=None, ext_bbox=None, detection=str(FIXTURES / "detection-fail.json")
        ),
        "boxes of another detection": arguments(
            face_bbox=None, ext_bbox=None, detection="other.json"
        ),
        "a misspelt option": [*arguments(), "--face_box", "1,2,3,4"],
        "an old command": ["submit"],
    }
    ANSWER = fixture("detection-pass")
    OTHER = {
        "request": {"input": {"image_url": IMAGE_URL}, "parameters": {"ratio": "3:4"}},
        "response": ANSWER,
    }

    FILES = {
        "speech.mp3": b"\0\0\0\x18ftypM4A \0\0\0\0",
        "long.mp3": mp3(75),
        "small.png": png(300, 300),
        "other.png": png(600, 600),
        "portrait.png": PORTRAIT,
    }

    def mistakes(self):
        """Yield what somebody did and the line on stderr."""
        Path("other.json").write_text(json.dumps(self.OTHER))
        for name, content in self.FILES.items():
            Path(name).write_bytes(content)
        converters = mock.patch("shutil.which", lambda name: name in ("ffmpeg", "magick"))
        converters.start()
        self.addCleanup(converters.stop)
        for mistake, words in self.MISTAKES.items():
            yield mistake, self.call(*words).stderr
            if mistake == "boxes of another size of it":
                yield from self.mistakes_of_a_run()
        os.environ["HOME"] = os.environ["USERPROFILE"] = str(self.folder)
        file = "output/aliyun-emo/request.json"
        self.call(*arguments())
        yield "no key", self.call_run(file).stderr
        os.environ["DASHSCOPE_API_KEY"] = KEY
        yield "run before prepare", self.call_run("output/aliyun-emo/other.json").stderr
        os.environ["DASHSCOPE_API_KEY"] = f'"{KEY}"'
        yield "a key in quotes", self.call_run(file).stderr
        folder = Path("output/aliyun-emo/tasks", requests.request_name(REQUEST, ""))
        folder.mkdir(parents=True)
        record = {"saved_at": "2026-01-01T00:00:00.000000Z", "request": REQUEST, "response": None}
        (folder / "task.json").write_text(json.dumps(record))
        yield "killed while it was sending", self.call_run(file).stderr

    def mistakes_of_a_run(self):
        page = raw(200, b"<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")
        with Service(links={"portrait.png": page}) as service:
            os.environ.update(service.environment, DASHSCOPE_API_KEY=KEY)
            file = self.call("detect", "--image", "portrait.png").line["request_path"]
            Path("portrait.png").write_bytes(png(1000, 999))
            yield "a file that was changed since", self.call_run(file).stderr
            file = self.call(*arguments()).line["request_path"]
            yield "a page to log in behind a link", self.call_run(file).stderr.split("\n", 1)[1]
        del os.environ["DASHSCOPE_API_KEY"], os.environ["DASHSCOPE_BASE_URL"]

    def test_the_common_mistakes_print_what_the_table_says(self):
        rows = []
        for mistake, stderr in self.mistakes():
            stderr = stderr.replace(command(RUN_NAME), "python3 scripts/run_emo_request.py")
            lines = stderr.replace(str(self.folder), "/home/ann").splitlines()
            (line,) = [line for line in lines if line.startswith("error: ")] or lines
            rows.append(f"| {mistake} | `{line}` |")
        table = ERRORS.split("| mistake | stderr |\n|---|---|\n")[1].split("\n\n")[0]
        self.assertEqual(table, "\n".join(rows))

    def test_the_exit_codes_are_told_in_each_paper(self):
        for name, text in (
            ("README", README),
            ("SKILL", MANUAL),
            ("--help", self.call_run("--help").stdout),
        ):
            for code in (0, 1, 2, 3, 4, 5, 130):
                with self.subTest(f"{name} {code}"):
                    self.assertRegex(text, rf"(?m)^(\| {code} \||  {code}  )")

    def test_every_code_of_the_service_is_in_the_table_of_errors(self):
        for code in refusals.REMEDIES:
            with self.subTest(code):
                self.assertRegex(ERRORS, rf"(?m)^\| .*`{re.escape(code)}`.* \|")

    def test_the_manual_has_its_front_matter_and_sections(self):
        _, front, body = MANUAL.split("---\n", 2)
        fields = dict(line.split(": ", 1) for line in front.splitlines())
        self.assertEqual(list(fields), ["name", "description", "compatibility"])
        self.assertEqual(fields["name"], "aliyun-emo")
        self.assertLessEqual(len(fields["description"]), 1024)
        for word in (
            *("Use when ", "photo", "avatar", "talking head", "lip-sync", "sing"),
            *("数字人", "照片说话", "对口型", "唱演"),
        ):
            self.assertIn(word, fields["description"])
        self.assertLessEqual(len(fields["compatibility"]), 500)
        for word in ("Python 3.9", "network", "dashscope.aliyuncs.com", "store", "links"):
            self.assertIn(word, fields["compatibility"])
        self.assertLessEqual(len(MANUAL.splitlines()), 200)
        self.assertLessEqual(len(MANUAL.split()), 1350)
        self.assertLessEqual(len(README.split()), 1342)
        sections = re.findall(r"^## (.*)\n+([^#]*)", body, re.M)
        self.assertEqual(
            [title for title, _ in sections],
            [
                *("Quick start", "Operational guidance", "Selection guidance", "Prerequisites"),
                *("Output location", "Output And Evidence", "Normalized interface (video.emo)"),
                *("Critical model names", "Validation", "References"),
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

    def shell(self, block, *more):
        """Return the lines that a `block` of a paper printed, and its stderr.

        Each program that sends gets the words in `more` as well.
        """
        block = block.replace("<folder of this file>/scripts", str(SCRIPTS))
        block = block.replace("EMO=skills/", f"EMO={shlex.quote(str(ROOT))}/skills/")
        block = block.replace("python3 ", f"{shlex.quote(sys.executable)} ")
        more = " ".join(("--interval 0.05", *more))
        block = re.sub(r"(?m)(make_emo_video\.py\W? .*|--all.*|\.json.*)$", rf"\1 {more}", block)
        done = subprocess.run(
            ["/bin/sh", "-c", f"set -e\n{block}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def serve(self):
        """Return a service, with its variables set and the files of the papers in the folder."""
        service = Service()
        os.environ.update(service.environment, DASHSCOPE_API_KEY=KEY)
        Path("portrait.png").write_bytes(PORTRAIT)
        recordings = {"speech": SPEECH, "monday": mp3(10), "tuesday": mp3(11)}
        for name, content in recordings.items():
            Path(f"{name}.mp3").write_bytes(content)
        return service

    def paid(self, service):
        """Return how many generations a `service` was asked for."""
        return sum(post.path.endswith("video-synthesis") for post in service.posts)

    @unittest.skipUnless(os.path.exists("/bin/sh"), "needs a shell")
    def test_each_way_of_the_readme_ends_with_its_videos(self):
        blocks = [block for block in blocks_of(README) if "$EMO/" in block]
        files, links, several, another_day, chinese = blocks
        with self.serve() as service:
            for block, paid in ((files, 1), (links, 2)):
                (line,), stderr = self.shell(block)
                self.assertEqual((line["state"], "next: " in stderr), ("ready", True))
                self.assertEqual(self.paid(service), paid - 1)
                self.shell(block, "--pay")
                self.assertEqual(self.paid(service), paid)
            self.shell(several)
            self.shell(chinese)  # the first one again
            (line,), _ = self.shell(another_day)
            self.assertEqual(self.paid(service), 4)
        self.assertEqual([task["task_status"] for task in line["tasks"]], ["SUCCEEDED"] * 4)
        for task in line["tasks"]:
            self.assertEqual(Path(task["video_path"]).read_bytes(), video_of(task["task_id"]))
        self.assertTrue(Path("hello.mp4").exists())

    @unittest.skipUnless(os.path.exists("/bin/sh"), "needs a shell")
    def test_the_steps_of_the_manual_end_with_the_video(self):
        check, detect, pay = (block for block in blocks_of(MANUAL) if "$EMO" in block)
        with self.serve() as service:
            (line,), _ = self.shell(check)
            self.assertEqual((line["uploads"], service.posts), (["portrait.png", "speech.mp3"], []))
            self.assertEqual(line["estimate"]["cny"], 0.99)
            (line,), stderr = self.shell(detect)
            self.assertEqual((line["state"], self.paid(service)), ("ready", 0))
            pay = pay.replace("output/aliyun-emo/requests/3f9a12c07b1e.json", line["request_path"])
            told = shlex.split(stderr.partition("next: ")[2])[1:]
            self.assertEqual(told, [str(SCRIPTS / "run_emo_request.py"), line["request_path"]])
            for _ in range(2):
                (line,), _ = self.shell(pay)
                self.assertEqual(Path(line["video_path"]).read_bytes(), video_of(line["task_id"]))
            (line,), _ = self.shell(detect)
            self.assertEqual((line["state"], self.paid(service)), ("made", 1))

    def test_a_terminal_shows_what_the_readme_says(self):
        with self.serve(), mock.patch("sys.stdin", Terminal("n\n")):
            said = self.call("portrait.png", "speech.mp3", main=make.main, terminal=True).stderr
        said = re.sub("previews/[0-9a-f]{12}", "previews/3f9a12c07b1e", said.replace("\\", "/"))
        for line in README.split("```text\n")[1].split("\n```")[0].splitlines():
            with self.subTest(line):
                self.assertIn(line, said)

    def test_each_block_of_the_manual_that_uses_the_folder_sets_it(self):
        for block in re.findall(r"```bash\n(.*?)```", MANUAL, re.S):
            with self.subTest(block):
                uses = "$EMO" in block
                self.assertEqual(block.startswith('EMO="<folder of this file>/scripts"\n'), uses)

    def test_what_costs_money_stands_in_a_block_of_its_own(self):
        blocks = [block for block in blocks_of(MANUAL) if "$EMO" in block]
        (pay,) = (block for block in blocks if "run_emo_request.py" in block)
        self.assertEqual(len(pay.splitlines()), 2)
        self.assertNotIn("--pay", "".join(blocks))
        asked = MANUAL.split(pay)[0].rpartition("```\n")[2]
        self.assertIn(
            "**Stop and ask the user: the next command costs money.**", asked.replace("4. ", "")
        )

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

    def test_the_map_of_the_rooms_has_each_room_and_only_names_that_are_there(self):
        files = [path for path in SCRIPTS.rglob("*.*") if path.suffix != ".pyc" and path.is_file()]
        rooms = {path.name: path.read_text("utf-8") for path in files}
        chapters = re.split(r"(?m)^# --- (\d+)\. ", SCRIPT.read_text("utf-8"))
        rooms.update({f"prepare, {n}": code for n, code in zip(chapters[1::2], chapters[2::2])})
        rows = re.findall(r"(?m)^\| [^|]* \| ([^|]*) \|$", ROOMS)
        named = set()
        for place in "; ".join(rows).split("; "):
            room, _, names = place.partition(": ")
            named.add(room.strip("`"))
            for name in re.findall(r"`(\w+)`", names):
                with self.subTest(place, name=name):
                    code = rooms.get(room.strip("`"), "OPTIONS")
                    self.assertRegex(code, rf"(?m)^(def |class |    def |(\w+, )*){name}\b")
        programs = {f"{name}.py" for name in (*PROGRAMS, "__init__")}
        self.assertEqual(named, set(rooms) - programs | {"where", "the program itself"})

    def test_the_defaults_in_the_help_are_those_of_the_code(self):
        for program in (run, make):
            helps = {field: text for field, (_, _, text) in program.OPTIONS.items()}
            self.assertIn(f"(default: {settings.INTERVAL})", helps["interval"])
            self.assertIn(f"(default: {settings.TIMEOUT})", helps["timeout"])

    def test_the_agents_file_names_the_skill(self):
        text = Path(SKILL / "agents/openai.yaml").read_text("utf-8")
        self.assertTrue(text.startswith("interface:\n"))
        for key in ("display_name", "short_description", "default_prompt"):
            self.assertRegex(text, rf'(?m)^  {key}: ".+"$')
        self.assertIn("$aliyun-emo", text)


if __name__ == "__main__":
    unittest.main()
