"""Breaking waves before a far mountain, in flat inks with soft gradations and dark outlines."""

import numpy as np

from painting.canvas import OVERSAMPLING, SHAPE, Array, finished, grid, mixed, noise, palette, ramp, smoothstep

_INK = palette("16213f")[0]
_FOAM = palette("f7f0dc")[0]


def paint(rng: np.random.Generator) -> np.ndarray:
    """Paints the picture, uint8 of shape (480, 640, 3)."""
    x, y = grid()
    x, y = x + 0.0012 * noise(rng, 0.03), y + 0.0012 * noise(rng, 0.03)
    color = _sky(rng, x, y)
    trains = [
        (0.52, 0.05, 0.30, 0.1, 0.4),
        (0.58, 0.10, 0.42, 0.5, 0.6),
        (0.70, 0.29, 0.70, 0.10, 0.9),
        (0.83, 0.15, 0.52, 0.62, 0.8),
        (0.97, 0.15, 0.60, 0.25, 0.8),
    ]
    for index, train in enumerate(trains):
        color = _wave(rng, x, y, color, train, index / (len(trains) - 1))
    return finished(_printed(rng, color))


def _printed(rng: np.random.Generator, color: Array) -> Array:
    """The grain of the block and the fibers of the paper show through the inks."""
    grain = 0.7 * noise(rng, (0.005, 0.7), 2) + 0.4 * noise(rng, (0.0035, 0.05), 2)
    baren = noise(rng, 0.06, 3)
    fibers = noise(rng, (0.003, 0.02)) + noise(rng, (0.02, 0.003))
    worn = smoothstep(1.9, 3.0, noise(rng, 0.004) + 0.5 * baren)
    tinted = color * (1 + 0.035 * grain + 0.03 * baren + 0.012 * fibers)[..., None]
    return mixed(tinted, np.broadcast_to(palette("efe4c8")[0], color.shape), 0.55 * worn)


def _sky(rng: np.random.Generator, x: Array, y: Array) -> Array:
    haze = 0.02 * noise(rng, (0.1, 0.4), 2)
    color = ramp(
        np.clip(y * 1.75 + haze, 0, 1),
        palette("27406e 6f8fa8 d8cdb0 f3d9a8 f2b27f e8876a"),
        [0, 0.16, 0.36, 0.6, 0.82, 1],
    )
    sun = np.hypot(x - 1.08, y - 0.2)
    disk = ramp((y - 0.1) * 5, palette("c8281f e84f2f f08a4f"))
    color = mixed(color, disk, smoothstep(0.112, 0.110, sun))
    for middle, center, reach in [
        (0.15, 0.98, 0.30),
        (0.255, 1.2, 0.26),
        (0.10, 0.30, 0.36),
        (0.235, 0.12, 0.24),
        (0.33, 0.72, 0.3),
    ]:
        off = np.full(SHAPE, 1, np.float32)
        for step in (-1, 0, 1):
            aside = np.clip(np.abs(x - center - 0.35 * step * reach) - reach * (0.62 - 0.2 * step * step), 0, None)
            bar = np.hypot(aside, y - middle - 0.021 * step - 0.004 * np.sin(x * 11 + middle * 50)) - 0.0125
            off = np.minimum(off, bar)
        cloud = smoothstep(0.001, -0.001, off)
        color = mixed(color, ramp((y - middle + 0.034) / 0.068, palette("fbf3df f3e0bd e9c89c")), cloud)
        color = mixed(color, np.broadcast_to(_INK, color.shape), 0.8 * smoothstep(0.0022, 0.0008, np.abs(off)))
    ridge = 0.29 + 0.75 * np.abs(x - 0.78) ** 1.25 + 0.004 * noise(rng, (9, 0.05), 2)
    depth = y - ridge
    mountain = ramp(depth / 0.22, palette("3f5a8f 55759f 8fa6b0 d9c6a4"))
    snow = depth < 0.045 + 0.016 * noise(rng, (9, 0.018), 2)
    mountain = np.where(snow[..., None], _FOAM * np.float32(0.99), mountain)
    color = mixed(color, mountain, smoothstep(-0.001, 0.001, depth))
    return mixed(color, np.broadcast_to(_INK, color.shape), smoothstep(0.003, 0.0015, np.abs(depth)))


