"""Encoders: frozen networks whose features say what a picture shows and how it is painted."""

from impasto.encoders.base import Encoder, Layer
from impasto.encoders.build import build_encoder, outline_encoder
from impasto.encoders.registry import ENCODERS

__all__ = ["ENCODERS", "Encoder", "Layer", "build_encoder", "outline_encoder"]
