"""Provenance: the inputs of a run, identified by names and hashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from impasto.images import Picture
from impasto.recipe import Recipe
from impasto.recipe.model_names import public_name


@dataclass(frozen=True, eq=False)
class Inputs:
    """The pictures that a run is made from.

    Attributes:
        content: The content image.
        styles: The style images.
        content_masks: Which part of the output each style is for; empty for all.
        style_masks: Which part of each style image is taken; empty for all.
        lock_mask: Where the content is kept; None for nowhere.
    """

    content: Picture
    styles: Sequence[Picture]
    content_masks: Sequence[Picture] = ()
    style_masks: Sequence[Picture] = ()
    lock_mask: Picture | None = None

    def identities(self) -> dict[str, Any]:
        """Name and SHA-256 of each picture by role; roles without a picture are left out."""
        roles: dict[str, Picture | Sequence[Picture] | None] = {
            "content": self.content,
            "styles": self.styles,
            "content_masks": self.content_masks,
            "style_masks": self.style_masks,
            "lock_mask": self.lock_mask,
        }
        return {role: _identity(pictures) for role, pictures in roles.items() if pictures}


def _identity(pictures: Picture | Sequence[Picture]) -> Any:
    if isinstance(pictures, Picture):
        return {"name": pictures.name, "sha256": pictures.sha256}
    return [_identity(picture) for picture in pictures]


def provenance_of(recipe: Recipe, inputs: Inputs, weights_sha256: str, finish_sha256: str = "") -> dict[str, Any]:
    """What determines the pixels of a run: recipe, base names and SHA-256 of pictures, weights; no path."""
    finish = {"finish_weights_sha256": finish_sha256} if finish_sha256 else {}
    return {
        "recipe": recipe.model_dump(mode="json") | {"model": public_name(recipe.model)},
        **inputs.identities(),
        "weights_sha256": weights_sha256,
        **finish,
    }
