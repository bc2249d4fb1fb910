"""One measurement, in a process of its own."""

import os

import pytest

from impasto.bench.rows import measure
from impasto.examples import example_path

PAIR = (str(example_path("coffee")), str(example_path("oil")))


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("IMPASTO_WEIGHTS_DIR"), reason="IMPASTO_WEIGHTS_DIR is not set")
def test_rows_are_measured_against_the_plain_methods_objective() -> None:
    plain = measure("plain", PAIR, 48, 6, None)
    assert plain.iterations == 6
    assert plain.peak_bytes > 10**8
    for name in ("vgg19", "accelerated", "compact"):
        found = measure(name, PAIR, 48, 6, plain.objective)
        assert found.seconds_to_target is None or 0 < found.seconds_to_target <= found.seconds
        assert all(earlier[0] <= later[0] for earlier, later in zip(found.curve, found.curve[1:], strict=False))
        assert found.seconds_per_iteration > 0
