"""Bands of opponent color and frequency, and the curvature of the objective in each.

A network is far more sensitive to fine patterns of light and dark than to slow gradients or to fine patterns of color.
One step length for all of them is limited by the steepest.

Reference: Gilbert & Lemaréchal (1989), Math. Programming 45, 407-435, on diagonal matrices for variable-storage methods
to start from; Mordvintsev et al. (2018), Distill, "Differentiable Image Parameterizations", on decorrelated colors and
frequencies as the coordinates to take steps in.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import one_hot

EDGES = (*(2.0**-octave for octave in range(7, 1, -1)), 3 / 8)
"""Upper ends of the bands, in cycles per pixel, vertically and horizontally: octaves, the last one halved."""

OPPONENT = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0], [1.0, 1.0, -2.0]])
OPPONENT /= OPPONENT.norm(dim=1, keepdim=True)
"""Brightness, red against green, yellow against blue: rows of an orthogonal matrix."""

RIDGE = 1e-2
"""Share of the mean that is added to each band, so that a band with hardly any steps counts as average."""


class Bands:
    """The bands of pictures of one size: an orthogonal transform, and the band of each coefficient.

    Args:
        size: Height and width in pixels.
        device: Of the pictures.
    """

    def __init__(self, size: tuple[int, int], device: torch.device) -> None:
        self.size = size
        height, width = size
        edges = torch.tensor(EDGES)
        rows = torch.bucketize(torch.fft.fftfreq(height).abs(), edges)
        columns = torch.bucketize(torch.fft.rfftfreq(width), edges)
        multiplicity = torch.full((width // 2 + 1, 1), 2.0)  # a column also stands for its mirror image,
        multiplicity[0] = 1  # except those that are their own
        if width % 2 == 0:
            multiplicity[-1] = 1
        in_row, in_column = (one_hot(bands, len(EDGES) + 1).float() for bands in (rows, columns))
        self._in_row = in_row.to(device)
        # Twice each: for the real and the imaginary part.
        self._in_column = in_column.repeat_interleave(2, 0).to(device)
        self._count_in_column = (in_column * multiplicity).repeat_interleave(2, 0).to(device)
        self._opponent = OPPONENT.to(device)

    def squared_norms(self, image: Tensor) -> Tensor:
        """The sum of squares in each band, shape (3, rows, columns); they add up to the picture's.

        Args:
            image: Shape (1, 3, H, W), of any range.
        """
        squares = [_numbers(self._spectrum(image, channel)).square_() @ self._count_in_column for channel in range(3)]
        return self._in_row.mT @ torch.stack(squares)

    def scaled(self, image: Tensor, gains: Tensor) -> Tensor:
        """The picture with each band multiplied by its gain; a symmetric map.

        Args:
            image: Shape (1, 3, H, W), of any range.
            gains: Shape (3, rows, columns).
        """
        scaled = torch.zeros_like(image)
        for channel, colors in enumerate(self._opponent):
            spectrum = self._spectrum(image, channel)
            _numbers(spectrum).mul_(self._in_row @ gains[channel] @ self._in_column.mT)
            scaled.addcmul_(colors.view(1, 3, 1, 1), torch.fft.irfft2(spectrum, s=self.size, norm="ortho"))
        return scaled

    def _spectrum(self, image: Tensor, channel: int) -> Tensor:
        """Of one opponent color, shape (H, W // 2 + 1), complex.

        One after the other, as a large picture has no room for the spectra of all.
        """
        opponent = (self._opponent[channel] @ image.flatten(2)[0]).view(self.size)
        spectrum: Tensor = torch.fft.rfft2(opponent, norm="ortho").contiguous()
        return spectrum


def _numbers(spectrum: Tensor) -> Tensor:
    """A view of complex numbers of shape (..., W) as their real and imaginary parts, shape (..., 2 W)."""
    return torch.view_as_real(spectrum).flatten(-2)


@lru_cache(maxsize=4)
def bands_of(size: tuple[int, int], device: torch.device) -> Bands:
    """The bands of pictures of a size; see `Bands`."""
    return Bands(size, device)


def inverse_curvatures(steps: Sequence[Tensor], changes: Sequence[Tensor]) -> Tensor:
    """The inverse curvature of each band: step over change of the gradient; shape (3, rows, columns).

    It is the ratio of norms, which is positive whatever the sign of the curvature, and lies between the two usual
    estimates by inner products.

    Args:
        steps: Squared norms of some steps by band, at least one step, each divided by the step's total, so that long
            and short steps count the same.
        changes: Squared norms of the changes of the gradient, divided by the same.
    """
    step, change = (torch.stack(list(squared_norms)).sum(0) for squared_norms in (steps, changes))
    return ((step + RIDGE * step.mean()) / (change + RIDGE * change.mean())).sqrt()
