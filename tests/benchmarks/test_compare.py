"""The speed check of two revisions: its rule, its table and its checkouts. Nothing is timed."""

import shutil
import subprocess

import pytest

from benchmarks import __main__ as command_line
from benchmarks import compare, runner

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def make_times(base, work):
    return {"base": base, "work": work}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of two commits whose skfm says which it is; the working tree differs from both."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "repository"
    module = folder / "skfm" / "__init__.py"
    module.parent.mkdir(parents=True)
    git("init", "--quiet", folder=folder)
    for version in ("first", "second"):
        module.write_text(f"VERSION = {version!r}\n")
        git("add", ".", folder=folder)
        who = ["-c", "user.name=name", "-c", "user.email=name@localhost", "-c", "commit.gpgsign=false"]
        git(*who, "commit", "--quiet", "--message", version, folder=folder)
    module.write_text("VERSION = 'edited'\n")
    return folder


def git(*arguments, folder):
    answer = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return answer.stdout


# --- rule and table


@pytest.mark.parametrize(
    ("base", "work", "slower"),
    [
        ([1.0, 1.0, 1.0], [1.2, 1.3, 1.2], True),
        ([1.0, 1.0, 1.0], [1.1, 1.1, 1.1], False),  # within the tolerance
        ([1.0, 1.0, 1.0], [1.5, 1.5, 0.9], False),  # one round says otherwise
        ([1.0, 2.0, 4.0], [1.3, 2.6, 5.2], True),  # the machine gets slower for both
        ([1.0], [1.5], True),
        ([1.0, 1.0], [0.5, 0.5], False),
    ],
)
def test_slower_needs_the_median_and_every_round(base, work, slower):
    assert compare.is_slower(make_times(base, work), 0.15) is slower


def test_tolerance_decides():
    times = make_times([1.0, 1.0], [1.2, 1.2])
    assert compare.is_slower(times, 0.1)
    assert not compare.is_slower(times, 0.3)


def test_table_has_medians_ratio_range_and_flag():
    seconds = {
        "import": make_times([0.5, 0.4, 0.6], [0.6, 0.8, 0.9]),
        "predict-row": make_times([0.001, 0.001, 0.001], [0.0009, 0.001, 0.0011]),
    }
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in compare.render(seconds, 0.15).splitlines()
    ]
    assert rows[2] == ["import", "import skfm", "500.0", "800.0", "1.5000", "1.20 to 2.00", "SLOWER"]
    assert rows[3][2:] == ["1.0000", "1.0000", "1.0000", "0.90 to 1.10", ""]


def test_every_probe_is_in_the_script_and_in_one_process():
    assert sorted(sum(compare.PROCESSES, ())) == sorted(compare.PROBES)
    for probe in compare.PROBES:
        assert f'    "{probe}": ' in compare.SCRIPT


# --- command line


def run_with_fake(monkeypatch, repository, factor):
    def measure(probes, checkout, data):
        return dict.fromkeys(probes, factor if checkout == repository else 1.0)

    monkeypatch.setattr(runner, "REPOSITORY", repository)
    monkeypatch.setattr(compare, "write_problems", lambda path: None)
    monkeypatch.setattr(compare, "measure_probes", measure)
    return command_line.main(["compare", "HEAD~1", "--rounds", "2", "--probes", "import,fm-1e4"])


@needs_git
@pytest.mark.parametrize(("factor", "status"), [(2.0, 1), (1.0, 0)])
def test_exit_status_says_whether_a_probe_is_flagged(monkeypatch, capsys, repository, factor, status):
    assert run_with_fake(monkeypatch, repository, factor) == status
    printed = capsys.readouterr().out
    assert printed.count("SLOWER") == 2 * status
    assert git("rev-parse", "--short=12", "HEAD~1", folder=repository).strip() in printed


@needs_git
@pytest.mark.parametrize("revision", ["no-such-revision", "HEAD:skfm"])
def test_unknown_revision_is_said_in_one_line(monkeypatch, capsys, repository, revision):
    monkeypatch.setattr(runner, "REPOSITORY", repository)
    assert command_line.main(["compare", revision]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{revision} is no revision of this repository")


@pytest.mark.parametrize("options", [["--probes", "speed"], ["--rounds", "0"]])
def test_unknown_probes_and_no_rounds_are_rejected(options):
    with pytest.raises(SystemExit):
        command_line.main(["compare", "HEAD", *options])


# --- checkouts


@needs_git
def test_sides_take_turns_and_the_worktree_is_removed(repository):
    seen = []

    def measure(probes, checkout):
        seen.append((probes, (checkout / "skfm" / "__init__.py").read_text(), checkout))
        return dict.fromkeys(probes, float(len(seen)))

    commit = compare.find_commit("HEAD~1", repository)
    seconds = compare.compare(commit, ["import", "predict", "fm-1e4"], 2, measure, repository)
    versions = [text.split("'")[1] for _, text, _ in seen]
    assert versions == ["first", "edited"] * 2 + ["edited", "first"] * 2
    start, fm = ["import"], ["fm-1e4", "predict"]
    assert [probes for probes, _, _ in seen] == [start, start, fm, fm] * 2
    assert seconds["import"] == make_times([1.0, 6.0], [2.0, 5.0])
    assert seconds["predict"] == make_times([3.0, 8.0], [4.0, 7.0])
    assert not seen[0][2].exists()
    assert len(git("worktree", "list", folder=repository).splitlines()) == 1


@needs_git
@pytest.mark.parametrize("error", [compare.CompareError, KeyboardInterrupt])
def test_worktree_is_removed_on_errors(repository, error):
    checkouts = []

    def measure(probes, checkout):
        checkouts.append(checkout)
        raise error

    with pytest.raises(error):
        compare.compare("HEAD", ["import"], 1, measure, repository)
    assert not checkouts[0].exists()
    assert len(git("worktree", "list", folder=repository).splitlines()) == 1


def test_skfm_of_another_place_is_refused(tmp_path):
    """An installed skfm must not be measured in place of the one that the checkout lacks."""
    with pytest.raises(compare.CompareError, match="import failed in the base"):
        compare.measure_probes(["import"], tmp_path, tmp_path / "problems.npz")


def test_skfm_of_the_checkout_goes_before_an_installed_one(tmp_path):
    (tmp_path / "skfm").mkdir()
    (tmp_path / "skfm" / "__init__.py").write_text("")
    assert list(compare.measure_probes(["import"], tmp_path, tmp_path / "problems.npz")) == ["import"]
