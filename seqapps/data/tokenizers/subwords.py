"""Sub-words that are learnt from the training texts, by the package sentencepiece."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from seqapps.data.tokenizers.tokenizer import Normalization, Tokenizer
from seqapps.errors import ComponentError, DataError

__all__ = ["Sentencepiece"]

_BLANK = "▁"  # stands for a blank, so that pieces say where words begin


class Sentencepiece(Tokenizer):
    """Pieces of words, learnt from the training texts (Kudo and Richardson 2018, arXiv 1808.06226).

    Training is part of the run, on the texts of the training split alone, on one thread and without sampling, so that
    equal texts give an equal model; it is saved with the run. A blank is part of the piece after it and written `▁`,
    so joined pieces are the very text again, but for white space at its ends (and a `▁` of its own, which becomes a
    blank). What training never saw is a token nonetheless, which the model then does not know.

        new houses      ▁new  ▁house  s

    Needs the package sentencepiece: pip install 'seqapps[text]'.

    Fields:
        model: bpe = pieces by merging frequent pairs (Sennrich et al. 2016, arXiv 1508.07909); unigram = those that
            make the texts likeliest (Kudo 2018, arXiv 1804.10959).
        vocabulary_size: how many pieces, `<unk>` included.
        character_coverage: share of the training texts' characters that are pieces; rarer ones are unknown.
        shared: where several columns have this tokenizer with the same fields, learn one from all of them.
        normalization: Unicode normal form that texts are brought to first; none = every character stays as it is, which
            is not what sentencepiece does by itself.
    """

    trained: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: Literal["bpe", "unigram"] = "bpe",
        vocabulary_size: int = 8_000,
        character_coverage: float = 1.0,
        shared: bool = False,
        normalization: Normalization = "none",
    ):
        super().__init__(normalization=normalization)
        try:
            import sentencepiece
        except ImportError:
            raise ComponentError(
                "tokenizer 'sentencepiece': the package sentencepiece is not installed; pip install 'seqapps[text]'"
            ) from None
        self._library = sentencepiece
        self._model: bytes | None = None
        self._processor: Any = None
        self.model, self.vocabulary_size = model, vocabulary_size
        self.character_coverage, self.shared = character_coverage, shared

    @classmethod
    def check_fields(cls, fields: Mapping[str, Any]) -> list[tuple[str, str]]:
        """There are pieces; a share is one."""
        size, coverage, faults = fields["vocabulary_size"], fields["character_coverage"], []
        if size < 2:
            faults.append(("vocabulary_size", f"{size} is out of range; expected 2 or more"))
        if not 0.9 <= coverage <= 1:
            faults.append(("character_coverage", f"{coverage} is out of range; expected 0.9 to 1"))
        return faults

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces.

        Raises DataError if the texts give fewer pieces than asked for, or have more characters than these.
        """
        written = io.BytesIO()
        try:
            self._library.SentencePieceTrainer.train(
                sentence_iterator=(self.normalized(text).strip() for text in texts),
                model_writer=written,
                model_type=self.model,
                vocab_size=self.vocabulary_size,
                character_coverage=self.character_coverage,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                max_sentence_length=2**30,  # by default texts of more than 4192 bytes are left out
                num_threads=1,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise DataError(f"tokenizer 'sentencepiece': {self._reason(str(error))}") from error
        self._load(written.getvalue())

    def _reason(self, message: str) -> str:
        most, least = re.search(r"value <= (\d+)", message), re.search(r"required_chars\. \d+ vs (\d+)", message)
        asked = f"vocabulary_size is {self.vocabulary_size}"
        if most:
            return f"{asked}, but the training texts give {most[1]} pieces; set it to {most[1]} or less"
        if least:
            return (
                f"{asked}, but the characters of the training texts alone are {least[1]}; set it to more than that, or "
                "lower character_coverage"
            )
        return f"cannot learn from the training texts ({' '.join(message.split())[:200]}); are there any?"

    def _load(self, model: bytes) -> None:
        self._model, self._processor = model, self._library.SentencePieceProcessor(model_proto=model)

    def split(self, text: str) -> list[str]:
        if self._processor is None:
            raise RuntimeError("the tokenizer has learnt nothing yet: call fit or load_json first")
        return self._processor.encode(text.strip(), out_type=str)

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(tokens).replace(_BLANK, " ").removeprefix(" ")

    def to_json(self) -> dict[str, Any]:
        return {"model": base64.b64encode(self._model or b"").decode("ascii")}

    def load_json(self, saved: Mapping[str, Any]) -> None:
        self._load(base64.b64decode(saved["model"]))
