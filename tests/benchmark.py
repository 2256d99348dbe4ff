"""Measure what a run of the quick start costs, as a whole process.

    $ python3 tests/benchmark.py
    3.11.2 /usr/bin/python3.11            quick start 27.9 ms, imports 20.6 ms, ratio 1.36
    3.11.2 /usr/bin/python3.11 -I -S      quick start 22.4 ms, imports 17.1 ms, ratio 1.31
    all of 2 within 1.4

A row for this Python and every python3.N that is found, with and without its site packages. The
ratio is the median of 20 pairs, each pair run side by side, against
`python3 -c "import argparse, json, urllib.parse"`. It has to hold on CPython 3.11 to 3.13.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.joinpath(
    "skills/ai/video/aliyun-emo/scripts/prepare_emo_request.py"
)
IMPORTS = ["-c", "import argparse, json, urllib.parse"]
QUICK_START = [
    str(SCRIPT),
    *["--image-url", "https://example.com/portrait.png"],
    *["--audio-url", "https://example.com/speech.mp3"],
    *["--face-bbox", "302,286,610,593"],
    *["--ext-bbox", "71,9,840,778"],
    *["--style-level", "active"],
]
ABOUT = (
    "import platform, sys;"
    "print(sys.executable, platform.python_implementation(), sys.version.split()[0], sep='|')"
)
PAIRS = 20
LIMIT = 1.4
LIMITED = ("CPython 3.11.", "CPython 3.12.", "CPython 3.13.")


def pythons():
    """Return the versions, by path, of this Python and of those in the folders of PATH."""
    names = [sys.executable, *(f"python3.{minor}" for minor in range(9, 20))]
    found = {}
    for path in [
        shutil.which(name, path=folder) for name in names for folder in os.get_exec_path()
    ]:
        if path:  # the stand-ins of version managers start another, or may have nothing behind
            told = subprocess.run([path, "-c", ABOUT], capture_output=True, text=True)
            if told.returncode == 0:
                real, *version = told.stdout.strip().split("|")
                found.setdefault(os.path.realpath(real), (real, " ".join(version)))
    return dict(found.values())


def seconds(command, environment):
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(python, environment):
    """Return the medians of quick start and imports, in milliseconds, and of their ratios."""
    seconds([*python, *IMPORTS], environment)
    seconds([*python, *QUICK_START], environment)
    pairs = [
        (seconds([*python, *QUICK_START], environment), seconds([*python, *IMPORTS], environment))
        for _ in range(PAIRS)
    ]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    return (*(statistics.median(column) * 1000 for column in zip(*pairs)), ratio)


def main():
    rows, missed = 0, []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OUTPUT_DIR": folder}
        for path, version in pythons().items():
            for options in ([], ["-I", "-S"]):
                quick_start, imports, ratio = measure([path, *options], environment)
                name = f"{version} {' '.join([path, *options])}"
                print(
                    f"{name:60} quick start {quick_start:.1f} ms, imports {imports:.1f} ms, "
                    f"ratio {ratio:.2f}",
                    flush=True,
                )
                rows += 1
                if ratio > LIMIT and version.startswith(LIMITED):
                    missed.append(name)
    print("\n".join(f"over {LIMIT}: {name}" for name in missed) or f"all of {rows} within {LIMIT}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
