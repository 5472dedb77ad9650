"""The wordings of questions, by family. Every fifth wording of a family is held out for tests.

A wording never depends on the true label: `{x}` is filled with a label drawn independently of it. New
wordings go to the end of their tuple, so that what is held out stays held out.
"""

from __future__ import annotations

OPENERS = (
    "please,", "hey,", "tell me,", "can you tell me,", "hello,", "now,", "quick question,", "i want to know,",
    "say,", "could you say,", "so,", "okay,", "do you know,", "one question,", "well,",
    "excuse me,",
    "agent,", "i wonder,", "hi,", "let me ask,", "and", "then", "please tell me", "good morning,",
)  # fmt: skip
CLOSERS = (
    "please", "now", "right now", "at the moment", "thanks", "for me", "just now", "currently", "today",
    "here",
    "then", "exactly", "again", "by now", "this moment", "if you can", "in your opinion",
)  # fmt: skip

ACTIVITY_QUERY = (
    "what is the person doing", "what is happening to the person", "what activity is this",
    "what are they doing",
    "what is he doing", "what is she doing", "what is the person up to", "which activity do you see",
    "tell me what the person is doing", "what is the current activity", "describe the activity",
    "what is the wearer doing", "what do the motion sensors say", "how is the person moving",
    "can you tell me the activity", "name the activity", "what movement is this", "what is the user doing",
    "what is the person doing now", "what is the person doing right now", "what is going on with the person",
    "what motion do you detect", "what are the phone and the watch showing",
    "please say what the person does",
    "what is somebody doing", "could you tell what the person is doing", "activity", "what am i doing",
    "what am i doing right now", "what kind of movement is it", "what is the motion",
    "which movement is that",
    "how am i moving", "what does the person do", "what does he do", "which activity is it",
    "is there motion",
    "does the person move", "is the person moving", "what movement is it", "what are you seeing them do",
    "what is the wearer up to", "what is this person busy with", "describe the movement",
    "describe the motion",
    "what do the phone and the watch feel", "how does the wearer move", "name the movement", "motion",
    "movement", "what are we doing", "what is grandma doing", "tell me the activity", "say what i am doing",
    "what action is this", "which action do you see", "what is the action", "read the motion sensors",
    "what do you make of the movement", "how would you call this activity", "what did you see the person do",
    "what does she do", "what do they do", "what does the wearer do", "what is the movement",
    "what does the user do", "which activity is that", "the movement please", "what does somebody do",
    "the activity please", "and the activity", "what do i do", "at which activity is the person",
    "how do they move", "moving how", "tell me about the movement", "tell me about the person",
    "what is the person at", "any movement", "is there movement", "do you see movement",
)  # fmt: skip

EVENT_QUERY = (
    "what do you hear", "what can you hear", "what is that sound", "what sound is this", "what is that noise",
    "which sound do you hear", "what does the microphone hear", "tell me what you hear",
    "what is making noise",
    "describe the sound", "name the sound", "what do you hear now", "what do you hear right now",
    "what is the current sound", "is there any sound", "what noise is there", "what kind of sound is it",
    "can you tell me what the sound is", "what does it sound like", "listen and tell me what it is",
    "what is to be heard", "what is the noise in the room", "please say what you hear", "sound",
    "could you tell what that sound is", "do you hear anything", "do you hear something", "is there a noise",
    "can you hear anything", "is anything to be heard", "what is so loud", "listen", "what are you hearing",
    "which noise is that", "what do your ears say", "noise", "describe the noise", "name the noise",
    "what makes that sound", "what makes this noise", "what is the sound", "what sound do you detect",
    "listen to the room", "what do you make of the sound", "which sound is it", "is it quiet",
    "is it quiet in the room", "what did you hear", "what is heard", "how does the room sound",
    "what is there to hear", "tell me the sound", "say what it sounds like", "what audio is this",
    "what is on the microphone", "listen and say what it is", "listen carefully, what is it", "any noise",
    "any sound", "do you hear a noise", "what sort of noise is it",
    "what does your ear hear", "what do the ears hear", "the sound please", "the noise please",
    "what do you hear with the microphone", "and the sound", "tell me about the sound",
    "tell me about the noise", "what is audible", "which sound is audible",
    "what comes from the microphone", "what is in the air", "is something audible",
    "what noise do you hear", "what sound do you hear",
)  # fmt: skip

