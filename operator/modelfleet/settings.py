"""Environment -> frozen Settings. Only `compose` reads them; all other modules get values.

Each setting is an environment variable `MODELFLEET_<NAME>`. The reference page is generated from
the descriptions here. Must never hold a value that a user can set in an MLModel.
"""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_IMAGE_HELP = "Image of the container that"


class Settings(BaseSettings):
    """All settings of all modelfleet processes; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="MODELFLEET_", frozen=True, extra="ignore")

    namespace: str = Field("modelfleet-system", description="Namespace of operator and gateways.")
    watch_namespaces: str = Field(
        "", description="Comma-separated namespaces to serve; empty serves all."
    )
    pod_name: str = Field("", description="Name of the own pod; identity in the Lease and links.")
    cluster_domain: str = Field("cluster.local", description="DNS suffix of the cluster.")
    domain: str = Field("localhost", description="DNS suffix of the hosts seen from outside.")
    gateway: Literal["On", "Off"] = Field(
        "On", description="Off: no gateway is installed; models are plain Deployments."
    )
    default_exposure: Literal["Cluster", "External"] = Field(
        "Cluster", description="Exposure of models whose spec does not set it."
    )
    trusted_hops: int = Field(
        0,
        ge=0,
        le=16,
        description="Proxies and load balancers before the gateways' external port. Their"
        " `X-Forwarded-Proto` and `X-Forwarded-For` are believed. With 0, nobody's are.",
    )
    gateway_connections: int = Field(
        10_000,
        ge=0,
        description="Most client connections of each port of a gateway; further ones are closed."
        " 0: no bound.",
    )
    gateway_model_requests: int = Field(
        10_000,
        ge=1,
        le=1_000_000,
        description="Most requests to one version under way at a gateway; further ones get 503.",
    )
    default_concurrency: int = Field(
        4,
        ge=1,
        description="Assumed concurrent requests per replica when"
        " `scaling.concurrencyPerReplica` is not set.",
    )
    server_image: str = Field(
        "modelfleet/server:0.1.0", description=f"{_IMAGE_HELP} serves ONNX and fetches artifacts."
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        "IfNotPresent", description="Pull policy of the images that modelfleet chooses."
    )
    tick_seconds: float = Field(1.0, gt=0, description="Period of the scaling pass.")
    scale_down_seconds: float = Field(
        60.0, ge=0, description="How long demand must stay lower before replicas are removed."
    )
    keep_alive_seconds: float = Field(
        300.0, ge=1, description="Time without a request before a model may scale to zero."
    )
    prometheus_url: str = Field(
        "",
        description="Address of a Prometheus for `scaling.signals` and past arrivals of models;"
        " empty: no Prometheus is used.",
    )
    prometheus_token_file: str = Field(
        "",
        description="File with a bearer token for that Prometheus, such as"
        " `/var/run/secrets/kubernetes.io/serviceaccount/token`; empty: no token is sent.",
    )
    prometheus_ca_file: str = Field(
        "",
        description="File with the certificates (PEM) that the certificate of that Prometheus is"
        " checked against; empty: those of the image.",
    )
    prometheus_interval_seconds: float = Field(
        10.0, ge=1, description="Period of reading the signals from Prometheus."
    )
    prometheus_timeout_seconds: float = Field(
        5.0, gt=0, description="Longest time that one query to Prometheus may take."
    )
    prometheus_window_seconds: int = Field(
        120,
        ge=5,
        description="Range of `rate()` in seconds; at least four scrape intervals. History is read"
        " in steps of half this length.",
    )
    keep_warm_seconds: int = Field(
        300,
        ge=0,
        description="Seconds for which a retired version without accelerator keeps its replicas.",
    )
    hopeless_seconds: float = Field(
        30.0, ge=0, description="How long an outside cause may last before `Stalled` becomes true."
    )
    pre_stop_seconds: int = Field(
        5, ge=0, description="Sleep of a replica before its server gets the signal to stop."
    )
    gateway_drain_seconds: float = Field(
        60.0, ge=0, description="A gateway out of its Service for this long gets no traffic."
    )
    query_namespaces: str = Field(
        "",
        description="Comma-separated namespaces whose models may use `scaling.signals` with a"
        " `query`; empty: all. A query reads whatever that Prometheus has.",
    )
    lease_name: str = Field("modelfleet-operator", description="Name of the leader's Lease.")
    lease_seconds: float = Field(8.0, ge=1, description="Validity of the leader's Lease.")
    workers: int = Field(32, ge=1, description="Most turns (one for a model) at the same time.")
    api_concurrency: int = Field(
        64, ge=1, description="Most requests to the API server at the same time."
    )
    kube_context: str = Field("", description="Context of the kubeconfig outside a cluster.")
    log_format: Literal["json", "console"] = Field("json", description="Format of log lines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    health_address: str = Field(
        "",
        description="Address of health and metrics endpoints; empty: every address, of IPv4 and"
        " IPv6.",
    )
    health_port: int = Field(9446, description="Port of the operator's health and metrics.")
    state_dir: str = Field(
        "",
        description="Directory of the memory file, which keeps what the autoscaler has learned over"
        " restarts; empty: no file.",
    )
    run_dir: str = Field("/run/modelfleet", description="Directory of the gateway's sockets.")
    link_dir: str = Field(
        "/etc/modelfleet/link", description="Directory of the link's certificate and token."
    )


def listed(text: str) -> list[str]:
    """Return the names in a comma-separated setting."""
    return [part.strip() for part in text.split(",") if part.strip()]
