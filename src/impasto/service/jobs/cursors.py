"""Cursors of pages: opaque to callers, a place in an order to us."""

import base64
import binascii

from impasto.errors import UserError


def encode_cursor(place: str) -> str:
    """A cursor for a place."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """The place that a cursor stands for.

    Raises:
        UserError: If it is none of ours.
    """
    try:
        return base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise UserError("The cursor is none that this service gave; begin again without one.") from None
