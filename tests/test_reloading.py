"""Which configuration is in use: the file's, the one before, or the broker settings that connected last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.broker_trial import CONNECTING, FILE, BrokerTrial, LastGood
from edge_agent.clock import ManualClock
from edge_agent.config import Mqtt
from edge_agent.delivery.delivery import DeliveryStatus
from edge_agent.errors import ConfigurationError, EdgeAgentError
from edge_agent.reloading import Configuration

OLD, NEW = Mqtt(host="old", username="me"), Mqtt(host="new", port=8883, queue_limit=77, revert_after_s=10)
AWAY = "no broker at new:8883: refused"


def trial(folder: Path, wanted: Mqtt = NEW, clock: ManualClock | None = None) -> BrokerTrial:
    return BrokerTrial(wanted, LastGood(folder), clock or ManualClock())


def test_settings_that_connect_are_remembered_without_a_secret(tmp_path: Path):
    first = trial(tmp_path, OLD)
    assert not first.over(0, AWAY)
    assert LastGood(tmp_path).load() is None
    assert not first.over(1, "")
    kept = LastGood(tmp_path).load()
    assert kept is not None
    assert (kept.host, kept.username) == ("old", "me")
    assert set(json.loads((tmp_path / FILE).read_text())) == CONNECTING


def test_settings_that_do_not_connect_in_time_are_left_for_those_that_did(tmp_path: Path):
    LastGood(tmp_path).keep(OLD)
    clock = ManualClock()
    new = trial(tmp_path, clock=clock)
    new.begin()
    clock.advance(9)
    assert not new.over(0, AWAY)
    assert (new.settings, new.reason) == (NEW, "")
    clock.advance(2)
    assert new.over(0, AWAY)
    assert (new.settings.host, new.settings.port, new.settings.username) == ("old", 1883, "me")
    assert new.settings.queue_limit == 77, "what does not decide about the connection is the file's"
    assert "new:8883 within 10 s" in new.reason
    assert "refused" in new.reason
    new.begin()
    assert not new.over(1, "")
    clock.advance(10_000)
    assert not new.over(1, "the connection was lost"), "once connected, a loss is no reason to change"
    assert new.reason


def test_where_neither_connects_both_are_tried_in_turn_and_for_longer(tmp_path: Path):
    LastGood(tmp_path).keep(OLD)
    clock = ManualClock()
    both = trial(tmp_path, clock=clock)
    changes = []
    now_s, since_s = 0, 0
    for now_s in range(20_000):
        if both.over(0, AWAY):
            changes.append((now_s - since_s, both.settings.host, bool(both.reason)))
            since_s = now_s
            both.begin()
        clock.advance(1)
    assert changes[:5] == [
        (10, "old", True), (10, "new", False), (20, "old", True), (20, "new", False), (40, "old", True)
    ]  # fmt: skip
    assert max(wait_s for wait_s, *_ in changes) == 900
    assert not both.over(1, "")
    assert LastGood(tmp_path).load().host == both.settings.host


def test_without_others_nothing_changes(tmp_path: Path):
    clock = ManualClock()
    first = trial(tmp_path, clock=clock)
    clock.advance(1e6)
    assert not first.over(0, AWAY)
    LastGood(tmp_path).keep(NEW)
    same = trial(tmp_path, NEW.model_copy(update={"keepalive_s": 5}), clock)
    clock.advance(1e6)
    assert not same.over(0, AWAY)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}', '{"hots": "x"}', "\xff"])
def test_what_cannot_be_read_is_not_used(tmp_path: Path, text: str):
    (tmp_path / FILE).write_bytes(text.encode("latin-1"))
    assert LastGood(tmp_path).load() is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 100), st.booleans()), max_size=40))
def test_the_settings_are_always_one_of_the_two_and_stay_once_connected(tmp_path_factory, steps: list):
    folder, clock = tmp_path_factory.mktemp("state"), ManualClock()
    LastGood(folder).keep(OLD)
    one, connected = trial(folder, clock=clock), False
    for seconds, connects in steps:
        clock.advance(seconds)
        before = one.settings
        if one.over(int(connects), AWAY):
            assert not connected
            assert one.settings is not before
            one.begin()
        else:
            assert one.settings is before
            connected |= connects
        assert one.settings.host in ("old", "new")
        assert bool(one.reason) is (one.settings.host == "old")


# -- the file --------------------------------------------------------------------------------------------


def write(file: Path, model: Path, *, sensor: str = "simulated", mqtt: str = "") -> Path:
    file.write_text(
        f"[model]\npath = '{model}'\n[mqtt]\nrevert_after_s = 5\n{mqtt}\n"
        f"[[sensor]]\nkind = '{sensor}'\nname = 's'\nslot = 'audio'\n"
    )
    return file


def test_a_wrong_file_is_refused_with_the_key_and_what_was_in_use_stays(tmp_path: Path, shipped_model: Path):
    file = write(tmp_path / "a.toml", shipped_model)
    kept = Configuration(file, ManualClock())
    before = kept.settings
    write(file, shipped_model, mqtt="hots = 'x'")
    with pytest.raises(ConfigurationError, match='did you mean "host"') as caught:
        kept.reload()
    assert caught.value.key == "mqtt.hots"
    write(file, shipped_model, sensor="simulatd")
    with pytest.raises(ConfigurationError):
        kept.reload()
    file.unlink()
    with pytest.raises(ConfigurationError):
        kept.reload()
    write(file, tmp_path / "nowhere")
    with pytest.raises(EdgeAgentError, match="no model"):
        kept.reload()
    assert not kept.over(DeliveryStatus())
    assert kept.settings == before
    assert kept.as_json() == {"reverted": False, "reason": ""}


def test_a_right_file_is_what_comes_next(tmp_path: Path, shipped_model: Path):
    file = write(tmp_path / "a.toml", shipped_model)
    kept = Configuration(file, ManualClock())
    kept.begin()
    write(file, shipped_model, mqtt="queue_limit = 99")
    kept.reload()
    assert kept.settings.mqtt.queue_limit == 1000
    assert kept.over(DeliveryStatus())
    assert kept.advance()
    assert kept.settings.mqtt.queue_limit == 99
    kept.begin()
    assert not kept.over(DeliveryStatus())
    assert not kept.advance()


def test_what_turns_out_wrong_later_is_left_for_what_was_before(tmp_path: Path, shipped_model: Path):
    file = write(tmp_path / "a.toml", shipped_model)
    kept = Configuration(file, ManualClock())
    assert not kept.fall_back(EdgeAgentError("no")), "of the first configuration there is none before"
    write(file, shipped_model, mqtt="queue_limit = 99")
    kept.reload()
    assert kept.over(DeliveryStatus())
    assert kept.advance()
    assert kept.fall_back(ConfigurationError("the device cannot do that"))
    assert kept.settings.mqtt.queue_limit == 1000
    assert kept.as_json()["reverted"]
    assert "cannot do that" in kept.as_json()["reason"]
    assert not kept.fall_back(EdgeAgentError("again"))


def test_a_request_is_carried_out_soon_or_refused_in_the_log(
    tmp_path: Path, shipped_model: Path, caplog: pytest.LogCaptureFixture
):
    file = write(tmp_path / "a.toml", shipped_model)
    kept = Configuration(file, ManualClock())
    kept.begin()
    write(file, shipped_model, mqtt="hots = 'x'")
    kept.request()
    assert not kept.over(DeliveryStatus())
    assert "mqtt.hots" in caplog.text
    assert not kept.over(DeliveryStatus())
    write(file, shipped_model, mqtt="queue_limit = 99")
    kept.request()
    assert kept.over(DeliveryStatus())


def test_where_it_cannot_be_read_again_it_says_why(tmp_path: Path, shipped_model: Path):
    kept = Configuration(write(tmp_path / "a.toml", shipped_model), ManualClock(), fixed="it is recorded")
    with pytest.raises(EdgeAgentError, match="it is recorded"):
        kept.reload()


def test_new_broker_settings_that_fail_begin_anew_with_the_old_ones(tmp_path: Path, shipped_model: Path):
    clock = ManualClock()
    file = write(tmp_path / "a.toml", shipped_model, mqtt="host = 'good'")
    kept = Configuration(file, clock)
    kept.begin()
    assert not kept.over(DeliveryStatus(connects=1))
    write(file, shipped_model, mqtt="host = 'bad'\nqueue_limit = 99")
    kept.reload()
    assert kept.over(DeliveryStatus(connects=1))
    assert kept.advance()
    kept.begin()
    assert kept.settings.mqtt.host == "bad"
    clock.advance(6)
    assert kept.over(DeliveryStatus(reason="no broker at bad:1883"))
    assert kept.advance()
    assert (kept.settings.mqtt.host, kept.settings.mqtt.queue_limit) == ("good", 99)
    assert kept.as_json()["reverted"]
