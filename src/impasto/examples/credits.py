"""What the bundled pictures show and whom they are from, in words; the README beside them says more."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Credit:
    """Words for one picture.

    Attributes:
        title: What it shows.
        credit: Whom it is from, and why it may be used.
    """

    title: str
    credit: str


_OWN = "Painted by this project's own programs, CC0"
_OLD = "out of copyright"

CREDITS: Mapping[str, Credit] = {
    "astronaut": Credit("Eileen Collins, astronaut", "NASA, public domain"),
    "chelsea": Credit("Chelsea the cat", "Stefan van der Walt, CC0"),
    "coffee": Credit("A cup of coffee", "Rachel Michetti, CC0"),
    "rocket": Credit("Launch of DSCOVR on Falcon 9", "SpaceX, public domain"),
    "ducks": Credit("Ducks, a floor mosaic", f"Unknown, Rome, antiquity; {_OLD}"),
    "hokusai": Credit("The Great Wave off Kanagawa", f"Katsushika Hokusai, 1831; {_OLD}"),
    "kandinsky": Credit("Composition VII", f"Wassily Kandinsky, 1913; {_OLD}"),
    "munch": Credit("The Scream", f"Edvard Munch, 1893; {_OLD}"),
    "glass": Credit("Sunrise over a river, leaded glass", _OWN),
    "knife": Credit("A boulevard in autumn rain, palette knife", _OWN),
    "mosaic": Credit("A sun among stars above a sea of scales, mosaic", _OWN),
    "oil": Credit("A sun over hills and poppies, thick oil", _OWN),
    "pointillism": Credit("An evening by the sea, dots of unmixed color", _OWN),
    "watercolor": Credit("A meadow of poppies, watercolor", _OWN),
    "waves": Credit("Breaking waves before a far mountain, flat inks", _OWN),
    "woodcut": Credit("A mountain lake under a red sun, woodcut", _OWN),
}
"""By the picture's name."""
