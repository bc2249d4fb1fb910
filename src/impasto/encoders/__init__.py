"""Encoders: frozen networks whose features say what a picture shows and how it is painted."""
