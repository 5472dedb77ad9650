"""Language-model training: `pretrain` on English and stand-in features, `instruct` on recorded ones.

Loss (DESIGN.md, "The model"): answer-token CE + 0.5 * heads + 0.2 * L_contrast + small gate entropy.
Resumable: a checkpoint holds weights, optimiser, step and the state of the random generators.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from export import tokenizer as bpe
from export.batches import Codec, DialogBatch, FeatureSource, SensorBatch, class_indices
from export.dialogs import Asker, State
from export.features_source import Recorded, StandIn
from export.labels import PHRASES, SLOTS, TASK_SLOTS, labels
from export.networks.adapter import Adapter, AdapterConfig
from export.networks.language import IOTLM_7M, LanguageModel
from export.plots import loss_curve
from export.precision import autocast
from export.student import HEADS, Student, gate_entropy, head_loss, mixed, smoothed, task_logits
from export.text import paragraphs
from export.train_fused import load_adapter

ENGLISH_SHARE = {"pretrain": 0.45, "instruct": 0.15}


CONDITIONING = ("to_soft", "soft_scale", "control_")
"""The adapter's parameters that only the language model uses."""


@dataclass(frozen=True)
class Settings:
    """One stage. `minutes` bounds the wall time; the learning rate falls with the larger share done."""

    stage: str
    steps: int
    batch: int = 32
    lr: float = 2e-3
    english: float = 0.2
    contrast_rows: int = 8
    seed: int = 0
    minutes: float = 1e9
    save_every: int = 100
    anchor: float = 1.0
    """Learning rate of the parts that the fused head needs, relative to the rest."""


