"""Evaluation of an exported model on prepared data: answers, scores, calibration and a page of results."""
