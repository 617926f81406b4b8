"""The model server: TensorFlow Serving's gRPC and REST APIs over SavedModels."""
