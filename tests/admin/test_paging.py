"""Pages shrink until they fit, and grow back without being thrown away too often."""

import pytest

from exporter.admin.errors import MessageTooLarge
from exporter.admin.paging import PageSize, page_that_fits
from exporter.admin.question import Question


def fit(size: PageSize, pages: int) -> list[int]:
    """Have so many full pages fit, and return the size after each."""
    sizes = []
    for _ in range(pages):
        size.fitted()
        sizes.append(size.rows)
    return sizes


def test_as_many_as_configured_while_they_fit() -> None:
    """Pages that fit never grow beyond what was configured."""
    assert set(fit(PageSize(500), 50)) == {500}


@pytest.mark.parametrize(("rows", "half"), [(500, 250), (3, 1), (2, 1)])
def test_halved_when_too_large(rows: int, half: int) -> None:
    """Half of what was asked for, and at least one row."""
    size = PageSize(500)
    size.too_large(rows)
    assert size.rows == half


def test_grows_back_after_some_full_pages() -> None:
    """A few pages prove nothing; eight of them may."""
    size = PageSize(500)
    size.too_large(500)
    assert fit(size, 9) == [250] * 7 + [500] * 2


def test_growth_that_was_wrong_is_tried_less_and_less() -> None:
    """Where rows stay large, the pages between two failures double, but not for ever."""
    size = PageSize(64)
    size.too_large(64)
    between = []
    for _ in range(9):
        pages = 0
        while size.rows == 32:
            size.fitted()
            pages += 1
        between.append(pages)
        size.too_large(64)
    assert between == [8, 16, 32, 64, 128, 256, 512, 512, 512]


def test_growth_that_was_right_makes_the_next_as_easy() -> None:
    """Once the large rows are behind, the way back to full pages is short."""
    size = PageSize(64)
    size.too_large(64)
    size.too_large(32)
    fit(size, 8)
    size.too_large(32)
    assert fit(size, 16)[-1] == 32
    assert fit(size, 8)[-1] == 64


async def test_a_page_is_asked_for_until_it_fits() -> None:
    """The size goes down with pages that do not, and back up with full ones that do."""
    size, most, asked = PageSize(64), 20, list[int]()

    def question(rows: int) -> Question:
        return Question(method="List", request=rows, timeout=1, rows=int)

    async def ask(question: Question) -> int:
        asked.append(question.request)
        if question.request > most:
            raise MessageTooLarge(method="List", code="RESOURCE_EXHAUSTED", details="")
        return int(question.request)

    assert await page_that_fits(ask, size, question) == 16
    assert asked == [64, 32, 16]
    most = 64
    for _ in range(20):
        await page_that_fits(ask, size, question)
    assert asked[-1] == 64
    most = 0
    with pytest.raises(MessageTooLarge):
        await page_that_fits(ask, size, question)
    assert asked[-1] == 1
