"""A package that seqapps has never heard of adds a cell."""

import json
import os
import subprocess
import sys

import pytest

SETUP = """
[metadata]
name = acme-cells
version = 0.3.0
[options]
py_modules = acme_cells
[options.entry_points]
seqapps.cells =
    acme_mgu = acme_cells:MinimalGatedUnit
"""

CELL = '''
import torch
from seqapps.cells import PointwiseCell

class MinimalGatedUnit(PointwiseCell):
    """Minimal gated unit (Zhou et al. 2016).

    Fields:
        leak: share of the old state that is always kept.
        bias: whether there are biases.
    """
    gates = 2

    def __init__(self, input_size, hidden_size, /, *, leak: float = 0.0, bias: bool = True):
        super().__init__(input_size, hidden_size, bias=bias)
        self.leak = leak

    def pointwise(self, projected, recurrent, state):
        (h,) = state
        (x_f, x_c), (h_f, h_c) = projected.chunk(2, -1), recurrent.chunk(2, -1)
        f = torch.sigmoid(x_f + h_f) * (1 - self.leak)
        h = (1 - f) * h + f * torch.tanh(x_c + f * h_c)
        return h, (h,)
'''

RECIPE = """
data:
  source: {type: columns, names: [tokens, pos_tags], train: data.txt, validation: data.txt, test: data.txt}
model:
  embedder: {type: tokens, size: 6}
  encoder: {type: recurrent, cell: {type: acme_mgu, leak: 0.1}, hidden_size: 8, num_layers: 2, bidirectional: true}
  head: {type: tagging, column: pos_tags}
training: {epochs: 1, threads: 1}
evaluation: {samples: 20}
"""


@pytest.mark.slow
def test_an_installed_package_is_listed_described_and_trained_by_name(tmp_path):
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    (package / "setup.cfg").write_text(SETUP)
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    (package / "acme_cells.py").write_text(CELL)
    (tmp_path / "data.txt").write_text("the DET\ncat NOUN\n\na DET\ndog NOUN\nruns VERB\n\n" * 10)
    (tmp_path / "acme.yaml").write_text(RECIPE)
    install = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
        str(package),
    ]
    subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *install], check=True, capture_output=True
    )

    def seqapps(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "seqapps", *arguments],
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
            encoding="utf8",
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "acme_mgu" in seqapps("list", "cells")
    described = seqapps("describe", "cell", "acme_mgu")
    assert "acme-cells 0.3.0" in described
    assert "leak" in described
    assert "Minimal gated unit (Zhou et al. 2016)" in described
    seqapps("run", "acme.yaml")
    environment = json.loads((tmp_path / "runs/acme/environment.json").read_text())
    assert {"kind": "cells", "name": "acme_mgu", "distribution": "acme-cells", "version": "0.3.0"} in environment[
        "components"
    ]
    assert seqapps("predict", "runs/acme", str(tmp_path / "data.txt")).splitlines()
