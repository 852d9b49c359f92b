"""Tables with a row for each model: laid out, copied, written, filled from the past."""
