"""A person who looks at a phone, and what an eye tracker on its front camera measures.

The camera is at the origin, x to the phone's right as its user sees it, y up, z towards the user;
centimetres. The screen lies in z = 0 under the camera. An eyeball turns around its centre so that its visual
axis meets the target; the pupil lies on the optical axis, which differs from it by the angle kappa (about 5
degrees outwards and 1.5 down: Guestrin and Eizenman 2006, IEEE TBME 53(6)); the cornea shows the pupil
nearer to itself than it is. All features are image widths from the middle of the picture, x to the right as
the user sees himself in a mirror, y up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.datasets.common import DatasetInfo, Float32, Samples
from export.simulate.simulator import (
    CREDIT,
    LICENCE,
    Random,
    Simulator,
    groups_of,
    normal,
    samples_of,
    uniform,
)  # fmt: skip

CHANNELS = (
    "left_pupil_x", "left_pupil_y", "right_pupil_x", "right_pupil_y",
    "left_outer_x", "left_outer_y", "left_inner_x", "left_inner_y",
    "right_inner_x", "right_inner_y", "right_outer_x", "right_outer_y",
    "nose_x", "nose_y", "face_width",
)  # fmt: skip
"""`left` is the eye on the left of the picture. `face_width` is between the temples."""
OUTPUTS = ("x_cm", "y_cm")
SCREEN_CM = (6.8, 14.2)
"""Width and height of the screen; its upper edge is UNDER_CAMERA_CM under the camera."""
UNDER_CAMERA_CM = 0.8
FOCAL_WIDTHS = 0.86
"""Focal length over image width: a front camera that sees 60 degrees from left to right."""
PUPIL_CM = 1.06
"""Eyeball centre to the pupil as it appears through the cornea (the pupil itself: 0.98)."""
NOISE_WIDTHS = (0.0002, 0.0008)
"""Deviation of a detected point: 0.15 to 0.6 pixels of 720; a person's light and glasses decide."""
_PER_PERSON = 100


