"""Catalogues of everything that a spec chooses by name: one folder each, one file a member."""
