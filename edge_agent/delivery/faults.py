"""Why there is no connection, in words and with the next step. Pure."""

from __future__ import annotations

import re
import socket
import ssl

from edge_agent.errors import DeliveryError

_OF_REASONS = {
    "not authorized": "check mqtt.username and mqtt.password_file, and the broker's access rules",
    "bad user name or password": "check mqtt.username and mqtt.password_file",
    "unsupported protocol version": 'set mqtt.protocol = "3.1.1"',
    "session taken over": "another agent uses this node.name; every node needs its own",
}
_CLOCK = "renew the broker's certificate, or set the clock of this machine"
_NAME = "mqtt.host must be a name in the broker's certificate"
_CA = "mqtt.tls.ca_file must be of the CA that signed the broker's certificate"
_OWN = "mqtt.tls.certificate_file must be a valid certificate of a CA that the broker knows"
_OF_CERTIFICATES = {9: _CLOCK, 10: _CLOCK, 62: _NAME, 64: _NAME}
"""X509_V_ERR_...: not yet valid, expired, another name, another address (x509_vfy.h of OpenSSL)."""
_ALERT = re.compile(r"\[SSL: \w*ALERT_(\w+)\]")
_ABOUT_US = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")


def refused(what: str, reason: str) -> DeliveryError:
    """What the broker said no to, for a reason that MQTT names."""
    return DeliveryError(f"{what}: {reason}", hint=_OF_REASONS.get(reason.lower(), ""))


def lost(reason: str, said: str) -> DeliveryError:
    """A connection that is gone; `said` is what the socket had to say, if anything."""
    if (alert := _ALERT.search(said)) is None:
        return refused("the connection to the broker was lost", reason)
    return DeliveryError(f"the broker ends the TLS connection: {_words(alert[1])}", hint=_hint_of(alert[1]))


def unreachable(place: str, error: Exception) -> DeliveryError:
    """Nothing that could be spoken to at `place`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DeliveryError(
            f"the broker at {place} is not trusted: {error.verify_message}",
            hint=_OF_CERTIFICATES.get(error.verify_code, _CA),
        )
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return DeliveryError(f"no broker at {place}: {reason}", hint=_next_step(error))


def no_web_socket(place: str, error: Exception) -> DeliveryError:
    """Something at `place` that speaks, and not MQTT over WebSockets."""
    hint = 'is that a port for WebSockets, and is mqtt.websocket_path right? else mqtt.transport = "tcp"'
    return DeliveryError(f"no broker at {place}: {error}", hint=hint)


def _next_step(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        alert = _ALERT.search(str(error))
        return _hint_of(alert[1]) if alert else "is mqtt.port the broker's port for TLS?"
    if isinstance(error, socket.gaierror):
        return "check mqtt.host"
    return "is the broker running, and are mqtt.host and mqtt.port right?"


def _hint_of(alert: str) -> str:
    return _OWN if any(word in alert for word in _ABOUT_US) else ""


def _words(alert: str) -> str:
    return alert.replace("_", " ").lower()
