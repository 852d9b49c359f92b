"""ConfigMaps that specs name, read when a version is about to be created.

`model.turn` reads them through a port. There is no watch, because their content is copied into the
version.
"""

from collections.abc import Mapping

from modelfleet.errors import Gone
from modelfleet.kube.client import KubeClient
from modelfleet.kube.resource import CONFIG_MAPS


class ConfigMaps:
    """Reads ConfigMaps from the API server."""

    def __init__(self, client: KubeClient) -> None:
        """`client` sends the requests."""
        self._client = client

    async def read(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return the data of a ConfigMap, or None when it does not exist."""
        try:
            config_map = await self._client.get(CONFIG_MAPS, namespace, name)
        except Gone:
            return None
        data: Mapping[str, str] = config_map.get("data") or {}
        return data
