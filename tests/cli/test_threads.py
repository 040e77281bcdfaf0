"""How long threads wait for each other is set before torch is imported."""

import os
import subprocess
import sys

import pytest

SHOWN = "import os, sys; from seqapps.cli.main import main; main(['list'], standalone_mode=False);" + (
    "print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")],
    ids=["nothing said", "count said", "policy said"],
)
def test_threads_spin_for_a_short_time_unless_told_otherwise(given, expected):
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    made = subprocess.run([sys.executable, "-c", SHOWN], env=kept | given, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1] == f"False {expected}"
