"""`torchrun`: a function of a page on real processes."""

import os
import re
import signal

import pytest
import torch
import torch.distributed as dist

from handbook import torchrun

HALVES = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def by_value(function):
    """Pack a function as those of a page are packed, whose module no other process can import."""
    function.__module__ = "__main__"
    return function


def test_each_process_computes_and_the_lines_come_by_rank(capfd):
    @by_value
    def add(scale):
        dist.init_process_group("gloo")
        mine = scale * halves[dist.get_rank()]
        dist.all_reduce(mine)
        print("got", mine.tolist(), "\nof", dist.get_world_size())
        dist.destroy_process_group()
        return mine

    halves = HALVES
    results = torchrun(add, 10)
    lines = [f"rank {rank}: {line}" for rank in (0, 1) for line in ("got [40.0, 60.0] ", "of 2")]
    assert capfd.readouterr().out.splitlines() == lines
    assert [result.tolist() for result in results] == [[40, 60], [40, 60]]


def test_a_killed_process_ends_the_job_and_leaves_what_it_printed(capsys):
    @by_value
    def die():
        dist.init_process_group("gloo")
        print("before")
        if dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()

    with pytest.raises(RuntimeError, match="SIGKILL"):
        torchrun(die)
    assert capsys.readouterr().out.splitlines() == ["rank 0: before", "rank 1: before"]


def test_an_error_ends_the_others_and_names_itself(capsys):
    @by_value
    def fail():
        dist.init_process_group("gloo")
        print("before")
        if dist.get_rank() == 1:
            raise KeyError("the third shelf")
        dist.barrier()  # would wait for half an hour

    with pytest.raises(RuntimeError) as caught:
        torchrun(fail)
    assert re.search(r"rank *: 1[\s\S]*KeyError: 'the third shelf'", str(caught.value))
    assert capsys.readouterr().out.splitlines() == ["rank 0: before", "rank 1: before"]


def test_no_process():
    with pytest.raises(ValueError, match="start one process or more"):
        torchrun(print, processes=0)
