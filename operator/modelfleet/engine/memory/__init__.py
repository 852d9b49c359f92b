"""What the autoscaler has learned, kept over restarts and changes of the leader."""
