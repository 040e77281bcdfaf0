"""The tutorial shows the messages that its wrong lines get. (test_peephole holds its right ones to the cell's.)"""

import re
from pathlib import Path

import pytest

from seqapps.testing import check_cell

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf8")
CELL = re.findall(r"```python\n(.*?)```", README, re.S)[0]
GATE = "torch.sigmoid(x_f + h_f)"
CONSTRUCTOR = """
    def __init__(self, input_size, hidden_size, bias=True):
        super().__init__(input_size, hidden_size, bias=bias)
"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return h, (h,)", "return h, h"),
        ("write_gates", "keep_gates"),
        (GATE, f"{GATE}.mean(-1, keepdim=True)"),
        (GATE, f"{GATE}.mean(0, keepdim=True)"),
        ("        h = (1", "        self.h = h = (1"),
        ("    gates = 2\n", f"    gates = 2\n{CONSTRUCTOR}"),
    ],
)
def test_a_line_that_is_wrong_gets_the_message_that_stands_there(right, wrong):
    assert right in CELL
    names = {"__name__": "tutorial"}
    exec(CELL.replace(right, wrong), names)
    with pytest.raises(AssertionError) as caught:
        check_cell(names["MGU"])
    assert f"`{_without_numbers(str(caught.value))}`" in _without_numbers(README)


def _without_numbers(text):
    return re.sub(r"-?\d+\.\d+(e-?\d+)?", "#", text)
