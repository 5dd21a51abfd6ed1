"""The file that training starts from, which is not every model that computes."""

from __future__ import annotations

from pathlib import Path

from cropseg_geo.errors import ModelError
from cropseg_geo.model.onnx_file import SUFFIX
from cropseg_geo.model.zoo import find_model


def find_weights(name_or_path: str | Path) -> Path:
    """The safetensors file of a model. Raises ModelError for its ONNX form, or where there is none."""
    path = find_model(name_or_path)
    if path.suffix.lower() != SUFFIX:
        return path
    beside = path.with_suffix(".safetensors")
    raise ModelError(
        f"{path} is a model's ONNX form, which holds no weights to train or convert",
        remedy=f"give {beside}, which lies beside it"
        if beside.is_file()
        else "give the .safetensors file that it was made from",
    )
