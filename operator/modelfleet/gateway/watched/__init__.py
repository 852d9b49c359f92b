"""First part of the pipeline: watched objects become one value for each model."""
