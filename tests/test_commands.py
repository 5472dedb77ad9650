import json
from typing import get_args

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from edge_agent.clock import ManualClock
from edge_agent.config import Command
from edge_agent.delivery.commands import BURST, MAX_QUESTION_CHARACTERS, Commands, Order, Refusal, Request
from edge_agent.delivery.message import Incoming
from edge_agent.delivery.payloads import SCHEMAS, schema
from edge_agent.delivery.replies import replies
from edge_agent.delivery.topics import Topics, is_id
from edge_agent.delivery.verbs import VERBS

TOPIC = "edge/n/cmd/ask"


def commands(clock: ManualClock | None = None, allowed: tuple[str, ...] = ("ask",)) -> Commands:
    return Commands(Topics("edge", "n"), allowed, clock or ManualClock())


def judge(body: object, **more: object) -> Request | Refusal | None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return commands().judge(Incoming(TOPIC, payload, **more))  # type: ignore[arg-type]


def test_a_question_is_taken_with_its_id_and_its_way_back():
    verdict = judge(
        {"question": " what is it? ", "id": "q-1"}, response_topic="back/here", correlation=b"\0\1"
    )
    assert verdict == Request("q-1", "what is it?", "back/here", b"\0\1")


def test_a_question_without_an_id_gets_one():
    verdict = judge({"question": "what is it?"})
    assert isinstance(verdict, Request)
    assert is_id(verdict.id)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b"[]", "malformed"),
        ({}, "malformed"),
        ({"question": 5}, "malformed"),
        ({"question": "what?", "verbose": True}, "malformed"),
        ({"question": ""}, "empty_question"),
        ({"question": " \t\n"}, "empty_question"),
        ({"question": "x" * 10_000}, "too_long"),
        ({"question": "x" * 100_000}, "too_long"),
        ({"question": "what?", "id": "a/b"}, "bad_id"),
        ({"question": "what?", "id": 7}, "bad_id"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason_and_counted(body: object, code: str):
    judging = commands()
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    verdict = judging.judge(Incoming(TOPIC, payload))
    assert isinstance(verdict, Refusal)
    assert verdict.code == code
    assert verdict.message
    assert verdict.hint
    assert is_id(verdict.id)
    assert judging.refused == {code: 1}


def test_a_refusal_keeps_the_id_it_was_asked_with():
    verdict = judge({"question": "x" * 10_000, "id": "long-one"})
    assert isinstance(verdict, Refusal)
    assert verdict.id == "long-one"
    assert "10000" in verdict.message
    assert str(MAX_QUESTION_CHARACTERS) in verdict.hint


def test_a_reply_is_never_sent_onto_the_agents_own_topics():
    verdict = judge({"question": "what?"}, response_topic="edge/n/state")
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.response_topic) == ("bad_response_topic", None)


def test_without_permission_nothing_is_answered():
    judging = commands(allowed=())
    assert judging.judge(Incoming(TOPIC, b'{"question": "what?"}')) is None
    assert judging.refused == {"not_allowed": 1}


def test_a_retained_command_is_not_carried_out():
    assert judge({"question": "what?"}, retain=True) is None


def test_too_many_questions_are_refused_until_time_has_passed():
    clock = ManualClock()
    judging = commands(clock)
    message = Incoming(TOPIC, b'{"question": "what?"}')
    codes = [getattr(judging.judge(message), "code", "taken") for _ in range(BURST + 2)]
    assert codes == ["taken"] * BURST + ["rate_limited"] * 2
    clock.advance(1.0)
    assert isinstance(judging.judge(message), Request)
    assert isinstance(judging.judge(message), Refusal)


def test_half_a_character_cannot_get_through():
    verdict = judge(b'{"question": "what \\ud800 is it?"}')
    assert isinstance(verdict, Request)
    verdict.question.encode()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_payload_can_break_it(payload: bytes):
    assert isinstance(commands().judge(Incoming(TOPIC, payload)), Request | Refusal)


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"question": "what?"}, True),
        ({"question": "what?", "id": "a-1"}, True),
        ({"question": "x" * MAX_QUESTION_CHARACTERS}, True),
        ({"question": "x" * (MAX_QUESTION_CHARACTERS + 1)}, False),
        ({"question": ""}, False),
        ({"question": "what?", "id": ""}, False),
        ({"question": "what?", "more": 1}, False),
        ({"id": "a"}, False),
        ([], False),
    ],
)
def test_the_published_schema_and_the_judge_agree(body: object, good: bool):
    assert Draft202012Validator(schema("ask")).is_valid(body) is good
    assert isinstance(judge(body), Request) is good


# -- other commands --------------------------------------------------------------------------------------


ALL = tuple(VERBS)


def order(verb: str, body: object, **more: object) -> Request | Order | Refusal | None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return commands(allowed=ALL).judge(Incoming(f"edge/n/cmd/{verb}", payload, **more))  # type: ignore[arg-type]


def test_an_order_is_taken_with_its_id_and_its_way_back():
    body = {"sensor": "mic", "muted": True, "for_s": 5, "id": "m1"}
    verdict = order("mute", body, response_topic="back", correlation=b"\1")
    assert verdict == Order("m1", "mute", body, "back", b"\1")
    assert isinstance(order("status", b""), Order), "an empty payload says as much as {}"