BOTH_QUERY = (
    "what is going on", "describe the scene", "what do you perceive", "tell me everything",
    "give me a summary",
    "what do your sensors say", "what is the situation", "report", "status", "summarise what you perceive",
    "what do you notice", "what is happening here", "describe what you sense", "what do you sense",
    "how do things look",
    "what can you tell me", "what is up", "give me a report", "what is the state of things",
    "what do you know now",
    "what do you see and hear", "overview", "tell me what is going on", "what is new", "summary",
    "give me an overview", "what is the status", "status report", "what is your report",
    "what is your summary",
    "summarise", "summarise the situation", "sum it up", "how are things", "how is everything",
    "how does it look", "how is the situation", "what is the scene", "tell me all you perceive",
    "tell me all", "what is all this", "what have you perceived", "describe everything", "what goes on",
    "what goes on here", "anything to report", "is there anything new", "what have you noticed",
    "what do all sensors say", "what is the overall situation", "describe the situation", "what is there",
    "read all sensors", "say what you perceive", "what do you see and hear now", "what is currently going on",
    "how is it all going", "how do things stand", "the situation please", "a summary please",
    "what do you see", "what did you perceive", "give me all you know", "tell me what you perceive",
    "what can be perceived", "in short, what is going on", "what is currently happening",
    "what are you perceiving", "the full report", "report everything", "say what is going on",
)  # fmt: skip

YES_NO = {
    "activity_recognition": (
        "is the person {x}", "are they {x}", "is he {x}", "is she {x}", "would you say the person is {x}",
        "is the person {x} right now", "the person is {x}, right", "i think the person is {x}", "am i {x}",
        "is it true that the person is {x}", "is somebody {x}", "the person is {x}, is that so",
        "can you confirm that the person is {x}", "surely the person is {x}", "is the wearer {x} now",
        "is the user {x}", "is anyone {x}", "is the person still {x}", "do you see the person {x}",
        "is it right that he is {x}", "he is {x}, is he not", "is {x} what the person does", "are we {x}",
        "could it be that the person is {x}", "does it look like {x}", "is the wearer {x}",
        "i say the person is {x}", "the wearer is {x}, correct", "is this {x}", "would you call this {x}",
    ),
    "event_detection": (
        "do you hear {x}", "is that {x}", "is it {x}", "can you hear {x}", "does it sound like {x}",
        "i think it is {x}", "that is {x}, right", "is there {x}", "is the sound {x}", "do you hear {x} now",
        "is it true that you hear {x}", "can you confirm that it is {x}", "surely that is {x}",
        "would you say it is {x}", "is {x} to be heard", "is this {x}", "is the noise {x}",
        "are you hearing {x}",
        "did you hear {x}", "could that be {x}", "it is {x}, is it not", "i say it is {x}",
        "is {x} what you hear", "was that {x}", "is there a sound of {x}", "do your ears hear {x}",
        "it sounds like {x}, correct", "is that sound {x}", "might it be {x}", "is the room full of {x}",
    ),
}  # fmt: skip

FALSE_PREMISE = {
    "activity_recognition": (
        "why is the person {x}", "since when is the person {x}", "how fast is the person {x}",
        "why is he {x} now", "where is the person {x} to", "why are they {x}", "with whom is the person {x}",
        "how long has the person been {x}", "why is she {x}", "where is he {x}", "why am i {x}",
        "how quickly is the person {x}", "what for is the person {x}", "when did the person begin {x}",
        "where are they {x}", "who told the person to be {x}", "why is the wearer {x}", "why is somebody {x}",
        "for how long is he {x}", "with whom is she {x}", "how well is the person {x}", "how come he is {x}",
    ),
    "event_detection": (
        "why is there {x}", "where does the {x} come from", "since when is there {x}", "who causes the {x}",
        "why do i hear {x}", "how loud is the {x}", "when did the {x} begin", "why is it {x}",
        "how long has there been {x}", "who makes the {x}", "where is the {x}", "why do you hear {x}",
        "how far away is the {x}", "what causes the {x}", "when will the {x} end", "how come there is {x}",
        "from where comes the {x}", "why did the {x} start", "how near is the {x}", "who started the {x}",
        "for how long is there {x}", "why does the {x} go on",
    ),
}  # fmt: skip

