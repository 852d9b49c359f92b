"""Error tree. The class of an error decides what the engine does with it.

    ModelfleetError
      Transient(retry_after)  the turn is made again after that time, with back-off
        Forbidden             the rest of the plan is applied; a condition names the object
      Conflict                our object was old: the turn is made again, with back-off
      Gone                    the object of a write does not exist any more: the same
      NameTaken               a foreign object has the name: a condition names it
      Refused(reason)         in a decision: a condition until the spec changes;
                              in a write: as Forbidden, and waiting cannot help
      Bug                     a fault of the operator: log it, back off, count

`model.turn` handles the refusals of single writes; every other error ends a turn in `loop.worker`.
Must never be used for flow inside a decision.
"""

from modelfleet.api.reasons import Reason


class ModelfleetError(Exception):
    """Base of all errors that the engine can handle."""


class Transient(ModelfleetError):  # noqa: N818 - named after what the engine does
    """A cause outside that may pass; the same turn is tried again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """`retry_after` in seconds; None leaves the time to the back-off."""
        super().__init__(message)
        self.retry_after = retry_after


class Forbidden(Transient):
    """The API server forbids a write: by rights, a quota or an admission webhook (HTTP 403)."""


class Conflict(ModelfleetError):  # noqa: N818 - named after what the engine does
    """Another writer has changed the object; the turn is made again with the newer object."""


class Gone(ModelfleetError):  # noqa: N818 - named after what the engine does
    """The object does not exist any more."""


class NameTaken(ModelfleetError):  # noqa: N818 - named after what the engine does
    """An object of the wanted name exists and is not ours; it is left alone."""

    def __init__(self, kind: str, name: str) -> None:
        """`kind` and `name` of the existing object."""
        super().__init__(f"{kind} {name} exists and does not belong to this model")
        self.kind = kind
        self.name = name


class Refused(ModelfleetError):  # noqa: N818 - named after what the engine does
    """The spec asks for something impossible; `reason` and the message go into a condition."""

    def __init__(self, reason: Reason, message: str) -> None:
        """`reason` is the condition's reason; the message gives the user advice."""
        super().__init__(message)
        self.reason = reason


class Bug(ModelfleetError):  # noqa: N818 - named after what the engine does
    """A fault of the operator itself."""
