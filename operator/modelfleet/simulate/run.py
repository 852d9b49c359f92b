"""Worlds and scalers in lockstep: advance, observe, decide, scale, until the trace ends.

`score` then values what happened. Must never show a scaler anything but observations. Must never
let a scaler act on an observation before its delay is over.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelfleet.simulate.scaler import FleetScaler, Scaler
from modelfleet.simulate.world import World

SHIPPED_DELAY_SECONDS = 1.0
"""Seconds from a gateway's sample to the effect of the decision: samples come every second."""


def run(world: World, scaler: Scaler, until_seconds: float | None = None) -> World:
    """Drive one world to the end of its trace; returns the world."""
    end = world.seconds if until_seconds is None else until_seconds
    interval, delay = scaler.interval_seconds, min(scaler.delay_seconds, scaler.interval_seconds)
    at, resting = world.now, 0.0
    while at < end:
        resting = resting + interval if world.is_empty else 0.0
        if resting > scaler.memory_seconds:
            ticks = max(0, int((min(world.oldest_unserved(), end) - at) / interval) - 1)
            at += ticks * interval
            world.advance(at)
            world.observe()
            resting = 0.0
        at = min(at + interval, end)
        _pass(world, max(world.now, at - delay), scaler.wake_seconds)
        seen = world.observe()
        if delay > 0:
            _pass(world, at, scaler.wake_seconds)
        world.scale_to(scaler.decide(seen))
    return world


def follow(world: World, plan: NDArray[np.int64], step_seconds: float) -> World:
    """Carry out a schedule: `plan[i]` replicas from i * `step_seconds` on; returns the world."""
    for step in (np.flatnonzero(np.diff(plan)) + 1).tolist():
        at = step * step_seconds
        if world.now <= at < world.seconds:
            world.advance(at)
            world.scale_to(int(plan[step]))
    world.advance(world.seconds)
    return world


def _pass(world: World, until: float, wake_seconds: float | None) -> None:
    """Let time pass; at zero replicas the first request starts one.

    `wake_seconds` is the delay of that start; None for a scaler without such a start.
    """
    if wake_seconds is not None and world.have() == 0:
        came = world.oldest_unserved()
        if came + wake_seconds < until:
            world.advance(max(world.now, came + wake_seconds))
            if world.have() == 0:
                world.scale_to(1)
    world.advance(until)


def run_fleet(
    worlds: Sequence[World],
    scaler: FleetScaler,
    until_seconds: float | None = None,
    delay_seconds: float = SHIPPED_DELAY_SECONDS,
) -> Sequence[World]:
    """Drive worlds of equal length through one decision for all in each interval."""
    end = worlds[0].seconds if until_seconds is None else until_seconds
    at = worlds[0].now
    while at < end:
        at = min(at + scaler.interval_seconds, end)
        for world in worlds:
            world.advance(max(world.now, at - delay_seconds))
        wanted = scaler.decide([world.observe() for world in worlds])
        for world, replicas in zip(worlds, wanted, strict=True):
            world.advance(at)
            world.scale_to(replicas)
    return worlds
