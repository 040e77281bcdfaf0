"""The recipes of the measurements; the plain programs say the same in their own words."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["recipe"]

_LANGUAGE_MODEL = """\
data:
  source: {{type: text, train: train.txt}}
  batching: {{streams: {streams}, window: {window}}}
model:
  embedder: {{type: tokens, size: {hidden}}}
  encoder: {{type: recurrent, cell: lstm, hidden_size: {hidden}, num_layers: {layers}}}
  head: {{type: language_model, regime: stream}}
training:
  optimizer: {{type: sgd, lr: 1}}
  clip_norm: 0.25
"""

_CLASSIFICATION = """\
data:
  source: {{type: tables, train: train.tsv}}
  tokenizer: whitespace
  batching: {{sentences: {sentences}}}
model:
  embedder: {{type: tokens, size: {embedding}}}
  encoder: {{type: recurrent, cell: lstm, hidden_size: {hidden}}}
  head: {{type: classification, pooling: last}}
training:
  optimizer: {{type: adam, lr: 1e-3}}
  clip_norm: 5
"""

_TRANSLATION = """\
data:
  source: {{type: parallel, train: [train.source, train.target]}}
  tokenizer: whitespace
  batching: {{sentences: {sentences}}}
model:
  embedder: {{type: tokens, size: {hidden}}}
  encoder: {{type: recurrent, cell: gru, hidden_size: {hidden}, bidirectional: true}}
  head:
    type: translation
    decoder: {{type: recurrent, cell: gru, hidden_size: {hidden}, embedding_size: {hidden}, attention: additive}}
    search: {search}
training:
  optimizer: {{type: adam, lr: 1e-3}}
  clip_norm: 1
"""

_CONDITIONS = """\
  epochs: 1000000
  seed: 1
  precision: fp32
  device: cpu
  threads: {threads}
evaluation: {{splits: [train]}}
"""

_RECIPES = {"language_model": _LANGUAGE_MODEL, "classification": _CLASSIFICATION}
_GREEDY, _BEAM = "{method: greedy, max_length: 50}", "{method: beam, beam: 5, max_length: 50}"


def recipe(task: str, sizes: Mapping[str, int], threads: int) -> str:
    """YAML; data are in the same folder."""
    text = _RECIPES.get(task, _TRANSLATION) + _CONDITIONS
    return text.format(**sizes, threads=threads, search=_GREEDY if sizes.get("beam") == 1 else _BEAM)
