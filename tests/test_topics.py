import pytest

from edge_agent.delivery.topics import Topics, is_id

TOPICS = Topics("edge", "kitchen")


def test_every_topic_lies_under_the_node():
    made = [
        TOPICS.state, TOPICS.info, TOPICS.health, TOPICS.sensor_state("board"), TOPICS.percept("main"),
        TOPICS.event("a"), TOPICS.answer("b"), TOPICS.recording,
        TOPICS.command("ask"),
    ]  # fmt: skip
    assert made == [
        "edge/kitchen/state", "edge/kitchen/info", "edge/kitchen/health", "edge/kitchen/sensor/board/state",
        "edge/kitchen/percept/main", "edge/kitchen/event/a", "edge/kitchen/answer/b",
        "edge/kitchen/recording", "edge/kitchen/cmd/ask",
    ]  # fmt: skip


@pytest.mark.parametrize("bad", ["", "a/b", "#", "+", "a b", "x" * 65, "é", "a\n"])
def test_a_level_that_would_change_the_topic_is_refused(bad: str):
    assert not is_id(bad)
    with pytest.raises(ValueError, match="level"):
        TOPICS.answer(bad)


@pytest.mark.parametrize(
    ("topic", "verb"),
    [
        ("edge/kitchen/cmd/ask", "ask"),
        ("edge/other/cmd/ask", ""),
        ("edge/kitchen/cmd", ""),
        ("edge/kitchen/cmd/a/b", ""),
        ("edge/kitchen/state", ""),
    ],
)
def test_the_verb_of_a_topic(topic: str, verb: str):
    assert TOPICS.verb_of(topic) == verb


@pytest.mark.parametrize("topic", ["replies/me", "edge/kitchen/answer/x", "edge/kitchener/state", "a"])
def test_where_a_reply_may_go(topic: str):
    assert TOPICS.may_reply_to(topic)


@pytest.mark.parametrize(
    "topic",
    ["", "$SYS/x", "a/#", "a/+/b", "edge/kitchen/state", "edge/kitchen", "edge/kitchen/cmd/ask", "a\0b",
     "x" * 1025],
)  # fmt: skip
def test_where_a_reply_must_not_go(topic: str):
    assert not TOPICS.may_reply_to(topic)
