"""The pictures of a run, resized to each level: content, styles, masks, and the start."""

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.encoders.vgg import MEAN
from impasto.errors import RecipeError
from impasto.images import Picture, fill, output_size, resample, resize
from impasto.losses.neighbors import Matching
from impasto.objective.masks import Style, check_pairs, resize_mask
from impasto.objective.objective import Objective
from impasto.objective.view import is_tiled
from impasto.pipeline.segmentation import auto_regions
from impasto.recipe import Recipe

WIDEST_STYLE = 4
"""Largest number of pixels of a style image, as a multiple of the output's."""

TILE_MULTIPLE = 16
"""Edges of a tileable picture are multiples of this many pixels, so that the encoder's coarsest grid wraps evenly."""

REGION_EDGE = 320
"""Longest edge, in pixels, of pictures in which automatic regions are found."""

NOISE_DEVIATION = 90 / 255


class LevelImages:
    """All pictures of a run.

    Args:
        content: Shape (1, 3, H, W), RGB in [0, 1].
        styles: Shapes (1, 3, h, w), RGB in [0, 1].
        recipe: Sizes, shares, scales.
        encoder: Frozen, on the device of the run.
        device: Where the levels' pictures go.
        content_masks: Which part of the output each style is for, shapes (1, 1, ?, ?) in [0, 1]; empty for all.
        style_masks: Which part of each style image is taken, likewise.
        lock_mask: Where the content is kept, likewise; None for nowhere.
        visible: Which part of the content counts, likewise; None for all.

    Raises:
        UserError: If the numbers of masks, shares or scales do not match the number of styles.
    """

    def __init__(
        self,
        content: Tensor,
        styles: Sequence[Tensor],
        recipe: Recipe,
        encoder: Encoder,
        device: torch.device,
        *,
        content_masks: Sequence[Tensor] = (),
        style_masks: Sequence[Tensor | None] = (),
        lock_mask: Tensor | None = None,
        visible: Tensor | None = None,
    ) -> None:
        check_styles(recipe, len(styles), content_masks, style_masks)
        self.recipe, self.encoder, self.device = recipe, encoder, device
        self.content = periodic_component(content) if recipe.tileable else content
        self.styles, self.lock_mask, self.visible = styles, lock_mask, visible
        self.content_masks: Sequence[Tensor | None] = content_masks or [None] * len(styles)
        self.style_masks: Sequence[Tensor | None] = style_masks or [None] * len(styles)
        self._pictures: dict[tuple[int, int], tuple[Tensor, Sequence[Style]]] = {}  # of the current level
        self.blend = one_each(recipe.style_blend or [1.0] * len(styles), len(styles), "style_blend")

    def objective(
        self,
        size: tuple[int, int],
        recipe: Recipe,
        encoder: Encoder | None = None,
        target_encoder: Encoder | None = None,
        begin: Tensor | None = None,
        matching: Matching | None = None,
    ) -> Objective:
        """The objective at the size of a level.

        Args:
            size: Height and width of the level.
            recipe: With the current weights, and layers of the encoder.
            encoder: Another one than the run's own, for the finish or corrected for it.
            target_encoder: As in `Objective`.
            begin: As in `Objective`.
            matching: As in `Objective`.
        """
        lock, visible = (
            None if mask is None else resize_mask(mask, size).to(self.device) for mask in (self.lock_mask, self.visible)
        )
        encoder = encoder or self.encoder
        return Objective(
            encoder, *self.pictures_at(size), recipe, lock, visible, target_encoder, begin, matching or Matching.JOINT
        )  # fmt: skip

    def pictures_at(self, size: tuple[int, int]) -> tuple[Tensor, Sequence[Style]]:
        """Content and styles with their masks for a picture of that size, on the device.

        Those of a picture in tiles are made anew each time: styles are as large as it is, and looked at once.
        """
        if size in self._pictures:
            return self._pictures[size]
        pictures = resize(self.content, size).to(self.device), self._styles_at(size)
        self._pictures = {} if is_tiled(size, self.recipe.tile_edge) else {size: pictures}
        return pictures

    def _styles_at(self, size: tuple[int, int]) -> list[Style]:
        styles = []
        own_sizes = style_sizes([_size(image) for image in self.styles], size, self.recipe)
        for index, (image, own) in enumerate(zip(self.styles, own_sizes, strict=True)):
            at_level = resize(image, own).to(self.device)
            for share, content_mask, style_mask in self._regions[index]:
                masks = [
                    None if mask is None else resize_mask(mask, mask_size).to(self.device)
                    for mask, mask_size in ((content_mask, size), (style_mask, own))
                ]
                styles.append(Style(at_level, self.blend[index] * share, *masks))
        return styles

    @cached_property
    def _regions(self) -> list[list[tuple[float, Tensor | None, Tensor | None]]]:
        """For each style its regions: a share of its weight, a content mask and a style mask."""
        if not self.recipe.auto_mask:
            pairs = zip(self.content_masks, self.style_masks, strict=True)
            return [[(1.0, content_mask, style_mask)] for content_mask, style_mask in pairs]
        content = _at_most(self.content, REGION_EDGE).to(self.device)
        return [
            [
                (1.0, content_mask.cpu(), style_mask.cpu())
                for content_mask, style_mask in auto_regions(
                    self.encoder, content, _at_most(image, REGION_EDGE).to(self.device), self.recipe.auto_mask
                )
            ]
            for image in self.styles
        ]

    def keep_locked(self, image: Tensor, content: Picture) -> Tensor:
        """A finished picture with the content put back where it is locked.

        Args:
            image: Shape (1, 3, H, W), in [0, 1].
            content: The content image at its own size.
        """
        if self.lock_mask is None:
            return image
        size = _size(image)
        lock = resize_mask(self.lock_mask, size).to(image.device)
        return image.lerp(resize(content.pixels, size).to(image.device), lock)

    def start(self, size: tuple[int, int]) -> Tensor:
        """The start that the recipe names, shape (1, 3, *size), on the device."""
        if self.recipe.init_method == "random":
            image = noise(size, self.recipe.seed)
        elif self.recipe.init_method == "style":
            image = fill(self.styles[0], size)
        else:
            image = resize(self.content, size)
        return image.to(self.device)

    def enlarged(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """The start of the next level, from the picture of the one before.

        The difference from the start is enlarged and added to the start at the new size. Enlarging the picture itself
        would lose the fine detail of the start. The picture itself is enlarged where the start has no such detail:
        random starts differ at each size, and nearest neighbors bring detail of their own, the more of it the higher
        the strength.

        Args:
            image: Shape (1, 3, H, W), in [0, 1], on the device.
            size: Height and width of the next level.

        Returns:
            Shape (1, 3, *size); may leave [0, 1] a little.

        Reference: Brandt (1977), Math. Comp. 31, 333-390, "Multi-level adaptive solutions to boundary-value problems",
        on the full approximation scheme, which also interpolates the change and not the solution.
        """
        if self.recipe.init_method == "random":
            return self.resample(image, size)
        enlarged = self.resample(image - self.start(_size(image)), size)
        enlarged += self.start(size)
        if self.recipe.style_loss != "neighbors":
            return enlarged
        return torch.lerp(enlarged, self.resample(image, size), min(1.0, self.recipe.strength / 50))

    def resample(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Resizes a picture or a difference of pictures, shape (1, 3, H, W); a tile across its edges."""
        return resample(image, size, wrap=self.recipe.tileable)


def check_styles(
    recipe: Recipe, num_styles: int, content_masks: Sequence[object], style_masks: Sequence[object]
) -> None:
    """Checks that masks, shares and scales match the number of styles.

    Args:
        recipe: With `style_blend`, `style_scale` and `auto_mask`.
        num_styles: Number of style images.
        content_masks: One for each style, or none.
        style_masks: Likewise; None for a style image that is taken as a whole.

    Raises:
        UserError: If they do not.
    """
    check_pairs(num_styles, content_masks, style_masks)
    one_each(recipe.style_scale, num_styles, "style_scale")
    if not any(one_each(recipe.style_blend or [1.0], num_styles, "style_blend")):
        raise RecipeError("style_blend is 0 for every style; give at least one of them a share.")
    if recipe.auto_mask and (content_masks or any(mask is not None for mask in style_masks)):
        raise RecipeError("auto_mask finds regions itself; use either auto_mask or masks of content and style.")


def target_size(content_size: tuple[int, int], recipe: Recipe) -> tuple[int, int]:
    """Height and width of the output in pixels.

    Args:
        content_size: Height and width of the content image.
        recipe: With `height`, `size` and `tileable`.
    """
    size = output_size(content_size, height=recipe.height, longest_edge=recipe.size)
    if not recipe.tileable:
        return size
    height, width = (max(1, (edge + TILE_MULTIPLE // 2) // TILE_MULTIPLE) * TILE_MULTIPLE for edge in size)
    return height, width


def style_sizes(sizes: Sequence[tuple[int, int]], output: tuple[int, int], recipe: Recipe) -> list[tuple[int, int]]:
    """Heights and widths at which the style images are used; see `style_size`.

    Raises:
        RecipeError: If the number of scales is neither 1 nor the number of styles.
    """
    scales = one_each(recipe.style_scale, len(sizes), "style_scale")
    return [style_size(size, output, scale) for size, scale in zip(sizes, scales, strict=True)]


def largest_sizes(
    content: tuple[int, int], styles: Sequence[tuple[int, int]], output: tuple[int, int], recipe: Recipe
) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """The largest heights and widths at which a run uses its content image and its style images.

    Args:
        content: Height and width of the content image.
        styles: Of the style images.
        output: Of the finest level.
        recipe: With the start, which may be a style image, and the number of automatic regions.
    """
    largest = style_sizes(styles, output, recipe)
    if recipe.init_method == "style":
        largest[0] = max(largest[0], _covering(styles[0], output), key=math.prod)
    if recipe.auto_mask:
        output = max(output, _bounded(content, REGION_EDGE), key=math.prod)
        largest = [
            max(size, _bounded(own, REGION_EDGE), key=math.prod) for own, size in zip(styles, largest, strict=True)
        ]
    return output, largest


def _covering(size: tuple[int, int], output: tuple[int, int]) -> tuple[int, int]:
    """The size, scaled until it covers the output."""
    scale = max(edge / own for edge, own in zip(output, size, strict=True))
    return math.ceil(size[0] * scale), math.ceil(size[1] * scale)


def _bounded(size: tuple[int, int], edge: int) -> tuple[int, int]:
    """The size, scaled down so that its longest edge is at most `edge`."""
    return size if max(size) <= edge else output_size(size, height=1, longest_edge=edge)


def noise(size: tuple[int, int], seed: int) -> Tensor:
    """Gaussian noise around ImageNet's mean color, the random start.

    Args:
        size: Height and width in pixels.
        seed: The same seed gives the same noise on every device.

    Returns:
        Shape (1, 3, H, W), float32 in [0, 1]; standard deviation 90/255 before clipping.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    return (mean + NOISE_DEVIATION * torch.randn((1, 3, *size), generator=generator)).clamp_(0, 1)


def style_size(size: tuple[int, int], output: tuple[int, int], scale: float = 1.0) -> tuple[int, int]:
    """Height and width at which a style image is used: the output's height, its own aspect ratio.

    Strokes then have the size that they have when both pictures hang side by side. A panorama is shrunk to at most
    `WIDEST_STYLE` times the output's pixels.

    Args:
        size: The style image's height and width.
        output: The output's (on a coarse level, the level's) height and width.
        scale: Factor of the style image's size, and so of its strokes.
    """
    height, width = output[0] * scale, size[1] * output[0] / size[0] * scale
    excess = height * width / (WIDEST_STYLE * output[0] * output[1])
    shrink = 1 / max(1.0, excess**0.5)
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def periodic_component(image: Tensor) -> Tensor:
    """The periodic component of a picture: without a jump between opposite edges, otherwise as similar as possible.

    Args:
        image: Shape (1, 3, H, W), in [0, 1].

    Returns:
        The same shape, in [0, 1].

    Reference: Moisan (2011), Periodic plus smooth image decomposition, J. Math. Imaging Vis. 39, eqs. 8-11.
    """
    wide = image.double()
    jump = torch.zeros_like(wide)
    for axis in (-1, -2):
        difference = wide.select(axis, -1) - wide.select(axis, 0)
        jump.select(axis, 0).add_(difference)
        jump.select(axis, -1).sub_(difference)
    cosines = [
        torch.cos(2 * torch.pi * torch.fft.fftfreq(edge, dtype=torch.float64, device=image.device))
        for edge in _size(image)
    ]
    laplacian = 2 * cosines[0][:, None] + 2 * cosines[1][None, :] - 4
    laplacian[0, 0] = 1  # the mean belongs to the periodic component
    smooth = torch.fft.fft2(jump) / laplacian
    smooth[..., 0, 0] = 0
    periodic: Tensor = wide - torch.fft.ifft2(smooth).real
    return periodic.clamp(0, 1).to(image.dtype)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _at_most(image: Tensor, edge: int) -> Tensor:
    """The picture, shrunk so that its longest edge is at most `edge`."""
    return resize(image, _bounded(_size(image), edge))


def one_each(values: Sequence[float], count: int, name: str) -> list[float]:
    """One value for each style; a single value holds for all.

    Raises:
        RecipeError: If the number of values is neither 1 nor `count`.
    """
    if len(values) == 1:
        return [*values] * count
    if len(values) != count:
        raise RecipeError(f"{name} has {len(values)} numbers for {count} style images; give one for each, or one.")
    return [*values]
