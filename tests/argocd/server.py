"""A real Argo CD beside the local cluster: application controller, repository server, Redis.

They run as child processes of this machine, with the cluster's kubeconfig, and answer on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests import stack
from tests.argocd.build import argocd
from tests.argocd.scripts import SCRIPTS
from tests.stack import Json

NAMESPACE = "argocd"
REDIS_PORT, REPOSITORY_PORT, CONTROLLER_METRICS, REPOSITORY_METRICS = 16379, 18081, 18082, 18084
LOOK_SECONDS = 5
CLUSTER = "https://kubernetes.default.svc"


def customizations() -> dict[str, str]:
    """Our scripts as the ConfigMap argocd-cm takes them."""
    found = {}
    for kind in ("MLModel", "MLModelVersion"):
        text = (SCRIPTS / kind / "health.lua").read_text()
        found[f"resource.customizations.health.modelfleet.dev_{kind}"] = text
    actions = SCRIPTS / "MLModel" / "actions"
    definitions = [
        {"name": path.parent.name, "action.lua": path.read_text()}
        for path in sorted(actions.glob("*/action.lua"))
    ]
    value = {"discovery.lua": (actions / "discovery.lua").read_text(), "definitions": definitions}
    found["resource.customizations.actions.modelfleet.dev_MLModel"] = yaml.safe_dump(value)
    return found


class ArgoCD:
    """The three processes, and a git repository that they read."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, argocd()
        self.repository = folder / "repository"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Install Argo CD's objects and start it."""
        self._install()
        for name in ("tls", "ssh", "gpg/source", "gpg/keys", "plugin"):
            (self._folder / name).mkdir(parents=True)
        (self._folder / "ssh" / "ssh_known_hosts").touch()
        redis = ["redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1"]
        self._run(*redis, "--save", "", "--appendonly", "no")
        address = ("--redis", f"127.0.0.1:{REDIS_PORT}")
        self._run(
            str(self._programs / "argocd-repo-server"),
            *("--address", "127.0.0.1", "--port", str(REPOSITORY_PORT), "--disable-tls"),
            *("--metrics-address", "127.0.0.1", "--metrics-port", str(REPOSITORY_METRICS)),
            *address,
        )
        self._run(
            str(self._programs / "argocd-application-controller"),
            *("-n", NAMESPACE, "--metrics-port", str(CONTROLLER_METRICS)),
            *("--repo-server", f"127.0.0.1:{REPOSITORY_PORT}", "--repo-server-plaintext"),
            *("--app-resync", str(LOOK_SECONDS), "--persist-resource-health", *address),
        )

    def end(self) -> None:
        """End the processes and remove Argo CD's objects; what it has synced stays."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=30)
        stack.kubectl("-n", NAMESPACE, "delete", "applications", "--all", check=False)
        stack.kubectl("delete", "namespace", NAMESPACE, check=False)
        stack.kubectl("delete", "-f", str(self._programs / "manifests" / "crds"), check=False)

    def log(self, name: str) -> str:
        """The end of a process's log, for a failure."""
        return (self._folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def _install(self) -> None:
        stack.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        manifests = self._programs / "manifests"
        for path in sorted((manifests / "crds").glob("*-crd.yaml")):
            stack.kubectl("apply", "--server-side", "-f", str(path))
        for path in sorted((manifests / "base" / "config").glob("argocd-*.yaml")):
            stack.kubectl("-n", NAMESPACE, "apply", "-f", str(path))
        data = {"timeout.reconciliation": f"{LOOK_SECONDS}s", "timeout.reconciliation.jitter": "0s"}
        patch = json.dumps({"data": {**data, **customizations()}})
        stack.kubectl(
            *("-n", NAMESPACE, "patch", "configmap", "argocd-cm", "--type=merge", "-p", patch)
        )
        everything: Json = {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        }
        meta = {"name": "default", "namespace": NAMESPACE}
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject"}
        stack.apply({**kind, "metadata": meta, "spec": everything})

    def _run(self, *command: str) -> None:
        folder, name = self._folder, Path(command[0]).name
        tools = (self._programs, Path(sys.executable).parent, stack.KUBECTL.parent)
        environment = {
            **os.environ,
            "PATH": ":".join([*map(str, tools), os.environ["PATH"]]),
            "KUBECONFIG": str(stack.KUBECONFIG),
            "HOSTNAME": "controller-0",
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
            "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugin"),
            "ARGOCD_GNUPGHOME": str(folder / "gpg" / "keys"),
            "ARGOCD_GPG_DATA_PATH": str(folder / "gpg" / "source"),
            "TMPDIR": str(folder),
        }
        with (folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            )


class Repository:
    """A git repository on disk, changed by commits as a team changes it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._git("init", "-q", "-b", "main")

    @property
    def url(self) -> str:
        """Address for Argo CD."""
        return f"file://{self.folder}"

    def write(self, path: str, *objects: Json) -> None:
        """Write objects as one file; without any, the file goes."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if objects:
            file.write_text(yaml.safe_dump_all(objects, sort_keys=False))
        else:
            file.unlink()

    def copy(self, source: Path, path: str) -> None:
        """Copy a folder into it."""
        shutil.copytree(source, self.folder / path)

    def commit(self, message: str) -> None:
        """Commit everything."""
        self._git("add", "-A")
        self._git("commit", "-qm", message)

    def revert(self) -> None:
        """Take the last commit back by another one."""
        self._git("revert", "--no-edit", "HEAD")

    def _git(self, *arguments: str) -> None:
        who = ("-c", "user.name=team", "-c", "user.email=team@example.com")
        subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )


def application(name: str, url: str, path: str, namespace: str, **source: object) -> Json:
    """An Application with pruning and self-heal; `source` adds to its source."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "targetRevision": "main", "path": path, **source},
            "destination": {"server": CLUSTER, "namespace": namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["ServerSideApply=true"],
            },
        },
    }


def refresh(name: str) -> None:
    """Let Argo CD look at the repository now."""
    mark = "argocd.argoproj.io/refresh=normal"
    stack.kubectl("-n", NAMESPACE, "annotate", "application", name, mark, "--overwrite")


def state(name: str) -> tuple[str, str]:
    """Sync and health of an Application."""
    status = (stack.get("application", NAMESPACE, name) or {}).get("status") or {}
    sync, health = status.get("sync") or {}, status.get("health") or {}
    return str(sync.get("status", "")), str(health.get("status", ""))


def health_of(name: str, kind: str, resource: str) -> tuple[str, str]:
    """Health and message of one resource of an Application."""
    status = (stack.get("application", NAMESPACE, name) or {}).get("status") or {}
    for each in status.get("resources") or []:
        if (each["kind"], each["name"]) == (kind, resource):
            health = each.get("health") or {}
            return str(health.get("status", "")), str(health.get("message", ""))
    return "", ""
