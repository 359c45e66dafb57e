"""A network under training by PyTorch: on the CPU the reference for other engines, and the way on GPUs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lightcnn.batch_norm import settle, settled_batches
from lightcnn.data import LabelledImages
from lightcnn.measurement import laid_out, measure
from lightcnn.update import PLAIN, Update, loss_of

WARM_UP_STEPS = 3  # before a step is captured: cuDNN, cuBLAS and Adam make what they keep


class EpochRun(Protocol):
    """A network under training, an epoch at a time, with its optimiser."""

    def train_epoch(
        self,
        training: LabelledImages,
        order: Tensor,
        batch_size: int,
        rates: Sequence[float],
        originals: Tensor | None = None,
    ) -> float:
        """Train one epoch; the mean loss over its batches. What batch norms measure with is settled then.

        Args:
            order: (num_images,), int64, indices of the images in the order in which they are met.
            rates: learning rate of each batch.
            originals: where images are augmented, those without, (num_images, C, H, W): batch norms settle
                on them, as a network is measured on such images.
        """

    def measure(self, data: LabelledImages) -> tuple[float, float]:
        """Accuracy (fraction) and mean cross-entropy."""

    def content(self) -> dict[str, Any]:
        """Weights, as PyTorch names them, and the optimiser: `{"network": ..., "optimizer": ...}`."""


class CpuRun:
    """`EpochRun` by PyTorch on the CPU.

    Args:
        network: with the initial weights.
        optimizer: of the state that `network` comes from; None at the start.
        update: how it is trained.
    """

    def __init__(self, network: nn.Module, optimizer: dict[str, Any] | None, update: Update = PLAIN) -> None:
        self._update = update
        self._network = network.to(memory_format=torch.channels_last)
        self._measured = _measured(self._network, update)
        self._adam = torch.optim.AdamW(
            self._network.parameters(), weight_decay=update.weight_decay, fused=True
        )
        if optimizer is not None:
            _load(self._adam, optimizer, capturable=False)

    def train_epoch(
        self,
        training: LabelledImages,
        order: Tensor,
        batch_size: int,
        rates: Sequence[float],
        originals: Tensor | None = None,
    ) -> float:
        """See `EpochRun`."""
        self._network.train()
        losses = []
        for batch, rate in zip(torch.split(order, batch_size), rates, strict=True):
            self._adam.param_groups[0]["lr"] = rate
            losses.append(_step(self._network, self._adam, training.subset(batch), self._update))
            self._update.average(self._measured, self._network)
        _settle(self._measured, training.images if originals is None else originals, order, batch_size)
        return torch.stack(losses).mean().item()

    def measure(self, data: LabelledImages) -> tuple[float, float]:
        """See `EpochRun`."""
        return measure(self._measured, data)

    def content(self) -> dict[str, Any]:
        """See `EpochRun`."""
        return _content(self._measured, self._network, self._adam)


class GpuRun:
    """`EpochRun` by PyTorch on the GPU that the process sees.

    A network of a few thousand parameters leaves a GPU waiting for the host at each of its 50 kernels. So a
    step is captured once as a CUDA graph, and replayed: which batch it takes, and at which rate, it reads on
    the device, from a position that it moves on itself. An epoch speaks with the host once, at its end. The
    first steps are taken plainly, as is a last batch that is smaller than the others.

    Convolutions and matrix products are of full float32: TF32 makes such a step at most 6 % faster.

    Args:
        network, optimizer: as for `CpuRun`.
        captured: False takes every step plainly: the reference of what the graph computes.
        update: as for `CpuRun`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: dict[str, Any] | None,
        captured: bool = True,
        update: Update = PLAIN,
    ) -> None:
        self._update = update
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self._network = network.to("cuda")
        self._measured = _measured(self._network, update)
        self._rate = torch.zeros((), device="cuda")
        self._adam = torch.optim.AdamW(
            self._network.parameters(),
            lr=self._rate,
            weight_decay=update.weight_decay,
            fused=True,
            capturable=True,
        )
        if optimizer is not None:
            _load(self._adam, optimizer, lr=self._rate, capturable=True)
        self._captured = captured
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # nothing can be captured on the default one
        self._training: LabelledImages | None = None
        self._batch_size = self._taken = 0  # images of a batch, and the steps of the epoch that are taken
        # The graph holds their addresses, so that what a later epoch needs is copied into them.
        self._order = self._rates = self._losses = torch.empty(0)
        self._position = torch.zeros(1, dtype=torch.int64, device="cuda")  # of the batch that comes next

    def train_epoch(
        self,
        training: LabelledImages,
        order: Tensor,
        batch_size: int,
        rates: Sequence[float],
        originals: Tensor | None = None,
    ) -> float:
        """See `EpochRun`; all epochs of a run have as many images, on the GPU, and the same batch size."""
        self.begin_epoch(training, order, batch_size, rates)
        for _ in rates:
            self.take_step()
        return self.mean_loss(originals)

    def begin_epoch(
        self, training: LabelledImages, order: Tensor, batch_size: int, rates: Sequence[float]
    ) -> None:
        """Make ready for the epoch's steps, which may be taken in turns with those of other runs."""
        self._network.train()
        self._batch_size, self._taken = batch_size, 0
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            if self._training is None:
                self._training = training
            for held, new in (
                (self._training.images, training.images),
                (self._training.targets, training.targets),
                (self._training.kept, training.kept),
            ):
                if held is not None and new is not None and held is not new:
                    held.copy_(new)
            if not len(self._order):
                self._order = torch.empty_like(order, device="cuda")
                self._rates, self._losses = torch.empty(2, len(rates), device="cuda")
            self._order.copy_(order)
            self._rates.copy_(torch.tensor(rates))
            self._position.zero_()

    def take_step(self) -> None:
        """Have the GPU take the epoch's next step, without waiting for it."""
        num_left = len(self._order) - self._taken * self._batch_size
        with torch.cuda.stream(self._stream):
            if (
                not self._captured
                or num_left < self._batch_size
                or (self._graph is None and self._taken < WARM_UP_STEPS)
            ):
                self._step(min(num_left, self._batch_size))
            else:
                if self._graph is None:
                    self._graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(self._graph, stream=self._stream):
                        self._step(self._batch_size)
                self._graph.replay()
        self._taken += 1

    def mean_loss(self, originals: Tensor | None = None) -> float:
        """Over the batches of the epoch, once all its steps are taken, and batch norms settled."""
        assert self._training is not None
        with torch.cuda.stream(self._stream):
            images = self._training.images if originals is None else originals
            _settle(self._measured, images, self._order, self._batch_size)
            return self._losses.mean().item()

    def _step(self, num_images: int) -> None:
        assert self._training is not None
        first = self._position * self._batch_size
        batch = self._order[first + torch.arange(num_images, device="cuda")]
        self._rate.copy_(self._rates[self._position].squeeze())
        loss = _step(self._network, self._adam, self._training.subset(batch), self._update)
        self._update.average(self._measured, self._network)
        self._losses.index_copy_(0, self._position, loss[None])
        self._position += 1

    def measure(self, data: LabelledImages) -> tuple[float, float]:
        """See `EpochRun`."""
        return measure(self._measured, data)

    def content(self) -> dict[str, Any]:
        """See `EpochRun`."""
        return _content(self._measured, self._network, self._adam)


