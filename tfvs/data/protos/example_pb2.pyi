from typing import Any

Example: Any
Feature: Any
