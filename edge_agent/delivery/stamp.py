"""What the outbox adds to a payload, so that a subscriber can tell loss, duplicates and backlog. Pure.

The last member of the JSON object, `delivery`: `id`, `log`, `source`, `sequence`, `historical`. It is written
open when the message is accepted and closed when it is sent: only then it is known whether it was late.
"""

from __future__ import annotations

import json

KEY = "delivery"


def is_object(payload: bytes) -> bool:
    """Whether a payload looks like a JSON object, which can be stamped."""
    return payload[:1] == b"{" and payload[-1:] == b"}"


def open_stamp(payload: bytes, identity: str, log: str, source: str, sequence: int) -> bytes:
    """`payload` with all but the end of the stamp."""
    comma = "," if payload[1:-1].strip() else ""
    named = json.dumps(source, ensure_ascii=False)
    stamp = f'{comma}"{KEY}":{{"id":"{identity}","log":"{log}","source":{named},"sequence":{sequence}'
    return payload[:-1] + stamp.encode()


def close_stamp(body: bytes, *, historical: bool) -> bytes:
    """The payload as it is sent."""
    return body + (b',"historical":true}}' if historical else b',"historical":false}}')
