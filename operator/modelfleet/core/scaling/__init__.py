"""How many replicas a model asks for: signals, learned service time, bounds."""
