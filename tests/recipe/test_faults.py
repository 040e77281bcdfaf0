"""What a recipe with faults gets: all of them at once, each with its position and what to do."""

EIGHT = """\
data:
  source: {type: wrods, lang: no}
  batching: {tokens: 4096, tokens: 2048}
model:
  embedder: {type: tokens, size: big}
  encoder: {type: recurrent, hiden_size: 200, dropout: 1.5}
  head: {type: tagging, scheme: bioe, column: upos}
training: {epochs: 0, seed: 1}
evalution: {samples: 10}
"""


def test_a_recipe_with_eight_faults_prints_eight_lines(faults):
    assert faults(EIGHT) == [
        "r.yaml:2:18: unknown source 'wrods'; did you mean 'words'?",
        "r.yaml:3:28: key 'tokens' is given twice; first given in line 3, column 14; keep one",
        "r.yaml:5:34: expected an integer for 'size' of embedder 'tokens', got 'big'",
        "r.yaml:6:30: unknown field 'hiden_size' of encoder 'recurrent'; did you mean 'hidden_size'?",
        "r.yaml:6:56: 'dropout' of encoder 'recurrent': 1.5 is out of range; expected 0 to 1",
        "r.yaml:7:33: expected one of bio | bioes | bilou or null for 'scheme' of head 'tagging', got 'bioe';"
        " did you mean 'bioes'?",
        "r.yaml:8:20: 'epochs' of section 'training': 0 is out of range; expected a finite number above 0",
        "r.yaml:9:1: unknown section 'evalution' of the recipe; did you mean 'evaluation'?",
    ]
