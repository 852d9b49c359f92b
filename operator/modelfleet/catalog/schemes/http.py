"""Schemes `https` and `http`: a fetch needs nothing from the pod."""

from modelfleet.api.mlmodel import MLModelSpec
from modelfleet.catalog.schemes.base import FetchShape


class HttpScheme:
    """One file by a plain GET."""

    names = ("https", "http")

    def pod(self, spec: MLModelSpec) -> FetchShape:  # noqa: ARG002 - a public address needs nothing
        """Return an empty shape."""
        return FetchShape()
