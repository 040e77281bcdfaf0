"""Why words got vectors: what was seen of a word is evidence for words like it (Bengio et al. 2003, section 1.1)."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from seqapps.baselines import KneserNey
from seqapps.data.indexed import IndexedSplit, read_forms
from seqapps.data.requests import Request, framed
from seqapps.data.resources import Resources
from seqapps.engine.model import Model
from seqapps.heads.language_model import LanguageModel
from seqapps.modules.embedders import TokenEmbedder
from seqapps.modules.recurrent import RecurrentEncoder
from seqapps.modules.window import WindowEncoder
from seqapps.recipe.spec import Spec

# Apple is like pear and plum, slate like stone and brick; neither was ever contained in anything.
TEXT = [
    *(f"{fruit} {rest}" for fruit in ("pear", "plum", "apple") for rest in ("is sweet", "is ripe", "grows on trees")),
    *(f"{rock} {rest}" for rock in ("stone", "brick", "slate") for rest in ("is hard", "is heavy", "lies on roads")),
    *(f"{did} the {fruit}" for did in ("eat", "peel") for fruit in ("pear", "plum", "apple")),
    *(f"{did} the {rock}" for did in ("throw", "carry") for rock in ("stone", "brick", "slate")),
    "fruit contains pear",
    "fruit contains plum",
    "wall contains stone",
    "wall contains brick",
]
QUESTIONS = [["fruit", "contains", "apple"], ["fruit", "contains", "slate"]]


def probabilities(train, questions, encoder):
    """p(last word | the words before) of each question after training on `train`."""
    requests = {r.key: r for r in framed([Request("tokens", "tokens")], "sentence")}
    forms = [read_forms(Dataset.from_dict({"tokens": rows}), ["tokens"], "train") for rows in (train, questions)]
    resources = Resources.build(requests, forms[0])
    split, asked = (IndexedSplit(read, resources, "train") for read in forms)
    torch.manual_seed(1)
    embedder = TokenEmbedder(resources.vocabularies, size=16)
    made = encoder(16)
    model = Model(embedder, made, LanguageModel(made, embedder, resources.vocabularies))
    optimizer = torch.optim.Adam(model.parameters(), 0.01, weight_decay=1e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss, _ = model.loss(split.batch(np.arange(len(split))))
        (loss.total / loss.count).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return [math.exp(row[-2]) for row in model.predict(asked.batch(np.arange(len(asked))))]


@pytest.mark.parametrize(
    "encoder",
    [
        lambda size: WindowEncoder(size, before=2, after=0, hidden_sizes=[32]),
        lambda size: RecurrentEncoder(size, cell=Spec("cells", "rnn"), hidden_size=32),
        lambda size: RecurrentEncoder(size, cell=Spec("cells", "lstm"), hidden_size=32),
    ],
    ids=["feedforward", "rnn", "lstm"],
)
def test_a_neural_model_expects_the_word_that_is_like_those_it_saw(encoder):
    train = [line.split() for line in TEXT]
    apple, slate = probabilities(train, QUESTIONS, encoder)
    assert apple > 5 * slate


def test_an_n_gram_model_knows_nothing_of_likeness():
    train = [line.split() for line in TEXT]
    words = sorted({word for line in train for word in line})
    model = KneserNey(3, words, "sentence").fit(train)
    apple, slate = (math.exp(row[-2]) for row in model.log_probs(QUESTIONS))
    assert apple == pytest.approx(slate)
