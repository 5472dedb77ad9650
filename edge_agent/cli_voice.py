"""`edge-agent talk` and `edge-agent mute`: push to talk and the microphone's switch, over the broker."""

from __future__ import annotations

import argparse
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_agent.cli_arguments import add_broker, add_timeout, seconds
from edge_agent.cli_ask import broker_of
from edge_agent.errors import EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.delivery.sending import Sender

KEYS = "space: ask   s: stop   m: mute or unmute   q: quit"


def add(commands: Any, command: Callable[..., Any], config_option: Callable[[Any], None]) -> None:
    """Register the commands; `command` and `config_option` are those of every command."""
    talk = command(commands, "talk", _talk, "push to talk: the running agent listens to a question")
    talk.epilog = (
        "examples:\n  edge-agent talk            then ask aloud after the chime\n"
        f"  edge-agent talk --keys     {KEYS}"
    )
    what = talk.add_mutually_exclusive_group()
    what.add_argument("--stop", action="store_true", help="end what is being said instead")
    what.add_argument("--keys", action="store_true", help="by the keys of this terminal, until q")
    talk.add_argument("--microphone", default=None, metavar="NAME", help="the sensor that the key m mutes")
    mute = command(commands, "mute", _mute, "close the device of a sensor, for example the microphone")
    mute.epilog = "examples:\n  edge-agent mute mic\n  edge-agent mute mic --off"
    mute.add_argument("sensor", metavar="NAME", help="its name in the configuration")
    mute.add_argument("--off", action="store_true", help="open it again")
    mute.add_argument("--for", dest="for_s", type=seconds, metavar="S", help="seconds (default: for good)")
    for added in (talk, mute):
        config_option(added)
        add_broker(added)
        add_timeout(added)


def _talk(options: argparse.Namespace) -> int:
    with _sender(options) as sender:
        if options.keys:
            return _keys(options, sender)
        before = _order(options, sender, "talk", {"stop": True} if options.stop else {})["state"]
    print("stopped" if options.stop else f"it was {before}; ask after the chime")
    return 0


def _mute(options: argparse.Namespace) -> int:
    with _sender(options) as sender:
        body: dict[str, object] = {"sensor": options.sensor, "muted": not options.off}
        if options.for_s is not None:
            body["for_s"] = options.for_s
        reply = _order(options, sender, "mute", body)
    if options.off:
        print(f"{options.sensor}: open again")
    elif reply["closed"]:
        print(f"{options.sensor}: muted, its device is closed")
    else:
        raise EdgeAgentError(
            f"{options.sensor} is to be muted, but its device is not closed yet",
            hint=f"see the topic sensor/{options.sensor}/state",
        )
    return 0


def _keys(options: argparse.Namespace, sender: Sender) -> int:
    """Orders by single keys, until q or Ctrl-D."""
    if not sys.stdin.isatty():
        raise EdgeAgentError("--keys needs a terminal", hint="without it, `edge-agent talk` asks once")
    muted = False
    with _single_keys():  # which forgets what was typed before
        print(KEYS)
        while (key := sys.stdin.read(1)) not in {"q", "\x04", ""}:
            try:
                muted = _on_key(key, options, sender, muted=muted)
            except EdgeAgentError as error:
                print(f"{error}" + (f" ({error.hint})" if error.hint else ""))
    return 0


def _on_key(key: str, options: argparse.Namespace, sender: Sender, *, muted: bool) -> bool:
    """Carry out one key; whether the microphone is muted then."""
    if key in {" ", "\n"}:
        _order(options, sender, "talk", {})
        print("ask after the chime")
    elif key == "s":
        _order(options, sender, "talk", {"stop": True})
        print("stopped")
    elif key == "m":
        name = options.microphone or _microphone(options)
        _order(options, sender, "mute", {"sensor": name, "muted": not muted})
        print(f"{name}: {'open again' if muted else 'muted'}")
        return not muted
    return muted


def _microphone(options: argparse.Namespace) -> str:
    from edge_agent import config
    from edge_agent.voice.requirements import microphone_of

    if options.config is None and not any(path.is_file() for path in config.DEFAULT_FILES):
        raise EdgeAgentError(
            "which microphone?", hint="name it with --microphone, or the configuration with -c"
        )
    return microphone_of(config.load(options.config or config.find())).name


def _sender(options: argparse.Namespace) -> Sender:
    from edge_agent.delivery.ids import new_id
    from edge_agent.delivery.sending import Sender

    return Sender(*broker_of(options), new_id(time.time_ns()))


def _order(options: argparse.Namespace, sender: Sender, verb: str, body: dict[str, object]) -> dict[str, Any]:
    """What the agent found. Raises EdgeAgentError when it refuses."""
    from edge_agent.delivery.ids import new_id

    reply = sender.order(verb, body, identity=new_id(time.time_ns()), timeout_s=options.timeout)
    if "error" in reply:
        raise EdgeAgentError(reply["error"]["message"], hint=reply["error"]["hint"])
    found: dict[str, Any] = reply[verb]
    return found


@contextmanager
def _single_keys() -> Iterator[None]:
    """Each key at once and without echo; Ctrl-C works as ever."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
