"""The wordings of questions, by what they ask about. Pure tables."""

from __future__ import annotations

from export.wordings import families
from export.wordings.activity import ACTIVITY
from export.wordings.air import CO2, HUMIDITY, LIGHT, TEMPERATURE
from export.wordings.common import Families, Wordings
from export.wordings.distance import DISTANCE
from export.wordings.finger import FINGER
from export.wordings.gaze import GAZE
from export.wordings.hand import HAND
from export.wordings.motion import MOTION
from export.wordings.nearby import NEARBY
from export.wordings.occupancy import OCCUPANCY
from export.wordings.people import PEOPLE
from export.wordings.posture import POSTURE
from export.wordings.scene import SCENE
from export.wordings.sign import SIGN
from export.wordings.sound import SOUND
from export.wordings.touch import TOUCH
from export.wordings.travel import TRAVEL
from export.wordings.walls import WALLS

__all__ = ["FAMILIES", "MEASURED", "WORDINGS", "Families", "Wordings"]

WORDINGS: dict[str, Wordings] = {
    "activity_recognition": ACTIVITY, "event_detection": SOUND, "posture": POSTURE, "touch": TOUCH,
    "travel": TRAVEL, "sign": SIGN, "hand": HAND, "finger": FINGER, "occupancy": OCCUPANCY,
    "people": PEOPLE, "nearby": NEARBY, "scene": SCENE,
    "gaze": GAZE, "distance": DISTANCE, "motion": MOTION, "walls": WALLS,
}  # fmt: skip
"""By the name of the head: those that name a class, then those that read a number."""

MEASURED: dict[str, Wordings] = {
    "temperature": TEMPERATURE, "humidity": HUMIDITY, "light": LIGHT, "co2": CO2,
}  # fmt: skip
"""By the name of a fact that is measured by the sensor itself."""

FAMILIES = Families(
    before=families.BEFORE,
    before_of=families.BEFORE_OF,
    compared=families.COMPARED,
    conflict=families.CONFLICT,
    advice=families.ADVICE,
    small_talk=families.SMALL_TALK,
)
