"""What tests make up: the configuration of a run that was never trained."""

from typing import Any


def configuration(
    *,
    image_shape: tuple[int, int, int] = (1, 28, 28),
    class_names: tuple[str, ...] = tuple("0123456789"),
    images: int = 100,
) -> dict[str, Any]:
    """What training writes into recipe.json beside the recipe; `images` is the number of training images."""
    dataset = {
        "name": "digits",
        "image_shape": list(image_shape),
        "class_names": list(class_names),
        "train_images": images,
        "validation_images": 0,
        "test_images": 10,
        "data_dir": None,
        "digest": "",
    }
    return {
        "dataset": dataset,
        "execution": {"device": "cpu", "threads": 1, "precision": "fp32", "compiled": False},
        "versions": {},
    }
