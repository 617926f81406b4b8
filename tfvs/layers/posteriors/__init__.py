"""Posteriors over places: what the recurrent cell proposes at each step."""

from tfvs.layers.posteriors.categorical import CategoricalPosterior
from tfvs.layers.posteriors.gaussian import GaussianPosterior
from tfvs.layers.posteriors.proposal import PlaceProposal, Proposal

__all__ = ["CategoricalPosterior", "GaussianPosterior", "PlaceProposal", "Proposal"]
