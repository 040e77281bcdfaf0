import pytest

from seqapps.errors import RunError
from seqapps.report import format_metrics, headline
from seqapps.report.text import verdict


def score(value, low=None, high=None, count=15012, of="tokens"):
    interval = None if low is None else [low, high]
    confidence = None if low is None else 0.95
    fixed = {"unit": "fraction", "higher_is_better": True, "count": count, "of": of}
    return {"value": value, "interval": interval, "confidence": confidence, **fixed}


def small(metrics=None, baselines=None, differences=None, name="accuracy"):
    metrics = metrics or {name: score(0.929, 0.924, 0.934)}
    parts = {"baselines": baselines or {}, "differences": differences or {}}
    return {
        "format": 1,
        "name": "pos",
        "task": "tagging",
        "split": "test",
        "headline": name,
        "metrics": metrics,
        **parts,
    }


BASELINES = {
    "most_frequent_tag": {"metrics": {"accuracy": score(0.904)}},
    "hidden_markov_model": {"metrics": {"accuracy": score(0.918)}},
}


def difference(value, low, high):
    return {"hidden_markov_model": {"metric": "accuracy", "value": value, "interval": [low, high], "confidence": 0.95}}


def test_the_headline_compares_with_the_strongest_baseline():
    assert headline(small(baselines=BASELINES, differences=difference(0.011, 0.007, 0.015))) == (
        "92.9 % of 15,012 test tokens tagged right (95 % interval 92.4–93.4); "
        "the hidden Markov model of the same data reaches 91.8 %; the difference is +1.1 points [+0.7, +1.5]."
    )


def test_the_headline_says_when_nothing_was_compared():
    assert headline(small()).endswith("(95 % interval 92.4–93.4); no baseline was measured.")


def test_the_headline_of_spans():
    metrics = {"f1": score(0.9413, count=23852, of="gold spans")}
    assert headline(small(metrics, name="f1")).startswith("Span F1 94.1 % over 23,852 gold spans of the test split;")


def test_the_headline_of_a_metric_that_is_no_fraction_has_no_per_cent():
    metrics = {"perplexity": {**score(53.44, 50.0, 57.0), "unit": "perplexity", "higher_is_better": False}}
    baselines = {"trigram": {"metrics": {"perplexity": {**metrics["perplexity"], "value": 60.0}}}}
    worse = {"unigram": {"metrics": {"perplexity": {**metrics["perplexity"], "value": 600.0}}}}
    text = headline(small(metrics, {**worse, **baselines}, name="perplexity"))
    assert text.startswith("Perplexity 53.4 over 15,012 tokens of the test split (95 % interval 50.0–57.0)")
    assert "the trigram of the same data reaches 60.0" in text


def test_an_undefined_headline_says_so():
    assert headline(small({"accuracy": score(None, count=0)})).startswith("Accuracy is undefined")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.002, 0.01, "better than"), (-0.01, -0.002, "worse than"), (-0.01, 0.01, "does not show")],
)
def test_the_verdict_follows_the_interval_of_the_difference(low, high, said):
    assert said in verdict(small(baselines=BASELINES, differences=difference((low + high) / 2, low, high)))


def test_a_lower_perplexity_is_better():
    metrics = {"perplexity": {**score(50.0), "unit": "perplexity", "higher_is_better": False}}
    found = {"trigram": {"metric": "perplexity", "value": -10.0, "interval": [-12.0, -8.0], "confidence": 0.95}}
    assert "better than the trigram" in verdict(small(metrics, {"trigram": {"metrics": metrics}}, found, "perplexity"))


def test_the_table_for_the_terminal_is_aligned():
    metrics = {"accuracy": score(0.929, 0.924, 0.934), "accuracy_out_of_vocabulary": score(None, count=0)}
    baselines = {"most_frequent_tag": {"metrics": {"accuracy": score(0.904)}}}
    lines = format_metrics(small(metrics, baselines)).split("\n")
    assert lines[1].split() == ["accuracy", "%", "92.90", "[92.40,", "93.40]", "90.40", "15,012", "tokens"]
    assert lines[0].index("this model") + len("this model") == lines[1].index("93.40]") + len("93.40]")
    assert lines[2].split() == ["accuracy,", "unknown", "words", "%", "–", "–", "0", "tokens"]


def test_a_report_of_another_format_is_refused():
    with pytest.raises(RunError, match="format 2, expected 1"):
        headline({**small(), "format": 2})


def test_all_missing_parts_are_named_at_once():
    with pytest.raises(RunError, match="'task' is missing; 'tables' is list, expected Mapping"):
        headline({**small(), "task": None, "tables": []})


def test_a_headline_that_was_not_measured_is_refused():
    with pytest.raises(RunError, match="'f1' is not among its metrics"):
        headline({**small(), "headline": "f1"})


def test_the_headline_of_bleu_is_in_points():
    points = {"unit": "points", "of": "sentences", "count": 1000}
    metrics = {"bleu": {**score(34.25, 33.0, 35.5), **points}}
    baselines = {"copy_source": {"metrics": {"bleu": {**score(0.6), **points}}}}
    differences = {"copy_source": {"metric": "bleu", "value": 33.65, "interval": [32.0, 35.0], "confidence": 0.95}}
    assert headline(small(metrics, baselines, differences, name="bleu")) == (
        "BLEU 34.2 over 1,000 sentences of the test split (95 % interval 33.0–35.5); "
        "the copy of the source of the same data reaches 0.6; the difference is +33.6 points [+32.0, +35.0]."
    )


def test_a_count_has_no_decimals_and_a_ratio_one_more():
    metrics = {"accuracy": score(0.5), "vocabulary_used": {**score(1234.0), "unit": "count"}}
    metrics["cider_d"] = {**score(0.62345), "unit": "ratio"}
    lines = format_metrics(small(metrics)).splitlines()
    assert [line.split()[-3] for line in lines[1:]] == ["50.00", "1,234", "0.623"]
