"""The loops of the operator: `model` and `scaling` never import each other, and both know ports."""
