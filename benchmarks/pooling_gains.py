"""Measures the gains of average pooling in `impasto.encoders.vgg`: ``python benchmarks/pooling_gains.py``.

Block by block, the factor after average pooling at which VGG19's first ReLU of the next block has the same root mean
square as with max pooling (median over the training photographs; kodim19–24 judge and are left out).
"""

import os
from pathlib import Path

import torch

from impasto.encoders import build_encoder
from impasto.encoders.vgg import VGG
from impasto.images import load_picture, resize

FIRST_RELUS = ("relu2_1", "relu3_1", "relu4_1", "relu5_1")


@torch.inference_mode()
def main() -> None:
    """Prints the measured gain before each block."""
    photographs = sorted((Path(os.environ["IMPASTO_IMAGES_DIR"]) / "content").glob("*.jpg"))[:18]
    pictures = [resize(load_picture(path).pixels, (256, 384)) for path in photographs]
    by_max, by_average = build_encoder("vgg19", pooling="max"), build_encoder("vgg19", pooling="average")
    assert isinstance(by_average, VGG)
    gains = [1.0] * len(FIRST_RELUS)
    for block, layer in enumerate(FIRST_RELUS):
        for _ in range(8):  # a fixed point: the bias keeps the response from being proportional to the gain
            by_average.average_pooling_gains = gains
            ratios = [by_max(p, [layer])[layer].norm() / by_average(p, [layer])[layer].norm() for p in pictures]
            gains[block] *= float(torch.stack(ratios).median())
        print(f"before {layer}: {gains[block]:.2f}")


if __name__ == "__main__":
    main()
