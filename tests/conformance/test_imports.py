"""Who may import whom: an arrow the wrong way fails here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A package of tfvs may import those in the rows above its own, and what its row names besides.
LAYERS = (
    {"errors", "version", "_environment", "paths", "code_digest"},
    {"config", "flags"},
    {"ops", "data.example", "data.features", "data.protos", "data.records"},
    {"images", "data", "datasets", "preparation", "storage", "viz"},
    {"layers", "backbones"},
    {"losses", "metrics"},
    {"models"},
    {"training", "export", "doctor", "evaluation", "inspection"},
    {"server", "client"},
    {"cli"},
    {"__init__", "__main__"},
)
NEVER_MODELS = {"images", "data", "datasets", "preparation", "storage", "viz", "server", "client"}
APART = ({"server", "client"}, {"training", "export"}, {"training", "server"}, {"training", "client"})


def imported(path: Path) -> set[str]:
    """Absolute names of all imports in a file, those inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            assert node.module
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def rank(module: str) -> int | None:
    """Row of `tfvs.<module>` in LAYERS; the most specific name wins."""
    parts = module.split(".")[1:] or ["__init__"]
    for length in (2, 1):
        name = ".".join(parts[:length])
        for row, names in enumerate(LAYERS):
            if name in names:
                return row
    return None


@pytest.mark.parametrize("path", sources("tfvs"), ids=lambda path: str(path.relative_to(ROOT)))
def test_tfvs_imports_downwards(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    names = imported(path)
    assert not {name.split(".")[0] for name in names} & {"tfx", "apache_beam", "components", "pipelines", "benchmarks"}
    assert not {name.split(".")[0] for name in names} & {"tests"}
    own = rank(module)
    assert own is not None, f"{module} has no row in LAYERS"
    for name in names:
        if name.startswith("tfvs."):
            other = rank(name)
            assert other is None or other <= own, f"{module} imports {name}"
    package = module.split(".")[1] if "." in module else ""
    if package in NEVER_MODELS:
        assert not any(name.startswith("tfvs.models") for name in names)
    for pair in APART:
        if package in pair:
            (other_package,) = pair - {package}
            assert not any(name.split(".")[:2] == ["tfvs", other_package] for name in names)


@pytest.mark.parametrize("path", sources("components"), ids=lambda path: str(path.relative_to(ROOT)))
def test_components_do_not_import_pipelines(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"pipelines", "benchmarks", "tests"}


def test_import_is_quiet_and_needs_neither_tfx_nor_beam() -> None:
    script = (
        "import sys, tfvs; tfvs.VariationalSaccader\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'tfx', 'apache_beam'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


@pytest.mark.tfx
def test_tensorflow_transform_does_not_switch_keras() -> None:
    """It sets TF_USE_LEGACY_KERAS=1 where it is unset, and TensorFlow Probability then fails to import."""
    script = (
        "import tfvs, tensorflow_transform, tensorflow_probability, tensorflow as tf; print(tf.keras.__version__[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "3"
