"""What the model perceives: its slots, its heads, and how each class is said. The one list of both.

A slot is one input with an encoder; a head is one thing that is read from one or more slots, of one of the
paper's eight tasks. Two heads may serve one task (a posture seen by a thermal array, a hand seen by a
camera). `kind` says what a head was trained and judged on: real recordings, or a simulator where no
recordings can be shipped.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Literal

from export.datasets.common import Reader

EncoderKind = Literal["imu", "audio", "series", "track", "vector", "scan", "grid"]


@dataclass(frozen=True)
class SlotSpec:
    """One input. `shape` is (T,C), of a grid (T,height,width,colours,rest); x is (T,C) at `rate_hz`.

    `gain`, `noise`, `drift` (in the units of x), `shift` (cells) and `turn_deg` are what training varies: the
    last turns points of `axes` coordinates each, in the picture (x, y) or about the vertical (x, y, z), and
    `mirror` makes a left hand of a right one.
    """

    name: str
    modality: str
    placement: str
    description: str
    encoder: EncoderKind
    shape: tuple[int, ...]
    rate_hz: float
    sampling: Literal["linear", "hold", "latest"] = "hold"
    features: Literal["raw", "log_mel", "local_metres"] = "raw"
    dropout: float = 0.3
    gain: float = 0.0
    noise: float = 0.0
    drift: float = 0.0
    shift: int = 0
    turn_deg: float = 0.0
    axes: int = 2
    mirror: bool = False
    steps: int = 1500

    @property
    def grid(self) -> tuple[int, ...]:
        """(T,height,width,colours,rest) of a grid, else empty."""
        return self.shape if self.encoder == "grid" else ()


@dataclass(frozen=True)
class Fact:
    """A number that may be said: `{name}` in a sentence becomes its value with its unit.

    `reduce` says how it is had from the numbers `first` to `last` (inclusive) of the head, or from the
    samples of a channel of a window.
    """

    name: str
    unit: str
    decimals: int
    reduce: Literal["value", "min", "max", "mean", "norm", "first", "last"] = "value"
    first: int = 0
    last: int = 0
    scale: float = 1.0
    sentence: str = ""


@dataclass(frozen=True)
class HeadSpec:
    """One thing that is read. `source` names its Reader as `module:object` below export.

    `phrases` is label -> words (a classification); a regression has `numbers` instead, each with its
    unit in the name, and `facts`: what is said of them.
    """

    name: str
    task: str
    slots: tuple[str, ...]
    source: str
    question: str
    readout: str
    noun: str
    """What the head reads, as a person would call it: "the posture"."""
    phrases: dict[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    alarms: dict[str, str] = field(default_factory=dict)
    """label -> what should be done about it, "notify" or "alarm"; nothing for the others."""
    kind: Literal["real", "simulated"] = "real"

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of the head."""
        return tuple(self.phrases)

    @property
    def regression(self) -> bool:
        """Whether it reads numbers."""
        return bool(self.numbers)

    @property
    def width(self) -> int:
        """Numbers that an encoder gives for it: one a label, or mean and log sigma of each number."""
        return 2 * len(self.numbers) if self.regression else len(self.phrases)

    @property
    def reader(self) -> Reader:
        """The recordings or the simulator it is trained on."""
        module, _, name = self.source.partition(":")
        found = importlib.import_module(f"export.{module}")
        reader: Reader = getattr(found, name) if name else found
        return reader


ACTIVITY, EVENT = "activity_recognition", "event_detection"

