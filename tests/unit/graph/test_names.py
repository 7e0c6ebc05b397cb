from graph.gremlin import script
from graph.janusgraph import GraphNames


def test_labels_carry_the_namespace() -> None:
    assert GraphNames("shop").labels == ["shop_image", "shop_cluster", "shop_projection", "shop_member"]
    assert GraphNames("shop").member == "shop_member"


def test_keys_of_one_name_differ_by_kind_and_namespace() -> None:
    keys = {
        key
        for names in (GraphNames("shop"), GraphNames("shop2"))
        for key in (names.image_uid("1"), names.cluster_uid("1"), names.walk_uid(1), names.projection_uid)
    }
    assert len(keys) == 8
    assert all(len(key) == 32 for key in keys)


def test_keys_never_change() -> None:
    assert GraphNames("shop").image_uid("a/b") == "a1a8ca32793da5b2be6e661af9f48e3d"


def test_scripts_are_package_data() -> None:
    assert "// A page of members." in script("members")
