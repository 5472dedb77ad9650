"""How far the walls are, and how large the room is, from a laser scanner."""

from __future__ import annotations

from export.wordings.common import Wordings

WALLS = Wordings(
    query=(
        "report the place of the walls", "how much space is between the walls", "how near is the wall",
        "how large is the room", "how far is the wall", "any news about the size of the room",
        "how long is the room", "how far to the wall", "what is the room size right now",
        "what do you know about the place of the walls", "how wide is the room",
        "describe the size of the room", "measure the walls", "check the size of the room",
        "is the wall far", "what room size do we have", "measure the room size",
        "and the size of the room", "how far are the walls", "where is the nearest wall",
        "what can you tell me about the size of the room", "how big is the room",
        "give me the place of the walls", "how close are the walls",
        "how much space is there to the walls", "how close is the next wall",
        "the place of the walls please", "read the room size", "what does the laser measure",
        "is a wall close", "tell me about the place of the walls", "room size now please",
        "what does the laser scanner see", "how far is the nearest wall", "what is the size of the room",
        "how near is the next obstacle", "is there an obstacle", "how many metres to the wall",
        "can you tell me the size of the room", "say the size of the room",
        "what do you make of the size of the room", "how far is the obstacle",
        "what room size do you measure", "how far apart are the walls",
        "what about the place of the walls", "how many metres to the walls", "room size",
        "where are the walls", "where is the next obstacle", "how near is the nearest obstacle",
        "tell me the place of the walls", "could you tell me the place of the walls",
        "what do you say about the place of the walls",
    ),
    why=(
        "how did you work out the size of the room", "on what is the size of the room based",
        "what is your evidence for the size of the room", "how do you measure the size of the room",
        "by which sensor do you know the size of the room", "explain the place of the walls",
        "on what grounds do you say that about the size of the room",
        "why do you believe that about the place of the walls",
        "by what do you know the place of the walls", "what is your reason about the size of the room",
        "what do you base the place of the walls on", "give a reason for the place of the walls",
        "what speaks for the size of the room", "how can you tell the size of the room",
        "how do you know the place of the walls", "which sensor tells you about the size of the room",
        "who told you about the place of the walls", "from what do you know about the size of the room",
        "how is the place of the walls known to you", "what shows you the place of the walls",
        "give me the evidence for the place of the walls", "what proves the size of the room",
        "justify the size of the room", "which sensor shows the place of the walls",
        "what told you about the size of the room", "what makes you think so about the place of the walls",
        "where do you know the place of the walls from", "why do you say so about the size of the room",
        "how did you find out about the place of the walls", "what is the place of the walls based on",
    ),
    words=(
        "wall", "walls", "size of the room", "room size", "large is the room", "big is the room",
        "wide is the room", "long is the room", "laser", "obstacle",
    ),
)  # fmt: skip
