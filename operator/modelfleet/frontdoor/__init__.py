"""Kopf, and nothing but Kopf."""
