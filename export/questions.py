"""The wordings of questions, by family. Every fifth wording of a family is held out for tests.

A wording never depends on the true label: `{x}` is filled with a label drawn independently of it.
"""

from __future__ import annotations

ACTIVITY_QUERY = (
    "what is the person doing", "what is happening", "what activity is this", "what are they doing",
    "what is he doing", "what is she doing", "what is the person up to", "which activity do you see",
    "tell me what the person is doing", "what is the current activity", "describe the activity",
    "what is the wearer doing", "what do the motion sensors say", "how is the person moving",
    "can you tell me the activity", "name the activity", "what movement is this", "what is the user doing",
    "what is the person doing now", "what is the person doing right now", "what is going on with the person",
    "what motion do you detect", "what are the phone and the watch showing",
    "please say what the person does",
    "what is somebody doing", "could you tell what the person is doing", "activity", "what am i doing",
    "what am i doing right now", "what kind of movement is it",
)  # fmt: skip

EVENT_QUERY = (
    "what do you hear", "what can you hear", "what is that sound", "what sound is this", "what is that noise",
    "which sound do you hear", "what does the microphone hear", "tell me what you hear",
    "what is making noise",
    "describe the sound", "name the sound", "what do you hear now", "what do you hear right now",
    "what is the current sound", "is there any sound", "what noise is there", "what kind of sound is it",
    "can you tell me what the sound is", "what does it sound like", "listen and tell me what it is",
    "what is to be heard", "what is the noise in the room", "please say what you hear", "sound",
    "could you tell what that sound is",
)  # fmt: skip

BOTH_QUERY = (
    "what is going on", "describe the scene", "what do you perceive", "tell me everything",
    "give me a summary",
    "what do your sensors say", "what is the situation", "report", "status", "summarise what you perceive",
    "what do you notice", "what is happening here", "describe what you sense", "what do you sense",
    "how do things look",
    "what can you tell me", "what is up", "give me a report", "what is the state of things",
    "what do you know now",
    "what do you see and hear", "overview", "tell me what is going on", "what is new",
)  # fmt: skip

YES_NO = {
    "activity_recognition": (
        "is the person {x}", "are they {x}", "is he {x}", "is she {x}", "would you say the person is {x}",
        "is the person {x} right now", "the person is {x}, right", "i think the person is {x}", "am i {x}",
        "is it true that the person is {x}", "is somebody {x}", "the person is {x}, is that so",
        "can you confirm that the person is {x}", "surely the person is {x}", "is the wearer {x} now",
    ),
    "event_detection": (
        "do you hear {x}", "is that {x}", "is it {x}", "can you hear {x}", "does it sound like {x}",
        "i think it is {x}", "that is {x}, right", "is there {x}", "is the sound {x}", "do you hear {x} now",
        "is it true that you hear {x}", "can you confirm that it is {x}", "surely that is {x}",
        "would you say it is {x}", "is {x} to be heard",
    ),
}  # fmt: skip

FALSE_PREMISE = {
    "activity_recognition": (
        "why is the person {x}", "since when is the person {x}", "how fast is the person {x}",
        "why is he {x} now", "where is the person {x} to", "why are they {x}", "with whom is the person {x}",
    ),
    "event_detection": (
        "why is there {x}", "where does the {x} come from", "since when is there {x}", "who causes the {x}",
        "why do i hear {x}", "how loud is the {x}", "when did the {x} begin",
    ),
}  # fmt: skip

CHOICE = {
    "activity_recognition": (
        "is the person {x} or {y}", "{x} or {y}", "which is it, {x} or {y}", "is the person {x}, {y} or {z}",
        "choose one: {x}, {y} or {z}", "what fits best: {x}, {y}, {z}", "are they {x}, {y} or {z}",
    ),
    "event_detection": (
        "is it {x} or {y}", "do you hear {x} or {y}", "is the sound {x}, {y} or {z}", "{x} or {y}",
        "choose one: {x}, {y} or {z}", "what fits best: {x}, {y}, {z}", "which is it, {x} or {y}",
    ),
}  # fmt: skip

WHY = {
    "activity_recognition": (
        "why do you think the person does that", "how do you know what the person is doing",
        "what is your evidence for the activity", "explain the activity",
        "why do you say so about the person",
        "what makes you think so about the movement", "how can you tell the activity",
    ),
    "event_detection": (
        "why do you think you hear that", "how do you know what the sound is", "explain the sound",
        "what is your evidence for the sound", "why do you say so about the sound",
        "what makes you think so about the noise", "how can you tell the sound",
    ),
}  # fmt: skip

