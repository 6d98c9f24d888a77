"""What a person is told of a configuration that was read again: in the log and in a browser."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from structlog.testing import capture_logs

from exporter import app
from exporter.config.load import load
from exporter.config.settings import Settings
from exporter.model.reload import ReloadOutcome

_GOOD = """\
admin: {{endpoint: "127.0.0.1:1", insecure: true}}
ledger: {{path: "{ledger}"}}
web: {{listen: "127.0.0.1:0"}}
"""


async def test_what_is_in_effect_and_what_is_not_is_told(tmp_path: Path) -> None:
    """One that is refused stands on the landing page until a good one is read."""
    file = tmp_path / "config.yaml"
    good = _GOOD.format(ledger=tmp_path / "ledger.db")
    file.write_text(good, encoding="utf-8")

    def reread(running: Settings) -> Settings:
        return load(file, {}, running=running)

    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(app.start(load(file, {}), reread=reread))
        browser = await stack.enter_async_context(aiohttp.ClientSession())
        work = asyncio.create_task(one.shifts.run())
        stack.push_async_callback(asyncio.wait, [work])
        stack.callback(work.cancel)

        async def page() -> str:
            async with browser.get(f"http://127.0.0.1:{one.port}/") as response:
                return await response.text()

        assert "read last" not in await page()
        file.write_text(f"{good}logg: <b>\nscrape: {{interval: 30}}\n", encoding="utf-8")
        with capture_logs() as logs:
            assert (await one.shifts.reload()).outcome is ReloadOutcome.REFUSED
        assert [(log["event"], log["meanwhile"]) for log in logs] == [
            ("configuration refused", "the one before stays in effect")
        ] * 2
        shown = await page()
        assert "what was read last is not in effect:" in shown
        assert f"{file}:4:1: logg: unknown key; did you mean &quot;log&quot;?" in shown
        assert "… 2 problems; nothing was changed." in shown

        file.write_text(good, encoding="utf-8")
        with capture_logs() as logs:
            assert (await one.shifts.reload()).outcome is ReloadOutcome.DONE
        assert [log["event"] for log in logs] == ["configuration unchanged"]
        assert "read last" not in await page()
