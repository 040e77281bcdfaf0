"""The strings of a user interface, in Chinese and English."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from seqapps.data.sources.source import Places
from seqapps_corpora.corpus import Corpus, Example, split_by_digest
from seqapps_corpora.packages import DataPackage

__all__ = ["JupyterLabChinese"]

_CONTEXT_END = "\x04"


class JupyterLabChinese(Corpus):
    """User interface strings of JupyterLab and its extensions: 3,050 English-Chinese pairs.

    Read from the package jupyterlab-language-pack-zh-CN 4.5.post3; column `translation` with `zh` and `en`. Of a string
    with several translations (by context or extension) the first is taken, in the order of the files' names; of plurals
    the first form; strings whose translation is the string itself are left out. Placeholders such as %1 are kept.

    Split by the MD5 of the English side modulo 10: 0 is test, 1 validation, the rest train.
    """

    name = "jupyterlab_chinese"
    packages = (DataPackage("jupyterlab_language_pack_zh_CN", "jupyterlab-language-pack-zh-CN", "4.5.post3"),)
    licence = "JupyterLab language packs: BSD-3-Clause"

    def files(self, places: Places) -> list[Path]:
        return sorted(self.file("locale", "zh_CN", "LC_MESSAGES").glob("*.json"))

    def examples(self) -> Iterator[Example]:
        translated: dict[str, str] = {}
        for path in self.files(Places()):
            for key, forms in json.loads(path.read_text(encoding="utf8")).items():
                english = key.rpartition(_CONTEXT_END)[2]
                if english and forms[0] != english:  # the empty key holds the file's metadata
                    translated.setdefault(english, forms[0])
        for english, chinese in translated.items():
            yield split_by_digest(english), {"translation": {"zh": chinese, "en": english}}
