"""Admission: a replica gets requests only after it answered its admission probe."""
