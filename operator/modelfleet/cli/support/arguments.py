"""Arguments that `bench autoscale` and `simulate` share, and the values made from them.

`ended` prints the errors that are raised here. Must never import numba or numpy before they are
needed.
"""

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.simulate.simulated_service import SimulatedService

MAX_PERCENT = 100


class UsageError(Exception):
    """Error for a request that cannot be carried out; the message goes to the terminal."""


def parser(verb: str, text: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that describe trace and service."""
    arguments = argparse.ArgumentParser(prog=f"modelfleet {verb}", description=text)
    arguments.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="CSV (also .gz): t_seconds,requests_per_second, or t_seconds with a row per request",
    )
    service = arguments.add_argument_group("the service")
    service.add_argument("--startup-seconds", type=float, required=True, metavar="S")
    service.add_argument(
        "--wait-seconds",
        type=float,
        required=True,
        metavar="W",
        help="longest wait that is allowed",
    )
    service.add_argument(
        "--slots",
        type=int,
        required=True,
        metavar="K",
        help="requests that a replica works on in parallel",
    )
    service.add_argument(
        "--service-seconds", type=float, metavar="s", help="mean time of a request without waiting"
    )
    service.add_argument("--service-cv", type=float, default=0.7, metavar="CV")
    service.add_argument("--startup-cv", type=float, default=0.0, metavar="CV")
    service.add_argument(
        "--drift", type=float, default=0.0, help="swing of the service time over a day, 0 to 1"
    )
    scoring = arguments.add_argument_group("scoring")
    scoring.add_argument(
        "--aim-percent", type=float, default=1.0, help="requests that may wait longer (1)"
    )
    scoring.add_argument(
        "--skip-days",
        type=float,
        metavar="DAYS",
        help="history that is not scored (7 for 10 days or more, else an eighth of the trace)",
    )
    scoring.add_argument(
        "--rate-times",
        type=float,
        default=1.0,
        metavar="X",
        help="multiply the rates by X and draw the requests",
    )
    arguments.add_argument(
        "--plot", type=Path, metavar="FILE", help="write a picture (needs the extra 'plot')"
    )
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers")
    return arguments


def check_arguments(chosen: argparse.Namespace) -> None:
    """Check the arguments before any file is read.

    Raises `UsageError` with option and value.
    """
    if not 0 < chosen.aim_percent < MAX_PERCENT:
        message = f"--aim-percent must be above 0 and below 100: {chosen.aim_percent:g}"
        raise UsageError(message)
    if not 0 < chosen.rate_times < math.inf:
        message = f"--rate-times must be above 0 and finite: {chosen.rate_times:g}"
        raise UsageError(message)
    if chosen.skip_days is not None and not 0 <= chosen.skip_days < math.inf:
        message = f"--skip-days must be 0 or more and finite: {chosen.skip_days:g}"
        raise UsageError(message)
    _check_files(chosen)


def _check_files(chosen: argparse.Namespace) -> None:
    """Check that results can be written, before hours of work; raises `UsageError`."""
    for option, path in (("--json", chosen.json), ("--plot", chosen.plot)):
        if path is None:
            continue
        folder = path.absolute().parent
        if not folder.is_dir():
            message = f"{option} {path}: there is no folder {folder}"
            raise UsageError(message)
        if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
            message = f"{option} {path}: cannot be written"
            raise UsageError(message)
    if chosen.plot is not None:
        from modelfleet.simulate.plot import figure

        endings = figure(1, 1).canvas.get_supported_filetypes()
        ending = chosen.plot.suffix.removeprefix(".").lower()
        if ending and ending not in endings:
            message = f"--plot {chosen.plot}: its name must end in one of {', '.join(endings)}"
            raise UsageError(message)


def check_least(least: int, most: int) -> int:
    """Return the least number of replicas; raises `UsageError`."""
    if not 0 <= least <= most:
        message = f"--least-replicas must be from 0 to {most}: {least}"
        raise UsageError(message)
    return least


def service_of(chosen: argparse.Namespace, measured_seconds: float | None) -> "SimulatedService":
    """Return the service that the arguments describe; raises `UsageError`.

    `measured_seconds`: mean service time of the trace, used where the file has one.
    """
    from modelfleet.simulate.simulated_service import SimulatedService

    seconds = measured_seconds or chosen.service_seconds
    if seconds is None:
        raise UsageError("--service-seconds is needed")
    try:
        return SimulatedService(
            startup_seconds=chosen.startup_seconds,
            wait_seconds=chosen.wait_seconds,
            slots=chosen.slots,
            service_seconds=seconds,
            service_cv=chosen.service_cv,
            startup_cv=chosen.startup_cv,
            drift=chosen.drift,
        )
    except ValueError as fault:
        # Each field has the name of its option.
        field, rest = str(fault).split(" ", 1)
        message = f"--{field.replace('_', '-')} {rest}"
        raise UsageError(message) from fault


def skip_of(chosen: argparse.Namespace, seconds: float) -> float:
    """Return the seconds of history of a trace of that length; raises `UsageError`."""
    from modelfleet.simulate.comparison import default_skip_seconds

    skip = default_skip_seconds(seconds)
    if chosen.skip_days is not None:
        skip = chosen.skip_days * 86_400.0
    if skip >= seconds - 60:
        option = "--skip-days" if chosen.skip_days is not None else "the default of --skip-days,"
        message = (
            f"{option} {skip / 86_400:.3g} leaves nothing to score of a trace of"
            f" {seconds / 86_400:.3g} days"
        )
        raise UsageError(message)
    return skip
