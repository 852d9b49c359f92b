"""Error tree. The class of an error decides what the engine does with it.

    ModelfleetError
      Transient(retry_after)  try the same turn again after that time, with back-off
      Conflict                our object was old: make the turn again now
      Gone                    the model does not exist any more: forget its key
      Refused(reason)         a fault in the spec: a condition until the spec changes
      Bug                     a fault of the operator: log once, back off, count

Any module raises them; only `loop.worker` catches them. Must never be used for flow inside a
decision.
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
