"""That what the benchmarks measure with does what they take for granted."""
