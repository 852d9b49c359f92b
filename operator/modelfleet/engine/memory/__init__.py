"""Memory of the autoscaler across restarts and changes of the leader."""
