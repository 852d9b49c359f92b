"""Routes of one model: what Envoy does with a request, from retries to holds. Pure.

`xds.builders` puts them into the model's virtual host. Must never look at replicas: they change
more often than routes.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from modelfleet.facts.route import RequestMatch, Route
from modelfleet.gateway import envoy_names
from modelfleet.gateway.requests.hold_times import longest_hold_seconds
from modelfleet.gateway.watched.view import ModelView
from modelfleet.gateway.xds.resources import TYPE_PREFIX

RETRIES: Final = 10
"""Above 5: each answer of the holder is one retry, and every other retry may meet a dead
replica."""
ATTEMPTS: Final = 3
"""Attempts at replicas that may each last for the whole request time-out."""
PRIORITY_UPDATE_FREQUENCY: Final = 1
"""Failed attempts after which `previous_priorities` looks at the aggregate again. With 2 Envoy used
the state of one attempt before; replicas that left meanwhile made Envoy 1.40 crash
(docs/decisions/0008)."""
SELECTIONS: Final = 64
"""Draws for a host not tried yet. Of two, the broken one is idle, and least-request prefers it (3
in 4). 5 draws miss the good one in 24 %, 64 draws in 1e-8."""
HIDDEN_PATHS: Final = (
    "(?i)/+" + "".join(f"({c}|%{ord(c):x}|%{ord(c.upper()):x})" for c in "metrics") + "/*"
)
"""Paths of servers that the external listener does not carry: they tell of all other clients.
Servers read an encoded letter as the letter itself."""
UNSENT: Final = "connect-failure,refused-stream,reset-before-request"
_RETRY_ON: Final = f"{UNSENT},retriable-headers"
UNCOUNTED_RETRIES: Final = 2
_TYPED: Final = "@type"
_HOSTS: Final = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_OTHER_HOST: Final = {
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {_TYPED: TYPE_PREFIX + _HOSTS},
        }
    ],
    "host_selection_retry_max_attempts": SELECTIONS,
}


def retry_policy(*, is_idempotent: bool, silence_seconds: int, hold_seconds: int) -> dict[str, Any]:
    """Return the retries: a failure on a replica leads to the holder.

    The holder sends the request back, or answers it. Each attempt ends after `silence_seconds`
    without a byte, also one at the holder. A hold that is longer takes several attempts.
    """
    holds = math.ceil(hold_seconds / longest_hold_seconds(silence_seconds)) - 1
    priority = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
    return {
        "retry_on": f"{_RETRY_ON},reset" if is_idempotent else _RETRY_ON,
        "num_retries": RETRIES + holds,
        "per_try_idle_timeout": f"{silence_seconds}s",
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "retriable_headers": [{"name": envoy_names.HEADER_RETRY, "present_match": True}],
        **_OTHER_HOST,
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                _TYPED: TYPE_PREFIX + priority,
                "update_frequency": PRIORITY_UPDATE_FREQUENCY,
            },
        },
    }


def overwritten(name: str, value: str) -> dict[str, Any]:
    """Return a header that replaces what a client sent."""
    # Overwriting makes headers of a client worthless: only Envoy sets them.
    return {
        "header": {"key": name, "value": value},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }


def counted_action(view: ModelView) -> dict[str, Any]:
    """Return what happens to a request: retries, holds, and versions by weight."""
    route = view.route
    return {
        # An answer that flows is never cut. The silence of a hold and of a few attempts is allowed.
        "timeout": "0s",
        "idle_timeout": f"{route.hold_max_seconds + ATTEMPTS * route.request_timeout_seconds}s",
        "retry_policy": retry_policy(
            is_idempotent=route.idempotent,
            silence_seconds=route.request_timeout_seconds,
            hold_seconds=route.hold_max_seconds,
        ),
        "weighted_clusters": _weighted(view, envoy_names.version_cluster),
        **_upgrades(route),
    }


def _weighted(view: ModelView, cluster: Callable[[str, str], str]) -> dict[str, Any]:
    return {
        "clusters": [
            {
                "name": cluster(view.namespace, share.version),
                "weight": share.weight,
                "request_headers_to_add": [overwritten(envoy_names.HEADER_VERSION, share.version)],
            }
            for share in view.route.weights
            if share.weight > 0
        ]
    }


def _upgrades(route: Route) -> dict[str, Any]:
    configs = [{"upgrade_type": protocol.lower()} for protocol in route.upgrades]
    return {"upgrade_configs": configs} if configs else {}


def uncounted_routes(view: ModelView) -> Iterator[dict[str, Any]]:
    """Yield the routes of requests that do not count: to replicas only, never to the holder."""
    for match in view.route.uncounted:
        yield {
            "name": envoy_names.uncounted_route(view.key),
            "match": _match(match),
            "route": {
                "timeout": "0s",
                "idle_timeout": f"{view.route.request_timeout_seconds}s",
                "retry_policy": {
                    "retry_on": UNSENT,
                    "num_retries": UNCOUNTED_RETRIES,
                    "per_try_idle_timeout": f"{view.route.request_timeout_seconds}s",
                    **_OTHER_HOST,
                },
                "weighted_clusters": _weighted(view, envoy_names.pods_cluster),
            },
        }


def _match(match: RequestMatch) -> dict[str, Any]:
    path = {"prefix": match.path_prefix or "/"} if match.path is None else {"path": match.path}
    headers = []
    if match.method is not None:
        headers.append({"name": ":method", "string_match": {"exact": match.method}})
    if match.header is not None:
        value = (
            {"exact": match.value} if match.value is not None else {"prefix": match.value_prefix}
        )
        headers.append({"name": match.header, "string_match": value})
    return {**path, "headers": headers}


def hidden_routes() -> tuple[dict[str, Any], ...]:
    """Return the routes of paths that are for the cluster only, such as a server's metrics."""
    text = '{"error": "this path is served inside the cluster only"}\n'
    answer = {"status": 404, "body": {"inline_string": text}}
    match = {"safe_regex": {"regex": HIDDEN_PATHS}}
    return ({"name": envoy_names.UNKNOWN, "match": match, "direct_response": answer},)
