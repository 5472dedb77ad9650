"""What may be said of the past: every form passes its own check, and nothing that says more or less does."""

from __future__ import annotations

import random
import re

import pytest

from edge_agent.memory.forms import CAUTION, FORMS
from edge_agent.memory.telling import Said, by_model, forms, objection, pieces, places, prompt
from edge_agent.perception.answer import numbers_in
from edge_agent.perception.dialog import Written
from edge_agent.perception.facts import fill
from edge_agent.perception.prompt import normalise_question

DENIALS = re.compile(r"\b(no|not|nothing|none)\b", re.IGNORECASE)
AFFIRMED = ("last", "now", "first", "still", "yes", "above", "below", "rose", "fell", "how long", "how often")
DENIED = ("never", "none", "no", "nothing", "nothing before", "nothing unusual", "not above", "not below")


def said(kind: str, *more: str) -> Said:
    return Said(kind, {name: f"<{name}>" for name in (*places(FORMS[kind][0]), *more)})


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("caution", [(), (CAUTION,)])
def test_every_form_says_every_fact_once_and_passes(kind: str, caution: tuple[str, ...]):
    facts = said(kind, *caution)
    assert len(set(forms(kind, caution))) == 3
    for form in forms(kind, caution):
        assert sorted(places(form)) == sorted(facts.facts)
        assert objection(form, facts) == ""
        filled = facts.filled(form)
        assert all(filled.lower().count(value) == 1 for value in facts.facts.values()), filled
        assert "{" not in filled


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_names_no_number_and_no_fact_of_its_own(kind: str):
    for form in FORMS[kind]:
        plain = re.sub(r"\{\w+\}", "", form)
        assert not numbers_in(plain)
        assert not re.search(r"[\d\"]|\bonce\b|\bpercent\b|\btoday\b|\byesterday\b", plain), form


def test_a_clause_denies_where_the_answer_does_and_nowhere_else():
    """So that no choice of clauses turns one into the other."""
    for kind in AFFIRMED:
        assert [p for p in pieces(kind) if DENIALS.search(p)] == []
    for kind in DENIED:
        claims = [p for p in pieces(kind) if re.search(r"\{(what|limit)\}|\b(read|noticed|remember)\b", p)]
        for piece in claims:
            beside = [form for form in FORMS[kind] if piece in form]
            assert DENIALS.search(piece) or all(DENIALS.search(form) for form in beside), piece


@pytest.mark.parametrize("kind", FORMS)
def test_what_is_left_out_added_twice_or_of_another_kind_is_objected_to(kind: str):
    facts = said(kind)
    for form in FORMS[kind]:
        for name in facts.facts:
            assert objection(form.replace(f"{{{name}}}", "it", 1), facts)
            assert objection(form.replace(f"{{{name}}}", f"{{{name}}} {{{name}}}", 1), facts)
        for wrong in (
            f"{form} {{{CAUTION}}}.", f"{form} {form}", form.removesuffix("."), f"{form} Ask a doctor.",
            f"{form[:-1]} 3.", f"Three {form}", form.replace(" ", " very ", 1), f"{{password}} {form}",
        ):  # fmt: skip
            assert objection(wrong, facts), wrong
    foreign = [f for other in FORMS if other != kind for f in FORMS[other] if f not in FORMS[kind]]
    same_facts = [f for f in foreign if sorted(places(f)) == sorted(facts.facts)]
    # "Not {when}: {what}." is right of each kind that has it; a form of this kind alone is not of another.
    assert all(objection(form, facts) for form in same_facts)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (Written("I have read it 7 times.", "", 5.0), "in no form"),
        (Written("", "the language model is busy", 0.0), "busy"),
        (Written("Not {when}: {what}.", "", 5.0), ""),
    ],
)
def test_what_does_not_pass_is_said_in_the_words_of_the_rules(written: Written, why: str):
    facts = {"what": '"I hear rain falling"', "when": "yesterday"}
    told = by_model(Said("none", facts), "rain yesterday?", lambda _prompt, _grammar: written)
    assert why in told.objection
    if why:
        assert (told.by, told.text) == ("rules", 'I did not read "I hear rain falling" yesterday.')
    else:
        assert (told.by, told.text) == ("lm", 'Not yesterday: "I hear rain falling".')


def test_a_caution_that_is_due_must_be_said():
    with_caution = said("last", CAUTION)
    assert objection(FORMS["last"][0], with_caution) == f"{{{CAUTION}}} must be said exactly once"


def test_any_choice_of_clauses_that_passes_says_every_fact_once():
    """Sentences made at random of the clauses of a kind: most are refused, those that pass are whole."""
    rng, passed = random.Random(0), 0
    for kind in FORMS:
        facts, known = said(kind), sorted(pieces(kind))
        first = [p for p in known if p[:1].isalpha() or p.startswith("{")]
        rest = sorted(set(known) - set(first))
        for _ in range(300):
            text = rng.choice(first) + "".join(rng.sample(rest, rng.randrange(min(5, len(rest)) + 1)))
            if not objection(text, facts):
                passed += 1
                assert sorted(places(text)) == sorted(facts.facts)
                assert fill(text, facts.facts)[1] == ""
    assert passed > 50


def test_no_sentence_of_a_language_model_is_made_long_by_saying_it_again():
    longest = max(len(form) for form in FORMS["sure of none"])
    text = "I am as sure as my data are complete: nothing of the kind was read."
    assert objection(text, said("sure of none")) == ""
    assert objection(" ".join([text] * (longest // 10)), said("sure of none"))


def test_a_value_cannot_become_a_place():
    """What is in braces in a value is said as it is: values are put in once."""
    facts = Said("none", {"what": '"the {when}"', "when": "today"})
    assert facts.text == 'I did not read "the {when}" today.'


def test_a_sentence_begins_with_a_capital_whoever_begins_it():
    facts = Said("no", {"what": '"x"', "when": "yesterday"}, lead="I cannot tell why.")
    assert facts.filled("{when}. {what}. Not {when}.") == 'I cannot tell why. Yesterday. "x". Not yesterday.'


def test_the_question_is_as_the_model_is_trained_to_see_it():
    text = prompt("last", said("last").names, "When did you <|end|> last hear a dog?!")
    assert text == "past last: what at duration proof. when did you end last hear a dog?"
    assert normalise_question(text) == text
    assert prompt("nothing before", (), "and before that?") == "past nothing before. and before that?"
