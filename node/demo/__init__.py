"""A whole cluster on one machine: for ``grapevine demo``, the system tests and the benchmarks."""
