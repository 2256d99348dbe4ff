"""What tasks there are: told to programs and to people, one named, all gone on with."""

import json
import os
import shlex
import shutil
import unittest
from pathlib import Path

from support.service import created, fails, raw, status_of, succeeded, video_of
from support.service_case import DAY, EVIDENCE, TASKS, GenerationCase, other


class ListingCase(GenerationCase):
    def send(self, *levels, script=None):
        """Send a request for each of the style `levels`; return their folders' names."""
        names = []
        for level in levels:
            path = self.write(f"{level}.json", other(style_level=level))
            line = self.ends(self.go("--no-wait", file=path), 0).line
            names.append(Path(line["task_path"]).parent.name)
        return names


class People(ListingCase):
    def lines(self):
        result = self.ends(self.call_run(terminal=True), 0)
        return result.stderr.splitlines()

    def test_each_task_has_a_line_after_the_one_of_json(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        head, line, after = self.lines()
        self.assertIn(str(self.folder / EVIDENCE), head)
        for words in (name, "portrait.png, speech.mp3", "PENDING", "23 h left"):
            self.assertIn(words, line)
        self.assertRegex(after, "^next: .*run_emo_request.py --all$")
        self.age(DAY + 3600)
        self.assertIn("25 h old: it may be forgotten", self.lines()[1])

    def test_time_is_rounded_down_and_of_a_task_made_elsewhere_it_is_how_long_it_is_known(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        for age, words in ((3500, "23 h left"), (3700, "22 h left"), (DAY - 50, "0 min left")):
            self.age(age, name)
            self.assertIn(words, self.lines()[1])
        self.clear()
        self.ends(self.call_run("--task", "made-elsewhere", "--timeout", "0"), 5)
        self.assertIn("RUNNING; known for 0 min", self.lines()[1])

    def test_why_a_task_failed_is_named(self):
        output = {"code": "InvalidFile.FullFace", "message": "the face is covered"}
        self.serve(tasks=[status_of("FAILED", **output)])
        self.ends(self.go(), 3)
        self.assertIn("; FAILED; InvalidFile.FullFace; ", self.lines()[1])

    def test_a_video_that_is_here_is_named_and_nothing_comes_next(self):
        self.serve()
        self.ends_with_video(self.go())
        _, line = self.lines()
        self.assertIn("SUCCEEDED", line)
        self.assertIn(os.path.join("tasks", self.folders()[0], "video.mp4"), line)

    def test_no_link_is_told_with_its_query(self):
        self.serve()
        links = {"image_url": "https://example.com/p.png?Signature=s3cret"}
        self.write("request.json", other(**links))
        self.ends(self.go("--no-wait"), 0)
        self.assertNotIn("s3cret", "".join(self.lines()))
        for url in (
            *("file:///a/q.png%3FSignature%3Ds3cret", "file:///a/q.png%3fSignature=s3cret"),
            *("https://e.com/q.png&Signature=s3cret", "https://e.com/q.png%26X-Signature%3Ds3cret"),
            *("https://e.com/q.png;Signature=s3cret", "https://e.com/q.png&amp;Signature=s3cret"),
        ):
            folder = TASKS / self.folders()[0]
            record = json.loads((folder / "task.json").read_text())
            record["request"]["input"]["image_url"] = url
            (folder / "task.json").write_text(json.dumps(record))
            self.assertNotIn("s3cret", str(self.call_run()))

    def test_a_record_with_damage_in_any_place_is_told_and_left_to_its_request(self):
        self.serve(tasks=[status_of("RUNNING")])
        (name,) = self.send("calm")
        file = self.write("calm.json", other(style_level="calm"))
        place = TASKS / name / "task.json"
        record = json.loads(place.read_text())
        fields = [(key,) for key in record]
        fields += [("request", key) for key in record["request"]]
        fields += [("request", "input", key) for key in record["request"]["input"]]
        for field in fields:
            for damage in ("https://[", "\ud800", 7, None, [], {}):
                with self.subTest(f"{field} {damage!a}"):
                    changed = json.loads(json.dumps(record))
                    inner = changed
                    for key in field[:-1]:
                        inner = inner[key]
                    inner[field[-1]] = damage
                    place.write_text(json.dumps(changed))
                    self.assertIn(name, "".join(self.lines()))
                    for words in (["--all"], ["--task", name], [file]):
                        result = self.call_run(*words, "--timeout", "0")
                        self.assertNotIn("a fault of this program", result.stderr, result)
        place.write_text(json.dumps(record))
        self.assertIn("portrait.png, speech.mp3", self.lines()[1])

    def test_a_folder_that_is_not_there_is_said(self):
        shutil.rmtree(EVIDENCE)
        result = self.ends(self.call_run(), 0)
        (warning,) = result.line["warnings"]
        place = str(self.folder / EVIDENCE)
        self.assertEqual(warning["message"], f"no tasks in {place}: is this the folder?")
        self.assertIn(f"no tasks in {place}: is this the folder?", result.stderr)
        warnings = self.ends(self.call_run("--all"), 0).line["warnings"]
        self.assertIn(f"no tasks in {place}: is this the folder?", [w["message"] for w in warnings])

    def test_an_id_that_is_not_known_leaves_it_so(self):
        self.serve(tasks=[status_of("UNKNOWN")])
        shutil.rmtree(EVIDENCE)
        self.ends(self.call_run("--task", "made-elsewhere"), 3)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn(": is this the folder?", warning["message"])

    def test_what_may_have_been_paid_for_is_warned_of(self):
        self.serve()
        for words in ((), ("--all",)):
            with self.subTest(words):
                folder = TASKS / "0123456789ab"
                folder.mkdir(parents=True, exist_ok=True)
                (warning,) = self.ends(self.call_run(*words), 0).line["warnings"]
                self.assertIn("0123456789ab was sent", warning["message"])
                result = self.ends(self.call_run("--task", "0123456789ab"), 4)
                self.assertNotIn("--attempt 0", str(result))

    def test_one_that_somebody_paid_for_again_is_not(self):
        self.serve(video_synthesis=[raw(500, b""), created])
        self.ends(self.go(), 4)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn("--attempt 2", warning["hint"])
        self.ends_with_video(self.go("--attempt", "2"))
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])

    def test_one_that_is_not_known_any_more_is_warned_of_for_a_day(self):
        service = self.serve(tasks=[status_of("UNKNOWN")])
        (name,) = self.send("calm")
        self.ends(self.call_run("--all"), 3, "service")
        result = self.ends(self.call_run("--all"), 0)
        (warning,) = result.line["warnings"]
        self.assertIn(f"{name} is UNKNOWN to the service, and not a day old", warning["message"])
        self.assertIn("Check the key", warning["hint"])
        service.script["tasks"] = [succeeded()]
        self.ends(self.call_run(*shlex.split(warning["hint"].partition("again: ")[2])[2:]), 0)
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])
        shutil.rmtree(TASKS)
        service.script["tasks"] = [status_of("UNKNOWN")]
        self.send("calm")
        self.ends(self.call_run("--all"), 3, "service")
        self.age(DAY)
        self.assertEqual(self.ends(self.call_run(), 0).line["warnings"], [])

    def test_only_what_may_be_a_task_is_told(self):
        self.serve()
        for name in ("junk", "0123456789ab", "renamed-by-hand"):
            (TASKS / name).mkdir(parents=True)
        (TASKS / "renamed-by-hand/task.json").write_text('{"state": "unclear"}')
        told = str(self.call_run().line["warnings"])
        self.assertNotIn("junk", told)
        self.assertIn("0123456789ab", told)
        self.assertIn("renamed-by-hand", told)
        self.assertIn("console", told)


