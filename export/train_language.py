"""Language-model training: `pretrain` on plain English, `instruct` on dialogs over recorded encoder outputs.

Loss (DESIGN.md, "The model"): answer-token CE + 0.2 * L_contrast. The heads are trained before
(`train_heads`) and frozen here: the language model is to word what the fast path perceives, right or wrong.
Taught with true labels on windows that the encoders were trained on, it would learn a certainty that new
people do not give.
Resumable: a checkpoint holds weights, optimiser, step and the state of the random generators.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from export import tokenizer as bpe
from export.batches import Codec
from export.catalog import classes
from export.dialogs import Asker, State, Turn
from export.groups import Group, Sample, draw, random_mask
from export.networks.adapter import Ablation, Adapter, AdapterConfig
from export.networks.language import IOTLM_7M, LanguageConfig, LanguageModel
from export.plots import loss_curve
from export.precision import autocast
from export.student import Student
from export.text import paragraphs
from export.train_heads import config_from, load_groups, load_heads
from export.vocabulary import transplant

ENGLISH_SHARE = {"pretrain": 1.0, "instruct": 0.1}


@dataclass(frozen=True)
class Settings:
    """One stage. `minutes` bounds the wall time; the learning rate falls with the larger share done."""

    stage: str
    steps: int
    batch: int = 32
    lr: float = 2e-3
    english: float = 0.1
    contrast_rows: int = 8
    seed: int = 0
    minutes: float = 1e9
    save_every: int = 100
    ablation: Ablation = ""


class Trainer:
    """One stage of training with checkpoints and a loss log."""

    def __init__(
        self, student: Student, groups: Sequence[Group], codec: Codec, settings: Settings, folder: Path,
        english: list[int],
    ) -> None:  # fmt: skip
        self.student, self.groups, self.codec = student, groups, codec
        self.settings, self.folder = settings, folder
        self.english = torch.tensor(english)
        self.rng = np.random.default_rng(settings.seed)
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.asker = Asker(self.rng)
        self.optimiser = _optimiser(student, settings)
        self.step, self.spent_s, self.log = 0, 0.0, list[dict[str, float]]()

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.settings.stage}.pt"

    def run(self) -> None:
        """Train until the steps or the minutes are used; save at intervals and at the end."""
        s = self.settings
        self.resume()
        bar = tqdm(total=s.steps, initial=self.step, desc=s.stage, unit="step", mininterval=5)
        while (share := self.share()) < 1:
            began = time.monotonic()
            self._set_rate(share)
            row = self.train_step()
            self.spent_s += time.monotonic() - began
            self.step += 1
            self.log.append(row)
            bar.update()
            if self.step % 20 == 0:
                recent = self.log[-20:]
                bar.set_postfix({k: f"{np.nanmean([r[k] for r in recent]):.3f}" for k in row})
            if self.step % s.save_every == 0:
                self.save()
        self.save()

    def share(self) -> float:
        """How much of the budget is used, 0..1."""
        return max(self.step / self.settings.steps, self.spent_s / 60 / self.settings.minutes)

    def train_step(self) -> dict[str, float]:
        english = self.rng.random() < self.settings.english
        with autocast():
            loss, parts = self._english_loss() if english else self._dialog_loss()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimiser.step()
        empty = dict.fromkeys(("answer", "contrast", "english"), float("nan"))
        return {**empty, **parts}

    def _english_loss(self) -> tuple[Tensor, dict[str, float]]:
        starts = self.rng.integers(0, len(self.english) - 129, 16)
        rows = torch.stack([self.english[i : i + 129] for i in starts])
        model = self.student.language
        logits = model.logits(model(model.token_embd(rows[:, :-1])))
        loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        return loss, {"english": loss.item()}

    def _dialog_loss(self) -> tuple[Tensor, dict[str, float]]:
        sample = self._sample()
        states = states_of(self.student.adapter, sample)
        turns = self.rng.choice([1, 2, 3], len(states), p=[0.5, 0.35, 0.15])
        dialogs = [self.asker.dialog(s, int(n)) for s, n in zip(states, turns, strict=True)]
        batch = self.codec.batch(dialogs)
        answer, row_logp = self.student.answer_loss(self.student.condition(sample), batch)
        rows, others = self._partners(sample, states, dialogs)
        contrast = torch.zeros(())
        if len(rows):
            _, other_logp = self.student.answer_loss(self.student.condition(others), batch[rows])
            # L_contrast = softplus(1 - [log p(a|s,q) - log p(a|s',q)] / |a|), s' of another label.
            contrast = F.softplus(1 - (row_logp[rows] - other_logp)).mean()
        return answer + 0.2 * contrast, {"answer": answer.item(), "contrast": contrast.item()}

    def _sample(self) -> Sample:
        """A batch, half of its rows blended with another: what lies between two classes is met too."""
        config = self.student.adapter.config
        n = self.settings.batch
        mask = random_mask(n, len(config.slots), self.generator)
        sample, _ = draw(config, self.groups, mask, self.generator)
        share = torch.rand(n, generator=self.generator) * 0.5 + 0.5
        share[torch.rand(n, generator=self.generator) < 0.5] = 1.0
        return sample.mixed(share, torch.randperm(n, generator=self.generator))

    def _partners(
        self, sample: Sample, states: Sequence[State], dialogs: Sequence[Sequence[Turn]]
    ) -> tuple[Tensor, Sample]:
        """Rows whose answers read a label, and for each the features of a row that shows another one.

        The other row is seen through the same slots: absence must not be what tells the two apart.
        """
        order = torch.randperm(len(states), generator=self.generator)
        others = sample[order].masked(sample.mask)
        shown = states_of(self.student.adapter, others)
        rows = [
            i
            for i, (state, other, turns) in enumerate(zip(states, shown, dialogs, strict=True))
            if any(t.reads and t.head and state.label(t.head) != other.label(t.head) for t in turns)
        ]
        # Always as many, for the same reason as LENGTH_STEP.
        keep = torch.tensor(np.resize(rows, self.settings.contrast_rows if rows else 0), dtype=torch.long)
        return keep, others[keep]

    def _set_rate(self, share: float) -> None:
        warm = min(1.0, (self.step + 1) / 50)
        factor = warm * (1.0 if share < 0.3 else max(0.02, (1 - share) / 0.7))
        for group in self.optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def save(self) -> None:
        """Write weights, optimisers and counters, then the log and its plot."""
        state = {
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "log": self.log,
            "rng": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
            "generator": self.generator.get_state(),
            "settings": asdict(self.settings),
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.checkpoint)
        loss_curve(self.log, self.folder / f"{self.settings.stage}.png", self.settings.stage)

    def resume(self) -> None:
        """Continue from the stage's own checkpoint where there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s, self.log = state["step"], state["spent_s"], state["log"]
        self.rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch_rng"])
        self.generator.set_state(state["generator"])


