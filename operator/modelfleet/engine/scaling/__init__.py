"""The scaling pass over the whole fleet, once a second."""
