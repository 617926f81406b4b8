"""Posteriors over places: what the recurrent cell proposes at each step."""
