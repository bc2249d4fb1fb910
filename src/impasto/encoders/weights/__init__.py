"""Weights of encoders: where they lie, fetching them, and checking them every time."""