def _wave(rng: np.random.Generator, x: Array, y: Array, color: Array, train: tuple[float, ...], near: float) -> Array:
    """One train of waves with curling crests: its bands of blue, its outline and its foam."""
    base, rise, length, start, curl = train
    up = np.clip((base - y) / rise, -1.5, 1.3)
    lean = curl * 0.34 * length * np.clip(up + 0.25, 0, 2) ** 2
    phase = (x - lean) / length - start + 0.05 * noise(rng, 0.5)
    crest = np.hypot((phase % 1) - 0.5, 0.05) * 2 - 0.1
    shape = 1.2 * np.clip(1 - crest, 0, 1) ** 1.7 - 0.25 + 0.06 * noise(rng, (9, 0.5))
    depth = ((shape - up) * rise).astype(np.float32)
    inside = smoothstep(-0.001, 0.001, depth)
    stripe = (depth + 0.012 * noise(rng, 0.15)) / (0.017 + 0.014 * near)
    step = np.floor(stripe)
    within = stripe - step
    tone = 0.5 + 0.5 * np.sin(step * 2.1 + 0.6)
    tone = np.clip(tone * 0.75 + 0.28 * within + 0.12 * (1 - near) + 0.05 * noise(rng, 0.03, 2), 0, 1)
    water = ramp(tone, palette("14285a 1f4482 2f6ba6 5f9fc0 a9cfd2 e6ead6"))
    line = smoothstep(0.14, 0.05, np.minimum(within, 1 - within)) * smoothstep(-0.6, 0.6, noise(rng, 0.1) + 0.5)
    water = mixed(water, np.broadcast_to(_INK, water.shape), 0.85 * line)
    color = mixed(color, water, inside)
    color = mixed(color, np.broadcast_to(_INK, color.shape), smoothstep(0.0042, 0.0022, np.abs(depth)))
    return _foam(rng, color, depth, up, near)


def _foam(rng: np.random.Generator, color: Array, depth: Array, up: Array, near: float) -> Array:
    """Claws of foam along the crests, spray above them: round dabs with an outline, the low ones first."""
    edge = np.argwhere((np.abs(depth) < 0.0016) & (up > 0.12))
    if not len(edge):
        return color
    height = up[edge[:, 0], edge[:, 1]]
    chance = np.clip(height, 0, 1) ** 1.3
    count = int(150 + 170 * near)
    picked = rng.choice(len(edge), count, p=chance / chance.sum())
    dabs = [
        (y, x, (1.4 + 2.6 * near + 3.6 * (0.3 + near) * h * rng.random()))
        for (y, x), h in zip(edge[picked], height[picked], strict=True)
    ]
    for y, x in edge[rng.choice(len(edge), count // 2, p=chance**2 / (chance**2).sum())]:
        drop = rng.exponential(13 + 16 * near, 2) * OVERSAMPLING
        dabs.append((y - drop[0], x + drop[1] * rng.choice([-1, 1]), rng.uniform(0.8, 1.3 + 1.2 * near)))
    color = color.copy()
    outline = 0.75 + 0.35 * near
    for grow, paint in ((outline, _INK), (0.0, _FOAM)):
        for y, x, radius in dabs:
            _dab(color, y, x, radius + grow, paint)
    for y, x, radius in dabs:
        if radius > 3.4:
            _dab(color, y + 0.7 * radius, x + 0.6 * radius, 0.55 * radius, palette("b9d6d6")[0])
    return color


def _dab(color: Array, y: float, x: float, radius: float, paint: Array) -> None:
    """A disk of paint; the radius is in picture pixels."""
    radius *= OVERSAMPLING
    top, left = max(int(y - radius) - 1, 0), max(int(x - radius) - 1, 0)
    part = color[top : max(int(y + radius) + 2, 0), left : max(int(x + radius) + 2, 0)]
    dy = np.arange(part.shape[0])[:, None] + top - y
    dx = np.arange(part.shape[1])[None] + left - x
    cover = np.clip(radius - np.hypot(dy, dx) + 0.5, 0, 1)[..., None]
    part += (paint - part) * cover.astype(np.float32)
