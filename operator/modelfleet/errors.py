"""The error tree. Each class says what the engine does with it.

    ModelfleetError
      Transient(retry_after)  try the same turn again after that time, with back-off
      Conflict                our view was old: turn again now
      Gone                    the model does not exist any more: forget its key
      Refused(reason)         a fault inside the spec: a condition until the spec changes
      Bug                     a fault of ours: log once, back off, count

Raised anywhere, caught by `loop.worker` only. Must never be used for flow inside a decision.
"""

from modelfleet.api.reasons import Reason


class ModelfleetError(Exception):
    """Base of all errors that the engine knows what to do with."""


class Transient(ModelfleetError):  # noqa: N818 - named after what the engine does
    """The world was not ready; the same turn is tried again after `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """`retry_after` in seconds; None leaves it to the back-off."""
        super().__init__(message)
        self.retry_after = retry_after


class Conflict(ModelfleetError):  # noqa: N818 - named after what the engine does
    """Somebody wrote since we read; the turn is made again with the newer object."""


class Gone(ModelfleetError):  # noqa: N818 - named after what the engine does
    """The object does not exist any more."""


class NameTaken(ModelfleetError):  # noqa: N818 - named after what the engine does
    """An object of the wanted name exists and is not ours; it is left alone."""

    def __init__(self, kind: str, name: str) -> None:
        """`kind` and `name` of the object in the way."""
        super().__init__(f"{kind} {name} exists and does not belong to this model")
        self.kind = kind
        self.name = name


class Refused(ModelfleetError):  # noqa: N818 - named after what the engine does
    """The spec asks for what cannot be; `reason` and the message go into a condition."""

    def __init__(self, reason: Reason, message: str) -> None:
        """`reason` is the condition's reason; the message says what the user must do."""
        super().__init__(message)
        self.reason = reason


class Bug(ModelfleetError):  # noqa: N818 - named after what the engine does
    """A fault of the operator itself."""
