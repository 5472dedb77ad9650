"""`edge-agent queue` and `edge-agent delivery verify` on a real outbox and a real broker."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from broker_ear import Ear
from conftest import Mosquitto, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent import cli, config
from edge_agent.assembly import outbox_of
from edge_agent.clock import SystemClock
from edge_agent.delivery.ids import new_id
from edge_agent.delivery.message import Kind, Message
from edge_agent.delivery.stamp import close_stamp, open_stamp
from edge_agent.delivery.verify import Verifier


def configuration(folder: Path, port: int = 1) -> Path:
    file = folder / "edge-agent.toml"
    file.write_text(
        f"""
[node]
name = "kitchen"
[model]
path = "model"
[mqtt]
host = "127.0.0.1"
port = {port}
[[sensor]]
kind = "simulated"
name = "sound"
slot = "audio"
label = "dog"
"""
    )
    return file


def filled(file: Path, count: int = 5) -> list[str | None]:
    outbox = outbox_of(config.load(file), SystemClock())
    assert outbox is not None
    outbox.open()
    body = json.dumps({"n": 1}).encode()
    ids = outbox.accept_all(
        [Message("edge/kitchen/event/x", body, kind=Kind.EVENT, source="event") for _ in range(count)]
    )
    ids += outbox.accept_all([Message("edge/kitchen/raw", b"\x08\xff")])
    outbox.close()
    return ids


def test_the_books_are_shown(tmp_path: Path, capsys):
    file = configuration(tmp_path)
    filled(file)
    assert cli.main(["queue", "stat", "--json", "-c", str(file)]) == 0
    books = json.loads(capsys.readouterr().out)
    assert (books["accepted"], books["queued"], books["delivered"]) == (6, 6, 0)
    assert books["kinds"]["event"]["queued"] == 5
    assert cli.main(["queue", "stat", "-c", str(file)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "accepted", "telemetry", "answer", "event", "total", "room",
    ]  # fmt: skip


def test_the_books_are_shown_while_an_agent_has_the_outbox(tmp_path: Path, capsys):
    file = configuration(tmp_path)
    filled(file)
    outbox = outbox_of(config.load(file), SystemClock())
    outbox.open()
    outbox.accept(Message("a", b"{}"))
    assert cli.main(["queue", "stat", "--json", "-c", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["queued"] == 7
    assert cli.main(["queue", "drain", "-c", str(file)]) == 1
    assert "another process" in capsys.readouterr().err
    outbox.close()


def test_what_waits_is_written_out_and_stays(tmp_path: Path, capsys):
    file = configuration(tmp_path)
    ids = filled(file)
    out = tmp_path / "waiting.jsonl"
    assert cli.main(["queue", "export", "--output", str(out), "-c", str(file)]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["id"] for line in lines] == ids
    assert lines[0]["payload"]["delivery"]["sequence"] == 1
    assert lines[5]["payload_base64"] == "CP8="
    assert cli.main(["queue", "export", "--output", str(out), "-c", str(file)]) == 1
    assert "not there yet" in capsys.readouterr().err
    assert cli.main(["queue", "export", "-c", str(file)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_what_waits_is_delivered_without_an_agent(tmp_path: Path, broker: Mosquitto, capsys):
    file = configuration(tmp_path, broker.port)
    folder = tmp_path / "state"
    folder.mkdir()
    ids = filled(file)
    ear = Ear(broker.port, raw=("edge/kitchen/raw",))
    assert cli.main(["queue", "drain", "--json", "-c", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["delivered"] == 6
    wait_for(lambda: len(ear.ids) == 5, what="the events")
    assert ear.close() == ids[:5]


def test_no_outbox_is_said_with_what_to_check(tmp_path: Path, capsys):
    file = configuration(tmp_path)
    assert cli.main(["queue", "stat", "-c", str(file)]) == 1
    assert "did an agent run" in capsys.readouterr().err


def stamped(source: str, sequence: int, log: str = "L") -> bytes:
    return close_stamp(open_stamp(b"{}", new_id(0), log, source, sequence), historical=False)


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.sets(st.integers(2, 39)),
    st.lists(st.integers(1, 40), max_size=9),
    st.integers(0, 40),
)
def test_loss_and_duplicates_are_counted(last: int, gone: set[int], again: list[int], excused: int):
    sent = {n: stamped("event", n) for n in range(1, last + 1)}
    kept = {n: body for n, body in sent.items() if n not in gone or n in (1, last)}
    verifier = Verifier()
    for body in kept.values():
        verifier.add("edge/k/event/x", body)
    repeated = [n for n in again if n in kept]
    for n in repeated:
        verifier.add("edge/k/event/x", kept[n])
    books = {"log": "L", "expired": excused, "evicted": 0, "queued": 0}
    verifier.add("edge/k/queue", json.dumps(books).encode())
    missing = last - len(kept)
    result = verifier.as_json()
    assert (result["missing"], result["duplicates"], result["unique"]) == (missing, len(repeated), len(kept))
    assert result["lost"] == max(0, missing - excused)


@settings(deadline=None)
@given(st.binary(max_size=50) | st.recursive(
    st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.sampled_from(
        ["delivery", "id", "log", "source", "sequence", "queued", "expired", "evicted"]), x), max_leaves=9
).map(lambda value: json.dumps(value).encode()), st.sampled_from(["a/queue", "a/event/b"]))  # fmt: skip
def test_nothing_that_is_published_stops_the_verifier(payload: bytes, topic: str):
    verifier = Verifier()
    verifier.add(topic, payload)
    assert verifier.as_json()["lost"] == 0


def test_a_file_of_messages_is_verified(tmp_path: Path, capsys):
    file = tmp_path / "heard"
    lines = [b"edge/k/event/x " + stamped("event", n) for n in (1, 2, 4)]
    file.write_bytes(b"\n".join([*lines, b"edge/k/state {}", b"no json"]) + b"\n")
    assert cli.main(["delivery", "verify", "--json", "--file", str(file)]) == 1
    assert json.loads(capsys.readouterr().out)["lost"] == 1
    file.write_bytes(b"edge/k/state {}\n")
    assert cli.main(["delivery", "verify", "--file", str(file)]) == 1
    assert "no message with a delivery stamp" in capsys.readouterr().err


def test_a_broker_is_listened_to(tmp_path: Path, broker: Mosquitto, capsys):
    file = configuration(tmp_path, broker.port)
    filled(file)
    results: list[int] = []
    command = ["delivery", "verify", "--duration", "4", "--json", "-c", str(file)]
    thread = threading.Thread(target=lambda: results.append(cli.main(command)))
    thread.start()
    threading.Event().wait(2)
    assert cli.main(["queue", "drain", "-c", str(file)]) == 0
    thread.join(20)
    assert results == [0]
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["received"], result["missing"], result["historical"]) == (5, 0, 5)
