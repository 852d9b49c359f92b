"""The scaling pass: one pass for all models, once a second."""
