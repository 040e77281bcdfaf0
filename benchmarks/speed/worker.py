"""A contestant's process: build, say what the first steps gave, then a turn for every line of CPU seconds."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path

STEPS = 4  # that are compared


def main(module: str, name: str, folder: str, threads: str) -> None:
    """Answers are lines of JSON; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf8", buffering=1)
    os.dup2(2, 1)
    import torch

    from benchmarks.speed.contestant import make

    torch.set_num_threads(int(threads))
    steps = make((module, name), Path(folder)).steps()
    print(json.dumps([done.check for done in itertools.islice(steps, STEPS)]), file=answers)
    for line in sys.stdin:
        seconds, units, spent, start, start_cpu = float(line), 0, 0.0, time.perf_counter(), time.process_time()
        while spent < seconds:
            units += next(steps).units
            spent = time.process_time() - start_cpu
        wall = time.perf_counter() - start
        print(json.dumps({"per_second": units / wall, "per_cpu_second": units / spent}), file=answers)
    os._exit(0)  # libraries may have threads that would wait


if __name__ == "__main__":
    main(*sys.argv[1:])