class Trainer:
    """One stage of training with checkpoints and a loss log."""

    def __init__(
        self, student: Student, source: FeatureSource, codec: Codec, settings: Settings, folder: Path,
        english: list[int], teacher: Adapter | None = None,
    ) -> None:  # fmt: skip
        self.student, self.source, self.codec = student, source, codec
        self.settings, self.folder, self.teacher = settings, folder, teacher
        self.english = torch.tensor(english)
        self.rng = np.random.default_rng(settings.seed)
        self.asker = Asker(self.rng)
        self.optimiser = _optimiser(student, source, settings)
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
        empty = dict.fromkeys(("answer", "heads", "contrast", "english"), float("nan"))
        return {**empty, **parts}

    def _english_loss(self) -> tuple[Tensor, dict[str, float]]:
        starts = self.rng.integers(0, len(self.english) - 129, 16)
        rows = torch.stack([self.english[i : i + 129] for i in starts])
        model = self.student.language
        logits = model.logits(model(model.token_embd(rows[:, :-1])))
        loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        return loss, {"english": loss.item()}

    def _dialog_loss(self) -> tuple[Tensor, dict[str, float]]:
        states = [self.asker.state() for _ in range(self.settings.batch)]
        sensors = self.source.batch(states, self.rng)
        targets = smoothed({task: class_indices(task, states) for task in HEADS})
        if self.teacher is not None:
            sensors, states, targets = self._taught(self.teacher, sensors, states)
        turns = self.rng.choice([1, 2, 3], len(states), p=[0.5, 0.35, 0.15])
        dialogs = [self.asker.dialog(s, int(n)) for s, n in zip(states, turns, strict=True)]
        batch = self.codec.batch(dialogs, states)
        out = self.student.condition(sensors)
        answer, row_logp = self.student.answer_loss(out, batch)
        heads = head_loss(out.logits, targets)
        contrast = self._contrast(sensors, batch, row_logp)
        loss = answer + 0.5 * heads + 0.2 * contrast + 0.01 * gate_entropy(out.alpha)
        loss = loss + 0.5 * head_loss(task_logits(self.student.adapter, sensors), targets)
        return loss, {"answer": answer.item(), "heads": heads.item(), "contrast": contrast.item()}

    def _taught(
        self, teacher: Adapter, sensors: SensorBatch, states: list[State]
    ) -> tuple[SensorBatch, list[State], dict[str, Tensor]]:
        """Half of the rows blended, and every label as the fused head of the fast path reads it.

        The language model is to word what the fast path perceives, right or wrong: taught with true labels
        on windows that the encoders were trained on, it would learn a certainty that new people do not give.
        """
        share = np.where(self.rng.random(len(states)) < 0.5, 1.0, self.rng.uniform(0.5, 1.0, len(states)))
        partner = torch.from_numpy(self.rng.permutation(len(states)))
        sensors = mixed(sensors, torch.from_numpy(share).float(), partner)
        with torch.no_grad():
            probabilities = {t: x.softmax(-1) for t, x in task_logits(teacher, sensors).items()}
        read = {t: [labels(t)[i] for i in p.argmax(-1).tolist()] for t, p in probabilities.items()}
        states = [State({t: read[t][i] for t in HEADS}, s.present) for i, s in enumerate(states)]
        able = {t: (class_indices(t, states) >= 0).float()[:, None] for t in HEADS}
        return sensors, states, {t: probabilities[t] * able[t] for t in HEADS}

    def _contrast(self, sensors: SensorBatch, batch: DialogBatch, row_logp: Tensor) -> Tensor:
        """L_contrast = softplus(1 - [log p(a|s,q) - log p(a|s',q)] / |a|), s' of other labels.

        s' is a neighbour in the batch with the same sensors present and every label different.
        """
        rows, others = self._partners(batch, sensors.mask)
        if not len(rows):
            return torch.zeros(())
        part = DialogBatch(batch.ids[rows], batch.targets[rows], batch.reads[rows], batch.weight[rows], {})
        _, other_logp = self.student.answer_loss(self.student.condition(sensors[others]), part)
        return F.softplus(1 - (row_logp[rows] - other_logp)).mean()

    def _partners(self, batch: DialogBatch, mask: Tensor) -> tuple[Tensor, Tensor]:
        reading = batch.reads.any(1)
        rows, others = [], []
        for i in torch.nonzero(reading)[:, 0].tolist():
            same = (mask == mask[i]).all(1)
            for task in HEADS:
                same &= (batch.labels[task] != batch.labels[task][i]) | (batch.labels[task] < 0)
            candidates = torch.nonzero(same)[:, 0]
            if len(candidates):
                rows.append(i)
                others.append(int(candidates[self.rng.integers(len(candidates))]))
        wanted = self.settings.contrast_rows  # always as many, for the same reason as LENGTH_STEP
        keep = np.resize(np.arange(len(rows)), wanted if rows else 0)
        return torch.tensor(rows, dtype=torch.long)[keep], torch.tensor(others, dtype=torch.long)[keep]

    def _set_rate(self, share: float) -> None:
        warm = min(1.0, (self.step + 1) / 50)
        factor = warm * (1.0 if share < 0.3 else max(0.02, (1 - share) / 0.7))
        for group in self.optimiser.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def save(self) -> None:
        """Write weights, optimisers and counters, then the log and its plot."""
        state = {
            "student": self.student.state_dict(),
            "source": self.source.state_dict() if isinstance(self.source, nn.Module) else {},
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "log": self.log,
            "rng": json.dumps(self.rng.bit_generator.state),
            "torch_rng": torch.get_rng_state(),
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
        if isinstance(self.source, nn.Module):
            self.source.load_state_dict(state["source"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s, self.log = state["step"], state["spent_s"], state["log"]
        self.rng.bit_generator.state = json.loads(state["rng"])
        torch.set_rng_state(state["torch_rng"])


def _optimiser(student: Student, source: FeatureSource, settings: Settings) -> torch.optim.Optimizer:
    """AdamW: the language model's matrices at the full rate, fused parts `anchor` times as fast as the rest.

    Muon for the matrices was tried: its iterations take longer on a CPU than the step they improve.
    """
    matrices = [p for p in student.language.blocks.parameters() if p.ndim == 2]
    fused = [p for name, p in student.adapter.named_parameters() if not name.startswith(CONDITIONING)]
    apart = {id(p) for p in (*matrices, *fused)}
    rest = [p for p in student.parameters() if id(p) not in apart]
    if isinstance(source, nn.Module):
        rest += list(source.parameters())
    groups: list[dict[str, Any]] = [
        {"params": matrices, "lr": settings.lr, "weight_decay": 0.05},
        {"params": rest, "lr": settings.lr / 2},
        {"params": fused, "lr": settings.lr / 2 * settings.anchor},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
    for group in optimiser.param_groups:
        group["initial_lr"] = group["lr"]
    return optimiser


def make_tokenizer(data: Path, folder: Path) -> Tokenizer:
    """Train the tokenizer on English and dialogs, or load the one already there."""
    path = folder / "tokenizer.json"
    if not path.exists():
        asker = Asker(np.random.default_rng(7))
        dialogs = [t for _ in range(20_000) for t in asker.dialog(asker.state(), 1)]
        lines = [f"{t.question}{t.answer}" for t in dialogs]
        bpe.train([*paragraphs(data, 1_500_000), *lines]).save(str(path))
    tokenizer = bpe.load(path)
    for task in HEADS:
        bpe.first_tokens(tokenizer, PHRASES[task].values())
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


def make_student(tokenizer: Tokenizer, slot_tokens: dict[str, int]) -> Student:
    """A fresh adapter and language model of the shipped shape."""
    config = AdapterConfig(
        slots=tuple(slot_tokens.items()),
        heads=tuple((task, len(labels(task))) for task in TASK_SLOTS),
        n_embd=IOTLM_7M.n_embd,
        n_layer=IOTLM_7M.n_layer,
    )
    return Student(Adapter(config), LanguageModel(IOTLM_7M), Codec(tokenizer).prefix)


def pretrain(data: Path, folder: Path, settings: Settings) -> None:
    """Stage 1: English, and dialogs over learned stand-in features."""
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(data, folder)
    student = make_student(tokenizer, dict.fromkeys(SLOTS, 10))
    english = english_ids(data, folder, tokenizer)
    Trainer(student, StandIn(), Codec(tokenizer), settings, folder, english).run()


def instruct(data: Path, folder: Path, features: Path, settings: Settings) -> None:
    """Stage 2: dialogs over recorded encoder outputs, from the pretrained weights and the fused head.

    The adapter starts as the trained fused head and is held close to it: that head is the teacher.
    """
    torch.manual_seed(settings.seed)
    tokenizer = bpe.load(folder / "tokenizer.json")
    source = Recorded(features, split=0)
    tokens = {slot: source.arrays[f"{slot}_tokens"].shape[1] for slot in SLOTS}
    student = make_student(tokenizer, tokens)
    student.load_state_dict(torch.load(folder / "pretrain.pt", weights_only=True)["student"])
    teacher = load_adapter(folder / "adapter_fused.pt")
    fused = {k: v for k, v in teacher.state_dict().items() if not k.startswith(CONDITIONING)}
    student.adapter.load_state_dict(fused, strict=False)
    english = english_ids(data, folder, tokenizer)
    Trainer(student, source, Codec(tokenizer), settings, folder, english, teacher).run()
