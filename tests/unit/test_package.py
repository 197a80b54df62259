import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HEAVY = set("IPython altair anthropic anywidget ipywidgets markdown_it nh3 pandas pydantic tiktoken".split())


def python(code, folder):
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()


def files(folder):
    return {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}


def built(target, source, place):
    build = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(place)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (made,) = place.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    place = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)  # noqa: S202 (made by ourselves)
    return place


@pytest.fixture
def metadata(unpacked):
    (text,) = unpacked.glob("*.dist-info/METADATA")
    return Metadata.from_email(text.read_bytes())


def test_importing_the_package_imports_nothing_heavy():
    loaded = python("import sys, gallump_lab; print(*sys.modules, sep='\\n')", ROOT)
    assert "gallump_lab" in loaded
    assert HEAVY.isdisjoint(loaded)


def test_a_chart_leaves_the_kernels_check_of_iris_as_it_is():
    code = "from gallump_lab.lazy import alt; alt.Chart; import jsonschema; check = jsonschema.FormatChecker().conforms"
    code += "; print(check('http://gallump.example/ä', 'iri'), check('http://[no', 'iri'))"
    assert python(code, ROOT) == ["True False"]


def test_the_wheel_holds_the_package_its_data_and_the_notebooks(unpacked):
    wanted = {name for name in files("gallump_lab") if "__pycache__" not in name}
    wanted |= {f"_data/{name}" for name in files("data") if "__pycache__" not in name}
    wanted |= {f"_notebooks/{path.name}" for path in (ROOT / "notebooks").glob("0*.ipynb")} | {"_notebooks/faults.png"}
    assert "py.typed" in wanted
    found = {path.relative_to(unpacked / "gallump_lab").as_posix() for path in (unpacked / "gallump_lab").rglob("*.*")}
    assert found == wanted


def test_the_wheel_holds_nothing_else(unpacked):
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {"gallump_lab"}


def test_an_installed_wheel_finds_its_own_data(unpacked):
    code = f"from gallump_lab.bundled import bundled; print(*map(bundled, {sorted(files('data'))!r}), sep='\\n')"
    assert python(code, unpacked) == [str(unpacked / "gallump_lab" / "_data" / name) for name in sorted(files("data"))]


def test_a_wheel_made_from_the_sdist_is_the_one_made_from_the_checkout(wheel, tmp_path):
    with tarfile.open(built("sdist", ROOT, tmp_path / "sdist")) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("gallump_lab-*")
    with zipfile.ZipFile(built("wheel", source, tmp_path / "wheel")) as other, zipfile.ZipFile(wheel) as one:
        assert {name: other.read(name) for name in other.namelist()} == {
            name: one.read(name) for name in one.namelist()
        }


def test_an_installed_wheel_runs_the_command_and_copies_its_notebooks(unpacked, tmp_path):
    code = "import sys; from importlib.metadata import distribution as found\n"
    code += "(entry,) = found('gallump-lab').entry_points; print(sys.modules[entry.load().__module__].__file__)\n"
    code += "sys.exit(entry.load()(['notebooks', 'here']))"
    run = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    ran = subprocess.run(run, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[0] == str(unpacked / "gallump_lab" / "command.py")
    copied = unpacked / "gallump_lab" / "_notebooks"
    assert {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()} == {
        path.name: path.read_bytes() for path in copied.iterdir()
    }


def test_the_metadata_say_what_pyproject_says(metadata, unpacked):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert metadata.requires_python == project["requires-python"]
    assert set(metadata.provides_extra) == set(map(canonicalize_name, extras))
    assert len(metadata.requires_dist) == len(project["dependencies"]) + sum(map(len, extras.values()))
    assert (metadata.license_expression, metadata.license_files) == ("MIT", ["LICENSE"])
    (licence,) = unpacked.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description.strip() == (ROOT / "README.md").read_text().strip()
    pythons = [name.rpartition(" ")[2] for name in metadata.classifiers if "Python :: 3." in name]
    assert pythons == [minor for minor in (f"3.{n}" for n in range(30)) if minor in metadata.requires_python]
