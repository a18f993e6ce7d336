"""A run in forms for other programs: a page that computes its network, ONNX, safetensors for the Hub, TensorBoard's."""

from etude.exports.exporting import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]
