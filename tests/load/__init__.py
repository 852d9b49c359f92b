"""An open-loop load generator that checks every answer.

Started as ``python -m tests.load`` in a process of its own by the demo, the end-to-end tests, the
fault campaigns and the benchmarks. It sends each request at its time whatever happens to the
others, never retries, and calls a request failed unless it got the correct answer of a version
that was allowed while it was under way. It must never send anywhere but to this machine or
into a cluster's own network.
"""
