"""Where on a screen the gaze rests."""

from __future__ import annotations

from export.wordings.common import Wordings

GAZE = Wordings(
    query=(
        "read the gaze", "follow the eyes", "follow the gaze", "where do the eyes rest",
        "where on the screen do i look", "what can you tell me about the gaze point",
        "how high on the screen do i look", "describe the gaze point", "looking where",
        "what is the gaze point", "where does the eye tracker point", "what do you know about the gaze",
        "is anyone looking at the screen", "where are my eyes on the screen", "where do i look",
        "what point on the screen is looked at", "what gaze do we have", "where are my eyes",
        "any news about the gaze point", "at what do i look", "the gaze please", "how is the gaze",
        "which corner of the screen do i look at", "where do the eyes point",
        "what gaze point do you measure", "what do you make of the gaze point", "eyes on what",
        "which place on the screen is it", "what do you say about the gaze", "where is the gaze",
        "give me the gaze", "what are the eyes on", "where are the eyes",
        "where on the screen is the gaze", "which part of the screen is looked at",
        "what part of the screen do i look at", "gaze", "where does the gaze go",
        "where does the gaze rest", "gaze point now please", "check the gaze point", "and the gaze point",
        "tell me the gaze", "report the gaze", "on which point do the eyes rest", "tell me about the gaze",
        "could you tell me the gaze", "where is someone looking", "what is the gaze point right now",
        "is the gaze on the screen", "how far left do i look", "where did the eyes go",
        "can you tell me the gaze point", "say the gaze point", "what about the gaze",
    ),
    why=(
        "who told you about the gaze", "why do you believe that about the gaze",
        "how did you find out about the gaze", "what speaks for the gaze point",
        "what told you about the gaze point", "from what do you know about the gaze point",
        "what is your reason about the gaze point", "give me the evidence for the gaze",
        "how is the gaze known to you", "what is your evidence for the gaze point",
        "what shows you the gaze", "what makes you think so about the gaze", "explain the gaze",
        "how did you work out the gaze point", "how can you tell the gaze point",
        "why do you say so about the gaze point", "what proves the gaze point",
        "where do you know the gaze from", "on what is the gaze point based",
        "which sensor shows the gaze", "on what grounds do you say that about the gaze point",
        "how do you know the gaze", "give a reason for the gaze", "justify the gaze point",
        "by which sensor do you know the gaze point", "which sensor tells you about the gaze point",
        "by what do you know the gaze", "what do you base the gaze on",
        "how do you measure the gaze point", "what is the gaze based on",
    ),
    words=(
        "gaze", "screen", "looking", "eyes", "eye", "do i look",
    ),
)  # fmt: skip
