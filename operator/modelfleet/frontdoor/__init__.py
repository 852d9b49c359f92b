"""Front door: the only package beside `compose` that imports Kopf."""