FOLLOW_WHY = ("why", "why do you think so", "how do you know", "explain", "what is your evidence", "how so")
FOLLOW_SURE = ("are you sure", "really", "is that right", "are you certain", "sure", "do you mean it")
FOLLOW_SENSOR = (
    "which sensor told you", "where do you know that from", "from which sensor", "which sensor was it",
    "what sensor says that", "who told you",
)  # fmt: skip

WHICH_SENSOR = (
    "which sensors are working", "which sensors do you have", "what sensors are connected",
    "list your sensors",
    "which sensors are on", "what can you sense with", "which sensors send data", "are all sensors working",
    "which sensor is on", "is any sensor missing",
    "which of your sensors work", "which sensors do you use", "what are your sensors",
    "do all sensors send data",
    "what do you have data from", "from where do you get data", "which devices are connected",
    "name your sensors",
    "is every sensor alive", "what sources do you have",
)  # fmt: skip

ONE_SENSOR = (
    "what does {s} say", "what does {s} show", "is {s} working", "does {s} send data",
    "what do you get from {s}",
    "what is {s} telling you", "do you get data from {s}",
)  # fmt: skip

UNKNOWABLE = (
    "what colour is the shirt", "what is the temperature", "how many people are there", "what is the time",
    "what is the weather tomorrow", "what is the person thinking", "where is my key", "how old is the person",
    "what is the price of bread", "which song is playing", "what is on the table", "who won the game",
    "how tall is the person", "what is the heart rate", "what did the person eat", "which room is this",
    "is the door open", "what is written on the wall", "how far is the station",
    "what is the capital of france",
)  # fmt: skip

IDENTITY = (
    "who is the person", "what is the name of the person", "who is that", "do you know who it is",
    "is it my neighbour", "who is walking there", "tell me the name", "is that a man or a woman",
    "whose voice is it", "which person is it", "do you recognise the person", "is it me", "what is her name",
    "is that anna", "who is in the room", "who walks there", "is it a child", "can you identify the person",
)  # fmt: skip

MEDICAL = (
    "is the person sick", "does the person need a doctor", "is the person healthy", "is the person in pain",
    "does he have a fever", "should she take medicine", "is the baby ill", "is it a heart attack",
    "is she well", "is he dying", "does the person have a disease", "what is the diagnosis",
    "is the cough bad",
    "should i call a doctor", "is the wearer injured", "is the person depressed", "what medicine helps",
)  # fmt: skip

HELP = (
    "help", "what can you do", "what can i ask", "who are you", "how do you work", "what are you",
    "what do you know", "how can you help me",
    "what do you do", "explain yourself", "introduce yourself", "what is this", "are you a robot",
    "what are you for",
    "which questions can i ask", "how do i use you", "tell me about yourself", "what is your purpose",
)  # fmt: skip

UNKNOWABLE_FORMS = (
    "what is the {thing}", "where is the {thing}", "how many {thing}s are there", "who owns the {thing}",
    "is there a {thing}", "what does the {thing} cost", "who made the {thing}", "how big is the {thing}",
    "when does the {thing} start", "what colour is the {thing}", "who took the {thing}",
    "do you like the {thing}",
    "can you open the {thing}", "why is the {thing} broken", "which {thing} is the best",
)  # fmt: skip
THINGS = (
    "car", "book", "train", "house", "city", "river", "president", "team", "film", "letter", "phone number",
    "bill",
    "dinner", "shoe", "coat", "street", "school", "garden", "bus", "bank", "ticket", "song", "picture", "cup",
    "window", "lamp", "computer", "party", "holiday", "shop", "tree", "colour", "price", "date", "year",
    "answer",
    "question", "password", "address", "news", "joke", "recipe", "game", "score", "country", "king", "war",
    "moon",
    "sun", "planet", "temperature", "humidity", "wind", "light", "smell", "weight", "height", "age",
    "language",
)  # fmt: skip
"""Filled into the forms in training; the held-out questions of this family are of no such form."""


def split(wordings: tuple[str, ...], *, held_out: bool) -> tuple[str, ...]:
    """The training wordings, or the held-out ones (every fifth; a short family holds out its last)."""
    test = set(wordings[4::5]) or {wordings[-1]}
    return tuple(w for w in wordings if (w in test) == held_out)
