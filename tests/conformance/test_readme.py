"""What the README shows runs as it stands."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_keras_example(tmp_path, monkeypatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    script = tmp_path / "example.py"
    script.write_text(blocks[0])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "m.keras").exists()


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_its_exit_codes_are_the_errors() -> None:
    import tfvs.errors

    kinds = [kind for kind in vars(tfvs.errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")]
    documented = set(map(int, re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)))
    assert {kind.exit_code for kind in kinds} <= documented
