"""The data contract: Examples, and the tf.data pipelines that read them."""
