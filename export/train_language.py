"""Language-model training: `pretrain` on plain English, `instruct` on dialogs over recorded encoder outputs.

Loss (DESIGN.md, "The model"): answer-token CE + 0.2 * L_contrast. The heads are trained before
(`train_heads`) and frozen here: the language model is to word what the fast path perceives, right or wrong.
Taught with true labels on windows that the encoders were trained on, it would learn a certainty that new
people do not give.
Resumable, with any number of processes: a checkpoint holds weights, optimiser and step; the random numbers of
a step depend on the seed, the step and the shard alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
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
from export.answers import State, Turn
from export.batches import Codec
from export.corpus import english_ids, make_tokenizer
from export.dialogs import Asker
from export.groups import Group, Sample, draw, random_mask
from export.kinds import Kinds
from export.networks.adapter import Ablation
from export.networks.language import IOTLM_7M, LanguageConfig
from export.parallel import ALONE, World, moved, on_cpu
from export.past import Past
from export.plots import loss_curve
from export.precision import autocast
from export.spoken import show_words
from export.student import Student, even_by_reading, language_of, make_student, misread, states_of
from export.train_heads import config_from, load_groups, load_heads
from export.vocabulary import transplant

ALIGN = "align"
MOST_TURNS = 6
ENGLISH_SHARE = {"pretrain": 1.0, ALIGN: 0.0, "instruct": 0.1}
CAPTIONS = 0.25
"""Of the rows of dialogs: plain sentences, which say four times as much about what is shown."""
PAST = 0.08
"""Of the same rows: answers about the past, and which kind a question wants. Rows are counted, not turns."""
REVIEW_EVERY = 100
LEAST_OFTEN = 0.05
"""A head is asked about in proportion to how often it is worded wrongly, and to this at least."""


@dataclass(frozen=True)
class Settings:
    """One stage. `minutes` bounds the wall time; the learning rate falls with the larger share done.

    A step learns from `shards` draws of `batch` dialogs or of `english_rows` pieces of English.
    """

    stage: str
    steps: int
    batch: int = 32
    lr: float = 2e-3
    english: float = 0.1
    english_rows: int = 16
    contrast_rows: int = 8
    seed: int = 0
    minutes: float = 1e9
    save_every: int = 100
    ablation: Ablation = ""
    shards: int = 1


class Trainer:
    """One stage of training with checkpoints and a loss log, in one of the processes of `world`."""

    def __init__(
        self, student: Student, groups: Sequence[Group], codec: Codec, settings: Settings, folder: Path,
        english: Sequence[int] | Tensor, world: World = ALONE,
    ) -> None:  # fmt: skip
        self.student, self.codec = student, codec
        self.groups = [even_by_reading(group, student.adapter.fused) for group in groups]
        student.to(world.device)
        self.settings, self.folder = settings, folder
        self.english = torch.as_tensor(english)
        self.world = world
        self.rng = np.random.default_rng(settings.seed)
        self.generator = torch.Generator()
        self.asker = Asker(self.rng)
        self.past, self.kinds = Past(self.rng), Kinds(self.rng)
        self.optimiser = _optimiser(student, settings)
        self.step, self.spent_s, self.log = 0, 0.0, list[dict[str, float]]()

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.settings.stage}.pt"

    def run(self, slice_s: float = math.inf) -> bool:
        """Train until the steps or the minutes are used, or for `slice_s`; save at intervals and at the end.

        Returns whether the stage is done.
        """
        s, world = self.settings, self.world
        self.begin()
        bar = tqdm(total=s.steps, initial=self.step, desc=s.stage, mininterval=5, disable=not world.is_main)
        began_s, earlier_s = time.monotonic(), self.spent_s
        while self.share() < 1 and self.spent_s - earlier_s < slice_s:
            self.advance()
            bar.update()
            if self.step % 20 == 0:
                recent = self.log[-20:]
                bar.set_postfix({k: f"{_mean(r[k] for r in recent):.3f}" for k in recent[0]})
            if self.step % s.save_every == 0:
                self.save()
            self.spent_s = world.largest(earlier_s + time.monotonic() - began_s)
        self.save()
        world.wait()
        return self.share() >= 1

    def begin(self) -> None:
        """Continue from a checkpoint where there is one; every process then holds the same weights."""
        self.resume()
        self.world.spread([*self.student.parameters(), *self.student.buffers()])

    def advance(self) -> None:
        """One step at the rate that its share of the budget asks for."""
        if self.groups and self.step % REVIEW_EVERY == 0:
            self._review()
        self._set_rate(self.share())
        self.log.append(self.train_step())
        self.step += 1

    def _review(self) -> None:
        """Ask most about the heads whose words are learned least: one that is never said is hard to begin."""
        self.student.eval()
        generator = torch.Generator().manual_seed(self.step)
        wrong = misread(self.student, self.groups, self.codec, generator)
        self.student.train()
        self.asker.often = {head: share + LEAST_OFTEN for head, share in wrong.items()}

    def share(self) -> float:
        """How much of the budget is used, 0..1."""
        return max(self.step / self.settings.steps, self.spent_s / 60 / self.settings.minutes)

    def train_step(self) -> dict[str, float]:
        """One step of the optimiser; the losses are means over the shards of this process."""
        s = self.settings
        english = self._random(0).random() < s.english  # all shards alike: gradients of the same weights
        self.optimiser.zero_grad(set_to_none=True)
        rows = []
        for shard in self.world.shards(s.shards):
            self._seed(shard)
            with autocast(self.world.device.type):
                loss, parts = self._english_loss() if english else self._dialog_loss()
            (loss / s.shards).backward()
            rows.append(parts)
        self.world.sum_gradients(self.student.parameters())
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimiser.step()
        return {k: _mean(r.get(k, math.nan) for r in rows) for k in ("answer", "contrast", "english")}

    def _random(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.settings.seed, self.step, stream])

    def _seed(self, shard: int) -> None:
        """The random numbers of a shard of this step, whichever process does it and whatever came before."""
        self.rng = self.asker.rng = self.past.rng = self.kinds.rng = self._random(shard + 1)
        seed = int(self.rng.integers(2**62))
        self.generator.manual_seed(seed)
        torch.manual_seed(seed)  # dropout

    def _english_loss(self) -> tuple[Tensor, dict[str, float]]:
        starts = self.rng.integers(0, len(self.english) - 129, self.settings.english_rows)
        rows = torch.stack([self.english[i : i + 129] for i in starts]).long().to(self.world.device)
        model = self.student.language
        logits = model.logits(model(model.token_embd(rows[:, :-1])))
        loss = F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())
        return loss, {"english": loss.item()}

    def _dialog_loss(self) -> tuple[Tensor, dict[str, float]]:
        sample = self._sample()
        states = states_of(self.student.adapter, sample)
        if self.settings.stage == ALIGN:
            batch = moved(self.world.device, self.codec.batch([self.asker.captions(s) for s in states]))
            answer, _ = self.student.answer_loss(self.student.condition(sample), batch)
            return answer, {"answer": answer.item()}
        # As many turns as fit: a short row costs as much as the longest one beside it.
        dialogs = [self.codec.fitting(self._turns(s)) for s in states]
        batch = moved(self.world.device, self.codec.batch(dialogs))
        answer, row_logp = self.student.answer_loss(self.student.condition(sample), batch)
        rows, others = self._partners(sample, states, dialogs)
        contrast = torch.zeros((), device=self.world.device)
        if len(rows):
            _, other_logp = self.student.answer_loss(self.student.condition(others), batch[rows])
            # L_contrast = softplus(1 - [log p(a|s,q) - log p(a|s',q)] / |a|), s' of another label.
            contrast = F.softplus(1 - (row_logp[rows] - other_logp)).mean()
        return answer + 0.2 * contrast, {"answer": answer.item(), "contrast": contrast.item()}

    def _turns(self, state: State) -> list[Turn]:
        drawn = self.rng.random()
        if drawn < PAST:
            return self._about_past()
        captions = drawn < PAST + CAPTIONS
        return self.asker.captions(state) if captions else self.asker.dialog(state, MOST_TURNS)

    def _about_past(self) -> list[Turn]:
        """Turns with nothing of the state in them, in any order: the device asks each of them alone."""
        turns = [self.past.turn(), self.kinds.turn(), self.kinds.turn()]
        return [turns[i] for i in self.rng.permutation(len(turns))]

    def _sample(self) -> Sample:
        """A batch, half of its rows blended with another: what lies between two classes is met too."""
        config = self.student.adapter.config
        n = self.settings.batch
        mask = random_mask(n, len(config.slots), self.generator, many=self.settings.stage == ALIGN)
        sample, _ = draw(config, self.groups, mask, self.generator)
        share = torch.rand(n, generator=self.generator) * 0.5 + 0.5
        share[torch.rand(n, generator=self.generator) < 0.5] = 1.0
        return moved(self.world.device, sample.mixed(share, torch.randperm(n, generator=self.generator)))

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
        """Write weights, optimiser and counters, then the plot of the log; one process does it for all."""
        if not self.world.is_main:
            return
        state = {
            "student": self.student.state_dict(),
            "language": asdict(self.student.language.config),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "log": self.log,
            "often": self.asker.often,
            "settings": asdict(self.settings),
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(on_cpu(state), part)
        part.replace(self.checkpoint)
        loss_curve(self.log, self.folder / f"{self.settings.stage}.png", self.settings.stage)

    def resume(self) -> None:
        """Continue from the stage's own checkpoint where there is one.

        Raises ValueError for weights without an optimiser, and where the processes see different checkpoints.
        """
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            if "optimiser" not in state:
                raise ValueError(
                    f"{self.checkpoint} was trained elsewhere: it can be shipped, not trained further"
                )
            self.student.load_state_dict(state["student"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step, self.spent_s, self.log = state["step"], state["spent_s"], state["log"]
            self.asker.often = state.get("often", {})
        if not self.world.alike(self.step):
            raise ValueError(f"the processes see different checkpoints: {self.folder} must be shared")


def _mean(values: Iterable[float]) -> float:
    """Of those that are numbers; NaN where none is."""
    known = [v for v in values if not math.isnan(v)]
    return sum(known) / len(known) if known else math.nan


def _optimiser(student: Student, settings: Settings) -> torch.optim.Optimizer:
    """AdamW: the language model's matrices at the full rate, everything else at half of it but to align.

    Muon for the matrices was tried: its iterations take longer on a CPU than the step they improve.
    """
    matrices = [p for p in student.language.blocks.parameters() if p.ndim == 2]
    apart = {id(p) for p in matrices}
    rest = [p for p in student.parameters() if id(p) not in apart and p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "lr": settings.lr, "weight_decay": 0.05},
        {"params": rest, "lr": settings.lr if settings.stage == ALIGN else settings.lr / 2},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01, betas=(0.9, 0.98))
    for group in optimiser.param_groups:
        group["initial_lr"] = group["lr"]
    return optimiser


def pretrain(
    data: Path, folder: Path, settings: Settings, start: Path | None = None, *,
    language: LanguageConfig = IOTLM_7M, world: World = ALONE,
) -> None:  # fmt: skip
    """Stage 1: English alone. `start` is a folder with an earlier model whose tokens were others."""
    torch.manual_seed(settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    with world.main_first():
        tokenizer = make_tokenizer(data, folder)
        english = english_ids(data, folder, tokenizer)
    student = make_student(tokenizer, config_from(load_groups(folder)), language)
    if start is not None:
        transplant(start, student, tokenizer)
    Trainer(student, [], Codec(tokenizer), settings, folder, english, world).run()


def align(data: Path, folder: Path, settings: Settings, *, world: World = ALONE) -> None:
    """Stage 2: captions alone, a sentence for each head that has data, until words and sensors meet.

    One sequence holds several labels and little else, so that a step says four times as much about them as
    one of dialogs: with dialogs alone the model learns its templates first and reads no sensor for long.
    """
    _on_dialogs(data, folder, settings, world)


def instruct(data: Path, folder: Path, settings: Settings, *, world: World = ALONE) -> None:
    """Stage 3: dialogs of every family over recorded encoder outputs, from the aligned weights."""
    _on_dialogs(data, folder, settings, world)


def _on_dialogs(data: Path, folder: Path, settings: Settings, world: World) -> None:
    tokenizer = bpe.load(folder / "tokenizer.json")
    with world.main_first():
        english = english_ids(data, folder, tokenizer)
    found = load_groups(folder)
    student = instructed(folder, tokenizer, found, settings)
    training = [g.part(0) for g in found.values()]
    Trainer(student, training, Codec(tokenizer), settings, folder, english, world).run()


def instructed(
    folder: Path,
    tokenizer: Tokenizer,
    found: Mapping[str, Group],
    settings: Settings,
    work: Path | None = None,
) -> Student:
    """What a stage on dialogs begins with, from `work` or else `folder`, with the trained heads.

    That is the aligned student where there is one, else the pretrained one with its heads' words shown.
    """
    torch.manual_seed(settings.seed)
    aligned = (work or folder) / f"{ALIGN}.pt"
    begins = settings.stage == ALIGN or not aligned.exists()
    saved = torch.load(aligned.with_stem("pretrain") if begins else aligned, weights_only=True)
    config = replace(config_from(found), ablation=settings.ablation)
    student = make_student(tokenizer, config, language_of(saved))
    student.load_state_dict(saved["student"])
    student.adapter.fused.load_state_dict(load_heads(folder / "heads.pt").state_dict())
    if begins:
        show_words(student, tokenizer)
    return student
