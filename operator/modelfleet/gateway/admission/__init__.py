"""Admission: a replica gets requests only after it answered its admission probe.

A wrong answer keeps it out only while another replica answers correctly.
"""
