"""A real Prometheus in the cluster's network, as a child process, for `test_prometheus`.

Scrapes the replicas of all models and the file `queue.prom` of the artifact store, which stands for
an exporter of somebody else's queue. The native cluster only: elsewhere no process of this machine
is reachable from pods.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests import stack
from tests.cluster.native import layout, packages
from tests.stack import Json

PORT = 19090
URL = f"http://{layout.NODE_ADDRESS}:{PORT}"


def is_possible() -> bool:
    """Whether pods can reach a process of this machine."""
    told = subprocess.run(
        ["python3", "-m", "tests.cluster", "status", "--json"],
        cwd=stack.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return told.returncode == 0 and json.loads(told.stdout)["provider"] == "native"


def _targets() -> list[Json]:
    """What is to be scraped now, with the labels that every scraper of pods sets."""
    text = stack.kubectl("get", "pods", "-A", "-o", "json")
    found = []
    for pod in json.loads(text)["items"]:
        meta, address = pod["metadata"], pod["status"].get("podIP")
        labels = meta.get("labels") or {}
        port, path = 8080, "/metrics"
        if labels.get("app") == "store":
            port, path = 8000, "/queue.prom"
        elif labels.get("modelfleet.dev/role") != "replica":
            continue
        if address and pod["status"].get("phase") == "Running":
            names = {"namespace": meta["namespace"], "pod": meta["name"]}
            found.append(
                {"targets": [f"{address}:{port}"], "labels": {**names, "__metrics_path__": path}}
            )
    return found


class Prometheus:
    """The server; it can be killed and started again with its data.

    Debian's has no discovery of pods, so what is to be scraped is written into a file every second.
    """

    def __init__(self, folder: Path) -> None:
        packages.ensure(packages.PROMETHEUS)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        discovery = {"files": [str(folder / "targets.json")], "refresh_interval": "1s"}
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "pods", "file_sd_configs": [discovery]}],
        }
        # JSON is YAML too.
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        threading.Thread(target=self._discover, daemon=True).start()

    def _discover(self) -> None:
        while not self._ended.wait(1.0):
            # A look that fails is made again: the file says what was there.
            with suppress(RuntimeError, ValueError):
                part = self._folder / "targets.part"
                part.write_text(json.dumps(_targets()))
                part.rename(self._folder / "targets.json")

    def start(self) -> None:
        """Start, and return when queries are answered."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                stack.enter(
                    [
                        "prometheus",
                        f"--config.file={self._folder / 'prometheus.yml'}",
                        f"--storage.tsdb.path={self._folder / 'data'}",
                        f"--web.listen-address={layout.NODE_ADDRESS}:{PORT}",
                        "--log.level=warn",
                    ]
                ),
                cwd=stack.ROOT,
                stdout=log,
                stderr=log,
            )
        stack.wait("Prometheus to answer", self._is_ready, 60, every=1)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
        code = (
            "import sys, urllib.request as u;"
            f"sys.exit(u.urlopen('{URL}/-/ready', timeout=2).status != 200)"
        )
        done = subprocess.run(
            stack.enter(["python3", "-c", code]), cwd=stack.ROOT, check=False, capture_output=True
        )
        return done.returncode == 0

    def end(self) -> None:
        """End it and all that was begun for it."""
        self._ended.set()
        self.kill()

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def configure_operator(**settings: str | None) -> None:
    """Settings of the installed operator by name, None takes one away; then a restart."""
    data = {f"MODELFLEET_{name.upper()}": value for name, value in settings.items()}
    patch = json.dumps({"data": data})
    stack.kubectl(
        *("-n", stack.SYSTEM, "patch", "configmap", "modelfleet-settings", "--type=merge"),
        *("-p", patch),
    )
    name = "deployment/modelfleet-operator"
    stack.kubectl("-n", stack.SYSTEM, "rollout", "restart", name)
    stack.kubectl("-n", stack.SYSTEM, "rollout", "status", name, stack.timeout(120))
    time.sleep(2)
