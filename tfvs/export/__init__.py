"""Export of a trained saccader as a SavedModel: its signatures, guards against bad input, and warm-up requests."""
