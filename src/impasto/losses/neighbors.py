"""Nearest-neighbor features: each place of the picture is asked for the features of one place of the style image.

A *hypercolumn* is what several layers say of one place, one below the other, on a grid of its own. Legend: C channels
of all layers together, N positions of the grid.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

GRID_STRIDE = 4
"""Pixels of the picture between two hypercolumns."""

CELLS = 2
"""Rows and columns of parts that fine layers have of each place. A mean over a whole place would leave its inside
free, and freedom is filled with grain."""

QUERY_BLOCK, KEY_BLOCK = 512, 2048
"""Rows of the block of similarities that the search holds at a time; it fits into a processor's cache."""

SEARCH_CHANNELS = 128
"""Principal components in which a large search goes on. They keep 99 % of the similarity of the nearest keys."""

SEARCH_SAMPLE = 4096
"""Keys from which the principal components are found."""

_NOTHING = 1e-8


class Matching(StrEnum):
    """How a level finds the places of the style image that fit."""

    OF_CONTENT = "content"
    """By all layers together, for the content alone."""
    JOINT = "joint"
    """By all layers together, for a mix of the content and the picture that the level begins with."""
    BY_LAYER = "by_layer"
    """By each layer alone, for the mix: fine strokes need not come from where large forms do."""


def grid_of(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the grid of a picture's hypercolumns; at least 1×1."""
    height, width = (max(1, edge // GRID_STRIDE) for edge in size)
    return height, width


def cells_of(stride: int) -> int:
    """Rows and columns of parts that a layer of a stride has of each place: `CELLS` if it is fine enough, else 1."""
    return CELLS if stride * CELLS <= GRID_STRIDE else 1


@dataclass(frozen=True)
class Part:
    """A part of a grid along one axis, and the part of a larger feature map that is there for it.

    Attributes:
        places: Of the grid.
        first: The map's first position in the whole map.
        total: Positions of the whole map.
    """

    places: slice
    first: int
    total: int


def on_grid(features: Tensor, grid: tuple[int, int], cells: int = 1, parts: tuple[Part, Part] | None = None) -> Tensor:
    """Features at the places of a grid: means over areas where they are finer, interpolated where they are coarser.

    Args:
        features: Shape (1, C, H, W).
        grid: Height and width.
        cells: Rows and columns of parts of each place, whose means are channels of their own.
        parts: The rows and columns that are wanted, and those that there are; None for all.

    Returns:
        Shape (1, C · cells², *grid), or of the part's height and width, float32 at least.
    """
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    size = (cells * grid[0], cells * grid[1])
    if parts is not None:
        features = _resized_part(features, size, cells, parts)
        return F.pixel_unshuffle(features, cells) if cells > 1 else features
    height, width = features.shape[-2:]
    if (height, width) != size:
        factor = height // size[0]
        if height < size[0] or width < size[1]:
            features = F.interpolate(features, size=size, mode="bilinear", align_corners=False)
        elif (height, width) == (factor * size[0], factor * size[1]):
            features = F.avg_pool2d(features, factor)
        else:
            features = F.interpolate(features, size=size, mode="area")
    return F.pixel_unshuffle(features, cells) if cells > 1 else features


def _resized_part(features: Tensor, size: tuple[int, int], cells: int, parts: tuple[Part, Part]) -> Tensor:
    """Some rows and columns of what the resized whole map would have, from the positions that they depend on."""
    totals = [part.total for part in parts]
    factor = totals[0] // size[0]
    if all(total == factor * edge for total, edge in zip(totals, size, strict=True)):
        for axis, part in ((-2, parts[0]), (-1, parts[1])):
            first, stop = (factor * cells * place for place in (part.places.start, part.places.stop))
            features = features.narrow(axis, first - part.first, stop - first)
        return F.avg_pool2d(features, factor) if factor > 1 else features
    is_coarse = any(total < edge for total, edge in zip(totals, size, strict=True))
    for axis, part, edge in ((-2, parts[0], size[0]), (-1, parts[1], size[1])):
        rows = _resizing(part.total, edge, is_coarse)[cells * part.places.start : cells * part.places.stop]
        first = max(0, part.first)  # a map that wraps has positions before the first and past the last, too
        there = features.narrow(
            axis, first - part.first, min(features.shape[axis] - first + part.first, part.total - first)
        )
        rows = rows[:, first : first + there.shape[axis]].to(features)
        features = torch.tensordot(there, rows, dims=([axis], [1])).movedim(-1, axis)
    return features


@lru_cache(maxsize=16)
def _resizing(length: int, to: int, is_coarse: bool) -> Tensor:
    """The matrix that resizes an axis as `on_grid` does, shape (to, length)."""
    mode = "linear" if is_coarse else "area"
    return F.interpolate(torch.eye(length)[None], size=to, mode=mode)[0].mT.contiguous()


def nearest(queries: Tensor, keys: Tensor) -> Tensor:
    """For each query the key of the smallest cosine distance; both are centered by their own means first.

    Args:
        queries: Shape (N, C), float32.
        keys: Shape (M, C), float32, at least one.

    Returns:
        Indices of keys, shape (N,), int64; the first of equals; see `Search`.
    """
    return Search(keys, len(queries)).nearest(queries, queries.mean(0))


class Search:
    """Finds the key of the smallest cosine distance; keys are centered by their mean, queries by that of all queries.

    The search takes N · M · min(C, `SEARCH_CHANNELS`) multiplications if it is a large one.

    Args:
        keys: Shape (M, C), float32, at least one.
        num_queries: N, of all queries.

    Reference: Kolkin et al. (2022), arXiv:2203.13215, section 3.3. Differs: a large search looks at the principal
    components of the keys alone.
    """

    def __init__(self, keys: Tensor, num_queries: int) -> None:
        self._keys = F.normalize(keys - keys.mean(0), dim=1)
        self._basis: Tensor | None = None
        channels = keys.shape[1]
        if channels > 2 * SEARCH_CHANNELS and num_queries * len(keys) > channels**2:  # else the basis costs more
            self._basis = principal_basis(self._keys, SEARCH_CHANNELS)
            self._keys = self._keys @ self._basis

    def nearest(self, queries: Tensor, mean: Tensor) -> Tensor:
        """Indices of keys, shape (n,), int64, for some of the queries; the first of equals.

        Args:
            queries: Shape (n, C), float32.
            mean: Of all queries, shape (C,).
        """
        queries = F.normalize(queries - mean, dim=1)
        queries = queries if self._basis is None else queries @ self._basis
        return torch.cat([_nearest_of_block(block, self._keys) for block in torch.split(queries, QUERY_BLOCK)])


def _nearest_of_block(queries: Tensor, keys: Tensor) -> Tensor:
    best = queries.new_full((len(queries),), -torch.inf)
    places = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    for index, block in enumerate(torch.split(keys, KEY_BLOCK)):
        similarity, place = (queries @ block.mT).max(1)
        places = torch.where(similarity > best, place + index * KEY_BLOCK, places)
        best = torch.maximum(best, similarity)
    return places


def principal_basis(columns: Tensor, count: int) -> Tensor:
    """An orthonormal basis of nearly the `count` principal components of columns; the same at each call.

    Args:
        columns: Shape (M, C), centered; a sample of `SEARCH_SAMPLE` of them is looked at.
        count: At most C.

    Returns:
        Shape (C, count).

    Reference: Halko, Martinsson & Tropp (2011), arXiv:0909.4061, algorithm 4.4 (subspace iteration).
    """
    sample = columns[:: max(1, len(columns) // SEARCH_SAMPLE)]
    start = torch.randn(columns.shape[1], count, generator=torch.Generator().manual_seed(0))
    basis = start.to(columns)
    for _ in range(3):
        basis = torch.linalg.qr(sample.mT @ (sample @ basis)).Q
    return basis


class CosineSums:
    """Sums over layers from which the cosine distance of hypercolumns follows; they are never held as a whole.

    Attributes:
        products: Inner products with the targets at each place, shape (1, N) or 0.
        squares: Squared norms of the features at each place, likewise.
    """

    def __init__(self) -> None:
        self.products: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, features: Tensor, target: Tensor) -> None:
        """Takes in a layer.

        Args:
            features: Shape (1, C, h, w), on the grid.
            target: The same of the matches.
        """
        self.products = self.products + (features * target).sum(1)
        self.squares = self.squares + features.square().sum(1)

    def distance(self, target_norms: Tensor, weights: Tensor) -> Tensor:
        """Mean cosine distance, a scalar: 0 where the picture has the features of its matches, 1 at right angles.

        Args:
            target_norms: Of the matches' hypercolumns, shape (1, h, w).
            weights: Of the places, shape (1, h, w); their sum is 1.
        """
        norms = (torch.as_tensor(self.squares) + _NOTHING).sqrt() * target_norms + _NOTHING
        return (weights * (1 - torch.as_tensor(self.products) / norms)).sum()
