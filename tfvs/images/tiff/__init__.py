"""Pyramid TIFFs: directories, tile indices, TFRecord frames and writing."""
