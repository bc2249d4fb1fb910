"""Takes channels out of a trained compact encoder: ``python -m training.narrow FILE --widths relu4_3=176 --out FILE``.

Of each narrowed layer those channels stay from which the others are best recovered by a linear map, each counting as
much as the layer after it makes of it. That map, by least squares, is then folded into all that takes in the layer:
the next convolution, the head, the output. `training.distill` mends the rest.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from training.networks import LAYERS, augment, ridge, save_compact, select_channels, with_output
from training.pictures import Crops

from impasto.encoders.compact import Compact

logger = logging.getLogger(__name__)

CROP_SIZE = 160
BATCH = 4
SHRINKAGE = 1e-4


@torch.inference_mode()
def narrow(state: Mapping[str, Tensor], widths: Mapping[str, int], crops: Sequence[Tensor]) -> dict[str, Tensor]:
    """A compact encoder's weights with fewer channels; without its estimates, which are fitted anew after training.

    Args:
        state: Float32 weights of an encoder whose deepest layer has an output.
        widths: Channels to be left, of any layers but the deepest.
        crops: Batches of pictures of shape (B, 3, H, W) in [0, 1].
    """
    state = {name: tensor.clone() for name, tensor in state.items() if not name.endswith(".estimate")}
    for layer, width in widths.items():
        follower = LAYERS[LAYERS.index(layer) + 1]
        channels = len(state[f"{layer}.bias"])
        moments = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
        encoder = Compact(state)
        for batch in crops:
            rows = augment(encoder(batch, [layer])[layer]).double()
            moments += rows.T @ rows
        importance = state[f"{follower}.weight"].double().square().sum((0, 2, 3)).sqrt()
        kept = select_channels(moments[:-1, :-1] * importance[:, None] * importance, width)
        known = [*kept, channels]
        recovery = ridge(moments[known][:, known], moments[known][:, :-1], SHRINKAGE).float()
        _fold(state, layer, follower, recovery)
        for kind in ("weight", "bias"):
            state[f"{layer}.{kind}"] = state[f"{layer}.{kind}"][kept]
        logger.info("%s: %d of %d channels", layer, width, channels)
    return state


def _fold(state: dict[str, Tensor], layer: str, follower: str, recovery: Tensor) -> None:
    """Has all that takes in a layer take in the kept channels, from which `recovery` makes all of them."""
    linear, constant = recovery[:, :-1], recovery[:, -1:]
    kernel = state[f"{follower}.weight"]
    state[f"{follower}.bias"] = state[f"{follower}.bias"] + kernel.sum((2, 3)) @ constant[:, 0]
    state[f"{follower}.weight"] = torch.einsum("ochw,ck->okhw", kernel, linear)
    head = state[f"{layer}.head"]
    state[f"{layer}.head"] = torch.cat([head[:, :-1] @ linear, head[:, :-1] @ constant + head[:, -1:]], 1)
    if (output := state.get(f"{follower}.output")) is not None:
        own, before, bias = output.split([len(state[f"{follower}.bias"]), len(linear), 1], 1)
        state[f"{follower}.output"] = torch.cat([own, before @ linear, before @ constant + bias], 1)


def main() -> None:
    """Reads the command line, narrows and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--widths", required=True, help="layer=channels, with commas between")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num-crops", type=int, default=160)
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stream = Crops(CROP_SIZE, arguments.seed)
    crops = [torch.stack([stream.draw() for _ in range(BATCH)]) for _ in range(arguments.num_crops // BATCH)]
    pairs = (pair.split("=") for pair in arguments.widths.split(","))
    state = narrow(with_output(load_file(arguments.file)), {layer: int(width) for layer, width in pairs}, crops)
    save_compact(state, arguments.out, f"python -m training.narrow --widths {arguments.widths}")


if __name__ == "__main__":
    main()
