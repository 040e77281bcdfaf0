"""What is handed over of a text that a model wrote."""

import json

from seqapps.heads.predictions import Alternative, WrittenText

WRITTEN = WrittenText(["ein", "Hund"], None, "target", "a dog", ["a", "dog"], -1.234567)


def test_its_line_is_the_text():
    assert WRITTEN.line() == "a dog"


def test_a_text_of_several_lines_is_one_line():
    assert WrittenText([], None, "target", "a\ndog\r\nruns", [], 0.0).line() == "a dog runs"


def test_its_fields_are_ready_for_json_and_leave_what_was_read():
    fields = WRITTEN.fields()
    assert fields == {"target": "a dog", "target_tokens": ["a", "dog"], "log_prob": -1.2346}
    assert "tokens" not in fields  # which the object that was read may hold


def test_alternatives_and_attention_are_there_where_they_were_asked_for():
    written = WrittenText(
        ["ein"], None, "target", "a", ["a"], -0.5, [Alternative("one", ["one"], -2.00001)], [[0.123456]]
    )
    fields = json.loads(json.dumps(written.fields()))
    assert fields["alternatives"] == [{"target": "one", "target_tokens": ["one"], "log_prob": -2.0}]
    assert fields["attention"] == [[0.1235]]
