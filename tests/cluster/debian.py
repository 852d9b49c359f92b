"""The Debian root with Python that all images of the local cluster stand on.

Called by ``images``. Made once by mmdebstrap, in about half a minute, and kept in the user's cache
directory for every checkout. Debian's own packages only: nothing of the product goes in here.
"""

from __future__ import annotations

import hashlib
import platform

from .console import run_long
from .native import packages
from .oci import Layer, digest_of
from .paths import cache

SUITE = "bookworm"
PYTHON = (3, 11)
# The C++ library is for ONNX Runtime.
INCLUDED = ("ca-certificates", "libstdc++6", "python3")
EXCLUDED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
# Perl is only wanted by the installation itself; caches only by later installations.
TRIM = (
    'rm -rf "$1"/usr/share/perl "$1"/usr/lib/*/perl "$1"/usr/lib/*/libperl.so* '
    '"$1"/usr/lib/*/perl-base "$1"/var/cache/* "$1"/var/lib/apt/* "$1"/var/log/*'
)


def command(target: str) -> list[str]:
    """Give the mmdebstrap command that writes the root as a tar."""
    return [
        "mmdebstrap",
        "--variant=essential",
        f"--include={','.join(INCLUDED)}",
        *(f"--dpkgopt=path-exclude={each}" for each in EXCLUDED),
        '--aptopt=Apt::Install-Recommends "false"',
        f"--customize-hook={TRIM}",
        SUITE,
        target,
    ]


def root() -> Layer:
    """Give the root as a layer, making it where it is not cached."""
    key = hashlib.sha256(" ".join(command("")).encode()).hexdigest()[:12]
    target = cache() / f"debian-{SUITE}-{platform.machine()}-{key}.tar"
    mark = target.with_suffix(".digest")
    if not mark.exists():
        packages.ensure(packages.IMAGES)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(".new.tar")
        run_long(
            command(str(fresh)),
            title=f"making a Debian {SUITE} root with Python (once; about half a minute)",
            describe=lambda count: f"{count} lines",
        )
        fresh.replace(target)
        mark.write_text(digest_of(target), encoding="utf-8")
    return Layer(target, mark.read_text(encoding="utf-8"))
