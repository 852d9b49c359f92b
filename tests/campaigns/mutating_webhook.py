"""An admission webhook as clusters have them: it marks pods and rewrites the registry of images.

Run in the node's network by `test_at_rest`, with the folder of its certificate and a port.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
from pathlib import Path

from aiohttp import web

REGISTRY = "docker.io/"
MARK = {"sidecar.example/status": "injected"}


def patch_of(manifest: dict) -> list[dict]:
    """JSON patch for a Deployment: one more annotation, and each image by its whole name."""
    template = manifest["spec"]["template"]
    annotations = {**(template["metadata"].get("annotations") or {}), **MARK}
    operations = [
        {"op": "add", "path": "/spec/template/metadata/annotations", "value": annotations}
    ]
    for kind in ("initContainers", "containers"):
        for number, container in enumerate(template["spec"].get(kind) or []):
            image = container["image"]
            if not image.startswith(REGISTRY):
                path = f"/spec/template/spec/{kind}/{number}/image"
                operations.append({"op": "replace", "path": path, "value": f"{REGISTRY}{image}"})
    return operations


async def review(request: web.Request) -> web.Response:
    """Answer one AdmissionReview."""
    asked = await request.json()
    patch = json.dumps(patch_of(asked["request"]["object"])).encode()
    answer = {
        "uid": asked["request"]["uid"],
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(patch).decode(),
    }
    return web.json_response({**asked, "response": answer})


def main(folder: Path, port: int) -> None:
    """Serve until the process is ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    app = web.Application()
    app.router.add_post("/", review)
    web.run_app(app, host="127.0.0.1", port=port, ssl_context=context, print=lambda *_: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
