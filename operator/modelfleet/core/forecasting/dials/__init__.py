"""Dials, their replay on the real arrivals, and the choice of one for each model."""
