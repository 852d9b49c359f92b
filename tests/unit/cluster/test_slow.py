"""One quota for everything: what is read from the machine, and where groups go."""

import pytest

from tests import slow
from tests.cluster.base import ClusterError
from tests.cluster.native import cgroups

VERSION_1 = """
proc /proc proc rw 0 0
tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
""".strip()
VERSION_2 = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0"


@pytest.mark.parametrize("text", ["0", "1.5", "half", "", "nan", "-1"])
def test_a_share_that_makes_no_sense_is_refused_by_name(text):
    with pytest.raises(ClusterError, match=f"SLOW={text}: give the share"):
        slow.share_of(text)


def test_half_of_two_cores_is_one_core_in_each_period():
    assert slow.quota_of(slow.share_of("0.5"), 2) == slow.PERIOD_MICROSECONDS


def test_version_1_goes_before_version_2_where_both_are_mounted():
    found = slow.hierarchy_in(VERSION_1)
    assert found is not None
    assert (str(found.mount), found.unified) == ("/sys/fs/cgroup/cpu,cpuacct", False)


def test_version_2_is_found_alone():
    found = slow.hierarchy_in(VERSION_2)
    assert found is not None
    assert (str(found.mount), found.unified) == ("/sys/fs/cgroup", True)


def test_a_machine_without_control_groups_is_told_so(monkeypatch):
    assert slow.hierarchy_in("proc /proc proc rw 0 0") is None
    monkeypatch.setattr(slow, "_hierarchy", lambda: None)
    with pytest.raises(ClusterError, match="needs Linux control groups"):
        slow.make(0.5)


def test_a_machine_that_refuses_is_told_where(monkeypatch, tmp_path):
    (tmp_path / slow.name_for(slow.ROOT)).write_text("no folder")
    monkeypatch.setattr(slow, "_hierarchy", lambda: slow.Hierarchy(tmp_path, unified=False))
    with pytest.raises(ClusterError, match=r"cannot set a quota in .*; it needs root"):
        slow.make(0.5)


def test_the_group_of_a_process_is_that_of_the_cpu_controller():
    text = "3:cpuset:/other\n2:cpuacct,cpu:/modelfleet-slow-1/here\n0::/third\n"
    assert slow.group_in(slow.path_in(text)) == "modelfleet-slow-1"
    assert slow.group_in(slow.path_in("0::/modelfleet-slow-2/modelfleet-3/pod\n")) == (
        "modelfleet-slow-2"
    )


def test_a_process_of_another_group_is_under_no_quota_of_ours():
    assert slow.group_in(slow.path_in("0::/user.slice/modelfleet-slow-1\n")) == ""
    assert slow.group_of(0) == ""


@pytest.mark.parametrize("unified", [False, True])
def test_the_quota_that_was_set_is_read_back(tmp_path, unified):
    hierarchy = slow.Hierarchy(tmp_path, unified)
    assert hierarchy.cores_of(tmp_path) is None
    hierarchy.set_quota(tmp_path, 0.5, 4)
    assert hierarchy.cores_of(tmp_path) == 2


def test_no_bound_is_no_quota(tmp_path):
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert slow.Hierarchy(tmp_path, unified=True).cores_of(tmp_path) is None


def test_a_group_without_a_process_is_removed_whole(tmp_path):
    group = tmp_path / "modelfleet-slow-1"
    (group / slow.HERE).mkdir(parents=True)
    assert slow.remove(group)
    assert not group.exists()


def test_a_group_in_which_a_cluster_lives_stays(tmp_path):
    group = tmp_path / "modelfleet-slow-1"
    (group / slow.HERE).mkdir(parents=True)
    (group / slow.HERE / "cgroup.procs").write_text("12\n")
    assert not slow.remove(group)
    assert group.exists()


def test_pods_lie_below_the_quota_of_the_command_that_starts_them(monkeypatch, tmp_path):
    monkeypatch.setattr(slow, "group_of", lambda: "modelfleet-slow-1")
    path = cgroups.path_for("modelfleet-2")
    assert path == "modelfleet-slow-1/modelfleet-2"
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    cgroups.create(path, tmp_path)
    for group in (tmp_path, tmp_path / "modelfleet-slow-1", tmp_path / path):
        assert (group / "cgroup.subtree_control").read_text() == "+cpu +memory"


def test_without_a_quota_pods_lie_where_they_always_did(monkeypatch):
    monkeypatch.setattr(slow, "group_of", lambda: "")
    assert cgroups.path_for("modelfleet-2") == "modelfleet-2"


def test_the_pods_group_is_found_and_removed_by_a_command_without_the_quota(tmp_path):
    (tmp_path / "modelfleet-slow-1" / "modelfleet-2" / "burstable").mkdir(parents=True)
    (tmp_path / "modelfleet-slow-1" / slow.HERE).mkdir()
    (tmp_path / "somebody" / "modelfleet-2").mkdir(parents=True)
    assert cgroups.remove("modelfleet-2", tmp_path) == []
    assert [each.name for each in tmp_path.iterdir()] == ["somebody"]
