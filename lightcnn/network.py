"""Architecture -> torch module."""

from __future__ import annotations

from torch import nn

from lightcnn.architecture import Architecture


def build(architecture: Architecture) -> nn.Sequential:
    """The network, with PyTorch's default initialisation drawn from its global generator.

    Shapes of LightCNN (`8-16-32-gap` on 28x28x1), B images:
        input                    (B,  1, 28, 28)
        conv 1-8,   max pool     (B,  8, 28, 28) -> (B,  8, 14, 14)
        conv 8-16,  max pool     (B, 16, 14, 14) -> (B, 16,  7,  7)
        conv 16-32               (B, 32,  7,  7)
        global average pooling   (B, 32,  1,  1)
        flatten, linear 32-10    (B, 32) -> (B, 10) class scores, no softmax

    ReLU stands after max pooling: the same function as before it, on a quarter of the elements.
    """
    task = architecture.task
    layers: list[nn.Module] = []
    channels = task.in_channels
    for block in architecture.blocks:
        layers.append(nn.Conv2d(channels, block.channels, block.kernel_size, padding=block.padding))
        if block.max_pool:
            layers.append(nn.MaxPool2d(2))
        layers.append(nn.ReLU(inplace=True))
        channels = block.channels
    if architecture.grid != architecture.map_side:
        layers.append(nn.AdaptiveAvgPool2d(architecture.grid))
    layers.append(nn.Flatten())
    features = channels * architecture.grid**2
    for width in architecture.hidden:
        layers += [nn.Linear(features, width), nn.ReLU(inplace=True)]
        features = width
    layers.append(nn.Linear(features, task.num_classes))
    return nn.Sequential(*layers)
