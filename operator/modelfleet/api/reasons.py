"""Reasons of conditions, each with its text: the only place where a reason is defined.

`model.status` sets them; health scripts and people read them. `modelfleet reference` makes a page
from them. A released reason is never renamed.
"""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Word for programs, sentence for the reference page, and advice that ends a message."""

    text: str
    advice: str

    def __new__(cls, word: str, text: str = "", advice: str = "") -> Self:
        """Add a reason; `advice` is what a person can do, empty where nothing is to be done."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.text, member.advice = text, advice
        return member

    SERVING = ("Serving", "At least the minimum of replicas serves the route.")
    STARTING = ("Starting", "The first replicas start; requests are held until one is ready.")
    IDLE = ("Idle", "Zero replicas, as no request comes; the next request is held and starts one.")
    HOLDING = ("Holding", "No replica is ready; the gateways hold requests.")
    BELOW_FLOOR = ("BelowFloor", "Fewer replicas are ready than `scaling.minReplicas`.")
    NO_VERSION = ("NoVersion", "No version exists yet.")
    RESOLVING = ("Resolving", "The artifact's digest is being determined by a one-shot pod.")
    ROLLING_OUT = ("RollingOut", "The version that the spec asks for starts or takes over.")
    DRAINING = (
        "Draining",
        "The new version serves; pods of the old one are still there.",
    )
    SETTLED = ("Settled", "Nothing is left to do.")
    COMPLETE = ("Complete", "The version that the spec asks for serves all traffic.")
    PAUSED = ("Paused", "`spec.paused` stops rollouts.")
    GATEWAY_SILENT = (
        "GatewaySilent",
        "A gateway does not report; the rollout waits and its weights stay.",
    )
    ROUTE_REJECTED = (
        "RouteRejected",
        "A gateway refused the route; the last accepted route stays in effect.",
        "the last accepted route stays in effect; undo the change, or read the agent's log",
    )
    FOLLOWING = ("Following", "Replicas follow the measured traffic.")
    DRAIN_WAITS = (
        "DrainWaits",
        "A replica that must be removed has run a minute longer; the message gives the cause.",
    )
    EXTERNAL_REPLICAS = (
        "ExternalReplicas",
        "`spec.replicas` is set; the autoscaler only recommends.",
    )
    RECOMMENDING = ("Recommending", "`scaling.mode` is Recommend; replicas stay as they are.")
    SWITCHED_OFF = ("SwitchedOff", "`scaling.mode` is Off; replicas stay as they are.")
    NO_SAMPLES = ("NoSamples", "A gateway has sent no recent sample; the last grant stays.")
    SAMPLED = ("Sampled", "Every gateway reports, and every signal has a value.")
    PROMETHEUS_OFF = (
        "PrometheusOff",
        "`scaling.signals` is set, but the operator has no address of Prometheus.",
    )
    PROMETHEUS_SILENT = ("PrometheusSilent", "Prometheus does not answer; the last grant stays.")
    QUERY_FAILED = ("QueryFailed", "Prometheus refuses a signal's query; the last grant stays.")
    QUERY_NOT_ALLOWED = (
        "QueryNotAllowed",
        "The installation allows no queries in this namespace; the last grant stays.",
    )
    MANY_SERIES = ("ManySeries", "A signal's query gives several series; the last grant stays.")
    NO_SERIES = ("NoSeries", "A signal has no value in Prometheus; the last grant stays.")
    WRONG_VALUE = ("WrongValue", "A signal's value is not a usable number; the last grant stays.")
    STALE_SIGNAL = ("StaleSignal", "A signal's last reading is too old; the last grant stays.")
    SCHEDULES_CONFLICT = (
        "SchedulesConflict",
        "Two open schedules contradict each other; the minimum holds.",
    )
    OBJECTIVE_UNREACHABLE = (
        "ObjectiveUnreachable",
        "A single request on an idle replica already takes longer than the objective.",
    )
    OVERLOADED = (
        "Overloaded",
        "More requests arrive than the replicas can answer; the rest gets 503.",
    )
    HOLD_TOO_SHORT = (
        "HoldTooShort",
        "A sleeping model starts more slowly than requests are held, so the first ones get 503.",
    )
    IMAGE_MOVED = (
        "ImageMoved",
        "Replicas of one version run two images, as the tag of the image was moved.",
    )
    NOT_USED = ("NotUsed", "The feature is off for this model.")
    PASSING = ("Passing", "Every replica answered its admission probe correctly.")
    PROBE_FAILED = (
        "ProbeFailed",
        "A replica gave a wrong answer to its admission probe.",
        "look at the model's answer, or set quality.generatedProbes to false",
    )
    HEALTHY = ("Healthy", "No fault was found.")
    INVALID_SPEC = (
        "InvalidSpec",
        "The spec has a fault that the schema cannot express.",
    )
    UNKNOWN_RUNTIME = ("UnknownRuntime", "`runtime.name` is not in the catalogue.")
    UNKNOWN_VERSION = ("UnknownVersion", "`spec.version` names a version that does not exist.")
    CONFIG_MAP_MISSING = (
        "ConfigMapMissing",
        "`runtime.env` names a ConfigMap, or a key in one, that does not exist.",
        "create it",
    )
    FETCH_FAILED = (
        "FetchFailed",
        "The artifact cannot be fetched from `model.uri`.",
        "check that model.uri can be fetched from the cluster",
    )
    ARTIFACT_MISMATCH = (
        "ArtifactMismatch",
        "The artifact's bytes do not have the expected digest.",
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
        "No node has room for a replica.",
        "free or add capacity, or lower resources",
    )
    START_TIMEOUT = (
        "StartTimeout",
        "A replica was not ready within `runtime.startupSeconds`.",
        "raise runtime.startupSeconds or make loading faster",
    )
    NAME_TAKEN = (
        "NameTaken",
        "A foreign object has a name that the model needs; modelfleet leaves it unchanged.",
        "rename the model, or remove or rename that object",
    )
    CREATE_REFUSED = (
        "CreateRefused",
        "The API server refuses an object that the model needs.",
        "change the field that the API server refuses",
    )
    POD_FAILED = (
        "PodFailed",
        "Kubernetes ended a pod as a whole: evicted, out of a resource, or refused by its node.",
        "raise the resource that the message names, or free the node",
    )
    WRITE_REFUSED = (
        "WriteRefused",
        "The API server refuses a change of an object of the model.",
        "allow the operator to make this change",
    )
    PODS_REFUSED = (
        "PodsRefused",
        "Kubernetes refuses to create the pods: quota, pod security or limits.",
        "raise the quota, or change resources and runtime to allowed values",
    )
    PLAN_REFUSED = (
        "PlanRefused",
        "The operator's own safety check refused a plan; the last state stays.",
    )
