"""Who a request is from: which ids and weights an identity may have."""

import pytest

from xinflight.auth import Identity


@pytest.mark.parametrize("owner", ["ann", "ann@example.org", "auth0|5f7c", "Ann Lee", "安娜", "a" * 128])
def test_a_printable_id_is_accepted(owner: str) -> None:
    assert Identity(id=owner).id == owner


@pytest.mark.parametrize(
    "owner",
    ["", " ann", "ann ", "a" * 129, "a" * 10_240, "ann\n", "a\x00b", "a\x1b[31m", "a\u202eb", "a\u200bb", "a\ud800"],
)
def test_an_id_that_could_forge_a_log_line_or_a_name_is_refused(owner: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 printable characters"):
        Identity(id=owner)


@pytest.mark.parametrize("weight", [0.0, -1.0, 0.001, 101.0, float("nan"), float("inf")])
def test_a_weight_that_would_starve_others_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match=r"from 0\.01 to 100"):
        Identity(id="ann", weight=weight)


def test_an_expiry_that_would_never_come_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a time"):
        Identity(id="ann", expires=float("nan"))
