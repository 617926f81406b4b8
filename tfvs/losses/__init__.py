"""The bound's terms, and the gradient of choices."""

from tfvs.losses.bound import BoundTerms, bound_terms
from tfvs.losses.likelihoods import LIKELIHOODS, log_likelihood
from tfvs.losses.place_gradient import PLACE_GRADIENTS, attention_weights, place_surrogate

__all__ = [
    "LIKELIHOODS",
    "PLACE_GRADIENTS",
    "BoundTerms",
    "attention_weights",
    "bound_terms",
    "log_likelihood",
    "place_surrogate",
]
