"""Install the system packages that the native cluster needs, without starting anything.

Called by ``cluster.up`` and by ``images``. On Debian and its children missing packages are
installed; elsewhere the missing programs are named. Nothing may be started by an installation,
so services are denied for its duration, and what was denied before stays so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.base import ClusterError
from tests.cluster.console import run_long, say
from tests.cluster.locks import exclusive
from tests.cluster.paths import cache

CLUSTER = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
IMAGES = {"mmdebstrap": "mmdebstrap"}
PROMETHEUS = {"prometheus": "prometheus"}
CNI_PACKAGE = "containernetworking-plugins"
CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
SERVICE_POLICY = Path("/usr/sbin/policy-rc.d")


def program(name: str) -> str | None:
    """Find a program; system folders count, as not every root has them in its path."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(SYSTEM_FOLDERS))


def cni_folder() -> str | None:
    """Find the folder with the network plugins."""
    return next((each for each in CNI_FOLDERS if (Path(each) / "ptp").exists()), None)


def missing(programs: Mapping[str, str], *, plugins: bool) -> list[str]:
    """Give the Debian packages that are not there."""
    packages = {package for name, package in programs.items() if program(name) is None}
    if plugins and cni_folder() is None:
        packages.add(CNI_PACKAGE)
    return sorted(packages)


def ensure(programs: Mapping[str, str], *, plugins: bool = False) -> None:
    """Install what is missing, or say what a person has to install."""
    packages = missing(programs, plugins=plugins)
    if not packages:
        return
    if program("apt-get") is None or os.geteuid() != 0:
        message = f"missing on this machine, please install: {', '.join(packages)}"
        raise ClusterError(message)
    # The cluster and the images are made side by side, and apt-get lets only one list packages.
    with exclusive(cache() / "apt.lock"):
        _install(packages)


def _install(packages: list[str]) -> None:
    say(f"installing Debian packages: {', '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = ["-o", "DPkg::Lock::Timeout=300"]
    install = ["apt-get", *patient, "install", "-y", "--no-install-recommends", *packages]
    with _services_denied():
        for argv in (["apt-get", "update"], install):
            run_long(
                argv,
                title=f"  apt-get {'install' if 'install' in argv else 'update'}",
                describe=lambda count: f"{count} lines",
                environment=environment,
            )


@contextmanager
def _services_denied() -> Iterator[None]:
    if SERVICE_POLICY.exists():
        yield  # somebody has decided about services already
        return
    SERVICE_POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    SERVICE_POLICY.chmod(0o755)
    try:
        yield
    finally:
        SERVICE_POLICY.unlink(missing_ok=True)
