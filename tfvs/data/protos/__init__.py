"""The message of a record, as generated code that needs no TensorFlow."""
