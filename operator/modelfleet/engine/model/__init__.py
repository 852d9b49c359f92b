"""The turn of one MLModel: watched objects to facts, a plan, and its writes."""
