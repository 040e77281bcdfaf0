"""Vectors, regions and images to sequences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqapps.data.batch import Batch, Field
from seqapps.modules.feedforward import FeedforwardEncoder
from seqapps.modules.image_embedders import ConvolutionalImageEmbedder
from seqapps.modules.vector_embedders import RegionEmbedder, VectorEmbedder


def regions() -> Batch:
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]])
    return Batch({"vector": Field(values, torch.tensor([2, 1]))}, np.arange(2))


def images(count: int = 3, size: int = 8) -> Batch:
    values = torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    return Batch({"image": Field(values, torch.ones(count, dtype=torch.int64))}, np.arange(count))


def test_regions_are_a_sequence_of_their_vectors() -> None:
    embedder = RegionEmbedder({"vector": 2}, standardize=False)
    x, lengths = embedder(regions())
    assert embedder.output_size == 2
    assert x.tolist() == regions().fields["vector"].values.tolist()
    assert lengths.tolist() == [2, 1]


def test_a_vector_is_a_sequence_of_one_and_several_are_their_mean() -> None:
    x, lengths = VectorEmbedder({"vector": 2}, standardize=False)(regions())
    assert x.tolist() == [[[2.0, 3.0]], [[5.0, 6.0]]]
    assert lengths.tolist() == [1, 1]


def further_regions(size: int = 2) -> Batch:
    drawn = torch.randn(5, 3, size, generator=torch.Generator().manual_seed(1)) * 3 + 100
    lengths = torch.tensor([3, 1, 2, 3, 1])
    drawn[torch.arange(3) >= lengths[:, None]] = 0
    return Batch({"vector": Field(drawn, lengths)}, np.arange(5))


def test_regions_are_standardized_by_all_that_training_has_read_and_padding_is_not_read() -> None:
    embedder = RegionEmbedder({"vector": 2})
    read = torch.cat([regions().fields["vector"].values.flatten(0, 1)[:3], *_real(further_regions())])
    embedder(regions())
    trained, _ = embedder(further_regions())
    expected = (further_regions().fields["vector"].values - read.mean(0)) / read.std(0, correction=0)
    torch.testing.assert_close(trained, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(embedder.eval()(further_regions())[0], trained)


def _real(batch: Batch) -> list[torch.Tensor]:
    values, lengths, *_ = batch.fields["vector"]
    return [vectors[:length] for vectors, length in zip(values, lengths.tolist(), strict=True)]


def test_the_mean_of_several_vectors_is_what_is_standardized() -> None:
    means = torch.stack([vectors.mean(0) for vectors in _real(further_regions())])
    x, _ = VectorEmbedder({"vector": 2})(further_regions())
    torch.testing.assert_close(x[:, 0], (means - means.mean(0)) / means.std(0, correction=0), rtol=1e-4, atol=1e-4)


def test_evaluation_standardizes_as_training_left_it_and_changes_nothing() -> None:
    embedder = RegionEmbedder({"vector": 2}).eval()
    assert torch.equal(embedder(regions())[0], regions().fields["vector"].values)  # nothing known yet
    embedder.train()(further_regions())
    before = embedder.eval()(regions())[0]
    embedder(regions())
    assert torch.equal(embedder(regions())[0], before)
    loaded = RegionEmbedder({"vector": 2}).eval()
    loaded.load_state_dict(embedder.state_dict())
    assert torch.equal(loaded(regions())[0], before)


def test_numbers_that_are_all_the_same_and_a_batch_of_one_vector_are_finite() -> None:
    embedder = VectorEmbedder({"vector": 2})
    one = Batch({"vector": Field(torch.tensor([[[7.0, 9.0]]]), torch.tensor([1]))}, np.arange(1))
    assert embedder(one)[0].tolist() == [[[0.0, 0.0]]]
    other = Batch({"vector": Field(torch.tensor([[[7.0, 5.0]]]), torch.tensor([1]))}, np.arange(1))
    assert embedder(other)[0].tolist() == [[[0.0, -1.0]]]


@pytest.mark.parametrize("kind", [RegionEmbedder, VectorEmbedder])
def test_vectors_are_projected_to_a_size(kind: type[RegionEmbedder]) -> None:
    embedder = kind({"vector": 2}, standardize=False, size=3)
    x, _ = embedder(regions())
    weight, bias = embedder.projection.weight, embedder.projection.bias
    assert embedder.output_size == 3
    torch.testing.assert_close(x[1, 0], weight @ torch.tensor([5.0, 6.0]) + bias)


def test_features_are_dropped_in_training_only() -> None:
    embedder = RegionEmbedder({"vector": 2}, standardize=False, dropout=0.9)
    assert (embedder(regions())[0] == 0).sum() > 2
    assert torch.equal(embedder.eval()(regions())[0], regions().fields["vector"].values)


def test_the_encoder_of_no_layers_passes_vectors_through_and_sums_them_up_as_their_mean() -> None:
    encoded = FeedforwardEncoder(2, hidden_sizes=[])(*RegionEmbedder({"vector": 2}, standardize=False)(regions()))
    assert encoded.outputs.tolist() == regions().fields["vector"].values.tolist()
    assert encoded.summary.tolist() == [[2.0, 3.0], [5.0, 6.0]]


def test_the_grid_is_read_row_by_row_and_is_what_the_layers_say() -> None:
    embedder = ConvolutionalImageEmbedder(size=8, channels=[4, 5], blocks=2).eval()
    convolutions = [layer for layer in embedder.layers if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in embedder.layers if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.running_mean, -1, 1)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    grid = images().fields["image"].values / 127.5 - 1
    for number, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        grid = nn.functional.conv2d(grid, convolution.weight, padding=1)
        scale = (norm.running_var + norm.eps).rsqrt()[:, None, None]
        grid = ((grid - norm.running_mean[:, None, None]) * scale).relu()
        if number % 2:
            grid = nn.functional.max_pool2d(grid, 2)
    x, lengths = embedder(images())
    assert len(convolutions) == 4
    assert x.shape == (3, 4, 5)
    assert lengths.tolist() == [4, 4, 4]
    torch.testing.assert_close(x[:, 1], grid[:, :, 0, 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(x[:, 2], grid[:, :, 1, 0], rtol=1e-4, atol=1e-5)


def test_images_are_moved_and_mirrored_in_training_only() -> None:
    embedder = ConvolutionalImageEmbedder(size=8, channels=[4], shift=2, flip=True)
    embedder.layers = nn.Sequential()  # the pixels themselves
    before = images(64).fields["image"].values
    seen = []
    embedder.layers.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    torch.manual_seed(1)
    embedder(images(64))
    embedder.eval()(images(64))
    moved, same = ((x + 1) * 127.5 for x in seen)
    torch.testing.assert_close(same, before.float(), rtol=0, atol=1e-3)
    expected = {}
    padded = nn.functional.pad(before.float(), (2, 2, 2, 2), mode="replicate")
    for down in range(5):
        for right in range(5):
            cut = padded[:, :, down : down + 8, right : right + 8]
            expected[down, right, False], expected[down, right, True] = cut, cut.flip(3)
    found = set()
    for number in range(64):
        matching = [key for key, x in expected.items() if torch.allclose(x[number], moved[number], atol=1e-3)]
        assert len(matching) == 1
        found.update(matching)
    assert {key[0] for key in found} == {key[1] for key in found} == {0, 1, 2, 3, 4}
    assert {key[2] for key in found} == {True, False}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"size": 15}, "size"),
        ({"channels": []}, "channels"),
        ({"channels": [3, 0]}, "channels"),
        ({"blocks": 0}, "blocks"),
        ({"shift": -1}, "shift"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_fault(changed: dict, field: str) -> None:
    fields = {"size": 16, "channels": [1, 1, 1, 1], "blocks": 1, "shift": 0, "dropout": 0.0}
    assert ConvolutionalImageEmbedder.check_fields(fields) == []
    assert [name for name, _ in ConvolutionalImageEmbedder.check_fields({**fields, **changed})] == [field]


def test_a_size_of_nothing_is_a_fault() -> None:
    assert RegionEmbedder.check_fields({"size": None, "dropout": 0.0}) == []
    assert [name for name, _ in RegionEmbedder.check_fields({"size": 0, "dropout": 1.5})] == ["size", "dropout"]
