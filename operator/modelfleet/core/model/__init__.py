"""Decisions for one MLModel: from facts to a plan."""
