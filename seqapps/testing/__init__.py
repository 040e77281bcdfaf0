"""The conformance kit: does a cell, a kernel or an encoder mean what its contract says? For authors of plugins.

    from seqapps.testing import check_cell, options

    @pytest.mark.parametrize("fields", options(Mine))
    def test_mine_keeps_the_contract(fields):
        check_cell(Mine, **fields)

Each check raises AssertionError with one sentence, `component: the rule that is broken; the way out`. It needs no
pytest, takes about a second, gives the same result every time and leaves torch's random numbers as they were. Expected
values never come from what is tested: sequences are cut out by plain slicing, reversed by plain indexing and stepped
one at a time in a plain loop; derivatives are torch's finite differences.

`check_cell(CellClass, **fields)`: a cell
    - has a constructor that is a schema: input_size and hidden_size positional-only, fields keyword-only;
    - declares what is so: gates, states, output_size, initial_state, number types; `elementwise`, `gate_names`,
      `keep_gates`, `write_gates` and what set_memory_bias does; that a step is the pointwise rule, or
      h_t = a_t * h_(t-1) + b_t;
    - reads each sequence of a padded batch as if it were alone, in both directions, by its steps and by every
      registered kernel that takes it: outputs, final states and all gradients, in float64 and float32, with NaN or
      infinity under padding, which gets a gradient of exactly zero;
    - keeps rows of a batch and positions of the input apart, and remembers nothing: not in an attribute, not in place;
      a state carried over a cut continues as the uncut sequence;
    - has the right gradients (`gradcheck`), and for every parameter one;
    - can be saved, loaded and copied; has no bias where `bias` is false;
    - works for H = 1, T = 1, B = 1 and non-contiguous x, or refuses with an error of seqapps;
    - admits regularisers that are on in training, drawn as they should be, and off in evaluation.

`check_kernel(KernelClass, cells)`: a kernel refuses a cell with a reason, or computes what its steps compute, from
    states that are not zero, on ragged and on equal lengths, with and without final states, for cells with regularisers
    drawn, and for subclasses that override one method. A kernel that goes by a class it knows fails here. Returns what
    it took.

`check_encoder(EncoderClass, **fields)`: an encoder
    - returns `Encoded`, with outputs that are zero on padding and a summary for every length;
    - computes for each sequence of a padded batch what it computes for it alone, NaN under padding or not, gradients
      included;
    - is `causal` if and only if it says so; if it is, final states fed back continue the sequence;
    - remembers nothing, draws nothing in evaluation, has the right gradients, can be saved and loaded;
    - has dropouts (fields with "drop" or "zoneout" in their names) that are on in training and off in evaluation.

What no kit can know is whether the equations are those of the paper: write a test against torch.nn or worked numbers.
"""

from seqapps.testing.cells import check_cell
from seqapps.testing.encoders import check_encoder
from seqapps.testing.kernels import check_kernel
from seqapps.testing.subject import options

__all__ = ["check_cell", "check_encoder", "check_kernel", "options"]
