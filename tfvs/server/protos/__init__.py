"""Messages of TensorFlow Serving's configuration files that the package of its protos lacks, as generated code."""
