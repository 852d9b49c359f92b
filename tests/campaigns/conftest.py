"""The campaigns stand on the same ground as the end-to-end tests."""

from tests.e2e.conftest import (
    artifacts,
    folder,
    load,
    namespace,
    pytest_collection_modifyitems,
    pytest_report_header,
    store,
)

__all__ = [
    "artifacts",
    "folder",
    "load",
    "namespace",
    "pytest_collection_modifyitems",
    "pytest_report_header",
    "store",
]
