"""Questions about the past, by what they ask: whole questions, half ones and orders.

`{x}` is something that is read, `{t}` a time, `{n}` a number (`{m}` without its article), `{l}` its limit,
`{s}` a sensor. What is asked and which facts there are stands before the question (memory/telling.py of the
device): its words only tell how to answer.
"""

from __future__ import annotations

Ways = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Whole questions, half ones, orders: in the order of the forms of an answer (edge_agent/memory/forms.py)."""

PAST: dict[str, Ways] = {
    "last": (
        (
            "when did you last hear {x}", "when did you last see {x}", "when was {x} last",
            "when did you last notice {x}", "when was the last time of {x}", "when was it last {x}",
            "when was the person last {x}", "what time was {x} last", "how long is it since {x}",
            "how long ago was {x}", "when was {x} the last time", "at what time did you last notice {x}",
            "when did {x} last happen {t}", "when was {x} last {t}", "when did you last read {x} {t}",
            "how long is it since you last heard {x}", "when was that", "when did it last happen",
            "at what hour was {x} last", "when did i last have {x}",
        ),
        (
            "last {x}", "the last {x}", "and the last time", "last time of {x}", "{x}, the last time",
            "the last time of {x} {t}", "most recent {x}", "last {x} {t}", "and when", "latest {x}",
            "{x} last, when", "and {x}", "and before that",
        ),
        (
            "tell me when you last heard {x}", "tell me when {x} was last", "say when {x} was last",
            "tell me the last time of {x}", "give me the last time of {x}",
            "tell me when you last noticed {x}", "show me the last {x}", "find the last time of {x} {t}",
            "say when it last happened", "give me the last {x} {t}",
        ),
    ),
    "first": (
        (
            "when did you first hear {x} {t}", "when was {x} first {t}", "when did {x} first happen {t}",
            "when did {x} begin {t}", "when was the first time of {x} {t}", "when did {x} start {t}",
            "what time was {x} first {t}", "when did you first notice {x}", "when was {x} the first time",
            "at what time did {x} begin", "when did it first happen {t}", "when did it begin to be {x}",
            "at what hour did {x} start {t}", "when was the person first {x} {t}",
        ),
        (
            "first {x} {t}", "the first {x}", "and the first time", "first time of {x} {t}",
            "{x}, the first time", "the first {x} {t}", "{x} first, when", "earliest {x} {t}",
            "and the first one", "beginning of {x} {t}",
        ),
        (
            "tell me when {x} began {t}", "tell me the first time of {x} {t}", "say when {x} was first {t}",
            "give me the first time of {x} {t}", "tell me when you first heard {x}",
            "show me the first {x} {t}", "find the first {x} {t}", "say when {x} began",
        ),
    ),
    "since": (
        (
            "how long has it been {x}", "since when is it {x}", "how long has the person been {x}",
            "how long has {x} been going on", "since when has it been {x}", "how long has it been so",
            "for how long has the room been {x}", "since when are you reading {x}",
            "how long has that been so", "for how long has it been {x} now", "since when is the person {x}",
            "how long are you hearing {x} already", "since when", "for how long is it {x} already",
        ),
        (
            "{x} since when", "{x} for how long now", "and since when", "so long already",
            "{x}, how long now",
            "how long so far", "{x} so far", "and for how long now",
        ),
        (
            "tell me how long it has been {x}", "tell me since when it is {x}", "say since when it is {x}",
            "tell me how long the person has been {x}", "say how long it has been so",
            "give me the time since it is {x}", "say how long it is {x} already", "tell me since when",
        ),
    ),
    "how long": (
        (
            "how long was {x} {t}", "how long was the person {x} {t}", "how long was it {x} {t}",
            "for how long was {x} {t}", "how much time was {x} {t}", "how long did {x} last {t}",
            "how many minutes was it {x} {t}", "how many hours was {x} {t}", "how much {x} was there {t}",
            "for how long did you hear {x} {t}", "how long did you see {x} {t}", "how long was that",
            "how long in all was {x} {t}", "how long did it last", "how much of the time was {x} {t}",
        ),
        (
            "{x} {t}, how long", "for how long", "and for how long", "how long {t}", "duration of {x} {t}",
            "time of {x} {t}", "hours of {x} {t}", "minutes of {x} {t}", "total {x} {t}", "and how long {t}",
            "how long in all",
        ),
        (
            "tell me how long {x} was {t}", "say how long it was {x} {t}", "add up the time of {x} {t}",
            "give me the time of {x} {t}", "tell me how long the person was {x} {t}",
            "tell me for how long you heard {x} {t}", "say for how long {x} was {t}",
            "give me the hours of {x} {t}", "tell me how many minutes it was {x} {t}",
        ),
    ),
    "how often": (
        (
            "how often was {x} {t}", "how often did you hear {x} {t}", "how many times was {x} {t}",
            "how often was it {x} {t}", "how often did {x} happen {t}", "how many times did you hear {x} {t}",
            "how often did you notice {x} {t}", "how many times was the person {x} {t}",
            "how often did you see {x} {t}", "how many {x} were there {t}", "how often was that",
            "how often has it been {x} {t}", "how many times did {x} happen {t}", "how often did that happen",
        ),
        (
            "{x} {t}, how often", "how often", "and how often", "how many times", "count of {x} {t}",
            "number of {x} {t}", "how often {t}", "and how many times {t}", "{x}, how many times {t}",
            "times of {x} {t}",
        ),
        (
            "count {x} {t}", "count how often {x} was {t}", "tell me how often {x} was {t}",
            "tell me how often you heard {x} {t}", "say how often {x} was {t}",
            "give me the count of {x} {t}",
            "tell me the number of {x} {t}", "say how many times it was {x} {t}", "count the {x} {t}",
            "tell me how many times {x} was {t}",
        ),
    ),
    "whether": (
        (
            "was {x} {t}", "was the person {x} {t}", "did you hear {x} {t}", "was there {x} {t}",
            "did you see {x} {t}", "was the room {x} {t}", "did you notice {x} {t}", "has it been {x} {t}",
            "was it {x} {t}", "did anyone hear {x} {t}", "have you heard {x} {t}", "were you reading {x} {t}",
            "was somebody {x} {t}", "did {x} happen {t}", "was it ever {x} {t}", "has there been {x} {t}",
            "did i miss {x} {t}", "is it right that {x} was {t}", "did anyone notice {x} {t}",
        ),
        (
            "{x} {t}", "any {x} {t}", "and {x}", "and {t}", "{x} {t}, yes or no", "what about {x}",
            "ever {x} {t}", "some {x} {t}", "and {x} {t}", "what about {t}", "any {x}",
        ),
        (
            "tell me whether {x} was {t}", "tell me if {x} was {t}", "check if it was {x} {t}",
            "check whether you heard {x} {t}", "say whether there was {x} {t}", "confirm that {x} was {t}",
            "tell me if you heard {x} {t}", "check whether {x} was {t}", "say if it was {x} {t}",
            "confirm that it was {x} {t}",
        ),
    ),
    "why": (
        (
            "why was {x} {t}", "why was the person {x} {t}", "why was it {x} {t}", "why did {x} happen {t}",
            "how come it was {x} {t}", "why was the room {x} {t}", "why did you hear {x} {t}",
            "how come {x} was {t}",
        ),
        ("{x} {t}, why", "why {x} {t}", "and why {x}", "{x}, how come", "why {x}"),
        ("tell me why {x} was {t}", "say why it was {x} {t}", "tell me why it was {x}",
         "say why {x} was {t}"),
    ),
    "what happened": (
        (
            "what happened {t}", "what was going on {t}", "what did you hear {t}", "what did you see {t}",
            "what was the person doing {t}", "what has happened {t}", "what did i miss {t}",
            "what was there {t}", "what was it {t}", "what went on {t}", "what did you notice {t}",
            "how was {t}", "what have you seen {t}", "what was the person up to {t}", "what did you read {t}",
            "what was happening {t}", "did anything happen {t}",
        ),
        (
            "and {t}", "what about {t}", "history of {t}", "report of {t}", "log of {t}", "events {t}",
            "same for {t}", "the story of {t}", "summary of {t}", "{t}", "everything {t}", "all of {t}",
        ),
        (
            "tell me what happened {t}", "tell me about {t}", "report {t}", "list what happened {t}",
            "sum up {t}", "show me {t}", "describe what happened {t}", "give me a report of {t}",
            "tell me what you heard {t}", "say what happened {t}", "list the events of {t}",
            "give me the history of {t}",
        ),
    ),
    "before": (
        (
            "what was before that", "what happened before that", "what was it before that",
            "what came before that", "what did you read before that", "what was there before",
            "what did you hear before that",
        ),
        (
            "and before that", "before that", "and before", "earlier", "and earlier", "what about before",
            "the time before",
        ),
        (
            "tell me what was before that", "say what was before that", "tell me what happened before",
            "go further back", "look further back", "tell me what came before that",
        ),
    ),
    "after": (
        (
            "what was after that", "what happened after that", "what came after that", "what happened next",
            "what did you read after that", "what was there after that", "what came next",
            "what did you hear after that", "what happened then",
        ),
        ("and after that", "after that", "and then", "and afterwards", "what about after that", "then what",
         "and next"),
        (
            "tell me what was after that", "say what came next", "tell me what happened after that",
            "tell me what happened next", "say what happened then", "tell me what came after that",
        ),
    ),
    "more": (
        (
            "was {x} more often {t} than yesterday", "was {x} longer today than {t}",
            "was there more {x} {t} than yesterday", "did you hear {x} more often today than {t}",
            "was {x} less often {t} than last week", "was {x} more yesterday or today",
            "was the person {x} longer {t} than yesterday", "was there less {x} today than {t}",
            "did you hear {x} longer {t} than on monday", "was {x} as often {t} as yesterday",
        ),
        (
            "more {x} {t} than yesterday", "less {x} today than {t}", "{x} more often than {t}",
            "{x} today or yesterday, when more", "longer {x} {t} than last week",
            "as much {x} as {t}", "{x} {t} compared with yesterday",
        ),
        (
            "compare {x} today with {t}", "tell me if {x} was more often {t} than yesterday",
            "compare {x} {t} with yesterday", "say if {x} was longer today than {t}",
            "tell me whether there was more {x} {t} than last week", "compare how long {x} was {t}",
            "compare how often {x} was {t}",
        ),
    ),
    "most": (
        (
            "what was most often {t}",
            "which sound was most frequent {t}", "what did you hear most often {t}",
            "what did the person do most {t}",
            "what was the longest sound {t}", "what was the most common {t}",
            "which was more often {t}, {x} or the dog", "what was the person doing mostly {t}",
            "what did you see most of the time {t}",
        ),
        (
            "most often {t}", "longest {t}", "most frequent sound {t}", "the most common {t}",
            "mostly {t}", "and the longest", "and most often {t}",
        ),
        (
            "tell me what was most often {t}", "name the most frequent sound {t}",
            "say what the person did most {t}", "tell me the longest sound {t}",
            "tell me what you heard most often {t}", "name what was longest {t}",
        ),
    ),
    "each": (
        (
            "was it {x} or rain {t}", "was the person {x} or rain {t}", "did you hear {x} or rain {t}",
            "how often was {x} and rain {t}", "was there {x} or rain {t}", "how long was {x} and rain {t}",
            "when was {x} or rain last",
            "what was {n} and the light {t}", "how high were {n} and the light {t}",
        ),
        (
            "{x} or rain {t}", "{x} and rain {t}", "any {x} or rain", "{n} and the light {t}",
            "and {x} or rain", "{x}, rain {t}",
        ),
        (
            "tell me if it was {x} or rain {t}",
            "check {x} and rain {t}", "say whether there was {x} or rain {t}",
            "tell me {n} and the light {t}",
            "count {x} and rain {t}", "tell me how long {x} and rain was {t}",
        ),
    ),
    "unusual": (
        (
            "was anything unusual {t}", "was there anything strange {t}", "did anything strange happen {t}",
            "was there an alarm {t}", "was everything normal {t}", "was anything wrong {t}",
            "did you notice anything unusual {t}", "were there any alarms {t}", "was all well {t}",
            "did anything unusual happen {t}", "was there any problem {t}", "was it calm {t}",
            "is there something strange {t}", "was something wrong {t}", "were there problems {t}",
        ),
        (
            "anything unusual {t}", "anything strange {t}", "any alarms {t}", "any problems {t}",
            "all well {t}", "anything wrong {t}", "alarms {t}", "something strange {t}", "unusual {t}",
            "problems {t}",
        ),
        (
            "tell me if anything was unusual {t}", "list the alarms {t}", "report anything strange {t}",
            "tell me what was strange {t}", "say if all was well {t}", "list what was unusual {t}",
            "report the problems {t}", "tell me about alarms {t}", "say if anything was wrong {t}",
        ),
    ),
    "sensors": (
        (
            "was {s} working {t}", "did {s} work {t}", "was {s} missing {t}",
            "which sensors were missing {t}",
            "were all sensors working {t}", "did {s} give data {t}", "was {s} there {t}",
            "which sensors did work {t}", "were any sensors missing {t}", "has {s} been working {t}",
            "did any sensor fail {t}", "was there data from {s} {t}", "has any sensor been missing {t}",
            "did {s} fail {t}",
        ),
        (
            "{s} {t}", "missing sensors {t}", "what about {s}", "and {s}", "any sensor missing {t}",
            "{s} working {t}", "data from {s} {t}", "sensors {t}", "any data from {s} {t}", "and {s} {t}",
        ),
        (
            "tell me if {s} was working {t}", "list the missing sensors {t}", "tell me how {s} did {t}",
            "say if {s} was missing {t}", "report how the sensors did {t}", "check {s} {t}",
            "tell me which sensors were missing {t}", "check the sensors {t}", "say how {s} did {t}",
        ),
    ),
    "sources": (
        (
            "which sensor told you", "how do you know", "what is that based on", "who told you",
            "how do you know that", "which sensor was that", "where do you know that from",
            "why do you think so", "how can you tell", "what makes you say so", "which sensor says so",
            "why do you believe that",
        ),
        ("and which sensor", "from which sensor", "by which sensor", "based on what", "which one",
         "says who"),
        ("tell me how you know", "tell me which sensor it was", "say which sensor told you",
         "say how you know that", "name the sensor", "tell me who told you"),
    ),
    "certainty": (
        (
            "are you sure", "is that true", "how sure are you", "are you certain", "is that right",
            "can i trust that", "how certain are you", "is it true", "are you really sure",
            "can i believe that", "is that certain", "are you quite sure",
        ),
        ("really", "sure", "and how sure", "certain", "and is that true", "no doubt"),
        ("tell me how sure you are", "say how sure you are", "tell me if that is true",
         "say if you are sure", "tell me if you are certain"),
    ),
    "highest": (
        (
            "what was the highest {m} {t}", "how high was {n} {t}", "what was the maximum of {n} {t}",
            "when was {n} highest {t}", "how high did {n} get {t}", "what was the most of {n} {t}",
            "when was {n} at its highest {t}", "what was the peak of {n} {t}", "how warm did it get {t}",
            "what was the highest value of {n} {t}",
        ),
        (
            "highest {m} {t}", "maximum {m} {t}", "and the highest", "the highest {m} {t}", "peak of {n} {t}",
            "maximum of {n} {t}", "most {m} {t}", "highest {t}",
        ),
        (
            "tell me the highest {m} {t}", "give me the maximum of {n} {t}", "say how high {n} was {t}",
            "tell me how high {n} got {t}", "give me the highest {m} {t}", "say the maximum of {n} {t}",
            "tell me when {n} was highest {t}",
        ),
    ),
    "lowest": (
        (
            "what was the lowest {m} {t}", "how low was {n} {t}", "what was the minimum of {n} {t}",
            "when was {n} lowest {t}", "how low did {n} get {t}", "what was the least of {n} {t}",
            "when was {n} at its lowest {t}", "what was the lowest value of {n} {t}",
            "how cold did it get {t}", "how low did {n} fall {t}",
        ),
        (
            "lowest {m} {t}", "minimum {m} {t}", "and the lowest", "the lowest {m} {t}", "least {m} {t}",
            "minimum of {n} {t}", "the low of {n} {t}", "lowest {t}",
        ),
        (
            "tell me the lowest {m} {t}", "give me the minimum of {n} {t}", "say how low {n} was {t}",
            "tell me how low {n} got {t}", "give me the lowest {m} {t}", "say the minimum of {n} {t}",
            "tell me when {n} was lowest {t}",
        ),
    ),
    "value": (
        (
            "what was {n} {t}", "how warm was it {t}", "how high was {n} {t}", "how humid was it {t}",
            "how bright was it {t}", "what did {n} say {t}", "how was {n} {t}", "what was {n} like {t}",
            "how cold was it {t}", "what did you measure of {n} {t}",
        ),
        ("{n} {t}", "and {n}", "what about {n}", "{n}", "and {n} {t}", "what about {n} {t}", "and {t}",
         "what about {t}"),
        (
            "tell me {n} {t}", "give me {n} {t}", "say {n} {t}", "tell me what {n} was {t}", "report {n} {t}",
            "show me {n} {t}", "say what {n} was {t}",
        ),
    ),
    "average": (
        (
            "what was the average of {n} {t}", "what was {n} on average {t}",
            "how high was {n} on average {t}",
            "what was the mean of {n} {t}", "what was the average {m} {t}", "how warm was it on average {t}",
            "what was the usual {m} {t}",
        ),
        (
            "average {m} {t}", "mean {m} {t}", "and on average", "average of {n} {t}", "mean of {n} {t}",
            "{n} on average {t}", "and the average",
        ),
        (
            "tell me the average {m} {t}", "give me the mean of {n} {t}", "say the average of {n} {t}",
            "give me the average {m} {t}", "tell me {n} on average {t}", "say the mean of {n} {t}",
        ),
    ),
    "change": (
        (
            "did {n} change {t}", "did it get warmer {t}", "has {n} changed {t}", "did {n} rise {t}",
            "did {n} fall {t}", "how did {n} change {t}", "has it got colder {t}", "is it warmer than {t}",
            "how much did {n} rise {t}", "how much did {n} change {t}", "did {n} go up {t}",
            "did {n} go down {t}", "is {n} higher than {t}", "how much did {n} fall {t}",
            "has {n} gone up {t}",
        ),
        (
            "change of {n} {t}", "warmer {t}", "{n} up or down {t}", "and the change", "{n}, any change {t}",
            "any change of {n} {t}", "rise of {n} {t}", "colder {t}",
        ),
        (
            "tell me how {n} changed {t}", "tell me if {n} rose {t}", "say how {n} changed {t}",
            "compare {n} with {t}", "give me the change of {n} {t}", "say if {n} fell {t}",
            "tell me if {n} changed {t}",
        ),
    ),
    "higher": (
        (
            "was it warmer {t} than yesterday", "is it colder than {t}", "was {n} higher {t} than yesterday",
            "was {n} lower today than {t}",
            "is {n} higher now than {t}", "how much higher was {n} {t} than today",
            "was it drier yesterday or today",
            "is the air drier than {t}", "was {n} as high {t} as yesterday",
            "what is the difference in {m} between {t} and now",
        ),
        (
            "warmer than {t}", "{n} {t} or yesterday, when higher", "{n} {t} compared with yesterday",
            "higher {m} {t} than yesterday", "colder than {t}", "{m} today against {t}", "drier than {t}",
        ),
        (
            "compare {n} today with {t}", "tell me if it was warmer {t} than yesterday",
            "compare {n} {t} with yesterday", "say if {n} is lower than {t}",
            "tell me the difference in {m} between {t} and now", "tell me if {n} was higher today than {t}",
        ),
    ),
    "limit": (
        (
            "was {n} {l} {t}", "did {n} get {l} {t}", "was it ever {l} {t}", "did {n} go {l} {t}",
            "was it {l} {t}", "has {n} been {l} {t}", "did it get {l} {t}", "was {n} ever {l} {t}",
            "did you measure {n} {l} {t}", "has it been {l} {t}", "did {n} come {l} {t}",
        ),
        (
            "{n} {l} {t}", "ever {l} {t}", "{l} {t}", "and {l}", "{n} ever {l} {t}", "and {n} {l} {t}",
            "what about {l}", "{l} at any time {t}",
        ),
        (
            "tell me if {n} was {l} {t}", "check if {n} was {l} {t}", "say whether {n} was {l} {t}",
            "tell me whether {n} got {l} {t}", "check whether it was {l} {t}", "say if it was {l} {t}",
            "tell me if it was ever {l} {t}",
        ),
    ),
}  # fmt: skip

TIMES = (
    "today", "yesterday", "this morning", "last night", "since lunch", "this afternoon", "this evening",
    "in the last ten minutes", "since noon", "in the last hour", "just now", "on monday", "overnight",
    "between two and four", "at three", "since midnight", "two hours ago", "this week", "over the weekend",
    "yesterday evening", "so far", "before noon", "in the last five minutes", "two days ago", "on sunday",
    "at noon", "around noon", "all day", "yesterday morning", "after dinner", "last week", "at half past two",
    "in the night", "since breakfast", "from noon on", "in the past few hours", "yesterday at three",
    "in the last two hours", "since yesterday", "since 8:30", "until 14:45", "on 3 march", "at 9:40",
    "between 18 and 20 yesterday", "in the last 45 minutes", "at 2 pm", "", "", "", "", "", "",
)  # fmt: skip
ABOVE = (
    "above 25 degrees", "over 21.5 degrees", "above 1000 ppm", "more than 60 percent", "above twenty degrees",
    "warmer than 22 degrees", "higher than 800", "over 500 lux", "above 30",
)  # fmt: skip
BELOW = (
    "below 20 degrees", "under 18", "below 300 lux", "less than 40 percent", "colder than 19 degrees",
    "under 600 ppm", "lower than 50", "below fifteen degrees", "under 10 lux",
)  # fmt: skip
"""In the place of `{l}`: the numbers of a question are none of its answer's."""
THINGS = (
    "the dog", "a dog", "the baby", "rain", "somebody", "anyone", "the room occupied", "the room empty",
    "the person walking", "the person seated", "a sneeze", "the clock", "the rooster", "a helicopter",
    "the person lying down", "someone in the room", "the sea", "nobody", "two people", "one person",
    "the wind",
    "a fire", "the person standing", "the car", "a hand", "the finger",
)  # fmt: skip
"""In the place of `{x}`, beside the phrases of all labels."""
