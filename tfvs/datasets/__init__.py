"""Datasets: generators of the paper's data and readers of public data sets."""
