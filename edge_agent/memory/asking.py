"""The words that tell what a question about the past wants: how often, how long, when, or what there was."""

from __future__ import annotations

import re

from edge_agent.memory import most_grammar, unanswered
from edge_agent.memory.queries import HowLong, HowOften, LastTime, Targeted, Whether

OFTEN = re.compile(
    r"\b(how often|how many (?:times|occasions)|how frequently|how regularly|number of times)\b"
)
LONG = re.compile(r"\b(how long|how much time|how much of|since when|for how many)\b")
AGO = re.compile(
    r"\b(how (?:long|much time|many (?:minutes|hours|days))"
    r" (?:ago|(?:(?:is|has) (?:it |passed )?(?:been )?)?since)|most recent|latest|previous)\b"
)
FIRST = re.compile(r"\bfirst\b|\binitial\b|\bearliest\b|\b(?:start|begin)(?:ning)?\b")
BECAME = re.compile(r"\b(?:become|get)\b")
LAST = re.compile(r"\blast\b")
WHEN = re.compile(
    r"\bwhen\b|\bwhat time\b|\blast (?:time|moment|occasion|instance)\b|\bmost recent|\bat (?:what|which)\b"
    r"|\bwhich (?:time|hour|moment)\b|\b(?:which|what) day\b|\blast (?:heard|saw|read)\b"
)
UNUSUAL = re.compile(
    r"\b(unusual|strange|odd|weird|abnormal|suspicious|out of the (?:ordinary|normal)|out of line|unexpected"
    r"|novel|unknown|alarms?|alarming|alerts?|warnings?|wrong|special|notable|remarkable|anomal\w+|surpris\w+"
    r"|worr\w+|problems?|trouble|incidents?|concern(?:ing|s)?|normal|fine|all well|alright"
    r"|everything ok(?:ay)?|calm)\b"
)
DATA = re.compile(
    r"\b(works?|worked|working|available|availability|online|offline|missing|connected|disconnected|connection"
    r"|unplugged|silent|fails?|failed|failing|failures?|data|lost|lose|loss|complete|down|dropped|drop|running"
    r"|run|absent|present|there|up|uptime|reliab\w+|outages?|breaks?|broke|broken|stop(?:ped)?"
    r"|gaps?|go dark|went dark|interrupt\w*|signal|crash\w*|die|died"
    r"|(?:been|was|were|stay\w*|turned|switched|go|went) (?:on|off))\b"
)
SMALL_TALK = re.compile(
    r"\b(good (morning|afternoon|evening|night|day)|have a (?:good|nice|great|lovely)|see you"
    r"|how are you|are you well|nice day)\b"
)
HOW_KNOWN = re.compile(r"how (do|did|can|could) (you|it)\b")
POLAR = re.compile(r"((and|so) )?(tell me (if|whether)|(was|were|did|has|have|had|is|are)(n't)?|any|ever)\b")
PAST_TENSE = re.compile(r"\b(was|were|did|had|happened)\b")
PAST = re.compile(r"\b(last time|was|were|did|had|has|have|been|happened|happen|ever|earlier|so far|went)\b")
ONGOING = re.compile(r"\b(has|have|is|are|since when|am)\b")
TOLD = re.compile(
    r"\b(happened|happen|went on|going on|miss|missed|timeline|history|summary|log|tell me|report"
    r"|anything|something|doing|do|hear|heard|see|saw|seen|notice|noticed|read|what)\b"
)
EVERYTHING = re.compile(r"\b(happen\w*|went on|going on|miss(ed)?|timeline|history|summary|log)\b")
MINE = re.compile(r"\b(i|my|mine|we|our|us)\b(?! (?:miss(?:ed)?|not seen)\b)")
THROUGH = re.compile(
    r"\b(?:(?:walk|talk|run|take) me through|(?:bring|catch|fill) me (?:up(?: to date)?|in)(?: on| about)?)\b"
)
"""Ways to say "tell me"."""
OTHERWISE: tuple[tuple[type[Targeted], re.Pattern[str]], ...] = (
    (HowLong, re.compile(
        r"\b(how (?:much|many (?:minutes|hours|seconds|days))|durations?|lengths? of time|total|accumulated"
        r"|(?:add|sum) up|sp[ea]n[dt]|time$)")),
    (HowOften, re.compile(r"\b(how many|count|tally|numbers? of|how (?:frequent|regular)|frequency)\b")),
    (LastTime, re.compile(r"\b(last|time since)\b")),
    (Whether, re.compile(
        r"\b(if|whether|check|confirm|verify|true|right|correct|yes or no|ever|some|any|aware)\b")),
)  # fmt: skip
"""What else is asked of a label, where it is not said in the words above."""
NOT = re.compile(r"\bnot\b|n't\b|\bwithout\b|\bnever\b")
NO = re.compile(r"(?<!or )\bno\b")
WHY = re.compile(r"(and |so |but )?(why|how come|what made|what caused|for what reason)\b")
OF_ITSELF = re.compile(r"\b(you|your|that|this|these|it|i)\b")
POSSESSIVE = re.compile(r"\b(\w+day|morning|night|evening|afternoon)'s\b")
NOUN_SENSOR = re.compile(r"\b(?:sensors?|devices?|data)\b")
HAS_STOPPED = re.compile(
    r"(?:and |so )?(?:tell me (?:if|whether)|has|have|did)\b.*\b(?:stopped|stop|ended|finished)\b"
)
STOPPED = re.compile(r"\b(?:stop(?:ped)?|end(?:ed)?|finish(?:ed)?|quit|over)\b")
RULES = (
    OFTEN, LONG, AGO, FIRST, WHEN, UNUSUAL, DATA, TOLD, EVERYTHING, NOUN_SENSOR, unanswered.COUNT,
    STOPPED, *most_grammar.RULES, *(words for _, words in OTHERWISE),
)  # fmt: skip
"""What is looked for in a question about labels and sensors."""
