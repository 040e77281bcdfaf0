"""Other suites, run by the interpreter of an environment of its own. No seqapps in it."""
