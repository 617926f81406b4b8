"""A SavedModel in a TensorFlow session: loading it, confining the paths it reads, and calling it with a time limit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, rewriter_config_pb2

INIT_SIGNATURE = "__saved_model_init_op"
DESCRIPTORS = "/proc/self/fd"

Step = Callable[[Sequence[np.ndarray], "float | None"], list[np.ndarray]]


def load_session(path: str) -> tuple[tf.compat.v1.Session, meta_graph_pb2.MetaGraphDef]:
    """Loads a SavedModel's serving graph with its variables, as TensorFlow Serving does."""
    threading, logger = tf.config.threading, tf.get_logger()
    config = tf.compat.v1.ConfigProto(
        allow_soft_placement=True,
        intra_op_parallelism_threads=threading.get_intra_op_parallelism_threads(),
        inter_op_parallelism_threads=threading.get_inter_op_parallelism_threads(),
    )
    # A second pass over the graph makes the first request of a signature a third slower, and later ones no faster.
    config.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=config)
    level = logger.level
    logger.setLevel("ERROR")  # else each process is told once to load in TF 2's way
    try:
        with graph.as_default():
            return session, tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], path)
    finally:
        logger.setLevel(level)


def replace_asset(
    session: tf.compat.v1.Session, definition: meta_graph_pb2.MetaGraphDef, path: str, name: str, contents: bytes
) -> int:
    """Lets the graph read one of its assets from memory: changes of the file do not matter.

    Args:
      session: With the model loaded.
      definition: Definition of the model.
      path: Folder of the SavedModel.
      name: The asset's file name.
      contents: What the graph is to read.

    Returns:
      The descriptor of the memory, to be kept open for as long as the session is used.
    """
    descriptor = os.memfd_create(name)
    os.write(descriptor, contents)
    feed = {
        asset.tensor_info.name: f"{DESCRIPTORS}/{descriptor}"
        if asset.filename == name
        else os.path.join(path, tf.saved_model.ASSETS_DIRECTORY, asset.filename)
        for asset in definition.asset_file_def
    }
    init = definition.signature_def[INIT_SIGNATURE].outputs[INIT_SIGNATURE].name
    session.run(session.graph.as_graph_element(init.removesuffix(":0")), feed)
    return descriptor


def make_step(session: tf.compat.v1.Session, signature: meta_graph_pb2.SignatureDef) -> Step:
    """A function from a signature's inputs, in its order, to its outputs, in its order.

    Its second argument is how many seconds it may take; above them it raises DeadlineExceededError. TensorFlow looks at
    the clock between operations, so one operation that has begun is finished.

    ``Session.run`` is the public way and takes about 0.9 ms more for 14 inputs and 10 outputs, as it looks up and
    checks every one by name at each call. The call below it is not public: where it is not as it was, the public one
    serves.
    """
    graph = session.graph
    feeds = [graph.get_tensor_by_name(info.name) for info in signature.inputs.values()]
    fetches = [graph.get_tensor_by_name(info.name) for info in signature.outputs.values()]
    return _direct_step(session, feeds, fetches) or public_step(session, feeds, fetches)


def public_step(session: tf.compat.v1.Session, feeds: list[tf.Tensor], fetches: list[tf.Tensor]) -> Step:
    """A step by ``Session.run``."""

    def step(inputs: Sequence[np.ndarray], timeout_s: float | None) -> list[np.ndarray]:
        return session.run(fetches, dict(zip(feeds, inputs, strict=True)), options=_run_options(timeout_s))

    return step


def _direct_step(session: tf.compat.v1.Session, feeds: list[tf.Tensor], fetches: list[tf.Tensor]) -> Step | None:
    """A step by what ``Session.run`` itself calls; None where this TensorFlow does not have it, or another."""
    try:
        from tensorflow.python.client import pywrap_tf_session as native

        new_buffer, delete_buffer = native.TF_NewBufferFromString, native.TF_DeleteBuffer
        call = session._call_tf_sessionrun
        sources = [tensor._as_tf_output() for tensor in feeds]
        names = [tensor.name for tensor in fetches]
        places = {name: place for place, name in enumerate(dict.fromkeys(names))}  # a tensor may be two outputs
        targets = [graph_tensor._as_tf_output() for graph_tensor in dict(zip(names, fetches, strict=True)).values()]
        session._extend_graph()  # Session.run does so at every call; the graph does not change any more
    except (ImportError, AttributeError):
        return None
    order = [places[name] for name in names]

    def step(inputs: Sequence[np.ndarray], timeout_s: float | None) -> list[np.ndarray]:
        options = _run_options(timeout_s)
        buffer = new_buffer(options.SerializeToString()) if options is not None else None
        try:
            outputs = call(buffer, dict(zip(sources, inputs, strict=True)), targets, [], None)
        finally:
            if buffer is not None:
                delete_buffer(buffer)
        return [outputs[place] for place in order]

    return step


def _run_options(timeout_s: float | None) -> tf.compat.v1.RunOptions | None:
    return None if timeout_s is None else tf.compat.v1.RunOptions(timeout_in_ms=max(1, int(timeout_s * 1000)))
