"""What lies around the code: metadata, workflows, issue forms, the hook before a commit."""

import ast
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = ROOT / "CITATION.cff"
HOOKS = ROOT / ".pre-commit-config.yaml"
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
FORMS = sorted(set(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml")) - {*ROOT.glob("**/config.yml")})
YAML = [CITATION, HOOKS, *sorted((ROOT / ".github").rglob("*.yml"))]


def read(path):
    return yaml.safe_load(path.read_text("utf-8"))


def sessions():
    """Return the sessions of the noxfile: their names, and the syntax trees of their functions."""
    functions = ast.parse((ROOT / "noxfile.py").read_text("utf-8")).body
    found = {}
    for function in functions:
        for mark in getattr(function, "decorator_list", []):
            if "nox.session" in ast.unparse(mark):
                said = [each.value for each in getattr(mark, "keywords", []) if each.arg == "name"]
                found[ast.literal_eval(said[0]) if said else function.name] = function
    return found


def asked(text):
    """Return the sessions that a text runs, whatever stands around its calls of nox."""
    found = []
    for call in re.findall(r"\bnox ((?:-\w+ )*-s [^`\n&;]+)", text):
        words = shlex.split(call, comments=True)
        rest = words[words.index("-s") + 1 :]
        ends = [i for i, word in enumerate(rest) if word.startswith("-")]
        found += rest[: ends[0] if ends else None]
    return found


def jobs(path):
    return read(path)["jobs"].items()


def steps():
    """Return every step of every workflow, with the name of its file."""
    return [
        (path.name, step)
        for path in WORKFLOWS
        for _, job in jobs(path)
        for step in job.get("steps", [])
    ]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_the_file_can_be_read(path):
    assert isinstance(read(path), dict)


# The package's metadata


def metadata(monkeypatch, **environment):
    """Return the metadata as the build backend reads them."""
    for name in ("HANDBOOK_REPOSITORY", "HANDBOOK_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    core = ProjectMetadata(str(ROOT), PluginManager()).core
    core.validate_fields()  # each classifier is one that the index knows
    return core


def test_the_metadata_name_no_address_that_was_not_given(monkeypatch):
    assert metadata(monkeypatch).urls == {}
    assert metadata(monkeypatch, HANDBOOK_REPOSITORY="", HANDBOOK_BASE_URL="").urls == {}


def test_every_address_comes_from_the_environment(monkeypatch):
    urls = metadata(
        monkeypatch,
        HANDBOOK_REPOSITORY="https://example.org/code/",
        HANDBOOK_BASE_URL="https://example.org/site/",
    ).urls
    assert urls == {
        "Documentation": "https://example.org/site/",
        "Source": "https://example.org/code",
        "Issues": "https://example.org/code/issues",
        "Changelog": f"https://example.org/code/blob/v{PROJECT['version']}/CHANGELOG.md",
    }


def test_the_classifiers_name_the_pythons_that_are_tested():
    (mark,) = (
        mark
        for mark in sessions()["compat"].decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "nox.session"
    )
    tested = ast.literal_eval(mark.keywords[0].value)
    named = re.findall(r"Python :: (\d\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert named == tested
    assert PROJECT["requires-python"] == f">={tested[0]}"
    workflow = read(ROOT / ".github/workflows/ci.yml")
    assert workflow["jobs"]["compat"]["strategy"]["matrix"]["python"] == tested


def test_the_citation_says_what_the_package_says():
    citation = read(CITATION)
    assert citation["cff-version"] == "1.2.0" and citation["message"]
    assert citation["title"] == "PyTorch Handbook"
    for field in ("version", "authors", "keywords"):
        assert citation[field] == PROJECT[field], field


# What nox runs


def test_the_hook_before_a_commit_runs_all_of_lint():
    hooks = [hook for repository in read(HOOKS)["repos"] for hook in repository["hooks"]]
    assert [asked(hook["entry"]) for hook in hooks] == [["lint"]]
    # Whatever changed, every file is read: no name is appended to the command, no type left out.
    assert hooks[0]["always_run"] and not hooks[0]["pass_filenames"]
    assert not {"files", "types", "types_or", "exclude", "stages"} & hooks[0].keys()


def test_every_session_that_is_named_exists():
    texts = [HOOKS, *WORKFLOWS, *ROOT.glob(".ci/*"), *ROOT.glob("*.md"), *ROOT.glob(".github/*.md")]
    named = {(path.name, name) for path in texts for name in asked(path.read_text("utf-8"))}
    assert {"ci.yml", "pages.yml", "release.yml", "run", "README.md", HOOKS.name} <= {
        file for file, _ in named
    }
    assert {(file, name) for file, name in named if name not in sessions()} == set()


def test_scripts_that_workflows_run_exist():
    scripts = {word for _, step in steps() for word in re.findall(r"\.ci/\w+", step.get("run", ""))}
    assert scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


# Workflows


def test_actions_are_pinned_to_a_commit_and_say_its_version():
    commits = {}
    for path in WORKFLOWS:
        lines = [line for line in path.read_text("utf-8").splitlines() if "uses:" in line]
        outside = [line for line in lines if "uses: ./" not in line]
        for line in outside:
            pinned = re.fullmatch(r"[ -]+uses: (\S+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line)
            assert pinned, f"{path.name}: {line.strip()}"
            action, commit, version = pinned.groups()
            assert commits.setdefault(action, (commit, version)) == (commit, version), action
        for line in set(lines) - set(outside):
            assert (ROOT / line.partition("uses: ")[2]).exists(), line
    assert len(commits) >= 5


def test_a_workflow_may_do_little_and_ends():
    for path in WORKFLOWS:
        workflow = read(path)
        assert workflow["permissions"] in ({}, {"contents": "read"}), path.name
        assert {"group", "cancel-in-progress"} == workflow["concurrency"].keys(), path.name
        for name, job in jobs(path):
            assert "uses" in job or job["timeout-minutes"] <= 90, f"{path.name}: {name}"
            writes = {
                scope for scope, right in job.get("permissions", {}).items() if right == "write"
            }
            # What builds may run anything that was installed; what may write runs nothing of it.
            actions = {step.get("uses", "").partition("@")[0] for step in job.get("steps", [])}
            assert not writes or "actions/checkout" not in actions, f"{path.name}: {name}"


def test_a_checkout_leaves_no_credentials_behind():
    checkouts = [step for _, step in steps() if "actions/checkout@" in step.get("uses", "")]
    assert checkouts
    for step in checkouts:
        assert step["with"] == {"persist-credentials": False}


def test_no_step_pastes_what_a_stranger_wrote_into_a_shell():
    for name, step in steps():
        pasted = set(re.findall(r"\$\{\{ *(.*?) *\}\}", step.get("run", "")))
        assert pasted <= {"matrix.python"}, name


@pytest.fixture
def notes(tmp_path):
    """Run the step that writes the notes of a release, in a copy of what it reads."""
    (step,) = (step for _, step in steps() if step.get("id") == "notes")
    for name in ("pyproject.toml", "CHANGELOG.md"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())

    def run(tag):
        environment = os.environ | {"GITHUB_REF_NAME": tag}
        command = ["sh", "-e", "-c", step["run"]]
        return subprocess.run(command, cwd=tmp_path, env=environment).returncode

    run.folder = tmp_path
    return run


def test_the_notes_of_a_release_are_its_part_of_the_changelog(notes):
    version = PROJECT["version"]
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    part = re.split(r"^## .*\n", changes.partition(f"\n## {version}")[2], flags=re.M)[0]
    assert notes(f"v{version}") == 0
    assert (notes.folder / "release/notes.md").read_text("utf-8").strip() == part.strip() != ""


def test_a_tag_that_is_not_the_version_makes_no_release(notes):
    changes = notes.folder / "CHANGELOG.md"
    changes.write_text(f"{changes.read_text('utf-8')}\n## 99.0.0\n\n- Much.\n", "utf-8")
    assert notes("v99.0.0") != 0


def test_a_version_that_the_changelog_does_not_know_makes_no_release(notes):
    (notes.folder / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- Much.\n")
    assert notes(f"v{PROJECT['version']}") != 0


# Issue forms


def test_there_is_a_form_for_each_kind_of_fault():
    assert [form.stem for form in FORMS] == ["lesson", "package", "translation"]


def bilingual(text):
    english, chinese = re.split(r" / |\n\n", text.strip(), maxsplit=1)
    return bool(re.search("[a-z]{3}", english) and re.search("[一-鿿]", chinese))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_complete_and_in_both_languages(path):
    form = read(path)
    required = {"name", "description", "body"}
    assert required <= form.keys() <= required | {"title", "labels"}
    texts = [form["name"], form["description"]]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    texts += [part["attributes"]["value"] for part in form["body"] if part not in fields]
    assert fields and any(part.get("validations", {}).get("required") for part in fields)
    for part in fields:
        assert part["type"] in {"input", "textarea", "dropdown"}
        assert re.fullmatch(r"[\w-]+", part["id"])
        attributes = part["attributes"]
        texts += [attributes["label"], *attributes.get("options", [])]
        texts += [attributes["description"]] if "description" in attributes else []
        assert (part["type"] == "dropdown") == ("options" in attributes)
    for text in texts:
        assert bilingual(text), text
    for unique in (
        [part["id"] for part in fields],
        [part["attributes"]["label"] for part in fields],
    ):
        assert len(unique) == len(set(unique))


def test_what_contributors_and_reporters_read_is_in_both_languages():
    for name in ("pull_request_template.md", "SECURITY.md"):
        text = (ROOT / ".github" / name).read_text("utf-8")
        headings = re.findall("^## .+$", text, re.M)
        assert headings and all(re.search("[一-鿿]", heading) for heading in headings), name
