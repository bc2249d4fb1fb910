"""Distributions of features by counting: how often values occur, and the Wasserstein distance that follows.

Sorting all values would need all of a picture at a time. Counts in narrow bins add up over its parts, and take less
time.

Legend: K channels, N positions, B bins.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from impasto.losses.base import Statistics, relative

BINS_PER_OCTAVE = 32
"""Bins between a value and its double: each is 2.2 % wide, and means within bins are kept."""

LOWEST, HIGHEST = -8, 18
"""Powers of two between which values have bins; below they are taken as zero, above they fall in the last bin."""

_PER_SIGN = BINS_PER_OCTAVE * (HIGHEST - LOWEST)
NUM_BINS = 2 * _PER_SIGN + 1

VALUES_AT_A_TIME = 1 << 20
"""Values that are counted at a time, which bounds the memory for their places."""


@dataclass(frozen=True, eq=False)
class Counts(Statistics):
    """How often the values of some channels occur, by bin, and where in the bins they lie.

    Attributes:
        counts: Positions (sums of their weights), shape (K, B).
        offsets: Sums of the values' differences from the middle of their bin, shape (K, B).
    """

    counts: Tensor
    offsets: Tensor


@dataclass(frozen=True, eq=False)
class Quantiles:
    """A target: the quantile function of each channel, a step for each bin.

    Attributes:
        ends: Share of the positions up to the end of each bin, shape (K, B + 1), from 0 to 1, float64.
        integrals: Of the quantile function up to there, likewise.
        square_integrals: Of its square, likewise.
        steps: Its value in each bin, shape (K, B), float64.
    """

    ends: Tensor
    integrals: Tensor
    square_integrals: Tensor
    steps: Tensor


class _Binned(torch.autograd.Function):
    """Counts and offsets, which depend on a value by its difference from the middle of its bin alone."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        channels, positions = values.shape
        places = torch.empty_like(values, dtype=torch.int16)
        middle = middles(values.device)
        sums: list[list[Tensor]] = [[], []]
        for part in torch.split(torch.arange(channels), max(1, VALUES_AT_A_TIME // max(1, positions))):
            block = slice(int(part[0]), int(part[-1]) + 1)
            found = bins_of(values[block])
            places[block] = found.short()
            shares = None if weights is None else weights.double().expand(found.shape).flatten()
            offsets = (values[block] - middle[found]).flatten()
            flat = (found + NUM_BINS * torch.arange(len(part), device=values.device)[:, None]).flatten()
            for of_kind, addends in zip(sums, (shares, offsets if shares is None else offsets * shares), strict=True):
                summed = torch.bincount(flat, addends, len(part) * NUM_BINS)  # in float64
                of_kind.append(summed.view(-1, NUM_BINS).double())
        ctx.save_for_backward(places, weights)
        ctx.dtype = values.dtype
        counts, offsets = (torch.cat(of_kind) for of_kind in sums)
        return counts, offsets

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        places, weights = ctx.saved_tensors
        gradient = gradients[1].to(ctx.dtype).gather(1, places.long())
        return gradient if weights is None else gradient * weights, None


def counts_of(features: Tensor, weights: Tensor | None, projection: Tensor | None) -> Counts:
    """Counts of the values of projected features.

    Arguments as of `impasto.losses.base.StyleLoss.statistics`.
    """
    values = features[0].flatten(1)
    values = values.to(torch.promote_types(values.dtype, torch.float32))
    if projection is not None:
        projection = projection.to(values.dtype)
        values = torch.addmm(projection[:, -1:], projection[:, :-1], values)
    flat = None if weights is None else weights.expand(1, 1, *features.shape[-2:]).flatten().to(values.dtype)
    counts, offsets = _Binned.apply(values, flat)  # type: ignore[no-untyped-call]
    return Counts(counts, offsets)


def quantiles_of(statistics: Counts) -> Quantiles:
    """The quantile functions of counted values."""
    counts = statistics.counts.double()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1e-300)
    steps = _means(statistics)
    start = shares.new_zeros((len(shares), 1))
    ends, integrals, squares = (
        torch.cat([start, sums.cumsum(1)], 1) for sums in (shares, shares * steps, shares * steps.square())
    )
    return Quantiles(ends, integrals, squares, steps)


def quantile_distance(statistics: Counts, target: Quantiles) -> Tensor:
    """Squared Wasserstein-2 distance of each channel's values from a target's, summed and relative; a scalar.

    The values of a bin are matched as one with the target's values of the same ranks.
    """
    counts = statistics.counts.detach()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1e-300)
    ends = torch.cat([shares.new_zeros((len(shares), 1)), shares.cumsum(1).clamp(max=1)], 1)
    first, second = _integrals_at(ends, target)
    is_there = shares > 0
    matched = torch.where(is_there, first.diff(dim=1) / torch.where(is_there, shares, 1), 0)
    spread = (second.diff(dim=1) - shares * matched.square()).clamp(
        min=0
    )  # of the target's values within a bin's ranks
    distance = (shares * (_means(statistics) - matched).square()).sum() + spread.sum()
    return relative(distance, target.square_integrals[:, -1].sum()).to(torch.float32)


def bins_of(values: Tensor) -> Tensor:
    """The bin of each value, int64 below `NUM_BINS`: bins are as wide as their values are large, on both sides of 0.

    What is no number falls into some bin; its offset is no number either, and so the distance is none.
    """
    octaves = (values.abs().clamp(min=2.0**LOWEST, max=2.0**HIGHEST).log2() - LOWEST) * BINS_PER_OCTAVE
    rank = octaves.nan_to_num(0.0).long().clamp_(max=_PER_SIGN - 1) + 1
    rank = torch.where(values.abs() < 2.0**LOWEST, 0, rank)
    return torch.where(values < 0, _PER_SIGN - rank, _PER_SIGN + rank)


@lru_cache(maxsize=4)
def middles(device: torch.device) -> Tensor:
    """The middle of each bin, shape (B,), float64."""
    exponents = LOWEST + (torch.arange(_PER_SIGN, dtype=torch.float64) + 0.5) / BINS_PER_OCTAVE
    positive = torch.exp2(exponents)
    return torch.cat([-positive.flip(0), positive.new_zeros(1), positive]).to(device)


def _means(statistics: Counts) -> Tensor:
    """The mean value in each bin, shape (K, B), float64; the middle where there is none."""
    counts = statistics.counts
    offsets = statistics.offsets / torch.where(counts > 0, counts, 1)
    return middles(counts.device) + offsets


def _integrals_at(ranks: Tensor, target: Quantiles) -> tuple[Tensor, Tensor]:
    """Integrals of the quantile function and of its square up to some ranks, shape (K, B + 1)."""
    places = (torch.searchsorted(target.ends, ranks.contiguous(), right=True) - 1).clamp(0, target.steps.shape[1] - 1)
    steps = target.steps.gather(1, places)
    past = ranks - target.ends.gather(1, places)
    return (
        target.integrals.gather(1, places) + past * steps,
        target.square_integrals.gather(1, places) + past * steps.square(),
    )
