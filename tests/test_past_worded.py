"""The language model words what is remembered: a tiny one that is trained here, and the one that ships.

Both through the files and the code of the device. Whatever a model writes, no answer has a number that is not
among its evidence, and one that fails the check is in the words of the rules.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from conftest import ROOT
from memory_checks import invented
from memory_world import ZONE, S, World, generated_days, remembering
from test_memory_questions import DIALOGS, questions
from test_train_language import made_up

from edge_agent.clock import ManualClock
from edge_agent.delivery.backoff import FullJitter
from edge_agent.memory.forms import CAUTION, FORMS
from edge_agent.memory.telling import Said, by_model, forms, grammar, objection, prompt
from edge_agent.perception.answer import Answers
from edge_agent.perception.client import LanguageClient
from edge_agent.perception.dialog import Prompt, Written
from edge_agent.perception.language import LanguageModel
from edge_agent.perception.llama_batch import LlamaOptions
from edge_agent.perception.pipeline import Pipeline
from edge_agent.perception.prompt import PREFIX, QUESTION
from edge_agent.perception.worker import settings_from
from edge_agent.types import AnswerSource, Conditioning, Percept
from export import gguf_writer
from export import tokenizer as bpe
from export.answers import Turn
from export.batches import Codec
from export.catalog import SLOTS as CATALOG
from export.catalog import classes
from export.groups import draw, random_mask
from export.networks.adapter import Adapter
from export.networks.language import LanguageConfig
from export.networks.language import LanguageModel as Network
from export.past import Past
from export.readers import window_of
from export.student import Student
from export.train_heads import shipped_config

N_VOCAB = 700
KINDS = ("last", "none", "highest")
"""Few, so that a network of a hundred thousand weights learns them in seconds."""
STEPS = 200
LONGEST_S = 60.0
SHIPPED = ROOT / "models" / "iotlm-7m"
LEAST_WORDED = 0.5


def drawn(past: Past, count: int) -> list[tuple[Said, Turn]]:
    found: list[tuple[Said, Turn]] = []
    while len(found) < count:
        said, turn = past.draw()
        if said.kind in KINDS:
            found.append((said, turn))
    return found


@pytest.fixture(scope="module")
def taught(tmp_path_factory) -> Iterator[tuple[LanguageModel, list[Conditioning]]]:
    """A tiny model that was trained on the dialogs about the past, as a file, and what it may be under."""
    folder = tmp_path_factory.mktemp("taught")
    torch.manual_seed(0)
    torch.set_num_threads(1)  # more of them only wait for each other in a network so small
    past = Past(np.random.default_rng(0))
    lines = [f"{turn.question}{turn.answer}" for _, turn in drawn(past, 600)]
    words = [f" {p}" for head in classes() for p in head.phrases.values()] * 200
    tokenizer = bpe.train([*lines, *words], n_vocab=N_VOCAB)
    tokenizer.save(str(folder / "tokenizer.json"))
    codec = Codec(tokenizer)
    config = shipped_config(lambda _slot: 2, n_embd=64, n_layer=2, d_model=64, dropout=0.0)
    network = Network(LanguageConfig(n_vocab=N_VOCAB, n_embd=64, n_layer=2, n_head=2, n_ff=128))
    student = Student(Adapter(config), network, codec.prefix)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        sample, _ = draw(config, made_up(), random_mask(16, len(CATALOG), generator), generator)
        shown = student.condition(sample)
    optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3)
    for _ in range(STEPS):
        loss, _ = student.answer_loss(shown, codec.batch([[turn] for _, turn in drawn(past, 16)]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    path = folder / "lm.gguf"
    gguf_writer.write(path, network.eval(), folder / "tokenizer.json", quantisation="q8_0", name="taught")
    conditionings = [
        Conditioning(soft.numpy(), control.numpy())
        for soft, control in zip(shown.soft, shown.control, strict=True)
    ]
    model = LanguageModel(path, Prompt(PREFIX, QUESTION, 64), LlamaOptions(context_tokens=256))
    yield model, conditionings
    model.close()


def test_a_model_that_was_taught_words_held_out_questions(taught):
    model, conditionings = taught
    rng, passed, forms = random.Random(1), [], set()
    for said, turn in drawn(Past(np.random.default_rng(1), held_out=True), 60):
        out = model.generate(rng.choice(conditionings), turn.question)
        passed.append(out.stop == "end" and not objection(out.text, said))
        forms.add(out.text)
    assert np.mean(passed) > 0.7
    assert len(forms) > 4, "it says the same whatever it is asked"


def test_its_words_are_filled_with_the_facts_and_others_are_not_believed(taught):
    model, conditionings = taught

    def write(prompt: str, grammar: str) -> Written:
        assert "{what}" in grammar or "{share}" in grammar
        out = model.generate(conditionings[0], prompt)  # freely: it was taught the one and not the other
        return Written(out.text, "", out.first_token_ms)

    facts = {
        "what": '"I hear a dog barking"', "at": "today at 14:03:10", "duration": "5 seconds",
        "proof": "87 percent, from the microphone",
    }  # fmt: skip
    said = Said("last", facts)
    told = by_model(said, "when did you last hear the dog?", write)
    assert (told.by, told.objection) == ("lm", "")
    assert all(value.lower() in told.text.lower() for value in facts.values())
    assert told.first_token_ms > 0
    # It was never taught this kind, and never a question without one.
    strange = by_model(Said("sure", {"share": "87 percent", "count": "5"}), "are you sure?", write)
    assert strange.by == "rules"
    assert strange.objection
    assert strange.text == "I am 87 percent sure, over 5 windows of data."


# -- the model that ships ----------------------------------------------------------------------------------


def test_held_to_the_forms_any_model_writes_one_of_them(taught):
    """Also of kinds that it was never taught; which one is its own choice, and the check comes after it."""
    model, conditionings = taught
    chosen = set()
    for kind in FORMS:
        for names in ((), (CAUTION,)):
            out = model.generate(
                conditionings[0], prompt(kind, names, "what?"), max_tokens=200, grammar=grammar(kind, names)
            )
            assert out.stop == "end"
            assert out.text in forms(kind, names)
            chosen.add(forms(kind, names).index(out.text))
    assert len(chosen) > 1
    free = model.generate(conditionings[0], "past sure: share count. are you sure?")
    assert free.text not in forms("sure", ()), "nothing holds the next one"


@pytest.fixture(scope="module")
def client() -> Iterator[LanguageClient]:
    if not (SHIPPED / "manifest.json").is_file():
        pytest.skip("no shipped model in models/iotlm-7m")
    shipped = Pipeline(SHIPPED).manifest
    made = LanguageClient(
        settings_from(SHIPPED, shipped), Answers(shipped), ManualClock(), FullJitter(0.1, 1.0)
    )
    made.start()
    made.wait_ready(LONGEST_S)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def percept() -> Percept:
    return Pipeline(SHIPPED).perceive(window_of({}))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    day = generated_days(int(datetime(2026, 3, 27, 18, tzinfo=UTC).timestamp()) * S, seed=4)
    with remembering(day, tmp_path_factory.mktemp("memory")) as made:
        yield made


def test_what_the_shipped_model_words_has_no_number_of_its_own(world, client, percept):
    """Each question is asked twice: in the words of the rules, and of the model where it passes the check."""
    tell = partial(by_model, write=partial(client.write, percept, deadline_s=LONGEST_S))
    turns = [[text] for text, *_ in questions(world, 60, seed=5)] + [turns for turns, *_ in DIALOGS]
    worded = []
    for i, dialog in enumerate(turns):
        for question in dialog:
            plain = world.recall.answer(question, f"rules {i}")
            answer = world.recall.answer(question, f"model {i}", tell)
            if plain is None or plain.source is not AnswerSource.MEMORY:
                continue
            assert answer is not None
            assert (answer.source, answer.evidence) == (plain.source, plain.evidence)
            assert invented(answer, ZONE) == set(), answer.text
            assert (plain.worded_by, plain.reason) == ("rules", "")
            assert (answer.worded_by == "lm") == (answer.reason == ""), answer
            assert answer.worded_by == "lm" or answer.text == plain.text
            worded.append(answer.worded_by == "lm")
    print(f"{sum(worded)} of {len(worded)} answers are worded by the model")
    assert np.mean(worded) > LEAST_WORDED


def test_a_model_that_is_not_there_is_not_waited_for(world):
    shipped = Pipeline(SHIPPED).manifest
    absent = LanguageClient(
        settings_from(SHIPPED, shipped), Answers(shipped), ManualClock(), FullJitter(0.1, 1.0)
    )
    percept = Pipeline(SHIPPED).perceive(window_of({}))
    nothing = absent.write(percept, "past none: what when.", "", LONGEST_S)
    assert nothing == Written("", "no language model: not started")
    tell = partial(by_model, write=partial(absent.write, None, deadline_s=LONGEST_S))
    answer = world.recall.answer("How often was the room occupied yesterday?", "absent", tell)
    assert answer.worded_by == "rules"
    assert answer.reason == "there is no percept to condition the language model on"
    assert answer.evidence[0]["query"] == "HowOften"


def test_a_model_that_is_late_or_busy_leaves_it_to_the_rules(world, client, percept):
    tell = partial(by_model, write=partial(client.write, percept, deadline_s=0.0))
    late = world.recall.answer("How often was the room occupied yesterday?", "late", tell)
    busy = world.recall.answer("How often was the room occupied yesterday?", "late", tell)
    rules = world.recall.answer("How often was the room occupied yesterday?", "rules")
    assert {late.text, busy.text} == {rules.text}
    assert late.reason
    assert busy.reason
    end = time.monotonic() + LONGEST_S
    while client.write(percept, "what do you hear?", "", LONGEST_S).text == "":  # once it has caught up
        assert time.monotonic() < end


def test_a_question_that_is_too_long_for_the_model_is_answered_by_the_rules(world, client, percept):
    tell = partial(by_model, write=partial(client.write, percept, deadline_s=LONGEST_S))
    long = "How often was the room occupied yesterday, " + "please " * 500
    said = Said("how often", dict.fromkeys(("what", "times", "when", "duration", "moments", "proof"), "x"))
    told = tell(said, long)
    assert told.by == "rules"
    assert "tokens" in told.objection
