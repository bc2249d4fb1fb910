"""Measures of a painted picture that no objective has optimized, so that different objectives can be compared.

A run's own losses say how far the optimizer came, not how the picture looks. Here are: structural similarity and edge
agreement with the content; how far its colors are from those of content and style; and its distance from content and
style in the features of a *judge*, a network, or at least layers, that the run has not optimized.

Structural similarity, edges and color distances are scikit-image's and SciPy's (``pip install 'impasto[sweep]'``);
without them these are unknown.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.encoders import Encoder, build_encoder
from impasto.encoders.weights.store import describe
from impasto.errors import ImpastoError
from impasto.images import output_size, resize
from impasto.images.color_spaces import luma, srgb_to_oklab
from impasto.objective.objective import Objective
from impasto.pipeline.build import complete
from impasto.pipeline.level_images import style_size
from impasto.recipe import Recipe, choices

__all__ = ["Judge", "measure", "pick_judge"]

logger = logging.getLogger(__name__)

JUDGES = ("vgg16", "vgg19", "compact")
"""Who judges, if it is on this machine and was not optimized; the first that is."""

JUDGED_EDGE = 512
"""Longest edge, in pixels, at which a judge looks."""

EDGE_SIGMA = 1.5
"""Of the smoothing before edges are found, in pixels."""

EDGE_TOLERANCE = 2
"""Pixels by which two edges may be apart and still agree."""

_SMALLEST = 11
"""Edge of the window of structural similarity; smaller pictures have none."""

_MAX_SAMPLES = 100_000
"""Pixels at which colors are compared."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Features in which pictures are compared that were optimized in others.

    Attributes:
        encoder: Computes them.
        recipe: Names the layers.
    """

    encoder: Encoder
    recipe: Recipe

    @property
    def name(self) -> str:
        """The network and its layers: ``"vgg19 (content relu4_2; style relu1_1 relu2_1 …)"``."""
        content, style = (" ".join(layers or ()) for layers in (self.recipe.content_layers, self.recipe.style_layers))
        return f"{self.encoder.name} (content {content}; style {style})"

    def distances(self, image: Tensor, content: Tensor, styles: Sequence[Tensor]) -> tuple[float, float]:
        """How far a picture is from content and style: 0 is equal, 1 as far as black; of several styles the mean.

        Args:
            image: Shape (1, 3, H, W), RGB in [0, 1].
            content: Likewise, of any size.
            styles: Likewise.
        """
        size = bounded(image)
        shrunk = [resize(style, style_size((style.shape[-2], style.shape[-1]), size)) for style in styles]
        distances = Objective(self.encoder, resize(content, size), shrunk, self.recipe).distances(resize(image, size))
        return distances["content"], distances["style"]


def pick_judge(optimized: Collection[str]) -> Judge | None:
    """A network on this machine that was not optimized; failing that, other layers of one that was.

    Args:
        optimized: Names of the encoders that pictures were painted with.

    Returns:
        None if weights that are here cannot be read.
    """
    here = [name for name in JUDGES if describe(name).path is not None or name == "compact"]
    name = next((name for name in here if name not in optimized), "")
    try:
        encoder = build_encoder(name or next(name for name in here if name in choices("model")))
    except ImpastoError as error:
        logger.warning("Content and style are not judged by another network: %s", error)
        return None
    recipe = complete(Recipe(look="classic", model=encoder.name), encoder)
    return Judge(encoder, recipe if name else recipe.replace(**_other_layers(encoder)))


def measure(
    image: Tensor, content: Tensor | None, styles: Sequence[Tensor], judge: Judge | None
) -> dict[str, float | str | None]:
    """Every measure of one picture; None where it cannot be told, as for want of a content image.

    Args:
        image: Shape (1, 3, H, W), RGB in [0, 1].
        content: Likewise, of any size; it is brought to the picture's.
        styles: Likewise; distances are the mean over them.
        judge: From `pick_judge`.

    Returns:
        ``ssim`` (−1 to 1) and ``edge_agreement`` (0 to 1) with the content; ``color_to_content`` and
        ``color_to_style`` (mean distance of the channels' distributions in OKLab, 0 for equal); ``judge_content`` and
        ``judge_style`` (0 for equal, 1 as far as black) and the ``judge`` that says so.
    """
    size = (image.shape[-2], image.shape[-1])
    facts: dict[str, float | str | None] = dict.fromkeys(
        ("ssim", "edge_agreement", "color_to_content", "color_to_style", "judge_content", "judge_style", "judge")
    )
    if is_available():
        if content is not None:
            at_size = resize(content, size)
            facts["ssim"], facts["edge_agreement"] = structural_similarity(image, at_size), edges_in_common(image, at_size)
            facts["color_to_content"] = color_distance(image, content)
        if styles:
            facts["color_to_style"] = sum(color_distance(image, style) for style in styles) / len(styles)
    if judge is not None and content is not None and styles:
        facts["judge_content"], facts["judge_style"] = judge.distances(image, content, styles)
        facts["judge"] = judge.name
    return facts


@cache
def is_available() -> bool:
    """Whether the packages are there; says once how to get them if not."""
    try:
        import scipy.stats
        import skimage.metrics  # noqa: F401
    except ImportError:
        logger.warning(
            "Structural similarity, edges and colors are not measured without scikit-image: pip install 'impasto[sweep]'."
        )
        return False
    return True


def structural_similarity(image: Tensor, other: Tensor) -> float | None:
    """Structural similarity of the lumas of two pictures of one size, from −1 to 1; None for pictures below 11 pixels.

    Reference: Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", with
    its Gaussian window.
    """
    from skimage.metrics import structural_similarity as similarity

    if min(image.shape[-2:]) < _SMALLEST:
        return None
    return float(
        similarity(
            _plane(luma(image)), _plane(luma(other)), data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
    )  # fmt: skip


def edges_in_common(image: Tensor, other: Tensor) -> float | None:
    """Share of edges that two pictures of one size have in common, from 0 to 1; None if neither has any.

    Canny edges of the lumas; the harmonic mean of the shares of either's edges that lie within `EDGE_TOLERANCE` of one
    of the other's.
    """
    from scipy.ndimage import distance_transform_edt
    from skimage.feature import canny

    first, second = (canny(_plane(luma(picture)), sigma=EDGE_SIGMA) for picture in (image, other))
    if not (first.any() or second.any()):
        return None
    if not (first.any() and second.any()):
        return 0.0
    shares = [
        float((distance_transform_edt(~there)[here] <= EDGE_TOLERANCE).mean())
        for here, there in ((first, second), (second, first))
    ]
    return 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0


def color_distance(image: Tensor, other: Tensor) -> float:
    """Mean over L, a and b of OKLab of the distance between two pictures' distributions; 0 for equal.

    Reference: Wasserstein distance of order 1 in one dimension, as `scipy.stats.wasserstein_distance`.
    """
    from scipy.stats import wasserstein_distance

    first, second = (_colors(picture) for picture in (image, other))
    return float(np.mean([wasserstein_distance(a, b) for a, b in zip(first, second, strict=True)]))


def bounded(image: Tensor) -> tuple[int, int]:
    """Height and width of a picture, brought down to `JUDGED_EDGE`."""
    size = (image.shape[-2], image.shape[-1])
    return size if max(size) <= JUDGED_EDGE else output_size(size, height=1, longest_edge=JUDGED_EDGE)


def _other_layers(encoder: Encoder) -> Mapping[str, Mapping[str, float]]:
    """Layers for content and style that the encoder's classical ones are not: the ones before them, where there are."""
    names = list(encoder.layers)
    classical = {*encoder.content_layers, *encoder.style_layers}
    free = [name for name in names if name not in classical]

    def nearest(layers: Collection[str]) -> dict[str, float]:
        found = (min(free, key=lambda name: abs(names.index(name) - names.index(layer))) for layer in layers)
        return dict.fromkeys(found, 1.0)

    return {"content_layers": nearest(encoder.content_layers), "style_layers": nearest(encoder.style_layers)}


def _plane(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor[0, 0].cpu().numpy(), dtype=np.float32)


def _colors(image: Tensor) -> Tensor:
    """The pixels in OKLab, shape (3, N), evenly thinned out where there are many."""
    pixels = srgb_to_oklab(image.cpu()).flatten(2)[0]
    step = max(1, pixels.shape[1] // _MAX_SAMPLES)
    return pixels[:, ::step].contiguous()
