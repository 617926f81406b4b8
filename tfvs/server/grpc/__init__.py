"""The gRPC services of TensorFlow Serving's API."""
