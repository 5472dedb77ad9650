"""How far away it is what a camera sees."""

from __future__ import annotations

from export.wordings.common import Wordings

DISTANCE = Wordings(
    query=(
        "how great is the distance", "how far is the nearest thing ahead", "how long is the way ahead",
        "what distance does the camera see", "how near to the camera is it", "what about the distance",
        "is anything near ahead", "give me the distance", "how far ahead",
        "how many metres to what is ahead", "what can you tell me about the distance ahead",
        "how far is the next thing ahead", "distance ahead now please",
        "how far is what is in front of the camera", "distance", "report the distance",
        "could you tell me the distance", "how far is it to what lies ahead",
        "what do you know about the distance", "the distance please", "measure how far it is ahead",
        "what is the distance ahead right now", "is anything close to the camera",
        "how far does the camera see", "is the way ahead free", "how much space is ahead",
        "how far is it straight ahead", "what distance ahead do you measure", "tell me about the distance",
        "what is the distance to what is in front", "any news about the distance ahead",
        "what is the distance ahead of the camera", "how far can the camera see", "how much room is ahead",
        "how far from the camera is it", "metres from the camera", "describe the distance ahead",
        "what lies ahead and how far", "what distance do we have", "and the distance ahead",
        "tell me the distance", "what is the distance ahead", "how deep is it ahead of the camera",
        "what do you say about the distance", "can you tell me the distance ahead",
        "say the distance ahead", "how far away is it ahead", "how many metres are free ahead",
        "measure the distance", "how is the distance", "check the distance ahead",
        "how close is what the camera sees", "what do you make of the distance ahead", "read the distance",
        "how near is what is ahead",
    ),
    why=(
        "why do you believe that about the distance", "who told you about the distance",
        "give me the evidence for the distance", "what proves the distance ahead",
        "what told you about the distance ahead", "what speaks for the distance ahead",
        "justify the distance ahead", "where do you know the distance from",
        "how did you work out the distance ahead", "by what do you know the distance",
        "what is your reason about the distance ahead", "how do you measure the distance ahead",
        "how is the distance known to you", "explain the distance",
        "from what do you know about the distance ahead", "by which sensor do you know the distance ahead",
        "how did you find out about the distance", "how do you know the distance",
        "on what grounds do you say that about the distance ahead", "how can you tell the distance ahead",
        "what do you base the distance on", "why do you say so about the distance ahead",
        "what is your evidence for the distance ahead", "what is the distance based on",
        "on what is the distance ahead based", "what makes you think so about the distance",
        "which sensor tells you about the distance ahead", "give a reason for the distance",
        "which sensor shows the distance", "what shows you the distance",
    ),
    words=(
        "distance", "camera", "ahead",
    ),
)  # fmt: skip
