"""No network in tests, and data packages made on the spot, so that none need be installed."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package that holds these files; it comes before a real one of the same name.

    Importing it fails, since data must be read without that.
    """
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def make(module: str, distribution: str, version: str, files: dict[str, str | bytes]) -> Path:
        folder = site / module
        for name, content in {"__init__.py": "raise ImportError('imported')\n", **files}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        about = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        importlib.invalidate_caches()
        return folder

    return make
