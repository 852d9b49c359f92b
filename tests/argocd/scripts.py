"""Runs Argo CD's Lua scripts as Argo CD does: Lua 5.1, the object as the global `obj`.

Source: argo-cd, util/lua: health scripts return a table with `status` and `message`, discovery
scripts one of actions, action scripts the changed object.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lupa import lua51

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "argocd" / "resource_customizations" / "modelfleet.dev"


def run(script: Path, item: dict[str, Any]) -> Any:
    """What a script returns for an object, as dicts and lists."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    runtime.globals().obj = _table(runtime, item)
    return _plain(runtime.execute(script.read_text()))


def _table(runtime: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from(
            {key: _table(runtime, item) for key, item in value.items() if item is not None}
        )
    if isinstance(value, list):
        return runtime.table_from([_table(runtime, item) for item in value])
    return value


def _plain(value: Any) -> Any:
    if lua51.lua_type(value) != "table":
        return value
    keys = list(value.keys())
    if keys and keys == list(range(1, len(keys) + 1)):
        return [_plain(value[key]) for key in keys]
    return {key: _plain(value[key]) for key in keys}
