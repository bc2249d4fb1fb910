"""How pictures are looked at: through which encoder, and in which tiles."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.errors import RecipeError
from impasto.losses.neighbors import GRID_STRIDE
from impasto.objective.masks import Style
from impasto.objective.ranks import Ranks, current_ranks
from impasto.objective.tiles import Canvas, Span, Tile

SMALLEST_TILED = 64
"""Pictures with a shorter edge are always evaluated whole: an encoder may continue them to its reach."""


@dataclass(frozen=True, eq=False)
class View:
    """The tiles of a picture, and the encoder that looks at them.

    Attributes:
        encoder: Of the features that are compared.
        looker: Computes the targets, in the encoder's feature space.
        asked: Layers of all terms; the deepest decides how far a small picture is continued.
        canvas: The picture and what lies past its border.
        rows: Of its tiles.
        columns: Of its tiles.
        edge: About how long the edges of tiles are, in pixels; None for whole pictures.
        margin: Of the canvas.
        wraps: Whether opposite edges of pictures meet.
        interpolates: Whether coarse layers are interpolated, as nearest neighbors need it.
        ranks: The processes that share the tiles; None if this one looks at all of them.
    """

    encoder: Encoder
    looker: Encoder
    asked: Collection[str]
    canvas: Canvas
    rows: Sequence[Span]
    columns: Sequence[Span]
    edge: int | None
    margin: int
    wraps: bool
    interpolates: bool
    ranks: Ranks | None = None

    @classmethod
    def of(
        cls, size: tuple[int, int], encoder: Encoder, looker: Encoder, asked: Collection[str],
        edge: int | None = None, margin: int = 0, *, wraps: bool = False, interpolates: bool = False,
        layers: Collection[str] | None = None, is_shared: bool = True,
    ) -> "View":  # fmt: skip
        """The view of a picture of a height and width in pixels; other arguments are the attributes, and two more.

        `layers` are those that decide the halo, where they are not those that are asked for. `is_shared` says whether
        processes that share tiles share those of this picture.

        Raises:
            RecipeError: If the edge is given and the encoder cannot say how far it looks.
        """
        canvas = Canvas(size, margin, wraps=wraps)
        if is_tiled(size, edge):
            alignment, halo = geometry(encoder, asked if layers is None else layers, interpolates=interpolates)
            rows, columns = canvas.spans(edge, alignment, halo)
        else:
            rows, columns = canvas.spans(None)
        ranks = current_ranks() if is_shared else None
        if ranks is not None and len(rows) * len(columns) < ranks.count:
            ranks = None
        return cls(encoder, looker, asked, canvas, rows, columns, edge, margin, wraps, interpolates, ranks)

    @cached_property
    def tiles(self) -> Sequence[Tile]:
        """The parts of the canvas that this process looks at, row by row."""
        tiles = [Tile(row, column) for row in self.rows for column in self.columns]
        return tiles if self.ranks is None else self.ranks.own(tiles)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Adds, in place, what all processes have summed up over their tiles."""
        if self.ranks is not None:
            self.ranks.add(tensors)

    @property
    def is_whole(self) -> bool:
        """Whether there is one tile."""
        return len(self.rows) * len(self.columns) == 1

    @property
    def window_pixels(self) -> int:
        """Pixels of the largest tile with its halo."""
        return max(span.window for span in self.rows) * max(span.window for span in self.columns)

    @property
    def overlap(self) -> float:
        """Pixels of all tiles with their halos, over those of the canvas; at least 1."""
        pixels = sum(span.window for span in self.rows) * sum(span.window for span in self.columns)
        return pixels / math.prod(self.canvas.size)

    def of_style(self, style: Style, layers: Collection[str], *, is_shared: bool = True) -> "View":
        """The view of a style image, of which these layers are asked for; `is_shared` as in `of`."""
        image = style.image
        sources = {source for layer in layers for source in self.encoder.style_sources(layer)}
        return View.of(
            (image.shape[-2], image.shape[-1]), self.encoder, self.looker, self.asked, self.edge, self.margin,
            wraps=self.wraps, interpolates=self.interpolates, layers=sources,
            is_shared=is_shared and self.ranks is not None,
        )  # fmt: skip

    def cut(self, image: Tensor, tile: Tile) -> Tensor:
        """A tile's window of a picture."""
        return self.canvas.cut(image, tile)

    def inner(self, features: Tensor, layer: str, tile: Tile) -> Tensor:
        """The tile's own positions of its window's features."""
        return tile.inner(features, self.encoder.layers[layer].stride)


def is_tiled(size: tuple[int, int], edge: int | None) -> bool:
    """Whether a picture of a height and width is evaluated in several tiles of an edge; None for whole pictures."""
    return edge is not None and min(size) >= SMALLEST_TILED and max(size) > edge


def geometry(encoder: Encoder, layers: Collection[str], *, interpolates: bool = False) -> tuple[int, int]:
    """What edges of tiles are multiples of, and how wide the halo is, in pixels.

    Args:
        encoder: Knows strides and reach of its layers.
        layers: Those that are looked at.
        interpolates: Whether to leave room for interpolation from the coarsest layer: two of its positions.

    Raises:
        RecipeError: If the encoder cannot say how far a layer looks.
    """
    alignment = math.lcm(GRID_STRIDE, encoder.alignment(layers))
    reach = encoder.reach(layers)
    if reach is None:
        unknown = next(layer for layer in layers if encoder.reach([layer]) is None)
        raise RecipeError(
            f"{encoder.name} cannot be evaluated in tiles: how far its layer '{unknown}' looks is unknown. Leave "
            "tile_edge out, lower the height, or choose another model."
        )
    room = 2 * max((encoder.layers[layer].stride for layer in layers), default=1) if interpolates else 0
    return alignment, alignment * math.ceil(max(1, reach + room) / alignment)  # neighboring pixels need one
