"""The same BiLSTM tagger on the same data, trained by several programs in turn: real tokens per second, as ratios."""
