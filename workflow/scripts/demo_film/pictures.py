"""Pictures of the bundled film: coloured shapes that move, drawn with numpy.

Scenes are cut into shots of 4 to 9 s with their own speed, brightness and number of shapes. Shots
know nothing of the soundtrack, so that pictures and sound vary independently inside a scene.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo_film.script import Scene
from giblet.timing import count_samples, sample_edges, samples_duration

WIDTH, HEIGHT, FPS = 320, 180, 12

# picture: colours (0-255) of the top and bottom of the sky, the ground, the shapes; their motion
PICTURES = {
    "kitchen": ((250, 214, 150), (236, 170, 100), (140, 84, 50), (200, 60, 50), "swing"),
    "rain": ((90, 100, 115), (150, 160, 170), (70, 100, 60), (190, 210, 230), "fall"),
    "village": ((130, 190, 240), (230, 235, 240), (170, 160, 150), (180, 70, 60), "bounce"),
    "forest": ((60, 120, 70), (130, 180, 90), (40, 70, 35), (30, 95, 50), "drift"),
    "stream": ((170, 215, 190), (210, 235, 200), (60, 140, 190), (230, 235, 240), "drift"),
    "mill": ((230, 220, 205), (200, 180, 150), (110, 90, 70), (120, 70, 40), "orbit"),
    "hill": ((90, 165, 240), (190, 225, 250), (90, 170, 60), (245, 245, 240), "drift"),
    "storm": ((30, 32, 50), (70, 75, 100), (40, 50, 45), (150, 160, 190), "fall"),
    "beach": ((100, 200, 235), (220, 240, 245), (235, 215, 150), (250, 250, 250), "bounce"),
    "harbour": ((180, 205, 215), (235, 220, 190), (40, 100, 130), (205, 50, 40), "drift"),
    "lighthouse": ((35, 30, 80), (220, 120, 110), (45, 45, 70), (255, 230, 130), "orbit"),
    "night": ((10, 12, 35), (35, 40, 80), (20, 30, 25), (240, 235, 190), "swing"),
}
_HEN = {  # part: centre and half-axes in hen lengths (x towards the beak, y down), colour
    "tail": (-0.55, -0.2, 0.22, 0.3, (110, 60, 30)),
    "body": (0, 0, 0.55, 0.4, (150, 88, 45)),
    "wing": (-0.08, 0, 0.3, 0.2, (120, 66, 34)),
    "head": (0.5, -0.42, 0.22, 0.22, (165, 98, 52)),
    "comb": (0.48, -0.66, 0.14, 0.09, (215, 40, 35)),
    "beak": (0.75, -0.4, 0.13, 0.06, (240, 180, 40)),
    "eye": (0.57, -0.46, 0.045, 0.045, (20, 20, 20)),
}


@dataclass(frozen=True)
class Shot:
    """``position`` (n_shapes, 2) and ``velocity`` in frame widths and s; ``size`` (n_shapes, 2)."""

    picture: str
    duration: float
    brightness: float
    horizon: float
    roughness: float
    speed: float
    position: np.ndarray
    velocity: np.ndarray
    size: np.ndarray
    tint: np.ndarray
    hen: float  # its length in pixels; 0: not in this shot


def scene_frames(scene: Scene, duration: float, seed: list[int]) -> Iterator[np.ndarray]:
    """Frames (HEIGHT, WIDTH, 3) uint8 of one scene, ``FPS`` a second."""
    for shot in cut(scene.picture, duration, np.random.default_rng(seed)):
        for time in sample_edges(count_samples(shot.duration, FPS), FPS)[:-1]:
            yield draw(shot, time)


def cut(picture: str, duration: float, rng: np.random.Generator) -> list[Shot]:
    """Shots that fill a scene, each a whole number of frames."""
    left, shots = count_samples(duration, FPS), []
    longest, shortest = count_samples(9, FPS), count_samples(4, FPS)
    while left:
        n_frames = int(rng.integers(shortest, longest))
        n_frames = left if left - n_frames < shortest else n_frames
        shots.append(_shot(picture, samples_duration(n_frames, FPS), rng))
        left -= n_frames
    return shots


def _shot(picture: str, duration: float, rng: np.random.Generator) -> Shot:
    falls = PICTURES[picture][-1] == "fall"  # rain: many, narrow
    n_shapes = int(rng.integers(2, 14)) * (4 if falls else 1)
    narrow = 0.15 if falls else rng.uniform(0.5, 1.2)
    return Shot(
        picture=picture,
        duration=duration,
        brightness=rng.uniform(0.6, 1.1),
        horizon=rng.uniform(0.55, 0.85),
        roughness=rng.uniform(0, 0.06),
        speed=float(np.exp(rng.uniform(np.log(0.15), np.log(2.5)))),
        position=rng.random((n_shapes, 2)),
        velocity=rng.uniform(0.1, 0.5, (n_shapes, 2)),
        size=rng.uniform(5, 24, (n_shapes, 1)) * np.array([narrow, 1.0]),
        tint=rng.uniform(0.75, 1.25, (n_shapes, 3)),
        hen=rng.uniform(25, 60) if rng.random() < 0.6 else 0.0,
    )


def draw(shot: Shot, time: float) -> np.ndarray:
    """The frame of a shot at ``time`` (s), (HEIGHT, WIDTH, 3) uint8."""
    top, bottom, ground, colour, motion = PICTURES[shot.picture]
    image = _background(shot, time, np.array([top, bottom, ground], dtype=np.float32))
    moved = MOTIONS[motion](shot, shot.speed * time)
    for (x, y), size, tint in zip(moved, shot.size, shot.tint, strict=True):
        _ellipse(image, x * WIDTH, y * HEIGHT, *size, np.array(colour) * tint)
    if shot.hen:
        _hen(image, shot, time)
    return np.clip(image * shot.brightness, 0, 255).astype(np.uint8)


def _background(shot: Shot, time: float, colours: np.ndarray) -> np.ndarray:
    """Sky, fading from top to bottom, and a wavy ground that slides sideways."""
    top, bottom, ground = colours
    y = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, WIDTH, dtype=np.float32)[None]
    edge = shot.horizon + shot.roughness * np.sin(14 * x + 3 * shot.speed * time)
    covered = np.clip((y - edge) * HEIGHT, 0, 1)[..., None]
    sky = (top * (1 - y) + bottom * y)[:, None]
    return sky * (1 - covered) + ground * covered


def _ellipse(image, x, y, half_width, half_height, colour) -> None:
    """Paint an ellipse with soft edges; positions and half-axes in pixels."""
    left, right = (int(np.clip(x + side * (half_width + 2), 0, WIDTH)) for side in (-1, 1))
    above, below = (int(np.clip(y + side * (half_height + 2), 0, HEIGHT)) for side in (-1, 1))
    dx = (np.arange(left, right) + 0.5 - x) / half_width
    dy = (np.arange(above, below) + 0.5 - y) / half_height
    distance = (np.sqrt(dx**2 + dy[:, None] ** 2) - 1) * min(half_width, half_height)
    alpha = np.clip(0.5 - distance, 0, 1)[..., None]
    area = image[above:below, left:right]
    area += alpha * (np.asarray(colour, dtype=np.float32) - area)


def _hen(image: np.ndarray, shot: Shot, time: float) -> None:
    """Giblet walks to the right along the horizon, nodding."""
    length = shot.hen
    steps = 6 * shot.speed * time
    x = (shot.position[0, 0] * WIDTH + 60 * shot.speed * time) % (WIDTH + 2 * length) - length
    y = shot.horizon * HEIGHT - 0.35 * length - 0.05 * length * abs(np.sin(steps))
    for swing in (np.sin(steps), -np.sin(steps)):
        _ellipse(image, x + 0.2 * length * swing, y + 0.5 * length, 0.05 * length + 0.5,
                 0.2 * length, (230, 160, 40))  # fmt: skip
    for right, down, half_width, half_height, colour in _HEN.values():
        nod = 0.06 * np.sin(2 * steps) if down < -0.3 else 0.0
        _ellipse(image, x + (right + nod) * length, y + down * length, half_width * length,
                 half_height * length, colour)  # fmt: skip


# Each motion gives the places (n_shapes, 2) of a shot's shapes after ``t`` seconds: x to the right
# and y down, 0 to 1 across the frame.


def _wrap(place: np.ndarray) -> np.ndarray:
    return (place + 0.15) % 1.3 - 0.15  # leaves on one side, comes back on the other


def _fall(shot, t):
    down = _wrap(shot.position[:, 1] + 2.5 * shot.velocity[:, 1] * t)
    return np.stack([shot.position[:, 0], down], axis=1)


def _drift(shot, t):
    across = _wrap(shot.position[:, 0] + shot.velocity[:, 0] * t)
    return np.stack([across, shot.position[:, 1] + 0.03 * np.sin(3 * t + across)], axis=1)


def _bounce(shot, t):
    return 1 - np.abs((shot.position + shot.velocity * t) % 2 - 1)


def _swing(shot, t):
    angle = 0.6 * np.sin(4 * shot.velocity[:, 0] * t + 6 * shot.position[:, 0])
    across = shot.position[:, 0] + 0.3 * np.sin(angle)
    return np.stack([across, 0.15 + 0.5 * shot.position[:, 1] * np.cos(angle)], axis=1)


def _orbit(shot, t):
    angle = 3 * shot.velocity[:, 0] * t + 2 * np.pi * shot.position[:, 0]
    radius = 0.1 + 0.3 * shot.position[:, 1]
    return np.stack([0.5 + 0.6 * radius * np.cos(angle), 0.45 + radius * np.sin(angle)], axis=1)


MOTIONS = {"fall": _fall, "drift": _drift, "bounce": _bounce, "swing": _swing, "orbit": _orbit}
