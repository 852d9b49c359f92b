"""Command line: `verbs`, and the parts that they share in `support`."""
