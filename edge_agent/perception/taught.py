"""What a device was taught after it was shipped: more classes of a slot, kept in one file beside the model.

A class is a label and the pooled features z of the windows that showed it. Its slot is then read once more,
by the nearest class mean (`nearest_mean`), as a head `taught_<slot>` of its own: what the model itself
perceives is not touched, and without the file nothing is different. The features belong to one encoder, whose
sha256 the file names. It is a plain .npz without pickles: the JSON text `about`, and an array (n,d) for each
class. Features and not only their means are kept, because how sharp a class is and how far it reaches depend
on the others, and change with each that is taught or forgotten.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import EdgeAgentError, ModelError
from edge_agent.manifest import Manifest, Slot, TaskHead
from edge_agent.perception.nearest_mean import LEAST, NearestMean
from edge_agent.types import Features, Float32, TaskPercept

PREFIX = "taught_"
QUESTION = "what do you see of what you were taught?"
MOST_WINDOWS = 500
"""Of a class; more are thinned evenly. They tell a mean nothing new, and the file stays small."""
LONGEST_LABEL = 48
UNKNOWN = "unknown"
"""What a window is read as that is like nothing taught."""
FORMAT = 1


class TaughtError(EdgeAgentError, ValueError):
    """What cannot be taught, or a file of taught classes that cannot be read."""


@dataclass(frozen=True, slots=True)
class TaughtSlot:
    """The classes of one slot: label -> features (n,d) of its windows, under the encoder of that sha256."""

    encoder_sha256: str
    windows: Mapping[str, Float32]

    def with_class(self, label: str, z: Float32) -> TaughtSlot:
        """Also with these windows (n,d) of a class, new or not. Raises TaughtError for what is no label."""
        check_label(label)
        known = self.windows.get(label)
        together = np.asarray(z, np.float32) if known is None else np.concatenate([known, z])
        if len(together) < LEAST:
            raise TaughtError(
                f'"{label}" has {len(together)} window(s) and needs at least {LEAST}',
                hint="record some seconds more of it",
            )
        return TaughtSlot(self.encoder_sha256, {**self.windows, label: _thinned(together)})

    def without(self, label: str) -> TaughtSlot:
        """Without a class. Raises TaughtError where there is none of that name."""
        if label not in self.windows:
            raise TaughtError(
                f'"{label}" was not taught', hint=f"taught are: {', '.join(self.windows) or 'none'}"
            )
        return TaughtSlot(self.encoder_sha256, {k: z for k, z in self.windows.items() if k != label})


@dataclass(frozen=True, slots=True)
class TaughtFile:
    """Everything in a file: slot -> its classes."""

    slots: Mapping[str, TaughtSlot] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> TaughtFile:
        """What is taught; nothing where there is no file. Raises TaughtError for one that is damaged."""
        if not path.exists():
            return cls()
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(_slots(json.loads(str(arrays["about"])), arrays))
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            RuntimeError,  # zipfile: a flag says that it is encrypted, or (NotImplementedError) of the future
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise TaughtError(
                f"{path} is no file of taught classes: {error}",
                hint="restore it, or remove it and teach again; without it the agent is as it was shipped",
            ) from error

    def write(self, path: Path) -> None:
        """Replace the file in one step; with nothing left to keep, remove it. Raises TaughtError."""
        about: dict[str, Any] = {"format": FORMAT, "slots": {}}
        arrays: dict[str, Float32] = {}
        for name, slot in self.slots.items():
            keys = {label: f"z{len(arrays) + i}" for i, label in enumerate(slot.windows)}
            about["slots"][name] = {"encoder_sha256": slot.encoder_sha256, "classes": keys}
            arrays |= {key: slot.windows[label] for label, key in keys.items()}
        temporary = path.with_name(f".{path.name}.part")
        try:
            if not arrays:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise TaughtError(
                f"cannot write {path}: {error.strerror}", hint="name another file as model.taught"
            ) from error

    def replacing(self, name: str, slot: TaughtSlot) -> TaughtFile:
        """With other classes of one slot; a slot without any is left out."""
        others = {k: s for k, s in self.slots.items() if k != name}
        return TaughtFile({**others, name: slot} if slot.windows else others)


class Taught:
    """What was taught, ready to read windows with one model. For any thread."""

    def __init__(self, file: TaughtFile, manifest: Manifest) -> None:
        """Raises ModelError where the file does not belong to this model."""
        for name in file.slots:
            check_encoder(file, manifest, name)
        self._readers = {name: NearestMean.fit(slot.windows) for name, slot in file.slots.items()}
        self.heads = {name: _head(manifest, name, r.labels) for name, r in self._readers.items()}
        """slot -> the head that it is read as, for whoever words it."""

    def perceive(self, features: Mapping[str, Features]) -> dict[str, TaskPercept]:
        """The taught head of each slot that is present."""
        found = {}
        for name in self._readers:
            if (seen := features.get(name)) is not None:
                found[self.heads[name].name] = self.read(name, seen.pooled)
        return found

    def read(self, slot: str, z: Float32) -> TaskPercept:
        """One window z (d,): known where it is no further from a class than that class was seen."""
        reader, head = self._readers[slot], self.heads[slot]
        values = reader.probabilities(z)
        best = int(values.argmax())
        novelty, probability = float(reader.novelty(z)), float(values[best])
        novel = novelty > head.novelty_threshold
        return TaskPercept(
            task=head.name,
            label=head.labels[best],
            probability=probability,
            probabilities={label: float(p) for label, p in zip(head.labels, values, strict=True)},
            alpha={slot: 1.0},
            novelty=novelty,
            known=probability >= head.threshold and not novel,
            possible=head.labels,  # nothing was held back to calibrate on, so none can be ruled out
            novel=novel,
        )

    def extend(self, manifest: Manifest) -> Manifest:
        """The manifest with the taught heads in it, for the sentences. No network serves them."""
        slots = tuple(
            s.model_copy(update={"heads": (*s.heads, self.heads[s.name].name)}) if s.name in self.heads else s
            for s in manifest.slots
        )
        tasks = (*manifest.tasks, *self.heads.values())
        return manifest.model_copy(update={"slots": slots, "tasks": tasks})


def fits(file: TaughtFile, manifest: Manifest, slot: str) -> bool:
    """Whether what a slot was taught belongs to its encoder in this model; True for nothing."""
    if (taught := file.slots.get(slot)) is None:
        return True
    d_token = manifest.adapter.d_token
    known = slot in {s.name for s in manifest.slots} and all(
        z.shape[1] == d_token for z in taught.windows.values()
    )
    return known and taught.encoder_sha256 == encoder_of(manifest, slot)


def check_encoder(file: TaughtFile, manifest: Manifest, slot: str) -> None:
    """Raise ModelError where what a slot was taught is of no use to this model."""
    if not fits(file, manifest, slot):
        raise ModelError(
            f'"{slot}" was taught with another encoder: its features mean nothing to {manifest.name} '
            f"{manifest.version}",
            hint=f"edge-agent teach {slot} --forget --all, then teach it again",
        )


def load(path: Path, manifest: Manifest) -> Taught | None:
    """What a device was taught, None for nothing. Raises TaughtError or ModelError."""
    file = TaughtFile.read(path)
    return Taught(file, manifest) if file.slots else None


def encoder_of(manifest: Manifest, slot: str) -> str:
    """The sha256 of a slot's encoder. Raises ModelError where the model has no such slot."""
    names = [s.name for s in manifest.slots]
    if slot not in names:
        raise ModelError(f'the model has no slot "{slot}"', hint=f"it has {', '.join(names)}")
    return manifest.files[manifest.slot(slot).encoder].sha256


