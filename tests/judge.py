"""The judge of finished pictures: full VGG19 on the written 8-bit file."""

import statistics
from pathlib import Path

import torch
from torch import Tensor

from impasto.encoders import Encoder
from impasto.images import load_picture, resize
from impasto.losses import gram_loss, gram_matrix
from impasto.pipeline.level_images import style_size


@torch.no_grad()
def style_distance(encoder: Encoder, picture: Tensor, style: Tensor) -> float:
    """Mean over the encoder's style layers of ‖G − G_s‖² / ‖G_s‖², the style at the picture's height.

    Args:
        encoder: The judging network.
        picture: Shape (1, 3, H, W), in [0, 1].
        style: Shape (1, 3, h, w), in [0, 1].
    """
    style = resize(style, style_size((style.shape[-2], style.shape[-1]), (picture.shape[-2], picture.shape[-1])))
    of_picture, of_style = (encoder(image, encoder.style_layers) for image in (picture, style))
    return statistics.mean(
        gram_loss(gram_matrix(of_picture[layer]), gram_matrix(of_style[layer])).item() for layer in encoder.style_layers
    )


def relative_style_distance(encoder: Encoder, written: Path, content: Path, style: Path) -> float:
    """The written picture's style distance as a share of the content image's own."""
    picture, photograph, painting = (load_picture(path).pixels for path in (written, content, style))
    start = resize(photograph, (picture.shape[-2], picture.shape[-1]))
    return style_distance(encoder, picture, painting) / style_distance(encoder, start, painting)
