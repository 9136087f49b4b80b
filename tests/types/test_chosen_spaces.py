"""Which space a call means that names none, while and after a space is made anew."""

from __future__ import annotations

from minivec.types.collection import CollectionConfig, VectorSpace


def chosen(*spaces: VectorSpace) -> list[str]:
    return [space.name for space in CollectionConfig(name="W", vector_spaces=spaces).chosen_spaces]


def test_what_reembed_keeps_or_fills_is_not_meant() -> None:
    current = VectorSpace(name="default")
    filling = VectorSpace(name="default_next", stored_as="default-1234")
    kept = VectorSpace(name="default_before", stored_as="default", kept_for="default")
    assert chosen(current, filling, kept) == ["default"]


def test_a_space_of_the_users_own_is_meant_whatever_its_name() -> None:
    assert chosen(VectorSpace(name="default"), VectorSpace(name="default_next")) == ["default", "default_next"]
    assert chosen(VectorSpace(name="x_next", stored_as="x-1")) == ["x_next"]
