"""Writes the parts of the Helm chart that follow from something else: `make generate`.

`values.yaml`, `values.schema.json` and README from `chart.values`, the dashboards from
`chart.dashboards`, and the CRDs from `crds/`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from modelfleet import __version__
from tests.chart.dashboards import texts
from tests.chart.values import Values
from tests.cluster import envoy

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "modelfleet"


def defaults() -> dict[str, Any]:
    """The values as a user who says nothing has them."""
    values = Values().model_dump(by_alias=True, exclude_none=True)
    values["images"]["envoy"]["tag"] = f"v{envoy.version(envoy.REQUIREMENT.read_text())}"
    return values


def schema() -> dict[str, Any]:
    """JSON schema of the values, without references; Helm checks each install against it."""
    whole = Values.model_json_schema(by_alias=True)
    found = _inlined(whole, whole.pop("$defs"))
    # Helm merges the values of a parent chart into these two.
    found["properties"]["global"] = {"type": "object", "description": "Values of a parent chart."}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **found}


def _inlined(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = {**parts[node["$ref"].rsplit("/", 1)[-1]], **node}
    dropped = {"$ref", "title", "default"}
    kept = {key: item for key, item in node.items() if key not in dropped}
    if "properties" in node:
        kept["properties"] = {
            name: _inlined(item, parts) for name, item in node["properties"].items()
        }
        return {
            key: item if key == "properties" else _inlined(item, parts)
            for key, item in kept.items()
        }
    return {key: _inlined(item, parts) for key, item in kept.items()}


def values_text() -> str:
    """`values.yaml`: each value after its words."""
    head = (
        "# Written by `make generate` from tests/chart/values.py; each value is checked by Helm.\n"
    )
    return head + "\n".join(_lines(Values, defaults(), 0)) + "\n"


def _lines(model: type[BaseModel], values: dict[str, Any], depth: int) -> list[str]:
    lines, indent = [], "  " * depth
    for name, field in model.model_fields.items():
        alias = field.alias or name
        if alias not in values:
            continue
        value, below = values[alias], _model_of(field.annotation)
        lines.append(f"{indent}# {field.description}")
        if below is not None and value and _lines(below, value, depth + 1):
            lines += [f"{indent}{alias}:", *_lines(below, value, depth + 1)]
        else:
            lines.append(f"{indent}{alias}: {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _model_of(annotation: Any) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_model else None


def rows(model: type[BaseModel], values: dict[str, Any], path: str = "") -> list[str]:
    """One row of the README's table for each value."""
    found = []
    for name, field in model.model_fields.items():
        alias = f"{path}{field.alias or name}"
        below, value = _model_of(field.annotation), values.get(field.alias or name)
        if below is not None:
            found += rows(below, value or {}, f"{alias}.")
        else:
            shown = "" if value is None else f"`{json.dumps(value)}`"
            found.append(f"| `{alias}` | {field.description} | {shown} |")
    return found


README = """\
# modelfleet

Serves machine-learning models, scales them with their traffic, and rolls out versions without
losing a request.

```bash
helm install modelfleet charts/modelfleet --namespace modelfleet-system --create-namespace
helm test modelfleet --namespace modelfleet-system
```

* **One release for each cluster**, or with `watchNamespaces` one for each set of namespaces. The
  names of the objects are fixed.
* **The CRDs are upgraded with the chart and stay when it is uninstalled**, and with them every
  model. The gateways go with the chart: no request reaches a model until it is installed again.
* To delete all models too: `kubectl delete crd mlmodels.modelfleet.dev
  mlmodelversions.modelfleet.dev`.
* **From `kubectl apply -k` to Helm**: `helm install --take-ownership` takes over what is there, and
  no request is lost. Helm 4 needs `--force-conflicts`, at the upgrades after it, too.
* **Alerts and dashboards**: `monitoring.rules` and `monitoring.dashboards`. Without the
  prometheus-operator, give your Prometheus `files/monitoring/rules.yaml`. Each alert has a page in
  `docs/runbooks/` of the repository.
* `helm test` lets a real model answer a request; it needs no network outside the cluster.

## Values

| value | meaning | default |
|---|---|---|
"""


def write() -> None:
    """Write the files."""
    (CHART / "values.yaml").write_text(values_text())
    (CHART / "values.schema.json").write_text(json.dumps(schema(), indent=2) + "\n")
    (CHART / "README.md").write_text(README + "\n".join(rows(Values, defaults())) + "\n")
    folder = CHART / "files" / "crds"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for crd in sorted((ROOT / "crds").glob("*.dev.yaml")):
        shutil.copyfile(crd, folder / crd.name)
    folder = CHART / "files" / "monitoring" / "dashboards"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text)
    chart = CHART / "Chart.yaml"
    lines = [
        f"{key}: {__version__}"
        if (key := line.split(":")[0]) in {"version", "appVersion"}
        else line
        for line in chart.read_text().splitlines()
    ]
    chart.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write()
