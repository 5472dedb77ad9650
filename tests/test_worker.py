"""The language model in its own process: real processes, killed, stopped and starved."""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.clock import ManualClock
from edge_agent.delivery.backoff import FullJitter
from edge_agent.errors import LanguageModelError, ModelError
from edge_agent.perception.answer import Answers
from edge_agent.perception.client import LanguageClient
from edge_agent.perception.dialog import Prompt, Turn
from edge_agent.perception.frames import MAX_FRAME_BYTES, Decoder, Frame, encode
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.prompt import PREFIX, QUESTION, normalise_question
from edge_agent.perception.worker import WorkerProcess, settings_from
from edge_agent.types import AnswerSource, Conditioning

LOADED_S = 60.0
ASKED = "what is going on?"


@pytest.fixture(scope="module")
def model():
    return random_model.shared()


@pytest.fixture(scope="module")
def percept(model):
    return Pipeline(model.folder).perceive(random_model.window("imu_phone", "imu_watch", "audio", seed=1))


@pytest.fixture
def make_client(model):
    made = []

    def make(**changes: object):
        worker = replace(settings_from(model.folder, model.manifest), **changes)
        client = LanguageClient(
            worker, Answers(model.manifest), ManualClock(), FullJitter(0.01, 0.02, random.Random(0))
        )
        made.append(client)
        client.start()
        return client

    yield make
    for client in made:
        client.stop()
        assert client.pid is None


def until(condition, timeout_s=LOADED_S):
    """Wait for a fact about a process; its own clock, since processes have no other."""
    end, event = time.monotonic() + timeout_s, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        event.wait(0.02)


def test_the_workers_words_are_the_words_of_the_same_model_here(model, make_client, percept):
    options = LlamaOptions(context_tokens=256, batch_tokens=256)
    here = LanguageModel(model.language.gguf("q8_0"), Prompt(PREFIX, QUESTION, 12), options)
    said = {
        q: here.generate(percept.conditioning, normalise_question(q)) for q in (ASKED, "and now?", "who?")
    }
    here.close()
    # Mostly it babbles to the last token: then the sentence is cut and the percept's words stand in.
    asked, expected = next((q, g) for q, g in said.items() if g.stop == "length")
    client = make_client()
    client.wait_ready(LOADED_S)
    answer = client.ask(percept, asked, deadline_s=30)
    assert answer.source is AnswerSource.FALLBACK
    assert answer.reason == "the language model said nothing"
    assert answer.first_token_ms > 0
    assert answer.latency_ms >= answer.first_token_ms
    assert [e["task"] for e in answer.evidence] == list(percept.tasks)
    process = WorkerProcess(client.settings)
    assert process.poll_ready(LOADED_S)
    arrays = {"soft": percept.conditioning.soft, "control": percept.conditioning.control}
    header = {"verb": "generate", "question": normalise_question(asked), "history": [], "max_tokens": None}
    deadline = time.monotonic() + 30
    identity = process.send(Frame({**header, "deadline_s": 30.0}, arrays), deadline)
    reply = process.receive(identity, deadline)
    process.close()
    assert reply.header["text"] == expected.text
    assert reply.header["prompt_tokens"] == expected.prompt_tokens


def test_labels_are_read_through_the_process(model, percept, make_client):
    process = WorkerProcess(settings_from(model.folder, model.manifest))
    assert process.poll_ready(LOADED_S)
    arrays = {"soft": percept.conditioning.soft, "control": percept.conditioning.control}
    head = model.manifest.tasks[0]
    header = {
        "verb": "read_label",
        "question": "what is it?",
        "readout": head.readout,
        "labels": head.label_tokens,
    }
    deadline = time.monotonic() + 30
    reply = process.receive(process.send(Frame(header, arrays), deadline), deadline)
    process.close()
    assert not process.alive
    assert reply.arrays["probabilities"].shape == (len(head.labels),)
    assert reply.arrays["probabilities"].sum() == pytest.approx(1.0)


def test_a_killed_worker_is_replaced_and_nobody_waits(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    first = client.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE)
    answer = client.ask(percept, ASKED, deadline_s=5)
    assert answer.source is AnswerSource.FALLBACK
    assert "ended" in answer.reason
    assert "from" in answer.text

    def back():
        client.supervise()
        return client.ready

    until(back)
    assert client.pid != first
    assert client.counters["restarts"] == 1
    assert client.ask(percept, ASKED, deadline_s=30).first_token_ms > 0


