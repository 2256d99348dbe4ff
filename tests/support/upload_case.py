"""A run with local files: a picture and a recording on disk, and both requests prepared of them."""

import hashlib
import os
from pathlib import Path

from support import arguments, emo
from support.service import PORTRAIT, SPEECH
from support.service_case import ServiceCase

DETECT = os.path.join("output", "aliyun-emo", "detect_request.json")
KEPT = os.path.join("output", "aliyun-emo", "detection.json")
PRICE = {"seconds": 12.38, "cny": 0.99, "prices_of": "2026-05-30"}
MIB = 1024 * 1024


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


def telling(reached, answer):
    """Return `answer`, before which the event `reached` is set."""

    def told(handler):
        reached.set()
        answer(handler)

    return told


class UploadCase(ServiceCase):
    """A test that has a picture and a recording on disk, and both requests prepared of them."""

    def setUp(self):
        super().setUp()
        self.image = self.save("portrait.png", PORTRAIT)
        self.audio = self.save("speech.mp3", SPEECH)
        self.prepare()
        self.detect()

    def save(self, name, content, folder="ann's album"):
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def prepare(self, **changes):
        """Prepare the generation of both files, or of what `changes` give in their place."""
        files = {"image": str(self.image), "audio": str(self.audio)}
        words = arguments(**{**dict.fromkeys(("image_url", "audio_url")), **files, **changes})
        return self.ends(self.call(*words), 0)

    def detect(self, **changes):
        options = {"image": str(self.image), **changes}
        words = [word for name, value in options.items() for word in (emo.option(name), value)]
        return self.ends(self.call("detect", *words), 0)

    def saw(self, service, **expected):
        """Assert how many requests of each kind there were."""
        kinds = {
            "policies": service.of(path="/uploads?"),
            "uploads": service.uploads,
            "detections": service.of("POST", "face-detect"),
            "generations": service.of("POST", "video-synthesis"),
            "looks": service.looks,
        }
        counts = {kind: len(requests) for kind, requests in kinds.items() if requests}
        self.assertEqual(counts, {kind: count for kind, count in expected.items() if count})

    def paid_nothing(self, service, *results):
        """Assert that nothing was paid for, that nothing of it is on disk, and no secret told."""
        self.assertEqual(service.of("POST", "/image2video/"), [])
        self.assertEqual(self.folders(), [])
        self.assertFalse(Path(KEPT).exists())
        self.assert_no_temporary_files()
        self.assert_no_rights(service, *results)

    def assert_no_rights(self, service, *results):
        """Assert that what a policy gives is in nothing that was printed, and in no file."""
        paths = [path for path in self.folder.rglob("*.json*") if path.is_file()]
        told = [str(result).encode() for result in results] + [path.read_bytes() for path in paths]
        for _, data in service.policies.values():
            for name in ("policy", "signature"):
                if data.get(name):
                    self.assertNotIn(data[name].encode(), b"\n".join(told), name)

    def digests_in(self, service):
        return sorted(digest_of(content) for _, content in service.store.values())
