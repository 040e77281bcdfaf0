from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub.constants
import pytest

from seqapps.data.sources import hub
from seqapps.data.sources.hub import Hub, is_reachable
from seqapps.data.sources.source import Places
from seqapps.errors import DataError

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder "reviews" as `datasets` reads it: 10 rows to train on, 3 to test on."""
    path = tmp_path / "reviews"
    path.mkdir()
    for split, size in (("train", 10), ("test", 3)):
        rows = [{"text": f"{split} {i}", "label": i % 2} for i in range(size)]
        (path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def cached(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A cache that holds the hub's owner/reviews at COMMIT, and places where no folder of that name is."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    Hub(name="reviews").load(Places(folder))
    (built,) = (cache / "reviews" / "default" / "0.0.0").glob("*/")
    shutil.copytree(built, cache / "owner___reviews" / "default" / "0.0.0" / COMMIT)
    return Places(tmp_path / "elsewhere")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the hub's address, with the environment not asking to stay offline."""

    def use(address: str) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)

    return use


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_folder_is_read_as_datasets_reads_it(folder: Path) -> None:
    source = Hub(name="./reviews")
    found = source.load(Places(folder))
    assert {name: len(split) for name, split in found.items()} == {"train": 10, "test": 3}
    assert list(source.load(Places(folder), ["test", "validation"])) == ["test"]
    assert [file.name for file in source.files(Places(folder))] == ["test.jsonl", "train.jsonl"]


def test_splits_are_renamed_and_cut_as_the_recipe_says(folder: Path) -> None:
    source = Hub(name="reviews", splits={"train": "train[:80%]", "validation": "train[80%:]"})
    found = source.load(Places(folder))
    assert found["train"]["text"][:] == [f"train {i}" for i in range(8)]
    assert found["validation"]["text"][:] == ["train 8", "train 9"]
    assert list(source.load(Places(folder), ["validation"])) == ["validation"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"splits": {"test": "tset"}}, "no split 'tset'; did you mean 'test'"),
        ({"splits": {"test": "dev[:10%]"}}, "no split 'dev'; known: test, train"),
        ({"splits": {"test": "test[:"}}, "Unrecognized instruction format"),
        ({"config": "defualt"}, "no config 'defualt'; did you mean 'default'"),
    ],
)
def test_unknown_splits_and_configs_are_named_with_the_known_ones(
    folder: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        Hub(name="reviews", **fields).load(Places(folder))


def test_a_dataset_of_several_configs_asks_for_one(folder: Path) -> None:
    configs = [{"config_name": name, "data_files": f"{name}.jsonl"} for name in ("train", "test")]
    (folder / "reviews" / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n")
    with pytest.raises(DataError, match=r"set 'config' to one of train, test$"):
        Hub(name="reviews").load(Places(folder))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\./nothing: no such file; looked for"):
        Hub(name="./nothing").load(Places(tmp_path))


@pytest.mark.parametrize("name", ["a/b/c", "two words"])
def test_what_is_neither_folder_nor_dataset_name_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="neither a folder nor a name like"):
        Hub(name=name).load(Places(tmp_path))


def test_offline_by_environment_an_unknown_dataset_fails_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match="'no/such': HF_HUB_OFFLINE is set, and the dataset is not in the cache"):
        Hub(name="no/such").load(Places(tmp_path))
    assert time.monotonic() - start < 2


def test_without_an_answer_from_the_hub_loading_fails_within_seconds(
    tmp_path: Path, endpoint: Callable[[str], None], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(silent)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.5)
    start = time.monotonic()
    with pytest.raises(DataError, match="'no/such': the hub cannot be reached, and the dataset is not in the cache"):
        Hub(name="no/such").load(Places(tmp_path))
    assert time.monotonic() - start < 3
    assert not datasets.config.HF_HUB_OFFLINE
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


def test_without_the_hub_a_cached_dataset_is_read(
    cached: Places, endpoint: Callable[[str], None], silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint(silent)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.2)
    assert {name: len(split) for name, split in Hub(name="owner/reviews").load(cached).items()} == {
        "train": 10,
        "test": 3,
    }
    with pytest.raises(DataError, match="is not in the cache with config 'de'"):
        Hub(name="owner/reviews", config="de").load(cached)


def test_a_revision_that_the_cache_cannot_vouch_for_is_refused(cached: Places) -> None:
    assert len(Hub(name="owner/reviews", revision=COMMIT).load(cached)["test"]) == 3
    with pytest.raises(DataError, match="cannot be told whether the cached copy is revision 'v1'"):
        Hub(name="owner/reviews", revision="v1").load(cached)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        ("Dataset 'no/such' doesn't exist on the Hub or cannot be accessed.", "there is no such dataset"),
        ("Revision 'v1' doesn't exist for dataset 'no/such' on the Hub.", "there is no revision 'v1' of it"),
    ],
)
def test_what_the_hub_does_not_have_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: str, message: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise datasets.exceptions.DatasetNotFoundError(raised)

    monkeypatch.setattr(hub, "is_reachable", lambda seconds: True)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match=message):
        Hub(name="no/such", revision="v1").load(Places(tmp_path))


def test_the_reason_behind_a_failed_generation_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise datasets.exceptions.DatasetGenerationError("An error occurred") from ValueError("column y is odd")

    monkeypatch.setattr(hub, "is_reachable", lambda seconds: True)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match="hub dataset 'a/b': ValueError: column y is odd"):
        Hub(name="a/b").load(Places(tmp_path))


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_server_that_answers_anything_is_reachable(endpoint: Callable[[str], None], status: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        endpoint(f"http://127.0.0.1:{server.server_port}")
        assert is_reachable(5)
        thread.join()


def test_a_port_that_nobody_listens_on_is_not_reachable(endpoint: Callable[[str], None], silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    endpoint(f"http://127.0.0.1:{free}")
    assert not is_reachable(5)


def test_an_empty_name_is_a_fault_of_the_recipe() -> None:
    assert [field for field, _ in Hub.check_fields({"name": " "})] == ["name"]
    assert Hub.check_fields({"name": "owner/dataset"}) == []
