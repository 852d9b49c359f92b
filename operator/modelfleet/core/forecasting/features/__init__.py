"""First step: arrivals become features, of now and of whole histories."""
