"""flair (pip install flair): a text classifier on its document embedding by an LSTM, which packs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import flair
import torch
from flair.data import Dictionary, Sentence
from flair.embeddings import DocumentRNNEmbeddings, OneHotEmbeddings
from flair.models import TextClassifier
from flair.training_utils import store_embeddings

from benchmarks.speed.contestant import Done, Given

__all__ = ["Flair"]

RATE, CLIP_NORM = 1e-3, 5.0  # as the recipe has them


class Flair:
    """Its model and its loss, in a loop like that of its trainer; batches of similar length, as for the others."""

    def __init__(self, folder: Path):
        flair.device = torch.device("cpu")
        given = Given(folder)
        self.batches = given.batches()
        words, labels = Dictionary(), Dictionary(add_unk=False)
        for number in range(len(given.weights["embedding.weight"])):
            words.add_item(str(number))
        for number in range(len(given.weights["output.bias"])):
            labels.add_item(str(number))
        self.texts = [Sentence([str(word) for word in text]) for text in given.rows("texts")]
        for text, label in zip(self.texts, given.arrays["labels"].tolist(), strict=True):
            text.add_label("class", str(label))
        embeddings = OneHotEmbeddings(words, embedding_length=given.sizes["embedding"])
        document = DocumentRNNEmbeddings(
            [embeddings], given.sizes["hidden"], rnn_type="LSTM", reproject_words=False, dropout=0.0
        )
        self.model = TextClassifier(document, label_type="class", label_dictionary=labels)
        self.model.train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), RATE, fused=True)

    def steps(self) -> Generator[Done, None, None]:
        for rows in self.batches:
            texts = [self.texts[row] for row in rows]
            self.optimizer.zero_grad()
            loss, _ = self.model.forward_loss(texts)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
            self.optimizer.step()
            store_embeddings(texts, "none")
            yield Done(sum(map(len, texts)), loss.item())
