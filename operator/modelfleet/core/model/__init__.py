"""The decision for one MLModel: facts to a plan."""
