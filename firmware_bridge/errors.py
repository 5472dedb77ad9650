"""Two kinds of wrong, told apart.

BridgeError
|-- LocalProtocolError     this side asked for something the protocol forbids: a bug in the caller
`-- RemoteProtocolError    the peer sent an intact frame that the protocol forbids: start a new Connection

Noise on the line is neither: it is counted in `Counters` and skipped.
"""

from __future__ import annotations


class BridgeError(Exception):
    """The base of every deliberate error of this package."""


class LocalProtocolError(BridgeError, ValueError):
    """An event that cannot be sent now, or a field that does not fit on the wire. Nothing was sent."""


class RemoteProtocolError(BridgeError):
    """An intact frame (its CRC was right) that no correct peer sends."""
