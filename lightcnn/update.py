"""What a step of training does beyond Adam on the cross-entropy of labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Update:
    """How each step changes the weights; by default as Adam does, and nothing else."""

    weight_decay: float = 0.0  # share of every parameter that a step of rate 1 would take: AdamW's
    averaging: float = (
        0.0  # what a step keeps of the running mean of the weights, which is the result; 0: none
    )
    temperature: float = 1.0  # of softmax where targets are learnt instead of labels
