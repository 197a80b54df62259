"""Find a Chromium that starts, or install one: `python tests/chromium.py` prints its path.

GALLUMP_CHROMIUM names one beforehand; the browser tests take theirs from the same variable.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import BrowserType, Error, sync_playwright

FLAGS = (
    "--no-sandbox",  # root and containers have none; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_ON_PATH = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_MACOS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_HELP = (
    "No Chromium starts here, and none could be installed. Install Chromium or Google Chrome, or set GALLUMP_CHROMIUM "
    f"to the path of one. If only its libraries are missing: sudo {sys.executable} -m playwright install-deps chromium"
)


def _starts(chromium: BrowserType, path: str) -> bool:
    try:
        chromium.launch(executable_path=path, args=FLAGS).close()
    except Error:  # a stub that wants a snap, or libraries are missing: the next one may do
        return False
    return True


def find() -> str | None:
    """Give the path of the first Chromium that starts, Playwright's own before the system's."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        for path in (own, *filter(None, map(shutil.which, _ON_PATH)), *_ON_MACOS):
            if Path(path).is_file() and _starts(playwright.chromium, path):
                return path
    return None


def install() -> str | None:
    """Install a Chromium, Playwright's or else Debian's, and give its path."""
    debian = shutil.which("apt-get") and os.geteuid() == 0
    playwright = [sys.executable, "-m", "playwright", "install", "chromium"]
    apt = ["sh", "-c", "apt-get update && apt-get install --yes chromium"]
    ways = [[*playwright, "--with-deps"], apt] if debian else [playwright]
    for way in ways:
        print("Installing a Chromium for the browser tests:", *way, file=sys.stderr)
        subprocess.run(way, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if path := find():
            return path
    return None


if __name__ == "__main__":
    print(os.environ.get("GALLUMP_CHROMIUM") or find() or install() or sys.exit(_HELP))
