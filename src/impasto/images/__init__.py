"""Files <-> tensors: orientation, profiles to sRGB, alpha, 8 and 16 bit, size limits, and the embedded recipe.

Everywhere else a picture is a float32 tensor of shape (1, 3, H, W), sRGB in [0, 1], upright. What a file holds
besides that (alpha, depth, profile, EXIF) travels in `Picture`, so that writing can put it back.

Rooms: `picture` (the type, and pictures from memory), `load` and `save` (from and to files), `resizing`,
`color_spaces`. The bytes of files are `impasto.formats`' part.
"""

from impasto.formats.embedded_recipe import read_recipe_json
from impasto.images.load import as_picture, load_picture
from impasto.images.picture import Picture
from impasto.images.resizing import fill, output_size, resample, resize
from impasto.images.save import WRITABLE_SUFFIXES, check_writable, save_picture
from impasto.images.transparency import fill_transparent

__all__ = [
    "WRITABLE_SUFFIXES",
    "Picture",
    "as_picture",
    "check_writable",
    "fill",
    "fill_transparent",
    "load_picture",
    "output_size",
    "read_recipe_json",
    "resample",
    "resize",
    "save_picture",
]
