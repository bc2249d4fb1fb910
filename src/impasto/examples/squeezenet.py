"""SqueezeNet 1.1 as a custom model: ``--model squeezenet.py:squeezenet1_1 --trust``.

The weights are BVLC's under torchvision's names, in `squeezenet1_1.safetensors`, beside this file or in the folder that
``IMPASTO_WEIGHTS_DIR`` names. Reference: Iandola et al. (2016), arXiv:1602.07360.
"""

import os
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


class Fire(nn.Module):
    """Squeezes the channels by 1×1 kernels, then expands them by 1×1 and 3×3 kernels side by side."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the rectified features, twice `expanded` channels."""
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


def halve() -> nn.Module:
    """Pooling to half the size, the last window reaching over the edge."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def squeezenet1_1() -> nn.Module:
    """The factory that ``--model`` names: the network with its weights, and what it expects."""
    network = nn.Sequential()
    network.features = nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), halve(),
        Fire(64, 16, 64), Fire(128, 16, 64), halve(),
        Fire(128, 32, 128), Fire(256, 32, 128), halve(),
        Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
    )  # fmt: skip
    name = "squeezenet1_1.safetensors"
    beside = Path(__file__).with_name(name)
    weights = load_file(beside if beside.is_file() else Path(os.environ.get("IMPASTO_WEIGHTS_DIR", ".")) / name)
    network.load_state_dict({key: weight for key, weight in weights.items() if key.startswith("features.")})
    network.impasto = {  # type: ignore[assignment]
        "mean": (104, 117, 123), "channels": "bgr", "range": 255,
        "content_layers": ["features.7"],
        "style_layers": [f"features.{index}" for index in (1, 3, 4, 6, 7)],
    }  # fmt: skip
    return network
