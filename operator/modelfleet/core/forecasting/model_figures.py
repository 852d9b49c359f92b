"""What the policy must know of one model: how long things take and what was promised.

Made by the engine from spec, status and what was learned (and by the simulator from its
parameters). Values only.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model's figures.

    `startup_seconds` from the creation of a pod to its first answer (S); `wait_seconds` that a
    request may wait (W); `slots` requests that one replica works on at once within the objective
    (k); `service_seconds` of one request without waiting (s); `aim` is the share of requests that
    may break the promise (0.01 = 1 %).
    """

    startup_seconds: float
    wait_seconds: float
    slots: float
    service_seconds: float
    aim: float = 0.01
