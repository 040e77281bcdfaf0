"""Evaluation of what writes texts: translations and captions, each against one reference or several."""

from __future__ import annotations

from seqapps.metrics.generation.captions import evaluate_captions
from seqapps.metrics.generation.sacrebleu_scores import check_tokenize
from seqapps.metrics.generation.translation import evaluate_translation
from seqapps.metrics.generation.written import WrittenExample

__all__ = ["WrittenExample", "check_tokenize", "evaluate_captions", "evaluate_translation"]
