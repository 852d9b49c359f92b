"""The version that a spec asks for: found among the existing ones, or built."""
