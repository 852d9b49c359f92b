"""The turn of one MLModel: from watched objects to facts, a plan, and its writes."""
