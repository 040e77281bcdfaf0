"""How fast seqapps trains and searches beside programs that do the same work; see benchmarks/README.md."""
