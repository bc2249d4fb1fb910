"""A student encoder, corrected at one picture by the teacher that it imitates.

An optimizer finds the pictures that a student misjudges. Where the teacher is at hand, it can look at such a picture
once and say what is missing there: its features, brought to the student's channels, less the student's own. Added as a
constant to all features of the student from there on, this takes away its errors at that picture, and near it all but
the change in them, at the student's price.

Reference: Bandler et al. (2004), IEEE Trans. Microw. Theory Tech. 52, "Space mapping: the state of the art", on output
space mapping.
"""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor

from impasto.encoders.base import Encoder
from impasto.encoders.compact import Compact
from impasto.errors import EncoderError


class BiasCorrectedEncoder(Encoder):
    """A student's features less its error at one picture; content and style features are its teacher's.

    The error is measured when features are first asked for, at those layers, by one forward pass of the teacher. The
    teacher's features are brought to the student's channels.

    Args:
        student: Its projections lead to the teacher's channels.
        teacher: The encoder that it imitates.
        image: Where to correct it, shape (B, 3, H, W), RGB in [0, 1]; the pictures to come have this size.

    Raises:
        EncoderError: If the student imitates another encoder.
    """

    def __init__(self, student: Compact, teacher: Encoder, image: Tensor) -> None:
        super().__init__()
        if teacher.name != student.teacher:
            raise EncoderError(f"{student.name} imitates {student.teacher}, not {teacher.name}.")
        self.student, self.teacher, self.image = student, teacher, image
        self.name, self.layers = student.name, student.layers
        self.content_layers, self.style_layers = student.content_layers, student.style_layers
        self._bias: Mapping[str, Tensor] = {}
        self._inverses: dict[str, Tensor] = {}
        self._recorded: dict[Tensor, dict[str, Tensor]] = {}  # a tensor as a key is that tensor, whatever it holds
        self.freeze()

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """See `Encoder.forward`; `layers` are at most those of the first call."""
        return dict(self.iter_features(image, layers))

    def iter_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """See `Encoder.iter_features`: the student's features plus the bias."""
        self.check_layers(layers)
        if not self._bias:
            self._bias = self._measured_bias(layers)
        for layer, features in self.student.iter_features(image, layers):
            yield layer, features + self._bias[layer]

    def iter_content_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """See `Encoder.iter_content_features`: the teacher's features in the student's channels."""
        self.check_layers(layers)
        recorded = self._recorded.pop(image, {})
        yield from (recorded if recorded.keys() == set(layers) else self._taught(image, layers)).items()

    def iter_style_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """As `iter_content_features`."""
        yield from self.iter_content_features(image, layers)

    def projection(self, layer: str) -> Tensor | None:
        """Of the student."""
        return self.student.projection(layer)

    def recording_teacher(self) -> Encoder:
        """The teacher, for targets of an objective of its own.

        What it says of a content or style image is kept in the student's channels until this encoder is asked for the
        same, so that two objectives need one forward pass of the teacher for each image.
        """
        return _RecordingTeacher(self)

    def record(self, image: Tensor, features: Mapping[str, Tensor]) -> None:
        """Keeps what the teacher says of an image until it is asked for, once.

        Args:
            image: The tensor that will be asked for, itself and not its equal.
            features: Of the teacher, by layer.
        """
        self._recorded[image] = self.translate(features)

    def translate(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The teacher's feature maps in the student's channels, by layer, by least squares; in the same precision."""
        return {layer: self._translate(layer, taught) for layer, taught in features.items()}

    def _taught(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        return self.translate(self.teacher(image, layers))

    @torch.no_grad()
    def _measured_bias(self, layers: Collection[str]) -> dict[str, Tensor]:
        own = self.student(self.image, layers)
        return {layer: features - own[layer] for layer, features in self._taught(self.image, layers).items()}

    def _translate(self, layer: str, features: Tensor) -> Tensor:
        """The student's features whose image under the projection is the closest to the teacher's."""
        if self.student.is_low_rank(layer):  # has the teacher's channels already
            return features
        projection = self.student.full_projection(layer)
        if layer not in self._inverses:
            self._inverses[layer] = _left_inverse(projection[:, :-1])
        centered = features.float() - projection[:, -1][:, None, None]
        translated = torch.einsum("ck,bkhw->bchw", self._inverses[layer], centered)
        return translated.to(features.dtype).contiguous(memory_format=torch.channels_last)


class _RecordingTeacher(Encoder):
    """A teacher whose features a `BiasCorrectedEncoder` records."""

    def __init__(self, corrected: BiasCorrectedEncoder) -> None:
        super().__init__()
        self.corrected, self.teacher = corrected, corrected.teacher
        self.name, self.layers = self.teacher.name, self.teacher.layers
        self.content_layers, self.style_layers = self.teacher.content_layers, self.teacher.style_layers

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """See `Encoder.forward`."""
        features: dict[str, Tensor] = self.teacher(image, layers)
        self.corrected.record(image, features)
        return features


def _left_inverse(matrix: Tensor) -> Tensor:
    """Least squares: the left inverse of a matrix with more rows than columns, in float64 until the end."""
    wide = matrix.double().cpu()
    square = wide.mT @ wide
    ridge = 1e-9 * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    inverse: Tensor = torch.linalg.solve(square + ridge, wide.mT)
    return inverse.to(matrix)