@pytest.mark.parametrize(
    ("verb", "body", "good"),
    [
        ("mute", {"sensor": "mic", "muted": True}, True),
        ("mute", {"sensor": "mic", "muted": False, "for_s": 0.5, "id": "a"}, True),
        ("mute", {"sensor": "mic", "muted": True, "for_s": 31_622_400}, True),
        ("mute", {"sensor": "mic", "muted": True, "for_s": 31_622_401}, False),
        ("mute", {"sensor": "mic", "muted": True, "for_s": 0}, False),
        ("mute", {"sensor": "mic", "muted": True, "for_s": True}, False),
        ("mute", {"sensor": "mic", "muted": True, "for_s": None}, False),
        ("mute", {"sensor": "mic", "muted": True, "for_s": "1"}, False),
        ("mute", {"sensor": "mic", "muted": 1}, False),
        ("mute", {"sensor": "a/b", "muted": True}, False),
        ("mute", {"sensor": "mic"}, False),
        ("mute", {"muted": True}, False),
        ("mute", {"sensor": "mic", "muted": True, "why": ""}, False),
        ("mute", [], False),
        ("talk", {}, True),
        ("talk", {"stop": True, "id": "t1"}, True),
        ("talk", {"stop": False}, True),
        ("talk", {"stop": 1}, False),
        ("talk", {"stop": None}, False),
        ("talk", {"say": "hello"}, False),
        *((verb, body, good) for verb in ("status", "snapshot", "reload") for body, good in [
            ({}, True), ({"id": "a"}, True), ({"id": ""}, False), ({"id": 1}, False), ({"all": True}, False),
            ([], False), ("status", False),
        ]),
    ],
)  # fmt: skip
def test_the_published_schemas_and_the_judge_agree_on_orders(verb: str, body: object, good: bool):
    name = verb if verb in {"mute", "talk"} else "command"
    assert Draft202012Validator(schema(name)).is_valid(body) is good
    verdict = order(verb, body)
    assert isinstance(verdict, Order) is good
    if isinstance(verdict, Refusal):
        assert verdict.verb == verb
        assert verdict.message
        assert verdict.hint


def test_infinite_times_are_refused():
    verdict = order("mute", b'{"sensor": "mic", "muted": true, "for_s": 1e999}')
    assert isinstance(verdict, Refusal)


@pytest.mark.parametrize(
    ("verb", "code"), [("fly", "unknown_command"), ("reload", "not_allowed"), ("status", "not_allowed")]
)
def test_what_is_unknown_or_switched_off_is_told_so_and_counted(verb: str, code: str):
    judging = commands()
    verdict = judging.judge(Incoming(f"edge/n/cmd/{verb}", b'{"id": "me"}', response_topic="back"))
    assert isinstance(verdict, Refusal)
    assert (verdict.id, verdict.code, verdict.verb, verdict.response_topic) == ("me", code, verb, "back")
    assert judging.refused == {code: 1}
    topics = [message.topic for message in replies(Topics("edge", "n"), verdict, b"")]
    assert topics == ["edge/n/reply/me", "back"]
    assert judging.judge(Incoming("edge/n/cmd/a/b", b"{}")) is None


def test_each_command_has_a_rate_of_its_own():
    judging = commands(allowed=ALL)

    def times(verb: str) -> int:
        verdicts = [judging.judge(Incoming(f"edge/n/cmd/{verb}", b"{}")) for _ in range(BURST + 3)]
        return sum(getattr(one, "code", "") == "rate_limited" for one in verdicts)

    assert [times("status"), times("reload"), times("fly")] == [3, 3, 3]
    assert times("swim") == BURST + 3, "what is unknown shares one"


@settings(deadline=None)
@given(st.sampled_from([*ALL, "fly"]), st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_payload_of_any_command_can_break_it(verb: str, payload: bytes):
    verdict = order(verb, payload)
    assert isinstance(verdict, Request | Order | Refusal)
    assert is_id(verdict.id)


def test_the_document_names_every_command_every_reason_and_every_schema():
    text = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
    error = schema("reply")["oneOf"][-1]["properties"]["error"]["properties"]["code"]["enum"]
    assert set(get_args(Command)) == set(VERBS)
    missing = [name for name in (*VERBS, *error, *SCHEMAS) if f"`{name}`" not in text]
    assert missing == []


def test_every_reason_that_the_judge_gives_is_in_the_schema_of_its_reply():
    known = {
        "ask": set(schema("answer")["oneOf"][1]["properties"]["error"]["properties"]["code"]["enum"]),
        "mute": set(schema("reply")["oneOf"][-1]["properties"]["error"]["properties"]["code"]["enum"]),
    }
    bodies = [b"", b"[]", b"{", b'{"id": ""}', b'{"x": 1}', b"x" * 70_000, b'{"question": " "}']
    for verb, codes in known.items():
        judging = commands(allowed=("ask", "mute"))
        seen = {
            verdict.code
            for body in bodies
            for reply_to in (None, "#")
            if isinstance(
                verdict := judging.judge(Incoming(f"edge/n/cmd/{verb}", body, response_topic=reply_to)),
                Refusal,
            )
        }
        assert {"malformed", "bad_response_topic", "rate_limited"} <= seen
        assert seen <= codes
