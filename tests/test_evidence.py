"""Where the evidence of a FILE lies."""

import json
import os
import shutil
import unittest
from pathlib import Path

from support import IMAGE_URL, REQUEST, RUN, emo
from support.service_case import FILE, POSIX, TASKS, GenerationCase, other

from aliyun_emo import evidence

DETECTION = {"input": {"image_url": IMAGE_URL}, "parameters": {"ratio": "1:1"}}


class Shown(GenerationCase):
    """A request that was shown is run as it was shown."""

    def test_a_file_of_another_name_in_such_a_folder_is_a_request_like_any(self):
        self.serve()
        for place in ("requests", "output/aliyun-emo/requests"):
            Path(place).mkdir(parents=True, exist_ok=True)
            Path(place, "hello.json").write_text(json.dumps(REQUEST))
            self.ends(self.call_run(f"{place}/hello.json", "--no-wait"), 0)
            Path(place, "0123456789ab.json").write_text(json.dumps(REQUEST))
            self.ends(self.call_run(f"{place}/0123456789ab.json", "--no-wait"), 2, "file")

    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_that_it_is_reached_through_a_link_changes_nothing(self):
        service = self.serve()
        Path("store").mkdir()
        os.symlink(self.folder / "store", "output/aliyun-emo/requests")
        path = Path("output/aliyun-emo/requests/0123456789ab.json")
        path.write_text(json.dumps(REQUEST))
        self.ends(self.call_run(str(path)), 2, "file")
        os.unlink("output/aliyun-emo/requests")
        Path("output/aliyun-emo/requests").mkdir()
        os.symlink(self.folder / "store/0123456789ab.json", path)
        self.ends(self.call_run(str(path)), 2, "file")
        self.assertEqual(service.posts, [])

    def test_a_detection_is_none_that_was_shown(self):
        service = self.serve()
        path = Path("output/aliyun-emo/requests/0123456789ab.json")
        path.parent.mkdir()
        path.write_text(json.dumps({"model": "emo-v1-detect", **DETECTION}))
        self.ends(self.call_run(str(path)), 2, "file")
        self.assertEqual(service.posts, [])


class Kept(GenerationCase):
    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_no_copy_of_a_video_goes_among_tasks_that_lie_behind_a_link(self):
        service = self.serve()
        Path("store").mkdir()
        os.symlink(self.folder / "store", TASKS)
        for place in (TASKS / "0123456789ab/video.mp4", "store/0123456789ab/x.mp4", "page.html"):
            self.ends(self.go("-o", str(place)), 2, "output")
        self.assertEqual((service.posts, os.listdir("store")), ([], []))

    def test_no_copy_of_a_video_goes_where_a_task_lies_whatever_its_folder_is_called(self):
        self.serve()
        task = self.ends_with_video(self.go())["task_path"]
        Path("moved").mkdir()
        shutil.move(str(TASKS), "moved/of-last-week")
        old = next(Path("moved/of-last-week").glob("*/video.mp4"))
        before = old.read_bytes()
        self.write("request.json", other(style_level="calm"))
        self.ends(self.go("-o", str(old)), 2, "output")
        self.assertEqual((old.read_bytes(), Path(task).exists()), (before, False))