@dataclass(frozen=True)
class Face:
    """N people (or one person N times). Points are in the head's frame, cm from between the eyes.

    eyes_cm (N,2,3) centres of rotation; corners_cm (N,4,3) from left to right; nose_cm (N,3); temples_cm
    (N,2,3); kappa_rad (N,2,2) of each eye to the right and up; noise (N,), the deviation of a point.
    """

    eyes_cm: Float32
    corners_cm: Float32
    nose_cm: Float32
    temples_cm: Float32
    kappa_rad: Float32
    noise: Float32

    def __getitem__(self, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Face:
        return Face(
            self.eyes_cm[rows], self.corners_cm[rows], self.nose_cm[rows], self.temples_cm[rows],
            self.kappa_rad[rows], self.noise[rows],
        )  # fmt: skip


@dataclass(frozen=True)
class Head:
    """Where N heads are: turn (N,3,3) from the head's frame to the camera's, at_cm (N,3) between the eyes."""

    turn: Float32
    at_cm: Float32

    def place(self, points_cm: Float32) -> Float32:
        """Points (N,K,3) of the head, in the camera's frame."""
        return np.einsum("nij,nkj->nki", self.turn, points_cm) + self.at_cm[:, None]


def people(random: Random, n: int) -> Face:
    """N faces of adults. A head's z points out of the back of the head, as the camera's does."""
    half_cm = _spread(random, n, 3.15, 0.175)
    zero = np.zeros(n, np.float32)
    eye_z = _spread(random, n, 1.0, 0.1)
    eyes = _pair(half_cm, zero, eye_z)
    open_cm, lift_cm = _spread(random, n, 1.45, 0.1), _spread(random, n, 0, 0.1)
    outer, inner = _pair(half_cm + open_cm, lift_cm, eye_z - 0.5), _pair(half_cm - open_cm, zero, eye_z - 0.9)
    corners = np.stack([outer[:, 0], inner[:, 0], inner[:, 1], outer[:, 1]], axis=1)
    nose = np.stack([zero, _spread(random, n, -3.5, 0.35), _spread(random, n, -2.2, 0.25)], axis=1)
    temples = _pair(_spread(random, n, 7.2, 0.4), zero, np.full_like(zero, 2))
    outwards = [-_spread(random, n, 5, 1.2), _spread(random, n, 5, 1.2)]
    upwards = [_spread(random, n, -1.5, 1), _spread(random, n, -1.5, 1)]
    kappa_rad = np.radians(np.stack([np.stack(outwards, 1), np.stack(upwards, 1)], axis=-1))
    return Face(eyes, corners, nose, temples, kappa_rad, uniform(random, *NOISE_WIDTHS, n))


def _spread(random: Random, n: int, mean: float, deviation: float) -> Float32:
    """(n,), as people differ."""
    return (mean + deviation * normal(random, n)).astype(np.float32)


def _pair(x: Float32, y: Float32, z: Float32) -> Float32:
    """(N,2,3): the same on the left and on the right."""
    return np.stack([np.stack([-x, y, z], -1), np.stack([x, y, z], -1)], axis=1)


def pupils(face: Face, head: Head, target_cm: Float32) -> Float32:
    """Both apparent pupils (N,2,3) in the camera's frame, when the person looks at target_cm (N,3)."""
    eyes = head.place(face.eyes_cm)
    visual = target_cm[:, None] - eyes
    visual = visual / np.linalg.norm(visual, axis=-1, keepdims=True)
    # kappa belongs to the head: the axis is turned in its frame.
    own = np.einsum("nij,nki->nkj", head.turn, visual)
    right = np.arctan2(own[..., 0], -own[..., 2]) + face.kappa_rad[..., 0]
    up = np.arcsin(np.clip(own[..., 1], -1, 1)) + face.kappa_rad[..., 1]
    optical = np.stack([np.sin(right) * np.cos(up), np.sin(up), -np.cos(right) * np.cos(up)], axis=-1)
    return head.place(face.eyes_cm + PUPIL_CM * optical.astype(np.float32))


def project(points_cm: Float32) -> Float32:
    """Points (N,K,3) before the camera -> (N,K,2) image widths from the middle."""
    return FOCAL_WIDTHS * points_cm[..., :2] / points_cm[..., 2:]


def features(face: Face, head: Head, target_cm: Float32) -> Float32:
    """(N,15), without noise, in the order of CHANNELS."""
    parts = [pupils(face, head, target_cm), head.place(face.corners_cm), head.place(face.nose_cm[:, None])]
    points = project(np.concatenate(parts, axis=1))
    temples = project(head.place(face.temples_cm))
    width = np.linalg.norm(temples[:, 1] - temples[:, 0], axis=-1)
    return np.concatenate([points.reshape(len(points), -1), width[:, None]], axis=1).astype(np.float32)


def rotation(yaw_rad: Float32, pitch_rad: Float32, roll_rad: Float32) -> Float32:
    """(N,3,3): roll, then pitch, then yaw."""
    zero, one = np.zeros_like(yaw_rad), np.ones_like(yaw_rad)
    cy, sy, cp, sp = np.cos(yaw_rad), np.sin(yaw_rad), np.cos(pitch_rad), np.sin(pitch_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    yaw = np.array([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    pitch = np.array([[one, zero, zero], [zero, cp, -sp], [zero, sp, cp]])
    roll = np.array([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    return np.einsum("ijn,jkn,kln->nil", yaw, pitch, roll).astype(np.float32)


def heads(random: Random, person: np.ndarray[tuple[int], np.dtype[np.int64]], target_cm: Float32) -> Head:
    """How each person holds the phone, and how the head moves about that; it follows the gaze a little."""
    count, n = int(person[-1]) + 1, len(person)
    habit_cm = np.array([0, -6, 33]) + np.array([1.5, 2.5, 4]) * normal(random, count, 3)
    at_cm = habit_cm[person] + np.array([1.2, 1.2, 1.5]) * normal(random, n, 3)
    habit_rad = 0.06 * normal(random, count, 3)
    angle = habit_rad[person] + np.array([0.05, 0.05, 0.03]) * normal(random, n, 3)
    follow = uniform(random, 0, 0.3, count)[person]
    towards = target_cm - at_cm
    yaw = angle[:, 0] + follow * np.arctan2(-towards[:, 0], -towards[:, 2])
    pitch = angle[:, 1] + follow * np.arctan2(towards[:, 1], -towards[:, 2])
    turn = rotation(*(a.astype(np.float32) for a in (yaw, pitch, angle[:, 2])))
    return Head(turn, at_cm.astype(np.float32))


def generate(n: int, seed: int) -> Samples:
    """x (n,1,15) image widths, target (n,2) cm from the camera, y negative: the screen lies under it."""
    random = np.random.default_rng(seed)
    person, group = groups_of(n, _PER_PERSON, "person")
    target = uniform(random, 0, 1, n, 2) * np.array(SCREEN_CM, np.float32)
    target = target - np.array([SCREEN_CM[0] / 2, SCREEN_CM[1] + UNDER_CAMERA_CM], np.float32)
    target_cm = np.concatenate([target, np.zeros((n, 1), np.float32)], axis=1)
    face = people(random, int(person[-1]) + 1)[person]
    x = features(face, heads(random, person, target_cm), target_cm)
    x += face.noise[:, None] * normal(random, *x.shape)
    return samples_of(x[:, None], target, group)


PHONE = Simulator(
    DatasetInfo(
        name="simulated_gaze_phone", modality="gaze", task="gaze_estimation", rate_hz=30.0, window_s=1 / 30,
        channels=CHANNELS, units=("1",) * len(CHANNELS), labels=(), outputs=OUTPUTS, licence=LICENCE,
        credit=CREDIT, split="by simulated person: of ten, one validates and one tests", kind="simulated",
    ),
    generate, 20_000, _PER_PERSON,
)  # fmt: skip
