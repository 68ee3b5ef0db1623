"""Benchmarks: the workloads, the engines they run on, and the report.

`pytest bench` measures, `python -m bench.report RESULTS.json` writes docs/benchmarks.md. Nothing
here is part of the installed package. See bench/README.md.
"""