class Place(GenerationCase):
    """The folder of evidence that a FILE belongs to is the real one, however it is reached."""

    def setUp(self):
        super().setUp()
        self.real = self.folder / "output/aliyun-emo"
        for name in ("requests", "detections"):
            (self.real / name).mkdir()
            (self.real / name / "3f9a12c07b1e.json").write_text(json.dumps(REQUEST))
        (self.folder / "x/y").mkdir(parents=True)

    def symlink(self, target, place):
        """Make a symbolic link at `place`, both below the test's folder."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(self.folder / target, path)
        return path

    def check(self, path, expected, folder="."):
        """Assert that what is written for the FILE `path` goes where it is `expected`."""
        os.chdir(self.folder / folder)
        try:
            found = evidence.evidence_of(path)
            self.assertEqual(os.path.realpath(found), str(self.folder / expected))
        finally:
            os.chdir(self.folder)
        return found

    def test_it_is_the_folder_of_the_file_or_that_around_its_room(self):
        for path in ("request.json", "requests/3f9a12c07b1e.json", "detections/3f9a12c07b1e.json"):
            for given, folder in (
                (f"output/aliyun-emo/{path}", "."),
                (f"./output//aliyun-emo/./{path}", "."),
                (f"output/x/../aliyun-emo/{path}", "."),
                (f"../../output/aliyun-emo/{path}", "x/y"),
                (path, "output/aliyun-emo"),
                (f"./{path}", "output/aliyun-emo"),
                (str(self.real / path), "x/y"),
            ):
                with self.subTest(given, folder=folder):
                    (self.real.parent / "x").mkdir(exist_ok=True)
                    self.check(given, "output/aliyun-emo", folder)
        self.check("3f9a12c07b1e.json", "output/aliyun-emo", "output/aliyun-emo/requests")
        self.check("../request.json", "output/aliyun-emo", "output/aliyun-emo/requests")

    def test_folders_of_a_project_that_are_called_alike_are_no_evidence(self):
        for name in ("tasks", "requests", "tasks/build", "tasks/0123456789ab"):
            (self.folder / name).mkdir(exist_ok=True)
        self.check("request.json", "output/aliyun-emo")
        self.check("requests/x.json", "output/aliyun-emo")

    def test_of_a_copy_a_request_is_paid_for_once(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        shutil.copytree(self.real, self.folder / "output/backup")
        for path in ("output/backup/request.json", "output/backup/requests/x.json"):
            shutil.copy(FILE, path)
            self.ends(self.call_run(path, "--no-wait"), 0)
            self.check(path, "output/aliyun-emo")
        self.assertEqual(len(service.posts), 1)

    def test_a_file_that_lies_elsewhere_belongs_to_the_output_folder(self):
        for path in (
            *("loose.json", "-", "x/requests/a.json", "requests/a.json", "aliyun-emo.json"),
            *("output/aliyun-emo/tasks/request.json", "output/aliyun-emo/requests/deep/a.json"),
            *("output/aliyun-emo/previews/a.json", "output/not-aliyun-emo/request.json"),
        ):
            with self.subTest(path):
                file = self.folder / path
                if path != "-":
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(REQUEST))
                found = self.check(path, "output/aliyun-emo")
                self.assertEqual(found, os.path.join("output", "aliyun-emo", ""))
                os.environ["OUTPUT_DIR"] = "evidence"
                self.check(path, "evidence/aliyun-emo")
                del os.environ["OUTPUT_DIR"]

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_links_on_the_way_do_not_change_it(self):
        os.environ["OUTPUT_DIR"] = "o"
        self.symlink("output/aliyun-emo/request.json", "mine.json")
        self.symlink("output/aliyun-emo/requests/3f9a12c07b1e.json", "x/one.json")
        self.symlink("output/aliyun-emo", "current")
        self.symlink("output", "results")
        self.symlink("output/aliyun-emo/requests", "wanted")
        self.symlink("output/aliyun-emo/request.json", "b/aliyun-emo/request.json")
        self.symlink("mine.json", "chain.json")
        for path in (
            *("mine.json", "x/one.json", "chain.json", "current/request.json"),
            *("results/aliyun-emo/request.json", "wanted/3f9a12c07b1e.json"),
            *("current/requests/3f9a12c07b1e.json", "current/detections/3f9a12c07b1e.json"),
            "b/aliyun-emo/request.json",
        ):
            with self.subTest(path):
                self.check(path, "output/aliyun-emo")
                self.check(str(self.folder / path), "output/aliyun-emo", "x/y")
                self.check(os.path.join("..", "..", path), "output/aliyun-emo", "x/y")

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_a_folder_of_this_name_that_is_itself_a_link_is_what_it_leads_to(self):
        os.environ["OUTPUT_DIR"] = "o"
        for name in ("store/emo", "store/emo/requests", "elsewhere"):
            (self.folder / name).mkdir(parents=True)
        for name in ("store/emo/request.json", "store/emo/requests/a.json", "elsewhere/a.json"):
            (self.folder / name).write_text(json.dumps(REQUEST))
        self.symlink("store/emo", "out/aliyun-emo")
        self.symlink("elsewhere", "output/aliyun-emo/wanted")
        self.symlink("elsewhere/a.json", "output/aliyun-emo/loose.json")
        self.symlink("elsewhere", "kept/aliyun-emo/requests")
        for path, expected in (
            ("out/aliyun-emo/request.json", "store/emo"),
            ("out/aliyun-emo/requests/a.json", "store/emo"),
            ("output/aliyun-emo/loose.json", "output/aliyun-emo"),
            ("kept/aliyun-emo/requests/a.json", "kept/aliyun-emo"),
        ):
            with self.subTest(path):
                self.check(path, expected)
                self.check(str(self.folder / path), expected, "x/y")
                self.check(os.path.join("..", "..", path), expected, "x/y")

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_two_dots_behind_a_link_lead_where_the_system_says(self):
        os.environ["OUTPUT_DIR"] = "o"
        for name in ("far/deep", "far/store", "aliyun-emo"):
            (self.folder / name).mkdir(parents=True)
        for name in ("far/store/request.json", "aliyun-emo/request.json"):
            (self.folder / name).write_text(json.dumps(REQUEST))
        self.symlink("far/deep", "link")
        self.symlink("far/store", "far/aliyun-emo")
        for name in ("a folder", "a link"):
            with self.subTest(f"what stands where the words would lead is {name}"):
                self.check("link/../aliyun-emo/request.json", "far/store")
            if name == "a folder":
                shutil.rmtree("aliyun-emo")
                self.symlink("x", "aliyun-emo")

    def test_paths_on_stdout_are_as_they_were_typed_where_that_leads_there(self):
        real = str(self.real)
        for path, folder, expected in (
            ("output/aliyun-emo/request.json", ".", "output/aliyun-emo"),
            ("./output/aliyun-emo/request.json", ".", "./output/aliyun-emo"),
            ("output/aliyun-emo/requests/3f9a12c07b1e.json", ".", "output/aliyun-emo"),
            ("../../output/aliyun-emo/request.json", "x/y", "../../output/aliyun-emo"),
            (f"{real}/request.json", "x/y", real),
            ("./request.json", "output/aliyun-emo", "."),
            ("request.json", "output/aliyun-emo", ""),
            ("requests/3f9a12c07b1e.json", "output/aliyun-emo", ""),
        ):
            with self.subTest(path, folder=folder):
                self.assertEqual(self.check(path, "output/aliyun-emo", folder), expected)
        if POSIX:
            self.symlink("output/aliyun-emo", "current")
            self.assertEqual(self.check("current/request.json", "output/aliyun-emo"), real)

    def test_a_run_from_within_the_folder_is_like_any_other(self):
        self.serve()
        (self.real / "detect_request.json").write_text(json.dumps(DETECTION))
        os.chdir(self.real)
        self.addCleanup(os.chdir, self.folder)
        left = [Path(emo.temporary_name()), Path("requests", emo.temporary_name())]
        for path in left:
            path.write_text("half")
            os.utime(path, (0, 0))
        line = self.ends_with_video(self.call_run("request.json"))
        self.assertEqual(Path(line["video_path"]).resolve().parents[1], self.real / "tasks")
        line = self.ends(self.call_run("detect_request.json"), 0).line
        self.assertEqual(Path(line["detection_path"]).resolve(), self.real / "detection.json")
        self.assertEqual([path for path in left if path.exists()], [])

    @unittest.skipUnless(POSIX, "needs symbolic links")
    def test_whatever_way_a_file_is_reached_it_is_paid_for_once(self):
        service = self.serve()
        current = self.symlink("output/aliyun-emo", "current")
        mine = self.symlink("output/aliyun-emo/request.json", "x/mine.json")
        first = self.ends_with_video(self.go())
        (name,) = self.folders()
        self.write(f"requests/{name}.json", REQUEST)
        self.assertEqual(first["video_path"], os.path.join(str(TASKS), name, "video.mp4"))
        os.chdir("x/y")
        try:
            for path in (
                *(str(current / "request.json"), str(mine), "../mine.json"),
                *("../../current/request.json", f"../../current/requests/{name}.json"),
                str(self.real / "detections/3f9a12c07b1e.json"),
            ):
                with self.subTest(path):
                    line = self.ends_with_video(self.go(file=path))
                    self.assertIs(line["already_submitted"], True)
                    self.assertEqual(line["task_id"], first["task_id"])
                    for key in ("task_path", "video_path", "response_path"):
                        self.assertTrue(os.path.samefile(line[key], self.folder / first[key]), key)
            self.assertEqual(os.listdir(), [])
        finally:
            os.chdir(self.folder)
        self.assertEqual((len(service.posts), self.folders()), (1, [name]))

    def test_a_detection_is_kept_beside_its_request(self):
        self.serve()
        (self.real / "detections/3f9a12c07b1e.json").write_text(json.dumps(DETECTION))
        path = os.path.join("output", "aliyun-emo", "detections", "3f9a12c07b1e.json")
        for given, folder in ((path, "."), (str(self.folder / path), "x/y")):
            with self.subTest(given):
                os.chdir(self.folder / folder)
                line = self.ends(self.call_run(given), 0).line
                kept = self.real / "detection.json"
                self.assertTrue(os.path.samefile(line["detection_path"], kept))
                os.chdir(self.folder)
                kept.unlink()

    def test_a_request_on_stdin_belongs_to_the_output_folder(self):
        service = self.serve()
        given = json.dumps(REQUEST).encode()
        for folder, name in ((".", "output"), (".", "evidence"), ("x/y", "output")):
            with self.subTest(folder, name=name):
                os.chdir(self.folder / folder)
                words = ("-", "--no-wait")
                result = self.run_script(*words, script=RUN, input=given, OUTPUT_DIR=name)
                path = self.ends(result, 0).line["task_path"]
                self.assertEqual(Path(path).parts[:3], (name, "aliyun-emo", "tasks"))
                self.assertTrue(os.path.isfile(path))
                os.chdir(self.folder)
        self.assertEqual(len(service.posts), 3)

    @unittest.skipUnless(POSIX, "links of POSIX")
    def test_a_folder_that_was_walked_into_through_a_link_is_the_same(self):
        service = self.serve()
        Path("store").mkdir()
        Path("linked").mkdir()
        os.symlink(self.folder / "store", "linked/aliyun-emo")
        Path("store/request.json").write_text(json.dumps(REQUEST))
        first = self.ends(self.call_run("linked/aliyun-emo/request.json", "--no-wait"), 0).line
        os.chdir("linked/aliyun-emo")
        os.environ["PWD"] = str(self.folder / "linked/aliyun-emo")
        again = self.ends(self.call_run("request.json", "--no-wait"), 0).line
        self.assertEqual(again["task_id"], first["task_id"])
        self.assertEqual(len(service.posts), 1)
        os.chdir(self.folder)  # PWD of another folder counts for nothing
        elsewhere = os.path.join("output", "aliyun-emo", "")
        self.assertEqual(evidence.evidence_of("loose.json"), elsewhere)


if __name__ == "__main__":
    unittest.main()