CHOICE = {
    "activity_recognition": (
        "is the person {x} or {y}", "{x} or {y}", "which is it, {x} or {y}", "is the person {x}, {y} or {z}",
        "choose one: {x}, {y} or {z}", "what fits best: {x}, {y}, {z}", "are they {x}, {y} or {z}",
        "is he {x} or {y}", "am i {x} or {y}", "is it {x}, {y} or {z}", "pick one: {x}, {y}, {z}",
        "{x}, {y} or {z}", "what is it, {x} or {y}", "is she {x} or rather {y}", "select {x}, {y} or {z}",
        "is the wearer {x} or {y}", "either {x} or {y}, which one",
    ),
    "event_detection": (
        "is it {x} or {y}", "do you hear {x} or {y}", "is the sound {x}, {y} or {z}", "{x} or {y}",
        "choose one: {x}, {y} or {z}", "what fits best: {x}, {y}, {z}", "which is it, {x} or {y}",
        "is that {x} or {y}", "pick one: {x}, {y}, {z}", "{x}, {y} or {z}", "what is it, {x} or {y}",
        "is there {x} or {y}", "does it sound like {x} or {y}", "is the noise {x} or rather {y}",
        "select {x}, {y} or {z}", "do you hear {x}, {y} or {z}", "either {x} or {y}, which one",
    ),
}  # fmt: skip

WHY = {
    "activity_recognition": (
        "why do you think the person does that", "how do you know what the person is doing",
        "what is your evidence for the activity", "explain the activity",
        "why do you say so about the person",
        "what makes you think so about the movement", "how can you tell the activity",
        "how do you know the activity", "why that activity", "from what do you know the activity",
        "what tells you how the person moves", "which sensor tells you the activity",
        "how do you see the motion",
        "give me the evidence for the movement", "on what is the activity based",
        "why do you see that movement",
        "how did you find out what the person does",
        "how do you know what is going on with the person", "why is it that activity",
        "by what do you know the movement", "which sensor shows the movement",
        "what shows you the activity", "by which sensor do you know the activity",
        "what proves the activity", "what is the activity based on",
    ),
    "event_detection": (
        "why do you think you hear that", "how do you know what the sound is", "explain the sound",
        "what is your evidence for the sound", "why do you say so about the sound",
        "what makes you think so about the noise", "how can you tell the sound", "how do you know the sound",
        "why that sound", "from what do you know the noise", "what tells you what the noise is",
        "which sensor tells you the sound", "how do you hear the sound", "give me the evidence for the noise",
        "on what is the sound based", "why do you hear that noise", "how did you find out what the noise is",
        "how do you know what is to be heard", "why is it that sound", "by what do you know the sound",
        "which sensor hears the sound", "what shows you the noise",
        "by which sensor do you know the noise", "what proves the sound", "what is the sound based on",
    ),
}  # fmt: skip

FOLLOW_WHY = (
    "why", "why do you think so", "how do you know", "explain", "what is your evidence", "how so",
    "why is that",
    "how come", "explain that", "why do you say that", "what makes you say so", "on what grounds",
    "how do you know that", "give a reason", "what is the reason", "and why", "why do you believe that",
)  # fmt: skip
FOLLOW_SURE = (
    "are you sure", "really", "is that right", "are you certain", "sure", "do you mean it", "is that so",
    "is that true", "are you quite sure", "honestly", "are you positive", "for sure", "no doubt",
    "is it really so", "can i trust that", "certain", "is this correct",
)  # fmt: skip
FOLLOW_SENSOR = (
    "which sensor told you", "where do you know that from", "from which sensor", "which sensor was it",
    "what sensor says that", "who told you", "which sensor says so", "what sensor told you",
    "by which sensor",
    "what device told you", "which one told you", "which device says that", "where does that come from",
    "from what sensor do you know", "what is the source", "which sensor knows that", "who says so",
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
    "is every sensor alive", "what sources do you have", "which sensors are connected", "what sensors work",
    "what sensors do you have", "list the sensors", "list all sensors", "which sensors are alive",
    "show me the sensors", "which sensor works", "which sensor is missing", "are any sensors missing",
    "is a sensor missing", "which data do you get", "where do you get your data",
    "what data sources are there",
    "what inputs do you have", "which inputs are on", "which sources send data", "are the sensors on",
    "do the sensors work", "is every sensor working", "do you get data from all sensors",
    "what devices do you have", "which devices send data", "tell me your sensors", "sensors",
    "how many sensors work", "what is connected", "which sensors give data", "are all devices connected",
    "from which sensors do you have data", "from what do you get data", "do you have all sensors",
    "which source do you use", "what data do you have", "which sensors can you use", "do you have sensors",
    "where does your data come from", "from where do you know things", "is something missing",
    "is any source missing", "is some device missing", "which device is missing", "what is missing",
    "which devices work", "what are your sources", "tell me which sensors work", "are there sensors",
    "which sensors are there",
)  # fmt: skip

