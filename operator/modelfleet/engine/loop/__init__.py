"""The loops of the engine: queue, workers and process life; no module here depends on a kind."""
