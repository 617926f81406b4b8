"""Progress counts each image once, whoever did it how often, and nothing that goes wrong with it reaches an image."""

import os
import time

import pytest

from components import progress
from components.progress import Done, shown, write_listed
from tests.waiting import wait_until


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "period_s", lambda folder: 0.01)


def _wait_for(told: list, wanted: tuple[int, int]) -> None:
    wait_until(lambda: told and told[-1] == wanted, timeout_s=20, told=lambda: told[-1:])


def test_what_is_done_twice_counts_once(tmp_path, at_once) -> None:
    told: list[tuple[int, int]] = []
    with shown(str(tmp_path / "progress"), lambda done, total: told.append((done, total))):
        write_listed(str(tmp_path / "progress"), 30)
        first, again = Done(str(tmp_path / "progress")), Done(str(tmp_path / "progress"))
        for number in range(20):
            first.add(f"image {number}")
        for number in range(10, 30):  # half of them after a retry on another worker
            again.add(f"image {number}")
        time.sleep(0.02)
        first.add("image 0")
        again.add("image 29")
        _wait_for(told, (30, 30))
    assert max(done for done, _ in told) == 30


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path, at_once) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = os.path.join(tmp_path, "file", "progress")
    with shown(folder, lambda done, total: None):
        write_listed(folder, 3)
        done = Done(folder)
        for number in range(3):
            time.sleep(0.02)
            done.add(f"image {number}")
