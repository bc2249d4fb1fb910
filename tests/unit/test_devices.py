"""Choosing a precision for a device."""

import pytest
import torch

from impasto import devices
from impasto.devices import has_bfloat16, pick_precision
from impasto.errors import RecipeError

CPU = torch.device("cpu")


def test_auto_takes_bfloat16_only_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_bfloat16", lambda device: True)
    assert pick_precision("auto", CPU) == "bfloat16"
    monkeypatch.setattr(devices, "has_bfloat16", lambda device: False)
    assert pick_precision("auto", CPU) == "float32"


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert pick_precision("float32", CPU) == "float32"


def test_bfloat16_without_hardware_warns_of_the_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "has_bfloat16", lambda device: False)
    assert pick_precision("bfloat16", CPU) == "bfloat16"
    assert "no bfloat16 in hardware" in caplog.text


@pytest.mark.parametrize("name", ["float16", "tf32"])
def test_precisions_of_gpus_are_refused_on_a_processor(name: str) -> None:
    with pytest.raises(RecipeError, match=rf"precision {name} needs a GPU; got device cpu\."):
        pick_precision(name, CPU)


def test_other_accelerators_have_no_bfloat16_that_is_known_of() -> None:
    assert not has_bfloat16(torch.device("meta"))
