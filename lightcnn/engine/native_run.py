"""A network under training by the compiled engine."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from lightcnn.architecture import Architecture
from lightcnn.batch_norm import ShiftedNorm
from lightcnn.data import LabelledImages
from lightcnn.engine.native import NativeNetwork
from lightcnn.update import Update


class NativeRun:
    """A `lightcnn.torch_run.EpochRun` by the compiled engine.

    Args:
        network: with the initial weights.
        optimizer: of the state that `network` comes from; None at the start.
        update: how it is trained.
    """

    def __init__(
        self,
        architecture: Architecture,
        network: nn.Module,
        library: ctypes.CDLL,
        optimizer: dict[str, Any] | None,
        update: Update,
    ) -> None:
        self._network, self._update = network, update
        self._native = NativeNetwork(architecture, library)
        self._parameters = parameters_to_vector(network.parameters()).detach().clone()
        self._norms = [layer for layer in network.modules() if isinstance(layer, ShiftedNorm)]
        self._statistics = torch.cat([torch.empty(0), *(it for norm in self._norms for it in norm.buffers())])
        self._steps = 0
        self._moments = (torch.zeros_like(self._parameters), torch.zeros_like(self._parameters))
        self._averages = self._parameters.clone() if update.averaging else None
        if optimizer is not None:
            self._steps = optimizer["steps"]
            self._moments = (optimizer["first_moments"], optimizer["second_moments"])
            self._parameters = optimizer.get("parameters", self._parameters)

    def train_epoch(
        self,
        training: LabelledImages,
        order: Tensor,
        batch_size: int,
        rates: Sequence[float],
        originals: Tensor | None = None,
    ) -> float:
        """Mean loss over the batches."""
        loss = self._native.train(
            training,
            order,
            batch_size,
            rates,
            self._steps,
            self._parameters,
            self._moments,
            self._statistics,
            self._update,
            self._averages,
            originals,
        )
        self._steps += len(rates)
        return loss

    def measure(self, data: LabelledImages) -> tuple[float, float]:
        """Accuracy (fraction) and mean cross-entropy."""
        return self._native.measure(data, self._measured, self._statistics)

    def scores(self, data: LabelledImages) -> Tensor:
        """Before softmax, (num_images, num_classes)."""
        scores = torch.empty(len(data), self._native.architecture.task.num_classes)
        self._native.measure(data, self._measured, self._statistics, scores)
        return scores

    def content(self) -> dict[str, Any]:
        """Weights, as PyTorch names them, and the optimiser."""
        vector_to_parameters(self._measured, self._network.parameters())
        buffers = [buffer for norm in self._norms for buffer in norm.buffers()]
        for buffer, values in zip(
            buffers, torch.split(self._statistics, [len(it) for it in buffers]), strict=True
        ):
            buffer.copy_(values)
        first, second = self._moments
        optimizer = {"steps": self._steps, "first_moments": first, "second_moments": second}
        if self._averages is not None:
            optimizer["parameters"] = self._parameters  # the network's are their running means
        return {"network": self._network.state_dict(), "optimizer": optimizer}

    @property
    def _measured(self) -> Tensor:
        """The parameters that are the result."""
        return self._parameters if self._averages is None else self._averages
