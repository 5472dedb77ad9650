"""One agent after another, as the configuration file says: `reload` reads it again and starts anew.

A file that is wrong is refused while the agent goes on. One that turns out wrong only when the parts are made
of it is left for the one before. Broker settings that do not connect are left for those that did.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from edge_agent import config as configs
from edge_agent.assembly import Parts, check
from edge_agent.broker_trial import BrokerTrial, LastGood
from edge_agent.config import Config
from edge_agent.delivery.delivery import DeliveryStatus
from edge_agent.delivery.payloads import Json
from edge_agent.errors import ConfigurationError, EdgeAgentError, ModelError
from edge_agent.runtime import Agent, Beside
from edge_agent.systemd import Notifier
from edge_agent.types import Clock

Make = Callable[[Config], tuple[Parts, Beside | None]]
_log = logging.getLogger(__name__)


class Configuration:
    """The settings in use, those that come next, and those before. See `runtime.Upkeep` for the agent's part.

    Raises ConfigurationError where the file is wrong. `fixed`: why it cannot be read again; empty: it can.
    """

    def __init__(self, path: Path, clock: Clock, *, fixed: str = "") -> None:
        self._path = path
        self._clock = clock
        self._fixed = fixed
        self._reason = ""
        self._previous: Config | None = None
        self._next: Config | None = None
        self._moves_on = self._requested = False
        self._use(configs.load(path))

    def _use(self, settings: Config) -> None:
        self._current = settings
        self._trial = BrokerTrial(settings.mqtt, LastGood(settings.node.state_directory), self._clock)

    @property
    def settings(self) -> Config:
        """What an agent is made of now."""
        return self._current.model_copy(update={"mqtt": self._trial.settings})

    def begin(self) -> None:
        """An agent with `settings` begins."""
        self._next, self._moves_on = None, False
        self._trial.begin()

    # -- asked by the agent --------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the file again, and let the agent end if it is right.

        Raises ConfigurationError or ModelError where it is wrong, EdgeAgentError where it cannot be.
        """
        if self._fixed:
            raise EdgeAgentError(self._fixed, hint="end the agent and start it again")
        fresh = configs.load(self._path)
        check(fresh)
        self._next = fresh

    def request(self) -> None:
        """Ask for `reload` soon; safe from a signal handler. What is wrong is logged."""
        self._requested = True

    def over(self, status: DeliveryStatus) -> bool:
        """Whether another agent shall begin; asked now and then."""
        if self._requested:
            self._requested = False
            self._try_to_reload()
        self._moves_on = self._next is not None or self._trial.over(status.connects, status.reason)
        return self._moves_on

    def _try_to_reload(self) -> None:
        try:
            self.reload()
        except EdgeAgentError as error:
            _log.error("the configuration stays as it was: %s (%s)", error, error.hint)

    def as_json(self) -> Json:
        """Whether the file is in use as it was read last, and why not."""
        reason = self._reason or self._trial.reason
        return {"reverted": bool(reason), "reason": reason}

    # -- between two agents --------------------------------------------------------------------------------

    def advance(self) -> bool:
        """Go on to what comes next; False where nothing does."""
        if self._next is not None:
            _log.info("the configuration was read again: starting anew")
            self._previous, self._reason = self._current, ""
            self._use(self._next)
        return self._moves_on

    def fall_back(self, error: EdgeAgentError) -> bool:
        """Go back to the settings before; False where there are none."""
        if self._previous is None:
            return False
        self._reason = f"the new configuration cannot be used: {error}; the one before is in use"
        _log.error("%s", self._reason)
        self._use(self._previous)
        self._previous = None
        return True


def serve(
    configuration: Configuration,
    make: Make,
    notifier: Notifier | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run one agent after another until `stop`. Raises what `make` and `Agent.run` raise."""
    stop = stop or threading.Event()
    while True:
        configuration.begin()
        try:
            parts, recording = make(configuration.settings)
            Agent(parts, notifier, stop, recording, configuration).run()
        except (ConfigurationError, ModelError) as error:
            if stop.is_set() or not configuration.fall_back(error):
                raise
            continue
        if stop.is_set() or not configuration.advance():
            return
