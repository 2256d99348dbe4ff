"""Which attempt at a request stands, and when the next one is paid for."""

import json
import os
import time
import unittest
from pathlib import Path
from unittest import mock

from support import AUDIO_URL, IMAGE_URL, REQUEST, emo
from support.service import (
    fixture,
    raw,
    says,
    status_of,
    succeeded,
    video,
    video_of,
)
from support.service_case import DAY, FILE, KEYS, TASKS, GenerationCase, other, utc

from aliyun_emo import requests


class Attempts(GenerationCase):
    def record(self, folder, state, ago=0, status=None, link=None, video=False, request=REQUEST):
        """Write the folder of an attempt that was made before; return its task's id."""
        task_id = f"of-{folder}" if state == "made" else None
        answer = {"output": {"task_id": task_id, "task_status": "PENDING"}} if task_id else None
        record = {
            "saved_at": utc(time.time() - ago),
            "title": "portrait + speech",
            "state": state,
            "request": request,
            "sent": request,
            "http_status": 200 if task_id else None,
            "response": answer,
        }
        self.write(f"tasks/{folder}/task.json", record)
        if status:
            response = {"task_id": task_id, "task_status": status, "video_url": link}
            if video:
                response["video_path"] = "video.mp4"
                (TASKS / folder / "video.mp4").write_bytes(video_of(task_id))
            response = {name: value for name, value in response.items() if value}
            self.write(f"tasks/{folder}/response.json", response)
        return task_id

    def test_what_stands_decides_what_a_run_does(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        link = f"{service.root}/videos/of-{name}.mp4"
        old = DAY + 5
        done = {"state": "made", "status": "SUCCEEDED", "link": link}
        complete = {**done, "video": True}
        for what, before, words, code, posts in (
            # what, what stands, options, exit code, POSTs
            ("nothing", None, "", 0, 1),
            ("nothing", None, "--again", 0, 1),
            ("just sent", {"state": "sending"}, "", 4, 0),
            ("just sent", {"state": "sending", "ago": 110}, "--again", 4, 0),
            ("sent a while ago", {"state": "sending", "ago": 130}, "", 4, 0),
            ("sent a while ago", {"state": "sending", "ago": 130}, "--again", 0, 1),
            ("sent long ago", {"state": "sending", "ago": old}, "", 4, 0),
            ("unclear", {"state": "unclear"}, "", 4, 0),
            ("unclear", {"state": "unclear"}, "--again", 0, 1),
            ("unclear, long ago", {"state": "unclear", "ago": 9 * old}, "", 4, 0),
            ("refused", {"state": "refused"}, "", 0, 1),
            ("refused", {"state": "refused"}, "--again", 0, 1),
            ("made", {"state": "made"}, "", 0, 0),
            ("made", {"state": "made"}, "--again", 0, 0),
            ("running", {"state": "made", "status": "RUNNING"}, "", 0, 0),
            ("running", {"state": "made", "status": "RUNNING"}, "--again", 0, 0),
            ("failed", {"state": "made", "status": "FAILED"}, "", 3, 0),
            ("failed", {"state": "made", "status": "FAILED"}, "--again", 0, 1),
            ("cancelled", {"state": "made", "status": "CANCELED"}, "", 3, 0),
            ("cancelled", {"state": "made", "status": "CANCELED"}, "--again", 0, 1),
            ("failed, long ago", {"state": "made", "status": "FAILED", "ago": 9 * old}, "", 3, 0),
            ("succeeded", done, "", 0, 0),
            ("succeeded", done, "--no-download", 0, 0),
            ("complete", complete, "", 0, 0),
            ("complete", complete, "--again", 0, 1),
            ("complete, long ago", {**complete, "ago": 9 * old}, "", 0, 0),
            ("complete, long ago", {**complete, "ago": 9 * old}, "--again", 0, 1),
            ("not fetched in time", {**done, "ago": old}, "", 3, 0),
            ("not fetched in time", {**done, "ago": old}, "--again", 0, 1),
            ("not fetched in time", {**done, "ago": old}, "--no-download", 0, 0),
            ("not asked in time", {"state": "made", "ago": old}, "", 3, 0),
            ("not asked in time", {"state": "made", "ago": old}, "--again", 0, 1),
            ("hardly in time", {"state": "made", "ago": DAY - 60}, "", 0, 0),
            ("a word of tomorrow", {"state": "melted"}, "", 4, 0),
        ):
            with self.subTest(f"{what} {words}"):
                self.clear()
                service.seen.clear()
                service.tasks = {f"of-{name}": 0}
                if before:
                    self.record(name, **before)
                result = self.ends(self.go(*words.split()), code)
                self.assertEqual(len(service.posts), posts, result)
                self.assertEqual(result.line["already_submitted"], not posts)
                self.assertEqual(list(result.line)[-len(KEYS) - 1 :], [*KEYS, "warnings"])
                if code == 0 and words != "--no-download":
                    self.ends_with_video(result)
                hint = str(result.line.get("errors"))
                if code == 3 or (code == 4 and not words):
                    self.assertIn("--again", hint)
                if code == 3:
                    self.assertEqual(service.seen, [])
                attempts = self.folders()
                self.assertEqual(attempts, [name, f"{name}-2"][: len(attempts)])
                self.assertEqual(len(attempts), (1 if before else 0) + posts)

    def test_the_newest_that_was_not_refused_decides(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        for states, words, code, posts, decides in (
            (["failed", "refused"], "", 3, 0, 0),
            (["complete", "refused"], "", 0, 0, 0),
            (["complete", "failed"], "", 3, 0, 1),
            (["failed", "complete"], "", 0, 0, 1),
            (["failed", "complete", "refused"], "", 0, 0, 1),
            (["unclear", "complete"], "", 0, 0, 1),
            (["complete", "unclear"], "", 4, 0, 1),
            (["refused", "refused"], "", 0, 1, 2),
            (["complete", "refused"], "--again", 0, 1, 2),
            (["complete"] * 10, "", 0, 0, 9),
            (["complete"] * 9 + ["failed"], "", 3, 0, 9),
            (["complete"] * 10, "--again", 0, 1, 10),
        ):
            with self.subTest(f"{states} {words}"):
                self.clear()
                service.seen.clear()
                numbers = [name] + [f"{name}-{n}" for n in range(2, 12)]
                for folder, state in zip(numbers, states):
                    if state == "failed":
                        self.record(folder, "made", status="FAILED")
                    elif state == "complete":
                        self.record(folder, "made", status="SUCCEEDED", video=True)
                    else:
                        self.record(folder, state)
                result = self.ends(self.go(*words.split()), code)
                self.assertEqual(len(service.posts), posts)
                self.assertEqual(Path(result.line["task_path"]).parent.name, numbers[decides])

    def test_a_folder_without_a_readable_record_is_a_task_that_may_exist(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        for content in (None, "", "[]", "null", '{"saved_at": "2026', "[" * 10_000, "{}"):
            for hour in (0, 3600):
                with self.subTest(f"{str(content)[:9]} {hour}"):
                    self.clear()
                    service.seen.clear()
                    folder = TASKS / name
                    folder.mkdir(parents=True)
                    if content is not None:
                        (folder / "task.json").write_text(content)
                    past = time.time() - hour
                    os.utime(folder, (past, past))
                    result = self.ends(self.go(), 4, "service")
                    self.assertEqual(result.line["state"], "sending")
                    path = result.line["task_path"]
                    self.assertTrue(path is None or os.path.exists(path), path)
                    self.ends(self.go("--again"), 0 if hour else 4)
                    self.assertEqual(len(service.posts), 1 if hour else 0)
                    if content is not None:
                        self.assertEqual((folder / "task.json").read_text(), content)

    def test_a_b_and_a_again_sends_two(self):
        service = self.serve()
        self.write("b.json", other(style_level="calm"))
        b = os.path.join("output", "aliyun-emo", "b.json")
        paths = [self.ends_with_video(self.go(file=file))["video_path"] for file in (FILE, b, FILE)]
        self.assertEqual(len(service.posts), 2)
        self.assertEqual(paths[0], paths[2])
        self.assertEqual(len(set(paths)), 2)
        for path in paths:
            self.assertTrue(Path(path).exists())

    def test_what_is_complete_is_told_from_disk_at_any_age(self):
        service = self.serve()
        first = self.go()
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        for days in (0, 1, 2, 400):
            for words in ([], ["--no-download"], ["--timeout", "0"], ["--no-wait"]):
                with self.subTest(f"{days} {words}"):
                    self.age(days * (DAY + 5))
                    result = self.ends(self.go(*words), 0)
                    again = {**first.line, "already_submitted": True, "estimate": None}
                    self.assertEqual(result.line, again)
                    self.assertEqual(result.stderr, "")
        self.assertEqual(service.seen, [])

    def test_why_a_task_failed_is_told_from_disk_too(self):
        service = self.serve(tasks=[says(fixture("task-failed"))])
        first = self.ends(self.go(), 3, "service")
        self.assertIn("InvalidURL: Failed to download the audio", str(first.line["errors"]))
        self.assertIn(emo.REMEDIES["InvalidURL"], first.line["errors"][0]["hint"])
        self.assertIn("--again", first.line["errors"][0]["hint"])
        service.seen.clear()
        del os.environ["DASHSCOPE_API_KEY"]
        for days in (0, 3):
            self.age(days * DAY)
            result = self.ends(self.go(), 3, "service")
            self.assertEqual(result.line["errors"], first.line["errors"])
        self.assertEqual(service.seen, [])

    def test_again_pays_once_however_often_it_is_run_after_a_timeout(self):
        service = self.serve()
        self.ends_with_video(self.go())
        service.script["tasks"] = [status_of("RUNNING")]
        for _ in range(3):
            self.ends(self.go("--again", "--timeout", "0"), 5, "service")
        service.script["tasks"] = [status_of("RUNNING"), succeeded()]
        service.script["videos"] = [raw(403, b"")]
        self.ends(self.go("--again"), 4, "service")
        self.ends(self.go("--again"), 4, "service")
        service.script["videos"] = [video]
        self.ends_with_video(self.go("--again"))
        self.assertEqual(len(service.posts), 2)
        self.ends(self.go("--again", "--no-wait"), 0)
        self.ends_with_video(self.go())
        self.assertEqual(len(service.posts), 3)
        self.assertEqual(len(self.folders()), 3)
        self.assert_all_videos_are_their_own()

    def test_a_link_that_has_expired_counts_only_when_there_is_something_to_send(self):
        service = self.serve()
        now = int(time.time())
        link = f"{IMAGE_URL}?Expires={now + 1000}&Signature=s3cret"
        self.write("request.json", other(image_url=link))
        first = self.ends(self.go("--no-wait"), 0)
        self.assertEqual([w["field"] for w in first.line["warnings"]], ["image_url"])
        self.clock.slept.append(2000)
        result = self.ends_with_video(self.go())
        self.assertEqual((result["already_submitted"], result["warnings"]), (True, []))
        result = self.ends(self.go("--again"), 2, "image_url")
        self.assertNotIn("s3cret", str(result))
        self.assertEqual((len(service.posts), len(self.folders())), (1, 1))

    def test_which_links_are_the_same_request(self):
        now = time.gmtime()
        day = time.strftime("%Y%m%d", now)
        date = time.strftime("%Y%m%dT%H%M%SZ", now)
        sas = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2 * DAY))
        ends = int(time.time()) + 2 * DAY

        def v4(x, signature, **more):
            values = {
                "Algorithm": "A-HMAC-SHA256",
                "Credential": f"AK{signature}/{day}/r/s",
                "Date": date,
                "Expires": str(80_000 + len(signature)),
                "SignedHeaders": "host",
                "Signature": signature,
                **more,
            }
            return "&".join(f"X-{x}-{name}={value}" for name, value in values.items())

        def cos(signature):
            times = f"{ends - 2 * DAY}%3B{ends + len(signature)}"
            return (
                f"q-sign-algorithm=sha1&q-ak=AK{signature}&q-sign-time={times}&q-key-time={times}"
                f"&q-header-list=h{signature}&q-url-param-list=&q-signature={signature}"
                f"&x-cos-security-token=t{signature}"
            )

        oss = f"OSSAccessKeyId=k&Expires={ends}&Signature"
        oss2 = f"x-oss-signature-version=OSS2&x-oss-access-key-id=k&x-oss-expires={ends}"
        oss4 = (
            f"x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-date={date}&x-oss-expires=86400"
            "&x-oss-credential"
        )
        azure = f"sv=2022-11-02&se={sas}&sr=b"
        gcs = f"GoogleAccessId=g&Expires={ends}&Signature"
        for name, one, two, same in (
            # name, the end of a link, that of another, whether they are the same request
            ("OSS V1", f"?{oss}=a", f"?{oss}=bb", True),
            ("OSS V1, other key", f"?{oss}=a", f"?{oss}=b".replace("=k", "=other"), True),
            ("OSS V1 with a token", f"?{oss}=a&security-token=x", f"?{oss}=b", True),
            ("OSS V2", f"?{oss2}&x-oss-signature=a", f"?{oss2}&x-oss-signature=b", True),
            ("OSS V4", f"?{oss4}=a&x-oss-signature=a", f"?{oss4}=b&x-oss-signature=b", True),
            (
                "OSS V4 with more",
                f"?{oss4}=a&x-oss-signature=a&x-oss-additional-headers=host",
                f"?{oss4}=b&x-oss-signature=b&x-oss-security-token=t",
                True,
            ),
            ("AWS V2", f"?AWSAccess{oss[9:]}=a", f"?AWSAccess{oss[9:]}=b", True),
            ("AWS V4", f"?{v4('Amz', 'a')}", f"?{v4('Amz', 'bb')}", True),
            ("AWS V4, token", f"?{v4('Amz', 'a')}&X-Amz-Security-Token=t", f"?{v4('Amz', 'b')}", 1),
            ("AWS V4, in any case", f"?{v4('Amz', 'a')}", f"?{v4('amz', 'bb')}", True),
            ("CloudFront", f"?Key-Pair-Id=k&Expires={ends}&Signature=a", "?", True),
            ("a policy", "?Key-Pair-Id=k&Policy=a&Signature=a", "?Key-Pair-Id=k&Policy=b", None),
            (
                "CloudFront by policy",
                "?Key-Pair-Id=k&Policy=a&Signature=a",
                "?Key-Pair-Id=l&Policy=b&Signature=b",
                True,
            ),
            ("GCS V2", f"?{gcs}=a", f"?{gcs}=b", True),
            ("GCS V4", f"?{v4('Goog', 'a')}", f"?{v4('Goog', 'bb')}", True),
            ("TOS", f"?{v4('Tos', 'a')}", f"?{v4('Tos', 'bb')}", True),
            ("COS", f"?{cos('a')}", f"?{cos('bb')}", True),
            ("Azure", f"?{azure}&sig=a", f"?{azure}&sig=b&sp=r&spr=https&st=2022-01-01", True),
            ("Azure by policy", "?sv=2022-11-02&si=p&sig=a", "?sv=2022-11-02&si=q&sig=b", True),
            ("Qiniu", f"?e={ends}&token=k:a", f"?e={ends + 9}&token=k:b", True),
            ("signed or not", f"?{oss}=a", "", True),
            ("beside a version", f"?v=1&{oss}=a", f"?{oss}=b&v=1", True),
            ("another version", f"?v=1&{oss}=a", f"?v=2&{oss}=a", False),
            ("another version alone", "?v=1", "?v=2", False),
            ("another order", "?v=1&w=2", "?w=2&v=1", False),
            ("a version or none", "?v=1", "", False),
            ("another process", f"?x-oss-process=a&{oss}=a", f"?{oss}=a", False),
            ("a token alone", "?alt=media&token=a", "?alt=media&token=b", False),
            ("a signature alone", "?Signature=a", "?Signature=b", False),
            ("an end alone", f"?Expires={ends}", f"?Expires={ends + 9}", False),
            (
                "Huawei",
                f"?AccessKeyId=k&Expires={ends}&Signature=a",
                f"?AccessKeyId=k&Expires={ends}&Signature=b",
                False,
            ),
            ("Cloudflare", f"?exp={ends}&sig=a", f"?exp={ends}&sig=b", False),
            ("sv that is no date", "?sv=3&se=x&sig=a", "?sv=3&se=x&sig=b", False),
            ("a token without a signature", "?security-token=a", "?security-token=b", False),
            ("Azure's letters elsewhere", f"?sp=1&{oss}=a", f"?sp=2&{oss}=a", False),
            ("another path", "", "?", None),
        ):
            if same is None:
                continue
            with self.subTest(name):
                self.clear()
                service = self.serve()
                self.write("request.json", other(image_url=IMAGE_URL + one, audio_url=AUDIO_URL))
                result = self.ends(self.go("--no-wait"), 0)
                if two == "?":
                    two = one.replace("Signature=a", "Signature=b")
                self.write("request.json", other(image_url=IMAGE_URL + two, audio_url=AUDIO_URL))
                again = self.ends(self.go("--no-wait"), 0)
                self.assertEqual(len(service.posts), 1 if same else 2)
                self.assertEqual(again.line["already_submitted"], bool(same))
                if same:
                    self.assertEqual(again.line["task_id"], result.line["task_id"])
                    fields = [w["field"] for w in again.line["warnings"]]
                    self.assertEqual(fields, ["image_url"])

    def test_which_spellings_of_a_request_are_the_same(self):
        image = IMAGE_URL.replace("example.com", "%s")
        for name, request, same in (
            ("the default port", other(image_url=image % "example.com:443"), True),
            ("another port", other(image_url=image % "example.com:8443"), False),
            ("another host", other(image_url=image % "www.example.com"), False),
            ("another name", other(image_url=IMAGE_URL.replace("portrait", "Portrait")), False),
            ("capitals in the host", other(image_url=image % "EXAMPLE.com"), True),
            ("a fragment", other(image_url=f"{IMAGE_URL}#x"), True),
            ("other keys first", dict(reversed(list(REQUEST.items()))), True),
            ("another recording", other(audio_url=AUDIO_URL.replace("speech", "song")), False),
            ("another face", other(face_bbox=[302, 286, 610, 594]), False),
            ("another region", other(ext_bbox=[71, 9, 841, 778]), False),
            ("another style", other(style_level="calm"), False),
            ("another model", {**other(), "model": "my-deployment"}, False),
        ):
            with self.subTest(name):
                self.clear()
                service = self.serve()
                self.write("request.json", REQUEST)
                self.ends(self.go("--no-wait"), 0)
                self.write("request.json", request)
                self.ends(self.go("--no-wait"), 0)
                self.assertEqual(len(service.posts), 1 if same else 2)

    def test_a_trial_against_another_host_counts_for_itself(self):
        service = self.serve()
        self.ends(self.go("--no-wait"), 0)
        os.environ["DASHSCOPE_BASE_URL"] = service.base_url.replace("127.0.0.1", "localhost")
        self.ends(self.go("--no-wait"), 0)
        self.assertEqual((len(service.posts), len(self.folders())), (2, 2))
        hosts = ("dashscope.aliyuncs.com", "ws.cn-beijing.maas.aliyuncs.com")
        names = {requests.request_name(REQUEST, f"https://{host}/api/v1") for host in hosts}
        self.assertEqual(len(names), 1)
        names.add(requests.request_name(REQUEST, "https://aliyuncs.com.example.com/api/v1"))
        names.add(requests.request_name(REQUEST, "https://notaliyuncs.com/api/v1"))
        self.assertEqual(len(names), 3)

    def test_who_loses_the_claim_looks_again(self):
        service = self.serve()
        name = requests.request_name(REQUEST, service.base_url)
        mkdir = os.mkdir
        for words, before, faster, code, posts in (
            ([], None, ("made", name), 0, 0),
            ([], None, ("sending", name), 4, 0),
            ([], None, ("refused", name), 0, 1),
            (["--again"], "FAILED", ("made", f"{name}-2"), 0, 0),
            (["--again"], "FAILED", ("sending", f"{name}-2"), 4, 0),
        ):
            with self.subTest(f"{words} {faster}"):
                self.clear()
                service.seen.clear()
                service.tasks = {f"of-{name}": 0, f"of-{name}-2": 0}
                if before:
                    self.record(name, "made", status=before)
                folder = faster[1]

                waiting = [faster]

                def slower(path, *rest, waiting=waiting, name=folder):
                    if waiting and os.path.basename(path) == name:
                        state, folder = waiting.pop()
                        self.record(folder, state)
                    return mkdir(path, *rest)

                with mock.patch("os.mkdir", slower):
                    self.ends(self.go(*words), code)
                self.assertEqual(waiting, [])
                self.assertEqual(len(service.posts), posts)

    def test_where_the_evidence_is(self):
        there = self.folder / "elsewhere/aliyun-emo"
        there.mkdir(parents=True)
        (there / "request.json").write_text(json.dumps(REQUEST))
        (self.folder / "loose.json").write_text(json.dumps(REQUEST))
        deeper = self.folder / "x/y"
        deeper.mkdir(parents=True)
        service = self.serve()
        for folder, file, output_dir, expected in (
            (".", str(there / "request.json"), None, there),
            ("x/y", os.path.relpath(there / "request.json", deeper), "o", there),
            ("elsewhere/aliyun-emo", "request.json", "o", there),
            ("elsewhere/aliyun-emo", os.path.join(".", "request.json"), None, there),
            (".", "loose.json", None, self.folder / "output/aliyun-emo"),
            (".", "loose.json", "evidence", self.folder / "evidence/aliyun-emo"),
            ("x/y", str(self.folder / "loose.json"), None, deeper / "output/aliyun-emo"),
        ):
            with self.subTest(f"{folder} {file}"):
                service.seen.clear()
                import shutil

                shutil.rmtree(expected / "tasks", ignore_errors=True)
                os.chdir(self.folder / folder)
                os.environ.pop("OUTPUT_DIR", None)
                if output_dir:
                    os.environ["OUTPUT_DIR"] = output_dir
                line = self.ends_with_video(self.go(file=file))
                (place,) = (expected / "tasks").iterdir()
                self.assertEqual(Path(line["video_path"]).resolve().parent, place)
                self.assertEqual(len(service.posts), 1)
                os.chdir(self.folder)
                self.assertEqual(self.call_run("--version").code, 0)


if __name__ == "__main__":
    unittest.main()
