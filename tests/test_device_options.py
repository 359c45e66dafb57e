"""Which devices and which engine the options stand for, on a machine with two GPUs that is made believe."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fakes import SETTINGS

from lightcnn.engine.build import EngineError
from lightcnn.errors import UserError
from search import device_options
from search.command import Parser
from search.device_options import add_device_options, engine_of, slots_of
from search.settings import SearchSettings, SettingsFile, agree

ENGINE = Path("engine.so")


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("require", "prepare"):
        monkeypatch.setattr(device_options, name, lambda say: ENGINE)


def chosen(folder, *arguments):
    """The devices, in order, and the engine."""
    parser = Parser("command", "")
    add_device_options(parser)
    options = argparse.Namespace(
        **vars(parser.parse_args([*arguments, "--workers-per-device", "1"])), out=folder, fresh=False
    )
    slots = slots_of(options, "study", SearchSettings)
    engine = engine_of(options, slots, "study", SearchSettings)
    return [slot.device for slot in slots], engine


def test_auto_is_the_cpu_where_the_engine_trains(two_gpus, tmp_path):
    devices, engine = chosen(tmp_path)
    assert {*devices} == {"cpu"} and engine == ENGINE
    assert chosen(tmp_path, "--engine", "native")[1] == ENGINE


def test_auto_is_every_gpu_where_it_does_not(two_gpus, monkeypatch, tmp_path):
    gpus = ["cuda:0", "cuda:1"]
    assert chosen(tmp_path, "--engine", "torch") == (gpus, None)
    assert chosen(tmp_path, "--devices", "cuda:0,cuda:1") == (gpus, None)

    def none(say):
        raise EngineError("there is no compiler")

    monkeypatch.setattr(device_options, "require", none)
    assert chosen(tmp_path) == (gpus, None)


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_study_goes_on_with_its_engine_and_never_on_gpus_in_its_name(engine, two_gpus, tmp_path):
    (tmp_path / "study").mkdir()
    agree(tmp_path / "study", SettingsFile(replace(SETTINGS, engine=engine), {}))
    devices, found = chosen(tmp_path)
    assert ({*devices}, found) == (({"cpu"}, ENGINE) if engine == "native" else ({"cuda:0", "cuda:1"}, None))
    if engine == "native":
        with pytest.raises(
            UserError, match=r"begun with --engine native, which trains on the CPU, but got cuda:1"
        ):
            chosen(tmp_path, "--devices", "cuda:1")
