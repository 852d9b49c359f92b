"""The local Kubernetes of modelfleet: three providers behind one small interface.

Started as ``python3 -m tests.cluster VERB`` from the root of the repository, by people, by the
Makefile and by the tests that need an API server. Everything in this package runs on a bare
Python 3.11, before any virtual environment exists, so it imports the standard library only.
It must never import the product, and never touch a cluster other than the one it made.
"""
