"""Numbers that somebody thought of, from the tokens of a text: hand-made features."""

from seqapps.data.features.feature_set import FeatureSet
from seqapps.data.features.lexicon import Lexicon
from seqapps.data.features.rules import Capitals, Digits, Length, Negation, Punctuation

__all__ = ["Capitals", "Digits", "FeatureSet", "Length", "Lexicon", "Negation", "Punctuation"]
