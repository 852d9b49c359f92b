"""Figures of one model that the policy needs: durations, slots and the error budget.

The engine fills them from spec, status and learned values; the simulator from its parameters.
Values only.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Figures of one model.

    `startup_seconds` from the creation of a pod to its first answer (S); `wait_seconds` that a
    request may wait (W); `slots` requests that one replica works on at once within the objective
    (k); `service_seconds` of one request without waiting (s); `aim` is the share of requests that
    may break the objective (0.01 = 1 %).
    """

    startup_seconds: float
    wait_seconds: float
    slots: float
    service_seconds: float
    aim: float = 0.01
