"""Benchmarks of skfm: ``python -m benchmarks list`` and ``python -m benchmarks run CASE``."""
