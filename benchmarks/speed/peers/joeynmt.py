"""JoeyNMT (pip install joeynmt): its recurrent model with Bahdanau attention, without input feeding."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace

import torch
from joeynmt.batch import Batch
from joeynmt.model import build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from benchmarks.speed.contestant import Done, Given

__all__ = ["Search", "Training"]

RATE, CLIP_NORM, PAD, EOS = 1e-3, 1.0, 0, 3

SPECIALS = SimpleNamespace(pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>")


class _Numbered(Vocabulary):  # type: ignore[misc]
    """Symbols that stand for their numbers; a text is numbers already."""

    def __init__(self, size: int):
        self.specials = [SPECIALS.pad_token, SPECIALS.unk_token, SPECIALS.bos_token, SPECIALS.eos_token]
        self.lang_tags: list[str] = []
        self._itos = [*self.specials, *map(str, range(len(self.specials), size))]
        self._stoi = {symbol: number for number, symbol in enumerate(self._itos)}
        self.pad_index, self.unk_index, self.bos_index, self.eos_index, self.sep_index = 0, 1, 2, 3, None


class Training:
    """Its model, batches and loss, in a loop like that of its trainer; batches of similar length, as for the others."""

    def __init__(self, folder: Path):
        given = Given(folder)
        H = given.sizes["hidden"]
        self.batches = given.batches()
        self.texts, self.targets = ([torch.from_numpy(row) for row in given.rows(n)] for n in ("texts", "targets"))
        vocabularies = [_Numbered(len(given.weights[f"{name}.weight"])) for name in ("embedding", "written")]
        part = {"type": "recurrent", "rnn_type": "gru", "num_layers": 1, "hidden_size": H, "dropout": 0.0}
        part["embeddings"] = {"embedding_dim": H}
        decoder = {"attention": "bahdanau", "init_hidden": "bridge", "input_feeding": False, "hidden_dropout": 0.0}
        config = {"encoder": {**part, "bidirectional": True}, "decoder": {**part, **decoder}}
        self.model = build_model(config, *vocabularies)
        self.model.loss_function = ("crossentropy", 0.0)
        self.model.train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), RATE, fused=True)

    def batch(self, rows: list[int]) -> Batch:
        texts, targets = [self.texts[row] for row in rows], [self.targets[row] for row in rows]
        lengths = torch.tensor([len(text) for text in texts])
        source, target = (pad_sequence(side, batch_first=True) for side in (texts, targets))
        none: Tensor | None = None
        return Batch(source, lengths, none, target, none, torch.tensor(rows), torch.device("cpu"), PAD, EOS)

    def steps(self) -> Generator[Done, None, None]:
        for rows in self.batches:
            batch = self.batch(rows.tolist())
            total, *_ = self.model(return_type="loss", **vars(batch))
            loss = batch.normalize(total, "tokens")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
            self.optimizer.step()
            self.optimizer.zero_grad()
            yield Done(int(batch.src_length.sum()), loss.item())


class Search(Training):
    """Its search. The model is untrained: all texts of a batch get as many tokens as its longest target has."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.beam = Given(folder).sizes["beam"]
        self.model.eval()

    def steps(self) -> Generator[Done, None, None]:
        for rows in self.batches:
            length = max(len(self.targets[row]) for row in rows) - 1  # without its begin
            with torch.inference_mode():
                found, *_ = search(
                    self.model, self.batch(rows.tolist()), length, self.beam, -1, min_output_length=length
                )
            yield Done(len(found), float(found.shape[1]))
