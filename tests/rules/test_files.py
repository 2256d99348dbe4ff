"""Files: where they go, and what is there when the disk, a signal or another run interferes."""

import json
import os
import stat
import subprocess
import sys
import unittest
from pathlib import Path

from support import (
    AUDIO_URL,
    IMAGE_URL,
    NAME,
    POSIX,
    REQUEST,
    SCRIPT,
    Case,
    arguments,
    without_root,
)

BYTES = json.dumps(REQUEST, indent=2).encode() + b"\n"
OLD = b'{"old": true}\n'


class Where(Case):
    def test_files_go_below_output_dir(self):
        for output_dir, path in (
            ("", os.path.join("output", "aliyun-emo", "request.json")),
            ("evidence", os.path.join("evidence", "aliyun-emo", "request.json")),
            (f"a/b c/{NAME}", os.path.join(f"a/b c/{NAME}", "aliyun-emo", "request.json")),
            (
                str(self.folder / "absolute"),
                str(self.folder / "absolute" / "aliyun-emo" / "request.json"),
            ),
        ):
            with self.subTest(output_dir):
                result = self.run_script(*arguments(), OUTPUT_DIR=output_dir)
                self.assertEqual(result.code, 0, result)
                self.assertEqual(result.line["request_path"], path)
                self.assertEqual(Path(path).read_bytes(), BYTES)

    def test_output_names_another_file_and_its_folders_are_made(self):
        for name in (
            "mine.json",
            os.path.join("x", "y", "mine"),
            "x" * 255,
            f"{NAME}.json",
            "=x",
        ):
            with self.subTest(name[:20]):
                result = self.run_script(*arguments(output=f" {name} "))
                self.assertEqual(result.line["request_path"], name)
                self.assertEqual(Path(name).read_bytes(), BYTES)
        self.assertFalse(Path("output").exists())

    def test_what_is_kept_of_tasks_is_not_replaced(self):
        for name in ("tasks/3f9a12c07b1e/task.json", "tasks/x.json", "requests/a", "detections/b"):
            with self.subTest(name):
                path = Path("output/aliyun-emo", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}")
                self.refuse(self.call(*arguments(output=str(path))), "output")
                self.assertEqual(path.read_text(), "{}")

    def test_stdout_is_no_file(self):
        result = self.call(*arguments(output="-"))
        self.refuse(result, "output")
        self.assertIn("--dry-run", result.line["errors"][0]["hint"])

    def test_a_refusal_leaves_the_earlier_file_untouched(self):
        path = Path("output/aliyun-emo/request.json")
        self.assertEqual(self.call(*arguments()).code, 0)
        before = path.stat()
        self.assertEqual(self.call(*arguments(style_level="loud")).code, 2)
        self.assertEqual(path.read_bytes(), BYTES)
        self.assertEqual(path.stat().st_mtime_ns, before.st_mtime_ns)


class Refusals(Case):
    """What the file system refuses: exit 1."""

    def fail(self, message=None, *, result=None, old=None):
        if result is None:
            return super().fail(message)
        self.assertEqual(result.code, 1, result)
        self.assertEqual(result.fields, ["output"])
        self.assertNotIn("Traceback", result.stderr)
        self.assertNotIn(".tmp", str(result))
        self.assertEqual([name for name in self.files() if ".tmp" in name], [])
        return None

    def test_a_path_that_cannot_be_a_file(self):
        (self.folder / "folder").mkdir()
        (self.folder / "file").write_bytes(OLD)
        for output in ("folder", "folder/", "new/", ".", "..", "/", "file/request.json", "y" * 300):
            for dry_run in ([], ["--dry-run"]):
                if dry_run and len(output) == 300:
                    continue  # only an attempt tells how long a name may be
                with self.subTest(f"{output[:20]} {dry_run}"):
                    self.fail(result=self.call(*arguments(output=output), *dry_run))
        self.assertEqual(self.files(), ["file"])
        self.fail(result=self.run_script(*arguments(), OUTPUT_DIR="file"))
        self.assertEqual(self.files(), ["file"])

    @unittest.skipUnless(POSIX, "needs devices and named pipes")
    def test_a_device_is_not_replaced(self):
        os.mkfifo("fifo")
        os.symlink(os.devnull, "null")
        for output in ("fifo", "null", os.devnull):
            with self.subTest(output):
                self.fail(result=self.call(*arguments(output=output)))
        self.assertTrue(stat.S_ISCHR(os.stat(os.devnull).st_mode))
        self.assertTrue(stat.S_ISFIFO(os.stat("fifo").st_mode))

    @unittest.skipUnless(
        POSIX and (os.geteuid() or hasattr(os, "setresuid")), "permissions of POSIX"
    )
    def test_a_read_only_folder_or_file(self):
        for folder, name in ((0o555, "new.json"), (0o555, "old.json"), (0o777, "kept.json")):
            path = self.folder / f"{folder:o}"
            path.mkdir(exist_ok=True)
            for old in ("old.json", "kept.json"):
                if not (path / old).exists():
                    (path / old).write_bytes(OLD)
            (path / "kept.json").chmod(0o444)
            path.chmod(folder)
            os.chmod(self.folder, 0o777)
            for dry_run in ([], ["--dry-run"]):
                with self.subTest(f"{folder:o} {name} {dry_run}"), without_root():
                    result = self.call(*arguments(output=str(path / name)), *dry_run)
                    self.fail(result=result)
                    self.assertIn("Permission denied", result.line["errors"][0]["message"])
            path.chmod(0o777)
            self.assertEqual((path / "old.json").read_bytes(), OLD)
            self.assertEqual((path / "kept.json").read_bytes(), OLD)

    @unittest.skipUnless(POSIX, "limits of POSIX")
    def test_a_disk_that_fills_half_way(self):
        path = Path("request.json")
        for old in (None, OLD):
            for room in (0, 1, len(BYTES) - 1):
                with self.subTest(f"{old} {room}"):
                    if old:
                        path.write_bytes(old)
                    result = self.run_with_room(room, *arguments(output="request.json"))
                    self.fail(result=result)
                    self.assertEqual(self.files(), ["request.json"] if old else [])
                    if old:
                        self.assertEqual(path.read_bytes(), old)
        self.assertEqual(self.run_with_room(len(BYTES), *arguments(output="request.json")).code, 0)


