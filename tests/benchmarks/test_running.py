import pytest

from benchmarks.running import parse_overrides


def test_overrides_are_fields_with_values_of_json():
    assert parse_overrides(["num_steps=4", 'state="lstm"', "cells=[30, 30]"]) == {
        "num_steps": 4,
        "state": "lstm",
        "cells": [30, 30],
    }
    with pytest.raises(ValueError, match="Expecting value"):
        parse_overrides(["state=lstm"])