class All(ListingCase):
    def test_all_that_is_open_is_fetched_the_oldest_first(self):
        service = self.serve()
        names = self.send("calm", "normal", "active")
        self.age(100, names[1])
        service.seen.clear()
        result = self.ends(self.call_run("--all"), 0)
        self.assertEqual(list(result.line), ["ok", "tasks", "warnings"])
        for row in result.line["tasks"]:
            self.assertEqual(Path(row["video_path"]).read_bytes(), video_of(row["task_id"]))
        first = self.kept(folder=names[1])["response"]["output"]["task_id"]
        self.assertIn(first, service.polls[0].path)
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual((service.seen, service.posts), ([], []))

    def test_the_exit_code_is_the_highest_and_each_error_names_its_task(self):
        service = self.serve()
        failed, gone, fine = self.send("calm", "normal", "active")
        ids = {n: self.kept(folder=n)["response"]["output"]["task_id"] for n in self.folders()}

        def answer(handler):
            word = {ids[failed]: "FAILED", ids[gone]: "UNKNOWN"}
            known = next((w for i, w in word.items() if i in handler.path), "SUCCEEDED")
            if known == "SUCCEEDED":
                from support.service import succeeded

                return succeeded()(handler)
            return status_of(known)(handler)

        service.script["tasks"] = [answer]
        result = self.ends(self.call_run("--all"), 3, "service", "service")
        told = [error["message"].partition(":")[0] for error in result.line["errors"]]
        self.assertEqual(sorted(told), sorted([failed, gone]))
        self.assertTrue((TASKS / fine / "video.mp4").exists())
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual(service.seen, [])

    def test_one_that_has_not_ended_is_exit_5_and_the_others_are_asked(self):
        service = self.serve(tasks=[status_of("RUNNING")])
        self.send("calm", "normal")
        service.seen.clear()
        self.ends(self.call_run("--all", "--timeout", "0"), 5)
        self.assertEqual(len(service.polls), 2)

    def test_one_whose_file_cannot_be_written_does_not_end_the_others(self):
        self.serve()
        broken, fine = self.send("calm", "normal")
        (TASKS / broken / "polls.jsonl").mkdir()
        self.age(100, broken)
        result = self.ends(self.call_run("--all"), 1, "output")
        self.assertTrue(result.line["errors"][0]["message"].startswith(f"{broken}: "))
        self.assertTrue((TASKS / fine / "video.mp4").exists())
        (TASKS / broken / "polls.jsonl").rmdir()
        self.ends(self.call_run("--all"), 0)
        self.assertTrue((TASKS / broken / "video.mp4").exists())

    def test_what_is_no_made_task_is_left_alone(self):
        service = self.serve(video_synthesis=[fails("error-401", 401)])
        self.go()
        (TASKS / "000000000000").mkdir()
        service.seen.clear()
        self.ends(self.call_run("--all"), 0)
        self.assertEqual(service.seen, [])

    def test_where_nothing_is_to_ask_no_key_is_needed(self):
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--all"), 0)
        self.serve()
        os.environ["DASHSCOPE_API_KEY"] = "sk-of-no-account"
        self.send("calm")
        del os.environ["DASHSCOPE_API_KEY"]
        self.ends(self.call_run("--all"), 2, "api_key")

    def test_options_that_have_nothing_to_do_with_it_are_refused(self):
        self.serve()
        for words in ("--dry-run", "--no-wait", "--attempt 2", "--no-look", "-o x", "request.json"):
            with self.subTest(words):
                self.ends(self.call_run("--all", *words.split()), 2)