def test_a_worker_that_dies_under_a_question_costs_the_words_not_the_answer(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    os.kill(client.pid, signal.SIGSTOP)
    killer = threading.Timer(0.3, os.kill, (client.pid, signal.SIGKILL))
    killer.start()
    answer = client.ask(percept, ASKED, deadline_s=30)
    killer.join()
    assert answer.source is AnswerSource.FALLBACK
    assert "signal 9" in answer.reason
    assert answer.latency_ms < 20_000


def test_a_late_worker_is_not_waited_for_and_its_late_reply_is_not_mistaken(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    os.kill(client.pid, signal.SIGSTOP)
    answer = client.ask(percept, ASKED, deadline_s=0.3)
    assert (answer.source, answer.reason) == (AnswerSource.FALLBACK, "the language model was late")
    busy = client.ask(percept, ASKED, deadline_s=0.3)
    assert "busy" in busy.reason
    os.kill(client.pid, signal.SIGCONT)

    def answers():
        return client.ask(percept, ASKED, deadline_s=10).first_token_ms > 0

    until(answers)
    assert client.counters["restarts"] == 0


def test_stop_wakes_a_question_that_waits(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    os.kill(client.pid, signal.SIGSTOP)
    given = []
    asker = threading.Thread(target=lambda: given.append(client.ask(percept, ASKED, deadline_s=60)))
    asker.start()
    until(lambda: client.counters["asked"] == 1)
    client.stop()
    asker.join(10)
    assert not asker.is_alive()
    assert given[0].source is AnswerSource.FALLBACK
    client.supervise()
    assert client.pid is None, "a stopped client starts nothing"


def test_a_question_while_it_loads_is_answered_in_time(make_client, percept):
    client = make_client()
    os.kill(client.pid, signal.SIGSTOP)
    answer = client.ask(percept, ASKED, deadline_s=0.2)
    os.kill(client.pid, signal.SIGCONT)
    assert answer.source is AnswerSource.FALLBACK
    assert "loading" in answer.reason


def test_refusals_need_no_worker_at_all(model, percept):
    settings = settings_from(model.folder, model.manifest)
    client = LanguageClient(settings, Answers(model.manifest), ManualClock(), FullJitter(1, 1))
    assert client.ask(percept, "what does the lidar see?", deadline_s=1).source is AnswerSource.REFUSAL
    assert client.ask(None, ASKED, deadline_s=1).text == "There is no sensor data."
    assert "not started" in client.ask(percept, ASKED, deadline_s=1).reason
    assert client.counters["asked"] == 3


def test_a_missing_model_is_an_error_at_start_and_not_a_crash(make_client, tmp_path):
    client = make_client(path=str(tmp_path / "none.gguf"))
    with pytest.raises(ModelError, match="is not a GGUF file"):
        client.wait_ready(LOADED_S)


def test_a_memory_cap_that_is_too_small_is_an_error_and_not_a_frozen_device(make_client):
    client = make_client(memory_mib=64)
    with pytest.raises((ModelError, LanguageModelError)):
        client.wait_ready(LOADED_S)


def test_the_wrong_embedding_width_is_refused_by_the_worker(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    narrow = Conditioning(percept.conditioning.soft[:, :128], percept.conditioning.control)
    answer = client.ask(replace(percept, conditioning=narrow), ASKED, deadline_s=30)
    assert "width 256" in answer.reason
    assert client.ask(percept, ASKED, deadline_s=30).first_token_ms > 0, "the worker survives it"


def test_an_earlier_turn_travels_along(make_client, percept):
    client = make_client()
    client.wait_ready(LOADED_S)
    answer = client.ask(
        percept, "why?", 30, history=[Turn("What do you hear?", "It sounds like rain falling.")]
    )
    assert answer.first_token_ms > 0


def test_the_worker_ends_with_its_input(model):
    process = WorkerProcess(settings_from(model.folder, model.manifest))
    assert process.poll_ready(LOADED_S)
    process.close()
    assert not process.alive


# -- frames --------------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 5), min_size=0, max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3),
    st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_frames_survive_any_cut(shape, fields, step):
    header = {k: v for k, v in fields.items() if k != "arrays"}
    frame = Frame(header, {"a": np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)})
    data = encode(frame) * 2
    decoder, found = Decoder(), []
    for start in range(0, len(data), step):
        decoder.feed(data[start : start + step])
        while (got := decoder.next_frame()) is not None:
            found.append(got)
    assert len(found) == 2
    for got in found:
        assert got.header == header
        assert np.array_equal(got.arrays["a"], frame.arrays["a"])


@given(st.binary(min_size=8, max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_is_an_error_or_an_unfinished_frame(data):
    decoder = Decoder()
    decoder.feed(data)
    try:
        decoder.next_frame()
    except LanguageModelError:
        return


def test_a_frame_that_promises_too_much_is_refused():
    with pytest.raises(LanguageModelError, match="at most"):
        encode(Frame({}, {"a": np.zeros(MAX_FRAME_BYTES, np.float32)}))
    decoder = Decoder()
    decoder.feed((MAX_FRAME_BYTES + 1).to_bytes(4, "little") + bytes(8))
    with pytest.raises(LanguageModelError, match="a frame of"):
        decoder.next_frame()


def test_a_model_folder_can_be_anywhere(model, tmp_path):
    folder = tmp_path / "a folder with ümlaut"
    shutil.copytree(model.folder, folder)
    process = WorkerProcess(settings_from(folder, model.manifest))
    assert process.poll_ready(LOADED_S)
    process.close()
