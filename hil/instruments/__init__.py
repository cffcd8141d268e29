"""Simulated instruments of the bench, at register and byte level."""
