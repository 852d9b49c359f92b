"""Container images as plain files: a layer is a tar, an image is JSON beside it, in one archive.

Called by ``images`` and by the native cluster for its pause image. Written directly, because a
layer that changed is then ready in a second and the same input always gives the same digest. It
knows nothing of what is in an image; layers stay uncompressed, as they never cross a network.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .base import Archive

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Layer:
    """One tar on disk and its digest, ``sha256:...``."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """What is written into one archive; ``settings`` is the ``config`` part of the OCI format."""

    reference: str
    layers: tuple[Layer, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def digest_of(path: Path) -> str:
    """Give the digest of a file."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def pack(trees: Mapping[str, Path], target: Path) -> Layer:
    """Write trees of files as one layer: name in the image -> file or folder on disk.

    Owners and times are set to zero and entries are sorted, so equal trees give equal layers.
    """
    fresh = target.with_suffix(".new")
    with tarfile.open(fresh, "w", format=tarfile.PAX_FORMAT) as archive:
        for prefix, tree in sorted(trees.items()):
            for path in (tree, *sorted(tree.rglob("*"))):
                inner = path.relative_to(tree)
                name = prefix if path == tree else f"{prefix}/{inner.as_posix()}"
                _add(archive, path, name)
    fresh.replace(target)
    return Layer(target, digest_of(target))


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    info = archive.gettarinfo(path, name.lstrip("/"))
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    # Readable by the unprivileged user of the image, whatever this user's umask is.
    executable = info.isdir() or bool(info.mode & 0o100)
    info.mode = 0o755 if executable else 0o644
    if info.isreg():
        with path.open("rb") as file:
            archive.addfile(info, file)
    else:
        archive.addfile(info)


def write(image: Image, target: Path) -> Archive:
    """Write one image as an OCI archive that names itself."""
    config = _bytes(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(image.settings),
            "rootfs": {"type": "layers", "diff_ids": [each.digest for each in image.layers]},
        }
    )
    manifest = _bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [
                {"mediaType": LAYER, "digest": each.digest, "size": each.path.stat().st_size}
                for each in image.layers
            ],
        }
    )
    entry = _descriptor(MANIFEST, manifest)
    tag = image.reference.rpartition(":")[2]
    entry["annotations"] = {
        "io.containerd.image.name": image.reference,
        "org.opencontainers.image.ref.name": tag,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    with tarfile.open(fresh, "w") as archive:
        _put(archive, "oci-layout", _bytes({"imageLayoutVersion": "1.0.0"}))
        _put(archive, "index.json", _bytes({"schemaVersion": 2, "manifests": [entry]}))
        for blob in (config, manifest):
            _put(archive, _blob(_digest(blob)), blob)
        _put_layers(archive, image.layers)
    fresh.replace(target)
    return Archive(image.reference, _digest(manifest), target)


def _put_layers(archive: tarfile.TarFile, layers: Iterable[Layer]) -> None:
    for layer in {each.digest: each for each in layers}.values():
        info = tarfile.TarInfo(_blob(layer.digest))
        info.size = layer.path.stat().st_size
        with layer.path.open("rb") as file:
            archive.addfile(info, file)


def slim(archive: Archive, known: Collection[str], target: Path) -> None:
    """Copy an archive without the contents that the receiver has, named by their digests."""
    present = {_blob(each) for each in known}
    with tarfile.open(archive.path) as source, tarfile.open(target, "w") as result:
        for member in source:
            if member.name not in present:
                result.addfile(member, source.extractfile(member))


def read(path: Path) -> Archive:
    """Look up what an archive written by ``write`` holds."""
    with tarfile.open(path) as archive:
        member = archive.extractfile("index.json")
        entry = json.load(member or io.BytesIO(b""))["manifests"][0]
    return Archive(entry["annotations"]["io.containerd.image.name"], entry["digest"], path)


def renamed(archive: Archive, reference: str, target: Path) -> Archive:
    """Copy an archive under another name: the same image with another tag."""
    with tarfile.open(archive.path) as source, tarfile.open(target, "w") as result:
        for member in source:
            if member.name != "index.json":
                result.addfile(member, source.extractfile(member))
                continue
            index = json.load(source.extractfile(member) or io.BytesIO(b"{}"))
            index["manifests"][0]["annotations"] = {
                "io.containerd.image.name": reference,
                "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
            }
            _put(result, "index.json", _bytes(index))
    return read(target)


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
