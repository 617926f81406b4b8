"""Resolvers for the previous blessed model and the previous data set, which new ones are compared with.

TFX's own strategies also find what the present run has just made, so that a model would be compared with itself when
the same run is repeated, and be evaluated and pushed once more. These leave it out: the same run has the same inputs,
and TFX's cache sees that.
"""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.common.resolver import Resolver, ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import artifact as artifacts
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

MODEL, BLESSING, STATISTICS, CURRENT = "model", "model_blessing", "statistics", "current"
Artifacts = dict[str, list[artifacts.Artifact]]


class LatestOtherBlessedModel(ResolverStrategy):
    """Finds the newest blessed model other than the current one; the first run has none."""

    def resolve_artifacts(self, store: Any, input_dict: Artifacts) -> Artifacts | None:
        """Resolves the artifacts; TFX calls this method.

        Args:
          store: The store of ML Metadata.
          input_dict: All ``model``, all ``model_blessing``, and the ``current`` model.

        Returns:
          The same keys, each with one artifact or none.
        """
        current = {artifact.id for artifact in input_dict[CURRENT]}
        blessings = {
            blessing.get_int_custom_property("current_model_id"): blessing
            for blessing in sorted(input_dict[BLESSING], key=lambda artifact: artifact.id)
            if blessing.get_int_custom_property("blessed") == 1
        }
        others = [model for model in input_dict[MODEL] if model.id in blessings and model.id not in current]
        found = sorted(others, key=lambda artifact: artifact.id)[-1:]
        return {MODEL: found, BLESSING: [blessings[model.id] for model in found], CURRENT: input_dict[CURRENT]}


class LatestOtherStatistics(ResolverStrategy):
    """Finds the newest statistics other than the current ones.

    The first run gets its own statistics, from which nothing drifts."""

    def resolve_artifacts(self, store: Any, input_dict: Artifacts) -> Artifacts | None:
        """Resolves the artifacts; TFX calls this method.

        Args:
          store: The store of ML Metadata.
          input_dict: All ``statistics``, and the ``current`` ones.

        Returns:
          The same keys, with one artifact each.
        """
        current = {artifact.id for artifact in input_dict[CURRENT]}
        others = [artifact for artifact in input_dict[STATISTICS] if artifact.id not in current]
        found = sorted(others, key=lambda artifact: artifact.id)[-1:]
        return {STATISTICS: found or input_dict[CURRENT], CURRENT: input_dict[CURRENT]}


def previous_blessed_model(current: Any, *, stock: bool = False) -> Any:
    """The resolver node of the previous blessed model.

    Args:
      current: Channel of the model under evaluation.
      stock: Use TFX's own strategy, the only kind that Kubeflow supports.
    """
    channels: dict[str, Any] = {
        MODEL: Channel(type=standard_artifacts.Model),
        BLESSING: Channel(type=standard_artifacts.ModelBlessing),
    }
    strategy: Any = LatestBlessedModelStrategy
    if not stock:
        strategy, channels[CURRENT] = LatestOtherBlessedModel, current
    return Resolver(strategy_class=strategy, **channels).with_id("latest_blessed_model")


def previous_statistics(current: Any, *, stock: bool = False) -> Any:
    """The resolver node of the previous statistics.

    Args:
      current: Channel of the statistics under validation.
      stock: Use TFX's own strategy, the only kind that Kubeflow supports.
    """
    channels: dict[str, Any] = {STATISTICS: Channel(type=standard_artifacts.ExampleStatistics)}
    strategy: Any = LatestArtifactStrategy
    if not stock:
        strategy, channels[CURRENT] = LatestOtherStatistics, current
    return Resolver(strategy_class=strategy, **channels).with_id("previous_statistics")
