"""How far a robot moved and turned between two scans."""

from __future__ import annotations

from export.wordings.common import Wordings

MOTION = Wordings(
    query=(
        "read the robot path", "has the robot turned", "any news about the way of the robot",
        "check the way of the robot", "how far did the robot move", "how did the rover move",
        "has the robot gone far", "describe the way of the robot", "can you tell me the way of the robot",
        "what can you tell me about the way of the robot", "report the path of the robot",
        "could you tell me the path of the robot", "what way did the robot go", "how far did you drive",
        "how far did the rover go", "where does the robot drive", "is the robot at rest",
        "tell me about the path of the robot", "what is the way of the robot", "did the robot turn",
        "what do you make of the way of the robot", "where did the robot go",
        "how many metres did the robot go", "by how much did the robot turn", "how far have you driven",
        "give me the path of the robot", "how does the robot drive", "how fast does the robot drive",
        "how far has the robot driven", "tell me the path of the robot", "did the robot move",
        "how far have we driven", "what about the path of the robot", "does the robot stand",
        "what do you know about the path of the robot", "how far was it driven",
        "what is the robot path right now", "and the way of the robot", "how far did the robot turn",
        "say the way of the robot", "robot path", "by what angle did the robot turn",
        "does the robot move", "how far did we drive", "which way did the robot turn",
        "how much did the robot turn", "the path of the robot please",
        "what do you say about the path of the robot", "is the robot on its way", "did the rover turn",
        "how far did the robot go",
    ),
    why=(
        "what shows you the path of the robot", "on what is the way of the robot based",
        "what speaks for the way of the robot", "what do you base the path of the robot on",
        "what is your reason about the way of the robot", "who told you about the path of the robot",
        "why do you believe that about the path of the robot",
        "by which sensor do you know the way of the robot",
        "what is your evidence for the way of the robot", "how do you know the path of the robot",
        "what makes you think so about the path of the robot", "how can you tell the way of the robot",
        "what is the path of the robot based on", "how did you find out about the path of the robot",
        "which sensor shows the path of the robot", "give a reason for the path of the robot",
        "which sensor tells you about the way of the robot", "explain the path of the robot",
        "why do you say so about the way of the robot", "give me the evidence for the path of the robot",
        "how do you measure the way of the robot", "by what do you know the path of the robot",
        "how did you work out the way of the robot",
        "on what grounds do you say that about the way of the robot",
        "what told you about the way of the robot", "justify the way of the robot",
        "how is the path of the robot known to you", "what proves the way of the robot",
        "from what do you know about the way of the robot", "where do you know the path of the robot from",
    ),
    words=(
        "the robot", "robot path", "driven", "drive", "rover",
    ),
)  # fmt: skip
