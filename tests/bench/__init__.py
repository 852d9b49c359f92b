"""Benchmarks: figures, not verdicts. `python -m tests.bench [NAME]...` prints them.

Each is run by hand or by `make bench` on a quiet machine. Must never assert a time: the machines
are shared, and only ratios against a baseline beside it travel.
"""