def _measured(network: nn.Module, update: Update) -> nn.Module:
    """The network that is the result of training `network`: it, or one that holds its running means."""
    return copy.deepcopy(network) if update.averaging else network


def _content(measured: nn.Module, network: nn.Module, adam: torch.optim.Adam) -> dict[str, Any]:
    optimizer = adam.state_dict()
    if measured is not network:
        optimizer["parameters"] = [weight.detach() for weight in network.parameters()]
    return {"network": measured.state_dict(), "optimizer": optimizer}


def _load(adam: torch.optim.Adam, state: dict[str, Any], **options: Any) -> None:
    """Have `adam` go on from `state`, with these `options`, whichever device the state was made on."""
    weights = state.get("parameters", [])  # those that the network's are the running means of
    adam.load_state_dict({name: state[name] for name in ("state", "param_groups")})
    adam.param_groups[0] |= options
    with torch.no_grad():
        for weight, own in zip(adam.param_groups[0]["params"], weights, strict=bool(weights)):
            weight.copy_(own)
    for weight, kept in adam.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            kept[name] = torch.empty_like(weight).copy_(kept[name])  # laid out as the weight is


def _step(network: nn.Module, adam: torch.optim.Adam, batch: LabelledImages, update: Update) -> Tensor:
    """Take one step of `adam`; the loss before it, without its graph."""
    adam.zero_grad()
    kept = None if batch.kept is None else batch.kept * update.gain
    loss = loss_of(network(laid_out(batch.images), kept), batch, update.temperature)
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()
    return loss.detach()


def _settle(network: nn.Module, images: Tensor, order: Tensor, batch_size: int) -> None:
    """Settle the batch norms of `network`, which is in training mode, on the first batches of `order`."""
    batches = torch.split(order, batch_size)[: settled_batches(len(order), batch_size)]
    settle(network, (laid_out(images[batch]) for batch in batches))
