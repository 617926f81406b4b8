"""Names of the model's optional inputs, beside the proxy and the image."""

from __future__ import annotations

# [B, 4] float32 [y0, x0, y1, x1] in [0, 1]: looks begin in this part of the image alone.
FIELD_OF_VIEW = "field_of_view"
# [B, P, h, w, 4] uint8 red, green, blue, opacity, with [B, P, 4] float32 boxes: laid over the image where it is read.
PASTES = "pastes"
PASTE_BOXES = "paste_boxes"
# [B] uint8, 1: the image is to be seen mirrored, left for right; proxy and paste boxes are given as they are seen.
MIRRORED = "mirrored"
OPTIONAL_INPUTS = (FIELD_OF_VIEW, PASTES, PASTE_BOXES, MIRRORED)
