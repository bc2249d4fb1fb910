"""Painters: each module paints one style picture from numbers alone."""
