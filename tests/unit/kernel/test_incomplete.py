from neardup.incomplete import incomplete_key, parse_incomplete_key
from neardup.types import ImageId


def test_keys_come_back_whatever_the_id_holds() -> None:
    for name in ("a", "photos/4711.jpg", "with blanks 3 lsh", "ü"):
        assert parse_incomplete_key(incomplete_key("lsh", 3, ImageId(name))) == ("lsh", 3, name)
