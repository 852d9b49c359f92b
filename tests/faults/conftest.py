"""The fault campaigns stand on the same ground as the end-to-end tests."""

from tests.e2e.conftest import artifacts, folder, load, namespace, store

__all__ = ["artifacts", "folder", "load", "namespace", "store"]
