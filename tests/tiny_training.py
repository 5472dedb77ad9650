"""A tiny student with made-up encoder outputs, and a program that trains it as torchrun starts it.

    torchrun --nproc-per-node 2 tests/tiny_training.py FOLDER STOP_AFTER [SHARDS]

FOLDER holds tokenizer.json. Every process leaves its weights there as rank<N>.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from export import parallel
from export import tokenizer as bpe
from export.batches import Codec
from export.catalog import SLOTS, classes
from export.dialogs import Asker
from export.groups import Group
from export.networks.adapter import Adapter
from export.networks.encoders import EncoderOutput
from export.networks.language import LanguageConfig, LanguageModel
from export.parallel import World
from export.slot_features import groups as recorded_together
from export.student import Student
from export.train_heads import shipped_config
from export.train_language import Settings, Trainer
from export.train_slots import outputs_of

N_VOCAB = 900
STEPS = 4
LANGUAGE = LanguageConfig(n_vocab=N_VOCAB, n_embd=64, n_layer=2, n_head=2, n_ff=96)


def tiny_tokenizer():
    asker = Asker(np.random.default_rng(7))
    turns = [asker.turn(asker.state()) for _ in range(2000)]
    words = [f" {p}" for h in classes() for p in h.phrases.values()] * 200
    return bpe.train([*(f"{t.question}{t.answer}" for t in turns), *words], n_vocab=N_VOCAB)


def made_up_outputs(slot: str, n: int, generator: torch.Generator) -> EncoderOutput:
    """Encoder outputs that are sure of a random class."""
    width = outputs_of(SLOTS[slot])
    return EncoderOutput(
        torch.randn(n, 2, 128, generator=generator), torch.randn(n, 128, generator=generator),
        6 * torch.randn(n, width, generator=generator),
    )  # fmt: skip


def tiny_trainer(folder: Path, world: World, shards: int) -> Trainer:
    torch.manual_seed(world.rank)  # apart on purpose: a run must make them equal
    codec = Codec(bpe.load(folder / "tokenizer.json"))
    config = shipped_config(lambda _slot: 2, n_embd=64, n_layer=2, d_model=64)
    student = Student(Adapter(config), LanguageModel(LANGUAGE), codec.prefix)
    g = torch.Generator().manual_seed(0)
    groups = [
        Group.of({s: made_up_outputs(s, 20, g) for s in slots}, {}) for slots in recorded_together().values()
    ]
    settings = Settings("tiny", steps=STEPS, batch=4, contrast_rows=2, english=0.3, shards=shards)
    return Trainer(student, groups, codec, settings, folder, list(range(400)), world)


def main(folder: Path, stop_after: int, shards: int) -> None:
    torch.set_num_threads(1)
    with parallel.world("cpu") as world:
        trainer = tiny_trainer(folder, world, shards)
        if stop_after == STEPS:
            assert trainer.run()
        else:  # cut off, as by a kill just after a checkpoint
            trainer.begin()
            while trainer.step < stop_after:
                trainer.advance()
            trainer.save()
        torch.save(trainer.student.state_dict(), folder / f"rank{world.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 2)
