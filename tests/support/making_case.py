"""Runs of make_emo_video.py with a picture and a recording in an empty folder."""

import os
import shlex
import shutil
from pathlib import Path

from support import RUN
from support.service_case import EVIDENCE
from support.upload_case import UploadCase

from aliyun_emo.making import KEYS


class MakingCase(UploadCase):
    def setUp(self):
        super().setUp()
        shutil.rmtree(EVIDENCE)
        shutil.copy(self.image, "portrait.png")
        shutil.copy(self.audio, "speech.mp3")

    def make(self, *words, code=0, fields=(), media=("portrait.png", "speech.mp3"), **options):
        """Return the `Result` of a run with both `media` and `words`, whose line has all keys."""
        result = self.ends(self.call_make(*media, *words, **options), code, *fields)
        told = ["ok", *(["errors"] if code else []), *KEYS, "warnings"]
        self.assertEqual(list(result.line), told)
        return result

    def next_of(self, result):
        """Return the words of the command that a result names as the next one."""
        (line,) = [line for line in result.stderr.splitlines() if line.startswith("next: ")]
        return shlex.split(line[6:])

    def run_next(self, result, *more):
        """Return the `Result` of the command that a result names as the next one."""
        words = self.next_of(result)
        self.assertEqual(Path(words[1]).name, RUN.name)
        return self.call_run(*words[2:], *more)

    def kept_in(self, folder):
        place = EVIDENCE / folder
        return sorted(os.listdir(place)) if place.is_dir() else []
