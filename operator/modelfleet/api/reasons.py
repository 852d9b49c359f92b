"""Reasons of conditions, each with its text: the only place where a reason is written down.

`model.status` sets them, health scripts and people read them, the reference page is made from
them. A reason that was released is never renamed.
"""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Word for programs, sentence for the reference page, and advice that ends a message."""

    text: str
    advice: str

    def __new__(cls, word: str, text: str = "", advice: str = "") -> Self:
        """`advice` says what to do, where a person can do something."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.text, member.advice = text, advice
        return member

    SERVING = ("Serving", "At least the minimum of replicas serves the route.")
    STARTING = ("Starting", "The first replicas start; requests are held until one is ready.")
    IDLE = ("Idle", "Scaled to zero for want of traffic; the next request is held and wakes it.")
    HOLDING = ("Holding", "No replica is ready; the gateway holds requests.")
    BELOW_FLOOR = ("BelowFloor", "Fewer replicas are ready than `scaling.minReplicas`.")
    NO_VERSION = ("NoVersion", "No version exists yet.")
    RESOLVING = ("Resolving", "The artifact's digest is being determined by a one-shot pod.")
    ROLLING_OUT = ("RollingOut", "A new version takes over.")
    DRAINING = (
        "Draining",
        "The new version serves; replicas of the old one finish their requests.",
    )
    SETTLED = ("Settled", "Nothing is left to do.")
    COMPLETE = ("Complete", "The version that the spec asks for serves all traffic.")
    PAUSED = ("Paused", "`spec.paused` stops rollouts.")
    GATEWAY_SILENT = (
        "GatewaySilent",
        "A rollout waits for a gateway that has not reported; its weights stay.",
    )
    ROUTE_REJECTED = (
        "RouteRejected",
        "A gateway refused the route; the last accepted one stays in effect.",
        "the last accepted route stays in effect; undo the change, or read the agent's log",
    )
    FOLLOWING = ("Following", "Replicas follow the measured traffic.")
    EXTERNAL_REPLICAS = (
        "ExternalReplicas",
        "`spec.replicas` is set; the autoscaler only recommends.",
    )
    RECOMMENDING = ("Recommending", "`scaling.mode` is Recommend; replicas stay as they are.")
    SWITCHED_OFF = ("SwitchedOff", "`scaling.mode` is Off; replicas stay as they are.")
    NO_SAMPLES = ("NoSamples", "No recent samples from the gateways; the last grant is held.")
    SAMPLED = ("Sampled", "Every gateway reports, and every signal has a value.")
    PROMETHEUS_OFF = (
        "PrometheusOff",
        "`scaling.signals` are set, but the operator knows no Prometheus.",
    )
    PROMETHEUS_SILENT = ("PrometheusSilent", "Prometheus does not answer; the last grant is held.")
    QUERY_FAILED = ("QueryFailed", "Prometheus refuses a signal's query; the last grant is held.")
    MANY_SERIES = ("ManySeries", "A signal's query gives several series; the last grant is held.")
    NO_SERIES = ("NoSeries", "A signal has no value in Prometheus; the last grant is held.")
    WRONG_VALUE = ("WrongValue", "A signal's value is no usable number; the last grant is held.")
    STALE_SIGNAL = ("StaleSignal", "A signal was not read for too long; the last grant is held.")
    SCHEDULES_CONFLICT = (
        "SchedulesConflict",
        "Two open windows contradict each other; the minimum wins.",
    )
    OBJECTIVE_UNREACHABLE = (
        "ObjectiveUnreachable",
        "A request alone in a replica already misses the objective.",
    )
    OVERLOADED = (
        "Overloaded",
        "More requests come than the replicas can answer; the others get 503.",
    )
    NOT_USED = ("NotUsed", "The feature is off for this model.")
    PASSING = ("Passing", "Every replica answered its admission probe correctly.")
    PROBE_FAILED = (
        "ProbeFailed",
        "A replica gave a wrong answer to its admission probe and is kept out.",
        "look at the model's answer; the replica is kept out of traffic",
    )
    HEALTHY = ("Healthy", "No fault is known.")
    INVALID_SPEC = (
        "InvalidSpec",
        "The spec contradicts itself in a way that only the controller can see.",
    )
    UNKNOWN_RUNTIME = ("UnknownRuntime", "`runtime.name` is not in the catalogue.")
    UNKNOWN_VERSION = ("UnknownVersion", "`spec.version` names a version that does not exist.")
    CONFIG_MAP_MISSING = (
        "ConfigMapMissing",
        "A ConfigMap, or the key in it, that `runtime.env` names is absent.",
        "create it",
    )
    FETCH_FAILED = (
        "FetchFailed",
        "The artifact cannot be fetched from `model.uri`.",
        "check that model.uri can be fetched from the cluster",
    )
    ARTIFACT_MISMATCH = (
        "ArtifactMismatch",
        "The artifact's bytes are not those of the digest.",
        "publish changed bytes under a new model.uri or model.version",
    )
    NOT_A_MODEL = (
        "NotAModel",
        "The artifact is not a model that the runtime can load.",
        "check that model.uri names a valid ONNX file",
    )
    IMAGE_PULL_FAILED = (
        "ImagePullFailed",
        "An image cannot be pulled.",
        "check runtime.image and the node's access to its registry",
    )
    CRASH_LOOP = (
        "CrashLoop",
        "The container has ended at least twice.",
        "read the logs of the pod",
    )
    CONTAINER_FAILED = (
        "ContainerFailed",
        "The container cannot be created or started.",
        "check runtime.command, env and the Secrets they name",
    )
    UNSCHEDULABLE = (
        "Unschedulable",
        "No node can take a replica.",
        "free or add capacity, or lower resources",
    )
    START_TIMEOUT = (
        "StartTimeout",
        "Not ready within `runtime.startupSeconds`.",
        "raise runtime.startupSeconds or make loading faster",
    )
    NAME_TAKEN = (
        "NameTaken",
        "An object of a needed name exists and is not ours; it is left alone.",
        "rename the model, or remove or rename that object",
    )
    CREATE_REFUSED = (
        "CreateRefused",
        "The API server does not take an object that the model needs.",
        "change what the API server objects to",
    )
    PODS_REFUSED = (
        "PodsRefused",
        "Kubernetes refuses to make the pods: quota, pod security or limits.",
        "raise the quota or change resources and runtime to what is allowed",
    )
    PLAN_REFUSED = (
        "PlanRefused",
        "The operator's own safety check refused a plan; the last one stays.",
    )
