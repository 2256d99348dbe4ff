"""Measure what a run of the quick start costs, as a whole process.

    $ python3 tests/benchmark.py
    quick start 79.8 ms, imports alone 57.0 ms, ratio 1.40 (at most 1.5)

The ratio is the median of 20 pairs, each pair run side by side, against
`python3 -c "import argparse, json, urllib.parse"`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRIPT = Path(__file__).parent.parent.joinpath(
    "skills/ai/video/aliyun-emo/scripts/prepare_emo_request.py"
)
IMPORTS = [sys.executable, "-c", "import argparse, json, urllib.parse"]
QUICK_START = [
    *[sys.executable, str(SCRIPT)],
    *["--image-url", "https://example.com/portrait.png"],
    *["--audio-url", "https://example.com/speech.mp3"],
    *["--face-bbox", "302,286,610,593"],
    *["--ext-bbox", "71,9,840,778"],
    *["--style-level", "active"],
]
PAIRS = 20
LIMIT = 1.5


def seconds(command, environment):
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main():
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OUTPUT_DIR": folder}
        seconds(IMPORTS, environment)
        seconds(QUICK_START, environment)
        pairs = [
            (seconds(QUICK_START, environment), seconds(IMPORTS, environment)) for _ in range(PAIRS)
        ]
    quick_start, imports = (statistics.median(column) * 1000 for column in zip(*pairs))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(
        f"quick start {quick_start:.1f} ms, imports alone {imports:.1f} ms, "
        f"ratio {ratio:.2f} (at most {LIMIT})"
    )
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
