"""Where evidence lies: of a prepared file in its own folder, from wherever it is run."""

from __future__ import annotations

import os

import prepare_emo_request as emo


def evidence_of(path: str) -> str:
    """Return the folder of evidence that a prepared file belongs to, as it really is.

    However the file is reached, it is the same one: what was paid for stands in it.
    """
    pwd = os.environ.get("PWD", "")  # how a shell came here, which the system does not tell
    pwd = pwd if os.path.isdir(pwd) and os.path.samefile(pwd, os.curdir) else os.curdir
    places = os.path.realpath(path), path, os.path.join(pwd, path)
    real, typed, walked = map(folder_above, places)
    for folder in (real, typed, walked):
        if path != "-" and os.path.basename(os.path.abspath(folder)) == "aliyun-emo":
            found = os.path.realpath(folder)
            return typed if os.path.abspath(typed) == found else found
    return emo.evidence_path("")


def folder_above(path: str) -> str:
    """Return the folder of a file, or of the folder of what was shown that it lies in."""
    folder = os.path.dirname(path)
    is_inside = os.path.basename(os.path.abspath(folder)) in ("requests", "detections")
    return os.path.dirname(folder) if is_inside else folder
