"""Why an image is answered as not valid: the sentences of the output ``reason``."""

from __future__ import annotations

from tfvs.ops.jpeg_markers import MAX_SCANS

NOT_AN_EXAMPLE = "the record is no tf.Example with a PNG proxy of the model's size"
NO_PYRAMID = "the pyramid cannot be read: outside the image roots, missing, damaged, or not as its index says"
NO_IMAGE = "the image is no JPEG or PNG that can be decoded"
TOO_MANY_SCANS = f"the JPEG image has more than {MAX_SCANS} scans"
TOO_LARGE = "the image has more pixels than the export allows"
PROFILED = "the image has a colour profile or colours other than sRGB, which the graph cannot convert: convert it first"
TOO_LONG = "the model's images were reduced to {} pixels, which the graph cannot do: reduce the image first"
NO_SIZE = "the image size is not positive"
NOT_FINITE_PROXY = "the proxy has values that are not finite"
NOT_FINITE_CROPS = "the crops have values that are not finite"
NOT_FINITE_ANSWER = "the model's answer is not finite"
