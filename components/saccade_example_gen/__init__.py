"""The TFX component that turns raw images into Examples and pyramids."""

from components import without_tensorflow

without_tensorflow.load()
