"""C text to functions: compiled by the machine's compiler, kept between runs."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["cache_folder", "compiler", "load"]

_FLAGS = ["-O3", "-std=c11", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]
_NATIVE = "-march=native"


def cache_folder() -> Path:
    """Where generated kernels are kept: `SEQAPPS_CACHE`, or the user's cache folder."""
    given = os.environ.get("SEQAPPS_CACHE")
    if given:
        return Path(given) / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "seqapps" / "kernels"


@cache
def compiler() -> str | None:
    """The C compiler of this machine, `CC` first; None where there is none."""
    names = (os.environ.get("CC"), "cc", "gcc", "clang")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def load(source: str) -> ctypes.CDLL | None:
    """The library of a C source; None, said once, where it cannot be made."""
    made = _made(source)
    if isinstance(made, str):
        _say_once(made)
        return None
    return made


@cache
def works() -> bool:
    """Is there a compiler, and can what it makes be kept and loaded?"""
    return not isinstance(_made("#include <math.h>\nfloat trial(float x) { return expf(x); }\n"), str)


@cache
def _made(source: str) -> ctypes.CDLL | str:
    """The library of a C source, or why there is none."""
    program = compiler()
    if program is None:
        return "no C compiler found (CC, cc, gcc, clang)"
    key = hashlib.sha256("\0".join([source, _identity(program), *_FLAGS]).encode()).hexdigest()[:32]
    path = cache_folder() / f"{key}.so"
    try:
        if not path.exists():
            _compile(program, source, path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[0]
        return f"{program} failed ({reason})"


_said: set[str] = set()


def _say_once(reason: str) -> None:
    """One line for all rules: a compiler names another temporary file each time."""
    if not _said:
        logging.getLogger("seqapps").warning("%s: custom cells run uncompiled, about half as fast", reason)
    _said.add(reason)


def _compile(program: str, source: str, path: Path) -> None:
    """Beside its final place first, so that another process never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text, made = Path(folder) / "rule.c", Path(folder) / "rule.so"
        text.write_text(source, encoding="utf8")
        command = [program, *_FLAGS, str(text), "-o", str(made), "-lm"]
        try:
            subprocess.run([*command, _NATIVE], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError:  # not every compiler knows it
            subprocess.run(command, check=True, capture_output=True, text=True)
        made.replace(path)


@cache
def _identity(program: str) -> str:
    """Compiler and processor: a folder may be shared by machines that do not run each other's code."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()[:1]
    processor = platform.processor() + platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8", errors="replace").splitlines()
        processor += "".join(sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))}))
    return "".join(version) + processor
