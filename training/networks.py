"""The teacher VGG19, and the file of the network that imitates it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor

from impasto.encoders.compact import FORMAT_VERSION, NUM_CONVS
from impasto.encoders.vgg import CONTENT_LAYERS, STYLE_LAYERS, VGG, WIDTHS

TEACHER_FILE = "vgg19_features.safetensors"

LAYERS = tuple(f"relu{block + 1}_{i + 1}" for block, count in enumerate(NUM_CONVS) for i in range(count))
"""All layers down to relu5_1, in the order in which they are computed."""


def teacher_path() -> Path:
    """Where VGG19's weights lie."""
    return Path(os.environ["IMPASTO_WEIGHTS_DIR"]) / TEACHER_FILE


def load_teacher() -> VGG:
    """VGG19 down to relu5_1, frozen, in float32."""
    teacher = VGG(
        "vgg19",
        [[width] * count for width, count in zip(WIDTHS, NUM_CONVS, strict=True)],
        content_layers=CONTENT_LAYERS["vgg19"],
        style_layers=STYLE_LAYERS["vgg19"],
    )
    teacher.load_torchvision(load_file(teacher_path()))
    return teacher


def save_compact(state: Mapping[str, Tensor], path: Path, command: str) -> str:
    """Writes a compact encoder's file, at once or not at all.

    Args:
        state: All tensors under the file's names.
        path: The file.
        command: What made it, for the metadata.

    Returns:
        The file's SHA-256.
    """
    metadata = {
        "format_version": FORMAT_VERSION,
        "widths": ",".join(str(len(state[f"{layer}.bias"])) for layer in LAYERS),
        "origin": "Imitates VGG19, Simonyan & Zisserman (2014), arXiv:1409.1556, CC BY 4.0.",
        "training_command": command,
        "teacher_sha256": hashlib.sha256(teacher_path().read_bytes()).hexdigest(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: tensor.half().contiguous() for name, tensor in state.items()}, partial, metadata)
    partial.replace(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ridge(moments: Tensor, cross: Tensor, strength: float) -> Tensor:
    """Least squares from accumulated moments, shrunk toward zero.

    Args:
        moments: Of the augmented inputs [x; 1], shape (C + 1, C + 1), float64.
        cross: Of inputs and targets, shape (C + 1, K), float64.
        strength: Of the shrinkage, relative to each input's own mean square; the constant is free.

    Returns:
        The map of shape (K, C + 1), its last column the constant.
    """
    scale = moments.diagonal().clamp_min(1e-12).rsqrt()
    system = moments * scale[:, None] * scale
    penalty = torch.full_like(scale, strength)
    penalty[-1] = 0
    factor = torch.linalg.cholesky(system + torch.diag(penalty * system.diagonal() + 1e-12))
    return (torch.cholesky_solve(cross * scale[:, None], factor) * scale[:, None]).T


def augment(x: Tensor) -> Tensor:
    """Appends the constant: (B, C, H, W) to positions × (C + 1)."""
    rows = x.permute(0, 2, 3, 1).flatten(0, 2)
    return torch.cat([rows, rows.new_ones(len(rows), 1)], 1)


def patches(x: Tensor, rows: slice, columns: slice) -> Tensor:
    """The 3×3 patches around some positions of (B, C, H, W), zero beyond the border, and the constant.

    Args:
        x: Feature maps.
        rows: Of the positions; their stop may lie beyond the border.
        columns: Likewise.

    Returns:
        Positions × (9 C + 1).
    """
    window = F.pad(x, (1, 1, 1, 1))[:, :, rows.start : rows.stop + 2, columns.start : columns.stop + 2]
    flat = F.unfold(window, 3).transpose(1, 2).flatten(0, 1)
    return torch.cat([flat, flat.new_ones(len(flat), 1)], 1)


def select_channels(moments: Tensor, count: int) -> Sequence[int]:
    """Greedy pivoting: the channels from which all others are best recovered by a linear map.

    Each step takes the channel that leaves the least energy of all channels unexplained, and deflates the rest.

    Args:
        moments: Second moments of the channels, shape (C, C), float64.
        count: How many to keep.

    Returns:
        Their indices, ascending.
    """
    residual = moments.clone()
    floor = 1e-9 * float(moments.diagonal().mean())
    picked: list[int] = []
    for _ in range(count):
        gain = residual.square().sum(0) / residual.diagonal().clamp_min(floor)
        gain[picked] = -1
        pivot = int(gain.argmax())
        picked.append(pivot)
        column = residual[:, pivot].clone()
        residual -= torch.outer(column, column) / column[pivot].clamp_min(floor)
    return sorted(picked)
