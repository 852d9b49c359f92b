"""Values that the modules of the model server share: tensor descriptions and the client's error.

`server.open_inference`, `server.onnx_model` and `server.app` use them. Must never hold a request.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class RequestError(ValueError):
    """The client's request is wrong; the message names the field, `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        """Keep the HTTP status for the answer."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, datatype (of the protocol) and shape of an input or output; -1 for any length.

    `shape` is None if the model declares no number of dimensions. `labels` belong to the last one.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] | None
    labels: tuple[str | int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form of the metadata endpoint."""
        shape = [-1] if self.shape is None else list(self.shape)
        labels = {"parameters": {"labels": list(self.labels)}} if self.labels else {}
        return {"name": self.name, "datatype": self.datatype, "shape": shape, **labels}
