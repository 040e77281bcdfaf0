"""A language model as something that writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from seqapps.data.vocabulary import BOS, EOS, PAD, UNK
from seqapps.engine.evaluation import evaluating
from seqapps.engine.formats import Example
from seqapps.engine.predictor import Predictor
from seqapps.errors import UseError, close_match
from seqapps.heads.language_model import LanguageModel
from seqapps.modules.search import Hypothesis, SearchOptions, Step, search
from seqapps.modules.search.trees import Tree

__all__ = ["NextToken", "Written", "generate"]


class Written(NamedTuple):
    """A text that was written: as text and as tokens, the prompt's included; `log_prob` is that of all, natural.

    `ended` says whether the end mark came, whose probability is then included, or the text was cut.
    """

    text: str
    tokens: list[str]
    log_prob: float
    ended: bool


class NextToken:
    """One step of a language model, for `seqapps.modules.search`.

    Its state is the encoder's; for an encoder that carries none, all tokens so far, which are then read anew.
    """

    def __init__(self, predictor: Predictor):
        model, head = predictor.model, language_model(predictor)
        self.encoder, self.head = model.encoder, head
        self.first = head.vocabulary[EOS if head.carries else BOS]
        words = [symbol for symbol in head.vocabulary.symbols if symbol not in (PAD, BOS, EOS)]
        with evaluating(model):
            # An embedder looks at each position alone, so what it makes of every symbol can be made once.
            split = predictor.indexed([Example([word]) for word in words])
            x, _ = model.embedder(split.batch(torch.arange(len(words)).numpy()).to(predictor.device))
        self.vectors = x.new_zeros(len(head.vocabulary), x.size(-1))
        self.vectors[[head.vocabulary[word] for word in words]] = x[:, 1]
        self.vectors[self.first] = x[0, 0]  # the mark before each of them

    def step(self, tokens: Tensor, state: Tree, memory: Tree) -> Step:
        """Read the tokens (N,) written last; `memory` is not used."""
        if isinstance(state, Tensor):
            tokens, state = torch.cat([state, tokens[:, None]], 1), None
        else:
            tokens = tokens[:, None]
        lengths = torch.full((len(tokens),), tokens.size(1))
        encoded = self.encoder(self.vectors[tokens], lengths, state, final=True)
        log_probs = self.head.log_probs(self.head.features(encoded.outputs[:, -1]))
        return Step(log_probs, encoded.final or tokens)


def language_model(predictor: Predictor) -> LanguageModel:
    """The head of a run, if it is a language model that reads nothing but its text; UseError otherwise."""
    head = predictor.model.head
    if not isinstance(head, LanguageModel):
        raise UseError(f"{predictor.folder.path}: a model of task {head.task!r}, not a language model; use predict")
    if len(predictor.resources.input_columns) > 1:
        others = ", ".join(predictor.resources.input_columns[1:])
        raise UseError(f"{predictor.folder.path}: the model reads {others} beside the text, which cannot be written")
    return head


def generate(
    predictor: Predictor, prompts: Sequence[str], options: SearchOptions, *, seed: int = 1, unknown: bool = False
) -> Iterator[list[Written]]:
    """What the model writes after each prompt, the best first (samples: as drawn).

    Args:
        seed: of the samples; those of a prompt do not depend on the other prompts.
        unknown: may `<unk>` be written?
    Raises:
        UseError: no language model, faults of the options, or a prompt with words that are not in the vocabulary.
    """
    generator = NextToken(predictor)
    head, vocabulary = generator.head, generator.head.vocabulary
    prefixes = [_numbers(predictor, head, prompt) for prompt in prompts]
    banned = () if unknown else ((vocabulary[UNK],),)
    for number, prefix in enumerate(prefixes):
        longer = replace(options, max_length=options.max_length + len(prefix))
        with evaluating(predictor.model):
            (found,) = search(
                generator,
                None,
                None,
                torch.tensor([generator.first], device=predictor.device),
                longer,
                eos=vocabulary[EOS],
                prefixes=[prefix],
                banned=banned,
                seeds=[seed + number] if options.method == "sampling" else None,
            )
        yield [_written(predictor, vocabulary.symbols, hypothesis) for hypothesis in found]


def _numbers(predictor: Predictor, head: LanguageModel, prompt: str) -> list[int]:
    request = predictor.resources.requests[head.column]
    tokens = predictor.tokenizer.tokenize(prompt)
    forms = [token.lower() if request.lowercase else token for token in tokens]
    unknown = [form for form in forms if form not in head.vocabulary]
    if unknown:
        raise UseError(
            f"prompt {prompt!r}: not in the vocabulary: {', '.join(map(repr, unknown[:3]))}"
            f"{close_match(unknown[0], head.vocabulary.symbols)}"
        )
    return [head.vocabulary[form] for form in forms]


def _written(predictor: Predictor, symbols: Sequence[str], found: Hypothesis) -> Written:
    tokens = [symbols[number] for number in found.tokens]
    return Written(predictor.tokenizer.detokenize(tokens), tokens, found.log_prob, found.ended)