_SLOTS = (
    SlotSpec("imu_phone", "imu", "trouser pocket", "the phone", "imu", (100, 6), 100.0, "linear"),
    SlotSpec("imu_watch", "imu", "wrist", "the watch", "imu", (100, 6), 100.0, "linear"),
    SlotSpec("audio", "audio", "room", "the microphone", "audio", (32000, 1), 16000.0, features="log_mel"),
    SlotSpec(
        "thermal", "thermal", "wall or ceiling", "the thermal array", "grid", (8, 4, 4, 1, 1), 4.0,
        noise=0.1, drift=0.5,
    ),
    SlotSpec(
        "capacitance", "capacitance", "touch screen", "the touch panel", "grid", (1, 27, 15, 1, 0), 20.0,
        gain=0.15, noise=2.0, shift=2, steps=2500,
    ),
    SlotSpec(
        "gps", "gps", "vehicle or bag", "the gps", "track", (13, 2), 0.2, "hold", "local_metres",
        noise=1.0, dropout=0.2,
    ),
    SlotSpec(
        "image", "image", "desk", "the picture", "grid", (1, 32, 32, 3, 0), 1.0,
        gain=0.1, noise=0.02, drift=0.05, shift=2, steps=2500,
    ),
    SlotSpec(
        "pose_hand", "pose", "in front of a camera", "the hand tracker", "vector", (1, 42), 30.0,
        noise=0.02, gain=0.1, turn_deg=30.0, mirror=True,
    ),
    SlotSpec(
        "pose_finger", "pose", "in front of a camera", "the finger tracker", "series", (16, 2), 30.0,
        "linear", noise=0.001,
    ),
    SlotSpec(
        "air", "environment", "room", "the air sensor", "series", (10, 4), 1 / 60, "latest",
        noise=0.1, dropout=0.5, steps=800,
    ),
    SlotSpec(
        "room", "environment", "room", "the room sensors", "series", (4, 16), 1 / 30, "latest",
        noise=0.3, gain=0.1, steps=800,
    ),
    SlotSpec(
        "depth", "depth", "door or shelf", "the depth sensor", "grid", (4, 8, 8, 1, 0), 4.0,
        noise=0.02, gain=0.05,
    ),
    SlotSpec(
        "video", "video", "wall", "the video camera", "grid", (8, 24, 32, 3, 0), 8.0,
        gain=0.1, noise=0.02, drift=0.05, steps=500,
    ),
    SlotSpec(
        "camera", "camera", "robot or wall", "the camera", "grid", (1, 24, 32, 3, 0), 2.0,
        gain=0.1, noise=0.02, drift=0.03, steps=2500,
    ),
    SlotSpec("lidar", "lidar", "robot", "the laser scanner", "scan", (2, 360), 2.0, noise=0.01, steps=3000),
    SlotSpec("gaze", "gaze", "screen", "the eye tracker", "vector", (1, 15), 30.0, steps=2500),
)  # fmt: skip
SLOTS: dict[str, SlotSpec] = {slot.name: slot for slot in _SLOTS}
"""Every slot by name, in the order of the model's mask and alpha."""

