"""Talk to the native cluster's containerd: load images, and forget an earlier cluster's pods.

Called by ``cluster``. The socket is reached through the first process's root directory, as it lies
in the cluster's own mount namespace. Only the images of this cluster may be touched.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.cluster.base import Archive
from tests.cluster.console import run
from tests.cluster.oci import Image, pack, read, slim, write

from . import build, layout
from .state import Process

DATABASE = "io.containerd.metadata.v1.bolt/meta.db"
# What containerd remembers of pods beside its database; images are elsewhere.
POD_FOLDERS = ("io.containerd.grpc.v1.cri", "io.containerd.runtime.v2.task")


def forget_pods(programs: Path, root: Path) -> None:
    """Drop all containers of an earlier cluster and keep the images."""
    for name in POD_FOLDERS:
        shutil.rmtree(root / name, ignore_errors=True)
    if (root / DATABASE).exists():
        run([str(programs / "forget"), str(root / DATABASE)])


def pause_image(programs: Path, folder: Path) -> Archive:
    """Give the image of every pod's first process, made of the one small program."""
    target = folder / f"pause-{programs.name}.tar"
    if target.exists():
        return read(target)
    folder.mkdir(parents=True, exist_ok=True)
    layer = pack({build.PAUSE: programs / build.PAUSE}, folder / "pause.layer")
    image = Image(layout.PAUSE_IMAGE, (layer,), {"Entrypoint": [f"/{build.PAUSE}"]})
    archive = write(image, target)
    layer.path.unlink()
    return archive


class Runtime:
    """The containerd of one running cluster."""

    def __init__(self, holder: Process) -> None:
        self._socket = f"/proc/{holder.pid}/root{layout.CONTAINERD_SOCKET}"

    def is_ready(self) -> bool:
        """Say whether it answers."""
        with suppress(Exception):
            return "Server" in self._ctr("version")
        return False

    def load(self, archive: Archive) -> bool:
        """Import an image unless the very same one is there."""
        if self._has(archive):
            return False
        # Only what is new: most of an image is the same Debian and the same packages as before.
        with tempfile.TemporaryDirectory(dir=archive.path.parent) as scratch:
            part = Path(scratch) / archive.path.name
            slim(archive, self._ctr("content", "list", "--quiet").split(), part)
            self._ctr("images", "import", str(part))
        return True

    def _has(self, archive: Archive) -> bool:
        lines = self._ctr("images", "list", f"name=={archive.reference}").splitlines()
        return any(archive.digest in line.split() for line in lines)

    def _ctr(self, *arguments: str) -> str:
        return run(["ctr", f"--address={self._socket}", "--namespace=k8s.io", *arguments])
