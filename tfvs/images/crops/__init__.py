"""Crops: the crop rule on dense images, on tiles in the graph, and with libvips."""
