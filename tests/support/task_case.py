"""Tests with folders of tasks, as runs leave them."""

import json
import os
import shutil
import time
from pathlib import Path

from support import Case

from aliyun_emo import tasks
from aliyun_emo.tasks import Follow

NAME = "3f9a12c07b1e"


def utc(age):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - age))


class TaskCase(Case):
    """A test with folders of the request `NAME`."""

    def place(self, number, state=None, status="", attempt=None, age=3600, **more):
        """Make a folder; without a `state` it has no record."""
        folder = Path("tasks", NAME if number == 1 else f"{NAME}-{number}")
        folder.mkdir(parents=True)
        if state:
            made = {"response": {"output": {"task_id": "a"}}} if state == "made" else {}
            record = {"saved_at": utc(age), "state": state, **made, **more}
            record.update({} if attempt is None else {"attempt": attempt})
            folder.joinpath("task.json").write_text(json.dumps(record))
        if status:
            folder.joinpath("response.json").write_text(json.dumps({"task_status": status}))
        if not state:
            os.utime(folder, (time.time() - age,) * 2)
        return folder

    def clear(self):
        shutil.rmtree("tasks", ignore_errors=True)

    def decide(self, wanted):
        """Return the number of the folder that is followed, or what is sent, or the problem."""
        found = tasks.folders_of("tasks", NAME)
        decision = tasks.decide(found, wanted)
        if isinstance(decision, Follow):
            return next(number for number, task in found if task is decision.task)
        return decision
