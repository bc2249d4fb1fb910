"""A small encoder with random weights: what unit tests use where a real network would only cost time."""

import math

import torch

from impasto.encoders.vgg import VGG


class TinyEncoder(VGG):
    """Three narrow blocks of VGG (relu1_1 … relu3_1), seeded: the same weights in every test.

    Kernels are drawn by He's rule, so that activations neither vanish nor explode; biases are zero.
    """

    def __init__(self, *, pooling: str = "max", padding: str = "zero", seed: int = 0) -> None:
        super().__init__(
            "tiny",
            num_convs=(2, 2, 1),
            widths=(8, 16, 32),
            content_layers={"relu2_2": 1.0},
            style_layers=dict.fromkeys(("relu1_1", "relu2_1", "relu3_1"), 1.0),
            pooling=pooling,
            padding=padding,
        )
        generator = torch.Generator().manual_seed(seed)
        for conv in self.convs.values():
            fan_in = conv.weight[0].numel()
            conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * math.sqrt(2 / fan_in))
            conv.bias.zero_()