class Named(ListingCase):
    def test_each_way_to_name_a_task_goes_on_with_it(self):
        service = self.serve()
        (name,) = self.send("calm")
        record = self.kept(folder=name)
        folder = TASKS / name
        for word in (
            *(record["response"]["output"]["task_id"], name, str(folder)),
            *(str(folder / "task.json"), str(folder) + os.sep),
            *(f'"{name}",', f"'{record['response']['output']['task_id']}'."),
            record["response"]["output"]["task_id"] + ".",
            record["response"]["output"]["task_id"] + "\u3002",
            *("({})".format(record["response"]["output"]["task_id"]), f"**{name}**"),
            f'"task_id": "{record["response"]["output"]["task_id"]}",',
            f"task_id: {record['response']['output']['task_id']}",
            *(str(folder.resolve()), os.path.join(".", str(folder), "task.json")),
        ):
            with self.subTest(word):
                line = self.ends_with_video(self.call_run("--task", word))
                self.assertTrue(os.path.samefile(Path(line["task_path"]).parent, folder))
        self.assertEqual((self.folders(), len(service.posts)), ([name], 1))

    def test_the_folder_of_a_task_that_was_made_elsewhere_names_it(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        (task_id,) = service.tasks
        shutil.rmtree(TASKS)
        self.ends(self.call_run("--task", task_id, "--timeout", "0"), 5)
        (name,) = self.folders()
        self.assertEqual(name, f"id-{task_id}")
        self.ends_with_video(self.call_run("--task", name))

    def test_the_digits_of_another_attempt_are_its_own(self):
        self.serve()
        self.ends(self.go(), 0)
        self.ends(self.go("--attempt", "2"), 0)
        for name in self.folders():
            line = self.ends(self.call_run("--task", name), 0).line
            self.assertEqual(Path(line["task_path"]).parent.name, name)

    def test_no_name_is_no_task(self):
        service = self.serve(video_synthesis=[raw(500, b"")])
        self.go()
        service.seen.clear()
        for name in ("", '""', " "):
            with self.subTest(name):
                self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual(service.seen, [])

    def test_an_id_that_nobody_knows_leaves_no_folder(self):
        service = self.serve()
        line = self.ends(self.call_run("--task", "of-another-account"), 3, "service").line
        self.assertEqual((line["state"], line["already_submitted"]), (None, None))
        self.assertEqual(self.folders(), [])
        service.script["tasks"] = [fails("error-401", 400)]
        self.ends(self.call_run("--task", "of-another-account"), 3, "service")
        self.assertEqual(self.folders(), [])

    def test_digits_that_are_not_here_are_told_without_a_request(self):
        service = self.serve()
        for name in ("0123456789ab", "0123456789ab-2"):
            self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual((service.seen, self.folders()), ([], []))

    def test_the_path_of_a_task_that_was_not_sent_after_all_says_so(self):
        service = self.serve()
        for name in (str(TASKS / "0123456789ab"), str(TASKS / "0123456789ab-2") + os.sep):
            result = self.ends(self.call_run("--task", name), 2, "task")
            self.assertIn("it was not sent from here", result.stderr)
        self.ends(self.call_run("--task", "task.json"), 2, "task")
        self.assertEqual(service.seen, [])

    def test_of_one_that_may_be_on_its_way_no_attempt_is_named(self):
        self.serve()
        (TASKS / "0123456789ab").mkdir(parents=True)
        (warning,) = self.ends(self.call_run(), 0).line["warnings"]
        self.assertIn("Another run may be at it", warning["hint"])
        self.assertNotIn("--attempt", warning["hint"])

    def test_of_one_without_a_request_no_attempt_is_named(self):
        folder = TASKS / "id-abc"
        folder.mkdir(parents=True)
        folder.joinpath("task.json").write_text("{}")
        self.age(300)
        result = self.ends(self.call_run("--task", str(folder)), 4, "service")
        self.assertNotIn("--attempt", result.stderr)
        self.assertIn("Look in the console", result.stderr)

    def test_of_what_was_refused_there_is_no_task(self):
        service = self.serve(video_synthesis=[fails("error-401", 401)])
        self.go()
        (name,) = self.folders()
        service.seen.clear()
        self.ends(self.call_run("--task", name), 2, "task")
        self.assertEqual(service.seen, [])

    def test_the_video_may_be_copied(self):
        self.serve()
        (name,) = self.send("calm")
        line = self.ends_with_video(self.call_run("--task", name, "-o", "a/b.mp4"))
        self.assertEqual(Path("a/b.mp4").read_bytes(), video_of(line["task_id"]))
        record = str(TASKS / name / "task.json")
        self.ends(self.call_run("--task", name, "-o", record), 2, "output")
        self.assertEqual(self.kept(folder=name)["state"], "made")


if __name__ == "__main__":
    unittest.main()
