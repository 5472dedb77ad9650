"""What is wanted, where no rule says it: the nearest of some known ways to ask, by the weight of each word.

Words that few forms have weigh more, and a word that no form has weighs most: a question about something else
is far from all of them. Below NEAR it is not known what is wanted. Times, limits and the names of labels,
numbers and sensors have been taken out before.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

LABEL, NUMBER, SENSOR = "xlabel", "xnumber", "xsensor"
"""What stands in a form for the name of one."""
NEAR = 0.5
"""A question that names no label is taken for one about the past from here on."""
NEAR_NAMED = 0.3
"""One that names a label surely is about it: only what is wanted of it may be missed."""
FORMS: Mapping[str, tuple[str, ...]] = {
    "HowOften": (
        "how many occasions did a xlabel", "how many xlabel", "how many xlabel were there",
        "count the xlabel", "the count of xlabel", "the number of xlabel", "number of xlabel please",
        "give me the number of xlabel", "how frequent was xlabel", "how regularly did xlabel",
        "tell me how many xlabel", "the tally of xlabel", "what is the count of the xlabel",
        "the frequency of xlabel", "in how many cases was there xlabel",
    ),
    "HowLong": (
        "the total time spent xlabel", "the duration of xlabel", "total duration of the xlabel",
        "how many minutes was the person xlabel", "how many hours was the room xlabel",
        "how many seconds did it xlabel", "what length of time was it xlabel", "how much did it xlabel",
        "how much xlabel was there", "add up the time of xlabel", "sum up the xlabel time",
        "the xlabel time", "how much of the day was the person xlabel", "what was the total of xlabel time",
        "the time spent xlabel",
    ),
    "Whether": (
        "check whether the room was xlabel", "could you check if the xlabel", "confirm that the xlabel",
        "please confirm xlabel", "do you know if somebody xlabel",
        "do you know whether the person was xlabel", "i wonder if the person was xlabel",
        "i want to know whether there was xlabel", "xlabel yes or no",
        "is it true that the room was xlabel", "any xlabel", "by any chance was there xlabel",
        "can you say if there was xlabel", "it was xlabel right", "you noticed xlabel right",
    ),
    "LastTime": (
        "how long ago was the xlabel", "how long ago did the xlabel", "how long is it since the xlabel",
        "the most recent xlabel", "the most recent time of xlabel", "the latest xlabel",
        "the latest time you noticed xlabel", "the previous xlabel", "last xlabel",
        "the last moment of xlabel", "the last moment at which the room was xlabel",
        "how much time has passed since the xlabel", "what was the latest xlabel",
    ),
    "FirstTime": (
        "the earliest xlabel", "the earliest the room was xlabel", "at which hour did the xlabel begin",
        "at which time did it start to xlabel", "the initial xlabel", "the start of xlabel",
        "which time did the xlabel start", "at what hour did the room become xlabel",
        "what was the earliest time of xlabel", "the first moment of xlabel", "the beginning of the xlabel",
    ),
    "Timeline": (
        "give me a recap", "give me a summary of", "can you summarise", "summarise", "a recap of",
        "an overview of", "give me an overview", "walk me through", "talk me through",
        "bring me up to date about", "fill me in on", "list the events of", "list everything",
        "anything to report from", "anything new", "describe what took place", "describe",
        "what took place", "what occurred", "how did it go", "how was", "give me the log",
        "what has been going on", "show me the events", "did something happen", "what did you observe",
        "what did you perceive",
    ),
    "Unusual": (
        "any anomalies", "were there anomalies", "did something out of the normal occur", "any surprises",
        "was there a surprise", "any reason to worry", "was there a reason to worry",
        "anything to worry about", "should i be worried about", "any problem", "were there any problems",
        "did anything odd occur", "was everything normal", "was everything fine", "was all well",
        "any incidents", "anything out of line", "was anything concerning",
    ),
    "Availability": (
        "were all devices up", "did any of your sensors break", "did xsensor break",
        "how reliable was xsensor", "were there outages of xsensor", "any outages", "did xsensor go dark",
        "was xsensor up", "did xsensor stop", "did xsensor lose its connection", "did xsensor have gaps",
        "were there gaps in the data of xsensor", "did any device stop", "how well did xsensor run",
        "the uptime of xsensor", "were all sensors up",
    ),
    "highest": (
        "what did the xnumber climb to", "how high did the xnumber climb", "how high was the xnumber",
        "how high did the xnumber get", "the upper extreme of the xnumber", "the high for xnumber",
        "the record xnumber", "the xnumber at its worst", "what did the xnumber rise to",
        "the upper limit of the xnumber",
    ),
    "lowest": (
        "how far did the xnumber sink", "how low did the xnumber get", "how low was the xnumber",
        "the low for xnumber", "what did the xnumber fall to", "what did the xnumber drop to",
        "the lower extreme of the xnumber", "how deep did the xnumber fall", "how far did the xnumber fall",
        "the bottom of the xnumber",
    ),
    "average": (
        "the xnumber overall", "the xnumber in general", "the medium xnumber", "normally the xnumber",
    ),
    "change": (
        "which way did the xnumber go", "which way has the xnumber gone", "is it more xnumber than it was",
        "is the xnumber more than it was", "is the xnumber less than it was",
        "the difference of the xnumber", "did the xnumber move", "how much did the xnumber move",
        "is it xnumber than before",
    ),
}  # fmt: skip


class Nearest:
    """The forms as vectors of weights."""

    def __init__(self, forms: Mapping[str, tuple[str, ...]] = FORMS) -> None:
        told = [(wanted, _features(form)) for wanted, several in forms.items() for form in several]
        holding = Counter(feature for _, features in told for feature in features)
        self._weights = {feature: math.log((1 + len(told)) / n) for feature, n in holding.items()}
        self._unknown = math.log(1 + len(told))
        self._forms = [(wanted, self._vector(features)) for wanted, features in told]

    def wanted(self, asked: str, near: float) -> tuple[str, float]:
        """(what is wanted, how near its form is in 0..1); empty where none is near enough."""
        vector = self._vector(_features(asked))
        scored = [(_product(vector, form), wanted) for wanted, form in self._forms]
        score, wanted = max(scored, default=(0.0, ""))
        return (wanted, score) if score >= near else ("", score)

    def _vector(self, features: set[str]) -> dict[str, float]:
        """Of length 1. A pair that no form has says nothing; a word that none has says much."""
        raw = {
            feature: self._weights.get(feature, self._unknown)
            for feature in features
            if feature in self._weights or " " not in feature
        }
        length = math.sqrt(sum(weight * weight for weight in raw.values())) or 1.0
        return {feature: weight / length for feature, weight in raw.items()}


def _features(text: str) -> set[str]:
    words = re.findall(r"[a-z]+", text.lower())
    pairs = zip(["^", *words], [*words, "$"], strict=True)
    return {*words, *(f"{first} {second}" for first, second in pairs)}


def _product(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(weight * other[feature] for feature, weight in one.items() if feature in other)
