"""Edits of pictures: what people do to an image before they upload it again."""