ONE_SENSOR = (
    "what does {s} say", "what does {s} show", "is {s} working", "does {s} send data",
    "what do you get from {s}",
    "what is {s} telling you", "do you get data from {s}", "what is {s} showing", "is {s} on", "is {s} alive",
    "is {s} connected", "what comes from {s}", "is there data from {s}", "does {s} work",
    "what do you know from {s}", "read {s}", "is {s} missing", "how is {s}", "what does {s} tell you",
    "what do you learn from {s}", "is {s} sending anything", "and {s}",
)  # fmt: skip

UNKNOWABLE = (
    "what colour is the shirt", "what is the wind outside", "how many birds are there", "what is the time",
    "what is the weather tomorrow", "what is the person thinking", "where is my key", "how old is the person",
    "what is the price of bread", "which song is playing", "what is on the table", "who won the game",
    "how tall is the person", "what is the heart rate", "what did the person eat", "which room is this",
    "is the door open", "what is written on the wall", "how far is the station",
    "what is the capital of france", "what did he say", "what will happen next", "how windy will it be",
    "what is the person wearing", "what does the person want", "where does she live", "what is two plus two",
    "when is lunch", "how do i get home", "what is the meaning of life", "who wrote the book",
    "why is the sky blue", "how many days are in a year", "what does the person think",
    "is it raining tomorrow",
    "what is in the box", "where are my glasses", "what should i cook", "who is the president",
    "what is the capital of spain", "where is italy", "how heavy is the person", "how is the weather",
    "will it snow", "what time is it", "when does the shop open", "what did she drink", "what did he buy",
    "what is the blood pressure", "is the window closed", "is the oven on", "what is my name",
    "how much is the rent", "where did the person go", "tell me a joke", "sing a song", "play music",
    "turn on the lamp", "call my mother", "what is the largest city", "how deep is the sea",
    "what does he eat", "what did they say", "what did she buy", "what is the weather",
    "what is the weather today", "what is the capital of germany", "how far is the moon",
    "how old are you", "where is the car", "what is on television", "who called",
    "what is the person reading", "what is the person holding", "is there milk", "is the shop open",
)  # fmt: skip

IDENTITY = (
    "who is the person", "what is the name of the person", "who is that", "do you know who it is",
    "is it my neighbour", "who is walking there", "tell me the name", "is that a man or a woman",
    "whose voice is it", "which person is it", "do you recognise the person", "is it me", "what is her name",
    "is that anna", "who is in the room", "who walks there", "is it a child", "can you identify the person",
    "who is it", "who is there", "who is he", "who is she", "what is his name", "is it a man",
    "is it a woman",
    "is that my son", "is that my mother", "is it peter", "who am i", "do you know me", "do you know my name",
    "do you know this person", "name the person", "identify the person", "recognise the person",
    "is it a stranger", "who is wearing the watch", "who carries the phone", "whose phone is it",
    "who makes that noise", "who is speaking", "is the person old or young", "which human is it",
    "which of us is it", "what person is that", "is it the same person", "who could it be",
    "what person is it", "which man is it", "which woman is it", "do you know the person",
    "do you know that voice", "who makes the sound", "who is doing that", "what is my mother called",
    "is the person my son", "whose watch is it", "who lives here",
)  # fmt: skip

MEDICAL = (
    "is the person sick", "does the person need a doctor", "is the person healthy", "is the person in pain",
    "does he have a fever", "should she take medicine", "is the baby ill", "is it a heart attack",
    "is she well", "is he dying", "does the person have a disease", "what is the diagnosis",
    "is the cough bad",
    "should i call a doctor", "is the wearer injured", "is the person depressed", "what medicine helps",
    "am i sick", "am i healthy", "is he ill", "is she hurt", "does she have a fever", "is that a fever",
    "do i have a fever", "is the person dead", "is she dying", "will the person die", "is it dangerous",
    "is he in danger", "does he need medicine", "should i take a pill", "does it hurt", "is he in pain",
    "do i need a doctor", "is it a stroke", "is this a disease", "is it cancer", "what illness is it",
    "what is the treatment", "how can i treat this", "is my heart okay", "is my blood pressure high",
    "is the baby healthy", "is the person fit", "did the person fall and get hurt", "is the person injured",
    "does the wearer have pain", "is it a bad cough", "is she pregnant", "does he need a hospital",
    "does he have a disease", "is she in danger", "has the person a fever", "is he sick", "is she sick",
    "could he die", "is the person alive", "is he hurt", "do they need help from a doctor",
    "what disease is it", "must i see a doctor",
)  # fmt: skip

