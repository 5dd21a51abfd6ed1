"""Cores and memory are those that the process may use, not those that the machine has."""

import os

import psutil
import pytest

from cropseg_geo import space
from cropseg_geo.engine.workers import MAX_LANES, Workers
from cropseg_geo.errors import ResourceError
from cropseg_geo.machine import free_memory_bytes, usable_cores, usable_memory_bytes


@pytest.fixture
def system(tmp_path):
    """Writes the files of ``/proc`` and ``/sys`` that say what a process is given."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.fixture
def bound_to(monkeypatch):
    """Binds this process to so many cores."""

    def bind(n):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(n)), raising=False)

    return bind


V1 = "9:name=systemd:/\n4:memory:/slurm/job\n2:cpu,cpuacct:/slurm/job\n0::/\n"
V2 = "0::/slurm/job/step\n"


def test_lanes_follow_the_cores_that_the_process_is_bound_to(monkeypatch, bound_to):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    bound_to(1)
    assert Workers().lane_count == 1
    bound_to(64)
    assert Workers().lane_count == min(MAX_LANES, usable_cores())


def test_where_nothing_is_said_all_cores_and_the_whole_memory_count(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores(tmp_path) == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path) == 1
    assert usable_memory_bytes(tmp_path) == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/slurm/job/step/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/slurm/cpu.max": "300000 100000\n"}, 3),
        ({"proc/self/cgroup": V2, "sys/fs/cgroup/slurm/job/cpu.max": "max 100000\n"}, 16),
        (
            {
                "proc/self/cgroup": V2,
                "sys/fs/cgroup/slurm/job/step/cpu.max": "900000 100000\n",
                "sys/fs/cgroup/slurm/job/cpu.max": "400000 100000\n",
            },
            4,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/slurm/job/cpu.cfs_quota_us": "500000\n",
                "sys/fs/cgroup/cpu/slurm/job/cpu.cfs_period_us": "100000\n",
            },
            5,
        ),
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/slurm/job/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/slurm/job/cpu.cfs_period_us": "100000\n",
            },
            16,
        ),
        # A container sees its own group as the topmost.
        (
            {
                "proc/self/cgroup": V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2,
        ),
    ],
)
def test_a_share_of_time_counts_as_so_many_cores_rounded_up(system, bound_to, files, cores):
    bound_to(16)
    assert usable_cores(system(files)) == cores


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": V2,
            "sys/fs/cgroup/slurm/job/step/memory.max": "max\n",
            "sys/fs/cgroup/slurm/job/memory.max": "50000000\n",
        },
        {
            "proc/self/cgroup": V1,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/slurm/job/memory.limit_in_bytes": "50000000\n",
        },
    ],
)
def test_the_memory_is_what_the_control_group_allows(system, files):
    root = system(files)
    assert usable_memory_bytes(root) == free_memory_bytes(root) == 50_000_000


def test_a_run_that_needs_more_than_the_process_is_given_is_refused(monkeypatch, tmp_path):
    class Ready:
        disk_bytes = 0

        def memory_bytes(self, lanes):
            return lanes * 30_000_000

    monkeypatch.setattr(space, "usable_memory_bytes", lambda: 50_000_000)
    space.require_space(Ready(), tmp_path, Workers(lanes=1))
    with pytest.raises(ResourceError, match=r"may use 50\.0 MB"):
        space.require_space(Ready(), tmp_path, Workers(lanes=2))
    for several in (Workers(processes=2), Workers(processes=1, max_processes=2)):
        with pytest.raises(ResourceError, match=r"2 worker processes may use 50\.0 MB.*60\.0 MB") as caught:
            space.require_space(Ready(), tmp_path, several)
        assert "--workers" in caught.value.remedy
    monkeypatch.setattr(space, "usable_memory_bytes", lambda: 1)  # the cluster's machines have their own
    space.require_space(Ready(), tmp_path, Workers(scheduler="tcp://elsewhere:8786"))
