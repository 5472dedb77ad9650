"""The wire between a microcontroller and the agent: PROTOCOL.md, without I/O, standard library only.

It imports nothing of `edge_agent`, so that a device's own tools and tests can use it alone.
"""

from firmware_bridge.clock import ClockEstimator, ClockMap
from firmware_bridge.connection import NEED_DATA, Connection, NeedData, Role, State
from firmware_bridge.errors import BridgeError, LocalProtocolError, RemoteProtocolError
from firmware_bridge.events import (
    PROTOCOL_VERSION,
    Channel,
    ClockReply,
    ClockRequest,
    Describe,
    Error,
    Event,
    Hello,
    Log,
    LogLevel,
    SampleFormat,
    Samples,
    SensorDescriptor,
    Start,
    Stop,
)
from firmware_bridge.framing import Counters

__all__ = [
    "NEED_DATA",
    "PROTOCOL_VERSION",
    "BridgeError",
    "Channel",
    "ClockEstimator",
    "ClockMap",
    "ClockReply",
    "ClockRequest",
    "Connection",
    "Counters",
    "Describe",
    "Error",
    "Event",
    "Hello",
    "LocalProtocolError",
    "Log",
    "LogLevel",
    "NeedData",
    "RemoteProtocolError",
    "Role",
    "SampleFormat",
    "Samples",
    "SensorDescriptor",
    "Start",
    "State",
    "Stop",
]
