import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = set("IPython altair anthropic anywidget ipywidgets markdown_it nh3 pandas pydantic tiktoken".split())


def python(code, folder):
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()


def files(folder):
    return {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(place)
    return place


def test_importing_the_package_imports_nothing_heavy():
    loaded = python("import sys, gallump_lab; print(*sys.modules, sep='\\n')", ROOT)
    assert "gallump_lab" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_a_chart_leaves_the_kernels_check_of_iris_as_it_is():
    code = "from gallump_lab.lazy import alt; alt.Chart; import jsonschema; check = jsonschema.FormatChecker().conforms"
    code += "; print(check('http://gallump.example/ä', 'iri'), check('http://[no', 'iri'))"
    assert python(code, ROOT) == ["True False"]


def test_the_wheel_holds_the_package_and_its_data(unpacked):
    wanted = {name for name in files("gallump_lab") if "__pycache__" not in name}
    wanted |= {f"_data/{name}" for name in files("data")}
    found = {path.relative_to(unpacked / "gallump_lab").as_posix() for path in (unpacked / "gallump_lab").rglob("*.*")}
    assert found == wanted


def test_the_wheel_holds_nothing_else(unpacked):
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {"gallump_lab"}


def test_an_installed_wheel_finds_its_own_data(unpacked):
    code = f"from gallump_lab.bundled import bundled; print(*map(bundled, {sorted(files('data'))!r}), sep='\\n')"
    assert python(code, unpacked) == [str(unpacked / "gallump_lab" / "_data" / name) for name in sorted(files("data"))]
