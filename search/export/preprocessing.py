"""What turns an image file into a network's input, for those who have only what was exported."""

from __future__ import annotations

import json

from lightcnn.data import Dataset
from lightcnn.decoding import Preprocessing

RAW_INPUT = "image"  # of ONNX that does the preprocessing itself


def preprocessing_of(dataset: Dataset) -> Preprocessing:
    """What was done to the images of `dataset`; those of a published one it leaves as they are."""
    mode = "L" if dataset.task.in_channels == 1 else "RGB"
    return Preprocessing(dataset.task.image_size, mode, dataset.background)


def metadata(dataset: Dataset) -> dict[str, str]:
    """As JSON by key: the names of the classes in the order of the scores, and the preprocessing."""
    it = preprocessing_of(dataset)
    steps = {
        "frame": "first",
        "orientation": "turned upright by the EXIF tag",
        "background": it.background,  # of what is transparent
        "mode": it.mode,  # Pillow's
        "size": [it.side, it.side],
        "resize": "whatever the proportions; Pillow's BILINEAR, antialiased, columns before rows",
        "scale": "byte / 255",
        "layout": "NCHW",
    }
    return {"classes": classes_json(dataset), "preprocessing": json.dumps(steps)}


def classes_json(dataset: Dataset) -> str:
    """The names of the classes in the order of the scores."""
    return json.dumps(dataset.classes, ensure_ascii=False)


def script(name: str, it: Preprocessing, does_it_itself: bool) -> str:
    """Python that prints the class of an image file, by the ONNX file `name`.

    Args:
        does_it_itself: whether the preprocessing is within that file.
    """
    opened = "ImageOps.exif_transpose(Image.open(sys.argv[1])).convert('RGBA')"
    size, bilinear = f"({it.side}, {it.side})", "Image.Resampling.BILINEAR"
    if does_it_itself:
        steps = [f"scores = session.run(None, {{{RAW_INPUT!r}: np.asarray({opened})}})[0]"]
    else:
        steps = [
            f"image = {opened}",
            f"ground = Image.new('RGBA', image.size, {it.background!r})",
            f"image = Image.alpha_composite(ground, image).convert({it.mode!r})",
            f"image = image.resize(({it.side}, image.height), {bilinear}).resize({size}, {bilinear})",
            f"pixels = np.asarray(image, np.float32).reshape(1, {it.side}, {it.side}, {len(it.mode)}) / 255",
            "scores = session.run(None, {'images': pixels.transpose(0, 3, 1, 2)})[0]",
        ]
    lines = [
        "import json, sys",
        "import numpy as np, onnxruntime",
        "from PIL import Image, ImageOps",
        "",
        f"session = onnxruntime.InferenceSession({name!r})",
        *steps,
        "classes = json.loads(session.get_modelmeta().custom_metadata_map['classes'])",
        "print(classes[scores.argmax()])",
    ]
    return "\n".join(lines)
