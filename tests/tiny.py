"""A small encoder with random weights: what unit tests use where a real network would only cost time."""

from collections.abc import Sequence

import torch
from torch import nn

from impasto.encoders.vgg import VGG


class TinyEncoder(VGG):
    """Three narrow blocks of VGG (relu1_1 … relu3_1), seeded: the same weights in every test.

    Kernels are drawn by He's rule, so that activations neither vanish nor explode; biases are zero.
    """

    def __init__(
        self, *, pooling: str = "max", padding: str = "zero", seed: int = 0, widths: Sequence[int] = (8, 16, 32)
    ) -> None:
        super().__init__(
            "tiny",
            [[widths[0]] * 2, [widths[1]] * 2, [widths[2]]],
            content_layers={"relu2_2": 1.0},
            style_layers=dict.fromkeys(("relu1_1", "relu2_1", "relu3_1"), 1.0),
            pooling=pooling,
            padding=padding,
        )
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.convs.parameters():
            if parameter.ndim == 4:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
            else:
                nn.init.zeros_(parameter)
