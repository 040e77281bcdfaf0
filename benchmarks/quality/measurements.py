"""What is measured: a recipe, what is set on top of it, and the published figures that its score stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["MEASUREMENTS", "SEEDS", "SETTINGS", "Measurement"]

SEEDS = (1, 2, 3)
SETTINGS = ("training.threads=1",)  # of all measurements: how sums are rounded depends on it


class Measurement(NamedTuple):
    """One row of the table of scores.

    Fields:
        data: what the score is of.
        recipe: a file of `recipes/`.
        settings: what is set on top of it, beside the seed and what is set in all of them.
        published: figures of others on the same split, and what they are of.
        further: metrics beside the headline.
    """

    data: str
    recipe: str
    settings: tuple[str, ...] = ()
    published: str = ""
    further: tuple[str, ...] = ()


BF16 = ("training.precision=bf16",)
CAPTIONS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l")

MEASUREMENTS: Mapping[str, Measurement] = MappingProxyType(
    {
        "pos_bilstm": Measurement("HKCanCor, parts of speech", "pos_bilstm.yaml"),
        "pos_ud_ewt": Measurement("UD English EWT 2.0, UPOS", "pos_ud_ewt.yaml"),
        "chunking_bilstm_crf": Measurement("CoNLL-2000, chunks", "chunking_bilstm_crf.yaml"),
        "ner_bilstm_crf": Measurement("CoNLL-2003 English, named entities", "ner_bilstm_crf.yaml"),
        "sentiment_chinese": Measurement(
            "ChnSentiCorp dev, 2 classes", "sentiment_chinese.yaml", published="BiLSTM 90.98, TextCNN 91.02"
        ),
        "sentiment_sst2": Measurement(
            "SST-2, trained on phrases too",
            "sentiment_sst2.yaml",
            published="tree-LSTM with GloVe vectors 88.0",
        ),
        "sentiment_sst2_sentences": Measurement(
            "SST-2, trained on sentences alone", "sentiment_sst2.yaml", ("data.source.phrases=false",)
        ),
        "sentiment_imdb": Measurement(
            "IMDB, 2 classes", "sentiment_imdb.yaml", published="BiLSTM of the first 100 words 81.5, with GloVe 85.34"
        ),
        "rnnlm_lstm": Measurement("HKCanCor, language model, LSTM", "rnnlm_lstm.yaml"),
        "rnnlm_lstm_bf16": Measurement("HKCanCor, language model, LSTM, bf16", "rnnlm_lstm.yaml", BF16),
        "rnnlm_rnn": Measurement("HKCanCor, language model, RNN", "rnnlm_lstm.yaml", ("model.encoder.cell=rnn",)),
        "ffnnlm": Measurement("HKCanCor, language model, four words", "ffnnlm.yaml"),
        "rnnlm_ptb_small": Measurement(
            "Penn Treebank, stream, LSTM 2x200",
            "rnnlm_ptb_small.yaml",
            published="115.9 (Zaremba et al. 2014)",
        ),
        "ptb_rnn": Measurement(
            "Penn Treebank, stream, RNN 2x200",
            "rnnlm_ptb_small.yaml",
            ("model.encoder.cell=rnn", "training.optimizer.lr=5"),
        ),
        "ptb_feedforward": Measurement(
            "Penn Treebank, stream, four words",
            "rnnlm_ptb_small.yaml",
            ("model.encoder={type: window, before: 3, after: 0, hidden_sizes: [200]}", "training.optimizer.lr=5"),
        ),
        "translation_gru_attention": Measurement(
            "names of emoji, en-de", "translation_gru_attention.yaml", further=("exact_match",)
        ),
        "translation_gru_attention_bf16": Measurement(
            "names of emoji, en-de, bf16", "translation_gru_attention.yaml", BF16, further=("exact_match",)
        ),
        "translation_char": Measurement(
            "CMUdict, spelling to phonemes",
            "translation_char.yaml",
            published="words right 76.5, phonemes wrong 5.45 (Yao and Zweig 2015)",
            further=("ter",),
        ),
        "translation_king_james": Measurement(
            "King James Version into modern English, with a pointer", "translation_king_james.yaml", further=("chrf",)
        ),
        "king_james_no_pointer": Measurement(
            "King James Version into modern English, without",
            "translation_king_james.yaml",
            ("model.head.decoder.pointer=false",),
            further=("chrf",),
        ),
        "translation_multi30k": Measurement(
            "Multi30k en-de, test 2016",
            "translation_multi30k.yaml",
            BF16,
            published="attention GRU 33.7, best recurrent 38.1",
        ),
        "multi30k_no_average": Measurement(
            "Multi30k en-de, test 2016, fp32, no average of weights",
            "translation_multi30k.yaml",
            ("training.average=null",),
        ),
        "translation_multi30k_de_en": Measurement(
            "Multi30k de-en, test 2016",
            "translation_multi30k.yaml",
            (
                "data.source.train=[multi30k/train.lc.norm.tok.de.xz, multi30k/train.lc.norm.tok.en.xz]",
                "data.source.validation=[multi30k/val.lc.norm.tok.de.xz, multi30k/val.lc.norm.tok.en.xz]",
                "data.source.test=[multi30k/test_2016_flickr.lc.norm.tok.de.xz,"
                " multi30k/test_2016_flickr.lc.norm.tok.en.xz]",
                *BF16,
            ),
        ),
        "captioning_features": Measurement(
            "Flickr8k, captions, from vectors",
            "captioning_features.yaml",
            published="BLEU-1 to 4: NIC 63, 41, 27; soft attention 67, 44.8, 29.9, 19.5; hard 67, 45.7, 31.4, 21.3",
            further=CAPTIONS,
        ),
        "captioning_cnn": Measurement("Flickr8k, captions, from 64 pixels", "captioning_cnn.yaml", further=CAPTIONS),
        "captioning_emoji": Measurement(
            "Emoji, names, from drawings", "captioning_emoji.yaml", further=("exact_match", *CAPTIONS)
        ),
    }
)
