"""The train section as the network takes it."""

from __future__ import annotations

from netspec.frontend.program import Program
from netspec.plan.network import Settings


def settings_of(program: Program, *, threads: int | None = None) -> Settings:
    """Optimiser, batch and whatever else the network is built by; `threads` instead of the section's."""
    train = program.train
    return Settings(
        optimizer=train.optimizer, batch=train.batch, l2=train.l2, clip=train.clip, dtype=train.dtype, seed=program.seed,
        threads=threads if threads is not None else train.threads, fuse=train.fuse, drop_last=train.drop_last,
        weighted=train.class_weights is not None,
        augmentations=program.data.augmentations if program.data is not None else (),
    )  # fmt: skip
