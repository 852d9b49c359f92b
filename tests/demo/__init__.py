"""The demo: the main job of modelfleet on a real Kubernetes, with every answer checked.

Started by ``make demo`` as ``python -m tests.demo run``. It brings the cluster up, installs what
this checkout builds, and walks a real model through its life under real requests, in front of
the user. It must never report success for a step that was not seen to happen.
"""