def check_label(label: str) -> None:
    """Raise TaughtError for what cannot be a label: it is said in sentences and stands in topics' JSON."""
    sound = label.isprintable() and label == label.strip() and 0 < len(label) <= LONGEST_LABEL
    if not sound or label == UNKNOWN:
        raise TaughtError(
            f"{label!r} is no label",
            hint=f'1 to {LONGEST_LABEL} printable characters without blanks around them, and not "{UNKNOWN}"',
        )


def question_of(task: str, otherwise: str) -> str:
    """What is asked to hear of a task unasked: of taught ones no language model knows anything."""
    return QUESTION if task.startswith(PREFIX) else otherwise


def _head(manifest: Manifest, name: str, labels: Sequence[str]) -> TaskHead:
    slot: Slot = manifest.slot(name)
    own = {phrase.lower() for task in manifest.tasks for phrase in task.phrases}
    phrases = tuple(label.replace("_", " ") for label in labels)
    return TaskHead(
        name=f"{PREFIX}{name}",
        task=manifest.head(slot.heads[0]).task,
        # A class that the model has as well is asked of the model, unless the teaching is named.
        words=("taught", *(p.lower() for p in phrases if p.lower() not in own)),
        question=QUESTION,
        labels=tuple(labels),
        phrases=phrases,
        label_tokens=tuple(range(len(labels))),
        readout=f"Of what I was taught, {slot.description} shows",
        temperature=1.0,
        threshold=0.0,
        novelty_threshold=1.0,  # as far away as its class was seen
    )


def _slots(about: dict[str, Any], arrays: Mapping[str, Float32]) -> dict[str, TaughtSlot]:
    if about["format"] != FORMAT:
        raise ValueError(f"it is of format {about['format']}; this version reads {FORMAT}")
    found = {}
    for name, slot in about["slots"].items():
        windows = {label: _features(arrays[key]) for label, key in slot["classes"].items()}
        if not windows or len({z.shape[1] for z in windows.values()}) != 1:
            raise ValueError(f'the classes of "{name}" do not fit together')
        found[name] = TaughtSlot(str(slot["encoder_sha256"]), windows)
    return found


def _features(z: Float32) -> Float32:
    if z.dtype != np.float32 or z.ndim != 2 or len(z) < LEAST or not np.isfinite(z).all():
        raise ValueError(f"features of shape {z.shape} and type {z.dtype}")
    return z


def _thinned(z: Float32) -> Float32:
    if len(z) <= MOST_WINDOWS:
        return z
    kept: Float32 = z[np.linspace(0, len(z) - 1, MOST_WINDOWS).round().astype(int)]
    return kept
