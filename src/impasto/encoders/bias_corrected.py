"""A narrow encoder, corrected at one picture by the wide one that it imitates.

An optimizer finds the pictures that a narrow network misjudges. Where the wide one is at hand, it can look at such a
picture once and say what is missing there: its features, brought to the narrow network's channels, less the narrow
network's own. Added as a constant to all that the narrow network says from there on, this takes away its errors at that
picture, and near it all but the change in them, at the narrow network's price.

Reference: Bandler et al. (2004), IEEE Trans. Microw. Theory Tech. 52, "Space mapping: the state of the art", on output
space mapping.
"""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.encoders.compact import Compact
from impasto.errors import EncoderError


class Translated(Encoder):
    """A wide encoder's features in the channels of a narrow one: what the narrow one should have said.

    Args:
        narrow: Its projections lead to the wide encoder's channels; here they are inverted by least squares.
        wide: The encoder that it imitates.
    """

    def __init__(self, narrow: Compact, wide: Encoder) -> None:
        super().__init__()
        if wide.name != narrow.teacher:
            raise EncoderError(f"{narrow.name} imitates {narrow.teacher}, not {wide.name}.")
        self.narrow, self.wide = narrow, wide
        self.name, self.layers = narrow.name, narrow.layers
        self.content_layers, self.style_layers = narrow.content_layers, narrow.style_layers
        self._inverses: dict[str, Tensor] = {}
        self._overheard: dict[int, tuple[Tensor, dict[str, Tensor]]] = {}

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """See `Encoder.forward`; the wide encoder's precision."""
        _, overheard = self._overheard.pop(id(image), (image, {}))
        return overheard if overheard.keys() == set(layers) else self.translate(self.wide(image, layers))

    def overhear(self, image: Tensor, features: Mapping[str, Tensor]) -> None:
        """Takes in what the wide encoder said of an image, so that it need not be asked again; once."""
        self._overheard[id(image)] = (image, self.translate(features))

    def translate(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The wide encoder's feature maps in the narrow one's channels, by layer."""
        return {layer: self._translate(layer, wide) for layer, wide in features.items()}

    def projection(self, layer: str) -> Tensor | None:
        """Of the narrow encoder."""
        return self.narrow.projection(layer)

    def _translate(self, layer: str, features: Tensor) -> Tensor:
        """The narrow features whose image under the projection is the closest to the wide ones."""
        if self.narrow.is_low_rank(layer):  # has the wide channels already
            return features
        projection = self.narrow.full_projection(layer)
        if layer not in self._inverses:
            self._inverses[layer] = _inverse(projection[:, :-1])
        centered = features.float() - projection[:, -1][:, None, None]
        translated = torch.einsum("ck,bkhw->bchw", self._inverses[layer], centered)
        return translated.to(features.dtype).contiguous(memory_format=torch.channels_last)


class Overheard(Encoder):
    """A wide encoder whose every word a `Translated` takes in.

    Args:
        translated: Holds the wide encoder.
    """

    def __init__(self, translated: Translated) -> None:
        super().__init__()
        self.translated, self.wide = translated, translated.wide
        self.name, self.layers = self.wide.name, self.wide.layers
        self.content_layers, self.style_layers = self.wide.content_layers, self.wide.style_layers

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """See `Encoder.forward`."""
        features: dict[str, Tensor] = self.wide(image, layers)
        self.translated.overhear(image, features)
        return features


def _inverse(matrix: Tensor) -> Tensor:
    """Least squares: the left inverse of a matrix with more rows than columns, in float64 until the end."""
    wide = matrix.double().cpu()
    square = wide.mT @ wide
    ridge = 1e-9 * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    inverse: Tensor = torch.linalg.solve(square + ridge, wide.mT)
    return inverse.to(matrix)


class Corrected(Encoder):
    """A narrow encoder plus what it misses at one picture; for pictures of that one's size.

    Args:
        translated: The narrow encoder, and the wide one in its channels.
        image: Where to correct it, shape (B, 3, H, W), RGB in [0, 1].
    """

    def __init__(self, translated: Translated, image: Tensor) -> None:
        super().__init__()
        self.narrow, self.translated, self.image = translated.narrow, translated, image
        self.name, self.layers = self.narrow.name, self.narrow.layers
        self.content_layers, self.style_layers = self.narrow.content_layers, self.narrow.style_layers
        self._missing: Mapping[str, Tensor] = {}

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """See `Encoder.forward`. The layers of the first call are those that the wide encoder is asked for."""
        return dict(self.iter_features(image, layers))

    def iter_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """As `forward`, each layer when it is asked for."""
        if not self._missing:
            self._missing = self._differences(layers)
        for layer, features in self.narrow.iter_features(image, layers):
            yield layer, features + self._missing[layer]

    def projection(self, layer: str) -> Tensor | None:
        """Of the narrow encoder."""
        return self.narrow.projection(layer)

    @torch.no_grad()
    def _differences(self, layers: Collection[str]) -> dict[str, Tensor]:
        own = self.narrow(self.image, layers)
        return {layer: features - own[layer] for layer, features in self.translated(self.image, layers).items()}
