"""One process or many, CPU or GPU: what training has to know of it.

    torchrun --nproc-per-node 2 -m export train instruct --shards 2

A step is cut into shards, draws of a batch each, and its gradient is the mean over them. The shards are dealt
to the processes, whose gradients are summed after the backward pass. Which process does a shard changes
nothing but the rounding, so a run may go on with another number of processes.
(`DistributedDataParallel` averages in the same way, but wants one forward pass a step of one module: a step
here runs parts of the student, one or two times, and some parameters on some steps only.)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from export.batches import DialogBatch
from export.groups import Sample

Rows = TypeVar("Rows", Sample, DialogBatch)
CPU = torch.device("cpu")

PATIENCE = timedelta(hours=6)
"""How long a process waits for another: the first one may be training the encoders."""


@dataclass(frozen=True)
class World:
    """The processes of a run, as one of them sees them. The default is to be alone, on the CPU."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def shards(self, count: int) -> range:
        """Which of `count` shards this process does. Raises ValueError where they do not deal evenly."""
        if count % self.size:
            raise ValueError(
                f"{count} shards cannot be dealt to {self.size} processes: pass --shards {self.size}"
            )
        return range(self.rank, count, self.size)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Add up the gradients of all processes, in every one of them.

        Every process must hold gradients of the same parameters: a step is of one kind for all.
        """
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])  # one message rather than one a parameter
        distributed.all_reduce(flat)
        for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))

    def largest(self, value: float) -> float:
        """The largest of the processes' values, for all of them."""
        if self.size == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return float(found)

    def alike(self, value: float) -> bool:
        """Whether all processes hold the same value."""
        return self.largest(value) == -self.largest(-value)

    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Give every process what the first one holds, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), 0)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process alone, then all others: what it writes to a shared folder is there for them."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


ALONE = World()


@contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """The processes that torchrun started, or one. `device` is "auto", "cpu", "cuda" or "cuda:N".

    Every process needs a GPU of its own where GPUs are used. Raises ValueError where there are too few.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size == 1:
        yield World(device=chosen)
        return
    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), size, chosen)
    finally:
        distributed.destroy_process_group()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device that a process of this machine computes on; "auto" is a GPU where there is one for each."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if there >= processes else "cpu"
    wanted = torch.device(name)
    if wanted.type != "cuda":
        return wanted
    if ":" in name and processes > 1:
        raise ValueError(f"{processes} processes cannot share {name}: pass --device cuda")
    index = wanted.index if ":" in name else local_rank
    if index >= there or processes > there:
        needed = max(processes, index + 1)
        raise ValueError(f"{needed} GPUs are needed and {there} are there: pass --device cpu")
    return torch.device("cuda", index)


def threads() -> int:
    """CPU threads that each of this machine's processes may use."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def moved(device: torch.device, rows: Rows) -> Rows:
    """The same rows on another device."""
    return type(rows)(**{f.name: getattr(rows, f.name).to(device) for f in fields(rows)})


def on_cpu(value: Any) -> Any:
    """The same with every tensor on the CPU, so that a machine without a GPU can read it."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, Mapping):
        return {k: on_cpu(v) for k, v in value.items()}
    return [on_cpu(v) for v in value] if isinstance(value, list) else value