class Replacing(Case):
    def test_a_kill_before_the_rename_leaves_the_old_file_whole(self):
        path = Path("request.json")
        code = (
            "import os, runpy, signal, sys\n"
            "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
            f"sys.argv = {['x', *arguments(output='request.json')]!r}\n"
            f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        )
        for old in (None, OLD):
            with self.subTest(old):
                if old:
                    path.write_bytes(old)
                done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(done.stdout, b"")
                self.assertEqual(path.read_bytes() if path.exists() else None, old)
        self.assertEqual(self.call(*arguments(output="request.json")).code, 0)
        self.assertEqual(path.read_bytes(), BYTES)

    def test_two_writers_and_a_reader_see_whole_files_only(self):
        styles = ("calm", "active")
        bodies = {
            style: json.dumps({**REQUEST, "parameters": {"style_level": style}}, indent=2).encode()
            + b"\n"
            for style in styles
        }
        path = Path("request.json")
        path.write_bytes(bodies["calm"])
        running = [
            subprocess.Popen(
                [sys.executable, str(SCRIPT), *arguments(output="request.json", style_level=style)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for style in styles * 5
        ]
        while any(process.poll() is None for process in running):
            self.assertIn(path.read_bytes(), bodies.values())
        for process in running:
            output, _ = process.communicate()
            if POSIX:
                self.assertEqual(process.returncode, 0, output)
        self.assertIn(path.read_bytes(), bodies.values())
        self.assertEqual(self.files(), ["request.json"])

    @unittest.skipUnless(POSIX, "permissions of POSIX")
    def test_a_new_file_has_the_permissions_of_a_plain_open_and_an_old_one_keeps_its_own(self):
        before = os.umask(0o022)
        self.addCleanup(os.umask, before)
        for umask in (0o022, 0o077, 0o002):
            os.umask(umask)
            with self.subTest(f"{umask:o}"):
                self.call(*arguments(output=f"{umask:o}.json"))
                Path("plain").touch()
                self.assertEqual(mode(f"{umask:o}.json"), mode("plain"))
                Path("plain").unlink()
        os.umask(0o022)
        os.chmod("22.json", 0o600)
        self.assertEqual(self.call(*arguments(output="22.json")).code, 0)
        self.assertEqual(mode("22.json"), 0o600)

    @unittest.skipUnless(POSIX, "symbolic links of POSIX")
    def test_a_link_stays_a_link(self):
        os.mkdir("elsewhere")
        os.symlink("elsewhere/request.json", "request.json")
        for _ in range(2):  # it dangles at first
            self.assertEqual(self.call(*arguments(output="request.json")).code, 0)
            self.assertTrue(os.path.islink("request.json"))
            self.assertEqual(Path("elsewhere/request.json").read_bytes(), BYTES)

    def test_what_is_written_is_read_back_as_a_request_of_the_contract(self):
        result = self.call(*arguments(audio_url=f"{AUDIO_URL}?Expires=9999999999&Signature=%2b/="))
        body = json.loads(Path(result.line["request_path"]).read_text("utf-8"))
        self.assertEqual(sorted(body), ["input", "model", "parameters"])
        self.assertEqual(body["input"]["audio_url"][-16:], "&Signature=%2b/=")
        self.assertEqual(body["input"]["image_url"], IMAGE_URL)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)
