"""What the command line imports, how fast it answers, and how it behaves as a process."""

import os
import subprocess
import sys
import threading

import pytest

HEAVY = ("torch", "datasets", "numpy", "matplotlib", "jinja2", "seqeval", "sacrebleu", "sklearn", "pyarrow")

IMPORTED = """
import sys
from seqapps.cli.main import main
main({arguments!r}, standalone_mode=False)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
"""


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "cells"], ["--version"], ["run", "--help"], ["cp"]]
)
def test_looking_around_imports_nothing_heavy(arguments):
    done = run("-c", IMPORTED.format(arguments=arguments))
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not set(done.stderr.split()) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["list"]])
def test_looking_around_takes_no_time(arguments):
    """At most 150 ms of processor time more than Python itself, best of five: other work may run beside the tests."""

    def best(*command):
        times = []
        for _ in range(5):
            before = os.times()
            run(*command)
            after = os.times()
            times.append(after.children_user + after.children_system - before.children_user - before.children_system)
        return min(times)

    call = f"from seqapps.cli.main import main; main({arguments!r})"
    assert best("-c", call) - best("-c", "pass") < 0.15


def test_a_reader_that_stops_early_is_no_error():
    """`seqapps list --json | head`: the pipe is closed before everything is written."""
    call = "from seqapps.cli.main import main; main(['list', '--json'])"
    with subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_the_commands_of_other_distributions_are_listed_without_import(tmp_path):
    (tmp_path / "tidy-1.2.dist-info").mkdir()
    (tmp_path / "tidy-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tidy\nVersion: 1.2\n")
    (tmp_path / "tidy-1.2.dist-info" / "entry_points.txt").write_text("[seqapps.commands]\ntidy = tidy_module:tidy\n")
    (tmp_path / "tidy_module.py").write_text("raise SystemExit('was imported')\n")
    call = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from seqapps.cli.main import main; main(['--help'])"
    done = run("-c", call)
    assert done.returncode == 0, done.stderr
    assert any(line.split() == ["tidy", "from", "tidy", "1.2"] for line in done.stdout.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_typed_sentence_is_answered_before_the_next_one():
    """On a terminal prediction does not wait for many sentences or for the end of the input."""
    import pty

    call = """
import sys, types

class Predictor:
    def read(self, stream, format, name): return iter(stream.readline, b"")
    def stream(self, examples, *, window=2048):
        while chunk := [line for _, line in zip(range(window), examples)]:
            yield from chunk
    def write(self, prediction, format): return prediction.decode().upper()

sys.modules["seqapps.application"] = types.SimpleNamespace(load=lambda run, device, others: Predictor())
from seqapps.cli.main import main
main(["predict", "runs/r"])
"""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    terminal, end = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", call], stdin=end, stdout=subprocess.PIPE, env=buffered) as process:
        guard = threading.Timer(20, process.kill)  # without an answer the two would wait for each other
        guard.start()
        os.write(terminal, b"hello\n")
        answers = [process.stdout.readline()]
        os.write(terminal, b"again\n\x04")
        answers.append(process.stdout.readline())
        process.wait()
        guard.cancel()
    assert answers == [b"HELLO\n", b"AGAIN\n"]
    os.close(terminal)
    os.close(end)
