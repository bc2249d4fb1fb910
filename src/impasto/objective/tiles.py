"""Tiles: a picture in windows that overlap, so that features are computed window by window and counted once each.

A *canvas* is a picture with what lies past its border: nothing, a mirrored margin, or its opposite edge. It is parted
into *tiles*, whose edges are multiples of the encoder's largest stride. The encoder looks at a tile with a *halo* as
wide as its reach; what it says of the halo is wrong near the tile's inner edges, where it continues the window by its
padding, and is never counted. Whole is one tile without a halo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in pixels of the canvas.

    Attributes:
        start: Where the tile begins, a multiple of the alignment.
        stop: Where it ends; a multiple of the alignment, or the end of the canvas.
        before: Pixels of the halo before it, a multiple of the alignment.
        after: Pixels of the halo after it; 0 where the canvas ends.
        total: Pixels of the canvas.
    """

    start: int
    stop: int
    before: int
    after: int
    total: int

    @property
    def window(self) -> int:
        """Pixels of its window, with the halo."""
        return self.before + self.stop - self.start + self.after

    def inner(self, stride: int, length: int) -> slice:
        """Which positions of a window's feature map, of that stride and length, are the tile's own."""
        offset = self.before // stride
        is_last = self.stop == self.total and not self.after
        return slice(offset, length if is_last else offset + (self.stop - self.start) // stride)

    def positions(self, stride: int, count: int) -> slice:
        """Which positions of the canvas's feature map, of that stride and length, are the tile's own."""
        return slice(self.start // stride, count if self.stop == self.total else self.stop // stride)

    def first(self, stride: int) -> int:
        """Where a window's feature map begins in that of the canvas; negative where it wraps."""
        return (self.start - self.before) // stride


@dataclass(frozen=True)
class Tile:
    """A part of a canvas and the window that is looked at for it."""

    rows: Span
    columns: Span

    @property
    def is_whole(self) -> bool:
        """Whether the tile is all of its canvas."""
        return all(span.start == 0 and span.stop == span.total for span in (self.rows, self.columns))

    def inner(self, features: Tensor, stride: int) -> Tensor:
        """The tile's own positions of its window's feature map, shape (B, C, h, w)."""
        if self.is_whole:
            return features
        height, width = features.shape[-2:]
        return features[..., self.rows.inner(stride, height), self.columns.inner(stride, width)]

    def positions(self, grid: Tensor, stride: int) -> Tensor:
        """The tile's own positions of a map of the whole canvas, as of a mask on a layer's grid."""
        height, width = grid.shape[-2:]
        return grid[..., self.rows.positions(stride, height), self.columns.positions(stride, width)]


class Canvas:
    """A picture and what lies past its border.

    Args:
        size: Height and width of the picture.
        margin: Pixels by which it is mirrored past its border on all sides.
        wraps: Whether its opposite edges meet; then there is no margin.

    Attributes:
        size: Height and width with the margin.
    """

    def __init__(self, size: tuple[int, int], margin: int = 0, *, wraps: bool = False) -> None:
        self._picture, self._wraps = size, wraps
        self._margin = 0 if wraps else margin
        self._mirrors = min(size) > self._margin
        height, width = (edge + 2 * self._margin for edge in size)
        self.size = (height, width)

    def spans(self, edge: int | None, alignment: int = 1, halo: int = 0) -> tuple[Sequence[Span], Sequence[Span]]:
        """Parts the canvas into tiles: its rows, and its columns.

        Args:
            edge: About how long their edges may be, in pixels; None for one tile.
            alignment: What their edges are multiples of.
            halo: Pixels that the encoder looks at around each, a multiple of the alignment.
        """
        rows, columns = (_spans(total, edge, alignment, halo, wraps=self._wraps) for total in self.size)
        return rows, columns

    def tiles(self, edge: int | None, alignment: int = 1, halo: int = 0) -> list[Tile]:
        """The tiles of `spans`, row by row."""
        rows, columns = self.spans(edge, alignment, halo)
        return [Tile(row, column) for row in rows for column in columns]

    def whole(self, image: Tensor) -> Tensor:
        """The picture with its margin; shape (B, C, *size)."""
        if not self._margin:
            return image
        return F.pad(image, [self._margin] * 4, mode="reflect" if self._mirrors else "replicate")

    def cut(self, image: Tensor, tile: Tile) -> Tensor:
        """A tile's window of a picture or mask; differentiable, and a view where it can be.

        Args:
            image: Shape (B, C, H, W), without the margin.
            tile: One of `tiles`.
        """
        if tile.is_whole:
            return self.whole(image)
        for axis, span in ((-2, tile.rows), (-1, tile.columns)):
            places = self._places(span, image.shape[axis])
            if isinstance(places, slice):
                image = image.narrow(axis, places.start, places.stop - places.start)
            else:
                image = image.index_select(axis, places.to(image.device))
        return image

    def add(self, whole: Tensor, part: Tensor, tile: Tile) -> None:
        """Adds to a picture, in place, what belongs to a tile's window: the transpose of `cut`.

        Args:
            whole: Shape (B, C, H, W), without the margin.
            part: Shape (B, C, h, w), of the window.
            tile: One of `tiles`.
        """
        chosen: list[slice | Tensor] = []
        for axis, span in ((-2, tile.rows), (-1, tile.columns)):
            places = self._places(span, whole.shape[axis])
            if isinstance(places, Tensor):  # several places of the window may be one of the picture
                places, numbers = torch.unique(places, return_inverse=True)
                shape = [*part.shape]
                shape[axis] = len(places)
                part = part.new_zeros(shape).index_add_(axis, numbers.to(part.device), part)
                first, last = int(places[0]), int(places[-1])
                places = slice(first, last + 1) if last - first + 1 == len(places) else places.to(part.device)
            chosen.append(places)
        rows, columns = chosen
        if isinstance(rows, Tensor) and isinstance(columns, Tensor):
            whole[..., rows[:, None], columns] += part
        else:
            whole[..., rows, columns] += part

    def _places(self, span: Span, edge: int) -> slice | Tensor:
        """The picture's rows or columns in a window."""
        first, stop = (end - self._margin for end in (span.start - span.before, span.stop + span.after))
        if first >= 0 and stop <= edge:
            return slice(first, stop)
        places = torch.arange(first, stop)
        if self._wraps:
            return places % edge
        if self._mirrors:
            places = places.abs()
            return torch.where(places >= edge, 2 * edge - 2 - places, places)
        return places.clamp(0, edge - 1)


def _spans(total: int, edge: int | None, alignment: int, halo: int, *, wraps: bool) -> Sequence[Span]:
    """Tiles along one axis, whose windows are of about the same length; the last one takes what is left.

    Where the canvas ends there is no halo, so that the first and the last tile are longer than the others. Blocks of
    memory that one window leaves then fit the next one.
    """
    whole = [Span(0, total, 0, 0, total)]
    if edge is None or edge >= total or (wraps and total % alignment):
        return whole
    count = -(-total // max(edge, alignment))
    window = _aligned((total + 2 * halo * (count - 1)) / count, alignment)
    first, length = window - halo, window - 2 * halo
    if wraps or length < alignment:
        first = length = _aligned(total / count, alignment)
    starts = [0, *range(first, total, length)][:count]
    if len(starts) > 1 and total - starts[-1] < alignment:  # less than a position of the coarsest layer
        starts.pop()
    if len(starts) == 1:
        return whole
    stops = [*starts[1:], total]
    return [
        Span(start, stop, halo if wraps else min(halo, start), halo if wraps else min(halo, total - stop), total)
        for start, stop in zip(starts, stops, strict=True)
    ]


def _aligned(length: float, alignment: int) -> int:
    """The next multiple of the alignment."""
    return alignment * math.ceil(length / alignment)
