"""The benchmark: `make bench`. See CONTRIBUTING, "Benchmark", for what it measures."""
