"""Third step: quantiles become replicas, by the setting that replayed best."""