HELP = (
    "help", "what can you do", "what can i ask", "who are you", "how do you work", "what are you",
    "what do you know", "how can you help me",
    "what do you do", "explain yourself", "introduce yourself", "what is this", "are you a robot",
    "what are you for",
    "which questions can i ask", "how do i use you", "tell me about yourself", "what is your purpose",
    "what is your name", "what is your job", "what can you tell", "what can i do with you",
    "how does this work",
    "how do you function", "are you human", "are you a machine", "are you a computer", "what questions work",
    "what may i ask you", "what can i ask you", "give me an example", "what are your abilities",
    "what are you able to do", "help me", "i need help", "how can i use this", "what do you offer",
    "why are you here", "who made you", "instructions", "how do i talk to you", "what are you good at",
    "what is this device", "what does this device do", "can you help", "show me what you can do",
    "what can i say", "what can you answer", "what do you know about", "tell me what you can do",
    "what should i ask", "which things can you tell", "what kind of agent are you", "how can you be used",
    "what is it that you do", "how should i talk to you", "say what you are",
)  # fmt: skip

UNKNOWABLE_FORMS = (
    "what is the {thing}", "where is the {thing}", "how many {thing}s are there", "who owns the {thing}",
    "is there a {thing}", "what does the {thing} cost", "who made the {thing}", "how big is the {thing}",
    "when does the {thing} start", "what colour is the {thing}", "who took the {thing}",
    "do you like the {thing}",
    "can you open the {thing}", "why is the {thing} broken", "which {thing} is the best",
    "what is the {thing} of the {other}", "how old is the {thing}", "where did i put the {thing}",
    "what is a {thing}", "how far is the {thing}", "did the {thing} arrive", "what did the {thing} do",
    "how is the {thing} today", "is the {thing} open", "who is the {thing} of the {other}",
    "what will the {thing} be tomorrow", "what did the {thing} eat", "how much is the {thing}",
    "where can i buy a {thing}", "is the {thing} on the {other}", "when was the {thing} built",
    "what is the name of the {thing}", "turn off the {thing}", "how does a {thing} work",
    "is the {thing} new",
    "what is written in the {thing}", "should i buy the {thing}", "who lives in the {thing}",
    "what is inside the {thing}", "what is the {thing} thinking", "write a {thing}", "show me the {thing}",
)  # fmt: skip
THINGS = (
    "car", "book", "train", "house", "city", "river", "president", "team", "film", "letter", "phone number",
    "bill",
    "dinner", "shoe", "coat", "street", "school", "garden", "bus", "bank", "ticket", "song", "picture", "cup",
    "window", "lamp", "computer", "party", "holiday", "shop", "tree", "colour", "price", "date", "year",
    "answer",
    "question", "password", "address", "news", "joke", "recipe", "game", "score", "country", "king", "war",
    "moon",
    "sun", "planet", "wind", "smell", "weight", "height", "age",
    "language", "door", "table", "chair", "kitchen", "bed", "bottle", "bread", "cheese", "apple", "plate",
    "knife", "spoon", "box", "bag", "ring", "hat", "shirt", "dress", "sock", "flower", "grass", "leaf",
    "mountain", "lake", "ocean", "island", "beach", "bridge", "road", "roof", "floor", "stair",
    "teacher", "doctor", "farmer", "soldier", "queen", "captain", "friend", "uncle", "brother", "sister",
    "neighbour", "village", "church", "museum", "library", "hotel", "station", "airport", "office", "factory",
    "market", "hospital", "machine", "engine", "wheel", "battery", "radio", "television", "clock",
    "newspaper", "story", "poem", "word", "number", "letter box", "map", "flag", "coin", "money", "tax",
    "law",
    "election", "meeting", "lesson", "exam", "match", "race", "prize", "ball", "horse", "cow", "bird", "fish",
    "cat", "mouse", "spider", "egg", "milk", "tea", "coffee", "sugar", "salt", "soup", "cake", "lunch",
    "breakfast", "morning", "evening", "night", "winter", "summer", "weather", "snow", "storm", "cloud",
    "star", "sky", "earth", "stone", "gold", "iron", "glass", "paper", "pen", "colour of the wall", "speed",
    "size", "shape", "taste", "heart rate", "blood pressure", "mood", "plan", "idea", "dream",
    "secret", "reason", "meaning", "capital", "border", "population", "history", "future", "program", "file",
    "button", "key", "lock", "gift", "toy", "doll", "guitar", "piano", "drum", "dance", "concert",
)  # fmt: skip
"""Filled into the forms in training; the held-out questions of this family are of no such form."""


def split(wordings: tuple[str, ...], *, held_out: bool) -> tuple[str, ...]:
    """The training wordings, or the held-out ones (every fifth; a short family holds out its last)."""
    test = set(wordings[4::5]) or {wordings[-1]}
    return tuple(w for w in wordings if (w in test) == held_out)
