"""The train section as the network and the training loop take it."""

from __future__ import annotations

from netspec.frontend.program import Program
from netspec.plan.network import Settings
from netspec.train.loop import Schedule
from netspec.train.team import Team


def settings_of(program: Program, *, threads: int | None = None, team: Team | None = None) -> Settings:
    """Optimiser, batch and whatever else the network is built by; `threads` instead of the section's. A process of a team has a part of
    each batch, and a part of its machine's cores where the section says nothing."""
    train = program.train
    if team is not None and threads is None and train.threads is None:
        threads = team.threads
    return Settings(
        optimizer=train.optimizer, batch=train.batch, l2=train.l2, clip=train.clip, dtype=train.dtype, seed=program.seed,
        threads=threads if threads is not None else train.threads, fuse=train.fuse, drop_last=train.drop_last,
        weighted=train.class_weights is not None,
        augmentations=program.data.augmentations if program.data is not None else (), share=team.share if team is not None else None,
    )  # fmt: skip


def schedule_of(program: Program, epochs: int) -> Schedule:
    """How a run of so many epochs goes, by rates that are those of the section's own count."""
    train = program.train
    return Schedule(
        train.optimizer, epochs, train.batch, train.lr_decay, train.drop_last, train.monitor_rows, train.schedule, train.epochs
    )  # fmt: skip
