"""The compiled engine, called through ctypes: one network's gradients, epochs and measurements."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightcnn.architecture import Architecture, num_features, plan
from lightcnn.batch_norm import settled_batches
from lightcnn.data import LabelledImages
from lightcnn.engine.encoding import encode
from lightcnn.operations import Convolution
from lightcnn.update import PLAIN, Update

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
_FLOAT, _DOUBLE = ctypes.c_float, ctypes.c_double
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "network_create": (_POINTER, [_POINTER, _INT]),
    "network_free": (None, [_POINTER]),
    "network_num_parameters": (_LONG, [_POINTER]),
    "network_num_statistics": (_LONG, [_POINTER]),
    "network_gradient": (
        _DOUBLE,
        [*[_POINTER] * 4, _FLOAT, _POINTER, _FLOAT, _INT, _POINTER, _POINTER],
    ),
    "network_train": (
        _DOUBLE,
        [
            *(*[_POINTER] * 4, _FLOAT, _POINTER, _FLOAT),
            *(_POINTER, _LONG, _INT, _POINTER, _DOUBLE, _DOUBLE, _LONG),
            *(_POINTER, _LONG, *[_POINTER] * 5),
        ],
    ),
    "network_measure": (_LONG, [*[_POINTER] * 3, _LONG, *[_POINTER] * 4]),
    "resample_images": (None, [_POINTER, _LONG, _INT, _INT, _POINTER, _POINTER]),
}


def supports(architecture: Architecture) -> bool:
    """Whether the engine trains `architecture`: it does if there are convolutions.

    Without any, a network is a matrix product or two, at which PyTorch is as fast.
    """
    return any(isinstance(operation, Convolution) for operation in plan(architecture))


class NativeNetwork:
    """A network in the memory of the compiled engine. Parameters and moments stay with the caller.

    Parameters, their gradients and Adam's moments are flat float32 tensors, (num_parameters,), in the order
    of `torch.nn.utils.parameters_to_vector` of the module that `lightcnn.network.build` makes. Statistics of
    batch norms are one as well, (num_statistics,), of each norm the means and then the variances. A call
    releases the interpreter's lock; one network serves one thread at a time.

    Raises:
        ValueError: the engine does not train this architecture.
    """

    def __init__(self, architecture: Architecture, library: ctypes.CDLL) -> None:
        self.architecture = architecture
        self._library = library
        numbers = np.array(encode(architecture), np.int32)
        self._handle = library.network_create(numbers.ctypes.data, len(numbers))
        if not self._handle:
            raise ValueError(f"the engine trains networks with convolutions, but got {architecture}")
        self.num_parameters: int = library.network_num_parameters(self._handle)
        self.num_statistics: int = library.network_num_statistics(self._handle)

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self._library.network_free(self._handle)

    def gradient(
        self, data: LabelledImages, parameters: Tensor, update: Update = PLAIN
    ) -> tuple[float, Tensor]:
        """Loss of `data` as one batch, `lightcnn.update.loss_of`, and its gradient, (num_parameters,)."""
        gradient = torch.empty(self.num_parameters)
        loss = self._library.network_gradient(
            self._handle,
            *self._pointers(data),
            self._target_pointer(data),
            update.temperature,
            self._kept_pointer(data),
            update.gain,
            len(data),
            self._flat(parameters),
            self._flat(gradient),
        )
        return float(loss), gradient

    def train(
        self,
        data: LabelledImages,
        order: Tensor,
        batch_size: int,
        rates: Sequence[float],
        steps_before: int,
        parameters: Tensor,
        moments: tuple[Tensor, Tensor],
        statistics: Tensor,
        update: Update,
        averages: Tensor | None = None,
        originals: Tensor | None = None,
    ) -> float:
        """Train one epoch; `parameters`, `moments`, `statistics` and `averages` are changed in place.

        Args:
            order: (num_images,), int64, indices of the images in the order in which they are met.
            rates: learning rate of each batch.
            steps_before: batches of the epochs before.
            moments: Adam's running means of the gradient and of its square.
            statistics: with which batch norms measure, as `lightcnn.batch_norm.settle` takes them.
            averages: running means of the parameters, for which the statistics then are.
            originals: the images for the statistics, where those of `data` are augmented.

        Returns:
            Mean loss over the batches, as they were met.
        """
        schedule = np.asarray(rates, np.float64)
        low, high = (int(value) for value in order.aminmax())
        if order.dtype != torch.int64 or not order.is_contiguous() or not 0 <= low <= high < len(data):
            raise ValueError(
                f"an order must be int64 from 0 to {len(data) - 1}, but got {order.dtype} {low} to {high}"
            )
        if len(schedule) != -(-len(order) // batch_size):
            raise ValueError(f"each batch needs a rate, but got {len(schedule)} rates")
        loss = self._library.network_train(
            self._handle,
            *self._pointers(data),
            self._target_pointer(data),
            update.temperature,
            self._kept_pointer(data),
            update.gain,
            order.data_ptr(),
            len(order),
            batch_size,
            schedule.ctypes.data,
            update.weight_decay,
            update.averaging,
            steps_before,
            self._pointers(data if originals is None else replace(data, images=originals))[0],
            settled_batches(len(order), batch_size),
            self._flat(parameters),
            *map(self._flat, moments),
            None if averages is None else self._flat(averages),
            self._flat(statistics, self.num_statistics),
        )
        return float(loss)

    def measure(
        self, data: LabelledImages, parameters: Tensor, statistics: Tensor, scores: Tensor | None = None
    ) -> tuple[float, float]:
        """Accuracy (fraction) and mean cross-entropy on `data`.

        Args:
            scores: (num_images, num_classes), float32, to be filled with those of each image.
        """
        shape = (len(data), self.architecture.task.num_classes)
        assert scores is None or (tuple(scores.shape) == shape and scores.is_contiguous())
        loss = _DOUBLE()
        correct = self._library.network_measure(
            self._handle,
            *self._pointers(data),
            len(data),
            self._flat(parameters),
            self._flat(statistics, self.num_statistics),
            ctypes.byref(loss),
            None if scores is None else scores.data_ptr(),
        )
        return correct / len(data), loss.value

    def _pointers(self, data: LabelledImages) -> tuple[int, int]:
        """Of images and labels, once nothing in them can lead the engine outside its memory."""
        task = self.architecture.task
        shape = (len(data), task.in_channels, task.image_size, task.image_size)
        images, labels = data.images, data.labels
        if tuple(images.shape) != shape or images.dtype != torch.float32 or not images.is_contiguous():
            raise ValueError(
                f"images must be contiguous float32 of shape {shape}, but got {images.dtype} "
                f"of shape {tuple(images.shape)} and strides {images.stride()}"
            )
        low, high = (int(value) for value in labels.aminmax())
        if (
            labels.dtype != torch.int64
            or not labels.is_contiguous()
            or not 0 <= low <= high < task.num_classes
        ):
            raise ValueError(
                f"labels must be contiguous int64 from 0 to {task.num_classes - 1}, "
                f"but got {labels.dtype} from {low} to {high}"
            )
        return images.data_ptr(), labels.data_ptr()

    def _target_pointer(self, data: LabelledImages) -> int | None:
        """Of the targets, checked likewise; None if there are none."""
        if (targets := data.targets) is None:
            return None
        shape = (len(data), self.architecture.task.num_classes)
        if tuple(targets.shape) != shape or targets.dtype != torch.float32 or not targets.is_contiguous():
            raise ValueError(
                f"targets must be contiguous float32 of shape {shape}, but got {targets.dtype} "
                f"of shape {tuple(targets.shape)}"
            )
        return targets.data_ptr()

    def _kept_pointer(self, data: LabelledImages) -> int | None:
        """Of the features that dropout keeps, checked likewise; None if it keeps all."""
        if (kept := data.kept) is None:
            return None
        shape = (len(data), num_features(self.architecture))
        if tuple(kept.shape) != shape or kept.dtype != torch.bool or not kept.is_contiguous():
            raise ValueError(
                f"what is kept must be contiguous bool of shape {shape}, but got {kept.dtype} "
                f"of shape {tuple(kept.shape)}"
            )
        return kept.data_ptr()

    def _flat(self, values: Tensor, number: int | None = None) -> int:
        number = self.num_parameters if number is None else number
        assert values.shape == (number,) and values.dtype == torch.float32
        assert values.is_contiguous()
        return values.data_ptr()


def open_library(path: Path) -> ctypes.CDLL:
    """The functions of a compiled engine.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it is not an engine.
    """
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