def states_of(adapter: Adapter, sample: Sample) -> list[State]:
    """What the fast path reads of each row: the labels that the language model is to word."""
    config = adapter.config
    with torch.no_grad():
        heads, _, _ = adapter.fused(sample.pooled, sample.logits, sample.mask)
    named = [h for h in classes() if h.name in heads]
    read = {h.name: heads[h.name].argmax(-1).tolist() for h in named}
    alone = {
        (slot, head.name): sample.logits[:, where].argmax(-1).tolist()
        for slot, head, where in config.pieces()
        if len(head.slots) > 1 and not head.regression
    }
    labels = {h.name: h.labels for h in named}
    states = []
    for i, row in enumerate(sample.mask.bool().tolist()):
        present = frozenset(s for s, here in zip(config.names, row, strict=True) if here)
        states.append(
            State(
                {h.name: labels[h.name][read[h.name][i]] for h in named if present & set(h.slots)},
                present,
                {key: labels[key[1]][found[i]] for key, found in alone.items() if key[0] in present},
            )
        )
    return states


def _optimiser(student: Student, settings: Settings) -> torch.optim.Optimizer:
    """AdamW: the language model's matrices at the full rate, everything else at half of it.

    Muon for the matrices was tried: its iterations take longer on a CPU than the step they improve.
    """
    matrices = [p for p in student.language.blocks.parameters() if p.ndim == 2]
    apart = {id(p) for p in matrices}
    rest = [p for p in student.parameters() if id(p) not in apart and p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "lr": settings.lr, "weight_decay": 0.05},
        {"params": rest, "lr": settings.lr / 2},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
    for group in optimiser.param_groups:
        group["initial_lr"] = group["lr"]
    return optimiser


def example_lines(count: int = 30_000) -> list[str]:
    """Questions and answers about random states: what the tokenizer must have words for."""
    asker = Asker(np.random.default_rng(7))
    turns = (asker.turn(asker.state()) for _ in range(count))
    lines = [f"{turn.question}{turn.answer}" for turn in turns]
    words = [f" {p}" for h in classes() for p in h.phrases.values()]
    return [*lines, *words * 200]


def make_tokenizer(data: Path, folder: Path) -> Tokenizer:
    """Train the tokenizer on English and dialogs, or load the one already there."""
    path = folder / "tokenizer.json"
    if not path.exists():
        bpe.train([*paragraphs(data, 1_500_000), *example_lines()]).save(str(path))
    tokenizer = bpe.load(path)
    for head in classes():
        bpe.first_tokens(tokenizer, head.phrases.values())
    return tokenizer


def english_ids(data: Path, folder: Path, tokenizer: Tokenizer) -> list[int]:
    """Token ids of the English corpus, cached beside the checkpoints."""
    path = folder / "english.npy"
    if not path.exists():
        end = tokenizer.token_to_id("<|end|>")
        encoded = tokenizer.encode_batch(list(paragraphs(data, 2_500_000)))
        np.save(path, np.array([i for e in encoded for i in [*e.ids, end]], dtype=np.int32))
    ids: list[int] = np.load(path, allow_pickle=False).astype(np.int64).tolist()
    return ids


def make_student(tokenizer: Tokenizer, config: AdapterConfig, language: LanguageConfig = IOTLM_7M) -> Student:
    """A fresh adapter and language model of matching width and depth."""
    return Student(Adapter(config), LanguageModel(language), Codec(tokenizer).prefix)


def pretrain(data: Path, folder: Path, settings: Settings, start: Path | None = None) -> None:
    """Stage 1: English alone. `start` is a folder with an earlier model whose tokens were others."""
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(data, folder)
    found = load_groups(folder)
    student = make_student(tokenizer, config_from(found))
    if start is not None:
        transplant(start, student, tokenizer)
    english = english_ids(data, folder, tokenizer)
    Trainer(student, [], Codec(tokenizer), settings, folder, english).run()


def instruct(data: Path, folder: Path, settings: Settings) -> None:
    """Stage 2: dialogs over recorded encoder outputs, from the pretrained weights and the trained heads."""
    torch.manual_seed(settings.seed)
    tokenizer = bpe.load(folder / "tokenizer.json")
    found = load_groups(folder)
    student = make_student(tokenizer, replace(config_from(found), ablation=settings.ablation))
    student.load_state_dict(torch.load(folder / "pretrain.pt", weights_only=True)["student"])
    student.adapter.fused.load_state_dict(load_heads(folder / "heads.pt").state_dict())
    english = english_ids(data, folder, tokenizer)
    training = [g.part(0) for g in found.values()]
    Trainer(student, training, Codec(tokenizer), settings, folder, english).run()
