"""``make slow-check SLOW=0.5``: burn CPU in a pod and outside together, and say what they obtain.

Started by the Makefile; needs the local cluster with its images. Shows that one quota holds for
pods and for processes of this machine. Exit code 1 where they obtain more than they may.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from tests import slow, stack

SECONDS = 10.0
TOLERANCE = 1.15
"""The quota is given out in slices, and the first period may have been begun before."""
NAMESPACE, POD = "default", "slow-check"
IMAGE = "modelfleet/server:dev"
BURN = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
children = []
for _ in range(int(sys.argv[2]) - 1):
    child = os.fork()
    if not child:
        break
    children.append(child)
while time.monotonic() < end:
    pass
for child in children:
    os.waitpid(child, 0)
own = os.times()
if children or int(sys.argv[2]) == 1:
    print(own.user + own.system + own.children_user + own.children_system)
"""


def pod() -> stack.Json:
    """A pod that waits to be told what to do."""
    container = {
        "name": "burn",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", "import time; time.sleep(600)"],
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": POD, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def main() -> int:
    """Burn, say, clean up."""
    cores = len(os.sched_getaffinity(0))
    words = ["python3", "-c", BURN, str(SECONDS), str(cores)]
    in_namespace = ("-n", NAMESPACE)
    stack.kubectl(*in_namespace, "delete", "pod", POD, "--ignore-not-found", "--now")
    stack.apply(pod())
    try:
        stack.kubectl(*in_namespace, "wait", f"pod/{POD}", "--for=condition=Ready", "--timeout=60s")
        began = time.monotonic()
        outside = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        inside = float(stack.kubectl(*in_namespace, "exec", POD, "--", *words))
        own = float(outside.communicate()[0])
        seconds = time.monotonic() - began
    finally:
        stack.kubectl(*in_namespace, "delete", "pod", POD, "--ignore-not-found", "--now")
    found = {
        "may_use": slow.speed_of(),
        "seconds": round(seconds, 2),
        "cores_of_the_pod": round(inside / seconds, 3),
        "cores_outside": round(own / seconds, 3),
        "share_of_the_machine": round((inside + own) / seconds / cores, 3),
    }
    print(json.dumps(found, indent=2))
    allowed = slow.cores_allowed() or cores
    return int((inside + own) / seconds > allowed * TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
