"""Models come, are called once, and go; many at a time."""

from __future__ import annotations

import asyncio

from tests.campaigns.fake_fleet import AT_ONCE, Client, client, fake_model


async def lived(one: Client, namespace: str, name: str) -> int:
    """One model's life; returns the status of its request, which is held until it is ready."""
    await one.create(fake_model(namespace, name))
    try:
        return await one.served(namespace, name)
    finally:
        await one.delete(namespace, name)


async def churned(namespace: str, numbers: range) -> dict[int, int]:
    """So many lives, AT_ONCE at a time; returns how often each status came."""
    bound, statuses = asyncio.Semaphore(AT_ONCE // 2), {}

    async def life(number: int, one: Client) -> None:
        async with bound:
            status = await lived(one, namespace, f"m{number}")
            statuses[status] = statuses.get(status, 0) + 1

    async with client() as one:
        await asyncio.gather(*(life(number, one) for number in numbers))
    return statuses
