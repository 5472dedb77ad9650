"""What is asked of the past and cannot be answered as it is asked, with what can be asked instead. Pure.

The rules look for a few words of a question and leave the rest; these would change what the rest means.
"""

from __future__ import annotations

import re

from edge_agent.memory.clock_words import NUMBER

_SOMEBODY = r"the|he|she|they|i|we|nobody|anyone|anybody|someone|somebody|there|you"
_OF_THE_PAST = (
    (
        re.compile(
            rf"\b(?:while|whenever|whilst|as (?:soon|long) as|(?:after|before|until) (?:it|{_SOMEBODY})"
            r" (?!time\b|day\b|night\b|last\b))"
            rf"|.\b(?<!me )(?<!know )(?<!exactly )when (?:it|{_SOMEBODY}) "
            rf"|^(?:since|(?:did|was|were|has|have|what|how often)\b.*\bsince) (?:{_SOMEBODY}) (?!time\b)"
            r"|\b(?:at the same time|simultaneously)(?! as\b|\?? yesterday)"
        ),
        (
            "I can tell of a time, not of one thing while another was so. Please ask first when that was, "
            "then what happened after that, or at that time."
        ),
    ),
    (
        re.compile(
            r"\b(?:second|third|fourth|fifth|sixth|2nd|3rd|[4-9]th) (?:time|one|occasion)\b"
            r"|\b(?:second|third|next)[ -](?:to[ -])?last\b|\bpenultimate\b"
        ),
        "I can tell the first and the last time. Please ask for one of them, then: and after that?",
    ),
    (
        re.compile(r"^(?:in |tell me )?which (?:room|area|zone|floor|place|machine|house)\b"),
        "I cannot tell places apart: I tell of where my sensors are. Please ask without the place.",
    ),
    (
        re.compile(r"^(?:and |so )?(?:tell me )?who(?:m|se)?\b(?! (?:told|says|said)\b)"),
        "I cannot tell people apart. Please ask whether somebody was there, or what the person did.",
    ),
    (
        re.compile(r"\b(?:fire|smoke|burglar|car|door|intruder|security) alarm\b|\balarm clock\b"),
        "I do not know that alarm. Please ask whether anything was unusual.",
    ),
    (
        re.compile(
            r"\band the (?:day|night|week|morning|afternoon|evening) before\b|\b(?:and|or) (?:right )?now\b"
        ),
        "These are two times. Please ask of one, then: and the day before?",
    ),
)
_HOW_FAR = re.compile(r"^(?:and |so )?how (?:far|fast|quickly|slowly|high|strong(?:ly)?|hard)\b")
EVERY_TIME = "I count every time, however long it was. Please ask how often, or how long it was."
HOW_FAR = "I can tell whether that was so, how often and for how long. Please ask for that."
_OTHERWISE = re.compile(
    r"\b(?:earlier|later|sooner|faster|slower|busier|calmer|bigger|smaller|nearer|closer)\b.* than\b"
)
OTHERWISE = (
    "I can compare how often or how long one thing was, and how high a number was. Please ask for that."
)
_OUTSIDE = re.compile(r"\boutside\b")
OUTSIDE = (
    "I tell of where my sensors are; of outside only what is heard. Please ask without the word outside."
)
_PAST_VERB = re.compile(r"\bwho (?:\w+ed|left|went|came|fell|sat|stood|ran|took|made)\b")
_BY_DAY = re.compile(
    r"\b(?:which|what) (?:day|night|week|month)s?\b|\b(?:per|each|every|by) (?:day|night|hour|week)\b"
    r"|\b(?:times|often|hours|minutes|much) (?:a|in a) (?:day|night|hour|week)\b|\b(?:daily|hourly|nightly)\b"
)
BY_DAY = "I can tell of one time, not of each day. Please ask of one day, or compare two of them."
_TAKES = re.compile(
    r"^(?:and |so )?(?:tell me )?(?:when|at what time|what time|(?:for )?how long|since when"
    r"|how (?:fast|quickly))\b"
)
_WEAK = re.compile(
    r"\bnot\b(?!\?)|n't\b|\bnever\b|\bdid (?:nobody|no one)\b|\btoo\b|\ba lot\b"
    r"|\benough\b|(?<!how )\b(?:much|often)\b"
    r"|\b(?:more|less|longer|fewer)\b|\b(?:stop|stopped|quit|ended|finished)\b"
)
_WHOLE = re.compile(
    r"\b(?:always|only|constantly|continuously|non-?stop|all the time|the (?:whole|entire) (?:time|\w+)"
    r"|all (?:day|night|morning|afternoon|evening|week|month|through)|throughout|uninterrupted(?:ly)?)\b"
    r"|\bstay(?:ed|s)?\b"
)
_OR_NOT = re.compile(r",? or not\b")
COUNT = re.compile(
    r"\b(?P<how>(?:more|less|fewer|longer|shorter) than|at (?:least|most)|over|under|exactly) "
    rf"(?P<count>{NUMBER}|once|twice)(?: (?P<unit>seconds?|minutes?|hours?|days?|times?))?"
)
"""How often, or how long, something is to be."""


JOINED = re.compile(r"\b(?:and|or)(?: (?:on|in|also))?(?= *\??$)|\bboth\b")
"""What is left of a question without its two times."""
TWO_TIMES = "I found two times in that. Please ask of one."


def of_past(rest: str) -> str:
    """Why a question about the past has no answer, without its time; empty where it may have one."""
    return next((text for words, text in _OF_THE_PAST if words.search(rest)), "")


def who(asked: str) -> bool:
    """Whether it is asked who did something, in words that are of no past otherwise."""
    return bool(_PAST_VERB.match(asked))


def how_far(rest: str) -> bool:
    """Whether a measure is asked of a label, which has none."""
    return bool(_HOW_FAR.match(rest))


def compared_otherwise(asked: str) -> str:
    """The reason where something is compared that is neither how often nor how long it was."""
    return OTHERWISE if _OTHERWISE.search(asked) else ""


def outside(asked: str) -> bool:
    """Whether it is asked of outside."""
    return bool(_OUTSIDE.search(asked))


def by_day(asked: str) -> bool:
    """Whether each of several days is asked about."""
    return bool(_BY_DAY.search(asked))


def takes(rest: str) -> bool:
    """Whether it is asked when or how long a number was so."""
    return bool(_TAKES.match(rest))


def denied(asked: str) -> bool:
    """Whether a yes would be of something else: "did it not rain?", "did it rain a lot?"."""
    return bool(_WEAK.search(_OR_NOT.sub("", asked)))


def whole(asked: str) -> bool:
    """Whether a whole time is asked about: that it was so once is no yes."""
    return bool(_WHOLE.search(asked))