_HEADS = (
    HeadSpec(
        ACTIVITY, "activity_recognition", ("imu_phone", "imu_watch"), "datasets.phone_watch_imu",
        "what is the person doing?", " The person is", "the activity",
        {
            "seated": "seated", "sitting_down": "sitting down", "standing_up": "standing up",
            "turning": "turning around", "walking": "walking",
        },
    ),
    HeadSpec(
        EVENT, "event_detection", ("audio",), "datasets.esc10",
        "what do you hear?", " It sounds like", "the sound",
        {
            "dog": "dog barking", "rain": "rain falling", "sea_waves": "sea waves", "baby_cry": "baby crying",
            "clock_tick": "clock ticking", "sneeze": "sneezing", "helicopter": "helicopter noise",
            "chainsaw": "chainsaw noise", "rooster": "rooster crowing", "fire_crackling": "fire crackling",
            "silence": "silence",
        },
        alarms={"baby_cry": "notify", "chainsaw": "notify", "fire_crackling": "alarm"},
    ),
    HeadSpec(
        "posture", "pose_estimation", ("thermal",), "datasets.room_thermal_array",
        "what is the posture in the room?", " In the room the person is", "the posture",
        {
            "nobody": "absent", "lying_on_bed": "lying on the bed", "sitting_on_bed": "sitting on the bed",
            "standing": "standing", "sitting_on_floor": "resting on the floor",
            "lying_on_floor": "down on the floor", "lying_in_shower": "fallen in the shower",
            "standing_in_shower": "showering", "at_sink": "washing at the sink",
            "standing_at_toilet": "upright at the toilet", "sitting_on_toilet": "using the toilet",
        },
        alarms={"lying_on_floor": "alarm", "lying_in_shower": "alarm"},
    ),
    HeadSpec(
        "touch", "touch_contact_classification", ("capacitance",),
        "datasets.capacitive_touch:THUMB_OR_FINGER",
        "what touches the panel?", " The panel is touched by", "the touch",
        {"thumb": "thumb", "finger": "another finger"},
    ),
    HeadSpec(
        "travel", "activity_recognition", ("gps",), "datasets.gps_activities",
        "how does the trip go?", " The trip is", "the trip",
        {"on_foot": "on foot", "driving": "by car"},
    ),
    HeadSpec(
        "sign", "gesture_classification", ("image",), "datasets.sign_digit_images",
        "which sign does the picture show?", " The sign shows", "the sign",
        {n: n for n in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")},
    ),
    HeadSpec(
        "hand", "gesture_classification", ("pose_hand",), "datasets.hand_keypoints",
        "how is the hand?", " The hand is", "the hand",
        {"open": "open", "close": "closed", "pointer": "pointing"},
    ),
    HeadSpec(
        "finger", "gesture_classification", ("pose_finger",), "datasets.hand_keypoints:TRACK",
        "what does the finger do?", " The finger is", "the finger",
        {
            "stop": "still", "clockwise": "circling clockwise",
            "counter_clockwise": "turning counterclockwise", "move": "moving",
        },
    ),
    HeadSpec(
        "occupancy", "event_detection", ("air",), "datasets.room_occupancy",
        "is the room occupied?", " The room is", "the occupancy",
        {"empty": "empty", "occupied": "occupied"}, alarms={"occupied": "notify"},
    ),
    HeadSpec(
        "people", "event_detection", ("room",), "datasets.room_people_count",
        "how many people are in the room?", " People in the room:", "the number of people",
        {"nobody": "none", "one_person": "one", "two_people": "two", "three_people": "three"},
    ),
    HeadSpec(
        "nearby", "event_detection", ("depth",), "simulate.depth:EVENTS",
        "what is in front of the depth sensor?", " In front of the sensor there is", "the depth reading",
        {
            "nothing": "nothing", "person_near": "somebody near", "approaching": "approaching company",
            "leaving": "leaving company", "hand_swipe_left": "left swipe",
            "hand_swipe_right": "right swipe",
        },
        kind="simulated",
    ),
    HeadSpec(
        "scene", "activity_recognition", ("video",), "simulate.video:MOTION",
        "how do things move in the video?", " In the video things move", "the video",
        {
            "still": "nowhere", "moving_left": "left", "moving_right": "right", "approaching": "closer",
            "leaving": "away",
        },
        kind="simulated",
    ),
    HeadSpec(
        "gaze", "gaze_estimation", ("gaze",), "simulate.gaze:PHONE",
        "where do the eyes look?", " The person looks {gaze_x} across and {gaze_y} down.", "the gaze",
        numbers=("x_cm", "y_cm"),
        facts=(Fact("gaze_x", "centimetres", 1), Fact("gaze_y", "centimetres", 1, first=1, last=1)),
        kind="simulated",
    ),
    HeadSpec(
        "distance", "depth_estimation", ("camera",), "simulate.camera:DEPTH_MAP",
        "how far is what the camera sees?",
        " The nearest thing is {distance_near} away, the middle {distance_middle}.", "the distance",
        numbers=tuple(f"depth_{row:02d}_{column:02d}_m" for row in range(6) for column in range(8)),
        facts=(
            Fact("distance_near", "metres", 1, "min", 0, 47),
            Fact("distance_middle", "metres", 1, "value", 28, 28),
        ),
        kind="simulated",
    ),
    HeadSpec(
        "motion", "pose_estimation", ("lidar",), "simulate.lidar:MOTION",
        "how did the robot move?", " The robot moved {motion_way} and turned {motion_turn}.",
        "the way of the robot",
        numbers=("dx_m", "dy_m", "dtheta_rad"),
        facts=(
            Fact("motion_way", "metres", 2, "norm", 0, 1),
            Fact("motion_turn", "degrees", 0, "value", 2, 2, 57.29578),
        ),
        kind="simulated",
    ),
    HeadSpec(
        "walls", "3d_reconstruction", ("lidar",), "simulate.lidar:ROOM",
        "how far are the walls?", " The nearest wall is {walls_near} away, the farthest {walls_far}.",
        "the walls",
        numbers=tuple(f"wall_{10 * i:03d}_m" for i in range(36)),
        facts=(Fact("walls_near", "metres", 1, "min", 0, 35), Fact("walls_far", "metres", 1, "max", 0, 35)),
        kind="simulated",
    ),
)  # fmt: skip
HEADS: dict[str, HeadSpec] = {head.name: head for head in _HEADS}
"""Every head by name, in the order of the adapter: classes first, then numbers."""

SLOT_FACTS: dict[str, tuple[Fact, ...]] = {
    "air": tuple(
        fact
        for i, (name, words, unit, decimals) in enumerate(
            (
                ("temperature", "temperature", "degrees", 1), ("humidity", "humidity", "percent", 0),
                ("light", "light", "lux", 0), ("co2", "co2 level", "ppm", 0),
            )
        )
        for fact in (
            Fact(name, unit, decimals, "last", i, i, sentence=f"The {words} is {{{name}}}."),
            Fact(f"{name}_before", unit, decimals, "first", i, i),
        )
    ),
}  # fmt: skip
"""What is said of a slot's own channels, measured by no network."""


def heads_of(slot: str) -> tuple[HeadSpec, ...]:
    """The heads that a slot's encoder says something of, in the order of its output."""
    return tuple(head for head in HEADS.values() if slot in head.slots)


def trained_here() -> list[str]:
    """The slots that `train_slots` trains: all but motion and sound."""
    return [name for name, slot in SLOTS.items() if slot.encoder not in ("imu", "audio")]


def classes() -> tuple[HeadSpec, ...]:
    """The heads that name a class."""
    return tuple(head for head in HEADS.values() if not head.regression)


def numbers() -> tuple[HeadSpec, ...]:
    """The heads that read numbers."""
    return tuple(head for head in HEADS.values() if head.regression)
