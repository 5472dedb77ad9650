"""How well the voice path hears: `python -m benchmarks.voice [--quick] [--json] [--model FOLDER]`.

Questions of held-out phrasings, spoken by espeak-ng in several voices and speeds, in noise of real
recordings (EDGE_AGENT_DATA); real spoken digits; half an hour without the wake phrase. Times are of the
processor that the recogniser used after the end of speech, and the wall's. Exit code 1: a target missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import DEFAULT_MODEL
from benchmarks.voice_intent import Intents
from benchmarks.voice_questions import BLIND, HELD_OUT, SLOTS, TUNING
from benchmarks.voice_sound import AMERICAN, SPEEDS_WPM, VOICES, Noise, recording, spoken, with_digit
from edge_agent import manifest as manifests
from edge_agent.types import Float32
from edge_agent.voice.grammar import make_grammar
from edge_agent.voice.phrase import NetworkPhrase
from edge_agent.voice.speech_network import SpeechNetwork
from edge_agent.voice.transcribers import make_transcriber
from edge_agent.voice.types import RATE_HZ, Transcriber, WakePhrase
from edge_agent.voice.wake import PocketsphinxWake

DATA = Path(os.environ.get("EDGE_AGENT_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
SNRS_DB = (None, 20, 10, 5)
TARGET_INTENT = {None: 0.95, 10: 0.85}
TARGET_P95_S = 1.0
PHRASE = "hey computer"
QUESTIONS = {"held-out": HELD_OUT, "blind": BLIND, "tuning": TUNING}
_BLOCK = 512
AFTER = np.zeros(RATE_HZ, np.float32)
"""What is listened to after speech (voice/utterance.py)."""
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Clip = tuple[str, str, Float32]
"""(what is said, the voice, (n,) samples)"""


def ask(questions: tuple[str, ...]) -> list[Clip]:
    """Each question in the next voice and speed."""
    ways = itertools.cycle(itertools.product(SPEEDS_WPM, VOICES))
    return [(q, voice, spoken(q, voice, wpm)) for q, (wpm, voice) in zip(questions, ways, strict=False)]


def heard(transcriber: Transcriber, intents: Intents, clips: list[Clip], *, tell: bool) -> dict[str, Any]:
    """Word error rate, share of intents that are right, and times."""
    wrong_words = words = 0
    right: dict[str, list[bool]] = {"american": [], "british": []}
    cpu_ms, wall_ms, factors = [], [], []
    for said, voice, samples in clips:
        cpu, wall = time.process_time(), time.monotonic()
        text = transcriber.transcribe(samples).text
        cpu_ms.append(1e3 * (time.process_time() - cpu))
        wall_ms.append(1e3 * (time.monotonic() - wall))
        factors.append(cpu_ms[-1] * 1e-3 * RATE_HZ / len(samples))
        wrong_words += edits(said.split(), text.split())
        words += len(said.split())
        good = intents.of(text) == intents.of(said)
        right["american" if voice in AMERICAN else "british"].append(good)
        if tell and not good:
            print(f"    {voice}: {said} -> {text}")
    every = [good for goods in right.values() for good in goods]
    return {
        "questions": len(clips),
        "word_error_rate": wrong_words / words,
        "intent": float(np.mean(every)),
        **{f"intent_{accent}": float(np.mean(goods)) for accent, goods in right.items() if goods},
        **{f"cpu_ms_p{p}": float(np.percentile(cpu_ms, p)) for p in (50, 95)},
        **{f"wall_ms_p{p}": float(np.percentile(wall_ms, p)) for p in (50, 95)},
        "real_time_factor": float(np.median(factors)),
    }


def edits(said: list[str], found: list[str]) -> int:
    """Words to change, add or take away (Levenshtein)."""
    row = list(range(len(found) + 1))
    for i, word in enumerate(said, start=1):
        last, row[0] = row[0], i
        for j, other in enumerate(found, start=1):
            last, row[j] = row[j], min(last + (word != other), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def digit_clips(count: int) -> list[Clip]:
    """The question "what happened in the last five minutes" with a digit that a person said: six speakers."""
    before = spoken("what happened in the last", "en-us", 150)
    after = spoken("minutes", "en-us", 150)
    files = sorted((DATA / "spoken_digits").glob("[1-9]_*_[01].wav"))
    files = [files[i * len(files) // count] for i in range(count)] if count < len(files) else files
    return [
        (
            f"what happened in the last {_DIGITS[int(path.name[0])]} minutes",
            "en-us",
            with_digit(before, recording(path), after),
        )
        for path in files
    ]


def without_phrase(minutes: float, noise: Noise) -> Iterator[Float32]:
    """Speech, recorded noise and digits, in turn, without the wake phrase."""
    documents = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    lines = [line for path in documents for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [
        line for line in lines if len(line) > 60 and line[0].isalpha() and "computer" not in line.lower()
    ]
    rng = np.random.default_rng(1)
    digits = sorted((DATA / "spoken_digits").glob("*.wav"))[::15]
    others = [*noise.clips(), *(recording(path) for path in digits)]
    left = minutes * 60 * RATE_HZ
    for i in itertools.count():
        speech = i % 2 == 0
        said = texts[int(rng.integers(len(texts)))] if i % 4 else TUNING[int(rng.integers(len(TUNING)))]
        way = VOICES[i % len(VOICES)], SPEEDS_WPM[i % len(SPEEDS_WPM)]
        sound = spoken(said, *way) if speech else others[int(rng.integers(len(others)))]
        yield sound
        left -= len(sound)
        if left <= 0:
            return


def wakes(wake: WakePhrase, minutes: float, noise: Noise) -> dict[str, Any]:
    """How often the phrase is heard where it is said, and where it is not."""
    result: dict[str, Any] = {"phrase": PHRASE}
    calls = [spoken(PHRASE, voice, wpm) for voice in VOICES for wpm in SPEEDS_WPM]
    for snr_db in SNRS_DB:
        found = 0
        for i, call in enumerate(calls):
            wake.reset()
            sound = call if snr_db is None else noise.added(call, snr_db, i)
            found += fed(wake, np.concatenate([sound, AFTER])) > 0
        result[f"heard_{snr_db or 'clean'}"] = found / len(calls)
    false = samples = 0
    cpu = time.process_time()
    for sound in without_phrase(minutes, noise):
        false += fed(wake, sound)
        samples += len(sound)
    hours = samples / RATE_HZ / 3600
    return {**result, "hours": hours, "false_wakes": false, "false_wakes_per_hour": false / hours,
            "cpu_share": (time.process_time() - cpu) / (hours * 3600)}  # fmt: skip


def fed(wake: WakePhrase, sound: Float32) -> int:
    """How often it wakes."""
    return sum(wake.feed(sound[i : i + _BLOCK]) for i in range(0, len(sound), _BLOCK))


def rss_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--quick", action="store_true", help="every fifth question, three minutes of noise")
    parser.add_argument("--transcriber", choices=("moonshine", "pocketsphinx"), default="moonshine")
    parser.add_argument("--questions", choices=sorted(QUESTIONS), default="held-out", help="which of them")
    parser.add_argument("--all-slots", action="store_true", help="with every sensor that the model knows")
    parser.add_argument("--only", choices=("questions", "digits", "wake"), help="one part")
    parser.add_argument("--verbose", action="store_true", help="print each question that went wrong")
    options = parser.parse_args()
    known = manifests.read(options.model)
    slots = tuple(slot.name for slot in known.slots) if options.all_slots else SLOTS
    empty_mib, began = rss_mib(), time.process_time()
    grammar = make_grammar(known, slots)
    network = SpeechNetwork() if options.transcriber == "moonshine" else None
    wake = NetworkPhrase(network, PHRASE) if network else PocketsphinxWake(PHRASE)
    transcriber = make_transcriber(options.transcriber, grammar, network=network)
    result: dict[str, Any] = {
        "words": len(grammar.words),
        "load_cpu_s": time.process_time() - began,
    }
    noise, intents = Noise(DATA), Intents(known, slots)
    step = 5 if options.quick else 1
    wanted = {options.only} if options.only else {"questions", "digits", "wake"}
    if "questions" in wanted:
        clips = ask(QUESTIONS[options.questions][::step])
        for snr_db in SNRS_DB:
            noisy = [
                (said, voice, sound if snr_db is None else noise.added(sound, snr_db, i))
                for i, (said, voice, sound) in enumerate(clips)
            ]
            result[f"snr_{snr_db or 'clean'}"] = heard(transcriber, intents, noisy, tell=options.verbose)
    if "digits" in wanted:
        digits = digit_clips(12 if options.quick else 108)
        result["spoken_digits"] = heard(transcriber, intents, digits, tell=options.verbose)
    result["rss_mib"] = rss_mib()
    result["rss_mib_before"] = empty_mib
    if "wake" in wanted:
        result["wake"] = wakes(wake, 3 if options.quick else 30, noise)
    if options.json:
        print(json.dumps(result))
    else:
        tell(result)
    return 1 if missed(result) else 0


def tell(result: dict[str, Any]) -> None:
    """The figures, a line for each part."""
    for name, value in result.items():
        parts = value if isinstance(value, dict) else {"": value}
        said = (f"{key} {v:.3g}" if isinstance(v, float) else f"{key} {v}" for key, v in parts.items())
        print(f"{name}: {', '.join(said)}")
    for line in missed(result):
        print(f"missed: {line}")


def missed(result: dict[str, Any]) -> list[str]:
    """The targets that were not kept."""
    found = []
    for snr_db, least in TARGET_INTENT.items():
        part = result.get(f"snr_{snr_db or 'clean'}")
        if part and part["intent"] < least:
            found.append(f"intent {part['intent']:.2f} at {snr_db or 'no'} dB, target {least}")
        if part and part["cpu_ms_p95"] > 1e3 * TARGET_P95_S:
            found.append(f"{part['cpu_ms_p95']:.0f} ms after the end of speech, target {TARGET_P95_S} s")
    return found


if __name__ == "__main__":
    sys.exit(main())
