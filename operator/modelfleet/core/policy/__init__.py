"""The scaling policy: forecasts, candidates, shadow queues, choice. Pure and vectorised."""
