"""Texts of others, made fit for a line of a log, a page or a terminal."""


def one_line(text: str, *, most: int | None = None) -> str:
    """
    Return hostile or endless *text* as one printable line.

    Args:
        text: Whatever somebody sent.
        most: Characters after which it is cut, and an ellipsis says so; None cuts nothing.
    """
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if most is None or len(flat) <= most else flat[:most] + "…"
