"""Small models whose encoder reads vectors as they are, and whose loss at a token is what stands there, summed."""

import numpy as np
import pytest
import torch

from seqapps.cells import Cell
from seqapps.data.batch import Batch, Field
from seqapps.engine.model import Model
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.recipe.spec import Spec


class Given(torch.nn.Module):
    """Vectors of a batch as they are."""

    output_size = 1

    def forward(self, batch):
        field = batch.fields["x"]
        return field.values.to(next(self.parameters()).dtype), field.lengths

    def __init__(self):
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))


class Sum(torch.nn.Module):
    """The loss at a token is the weighted sum of the encoder's outputs there."""

    reads_final = False

    def __init__(self, size):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(1.0, 2.0, size))

    def loss_at(self, encoded, batch, positions):
        return (encoded.outputs[torch.arange(len(batch)), positions] * self.weight).sum()


class Split:
    """Sequences of random vectors."""

    name = "validation"

    def __init__(self, lengths, size, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.lengths = np.array(lengths)
        self.rows = [torch.randn(n, size, generator=generator, dtype=torch.float64) for n in lengths]

    def __len__(self):
        return len(self.rows)

    def batch(self, rows):
        chosen = [self.rows[row] for row in rows]
        x = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=float("nan"))
        return Batch({"x": Field(x, torch.tensor([len(one) for one in chosen]))}, np.asarray(rows))


@pytest.fixture
def split_of():
    return Split


@pytest.fixture
def model_of():
    """(cell, ...) -> a model in float64 whose encoder is one layer of these cells, one per direction; or by name."""

    def make(*cells, input_size=1, **fields):
        torch.manual_seed(0)
        named = cells[0] if isinstance(cells[0], str) else "rnn"
        bidirectional = len(cells) > 1 or fields.pop("bidirectional", False)
        fields = {"hidden_size": 3, "bidirectional": bidirectional, **fields}
        encoder = RecurrentEncoder(input_size, cell=Spec("cells", named), **fields)
        size = encoder.output_size
        if isinstance(cells[0], Cell):
            encoder.layers[0] = torch.nn.ModuleList(cells)
            size = sum(cell.output_size for cell in cells)
        return Model(Given(), encoder, Sum(size)).double().eval()

    return make


class Scalar(Cell):
    """h_t = w h_{t-1} + x_t."""

    def __init__(self, w):
        super().__init__(1, 1, bias=False)
        self.w = w
        torch.nn.init.ones_(self.input_projection.weight)

    def step(self, projected, state):
        h = self.w * state[0] + projected
        return h, (h,)


@pytest.fixture
def scalar():
    return Scalar
