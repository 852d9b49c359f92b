"""The generated admission probe over HTTP, by the Open Inference Protocol v2.

It reads the server's metadata, sends zeros of that shape, and checks the answer. `admission` calls
it for each new endpoint. Must never raise for anything that a server does. Must never call an
answer wrong that only refuses this kind of request.
"""

import asyncio
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from modelfleet.gateway.admission.admission import ProbeOutcome
from modelfleet.gateway.watched.view import ProbeSpec

MAX_ELEMENTS = 4_000_000
_UNFIT_CODES = frozenset({400, 405, 411, 413, 415, 422, 501})
_BUSY_CODES = frozenset({408, 429, 503, 504})
_ZEROS: Mapping[str, Any] = {"BOOL": False, "BYTES": ""}


class HttpProber:
    """Probes over one shared client session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """`session` is closed by its owner."""
        self._session = session

    async def ask(self, endpoint: str, spec: ProbeSpec) -> ProbeOutcome:
        """Send a metadata request and an inference; `Late` when either answer is late."""
        try:
            async with asyncio.timeout(spec.timeout_seconds):
                return await self._ask(f"http://{endpoint}/v2/models/{spec.model}")
        except TimeoutError:
            return ProbeOutcome("Late", f"no answer within {spec.timeout_seconds:g} s")
        except aiohttp.ClientError as error:
            return ProbeOutcome("Late", f"no answer: {error!r}"[:200])
        except (ValueError, KeyError, TypeError) as error:
            return ProbeOutcome("Wrong", f"answer cannot be read: {error!r}"[:200])

    async def _ask(self, url: str) -> ProbeOutcome:
        code, answer = await self._call("GET", url, None)
        if code != HTTPStatus.OK:
            return _refusal("metadata", code)
        request = generate(orjson.loads(answer))
        if request is None:
            return ProbeOutcome("Unfit", "no request can be generated from the metadata")
        code, answer = await self._call("POST", f"{url}/infer", orjson.dumps(request))
        if code != HTTPStatus.OK:
            return _refusal("inference", code)
        return judge(orjson.loads(answer))

    async def _call(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"} if body else {}
        async with self._session.request(method, url, data=body, headers=headers) as response:
            return response.status, await response.read()


def _refusal(step: str, code: int) -> ProbeOutcome:
    reason = f"{step}: HTTP {code}"
    if code in _BUSY_CODES:
        return ProbeOutcome("Late", reason)
    return ProbeOutcome("Unfit" if code in _UNFIT_CODES else "Wrong", reason)


def generate(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return zeros of every input's shape, unknown dimensions as 1; None when impossible."""
    inputs = []
    for tensor in metadata.get("inputs") or []:
        shape = [size if size > 0 else 1 for size in tensor["shape"]]
        count = math.prod(shape)
        if count > MAX_ELEMENTS:
            return None
        zero = _ZEROS.get(tensor["datatype"], 0)
        inputs.append(
            {
                "name": tensor["name"],
                "datatype": tensor["datatype"],
                "shape": shape,
                "data": [zero] * count,
            }
        )
    return {"inputs": inputs} if inputs else None


def judge(answer: Mapping[str, Any]) -> ProbeOutcome:
    """Return `Right` when every output has values and each of them is a finite number."""
    outputs = answer.get("outputs")
    if not outputs:
        return ProbeOutcome("Wrong", "no outputs")
    for output in outputs:
        if "data" not in output and output.get("parameters"):
            continue  # binary extension: bytes follow the JSON, nothing can be checked
        values = list(_flat(output.get("data", [])))
        if not values:
            return ProbeOutcome("Wrong", f"output {output.get('name')!r} is empty")
        # JSON has no NaN: servers write null, or a bare word that orjson refuses to read.
        if any(
            value is None or (isinstance(value, float) and not math.isfinite(value))
            for value in values
        ):
            return ProbeOutcome("Wrong", f"output {output.get('name')!r} is not finite")
    return ProbeOutcome("Right")


def _flat(data: Any) -> Iterator[Any]:
    """Yield the values of nested lists in order; a single value counts as a list of one."""
    for part in data if isinstance(data, list) else [data]:
        if isinstance(part, list):
            yield from _flat(part)
        else:
            yield part
